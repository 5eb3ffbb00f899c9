/* site_keeper: see site_keeper.h. Who may ask, and what a site may do, is said elsewhere. */
#include "server/access/site_keeper.h"

#include <stdio.h>

#include "base/log.h"
#include "config/paths.h"
#include "server/access/access_setup.h"

enum { KEEP_EVERY_MS = 3600 * 1000, DETAIL_BYTES = 640 };

static int load_sites(const struct site_keeper *keeper, char *detail, size_t detail_size)
{
	int rc = sites_load(keeper->sites, keeper->paths->state_dir, detail, detail_size);

	keeper->access->policy.site_count = keeper->sites->origin_count;
	return rc;
}

void site_keeper_begin(const struct site_keeper *keeper)
{
	char detail[DETAIL_BYTES];

	sites_init(keeper->sites);
	keeper->access->policy.sites = keeper->sites->origins;
	if (load_sites(keeper, detail, sizeof(detail)))
		log_event(keeper->log, LOG_ERROR, "cannot read the allowed sites",
			  log_str("error", detail));
}

int site_keeper_ready(const struct site_keeper *keeper, char *detail, size_t detail_size)
{
	return keeper->sites->unread ? load_sites(keeper, detail, detail_size) : 0;
}

int site_keeper_save(const struct site_keeper *keeper, char *detail, size_t detail_size)
{
	int rc = sites_save(keeper->sites, keeper->paths->state_dir, detail, detail_size);
	if (rc)
		log_event(keeper->log, LOG_WARN,
			  "cannot keep the allowed sites; a restart knows those of before",
			  log_str("error", detail));
	keeper->access->policy.site_count = keeper->sites->origin_count;
	return rc;
}

void site_keeper_used(const struct site_keeper *keeper, struct site *site, struct wall_ms wall)
{
	char detail[DETAIL_BYTES];

	site->used = wall;
	if (site->used.v - site->kept.v >= KEEP_EVERY_MS)
		(void)site_keeper_save(keeper, detail, sizeof(detail));
}

int site_keeper_allow(const struct site_keeper *keeper, uint64_t id, const uint8_t random[32],
		      struct mono_ms now, struct wall_ms wall,
		      char ret_origin[SITE_ORIGIN_BYTES + 1], char *detail, size_t detail_size)
{
	int rc = site_keeper_ready(keeper, detail, detail_size);
	if (rc)
		return rc;

	struct sites before = *keeper->sites;
	const char *origin = sites_allow(keeper->sites, id, random, now, wall, &rc);
	if (rc)
		return rc;

	snprintf(ret_origin, SITE_ORIGIN_BYTES + 1, "%s", origin);
	rc = site_keeper_save(keeper, detail, detail_size);
	if (rc == 0)
		return 0;

	*keeper->sites = before;
	keeper->access->policy.site_count = before.origin_count;
	return rc;
}
