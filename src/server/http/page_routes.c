/* page_routes: see page_routes.h. */
#include "server/http/page_routes.h"
#include "net/http.h"
#include "server/pages/pages.h"
#include "server/respond.h"

void route_page(struct pages *pages, const struct request_context *context)
{
	pages_answer(pages, context);
}

void route_file(struct pages *pages, const struct request_context *context)
{
	static_files_answer(pages, context, context->request->path, "");
}
