/* page_routes: the addresses of pages and of the files that they are made of. */
#pragma once
#include "server/pages/pages.h"

void route_page(struct pages *pages, const struct request_context *context);
void route_file(struct pages *pages, const struct request_context *context);
