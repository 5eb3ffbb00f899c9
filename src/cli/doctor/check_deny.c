/* check_deny: what it would take to keep GPUs from programs that are under no lease: who may open
 * their device files now, which programs have one open, what would be changed, and how that is
 * undone. Changes nothing. docs/decisions/0018 says what such a lock keeps out, and what not. */
#include <dirent.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cli/doctor/check.h"
#include "cli/doctor/device_nodes.h"
#include "process/gpu_entry.h"

static const char group_name[] = "baton-gpu";

enum { KINDS_MAX = 6, WHO_BYTES = 160, LIST_BYTES = 300, ACL_BYTES = 512, GROUPS_BYTES = 65536 };

__attribute__((format(printf, 3, 4))) static void add_words(char *text, size_t size,
							    const char *format, ...)
{
	size_t length = strlen(text);
	va_list args;
	va_start(args, format);
	(void)vsnprintf(text + length, size - length, format, args);
	va_end(args);
}

/* ---- the group ---- */

/* Its number; -1: there is none. Its members, by the comma. */
static int64_t find_group(const struct doctor *doctor, char *ret_members, size_t size)
{
	static char text[GROUPS_BYTES];
	size_t length = strlen(group_name);
	ret_members[0] = '\0';
	if (!check_read(doctor, "/etc/group", text, sizeof(text)))
		return -1;

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, group_name, length) != 0 || line[length] != ':')
			continue;
		const char *gid = strchr(line + length + 1, ':');
		const char *members = gid ? strchr(gid + 1, ':') : NULL;
		if (!members)
			continue;
		(void)snprintf(ret_members, size, "%.*s", (int)strcspn(members + 1, "\n"),
			       members + 1);
		return strtoll(gid + 1, NULL, 10);
	}
	return -1;
}

static void name_group(int64_t gid, int64_t own_gid, char *text, size_t size)
{
	const struct group *group = gid == own_gid ? NULL : getgrgid((gid_t)gid);
	if (gid == own_gid)
		add_words(text, size, "%s", group_name);
	else if (group)
		add_words(text, size, "%.32s", group->gr_name);
	else
		add_words(text, size, "%" PRId64, gid);
}

/* ---- who may open a file ---- */

struct acl_entry {
	uint16_t tag, bits;
	uint32_t id;
};

enum {
	ACL_USER = 2,
	ACL_OWN_GROUP = 4,
	ACL_GROUP = 8,
	ACL_MASK = 16,
	ACL_HEADER_BYTES = 4,
	READ_WRITE = 6
};

struct acl {
	struct acl_entry v[ACL_BYTES / sizeof(struct acl_entry)];
	size_t count; /* 0: the mode says all */
};

/* The kernel's form: a version, then entries of eight bytes, all little-endian as here. */
static void read_acl(const char *full, struct acl *ret_acl)
{
	unsigned char bytes[ACL_HEADER_BYTES + sizeof(ret_acl->v)];
	ssize_t length = getxattr(full, "system.posix_acl_access", bytes, sizeof(bytes));
	ret_acl->count = length < ACL_HEADER_BYTES
				 ? 0
				 : ((size_t)length - ACL_HEADER_BYTES) / sizeof(*ret_acl->v);
	memcpy(ret_acl->v, bytes + ACL_HEADER_BYTES, ret_acl->count * sizeof(*ret_acl->v));
}

static bool may_use(const struct acl *acl, const struct acl_entry *entry)
{
	uint16_t mask = READ_WRITE;
	for (size_t i = 0; i < acl->count; i++)
		if (acl->v[i].tag == ACL_MASK)
			mask = acl->v[i].bits;
	return (entry->bits & mask & READ_WRITE) == READ_WRITE;
}

/* Where there is an ACL, the mode has its mask in the group's place. */
static bool own_group_may(const struct acl *acl, const struct stat *st)
{
	for (size_t i = 0; i < acl->count; i++)
		if (acl->v[i].tag == ACL_OWN_GROUP)
			return st->st_gid != 0 && may_use(acl, &acl->v[i]);
	return st->st_gid != 0 && (st->st_mode & 060) == 060;
}

