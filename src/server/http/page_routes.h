/* page_routes: the addresses of pages and of the files that they are made of. */
#pragma once

struct pages;
struct request_context;

void route_page(struct pages *pages, const struct request_context *context);
void route_file(struct pages *pages, const struct request_context *context);
