/* Goal: the screen of `baton top` is right at every size, its lists are in order, its keys do what
 * the help says, and no name steers the terminal. Method: whole screens compared as text, from a
 * status and events written here. */
#include <locale.h>
#include <math.h>
#include <ncurses.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "cli/clean_text.h"
#include "cli/top/glyphs.h"
#include "cli/top/top_model.h"
#include "cli/top/top_ui.h"
#include "cli/top/top_view.h"

static const char status_text[] =
	"{'version':'0.1.0','time':'2025-12-22T23:50:00.000Z','uptime_s':7500,'held':2,"
	"'queue_depth':2,'paused':false,'grants':{'allowed':true},"
	"'gpus':[{'index':0,'name':'gpu0','slots':1,'slots_used':1,'vram_mb_total':24576,"
	"'vram_mb_granted':8192,'vram_mb_used':12288,'vram_mb_unmanaged':4096,'healthy':true,"
	"'measured':{'source':'nvml','model':'X','state':'ok','age_s':0.4,'vram_mb_reserved':512,"
	"'vram_mb_free':11776,'utilisation_percent':97,'temperature_c':63,'power_w':220.5,"
	"'processes_known':true,'processes_left_off':3,'processes_partial':true,"
	"'processes':["
	"{'pid':4711,'command':'python3','use':'compute','vram_mb':7000,'since_s':90,"
	"'session':7,'client':'train','lease':12},"
	"{'pid':99,'command':'game\\u001b[2J','use':'graphics','vram_mb':4096,'since_s':5000},"
	"{'pid':null,'command':null,'use':'compute','vram_mb':null,'since_s':1}]}},"
	"{'index':1,'name':'big','slots':2,'slots_used':1,'vram_mb_total':null,"
	"'vram_mb_granted':100,'vram_mb_used':null,'vram_mb_unmanaged':null,'healthy':true}],"
	"'leases':[{'lease':12,'id':'train','label':'llama','class':'background','state':'yielding'"
	","
	"'vram_mb':8192,'vram_mb_measured':7000,'gpus':[{'index':0,'name':'gpu0'}],'held_s':190,"
	"'yield':{'reason':'preempted','for':'mic','left_s':1.8,'revoked':false}},"
	"{'lease':13,'id':'\\u6301\\u6301','class':'chat','state':'held','vram_mb':0,"
	"'gpus':[{'index':1,'name':'big'}],'held_s':4}],"
	"'waiting':[{'position':0,'lease':14,'id':'mic','class':'voice','state':'queued',"
	"'waited_s':0.5,'eta_s':2,'guaranteed_by':'2025-12-22T23:50:18.000Z',"
	"'why':{'code':'yielding','text':'train was asked to give gpu0 back.'}},"
	"{'position':1,'lease':15,'id':'\\u0001w\\u001b[2Jx\\u202e','class':'normal','state':'"
	"queued',"
	"'waited_s':70,'eta_s':null,'guaranteed_by':null,"
	"'why':{'code':'behind','text':'1 claim is before it in the queue.'}}]}";

static json_t *load_text(const char *text)
{
	char *copy = strdup(text);
	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	json_t *value = json_loads(copy, 0, NULL);
	free(copy);
	assert_non_null(value);
	return value;
}

struct scene {
	struct top_model model;
	struct top_ui ui;
	struct top_lists lists;
};

static void begin_scene(struct scene *scene, const char *status)
{
	*scene = (struct scene){0};
	top_ui_init(&scene->ui, true);
	top_model_status(&scene->model, load_text(status));
	snprintf(scene->model.clock, sizeof(scene->model.clock), "12:34:56");
	top_lists_build(&scene->lists, &scene->model, &scene->ui);
}

static void end_scene(struct scene *scene)
{
	top_lists_finish(&scene->lists);
	top_model_finish(&scene->model);
}

static enum top_key_result press(struct scene *scene, int key)
{
	enum top_key_result result = top_ui_key(&scene->ui, &scene->lists, &scene->model, key);
	top_lists_finish(&scene->lists);
	top_lists_build(&scene->lists, &scene->model, &scene->ui);
	return result;
}

