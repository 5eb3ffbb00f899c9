/* container: see container.h. The forms of path that the runtimes make, with cgroup v1 and v2, by
 * systemd and without. */
#include "process/container.h"

#include <stdio.h>
#include <string.h>

enum { HEX_DIGITS = 64 };

/* A part of a path, between slashes. */
struct part {
	const char *at;
	size_t length;
};

static bool part_is(const struct part *part, const char *text)
{
	return part->length == strlen(text) && strncmp(part->at, text, part->length) == 0;
}

static bool take_start(struct part *part, const char *start)
{
	size_t length = strlen(start);
	if (part->length <= length || strncmp(part->at, start, length) != 0)
		return false;
	part->at += length;
	part->length -= length;
	return true;
}

static bool take_end(struct part *part, const char *end)
{
	size_t length = strlen(end);
	if (part->length <= length || strncmp(part->at + part->length - length, end, length) != 0)
		return false;
	part->length -= length;
	return true;
}

static bool is_hex_id(const struct part *part)
{
	return part->length == HEX_DIGITS &&
	       strspn(part->at, "0123456789abcdef") >= (size_t)HEX_DIGITS;
}

static bool set_container(const char *runtime, const struct part *id, struct container *ret)
{
	if (id->length == 0 || id->length > CONTAINER_ID_BYTES)
		return false;
	(void)snprintf(ret->runtime, sizeof(ret->runtime), "%s", runtime);
	(void)snprintf(ret->id, sizeof(ret->id), "%.*s", (int)id->length, id->at);
	return true;
}

/* "docker-ID.scope", "pod1.slice:cri-containerd:ID", "ID" below a folder that tells the runtime. */
static bool parse_hex(struct part part, const struct part *above, struct container *ret)
{
	static const struct {
		const char *start, *runtime;
	} kinds[] = {{"docker-", "docker"},      {"libpod-payload-", "podman"},
		     {"libpod-", "podman"},      {"cri-containerd-", "containerd"},
		     {"nerdctl-", "containerd"}, {"crio-", "cri-o"}};
	const char *runtime = part_is(above, "docker") ? "docker" : "container";

	(void)take_end(&part, ".scope");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (take_start(&part, kinds[i].start)) {
			runtime = kinds[i].runtime;
			break;
		}

	for (size_t i = part.length; i > 0; i--)
		if (part.at[i - 1] == ':') {
			part = (struct part){part.at + i, part.length - i};
			runtime = "containerd";
			break;
		}
	return is_hex_id(&part) && set_container(runtime, &part, ret);
}

/* LXC, LXD and systemd-nspawn have names. A virtual machine is no container. */
static bool parse_named(struct part part, const struct part *above, struct container *ret)
{
	if (part_is(above, "lxc") || part_is(above, "lxc.payload") ||
	    take_start(&part, "lxc.payload."))
		return set_container("lxc", &part, ret);
	if (take_start(&part, "systemd-nspawn@") && take_end(&part, ".service"))
		return set_container("nspawn", &part, ret);
	if (part_is(above, "machine.slice") && take_start(&part, "machine-") &&
	    take_end(&part, ".scope") && !take_start(&part, "qemu"))
		return set_container("nspawn", &part, ret);
	return false;
}

static bool parse_path(const char *path, size_t length, struct container *ret)
{
	struct part above = {path, 0};
	bool found = false;

	for (const char *end = path + length; path < end;) {
		const char *slash = memchr(path, '/', (size_t)(end - path));
		struct part part = {path, (size_t)((slash ? slash : end) - path)};
		if (parse_hex(part, &above, ret) || parse_named(part, &above, ret))
			found = true;
		above = part;
		path = slash ? slash + 1 : end;
	}
	return found;
}

bool container_parse(const char *text, struct container *ret_container)
{
	*ret_container = (struct container){0};

	/* "4:memory:/docker/ID", and "0::/.." for cgroup v2. */
	for (const char *line = text; *line; line += *line == '\n') {
		size_t length = strcspn(line, "\n");
		const char *colon = memchr(line, ':', length);
		if (colon)
			colon = memchr(colon + 1, ':', length - (size_t)(colon + 1 - line));
		if (colon &&
		    parse_path(colon + 1, length - (size_t)(colon + 1 - line), ret_container))
			return true;
		line += length;
	}
	return false;
}
