/* config_route: reading the configuration again over HTTP. */
#pragma once

struct reload;
struct request_context;

void route_reload(struct reload *reload, const struct request_context *context);