/* The screen as text; no line is wider, and there are as many as the screen has. */
static char *screen_of(struct scene *scene, size_t width, size_t height)
{
	struct text_table lines = {0};
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	top_view(&scene->model, &scene->lists, &scene->ui, width, height, &lines);
	if (height)
		assert_int_equal(lines.count, height);
	for (size_t i = 0; i < lines.count && width; i++)
		assert_true(text_table_width(lines.lines[i]) <= width);

	text_table_print(&lines, out, false);
	fclose(out);
	text_table_finish(&lines);
	for (const char *c = text; *c; c++)
		assert_true((unsigned char)*c >= 0x20 || *c == '\n');
	return text;
}

static void expect_screen(struct scene *scene, size_t width, size_t height, const char *expected)
{
	char *text = screen_of(scene, width, height);
	if (strcmp(text, expected) != 0)
		fprintf(stderr, "at %zux%zu:\n%s", width, height, text);
	assert_string_equal(text, expected);
	free(text);
}

static void expect_shown(struct scene *scene, const char *words, bool shown)
{
	char *text = screen_of(scene, 100, 40);
	if ((strstr(text, words) != NULL) != shown)
		fprintf(stderr, "'%s':\n%s", words, text);
	assert_int_equal(strstr(text, words) != NULL, shown);
	free(text);
}

/* ---- screens ---- */

static const char screen_80x24[] =
	"baton 0.1.0  up 2h 05m  2 hold  2 wait                                  12:34:56\n"
	"gpu0  1/1  [██████████████░▓▓▓▓▓▓▓▓▒······················]  12.0G of 24.0G used\n"
	"  load  97%            █  mem            ▅  4.0G unmanaged  8.0G granted  63 C\n"
	"big   1/2  100M granted, total unknown\n"
	"  turns                                                                      ▅\n"
	"> holders 2\n"
	"LEASE  HOLDER         CLASS       GPU   GRANTED  USED    HELD  STATE\n"
	"   12  train (llama)  background  gpu0     8.0G  6.8G  3m 10s  asked to yield: …\n"
	"   13  持持           chat        big         -     ?    4.0s  held\n"
	"  queue 2\n"
	"#  CLAIM  WAITER    CLASS   WAITED   ETA  LATEST  WHY\n"
	"1     14  mic       voice     0.5s  2.0s     18s  train was asked to give gpu0 …\n"
	"2     15  ?w?[2Jx?  normal  1m 10s     -    none  1 claim is before it in the q…\n"
	"  processes 3 and 3 smaller ones, others cannot be seen\n"
	" PID  COMMAND   GPU   MEMORY  USE         SEEN  LEASE\n"
	"4711  python3   gpu0    6.8G  compute   1m 30s  train, lease 12\n"
	"  99  game?[2J  gpu0    4.0G  graphics  1h 23m  unmanaged\n"
	"   -  ?         gpu0       ?  compute     1.0s  unmanaged\n"
	"  timeline of the last 10 min\n"
	"train                                                    ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓\n"
	"持持                                                                           █\n"
	"mic                                                                            ░\n"
	"?w?[2…                                                                 ░░░░░░░░░\n"
	"? help  q quit  y yield  r revoke  p pause  s sort  / find  c columns  t time\n";
static const char screen_40x12[] = "baton 0.1.0  up 2h 05m  2 hold  2 wait\n"
				   "gpu0  1/1  12.0G of 24.0G used\n"
				   "big   1/2  100M granted, total unknown\n"
				   "> holders 2\n"
				   "HOLDER           HELD  STATE\n"
				   "train (llama)  3m 10s  asked to yield: …\n"
				   "  queue 2\n"
				   "WAITER    LATEST  WHY\n"
				   "mic          18s  train was asked to gi…\n"
				   "  timeline of the last 10 min\n"
				   "train                        ▓▓▓▓▓▓▓▓▓▓▓\n"
				   "? help  q quit  y yield  r revoke  p pa…\n";
