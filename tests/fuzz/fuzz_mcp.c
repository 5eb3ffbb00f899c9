/* Goal: no line crashes the reader of `baton mcp`, and what it takes is a message: an object with a
 * method or an answer, an id that can be answered, parameters that are an object. Method:
 * libFuzzer, or the corpus as a plain test. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "cli/mcp/mcp_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mcp_message message;
	const char *problem = NULL;

	int code = mcp_message_read((const char *)data, size, &message, &problem);
	if (code == 0) {
		assert(json_is_object(message.root));
		assert((message.kind == MCP_ANSWER) == (message.method == NULL));
		assert((message.kind == MCP_NOTIFICATION) == (message.id == NULL));
		assert(!message.params || message.kind == MCP_ANSWER ||
		       json_is_object(message.params));
	} else {
		assert(code <= MCP_BAD_REQUEST && code >= MCP_BAD_JSON);
		assert(problem && *problem);
	}

	assert(!message.id || json_is_string(message.id) || json_is_integer(message.id));
	mcp_message_finish(&message);
	assert(!message.root);
	return 0;
}
