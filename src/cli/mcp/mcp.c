/* mcp: a server of the Model Context Protocol (2025-06-18) on standard input and output, by which
 * agents ask for leases. All leases end with the connection: the agent that dies frees its GPU. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/mcp/mcp_message.h"
#include "cli/mcp/mcp_output.h"
#include "cli/mcp/mcp_tools.h"
#include "cli/mcp/mcp_words.h"
#include "cli/run/run_sender.h"

enum { LINE_BYTES_MAX = 1 << 20, READ_BYTES = 64 * 1024 };

static const char protocol_version[] = "2025-06-18";

struct mcp {
	struct mcp_leases leases;
	struct buf in;
	bool initialized, skips; /* skips: the rest of a line that was too long */
};

struct mcp_method {
	const char *name;
	void (*handle)(struct mcp *mcp, const struct mcp_message *message);
};

/* ---- methods ---- */

static void on_initialize(struct mcp *mcp, const struct mcp_message *message)
{
	const json_t *client = json_object_get(message->params, "clientInfo");
	const char *name = json_string_value(json_object_get(client, "name"));

	if (mcp->initialized) {
		mcp_refuse(message->id, MCP_BAD_REQUEST, "initialized already");
		return;
	}
	if (!json_is_string(json_object_get(message->params, "protocolVersion"))) {
		mcp_refuse(message->id, MCP_BAD_PARAMS, "`protocolVersion` is missing");
		return;
	}

	mcp->initialized = true;
	mcp_leases_name(&mcp->leases, name ? name : "");
	mcp_answer(message->id,
		   json_pack("{s:s, s:{s:{}, s:{}}, s:{s:s, s:s, s:s}, s:s}", "protocolVersion",
			     protocol_version, "capabilities", "tools", "logging", "serverInfo",
			     "name", "baton", "title", "Baton GPU lease broker", "version",
			     BATON_VERSION, "instructions", mcp_words_instructions));
}

static void on_ping(struct mcp *mcp, const struct mcp_message *message)
{
	(void)mcp;
	mcp_answer(message->id, json_object());
}

static void on_tools_list(struct mcp *mcp, const struct mcp_message *message)
{
	(void)mcp;
	if (json_object_get(message->params, "cursor"))
		mcp_refuse(message->id, MCP_BAD_PARAMS, "there is one page: no cursor");
	else
		mcp_answer(message->id, mcp_tools_list());
}

static void on_tools_call(struct mcp *mcp, const struct mcp_message *message)
{
	const char *name = json_string_value(json_object_get(message->params, "name"));
	const json_t *arguments = json_object_get(message->params, "arguments");
	json_t *token = json_object_get(json_object_get(message->params, "_meta"), "progressToken");
	bool told = json_is_string(token) || json_is_integer(token);
	char words[100];

	if (!name || (arguments && !json_is_object(arguments))) {
		mcp_refuse(message->id, MCP_BAD_PARAMS,
			   name ? "`arguments` is no object" : "`name` is missing");
		return;
	}

	const struct mcp_call call = {
		.id = message->id, .arguments = arguments, .progress = told ? token : NULL};
	if (mcp_tools_call(&mcp->leases, name, &call))
		return;
	snprintf(words, sizeof(words), "Unknown tool: %.60s", name);
	mcp_refuse(message->id, MCP_BAD_PARAMS, words);
}

/* Whatever its level, we say what a holder must know and nothing else. */
static void on_set_level(struct mcp *mcp, const struct mcp_message *message)
{
	(void)mcp;
	if (json_is_string(json_object_get(message->params, "level")))
		mcp_answer(message->id, json_object());
	else
		mcp_refuse(message->id, MCP_BAD_PARAMS, "`level` is missing");
}

static void on_cancelled(struct mcp *mcp, const struct mcp_message *message)
{
	const json_t *call = json_object_get(message->params, "requestId");
	if (call)
		mcp_leases_cancel(&mcp->leases, call);
}

static const struct mcp_method requests[] = {
	{"initialize", on_initialize},      {"ping", on_ping},
	{"tools/list", on_tools_list},      {"tools/call", on_tools_call},
	{"logging/setLevel", on_set_level},
};
static const struct mcp_method notifications[] = {{"notifications/cancelled", on_cancelled}};

static const struct mcp_method *find_method(const struct mcp_method *methods, size_t count,
					    const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(methods[i].name, name) == 0)
			return &methods[i];
	return NULL;
}

