/* Goal: the status for people has every row that the broker's answer has, aligned, and no byte of a
 * client's name steers the terminal. Method: one answer with everything in it, compared as text. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/status_detail.h"
#include "cli/status_view.h"
#include "cli/text_table.h"

static const char status_text[] =
	"{'version':'0.1.0','uptime_s':7500,'epoch':3,'held':2,'queue_depth':2,'paused':true,"
	"'paused_reason':'update','journal_ok':true,"
	"'gpus':[{'index':0,'name':'gpu0','slots':1,'slots_used':1,'vram_mb_total':24576,"
	"'vram_mb_granted':8192,'vram_mb_used':9000,'vram_mb_unmanaged':808,'healthy':true},"
	"{'index':1,'name':'gpu1','slots':2,'slots_used':0,'vram_mb_total':null,"
	"'vram_mb_granted':0,'vram_mb_used':null,'vram_mb_unmanaged':null,'healthy':true}],"
	"'leases':[{'lease':12,'id':'train','label':'llama','class':'background','state':'yielding'"
	","
	"'vram_mb':8192,'gpus':[{'index':0,'name':'gpu0'}],'held_s':190,"
	"'yield':{'reason':'preempted','for':'mic','left_s':1.8,'revoked':false}},"
	"{'lease':13,'id':'tab','class':'chat','state':'held','vram_mb':0,"
	"'gpus':[{'index':0,'name':'gpu0'},{'index':1,'name':'gpu1'}],'held_s':4,"
	"'expires_in_s':290}],"
	"'waiting':[{'position':0,'lease':14,'id':'mic','class':'voice','state':'queued',"
	"'waited_s':0.4,'eta_s':2,'eta_p90_s':12,'estimate':'about 2 "
	"s','bound_s':12,'why':{'code':'yielding','text':'train was "
	"asked.'}},"
	"{'position':1,'lease':15,'id':'\\u0001w\\u001b[2Jx','class':'normal','waited_s':70,"
	"'eta_s':null,'eta_p90_s':null,'bound_s':null,'why':{'code':'behind','text':'1 before "
	"it.'}},"
	"{'position':2,'lease':16,'id':'cg','class':'normal','waited_s':70,'moved':true,"
	"'detached_left_s':80,'why':{'code':'behind','text':'2 before it.'}},"
	"{'position':3,'lease':17,'id':'fz','class':'normal','waited_s':70,'resumes':12}]}";

static const char expected[] =
	"baton 0.1.0  up 2h 05m  epoch 3  held 2  waiting 2\n"
	"paused: nothing is granted. update\n"
	"\n"
	"GPU   SLOTS  GRANTED  USED  TOTAL  STATE\n"
	"gpu0    1/1     8.0G  8.8G  24.0G  in use, 808M by others\n"
	"gpu1    0/2       0M     ?      ?  free\n"
	"\n"
	"LEASE  HOLDER         CLASS       GPU        VRAM    HELD  STATE\n"
	"   12  train (llama)  background  gpu0       8.0G  3m 10s  asked to yield: preempted for "
	"mic, 1.8s left\n"
	"   13  tab            chat        gpu0,gpu1     -    4.0s  held, expires in 4m 50s\n"
	"\n"
	"#  CLAIM  WAITER  CLASS   WAITED   ETA  9 OF 10  WHY\n"
	"1     14  mic     voice     0.4s  2.0s      12s  train was asked.\n"
	"2     15  w?[2Jx  normal  1m 10s     -        -  1 before it.\n"
	"3     16  cg      normal  1m 10s     -        -  disconnected, 1m 20s left to come back; "
	"off "
	"the GPU, in RAM; 2 before it.\n"
	"4     17  fz      normal  1m 10s     -        -  frozen\n";

static json_t *load(const char *text)
{
	char *copy = strdup(text);
	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	json_t *status = json_loads(copy, 0, NULL);
	free(copy);
	assert_non_null(status);
	return status;
}

static char *print(const struct text_table *sheet, bool color)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	text_table_print(sheet, out, color);
	fclose(out);
	return text;
}

static void whole_status(void **state)
{
	struct text_table sheet = {0};
	json_t *status = load(status_text);
	(void)state;
	status_view(status, &sheet);
	char *plain = print(&sheet, false), *colored = print(&sheet, true);
	assert_string_equal(plain, expected);
	assert_null(strchr(plain, '\033'));
	assert_non_null(strstr(colored, "\033[33m"));
	assert_null(strstr(colored, "\033[2J"));
	free(plain);
	free(colored);
	text_table_finish(&sheet);
	json_decref(status);
}

/* An empty broker, and an answer of another version: no row is made up, nothing breaks. */
static void little_to_say(void **state)
{
	static const char *const answers[] = {"{}", "{'gpus':[],'leases':[],'waiting':[]}",
					      "{'gpus':5,'leases':'x','waiting':{}}",
					      "{'gpus':[5],'leases':[[]],'waiting':[null]}"};
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		struct text_table sheet = {0};
		json_t *status = load(answers[i]);
		status_view(status, &sheet);
		char *plain = print(&sheet, false);
		assert_non_null(strstr(plain, "baton ?"));
		free(plain);
		text_table_finish(&sheet);
		json_decref(status);
	}
}