static const char screen_ascii[] =
	"baton 0.1.0  up 2h 05m  2 hold  2 wait                                  12:34:56\n"
	"gpu0  1/1  [##############-%%%%%%%%:......................]  12.0G of 24.0G used\n"
	"  load  97%            #  mem            =  4.0G unmanaged  8.0G granted  63 C\n"
	"big   1/2  100M granted, total unknown\n"
	"  turns                                                                      =\n"
	"> holders 2\n"
	"LEASE  HOLDER         CLASS       GPU   GRANTED  USED    HELD  STATE\n"
	"   12  train (llama)  background  gpu0     8.0G  6.8G  3m 10s  asked to yield: ~\n"
	"   13  ?\?             chat        big         -     ?    4.0s  held\n"
	"  queue 2\n"
	"#  CLAIM  WAITER    CLASS   WAITED   ETA  LATEST  WHY\n"
	"1     14  mic       voice     0.5s  2.0s     18s  train was asked to give gpu0 ~\n"
	"2     15  ?w?[2Jx?  normal  1m 10s     -    none  1 claim is before it in the q~\n"
	"  processes 3 and 3 smaller ones, others cannot be seen\n"
	" PID  COMMAND   GPU   MEMORY  USE         SEEN  LEASE\n"
	"4711  python3   gpu0    6.8G  compute   1m 30s  train, lease 12\n"
	"  99  game?[2J  gpu0    4.0G  graphics  1h 23m  unmanaged\n"
	"   -  ?         gpu0       ?  compute     1.0s  unmanaged\n"
	"  timeline of the last 10 min\n"
	"train                                                    %%%%%%%%%%%%%%%%%%%%%%%\n"
	"?\?                                                                             #\n"
	"mic                                                                            .\n"
	"?w?[2J~                                                                .........\n"
	"? help  q quit  y yield  r revoke  p pause  s sort  / find  c columns  t time\n";

static void usual_terminal(void **state)
{
	struct scene scene;
	(void)state;
	begin_scene(&scene, status_text);
	expect_screen(&scene, 80, 24, screen_80x24);
	end_scene(&scene);
}

static void narrow_terminal(void **state)
{
	struct scene scene;
	(void)state;
	begin_scene(&scene, status_text);
	expect_screen(&scene, 40, 12, screen_40x12);
	end_scene(&scene);
}

static void ascii_only(void **state)
{
	struct scene scene;
	(void)state;
	begin_scene(&scene, status_text);
	scene.ui.utf8 = false;
	top_lists_finish(&scene.lists);
	top_lists_build(&scene.lists, &scene.model, &scene.ui);

	setlocale(LC_CTYPE, "C");
	expect_screen(&scene, 80, 24, screen_ascii);
	setlocale(LC_CTYPE, "C.UTF-8");
	end_scene(&scene);
}

/* From one cell to a wall, in every mode: as many lines as there are, none too wide. */
static void every_size(void **state)
{
	static const char *const keys[] = {"", "?", "c", "/abc", "r", "\t\t\t", "sS"};
	(void)state;
	for (size_t k = 0; k < sizeof(keys) / sizeof(*keys); k++) {
		struct scene scene;
		begin_scene(&scene, status_text);
		for (const char *key = keys[k]; *key; key++)
			press(&scene, *key);
		for (size_t width = 1; width < 130; width += width < 20 ? 1 : 7)
			for (size_t height = 1; height < 60; height += height < 26 ? 1 : 11)
				free(screen_of(&scene, width, height));
		end_scene(&scene);
	}
}

/* Another version's answer, or nothing: no row is made up, nothing breaks. */
static void little_to_say(void **state)
{
	static const char *const answers[] = {
		"{}", "{'gpus':[],'leases':[],'waiting':[]}",
		"{'gpus':5,'leases':'x','waiting':{},'time':7}",
		"{'gpus':[5,{}],'leases':[[],{}],'waiting':[null,{}]}",
		"{'gpus':[{'measured':{'processes':[[],{},5]}}]}"};
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		struct scene scene;
		begin_scene(&scene, answers[i]);
		free(screen_of(&scene, 80, 24));
		free(screen_of(&scene, 0, 0));
		end_scene(&scene);
	}
}