static void add_named(const struct acl_entry *entry, int64_t own_gid, char *who)
{
	const struct passwd *user = entry->tag == ACL_USER ? getpwuid(entry->id) : NULL;
	add_words(who, WHO_BYTES, ", %s ", entry->tag == ACL_USER ? "user" : "group");
	if (user)
		add_words(who, WHO_BYTES, "%.32s", user->pw_name);
	else if (entry->tag == ACL_USER)
		add_words(who, WHO_BYTES, "%u", entry->id);
	else
		name_group(entry->id, own_gid, who, WHO_BYTES);
	add_words(who, WHO_BYTES, " by an ACL");
}

/* Whether users, or other groups than ours, are named and may. */
static bool add_acl(const struct acl *acl, int64_t own_gid, char *who)
{
	bool found = false;
	for (size_t i = 0; i < acl->count; i++) {
		const struct acl_entry *entry = &acl->v[i];
		if ((entry->tag != ACL_USER && entry->tag != ACL_GROUP) || !may_use(acl, entry))
			continue;
		found |= entry->tag == ACL_USER || (int64_t)entry->id != own_gid;
		add_named(entry, own_gid, who);
	}
	return found;
}

struct kind {
	char who[WHO_BYTES], paths[LIST_BYTES];
	bool is_open; /* to others than root and the group */
};

struct nodes {
	int64_t own_gid;
	struct kind kinds[KINDS_MAX];
	size_t kind_count;
	unsigned count, nvidia, drm;
};

static void note_node(void *ctx, const char *path, const char *full)
{
	struct nodes *nodes = ctx;
	struct stat st;
	struct kind kind = {.who = ""};
	if (stat(full, &st) < 0)
		return;

	nodes->count++;
	nodes->nvidia += strncmp(path, "/dev/nvidia", 11) == 0;
	nodes->drm += strncmp(path, "/dev/dri/", 9) == 0 || strcmp(path, "/dev/kfd") == 0;
	struct acl acl;
	read_acl(full, &acl);
	bool group_may = own_group_may(&acl, &st);
	if ((st.st_mode & 06) == 06) {
		add_words(kind.who, WHO_BYTES, "everybody");
	} else if (group_may) {
		add_words(kind.who, WHO_BYTES, "group ");
		name_group(st.st_gid, nodes->own_gid, kind.who, WHO_BYTES);
	} else {
		add_words(kind.who, WHO_BYTES, "root");
	}
	bool by_acl = add_acl(&acl, nodes->own_gid, kind.who);
	add_words(kind.who, WHO_BYTES, " (mode %03o)", (unsigned)(st.st_mode & 0777));
	kind.is_open = (st.st_mode & 06) == 06 || by_acl ||
		       (group_may && (int64_t)st.st_gid != nodes->own_gid);

	size_t at = 0;
	while (at < nodes->kind_count && strcmp(nodes->kinds[at].who, kind.who) != 0)
		at++;
	if (at == KINDS_MAX)
		return;
	if (at == nodes->kind_count)
		nodes->kinds[nodes->kind_count++] = kind;
	add_words(nodes->kinds[at].paths, LIST_BYTES, "%s%s", nodes->kinds[at].paths[0] ? ", " : "",
		  path);
}

static void count_instance(void *ctx, const char *path, const char *full)
{
	unsigned *count = ctx;
	(void)path;
	(void)full;
	++*count;
}

static struct nodes read_nodes(const struct doctor *doctor)
{
	char members[LIST_BYTES];
	struct nodes nodes = {.own_gid = find_group(doctor, members, sizeof(members))};
	device_nodes_each(doctor, note_node, &nodes);
	return nodes;
}

