/* top_ui: keys to choices and requests. It draws nothing and sends nothing. */
#include "cli/top/top_ui.h"

#include <inttypes.h>
#include <ncurses.h>
#include <stdio.h>
#include <string.h>

#include "cli/clean_text.h"
#include "cli/field.h"
#include "cli/top/top_model.h"

enum { KEY_ESCAPE = 27, KEY_RUBOUT = 127, PAGE_ROWS = 10 };

static const int64_t spans_ms[TOP_SPANS] = {60 * 1000, 600 * 1000, 3600 * 1000};

void top_ui_init(struct top_ui *ui, bool utf8)
{
	*ui = (struct top_ui){.utf8 = utf8, .span = 1};
	for (size_t i = 0; i < TOP_SECTION_COUNT; i++)
		ui->lists[i].sort = GRID_DEFAULT_ORDER;
}

int64_t top_ui_span_ms(const struct top_ui *ui)
{
	return spans_ms[ui->span % TOP_SPANS];
}

/* ---- lists ---- */

size_t top_lists_rows(const struct top_lists *lists, enum top_section section)
{
	return section == TOP_TIMELINE ? lists->name_count : lists->grids[section].shown;
}

static uint64_t row_id(const struct top_lists *lists, enum top_section section, size_t at)
{
	const struct grid *grid = &lists->grids[section];
	return section == TOP_TIMELINE ? at + 1 : grid->ids[grid->order[at]];
}

/* The chosen row stays the same claim when others come and go. */
static void keep_choice(const struct top_lists *lists, enum top_section section,
			struct top_list *list)
{
	size_t rows = top_lists_rows(lists, section);
	size_t at =
		section == TOP_TIMELINE ? list->at : grid_find(&lists->grids[section], list->id);
	if (at != SIZE_MAX)
		list->at = at;
	if (list->at >= rows)
		list->at = rows ? rows - 1 : 0;
	list->id = rows ? row_id(lists, section, list->at) : 0;
}

static void move_focus(struct top_ui *ui, const struct top_lists *lists, int step)
{
	for (int i = 0; i < TOP_SECTION_COUNT; i++) {
		ui->focus = (enum top_section)(((int)ui->focus + step + TOP_SECTION_COUNT) %
					       TOP_SECTION_COUNT);
		if (top_lists_rows(lists, ui->focus) > 0)
			return;
	}
}

void top_lists_build(struct top_lists *lists, const struct top_model *model, struct top_ui *ui)
{
	for (enum top_section section = TOP_HOLDERS; section < TOP_TIMELINE; section++) {
		const struct top_list *list = &ui->lists[section];
		sections_fill(model, section, ui->utf8, &lists->grids[section]);
		grid_arrange(&lists->grids[section], list->sort, list->reverse, ui->filter);
	}

	size_t all = timeline_names(&model->timeline, model->now_ms - top_ui_span_ms(ui),
				    lists->names, TIMELINE_NAMES_MAX);
	lists->name_count = 0;
	for (size_t i = 0; i < all; i++)
		if (strcasestr(lists->names[i], ui->filter))
			lists->names[lists->name_count++] = lists->names[i];

	for (enum top_section section = TOP_HOLDERS; section < TOP_SECTION_COUNT; section++)
		keep_choice(lists, section, &ui->lists[section]);
	if (top_lists_rows(lists, ui->focus) == 0)
		move_focus(ui, lists, 1);
}

void top_lists_finish(struct top_lists *lists)
{
	for (size_t i = 0; i < TOP_TIMELINE; i++)
		grid_finish(&lists->grids[i]);
}

/* ---- requests ---- */

static void say_notice(struct top_ui *ui, const char *text)
{
	snprintf(ui->notice, sizeof(ui->notice), "%s", text);
	ui->notice_bad = false;
}

/* Asks first where the request has a question. */
static enum top_key_result begin_request(struct top_ui *ui)
{
	if (!ui->request.question[0])
		return TOP_KEY_SEND;
	ui->mode = TOP_CONFIRM;
	return TOP_KEY_NONE;
}