/* Unknown is said to be unknown; a GPU that cannot be measured says why. */
static void unknown_is_not_zero(void **state)
{
	struct scene scene;
	(void)state;
	begin_scene(
		&scene,
		"{'time':'2025-12-22T23:50:00.000Z','gpus':[{'name':'a','slots':1,'slots_used':0,"
		"'vram_mb_total':8192,'vram_mb_granted':0,'vram_mb_used':null,"
		"'vram_mb_unmanaged':null,'healthy':true,'measured':{'state':'lost','age_s':75,"
		"'text':'it fell off the bus; reboot','utilisation_percent':null,"
		"'processes':[],'processes_known':false}}]}");
	expect_shown(&scene, "lost, unknown for 1m 15s: it fell off the bus; reboot", true);
	expect_shown(&scene, "load", false);
	expect_shown(&scene, "used", false);
	expect_shown(&scene, "unmanaged", false);
	end_scene(&scene);

	/* Figures, but no list of processes: that is said, too. */
	begin_scene(
		&scene,
		"{'time':'2025-12-22T23:50:00.000Z','gpus':[{'name':'a','slots':1,'slots_used':0,"
		"'vram_mb_total':8192,'vram_mb_granted':0,'vram_mb_used':5,'healthy':true,"
		"'measured':{'state':'ok','unified':true,'model':'GB\\u001b10',"
		"'processes':[],'processes_known':false}}]}");
	expect_shown(&scene, "processes unknown", true);
	expect_shown(&scene, "the machine's memory", true);
	end_scene(&scene);
}

static void alerts_are_shown(void **state)
{
	struct scene scene;
	(void)state;
	begin_scene(&scene,
		    "{'time':'2025-12-22T23:50:00.000Z','paused':true,'paused_reason':'new driver',"
		    "'mode':'observe','draining':true,'grants':{'allowed':false,'reason':'journal',"
		    "'text':'The journal cannot be written.'}}");
	snprintf(scene.model.trouble, sizeof(scene.model.trouble), "the broker is away");
	expect_shown(&scene, "paused: nothing is granted. new driver", true);
	expect_shown(&scene, "observe: nothing is enforced and nobody is protected", true);
	expect_shown(&scene, "the broker is stopping", true);
	expect_shown(&scene, "nothing is granted: The journal cannot be written.", true);
	expect_shown(&scene, "the broker is away", true);
	end_scene(&scene);
}

