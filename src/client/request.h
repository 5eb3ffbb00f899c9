/* request: takes copies of what a caller passed in, whatever version of the header it was built
 * with. */
#pragma once

struct baton;
struct baton_claim_handlers;
struct baton_options;
struct baton_request;

/* *ret_problem: for BATON_E_INVALID, which field is wrong and why. */
int client_request_copy(const struct baton_request *request, struct baton_request *ret_request,
			struct baton_claim_handlers *ret_handlers, const char **ret_problem);
void client_request_finish(struct baton_request *request);
/* Sets an unused request id, so that the broker takes it as a new claim. */
int client_request_id_renew(struct baton_request *request);
int client_options_copy(const struct baton_options *options, struct baton *baton);
