/* config_route: reading the configuration again over HTTP. */
#pragma once
#include "server/reload.h"
#include "server/respond.h"

void route_reload(struct reload *reload, const struct request_context *context);
