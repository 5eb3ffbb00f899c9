/* state_rows: the fields of all that the core keeps, for its export and import. What is missing
 * there is rebuilt from the rest: pointers, tables, counts of a session's claims. */
#pragma once
#include "core/state.h"

/* In this order: a mark, one core, then as many of the others as there are, a checksum. */
enum section {
	SECTION_CORE = 1,
	SECTION_PLACE,
	SECTION_PRINCIPAL, /* idle ones in their order, others by name */
	SECTION_SESSION,   /* by id */
	SECTION_CLAIM,     /* by id */
	SECTION_DETAIL,    /* of some of these, by id */
};
static const char export_mark[5] = "BTNC\1"; /* the last: the version of all but the rows */

struct kept_place {
	uint32_t slot; /* in the ring */
	struct lost_waiter place;
};

/* How the work of a claim that drains ended. */
struct kept_detail {
	uint64_t claim;
	struct claim_detail detail;
};

extern const struct field_table config_fields, core_fields, kept_place_fields, principal_fields,
	session_fields, claim_fields, kept_detail_fields;
