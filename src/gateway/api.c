/* api: the table itself. */
#include "gateway/api.h"

#include <assert.h>
#include <string.h>

static const struct api_route routes[] = {
	{"/v1/chat/completions", API_OPENAI, API_BODY_JSON, LEASE_CHAT, false, false},
	{"/v1/completions", API_OPENAI, API_BODY_JSON, LEASE_CHAT, false, false},
	{"/v1/responses", API_RESPONSES, API_BODY_JSON, LEASE_CHAT, false, false},
	{"/v1/responses/compact", API_OPENAI, API_BODY_JSON, LEASE_CHAT, false, false},
	{"/v1/messages", API_ANTHROPIC, API_BODY_JSON, LEASE_CHAT, false, false},
	{"/v1/messages/count_tokens", API_ANTHROPIC, API_BODY_JSON, LEASE_CHAT, false, false},
	{"/v1/embeddings", API_OPENAI, API_BODY_JSON, LEASE_NORMAL, false, false},
	{"/v1/rerank", API_OPENAI, API_BODY_JSON, LEASE_NORMAL, false, false},
	{"/v1/audio/transcriptions", API_OPENAI, API_BODY_FORM, LEASE_VOICE, false, false},
	{"/v1/audio/translations", API_OPENAI, API_BODY_FORM, LEASE_VOICE, false, false},
	{"/v1/audio/speech", API_OPENAI, API_BODY_JSON, LEASE_VOICE, false, false},
	{"/v1/images/generations", API_OPENAI, API_BODY_JSON, LEASE_NORMAL, false, true},
	{"/v1/images/edits", API_OPENAI, API_BODY_FORM, LEASE_NORMAL, false, true},
	{"/api/chat", API_OLLAMA, API_BODY_JSON, LEASE_CHAT, true, false},
	{"/api/generate", API_OLLAMA, API_BODY_JSON, LEASE_CHAT, true, false},
	{"/api/embed", API_OLLAMA, API_BODY_JSON, LEASE_NORMAL, false, false},
};

const struct api_route *api_route_of(const char *path)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (!strcmp(routes[i].path, path))
			return &routes[i];
	return NULL;
}

const struct api_route *api_routes(unsigned *ret_count)
{
	*ret_count = sizeof(routes) / sizeof(routes[0]);
	return routes;
}

uint32_t api_route_bit(const struct api_route *route)
{
	static_assert(sizeof(routes) / sizeof(routes[0]) <= 32, "each has a bit");
	return UINT32_C(1) << (route - routes);
}