/* A lease stands in `top` as it does in `status`. */
static void states_of_leases(void **state)
{
	static const struct {
		const char *members, *shown;
	} cases[] = {
		{"'parked':true", "frozen, keeps its memory"},
		{"'stopped':true", "held, stopped"},
		{"'would_wait':true", "held, would wait"},
		{"'detached_left_s':9", "disconnected, 9.0s left to come back"},
		{"'watched':false", "held, unwatched"},
		{"'watched':false,'expires_in_s':90", "held, expires in 1m 30s"},
		{"'stop_in_s':2,'yield':{'revoked':true}", "being stopped, killed in 2.0s"},
		{"'yield':{'revoked':true,'left_s':5}", "revoked, free in 5.0s at most"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct scene scene;
		char status[256];
		snprintf(status, sizeof(status),
			 "{'leases':[{'lease':1,'id':'a','state':'held',%s}]}", cases[i].members);
		begin_scene(&scene, status);
		expect_shown(&scene, cases[i].shown, true);
		end_scene(&scene);
	}
}

/* ---- keys ---- */

static void yield_and_revoke(void **state)
{
	struct scene scene;
	(void)state;
	begin_scene(&scene, status_text);
	assert_int_equal(press(&scene, 'y'), TOP_KEY_SEND);
	assert_string_equal(scene.ui.request.path, "/v1/gpu/leases/12/yield");

	/* A revoke asks, by number and name, and only "y" is a yes. */
	press(&scene, 'j');
	assert_int_equal(press(&scene, 'r'), TOP_KEY_NONE);
	expect_shown(&scene, "Take lease 13 of \u6301\u6301 at once? [y/N]", true);
	assert_int_equal(press(&scene, '\n'), TOP_KEY_NONE);
	expect_shown(&scene, "nothing done", true);
	press(&scene, 'r');
	assert_int_equal(press(&scene, 'y'), TOP_KEY_SEND);
	assert_string_equal(scene.ui.request.path, "/v1/gpu/leases/13/revoke");

	/* A waiter leaves the queue, a process's lease is that of its holder. */
	press(&scene, '\t');
	assert_int_equal(press(&scene, 'r'), TOP_KEY_NONE);
	assert_int_equal(press(&scene, 'y'), TOP_KEY_SEND);
	assert_string_equal(scene.ui.request.path, "/v1/gpu/claims/14/cancel");
	press(&scene, '\t');
	assert_int_equal(press(&scene, 'y'), TOP_KEY_SEND);
	assert_string_equal(scene.ui.request.path, "/v1/gpu/leases/12/yield");
	press(&scene, 'j');
	assert_int_equal(press(&scene, 'r'), TOP_KEY_NONE);
	assert_int_equal(scene.ui.mode, TOP_NORMAL);
	expect_shown(&scene, "choose a holder or a waiter first", true);
	end_scene(&scene);
}

static void pause_and_resume(void **state)
{
	struct scene scene;
	(void)state;
	begin_scene(&scene, status_text);
	assert_int_equal(press(&scene, 'p'), TOP_KEY_NONE);
	assert_int_equal(press(&scene, 'n'), TOP_KEY_NONE);
	press(&scene, 'p');
	assert_int_equal(press(&scene, 'y'), TOP_KEY_SEND);
	assert_string_equal(scene.ui.request.path, "/v1/gpu/pause");

	json_object_set_new(scene.model.status, "paused", json_true());
	assert_int_equal(press(&scene, 'p'), TOP_KEY_SEND);
	assert_string_equal(scene.ui.request.path, "/v1/gpu/resume");
	end_scene(&scene);
}

/* The chosen row is a claim, not a place: others may come and go. */
static void choice_follows_its_claim(void **state)
{
	struct scene scene;
	(void)state;
	begin_scene(&scene, status_text);
	press(&scene, 'j');
	json_array_remove(json_object_get(scene.model.status, "leases"), 0);
	top_lists_finish(&scene.lists);
	top_lists_build(&scene.lists, &scene.model, &scene.ui);
	assert_int_equal(press(&scene, 'y'), TOP_KEY_SEND);
	assert_string_equal(scene.ui.request.path, "/v1/gpu/leases/13/yield");

	/* When it is gone, nothing is left to hit here. */
	json_array_clear(json_object_get(scene.model.status, "leases"));
	top_lists_finish(&scene.lists);
	top_lists_build(&scene.lists, &scene.model, &scene.ui);
	assert_int_not_equal(scene.ui.focus, TOP_HOLDERS);
	end_scene(&scene);
}

static void sort_filter_columns(void **state)
{
	struct scene scene;
	(void)state;
	begin_scene(&scene, status_text);
	for (int i = 0; i < 7; i++)
		press(&scene, 's'); /* by HELD: the shorter first */
	assert_int_equal(
		scene.lists.grids[TOP_HOLDERS].ids[scene.lists.grids[TOP_HOLDERS].order[0]], 13);
	expect_shown(&scene, "holders 2, by HELD", true);
	press(&scene, 'S');
	assert_int_equal(
		scene.lists.grids[TOP_HOLDERS].ids[scene.lists.grids[TOP_HOLDERS].order[0]], 12);
	press(&scene, 's');
	press(&scene, 's');
	assert_int_equal(scene.ui.lists[TOP_HOLDERS].sort, GRID_DEFAULT_ORDER);

	press(&scene, '/');
	for (const char *c = "TRAI\xc3\xa9"; *c; c++)
		press(&scene, (unsigned char)*c);
	press(&scene, KEY_BACKSPACE); /* both bytes */
	press(&scene, '\n');
	assert_string_equal(scene.ui.filter, "TRAI");
	assert_int_equal(top_lists_rows(&scene.lists, TOP_HOLDERS), 1);
	assert_int_equal(top_lists_rows(&scene.lists, TOP_QUEUE), 1); /* its reason names it */
	press(&scene, 27);
	assert_int_equal(top_lists_rows(&scene.lists, TOP_HOLDERS), 2);

	expect_shown(&scene, "CLASS   GPU", false);
	press(&scene, 'c');
	expect_shown(&scene, "[x] LEASE", true);
	press(&scene, ' ');
	expect_shown(&scene, "[ ] LEASE", true);
	press(&scene, 'c');
	expect_shown(&scene, "LEASE  HOLDER", false);
	assert_int_equal(press(&scene, 'q'), TOP_KEY_QUIT);
	end_scene(&scene);
}

/* ---- parts ---- */

static void names_are_cleaned(void **state)
{
	char out[16];
	(void)state;
	static const char *const cases[][3] = {
		{"plain", "plain", "plain"},
		{"a\033[2Jb\n\x01", "a?[2Jb??", "a?[2Jb??"},
		{"\u6301\u00e9", "\u6301\u00e9", "??"},
		{"x\u202ey\u200bz\xc2\x9bw", "x?y?z?w", "x?y?z?w"},
		{"\xff\xc0\xaf\xed\xa0\x80\xf5", "???????", "???????"},
		{"cut\xe6\x8c", "cut??", "cut??"},
		{"123456789012345\u6301", "123456789012345", "123456789012345"},
		{"12345678901234\u6301", "12345678901234", "12345678901234?"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_string_equal(clean_text(out, sizeof(out), cases[i][0], true), cases[i][1]);
		assert_string_equal(clean_text(out, sizeof(out), cases[i][0], false), cases[i][2]);
	}
}

static void memory_bars(void **state)
{
	static const struct {
		struct glyphs_memory memory;
		unsigned width, cells[GLYPHS_PARTS];
	} cases[] = {
		{{1000, 500, -1, -1, -1}, 10, {0, 5, 0, 0}},
		{{1000, 500, 700, 200, 100}, 10, {4, 1, 2, 1}},
		{{1000, 0, 0, 0, 0}, 10, {0, 0, 0, 0}},
		{{1000, 1, 3, 1, 1}, 10, {1, 0, 1, 1}},
		{{1000, 9000, 9000, 0, 0}, 10, {10, 0, 0, 0}},
		{{-1, 500, 700, 200, 100}, 2, {1, 1, 0, 0}},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		unsigned cells[GLYPHS_PARTS];
		glyphs_memory_cells(&cases[i].memory, cases[i].width, cells);
		assert_memory_equal(cells, cases[i].cells, sizeof(cells));
	}
}

static void add_event(struct timeline *timeline, int id, int second, int lease, const char *name,
		      const char *to)
{
	json_t *event = json_pack("{s:i, s:o, s:i, s:s, s:s}", "id", id, "time",
				  json_sprintf("2025-12-22T23:49:%02d.000Z", second), "lease",
				  lease, "client", name, "to", to);
	assert_non_null(event);
	timeline_event(timeline, event);
	json_decref(event);
}

static void expect_band(const struct timeline *timeline, const char *name, const char *expected)
{
	struct buf line = {0};
	char plain[64];
	size_t length = 0;
	int64_t end_ms = timeline_parse_time("2025-12-22T23:50:00.000Z");
	timeline_band(timeline, name, end_ms - 60000, end_ms, 6, false, &line);
	for (size_t i = 0; i < line.length; i++)
		if (buf_data(&line)[i] >= STYLE_END)
			plain[length++] = buf_data(&line)[i];
	plain[length] = '\0';
	buf_finish(&line);
	assert_string_equal(plain, expected);
}

static void bands_of_time(void **state)
{
	struct timeline timeline = {0};
	const char *names[8];
	(void)state;
	add_event(&timeline, 1, 0, 1, "a", "queued");
	add_event(&timeline, 2, 10, 1, "a", "held");
	add_event(&timeline, 3, 20, 2, "b", "queued");
	add_event(&timeline, 4, 30, 1, "a", "yielding");
	add_event(&timeline, 5, 40, 1, "a", "ended");
	add_event(&timeline, 6, 40, 2, "b", "held");
	add_event(&timeline, 3, 55, 2, "b", "ended"); /* told before: nothing */
	expect_band(&timeline, "a", ".##%  ");
	expect_band(&timeline, "b", "  ..##");
	assert_int_equal(timeline_names(&timeline, 0, names, 8), 2);
	assert_string_equal(names[0], "b");

	/* The status ends what no event told the end of, and begins what it did not tell. */
	json_t *status =
		load_text("{'time':'2025-12-22T23:49:50.000Z','queue_depth':1,'leases':[],"
			  "'waiting':[{'lease':3,'id':'c','state':'queued','waited_s':10}]}");
	timeline_status(&timeline, status);
	json_decref(status);
	expect_band(&timeline, "b", "  ..# ");
	expect_band(&timeline, "c", "    ..");
	timeline_finish(&timeline);
}

/* A day of events does not grow without end, and what is newest stays. */
static void timeline_is_bounded(void **state)
{
	struct timeline timeline = {0};
	const char *names[TIMELINE_NAMES_MAX];
	(void)state;
	for (int i = 0; i < 3 * TIMELINE_SPANS_MAX; i++) {
		char name[16];
		snprintf(name, sizeof(name), "n%d", i / 10);
		add_event(&timeline, 2 * i + 1, i % 60, i + 1, name, "held");
		add_event(&timeline, 2 * i + 2, i % 60, i + 1, name, "ended");
	}
	add_event(&timeline, 1 << 20, 59, 1 << 20, "newest", "held");
	assert_true(timeline.count <= TIMELINE_SPANS_MAX);
	assert_int_equal(timeline_names(&timeline, 0, names, TIMELINE_NAMES_MAX),
			 TIMELINE_NAMES_MAX);
	assert_string_equal(names[0], "newest");
	timeline_finish(&timeline);
}

static void lines_are_shared(void **state)
{
	static const size_t least[TOP_SECTION_COUNT] = {3, 3, 3, 2};
	static const struct {
		size_t need[TOP_SECTION_COUNT], room;
		enum top_section focus;
		size_t lines[TOP_SECTION_COUNT];
	} cases[] = {
		{{4, 5, 0, 6}, 40, TOP_HOLDERS, {4, 5, 0, 6}}, /* all there is */
		{{40, 40, 40, 40}, 11, TOP_QUEUE, {3, 3, 3, 2}},
		{{40, 40, 40, 40}, 16, TOP_QUEUE, {4, 5, 4, 3}},
		{{40, 40, 40, 40}, 5, TOP_TIMELINE, {3, 0, 0, 2}}, /* the one in focus first */
		{{40, 40, 40, 40}, 2, TOP_HOLDERS, {0, 0, 0, 2}},
		{{40, 40, 40, 40}, 0, TOP_HOLDERS, {0, 0, 0, 0}},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t lines[TOP_SECTION_COUNT];
		top_view_share(cases[i].need, least, cases[i].room, cases[i].focus, lines);
		assert_memory_equal(lines, cases[i].lines, sizeof(lines));
	}
}

/* Load over time: the most of each cell, unknown where nobody looked. */
static void load_over_time(void **state)
{
	struct scene scene;
	double values[4];
	int64_t now_ms = timeline_parse_time("2025-12-22T23:50:00.000Z");
	(void)state;
	begin_scene(&scene, status_text);
	top_model_series(&scene.model, "gpu0", now_ms - 4000, false, values, 4);
	assert_true(values[0] < 0 && values[1] < 0 && values[2] < 0);
	assert_true(fabs(values[3] - 0.97) < 0.001);
	top_model_series(&scene.model, "gpu0", now_ms - 4000, true, values, 4);
	assert_true(fabs(values[3] - 0.5) < 0.001);
	top_model_series(&scene.model, "big", now_ms - 4000, true, values, 4);
	assert_true(values[3] < 0);
	end_scene(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usual_terminal),      cmocka_unit_test(narrow_terminal),
		cmocka_unit_test(ascii_only),          cmocka_unit_test(every_size),
		cmocka_unit_test(little_to_say),       cmocka_unit_test(unknown_is_not_zero),
		cmocka_unit_test(alerts_are_shown),    cmocka_unit_test(yield_and_revoke),
		cmocka_unit_test(pause_and_resume),    cmocka_unit_test(choice_follows_its_claim),
		cmocka_unit_test(sort_filter_columns), cmocka_unit_test(names_are_cleaned),
		cmocka_unit_test(memory_bars),         cmocka_unit_test(bands_of_time),
		cmocka_unit_test(timeline_is_bounded), cmocka_unit_test(lines_are_shared),
		cmocka_unit_test(load_over_time),      cmocka_unit_test(states_of_leases),
	};
	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
