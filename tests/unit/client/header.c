/* Goal: baton.h compiles alone as C99 and as C++, and a program links with nothing but libbaton. */
#include <baton/baton.h>

static void on_granted(struct baton_claim *claim, const struct baton_lease *lease, void *ctx)
{
	(void)claim;
	*(uint64_t *)ctx = baton_lease_fence(lease);
}

int main(void)
{
	struct baton *baton;
	struct baton_options options;
	struct baton_request request;
	struct baton_claim_handlers handlers;
	uint64_t fence = 0;
	baton_options_init(&options);
	baton_request_init(&request);
	baton_claim_handlers_init(&handlers);
	handlers.granted = on_granted;
	request.handlers = &handlers;
	request.ctx = &fence;
	options.socket_path = "/nowhere/baton.sock";
	if (request.slots != 1 || request.gpus != 1 || request.timeout_ms != BATON_TIMEOUT_DEFAULT)
		return 1;
	if (baton_connect(&options, &baton) != BATON_E_UNREACHABLE || baton != NULL)
		return 2;
	return strcmp(baton_error_name(BATON_E_UNREACHABLE), "unreachable") == 0 && fence == 0 ? 0
											       : 3;
}
