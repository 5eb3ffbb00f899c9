/* route_table: the one table of routes: id, method, path, right, flags (see route.h), the part of
 * server/http/router.h that its handler works on, the handler, and what it does. A new route is a
 * row here and its handler, declared beside its part; protocol/routes.json is compared with the
 * table.
 *
 * In a path `{lease}` or `{site}` stands for one number, `{path}` at its end for anything but
 * nothing. */
#pragma once

#define ROUTE_TABLE(X)                                                                             \
	X(ROUTE_DASHBOARD, "GET", "/", ACCESS_NONE, ROUTE_NAVIGABLE, pages, route_page,            \
	  "the dashboard")                                                                         \
	X(ROUTE_CONSOLE, "GET", "/console", ACCESS_NONE, ROUTE_NAVIGABLE, pages, route_page,       \
	  "Root Console")                                                                          \
	X(ROUTE_MIC, "GET", "/mic", ACCESS_NONE, ROUTE_NAVIGABLE, pages, route_page, "Root Mic")   \
	X(ROUTE_DREAMER, "GET", "/dreamer", ACCESS_NONE, ROUTE_NAVIGABLE, pages, route_page,       \
	  "Root Dreamer")                                                                          \
	X(ROUTE_MODELS_PAGE, "GET", "/models", ACCESS_NONE, ROUTE_NAVIGABLE, pages, route_page,    \
	  "models of the gateway, requests, what switches cost")                                   \
	X(ROUTE_LOGS_PAGE, "GET", "/logs", ACCESS_NONE, ROUTE_NAVIGABLE | ROUTE_HTML, pages,       \
	  route_page, "the log viewer, for clients that accept `text/html`")                       \
	X(ROUTE_PAGES_FILE, "GET", "/pages/{path}", ACCESS_NONE, ROUTE_PATTERN, pages, route_file, \
	  "the parts of each page")                                                                \
	X(ROUTE_UI_FILE, "GET", "/ui/{path}", ACCESS_NONE, ROUTE_PATTERN, pages, route_file,       \
	  "styles and parts that pages share")                                                     \
	X(ROUTE_INFERENCE_FILE, "GET", "/inference/{path}", ACCESS_NONE, ROUTE_PATTERN, pages,     \
	  route_file, "models in Workers, for pages")                                              \
	X(ROUTE_STORAGE_FILE, "GET", "/storage/{path}", ACCESS_NONE, ROUTE_PATTERN, pages,         \
	  route_file, "what the pages keep in the browser")                                        \
	X(ROUTE_SDK_FILE, "GET", "/sdk/{path}", ACCESS_NONE, ROUTE_OPEN | ROUTE_PATTERN, pages,    \
	  route_file, "the SDK, for any site")                                                     \
	X(ROUTE_MODULES_FILE, "GET", "/modules/{path}", ACCESS_NONE, ROUTE_PATTERN, pages,         \
	  route_file, "the compatible kernel, `sovereign.js`")                                     \
	X(ROUTE_VENDOR_FILE, "GET", "/vendor/{path}", ACCESS_NONE, ROUTE_PATTERN, pages,           \
	  route_file, "libraries that the pages use")                                              \
	X(ROUTE_MODELS_FILE, "GET", "/models/{path}", ACCESS_NONE, ROUTE_PATTERN, pages,           \
	  route_file, "models that the pages load")                                                \
	X(ROUTE_OPENAPI, "GET", "/openapi.json", ACCESS_NONE, 0, pages, route_file,                \
	  "these routes as OpenAPI 3.1")                                                           \
	X(ROUTE_LOCK, "POST", "/v1/gpu/lock", ACCESS_TOKEN, ROUTE_JSON, exchanges, route_lock,     \
	  "claim a GPU; waits for it")                                                             \
	X(ROUTE_UNLOCK, "POST", "/v1/gpu/unlock", ACCESS_TOKEN, ROUTE_JSON | ROUTE_RESERVED,       \
	  exchanges, route_unlock, "release")                                                      \
	X(ROUTE_RENEW, "POST", "/v1/gpu/renew", ACCESS_TOKEN, ROUTE_JSON | ROUTE_RESERVED,         \
	  exchanges, route_renew, "extend the TTL")                                                \
	X(ROUTE_STATUS, "GET", "/v1/gpu/status", ACCESS_TOKEN, ROUTE_RESERVED, monitoring,         \
	  route_status, "who holds, who waits, why and for how long")                              \
	X(ROUTE_RESET, "POST", "/v1/gpu/reset", ACCESS_ADMIN, ROUTE_JSON | ROUTE_RESERVED,         \
	  exchanges, route_admin, "revoke all holders, keep the queue")                            \
	X(ROUTE_FORCE_RELEASE_ALL, "POST", "/v1/gpu/force-release-all", ACCESS_ADMIN,              \
	  ROUTE_JSON | ROUTE_RESERVED, exchanges, route_admin,                                     \
	  "revoke all holders and end all waiters")                                                \
	X(ROUTE_LEASE_YIELD, "POST", "/v1/gpu/leases/{lease}/yield", ACCESS_ADMIN,                 \
	  ROUTE_JSON | ROUTE_RESERVED | ROUTE_PATTERN, exchanges, route_admin,                     \
	  "ask one holder to give way")                                                            \
	X(ROUTE_LEASE_REVOKE, "POST", "/v1/gpu/leases/{lease}/revoke", ACCESS_ADMIN,               \
	  ROUTE_JSON | ROUTE_RESERVED | ROUTE_PATTERN, exchanges, route_admin, "take one lease")   \
	X(ROUTE_CLAIM_CANCEL, "POST", "/v1/gpu/claims/{lease}/cancel", ACCESS_ADMIN,               \
	  ROUTE_JSON | ROUTE_RESERVED | ROUTE_PATTERN, exchanges, route_admin,                     \
	  "take one waiter out of the queue")                                                      \
	X(ROUTE_PAUSE, "POST", "/v1/gpu/pause", ACCESS_ADMIN, ROUTE_JSON | ROUTE_RESERVED,         \
	  exchanges, route_admin, "grant nothing new")                                             \
	X(ROUTE_RESUME, "POST", "/v1/gpu/resume", ACCESS_ADMIN, ROUTE_JSON | ROUTE_RESERVED,       \
	  exchanges, route_admin, "grant again")                                                   \
	X(ROUTE_HISTORY, "GET", "/v1/gpu/history", ACCESS_TOKEN, 0, monitoring, route_history,     \
	  "ended claims, and operators' actions")                                                  \
	X(ROUTE_EVENTS, "GET", "/v1/gpu/events", ACCESS_TOKEN, 0, monitoring, route_events,        \
	  "every change as Server-Sent Events")                                                    \
	X(ROUTE_SESSION, "GET", "/v1/gpu/session", ACCESS_NONE, 0, sessions,                       \
	  greeting_open_websocket, "WebSocket session; `hello` has the token")                     \
	X(ROUTE_SESSION_ALIVE, "POST", "/v1/gpu/session/alive", ACCESS_NONE,                       \
	  ROUTE_JSON | ROUTE_RESERVED, exchanges, route_session_alive,                             \
	  "a sign of life where its WebSocket cannot give one")                                    \
	X(ROUTE_HEALTH, "GET", "/health", ACCESS_NONE, ROUTE_RESERVED, monitoring, route_health,   \
	  "is it up")                                                                              \
	X(ROUTE_METRICS, "GET", "/metrics", ACCESS_TOKEN, ROUTE_RESERVED, monitoring,              \
	  route_metrics, "Prometheus text")                                                        \
	X(ROUTE_LOGS, "GET", "/logs", ACCESS_TOKEN, ROUTE_RESERVED, monitoring, route_logs,        \
	  "the newest log lines, for all other clients")                                           \
	X(ROUTE_LOGS_CLEAR, "POST", "/logs/clear", ACCESS_ADMIN, ROUTE_JSON | ROUTE_RESERVED,      \
	  monitoring, route_logs_clear, "clear them")                                              \
	X(ROUTE_AUDIT_LOGS, "GET", "/audit/server-logs", ACCESS_TOKEN, ROUTE_RESERVED, monitoring, \
	  route_logs, "the same as `/logs`")                                                       \
	X(ROUTE_HOT_RELOAD, "POST", "/v1/hot-reload", ACCESS_ADMIN, ROUTE_JSON | ROUTE_RESERVED,   \
	  config, route_reload, "reload the configuration")                                        \
	X(ROUTE_CHAT_COMPLETIONS, "POST", "/v1/chat/completions", ACCESS_TOKEN, ROUTE_STREAMED,    \
	  inference, inference_request, "chat (OpenAI)")                                           \
	X(ROUTE_COMPLETIONS, "POST", "/v1/completions", ACCESS_TOKEN, ROUTE_STREAMED, inference,   \
	  inference_request, "text (OpenAI)")                                                      \
	X(ROUTE_RESPONSES, "POST", "/v1/responses", ACCESS_TOKEN, ROUTE_STREAMED, inference,       \
	  inference_request, "responses (OpenAI)")                                                 \
	X(ROUTE_RESPONSES_COMPACT, "POST", "/v1/responses/compact", ACCESS_TOKEN, ROUTE_STREAMED,  \
	  inference, inference_request, "what was said, made shorter (OpenAI)")                    \
	X(ROUTE_RESPONSE, "GET", "/v1/responses/{path}", ACCESS_TOKEN, ROUTE_PATTERN, inference,   \
	  inference_response, "a stored response, or its `input_items`, of who asked for it")      \
	X(ROUTE_RESPONSE_DELETE, "DELETE", "/v1/responses/{path}", ACCESS_TOKEN, ROUTE_PATTERN,    \
	  inference, inference_response, "delete it")                                              \
	X(ROUTE_RESPONSE_CANCEL, "POST", "/v1/responses/{path}", ACCESS_TOKEN, ROUTE_PATTERN,      \
	  inference, inference_response, "`ID/cancel`: stop it")                                   \
	X(ROUTE_MESSAGES, "POST", "/v1/messages", ACCESS_TOKEN, ROUTE_STREAMED, inference,         \
	  inference_request, "messages (Anthropic)")                                               \
	X(ROUTE_COUNT_TOKENS, "POST", "/v1/messages/count_tokens", ACCESS_TOKEN, ROUTE_STREAMED,   \
	  inference, inference_request, "how many tokens (Anthropic)")                             \
	X(ROUTE_EMBEDDINGS, "POST", "/v1/embeddings", ACCESS_TOKEN, ROUTE_STREAMED, inference,     \
	  inference_request, "embeddings (OpenAI)")                                                \
	X(ROUTE_RERANK, "POST", "/v1/rerank", ACCESS_TOKEN, ROUTE_STREAMED, inference,             \
	  inference_request, "ranking")                                                            \
	X(ROUTE_TRANSCRIPTIONS, "POST", "/v1/audio/transcriptions", ACCESS_TOKEN, ROUTE_STREAMED,  \
	  inference, inference_request, "speech to text (OpenAI)")                                 \
	X(ROUTE_TRANSLATIONS, "POST", "/v1/audio/translations", ACCESS_TOKEN, ROUTE_STREAMED,      \
	  inference, inference_request, "speech to English text (OpenAI)")                         \
	X(ROUTE_SPEECH, "POST", "/v1/audio/speech", ACCESS_TOKEN, ROUTE_STREAMED, inference,       \
	  inference_request, "text to speech (OpenAI)")                                            \
	X(ROUTE_IMAGE_GENERATIONS, "POST", "/v1/images/generations", ACCESS_TOKEN, ROUTE_STREAMED, \
	  inference, inference_request, "pictures (OpenAI)")                                       \
	X(ROUTE_IMAGE_EDITS, "POST", "/v1/images/edits", ACCESS_TOKEN, ROUTE_STREAMED, inference,  \
	  inference_request, "pictures of pictures (OpenAI)")                                      \
	X(ROUTE_OLLAMA_CHAT, "POST", "/api/chat", ACCESS_TOKEN, ROUTE_STREAMED, inference,         \
	  inference_request, "chat (Ollama)")                                                      \
	X(ROUTE_OLLAMA_GENERATE, "POST", "/api/generate", ACCESS_TOKEN, ROUTE_STREAMED, inference, \
	  inference_request, "text (Ollama)")                                                      \
	X(ROUTE_OLLAMA_EMBED, "POST", "/api/embed", ACCESS_TOKEN, ROUTE_STREAMED, inference,       \
	  inference_request, "embeddings (Ollama)")                                                \
	X(ROUTE_REALTIME, "GET", "/v1/realtime", ACCESS_NONE, 0, inference, inference_no_realtime, \
	  "realtime sessions (OpenAI): not served")                                                \
	X(ROUTE_REALTIME_CALL, "POST", "/v1/realtime", ACCESS_NONE, 0, inference,                  \
	  inference_no_realtime, "the same")                                                       \
	X(ROUTE_MODELS, "GET", "/v1/models", ACCESS_TOKEN, 0, inference, inference_models,         \
	  "models that requests may name")                                                         \
	X(ROUTE_MODEL, "GET", "/v1/models/{path}", ACCESS_TOKEN, ROUTE_PATTERN, inference,         \
	  inference_models, "one of them")                                                         \
	X(ROUTE_OLLAMA_TAGS, "GET", "/api/tags", ACCESS_TOKEN, 0, inference, inference_models,     \
	  "models (Ollama)")                                                                       \
	X(ROUTE_MODEL_STATES, "GET", "/v1/gpu/models", ACCESS_TOKEN, ROUTE_RESERVED, inference,    \
	  inference_status, "the state of each model, requests in progress, what switches cost")   \
	X(ROUTE_WORKERS, "GET", "/v1/workers", ACCESS_NONE, 0, workers, worker_sockets_open,       \
	  "WebSocket of a worker, which answers requests; `hello` has the token")                  \
	X(ROUTE_WS_CHAT, "GET", "/ws/chat", ACCESS_NONE, 0, workers, worker_sockets_open,          \
	  "WebSocket of a tab that answers chats as the predecessor's did")                        \
	X(ROUTE_WS_EMBED, "GET", "/ws/embed", ACCESS_NONE, 0, workers, worker_sockets_open,        \
	  "the same for embeddings")                                                               \
	X(ROUTE_PAIR, "POST", "/v1/pair", ACCESS_NONE, ROUTE_JSON | ROUTE_OPEN, sites, route_pair, \
	  "a page of another origin asks to queue")                                                \
	X(ROUTE_SITES, "GET", "/v1/sites", ACCESS_ADMIN, ROUTE_RESERVED, sites, route_sites,       \
	  "sites that may queue, and those that have asked")                                       \
	X(ROUTE_SITE_ALLOW, "POST", "/v1/sites/{site}/allow", ACCESS_ADMIN,                        \
	  ROUTE_JSON | ROUTE_RESERVED | ROUTE_PATTERN, sites, route_site_act,                      \
	  "allow a site that has asked")                                                           \
	X(ROUTE_SITE_REFUSE, "POST", "/v1/sites/{site}/refuse", ACCESS_ADMIN,                      \
	  ROUTE_JSON | ROUTE_RESERVED | ROUTE_PATTERN, sites, route_site_act,                      \
	  "refuse a site that has asked")                                                          \
	X(ROUTE_SITE_REVOKE, "POST", "/v1/sites/{site}/revoke", ACCESS_ADMIN,                      \
	  ROUTE_JSON | ROUTE_RESERVED | ROUTE_PATTERN, sites, route_site_act, "revoke a site")     \
	X(ROUTE_KEYS, "GET", "/v1/keys", ACCESS_ADMIN, ROUTE_RESERVED, keys, route_keys,           \
	  "created keys")                                                                          \
	X(ROUTE_KEY_NEW, "POST", "/v1/keys", ACCESS_ADMIN, ROUTE_JSON | ROUTE_RESERVED, keys,      \
	  route_key_new, "create a key; it is shown once")                                         \
	X(ROUTE_KEY_REVOKE, "POST", "/v1/keys/revoke", ACCESS_ADMIN, ROUTE_JSON | ROUTE_RESERVED,  \
	  keys, route_key_revoke, "revoke a key, and end what it started")
