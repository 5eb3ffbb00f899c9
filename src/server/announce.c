/* announce: see announce.h. Says no secret, but where it is. Called by serve.c. */
#include "server/announce.h"
#include "config/paths.h"
#include "server/access/access_setup.h"
#include "server/active_config.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void announce_checked(const struct active_config *active)
{
	const char *config = active->paths.config;
	printf("baton serve: %s%s\n", config[0] ? config : "no configuration file",
	       config[0] ? " is good" : "; the defaults are good");
}

void announce_ready(const struct active_config *active, const struct access_setup *access,
		    const char *home)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (poll(&out, 1, 0) == 0)
		return; /* nobody reads: that must not keep us from serving */
	bool pretty = isatty(STDERR_FILENO) && !getenv("NO_COLOR");
	const char *bold = pretty ? "\033[1m" : "", *plain = pretty ? "\033[0m" : "";
	fprintf(stderr, "%sbaton %s listens on", bold, BATON_VERSION);
	for (size_t i = 0; i < access->policy.host_count; i++)
		if (strncmp(access->policy.hosts[i], "localhost:", 10) != 0)
			fprintf(stderr, " http://%s", access->policy.hosts[i]);

	fprintf(stderr, " and %s%s\n", active->settings.socket_path, plain);
	for (uint32_t i = 0; i < active->settings.core.gpu_count; i++) {
		const struct gpu_config *gpu = &active->settings.core.gpus[i];
		fprintf(stderr, "  GPU %s: ", gpu->name);
		if (gpu->vram_known)
			fprintf(stderr, "%llu MiB",
				(unsigned long long)gpu->vram_bytes_total >> 20);
		else
			fprintf(stderr, "VRAM unknown");
		fprintf(stderr, ", %u slot%s\n", gpu->slots, gpu->slots == 1 ? "" : "s");
	}

	if (active->settings.core.observe)
		fprintf(stderr, "%s  observe mode: nothing is enforced and nobody is protected%s\n",
			bold, plain);
	fprintf(stderr,
		"  state in %s\n"
		"  try: baton status, or in a browser: baton open\n"
		"  or:  curl -N -H \"Authorization: Bearer ",
		active->paths.state_dir);
	if (access_setup_bridge_token(access))
		fprintf(stderr, "$BRIDGE_TOKEN");
	else
		fprintf(stderr, "$(cat %s/token)", active->paths.state_dir);

	fprintf(stderr,
		"\" -H 'Content-Type: application/json' -H 'Accept: text/event-stream' "
		"-d '{\"id\":\"me\"}' %s/v1/gpu/lock\n",
		home);
}