void check_deny_nodes(const struct doctor *doctor, struct finding *finding)
{
	struct nodes nodes = read_nodes(doctor);
	char text[CHECK_TEXT_BYTES] = "";
	bool is_open = false;
	unsigned instances = 0;

	for (size_t i = 0; i < nodes.kind_count; i++) {
		is_open |= nodes.kinds[i].is_open;
		add_words(text, sizeof(text), "%s%s: %s", i ? "; " : "", nodes.kinds[i].paths,
			  nodes.kinds[i].who);
	}
	device_nodes_each_instance(doctor, count_instance, &instances);
	if (instances > 0)
		add_words(text, sizeof(text),
			  "; %u of MIG in /dev/nvidia-caps, with modes of the driver's own: they "
			  "open nothing without the card's file",
			  instances);

	if (nodes.count == 0)
		check_say(finding, CHECK_NOTE, "there are no device files of GPUs here");
	else
		check_say(finding, is_open ? CHECK_NOTE : CHECK_OK, "who may open them: %s", text);
}

/* ---- who has one open ---- */

/* Root needs no group; who is in it keeps its access. */
static bool is_let_in(const struct doctor *doctor, const char *pid, int64_t own_gid)
{
	char path[64], status[4096], wanted[24];
	(void)snprintf(path, sizeof(path), "/proc/%.20s/status", pid);
	if (!check_read(doctor, path, status, sizeof(status)))
		return false;
	if (strstr(status, "\nUid:\t0\t"))
		return true;

	(void)snprintf(wanted, sizeof(wanted), "%" PRId64, own_gid);
	char *groups = strstr(status, "\nGroups:\t"), *rest = groups ? groups + 9 : NULL;
	if (!rest)
		return false;
	rest[strcspn(rest, "\n")] = '\0';
	for (const char *word; (word = strsep(&rest, " "));)
		if (strcmp(word, wanted) == 0)
			return true;
	return false;
}

static bool has_node_open(const struct doctor *doctor, const char *pid)
{
	char path[64], folder[CHECK_PATH_BYTES], target[CHECK_PATH_BYTES];
	const struct dirent *entry;
	bool found = false;
	(void)snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	check_path(doctor, path, folder, sizeof(folder));

	DIR *dir = opendir(folder);
	while (dir && !found && (entry = readdir(dir))) {
		ssize_t length = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		target[length > 0 ? length : 0] = '\0';
		found = device_nodes_is(target);
	}
	if (dir)
		closedir(dir);
	return found;
}

void check_deny_programs(const struct doctor *doctor, struct finding *finding)
{
	char folder[CHECK_PATH_BYTES], names[LIST_BYTES] = "", members[LIST_BYTES];
	int64_t own_gid = find_group(doctor, members, sizeof(members));
	const struct dirent *entry;
	unsigned count = 0;
	check_path(doctor, "/proc", folder, sizeof(folder));

	DIR *dir = opendir(folder);
	while (dir && (entry = readdir(dir))) {
		char path[64], name[40];
		const char *pid = entry->d_name;
		if (pid[strspn(pid, "0123456789")] || !has_node_open(doctor, pid) ||
		    is_let_in(doctor, pid, own_gid))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
		if (!check_read(doctor, path, name, sizeof(name)))
			(void)snprintf(name, sizeof(name), "?");
		add_words(names, sizeof(names), "%s%s (%s)", count++ ? ", " : "", name, pid);
	}
	if (dir)
		closedir(dir);

	const char *seen = geteuid() == 0 ? "" : " (of this user; root sees all)";
	if (count > 0)
		check_say(finding, CHECK_NOTE,
			  "%u would not open a GPU again once started anew: %s%s. What is open "
			  "now stays open",
			  count, names, seen);
	check_say(finding, CHECK_OK, "no program has a GPU open that would lose it%s", seen);
}

/* ---- what would be changed ---- */

void check_deny_group(const struct doctor *doctor, struct finding *finding)
{
	char members[LIST_BYTES];
	int64_t gid = find_group(doctor, members, sizeof(members));
	if (gid < 0)
		check_say(finding, CHECK_NOTE,
			  "the group %s would be made: only it may open GPUs; fix: groupadd "
			  "--system %s",
			  group_name, group_name);
	else if (members[0])
		check_say(finding, CHECK_WARN,
			  "in the group %s for ever are: %s. They need no lease; fix: gpasswd -d "
			  "USER %s, and log in again",
			  group_name, members, group_name);
	else
		check_say(finding, CHECK_OK, "the group %s is there, with no members", group_name);
}

