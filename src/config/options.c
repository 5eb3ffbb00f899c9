/* options: getopt_long by a const table, which also writes the help. Opens nothing. Called by
 * serve.c. */
#include "config/options.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"

enum option_id {
	OPTION_LISTEN = 256,
	OPTION_SOCKET,
	OPTION_STATE,
	OPTION_CONFIG,
	OPTION_FAKE_GPU,
	OPTION_LOG_LEVEL,
	OPTION_COMPAT,
	OPTION_OBSERVE,
	OPTION_WEB,
	OPTION_MODELS,
	OPTION_DEV,
	OPTION_ALLOW_REMOTE,
	OPTION_READY_FD,
	OPTION_CHECK,
	OPTION_HELP,
	OPTION_NVML,
	OPTION_SYSFS,
	OPTION_PROCFS,
};

static const struct option_row {
	const char *name, *argument; /* NULL: takes none */
	enum option_id id;
	const char *help;
} rows[] = {
	{"listen", "ADDR:PORT", OPTION_LISTEN,
	 "HTTP and WebSocket; repeatable (127.0.0.1:8470); port 0 asks for any"},
	{"socket", "PATH", OPTION_SOCKET,
	 "Unix socket of sessions ($XDG_RUNTIME_DIR/baton/baton.sock); http.sock (x.sock: "
	 "x.http.sock) lies beside it"},
	{"state", "DIR", OPTION_STATE, "journal and token ($XDG_STATE_HOME/baton)"},
	{"config", "FILE", OPTION_CONFIG,
	 "YAML ($XDG_CONFIG_HOME/baton/config.yaml if it exists); read again on SIGHUP"},
	{"fake-gpu", "NAME:VRAM[:SLOTS]", OPTION_FAKE_GPU,
	 "a GPU by declaration, VRAM as 24G or in MiB; repeatable; replaces those of the file"},
	{"log-level", "LEVEL", OPTION_LOG_LEVEL, "error, warn, info or debug (info)"},
	{"compat", "bridge", OPTION_COMPAT,
	 "stand in for the predecessor: 127.0.0.1:$BRIDGE_PORT (8080), $BRIDGE_TOKEN"},
	{"observe", NULL, OPTION_OBSERVE,
	 "enforce nothing: grant everything at once and record it for baton replay; where the file "
	 "names a mode, that counts"},
	{"web", "DIR", OPTION_WEB,
	 "large libraries and demo models of the pages (beside the executable, else as installed)"},
	{"models", "DIR", OPTION_MODELS, "your own models: DIR/x/y is /models/x/y for the pages"},
	{"dev", NULL, OPTION_DEV, "serve the pages from ./web and tell open ones what changed"},
	{"allow-remote", NULL, OPTION_ALLOW_REMOTE,
	 "let --listen name an address that is not loopback; put TLS in front of it"},
	{"ready-fd", "N", OPTION_READY_FD,
	 "write a line to this descriptor once it listens, then close it"},
	{"check", NULL, OPTION_CHECK,
	 "only check options and configuration: exit 0, or 78 with file:line"},
	{"help", NULL, OPTION_HELP, "this text"},
	{"nvml", "FILE", OPTION_NVML, NULL},
	{"sysfs", "DIR", OPTION_SYSFS, NULL},
	{"procfs", "DIR", OPTION_PROCFS, NULL},
};

enum {
	ROW_COUNT = sizeof(rows) / sizeof(*rows),
	HIDDEN_COUNT = 3, /* at the end: for tests, in no help */
	SHOWN_COUNT = ROW_COUNT - HIDDEN_COUNT,
};

static int refuse_option(char *detail, size_t size, const char *what, const char *value)
{
	snprintf(detail, size, "%s '%.100s'", what, value);
	return -ERR_BAD_FIELD;
}

static bool take_descriptor(const char *text, int *ret_fd)
{
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 5 || text[digits])
		return false;
	*ret_fd = atoi(text);
	return fcntl(*ret_fd, F_GETFD) >= 0;
}

static bool take_level(const char *name, int *ret_level)
{
	enum log_level level;

	if (!log_level_from_name(name, &level))
		return false;
	*ret_level = (int)level;
	return true;
}

static int take_option(struct options *o, int id, const char *value, char *detail, size_t size)
{
	switch (id) {
	case OPTION_LISTEN:
		if (o->listen_count == SETTINGS_LISTEN_COUNT)
			return refuse_option(detail, size, "too many addresses at", value);
		o->listen[o->listen_count++] = value;
		break;
	case OPTION_FAKE_GPU:
		if (o->gpu_count == LIMIT_GPUS)
			return refuse_option(detail, size, "too many GPUs at", value);
		o->gpus[o->gpu_count++] = value;
		break;
	case OPTION_SOCKET:
		o->socket_path = value;
		break;
	case OPTION_STATE:
		o->state_dir = value;
		break;
	case OPTION_CONFIG:
		o->config_path = value;
		break;
	case OPTION_LOG_LEVEL:
		if (take_level(value, &o->log_level))
			return 0;
		return refuse_option(detail, size, "--log-level: unknown level", value);
	case OPTION_COMPAT:
		o->bridge = strcmp(value, "bridge") == 0;
		return o->bridge ? 0 : refuse_option(detail, size, "--compat: unknown mode", value);
	case OPTION_OBSERVE:
		o->observe = true;
		break;
	case OPTION_WEB:
		o->web_dir = value;
		break;
	case OPTION_MODELS:
		o->models_dir = value;
		break;
	case OPTION_NVML:
		o->nvml = value;
		break;
	case OPTION_SYSFS:
		o->sysfs = value;
		break;
	case OPTION_PROCFS:
		o->procfs = value;
		break;
	case OPTION_DEV:
		o->dev = true;
		break;
	case OPTION_ALLOW_REMOTE:
		o->allow_remote = true;
		break;
	case OPTION_READY_FD:
		if (take_descriptor(value, &o->ready_fd))
			return 0;
		return refuse_option(detail, size, "--ready-fd: no open descriptor", value);
	case OPTION_CHECK:
		o->check = true;
		break;
	case OPTION_HELP:
		o->help = true;
		break;
	default:
		return -ERR_BAD_FIELD;
	}

	return 0;
}

