/* yaml_depth: see yaml_depth.h. Parses, and keeps nothing. */
#include "yaml/yaml_depth.h"

#include <stdbool.h>
#include <stdlib.h>
#include <yaml.h>

/* What an event adds to the depth. */
static int event_step(yaml_event_type_t type)
{
	if (type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT)
		return 1;
	return type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT ? -1 : 0;
}

size_t yaml_depth_line(const char *text, size_t length)
{
	yaml_parser_t parser;
	yaml_event_t event;
	size_t line = 0;
	int depth = 0;

	if (!yaml_parser_initialize(&parser))
		abort();
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);

	for (bool ended = false; !ended && line == 0 && yaml_parser_parse(&parser, &event);) {
		depth += event_step(event.type);
		ended = event.type == YAML_STREAM_END_EVENT;
		if (depth > YAML_DEPTH_MAX)
			line = event.start_mark.line + 1;
		yaml_event_delete(&event);
	}

	yaml_parser_delete(&parser);
	return line;
}