static void take_request(struct mcp *mcp, const struct mcp_message *message)
{
	const struct mcp_method *method =
		find_method(requests, sizeof(requests) / sizeof(*requests), message->method);
	bool early = !mcp->initialized && method && method->handle != on_initialize &&
		     method->handle != on_ping;
	char words[100];

	if (early) {
		mcp_refuse(message->id, MCP_BAD_REQUEST, "initialize comes first");
	} else if (method) {
		method->handle(mcp, message);
	} else {
		snprintf(words, sizeof(words), "Unknown method: %.60s", message->method);
		mcp_refuse(message->id, MCP_NO_METHOD, words);
	}
}

static void take_line(struct mcp *mcp, const char *line, size_t length)
{
	struct mcp_message message;
	const char *problem;

	int code = mcp_message_read(line, length, &message, &problem);
	if (code != 0 && (message.kind == MCP_REQUEST || !message.method)) {
		mcp_refuse(message.id, code, problem);
	} else if (code == 0 && message.kind == MCP_REQUEST) {
		take_request(mcp, &message);
	} else if (code == 0 && message.kind == MCP_NOTIFICATION) {
		const struct mcp_method *method =
			find_method(notifications, sizeof(notifications) / sizeof(*notifications),
				    message.method);
		if (method)
			method->handle(mcp, &message);
	}
	mcp_message_finish(&message);
}

/* ---- the loop ---- */

static void refuse_long_line(void)
{
	mcp_refuse(NULL, MCP_BAD_JSON, "a message is longer than 1 MiB");
}

static void take_lines(struct mcp *mcp)
{
	const char *end;

	while ((end = memchr(buf_data(&mcp->in), '\n', mcp->in.length))) {
		size_t length = (size_t)(end - buf_data(&mcp->in));
		if (!mcp->skips && length > LINE_BYTES_MAX)
			refuse_long_line();
		else if (!mcp->skips && length > 0)
			take_line(mcp, buf_data(&mcp->in), length);
		mcp->skips = false;
		buf_consume(&mcp->in, length + 1);
	}

	if (mcp->in.length <= LINE_BYTES_MAX)
		return;
	if (!mcp->skips)
		refuse_long_line();
	mcp->skips = true;
	buf_clear(&mcp->in, READ_BYTES);
}

/* False: the client is gone. */
static bool read_input(struct mcp *mcp)
{
	char *tail;

	if (buf_reserve(&mcp->in, READ_BYTES, &tail) < 0)
		return false;
	ssize_t got = read(STDIN_FILENO, tail, READ_BYTES);
	if (got < 0)
		return errno == EINTR || errno == EAGAIN;
	if (got == 0)
		return false;
	buf_extend(&mcp->in, (size_t)got);
	take_lines(mcp);
	return !ferror(stdout);
}

/* The broker's SIGTERM comes with a revoke, which is dealt with in its time. */
static bool told_to_end(int signal_fd)
{
	struct signalfd_siginfo info;
	bool ends = false;

	while (read(signal_fd, &info, sizeof(info)) == sizeof(info))
		ends |= !run_sender_is_broker(&info);
	return ends;
}

static int catch_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void serve_client(struct mcp *mcp, int signal_fd)
{
	for (;;) {
		struct pollfd fds[] = {
			{.fd = STDIN_FILENO, .events = POLLIN},
			{.fd = signal_fd, .events = POLLIN},
			{.fd = mcp_leases_fd(&mcp->leases), .events = POLLIN},
		};

		if (poll(fds, 3, mcp_leases_wait_ms(&mcp->leases)) < 0 && errno != EINTR)
			return;
		mcp_leases_dispatch(&mcp->leases);
		if (fds[1].revents && told_to_end(signal_fd))
			return;
		if (fds[0].revents && !read_input(mcp))
			return;
	}
}

static int run_mcp(const struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct mcp mcp = {0};
	int rc = cli_parse(cli, command, &argc, argv, NULL);
	if (rc >= 0)
		return rc;

	int signal_fd = catch_signals();
	if (signal_fd < 0)
		return cli_fail(command, EX_OSERR, "no signals: %s", strerror(errno));

	mcp_leases_init(&mcp.leases);
	serve_client(&mcp, signal_fd);
	mcp_leases_finish(&mcp.leases);
	buf_finish(&mcp.in);
	close(signal_fd);
	return 0;
}

const struct command command_mcp = {
	.name = "mcp",
	.summary = "Serve agents: GPU leases as tools of the Model Context Protocol.",
	.usage = "",
	.details =
		"Started by the agent's program, which speaks to it on standard input and output. "
		"Leases end with that connection.",
	.arguments = ARGUMENTS_NONE,
	.run = run_mcp,
};
