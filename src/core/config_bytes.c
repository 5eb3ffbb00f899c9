/* config_bytes: the configuration as bytes, by the table of its fields. */
#include "base/contracts.h"
#include "base/fields.h"
#include "core/config.h"
#include "core/state_rows.h"

static const struct fields_how as_it_is;

size_t core_config_write(const struct core_config *config, uint8_t *bytes)
{
	PRE(fields_bytes_max(&config_fields) <= CORE_CONFIG_BYTES_MAX);
	return (size_t)(fields_write(&config_fields, config, &as_it_is, bytes) - bytes);
}

bool core_config_read(struct core_config *config, const uint8_t *bytes, size_t size)
{
	return fields_read(&config_fields, config, &as_it_is, bytes, size) &&
	       config->gpu_count <= LIMIT_GPUS;
}
