/* routes_pages: the routes of pages and of the files that they are made of. */
#include "server/routes.h"
#include "server/server.h"

void route_page(struct server *server, const struct request_context *context)
{
	pages_answer(&server->pages, context);
}

void route_file(struct server *server, const struct request_context *context)
{
	static_files_answer(&server->pages, context, context->request->path, "");
}
