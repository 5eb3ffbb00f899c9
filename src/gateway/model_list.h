/* model_list: the models that can be asked for, as clients list them. */
#pragma once
#include <stdint.h>

#include "gateway/api.h"

struct gateway;
struct gateway_client;
/* GET /v1/models and what is like it: the list in that API's shape, `id` NULL, or one model. */
void gateway_models(struct gateway *gateway, uint64_t conn, enum api_wire wire, const char *id,
		    const struct gateway_client *client);