int options_parse(int argc, char **argv, struct options *ret_options, char *detail,
		  size_t detail_size)
{
	struct options o = {.log_level = -1, .ready_fd = -1};
	struct option longs[ROW_COUNT + 1] = {0};
	int id, rc = 0;

	for (size_t i = 0; i < ROW_COUNT; i++)
		longs[i] = (struct option){rows[i].name,
					   rows[i].argument ? required_argument : no_argument, NULL,
					   (int)rows[i].id};

	optind = 0; /* glibc: start over; the tests parse more than once */
	opterr = 0;
	while (!rc && (id = getopt_long(argc, argv, "+:h", longs, NULL)) != -1) {
		const char *at = optind > 0 && optind <= argc ? argv[optind - 1] : "";
		if (id == '?')
			rc = refuse_option(detail, detail_size, "unknown option", at);
		else if (id == ':')
			rc = refuse_option(detail, detail_size, "a value is missing after", at);
		else if (optarg && strncmp(optarg, "--", 2) == 0)
			rc = refuse_option(detail, detail_size, "a value is missing after",
					   argv[optind - 2]);
		else
			rc = take_option(&o, id == 'h' ? (int)OPTION_HELP : id, optarg, detail,
					 detail_size);
	}

	if (!rc && optind < argc)
		rc = refuse_option(detail, detail_size, "unexpected argument", argv[optind]);
	if (!rc)
		*ret_options = o;
	return rc;
}

void options_help(FILE *out)
{
	fputs("usage: baton serve [OPTION]...\n\n"
	      "Lends GPUs to one program at a time; everybody else has a place in the queue.\n\n",
	      out);
	for (size_t i = 0; i < SHOWN_COUNT; i++) {
		char left[64];
		snprintf(left, sizeof(left), "--%s%s%s", rows[i].name, rows[i].argument ? " " : "",
			 rows[i].argument ? rows[i].argument : "");
		fprintf(out, "  %-32s %s\n", left, rows[i].help);
	}
	fputs("\nSIGHUP reads the configuration again, SIGTERM stops. Try next: baton status, "
	      "baton open\n",
	      out);
}

static int apply_listen(const struct options *options, struct settings *settings, char *detail,
			size_t size)
{
	for (uint32_t i = 0; i < options->listen_count; i++)
		if (!settings_take_address(options->listen[i], settings->listen[i], NULL))
			return refuse_option(
				detail, size,
				"not ADDRESS:PORT with a numeric address or localhost:",
				options->listen[i]);

	if (options->listen_count > 0)
		settings->listen_count = options->listen_count;
	for (uint32_t i = 0; i < settings->listen_count; i++) {
		bool loopback = false;
		(void)settings_take_address(settings->listen[i], NULL, &loopback);
		if (!loopback && !options->allow_remote)
			return refuse_option(
				detail, size,
				"others could reach this address; --allow-remote permits it:",
				settings->listen[i]);
	}

	return 0;
}

int options_apply(const struct options *options, struct settings *settings, char *detail,
		  size_t detail_size)
{
	int rc = apply_listen(options, settings, detail, detail_size);
	if (rc)
		return rc;

	if (options->gpu_count > 0) {
		settings->core.gpu_count = 0;
		settings->gpus_from = GPUS_FAKE;
	}
	for (uint32_t i = 0; i < options->gpu_count && !rc; i++)
		rc = settings_add_gpu(settings, options->gpus[i], detail, detail_size);
	if (rc)
		return -ERR_BAD_FIELD;

	if (options->socket_path) {
		if (strlen(options->socket_path) > SETTINGS_SOCKET_BYTES)
			return refuse_option(detail, detail_size,
					     "--socket: too long:", options->socket_path);
		snprintf(settings->socket_path, sizeof(settings->socket_path), "%s",
			 options->socket_path);
	}

	if (options->models_dir) {
		if (strlen(options->models_dir) > SETTINGS_PATH_BYTES)
			return refuse_option(detail, detail_size,
					     "--models: too long:", options->models_dir);
		snprintf(settings->models_dir, sizeof(settings->models_dir), "%s",
			 options->models_dir);
	}

	if (options->observe && !settings->mode_said)
		settings->core.observe = true;
	if (options->log_level >= 0)
		settings->log_level = options->log_level;
	/* Those of the machine are not known yet. */
	return settings->gpus_from == GPUS_FOUND
		       ? 0
		       : settings_find_browser_gpu(settings, detail, detail_size);
}

bool options_row(size_t i, const char **ret_name, const char **ret_argument, const char **ret_help)
{
	if (i >= SHOWN_COUNT)
		return false;
	*ret_name = rows[i].name;
	*ret_argument = rows[i].argument;
	*ret_help = rows[i].help;
	return true;
}