/* A holder is asked or loses its lease; a waiter leaves the queue. */
static enum top_key_result act_on_choice(struct top_ui *ui, const struct top_model *model,
					 bool revoke)
{
	struct top_request *request = &ui->request;
	const char *raw = "?";
	uint64_t claim = sections_claim(model, ui->focus, ui->lists[ui->focus].id, &raw);
	char name[96];
	clean_text(name, sizeof(name), raw, ui->utf8);

	if (!claim) {
		say_notice(ui, "choose a holder or a waiter first");
		return TOP_KEY_NONE;
	}

	*request = (struct top_request){.path = ""};
	if (ui->focus == TOP_QUEUE) {
		snprintf(request->path, sizeof(request->path), "/v1/gpu/claims/%" PRIu64 "/cancel",
			 claim);
		snprintf(request->question, sizeof(request->question),
			 "Take %s (claim %" PRIu64 ") out of the queue?", name, claim);
		snprintf(request->done, sizeof(request->done),
			 "claim %" PRIu64 " (%s) is out of the queue", claim, name);
		return begin_request(ui);
	}

	snprintf(request->path, sizeof(request->path), "/v1/gpu/leases/%" PRIu64 "/%s", claim,
		 revoke ? "revoke" : "yield");
	if (revoke)
		snprintf(request->question, sizeof(request->question),
			 "Take lease %" PRIu64 " of %s at once?", claim, name);
	snprintf(request->done, sizeof(request->done), "lease %" PRIu64 " (%s) %s", claim, name,
		 revoke ? "is revoked" : "was asked to yield");
	return begin_request(ui);
}

static enum top_key_result pause_or_resume(struct top_ui *ui, const struct top_model *model)
{
	bool paused = field_true(model->status, "paused");
	ui->request = (struct top_request){.path = ""};
	snprintf(ui->request.path, sizeof(ui->request.path), "/v1/gpu/%s",
		 paused ? "resume" : "pause");
	if (!paused)
		snprintf(ui->request.question, sizeof(ui->request.question),
			 "Grant nothing new, on any GPU, until somebody resumes?");
	snprintf(ui->request.done, sizeof(ui->request.done), "%s",
		 paused ? "resumed: grants go on" : "paused: nothing new is granted");
	return begin_request(ui);
}

/* ---- keys of each mode ---- */

static enum top_key_result key_of_question(struct top_ui *ui, int key)
{
	ui->mode = TOP_NORMAL;
	if (key == 'y' || key == 'Y')
		return TOP_KEY_SEND;
	say_notice(ui, "nothing done");
	return TOP_KEY_NONE;
}

static void key_of_filter(struct top_ui *ui, int key)
{
	size_t length = strlen(ui->filter);

	if (key == KEY_ESCAPE) {
		ui->filter[0] = '\0';
		ui->mode = TOP_NORMAL;
	} else if (key == '\n' || key == '\r' || key == KEY_ENTER) {
		ui->mode = TOP_NORMAL;
	} else if (key == KEY_BACKSPACE || key == KEY_RUBOUT || key == '\b') {
		while (length > 0 && ((unsigned char)ui->filter[--length] & 0xc0) == 0x80)
			; /* the whole character */
		ui->filter[length] = '\0';
	} else if (key >= ' ' && key < 256 && length + 1 < sizeof(ui->filter)) {
		ui->filter[length] = (char)key;
		ui->filter[length + 1] = '\0';
	}
}

static void key_of_columns(struct top_ui *ui, int key)
{
	size_t count;
	(void)sections_columns(ui->focus, &count);

	switch (key) {
	case KEY_UP:
	case 'k':
		ui->menu_at -= ui->menu_at > 0;
		break;
	case KEY_DOWN:
	case 'j':
		ui->menu_at += ui->menu_at + 1 < count;
		break;
	case ' ':
	case 'x':
		ui->lists[ui->focus].hidden ^= 1u << ui->menu_at;
		break;
	case 'c':
	case 'q':
	case '\n':
	case '\r':
	case KEY_ENTER:
	case KEY_ESCAPE:
		ui->mode = TOP_NORMAL;
		break;
	default:
		break;
	}
}

