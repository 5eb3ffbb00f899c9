/* Goal: no text makes of the kept keys what cannot be: each has a name as keys have, none is there
 * twice, and a file of which a line is none of ours gives no key. Method: libFuzzer, or the corpus
 * as a test. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/access/api_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct api_keys keys;
	char *text = malloc(size + 1);
	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	keys = (struct api_keys){0};
	char name[SETTINGS_KEY_NAME_BYTES + 1];
	unsigned line = api_keys_take(&keys, text, name);
	assert(!name[0] || (line && api_key_name_ok(name)));
	assert(line == 0 || keys.count == 0);
	assert(keys.count <= API_KEYS_MAX);
	for (uint32_t i = 0; i < keys.count; i++) {
		const char *models = keys.v[i].limits.models;
		assert(api_key_name_ok(keys.v[i].name));
		assert(!models[0] || api_key_models_ok(models));
		assert(keys.v[i].limits.classes < 1u << LEASE_CLASS_COUNT);
		assert(api_keys_find(&keys, keys.v[i].name) == &keys.v[i]);
	}
	free(text);
	return 0;
}
