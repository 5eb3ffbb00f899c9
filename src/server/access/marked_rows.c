/* marked_rows: see marked_rows.h. Called by the tables of keys and of sites. */
#include "server/access/marked_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/access/secret_hash.h"

/* A changed digit of a row would be another limit, or another key. */
static void mark_of_row(const char *row, size_t length, char ret_mark[ROW_MARK_BYTES + 1])
{
	uint8_t hash[SECRET_HASH_BYTES];

	secret_hash(row, length, hash);
	for (int i = 0; i < ROW_MARK_BYTES / 2; i++)
		snprintf(ret_mark + 2 * i, 3, "%02x", hash[i]);
}

size_t marked_row_end(char *row, size_t length, size_t size)
{
	char mark[ROW_MARK_BYTES + 1];

	mark_of_row(row, length, mark);
	return (size_t)snprintf(row + length, size - length, " %s\n", mark);
}

size_t marked_rows_end(char *at, size_t size, unsigned count, const char *noun)
{
	return (size_t)snprintf(at, size, "%u %s marked\n", count, noun);
}

/* Cuts the mark off. */
static bool has_its_mark(char *line)
{
	char mark[ROW_MARK_BYTES + 1];
	char *space = strrchr(line, ' ');

	if (!space)
		return false;
	mark_of_row(line, (size_t)(space - line), mark);
	if (strcmp(space + 1, mark) != 0)
		return false;
	*space = '\0';
	return true;
}

/* A file that was cut short has no last line. False: it is none, or not the last. */
static bool take_last(char *text, const char *noun, uint32_t *ret_count, bool *ret_marked,
		      char **ret_last)
{
	size_t length = strlen(text);
	char form[40], *last;

	if (length == 0 || text[length - 1] != '\n')
		return false;
	text[length - 1] = '\0';
	last = strrchr(text, '\n');
	last = last ? last + 1 : text;

	for (int marked = 0; marked < 2; marked++) {
		*ret_count = (uint32_t)strtoul(last, NULL, 10);
		snprintf(form, sizeof(form), "%" PRIu32 " %s%s", *ret_count, noun,
			 marked ? " marked" : "");
		*ret_marked = marked;
		*ret_last = last;
		if (strcmp(last, form) == 0)
			return true;
	}
	return false;
}

static unsigned lines_of(const char *text)
{
	unsigned count = 1;

	for (; (text = strchr(text, '\n')); text++)
		count++;
	return count;
}

unsigned marked_rows_read(char *text, const char *noun, bool (*take)(void *ctx, const char *row),
			  void *ctx, const char **ret_row)
{
	char *line = text, *last, *after;
	uint32_t count, taken = 0;
	bool marked;

	*ret_row = "";
	if (!take_last(text, noun, &count, &marked, &last))
		return lines_of(text);

	for (; line != last; line = after + 1, taken++) {
		after = strchr(line, '\n');
		*after = '\0';
		if ((!marked || has_its_mark(line)) && take(ctx, line))
			continue;
		*ret_row = line;
		return taken + 1;
	}
	return count == taken ? 0 : taken + 1;
}