static void open_columns(struct top_ui *ui)
{
	size_t count;
	ui->menu_at = 0;
	if (sections_columns(ui->focus, &count))
		ui->mode = TOP_COLUMNS;
	else
		say_notice(ui, "the timeline has no columns");
}

/* The next column that is shown; after the last the broker's order again. */
static void sort_next(struct top_ui *ui)
{
	size_t count;
	struct top_list *list = &ui->lists[ui->focus];
	(void)sections_columns(ui->focus, &count);

	do
		list->sort++;
	while (list->sort < (int)count && list->hidden & 1u << list->sort);
	if (list->sort >= (int)count)
		list->sort = GRID_DEFAULT_ORDER;
}

/* True: it was a key that moves. */
static bool move_choice(struct top_ui *ui, const struct top_lists *lists, int key)
{
	struct top_list *list = &ui->lists[ui->focus];
	size_t rows = top_lists_rows(lists, ui->focus), last = rows ? rows - 1 : 0;

	switch (key) {
	case KEY_UP:
	case 'k':
		list->at -= list->at > 0;
		break;
	case KEY_DOWN:
	case 'j':
		list->at += list->at < last;
		break;
	case KEY_PPAGE:
		list->at -= list->at > PAGE_ROWS ? PAGE_ROWS : list->at;
		break;
	case KEY_NPAGE:
		list->at += list->at + PAGE_ROWS < last ? PAGE_ROWS : last - list->at;
		break;
	case KEY_HOME:
	case 'g':
		list->at = 0;
		break;
	case KEY_END:
	case 'G':
		list->at = last;
		break;
	default:
		return false;
	}

	list->id = rows ? row_id(lists, ui->focus, list->at) : 0;
	return true;
}

static enum top_key_result key_of_lists(struct top_ui *ui, const struct top_lists *lists,
					const struct top_model *model, int key)
{
	switch (key) {
	case 'q':
	case 'Q':
		return TOP_KEY_QUIT;
	case '\t':
		move_focus(ui, lists, 1);
		break;
	case KEY_BTAB:
		move_focus(ui, lists, -1);
		break;
	case 'y':
		return act_on_choice(ui, model, false);
	case 'r':
		return act_on_choice(ui, model, true);
	case 'p':
		return pause_or_resume(ui, model);
	case 's':
		sort_next(ui);
		break;
	case 'S':
		ui->lists[ui->focus].reverse ^= true;
		break;
	case '/':
		ui->mode = TOP_FILTER;
		break;
	case KEY_ESCAPE:
		ui->filter[0] = '\0';
		break;
	case 'c':
		open_columns(ui);
		break;
	case 't':
		ui->span = (ui->span + 1) % TOP_SPANS;
		break;
	case '?':
	case 'h':
	case KEY_F(1):
		ui->mode = TOP_HELP;
		break;
	case ' ':
		return TOP_KEY_REFRESH;
	default:
		break;
	}
	return TOP_KEY_NONE;
}

enum top_key_result top_ui_key(struct top_ui *ui, const struct top_lists *lists,
			       const struct top_model *model, int key)
{
	ui->notice[0] = '\0';

	switch (ui->mode) {
	case TOP_CONFIRM:
		return key_of_question(ui, key);
	case TOP_FILTER:
		key_of_filter(ui, key);
		return TOP_KEY_NONE;
	case TOP_COLUMNS:
		key_of_columns(ui, key);
		return TOP_KEY_NONE;
	case TOP_HELP:
		ui->mode = TOP_NORMAL;
		return TOP_KEY_NONE;
	case TOP_NORMAL:
		break;
	}

	if (move_choice(ui, lists, key))
		return TOP_KEY_NONE;
	return key_of_lists(ui, lists, model, key);
}