/* The driver's modules are told by /proc what they were given. */
static bool nvidia_is_closed(const struct doctor *doctor, int64_t gid)
{
	char text[4096], wanted[48];
	(void)snprintf(wanted, sizeof(wanted), "DeviceFileGID: %" PRId64 "\n", gid);
	if (!check_read(doctor, "/proc/driver/nvidia/params", text, sizeof(text) - 1))
		return false;
	add_words(text, sizeof(text), "\n"); /* cut off by check_read */
	return strstr(text, wanted) && strstr(text, "DeviceFileMode: 432\n"); /* 0660 */
}

void check_deny_nvidia(const struct doctor *doctor, struct finding *finding)
{
	struct nodes nodes = read_nodes(doctor);
	char gid[24] = "GID";
	if (nodes.nvidia == 0) {
		check_say(finding, CHECK_OK, "there are no NVIDIA device files");
		return;
	}
	if (nodes.own_gid >= 0)
		(void)snprintf(gid, sizeof(gid), "%" PRId64, nodes.own_gid);

	if (nodes.own_gid >= 0 && nvidia_is_closed(doctor, nodes.own_gid))
		check_say(finding, CHECK_OK, "the driver makes its files for %s alone", group_name);
	else
		check_say(finding, CHECK_NOTE,
			  "the driver would make its files for the group alone (a udev rule is not "
			  "enough: nvidia-modprobe makes them anew by these parameters); fix: in "
			  "/etc/modprobe.d/baton-deny.conf: options nvidia NVreg_DeviceFileUID=0 "
			  "NVreg_DeviceFileGID=%s NVreg_DeviceFileMode=0660, then load it anew, or "
			  "reboot",
			  gid);
}

void check_deny_drm(const struct doctor *doctor, struct finding *finding)
{
	struct nodes nodes = read_nodes(doctor);
	if (nodes.drm == 0)
		check_say(finding, CHECK_OK, "there are no render nodes");
	else if (check_exists(doctor, "/etc/udev/rules.d/72-baton-deny.rules"))
		check_say(finding, CHECK_OK, "/etc/udev/rules.d/72-baton-deny.rules is there");
	else
		check_say(finding, CHECK_NOTE,
			  "render nodes and kfd would be for the group alone, without the ACL that "
			  "a login at the machine brings; whatever draws by them, compositors and "
			  "browsers, draws by the processor then; fix: docs/native.md has "
			  "/etc/udev/rules.d/72-baton-deny.rules; then udevadm trigger "
			  "--subsystem-match=drm --subsystem-match=kfd");
}

void check_deny_grant(const struct doctor *doctor, struct finding *finding)
{
	char path[CHECK_PATH_BYTES];
	if (!gpu_entry_find(path, sizeof(path)))
		check_say(finding, CHECK_NOTE,
			  "baton-gpu-exec is not beside baton: jobs would not get in either; fix: "
			  "install it there");
	else if (!gpu_entry_works(path))
		check_say(
			finding, CHECK_NOTE,
			"%.300s may not let jobs into the group; fix: setcap cap_setgid=ep %.150s",
			path, path);
	else
		check_say(finding, CHECK_OK, "%.300s lets jobs of baton run into the group", path);
	(void)doctor;
}

void check_deny_undo(const struct doctor *doctor, struct finding *finding)
{
	(void)doctor;
	check_say(
		finding, CHECK_OK,
		"remove /etc/modprobe.d/baton-deny.conf and "
		"/etc/udev/rules.d/72-baton-deny.rules; udevadm control --reload; udevadm trigger "
		"--subsystem-match=drm --subsystem-match=kfd; load NVIDIA's driver anew, or "
		"reboot. setcap -r on baton-gpu-exec. Running programs notice neither");
}