/* What is measured has a column where anything is, and a GPU that cannot be measured says why. */
static void measured_gpus(void **state)
{
	struct text_table sheet = {0};
	json_t *status =
		load("{'gpus':[{'name':'gpu0','slots':1,'healthy':true,'vram_mb_used':null,"
		     "'measured':{'state':'hung','text':'The driver does not answer about it.'}},"
		     "{'name':'gpu1','slots':1,'healthy':false,'measured':{'state':'lost',"
		     "'text':'The driver lost it.','detail':'NVML: GPU is lost (15)'}},"
		     "{'name':'gpu2','slots':1,'healthy':true,'measured':{'state':'asleep'}}],"
		     "'leases':[{'lease':1,'id':'train','state':'held','vram_mb':2048,"
		     "'vram_mb_measured':3072,'held_s':1},{'lease':2,'id':'tab','state':'held'}]}");

	(void)state;
	status_view(status, &sheet);
	char *plain = print(&sheet, false);
	assert_non_null(strstr(plain, "free, use unknown: The driver does not answer about it."));
	assert_non_null(strstr(plain, "does not work: NVML: GPU is lost (15)"));
	assert_null(strstr(plain, "asleep"));
	assert_non_null(strstr(plain, "VRAM  USES"));
	assert_non_null(strstr(plain, "2.0G  3.0G"));
	free(plain);
	text_table_finish(&sheet);
	json_decref(status);
}

/* Nobody may believe that they are protected: it says so, and how to change it. */
static void observe_mode(void **state)
{
	struct text_table sheet = {0};
	json_t *status = load("{'mode':'observe','leases':[{'lease':1,'id':'a','state':'held',"
			      "'observed':true,'would_wait':true}]}");
	(void)state;
	status_view(status, &sheet);
	char *plain = print(&sheet, false);
	assert_non_null(strstr(plain, "nobody is protected"));
	assert_non_null(strstr(plain, "mode: enforce"));
	assert_non_null(strstr(plain, "held, would wait"));
	free(plain);
	text_table_finish(&sheet);
	json_decref(status);
}

static char *shown(json_t *status, const char *who)
{
	struct text_table sheet = {0};
	json_t *rows = json_array(), *row;
	size_t i;
	status_rows_of(status, who, rows);
	json_array_foreach (rows, i, row)
		status_detail(row, &sheet);
	char *plain = print(&sheet, false);
	text_table_finish(&sheet);
	json_decref(rows);
	return plain;
}

/* A lease that is being stopped, one whose process was killed, one that cannot be watched: each
 * says so, in the list and by itself. */
static void ends_by_force(void **state)
{
	static const char text[] =
		"{'leases':[{'lease':1,'id':'a','state':'stopping','stop_in_s':1.5,"
		"'yield':{'reason':'preempted','left_s':11,'revoked':true}},"
		"{'lease':2,'id':'b','state':'stopping','stop_in_s':0,"
		"'yield':{'reason':'operator','left_s':9,'revoked':true}},"
		"{'lease':3,'id':'c','state':'held','watched':false,'binding':'native',"
		"'unwatched':'it runs in another pid namespace'}]}";
	static const struct {
		const char *who, *list, *alone;
	} rows[] = {
		{"a", "being stopped, killed in 1.5s", "it is being stopped, and killed in 1.5s"},
		{"b", "killed, free in 9.0s at most", "the GPU is free in 9.0s at most"},
		{"c", "held, unwatched", "cannot be watched: it runs in another pid namespace"},
	};
	struct text_table sheet = {0};
	json_t *status = load(text);
	(void)state;
	status_view(status, &sheet);
	char *list = print(&sheet, false);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *alone = shown(status, rows[i].who);
		assert_non_null(strstr(list, rows[i].list));
		assert_non_null(strstr(alone, rows[i].alone));
		free(alone);
	}
	free(list);
	text_table_finish(&sheet);
	json_decref(status);
}

/* One client in full: as a holder, as a waiter, and of an answer that says little. */
static void one_in_full(void **state)
{
	json_t *status = load(status_text), *odd = load("{'leases':[{'id':'x','yield':5}]}");
	(void)state;
	char *holder = shown(status, "train"), *waiter = shown(status, "14"), *x = shown(odd, "x");
	static const char *const of_holder[] = {"train  lease 12, background, yielding",
						"label      llama", "holds      gpu0", "VRAM 8.0G",
						"asked to (preempted) for mic"};
	for (size_t i = 0; i < sizeof(of_holder) / sizeof(*of_holder); i++)
		assert_non_null(strstr(holder, of_holder[i]));
	assert_non_null(strstr(waiter, "mic  claim 14, voice, queued"));
	assert_non_null(strstr(waiter, "why        train was asked."));
	assert_non_null(strstr(x, "x  lease 0"));
	free(holder);
	free(waiter);
	free(x);
	json_decref(status);
	json_decref(odd);
}

/* By number or by name; a number is never taken for a part of one. */
static void find(void **state)
{
	json_t *status = load(status_text);
	const json_t *leases = json_object_get(status, "leases");
	(void)state;
	assert_ptr_equal(status_find(leases, "13"), json_array_get(leases, 1));
	assert_ptr_equal(status_find(leases, "train"), json_array_get(leases, 0));
	assert_null(status_find(leases, "1"));
	assert_null(status_find(leases, "13x"));
	assert_null(status_find(leases, ""));
	assert_null(status_find(NULL, "13"));
	json_decref(status);
}

/* Columns are counted in cells of the terminal, not in bytes. */
static void wide_names(void **state)
{
	(void)state;
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		skip();
	assert_int_equal(text_table_width("abc"), 3);
	assert_int_equal(text_table_width("\xc3\xa9t\xc3\xa9"), 3);
	assert_int_equal(text_table_width("\xe6\x97\xa5\xe6\x9c\xac"), 4);
	assert_int_equal(text_table_width("\x02"
					  "b\x01"),
			 1);
	assert_int_equal(text_table_width("\xff"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_status),  cmocka_unit_test(little_to_say),
		cmocka_unit_test(measured_gpus), cmocka_unit_test(observe_mode),
		cmocka_unit_test(ends_by_force), cmocka_unit_test(one_in_full),
		cmocka_unit_test(find),          cmocka_unit_test(wide_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
