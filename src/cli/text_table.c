/* text_table: lines of text for people, fitted to a terminal. It knows no JSON and no terminal
 * library; columns are in table.c. */
#include "cli/text_table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

enum { WRAP_INDENT = 2, COLUMNS_DEFAULT = 80 };

__attribute__((format(printf, 1, 0))) static char *format_text(const char *format, va_list args)
{
	char *text;
	if (vasprintf(&text, format, args) < 0)
		abort();
	return text;
}

static void *grow_array(void *array, size_t *capacity, size_t item_size)
{
	*capacity = *capacity ? 2 * *capacity : 32;
	array = reallocarray(array, *capacity, item_size);
	if (!array)
		abort();
	return array;
}

static void add_line(struct text_table *sheet, char *line)
{
	if (sheet->count == sheet->capacity)
		sheet->lines = grow_array(sheet->lines, &sheet->capacity, sizeof(*sheet->lines));
	sheet->lines[sheet->count++] = line;
}

void text_table_add(struct text_table *sheet, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *text = format_text(format, args);
	va_end(args);
	text_table_add_wrapped(sheet, text, sheet->columns, WRAP_INDENT);
	free(text);
}

void text_table_finish(struct text_table *sheet)
{
	for (size_t i = 0; i < sheet->count; i++)
		free(sheet->lines[i]);
	free(sheet->lines);
	*sheet = (struct text_table){0};
}

bool text_table_color(FILE *out)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	if (no_color && *no_color)
		return false;
	return isatty(fileno(out)) && term && strcmp(term, "dumb") != 0;
}

static const char *ansi_code(char style)
{
	static const char *const codes[STYLE_END] = {
		[STYLE_PLAIN] = "\033[0m", [STYLE_BOLD] = "\033[1m",  [STYLE_DIM] = "\033[2m",
		[STYLE_GOOD] = "\033[32m", [STYLE_WARN] = "\033[33m", [STYLE_BAD] = "\033[31m",
		[STYLE_MARK] = "\033[7m",
	};
	return codes[(size_t)style];
}

static bool is_style(char c)
{
	return c > 0 && c < STYLE_END;
}

size_t text_table_columns(FILE *out)
{
	struct winsize size;
	if (!isatty(fileno(out)))
		return 0;
	if (ioctl(fileno(out), TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return COLUMNS_DEFAULT;
	return size.ws_col;
}

static void print_line(const char *line, FILE *out, bool color)
{
	bool styled = false;
	size_t blanks = 0; /* trailing ones are not printed */

	for (const char *c = line; *c; c++) {
		if (*c == ' ') {
			blanks++;
		} else if (!is_style(*c)) {
			/* Names come from other programs; none may control the terminal. */
			bool control = (unsigned char)*c < 0x20 || *c == 0x7f;
			fprintf(out, "%*s", (int)blanks, "");
			fputc(control ? '?' : *c, out);
			blanks = 0;
		} else if (color) {
			fputs(ansi_code(*c),
			      out); /* before pending blanks, where no style is visible */
			styled = *c != STYLE_PLAIN;
		}
	}

	fputs(styled ? "\033[0m\n" : "\n", out);
}

void text_table_print(const struct text_table *sheet, FILE *out, bool color)
{
	for (size_t i = 0; i < sheet->count; i++)
		print_line(sheet->lines[i], out, color);
	fflush(out);
}

/* Columns and *ret_bytes of the first character. */
static size_t first_width(const char *text, size_t *ret_bytes)
{
	mbstate_t state = {0};
	wchar_t wide;
	*ret_bytes = 1;

	if (is_style(*text))
		return 0;

	size_t bytes = mbrtowc(&wide, text, strlen(text), &state);
	if (bytes == 0 || bytes >= (size_t)-2) { /* not of this locale; UTF-8 stays in one piece */
		while (((unsigned char)text[*ret_bytes] & 0xc0) == 0x80)
			++*ret_bytes;
		return 1;
	}

	*ret_bytes = bytes;
	int columns = wcwidth(wide);
	return columns < 0 ? 1 : (size_t)columns;
}

size_t text_table_width(const char *text)
{
	size_t width = 0, bytes;
	for (; *text; text += bytes)
		width += first_width(text, &bytes);
	return width;
}

/* Bytes of the longest head that fits into `columns`. */
static size_t fitting_bytes(const char *text, size_t columns)
{
	size_t used = 0, width = 0, bytes;
	while (text[used]) {
		width += first_width(text + used, &bytes);
		if (width > columns)
			break;
		used += bytes;
	}
	return used;
}

/* The same, and at least one character. */
static size_t head_bytes(const char *text, size_t columns)
{
	size_t bytes, used = fitting_bytes(text, columns);
	if (used == 0 && *text) {
		(void)first_width(text, &bytes);
		used = bytes;
	}
	return used;
}

char *text_table_cut(const char *text, size_t columns)
{
	const char *more = MB_CUR_MAX > 1 ? "\u2026" : "~";
	char *cut;

	if (columns == 0 || text_table_width(text) <= columns)
		cut = strdup(text);
	else if (asprintf(&cut, "%.*s%s", (int)fitting_bytes(text, columns - 1), text, more) < 0)
		cut = NULL;
	if (!cut)
		abort();
	return cut;
}

/* Where to break a line that is too long: at the last blank after the first `from` columns. */
static size_t break_at(const char *text, size_t columns, size_t from)
{
	size_t most = head_bytes(text, columns), least = from ? head_bytes(text, from) : 0;
	if (!text[most])
		return most;
	for (size_t at = most; at > least; at--)
		if (text[at] == ' ')
			return at;
	return most;
}

void text_table_add_wrapped(struct text_table *sheet, const char *text, size_t columns,
			    size_t indent)
{
	char style = STYLE_PLAIN;
	size_t from = indent;
	if (columns <= indent)
		columns = 0;

	do {
		size_t bytes =
			columns ? break_at(text, columns - (indent - from), from) : strlen(text);
		char *line;
		const char styled[] = {style, '\0'};

		if (asprintf(&line, "%*s%s%.*s", (int)(indent - from), "",
			     style == STYLE_PLAIN ? "" : styled, (int)bytes, text) < 0)
			abort();
		add_line(sheet, line);

		for (size_t i = 0; i < bytes; i++)
			style = is_style(text[i]) ? text[i] : style;
		text += bytes;
		text += strspn(text, " ");
		from = 0;
	} while (*text && !(is_style(*text) && !text[1]));
}
