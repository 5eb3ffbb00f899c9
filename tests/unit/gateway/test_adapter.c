/* Goal: the configuration's kinds and the adapters are the same; servers' answers are read as they
 * write them, and anything else is none; a model's name cannot leave its place in a call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "config/settings.h"
#include "gateway/adapter_read.h"

static void test_kinds(void **state)
{
	unsigned count;
	const struct adapter *adapters = adapter_table(&count);
	(void)state;

	for (unsigned i = 0; i < count; i++) {
		assert_string_equal(settings_upstream_kinds[i], adapters[i].kind);
		assert_ptr_equal(adapter_of(adapters[i].kind), &adapters[i]);
	}
	assert_null(settings_upstream_kinds[count]);
	assert_null(adapter_of("bard"));
}

static void test_fill(void **state)
{
	cleanup_text struct text body = {0}, path = {0}, twice = {0};
	(void)state;

	adapter_fill_body(&body, "{\"model\":%s,\"keep_alive\":0}", "a\"b\\");
	assert_string_equal(body.bytes, "{\"model\":\"a\\\"b\\\\\",\"keep_alive\":0}");
	adapter_fill_path(&path, "/unload/%s?x=1", "org/m:7b ?#%");
	assert_string_equal(path.bytes, "/unload/org%2Fm%3A7b%20%3F%23%25?x=1");
	adapter_fill_body(&twice, "{\"a\":%s,\"b\":%s}", "%s");
	assert_string_equal(twice.bytes, "{\"a\":\"%s\",\"b\":\"%s\"}");
}

struct seen {
	char text[256];
};

static void note(void *ctx, const struct adapter_model *model)
{
	struct seen *seen = ctx;
	size_t at = strlen(seen->text);

	snprintf(seen->text + at, sizeof(seen->text) - at, "%s=%llu;", model->name,
		 (unsigned long long)model->bytes);
}

static void check_read(bool (*read)(const char *, size_t, adapter_found *, void *),
		       const char *body, const char *want)
{
	struct seen seen = {""};
	bool good = read(body, strlen(body), note, &seen);

	assert_int_equal(good, want != NULL);
	if (want)
		assert_string_equal(seen.text, want);
}

static void test_reads(void **state)
{
	(void)state;

	check_read(adapter_read_openai, "{\"data\":[{\"id\":\"a\"},{\"id\":7},{},{\"id\":\"\"}]}",
		   "a=0;");
	check_read(adapter_read_ollama,
		   "{\"models\":[{\"name\":\"a\",\"size\":5},"
		   "{\"name\":\"b\",\"size\":5,\"size_vram\":3}]}",
		   "a=5;b=3;");
	check_read(adapter_read_router,
		   "{\"data\":[{\"id\":\"a\",\"status\":{\"value\":\"loaded\"}},"
		   "{\"id\":\"b\",\"status\":{\"value\":\"unloaded\"}}]}",
		   "a=0;");
	check_read(adapter_read_swap, "{\"running\":[{\"model\":\"a\",\"state\":\"ready\"}]}",
		   "a=0;");
	check_read(adapter_read_router,
		   "{\"data\":[{\"id\":\"a\",\"status\":{\"value\":\"sleeping\"}}]}", "a=0;");
	check_read(adapter_read_lmstudio,
		   "{\"models\":[{\"key\":\"a\",\"loaded_instances\":[{\"id\":\"a\"},{\"id\":\"a:"
		   "2\"}]},"
		   "{\"key\":\"b\",\"loaded_instances\":[]}]}",
		   "a=0;");
	check_read(adapter_read_localai,
		   "{\"backends\":[],\"loaded_models\":[{\"id\":\"a\",\"size_vram\":7},{\"id\":"
		   "\"b\"}]}",
		   "a=7;b=0;");
	check_read(adapter_read_lemonade,
		   "{\"status\":\"ok\",\"all_models_loaded\":[{\"model_name\":\"a\",\"device\":"
		   "\"gpu\"}]}",
		   "a=0;");
	check_read(adapter_read_kobold_files,
		   "[\"a.kcpps\",\"b.gguf\",7,\"initial_model\",\"unload_model\"]",
		   "a.kcpps=0;b.gguf=0;");
	check_read(adapter_read_kobold_files, "{}", NULL);
	check_read(adapter_read_kobold, "{\"result\":\"koboldcpp/a\"}", "koboldcpp/a=0;");
	check_read(adapter_read_kobold, "{\"result\":\"inactive\"}", "");
	check_read(adapter_read_kobold, "{\"result\":\"koboldcpp/protected-model\"}", NULL);
	check_read(adapter_read_kobold, "{\"result\":\"\"}", NULL);
	check_read(adapter_read_kobold, "{}", NULL);
	check_read(adapter_read_tabby, "{\"id\":\"a\",\"parameters\":{}}", "a=0;");
	check_read(adapter_read_tabby, "{\"data\":[]}", NULL);
	check_read(adapter_read_health, "{\"status\":\"ok\"}", "");
	check_read(adapter_read_health, "{\"status\":\"loading model\"}", NULL);
	check_read(adapter_read_openai, "{\"data\":{}}", NULL);
	check_read(adapter_read_openai, "[]", NULL);
	check_read(adapter_read_ollama, "<html>", NULL);
	check_read(adapter_read_ollama, "", NULL);
}

/* What is not in such a list counts as gone, so that it is read whole or not at all. */
static void test_loaded_is_read_whole(void **state)
{
	static const char *const rows[] = {"{}", "{\"name\":\"\"}", "{\"name\":7}", "7",
					   "{\"name\":\"m\",\"name\":\"x\"}"};
	char body[160];
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(body, sizeof(body), "{\"models\":[{\"name\":\"a\"},%s]}", rows[i]);
		check_read(adapter_read_ollama_loaded, body, NULL);
		snprintf(body, sizeof(body), "{\"running\":[%s]}", rows[i]);
		check_read(adapter_read_swap, body, NULL);
		snprintf(body, sizeof(body), "{\"data\":[%s]}", rows[i]);
		check_read(adapter_read_router, body, NULL);
		snprintf(body, sizeof(body), "{\"models\":[%s]}", rows[i]);
		check_read(adapter_read_lmstudio, body, NULL);
		snprintf(body, sizeof(body), "{\"loaded_models\":[%s]}", rows[i]);
		check_read(adapter_read_localai, body, NULL);
		snprintf(body, sizeof(body), "{\"all_models_loaded\":[%s]}", rows[i]);
		check_read(adapter_read_lemonade, body, NULL);
	}
	check_read(adapter_read_lmstudio, "{\"models\":[{\"loaded_instances\":[{}]}]}", NULL);
	check_read(adapter_read_ollama_loaded, "{\"models\":[],\"models\":[{\"name\":\"m\"}]}",
		   NULL);
	check_read(adapter_read_ollama_loaded, "{\"models\":[]}", "");
	check_read(adapter_read_router, "{\"data\":[{\"id\":\"a\"}]}", NULL);
}

static void test_verdicts(void **state)
{
	static const char none[] = "{\"detail\":\"No models are currently loaded.\"}";
	(void)state;

	assert_true(adapter_read_tabby_none(none, sizeof(none) - 1));
	assert_false(adapter_read_tabby_none(none, 20));
	assert_false(adapter_read_tabby_none("", 0));
	assert_true(adapter_read_success("{\"success\": true}", 17));
	assert_false(adapter_read_success("{\"success\": false}", 18));
	assert_false(adapter_read_success("{}", 2));
}

static void test_names(void **state)
{
	static const char *const same[][2] = {{"a", "a:latest"},
					      {"A:Latest", "a"},
					      {"library/a", "a:latest"},
					      {"registry.ollama.ai/library/a", "a"},
					      {"hf.co/u/r:Q4", "HF.co/u/r:q4"}};
	static const char *const other[][2] = {
		{"a", "a:7b"}, {"u/a", "a"}, {"a:latest", "ab:latest"}, {":latest", "a:latest"}};
	const struct adapter *ollama = adapter_of("ollama"), *openai = adapter_of("openai");
	(void)state;

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		assert_true(adapter_same_model(ollama, same[i][0], same[i][1]));
		assert_true(adapter_same_model(ollama, same[i][1], same[i][0]));
		assert_false(adapter_same_model(openai, same[i][0], same[i][1]));
	}
	assert_true(adapter_same_model(adapter_of("koboldcpp"), "Qwen3.gguf", "koboldcpp/Qwen3"));
	assert_true(adapter_same_model(adapter_of("koboldcpp"), "Qwen3.kcpps", "koboldcpp/Qwen3"));
	assert_false(adapter_same_model(adapter_of("koboldcpp"), "Qwen3.gguf", "koboldcpp/Qwen"));
	assert_true(adapter_same_model(adapter_of("koboldcpp"), "My (best) Qwen+3.gguf",
				       "koboldcpp/MybestQwen3"));
	assert_true(adapter_same_model(adapter_of("koboldcpp"), "(a).gguf", "a+"));
	assert_false(adapter_same_model(adapter_of("koboldcpp"), "a b", "koboldcpp/a-b"));
	assert_false(adapter_same_model(adapter_of("koboldcpp"), "é.gguf", "koboldcpp/"));
	assert_false(adapter_same_model(ollama, "a b", "ab"));
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		assert_false(adapter_same_model(ollama, other[i][0], other[i][1]));
}

static int busy_of(const char *body)
{
	return adapter_read_slots(body, strlen(body), NULL);
}

static void test_busy(void **state)
{
	(void)state;

	assert_int_equal(busy_of("[{\"is_processing\":false},{\"is_processing\":true}]"), 1);
	assert_int_equal(busy_of("[{\"is_processing\":false}]"), 0);
	assert_int_equal(busy_of("{\"error\":{}}"), -1);
}

static void test_pending(void **state)
{
	static const char *const over[] = {"",
					   "[]",
					   "{}",
					   "{\"status\":7}",
					   "{\"status\":\"completed\"}",
					   "{\"output\":[{\"status\":\"in_progress\"}]}"};
	(void)state;

	assert_true(adapter_read_pending("{\"status\":\"queued\"}", 19));
	assert_true(adapter_read_pending("{\"status\":\"in_progress\"}", 24));
	for (size_t i = 0; i < sizeof(over) / sizeof(over[0]); i++)
		assert_false(adapter_read_pending(over[i], strlen(over[i])));
}

/* Of one that is too long for the memory there is for it. */
static void test_pending_by_its_beginning(void **state)
{
	static const struct {
		const char *body;
		int pending;
	} rows[] = {{"{\"id\":\"r\",\"status\":\"queued\",\"output\":[{\"result\":\"iVBOR", 1},
		    {"{\"status\":\"completed\",\"output\":[{\"status\":\"in_progress\",", 0},
		    {"{\"output\":[{\"status\":\"completed\",\"result\":\"iVBOR", -1},
		    {"{\"text\":\"\\\"status\\\":\\\"queued\\\",", -1},
		    {"{\"status\":7,", -1},
		    {"{\"status\":\"queu", -1},
		    {"", -1}};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(adapter_read_pending_part(rows[i].body, strlen(rows[i].body)),
				 rows[i].pending);
}

static void test_prompts(void **state)
{
	static const char queue[] = "{\"queue_running\":[[4,\"a\",{},{},[]]],"
				    "\"queue_pending\":[[5,\"b\"],[6],7]}";
	static const char *const unreadable[] = {"", "[]", "{\"queue_running\":[]}",
						 "{\"queue_running\":{},\"queue_pending\":[]}",
						 "<html>\"queue_running\""};
	char prompt[8] = "x";
	(void)state;

	assert_int_equal(adapter_read_queue(queue, strlen(queue), "a"), 1);
	assert_int_equal(adapter_read_queue(queue, strlen(queue), "b"), 1);
	assert_int_equal(adapter_read_queue(queue, strlen(queue), "c"), 0);
	assert_int_equal(adapter_read_queue(queue, strlen(queue), NULL), 1);
	assert_int_equal(
		adapter_read_queue("{\"queue_running\":[],\"queue_pending\":[]}", 39, NULL), 0);
	for (size_t i = 0; i < sizeof(unreadable) / sizeof(*unreadable); i++)
		assert_int_equal(adapter_read_queue(unreadable[i], strlen(unreadable[i]), "a"), -1);

	adapter_read_prompt("{\"prompt_id\":\"abcdefg\"}", 23, prompt, sizeof(prompt));
	assert_string_equal(prompt, "abcdefg");
	adapter_read_prompt("{\"prompt_id\":\"abcdefgh\"}", 24, prompt, sizeof(prompt));
	assert_string_equal(prompt, ""); /* longer than what could be asked for */
	adapter_read_prompt("{\"prompt_id\":7}", 15, prompt, sizeof(prompt));
	assert_string_equal(prompt, "");
}

static int progress_of(const char *body)
{
	return adapter_read_progress(body, strlen(body), NULL);
}

/* Of pages: what PyTorch has reserved of a card, if it is more than it keeps anyway. */
static void test_pages(void **state)
{
	(void)state;

	check_read(adapter_read_comfyui,
		   "{\"devices\":[{\"type\":\"cuda\",\"torch_vram_total\":1073741824},"
		   "{\"type\":\"cuda\",\"torch_vram_total\":2147483648}]}",
		   "=2147483648;");
	check_read(adapter_read_comfyui,
		   "{\"devices\":[{\"type\":\"cpu\",\"torch_vram_total\":99999999999}]}", "");
	check_read(adapter_read_comfyui,
		   "{\"devices\":[{\"type\":\"cuda\",\"torch_vram_total\":500000000}]}", "");
	check_read(adapter_read_comfyui, "{\"system\":{}}", NULL);
	check_read(adapter_read_comfyui, "{\"devices\":[{}]}", NULL);
	check_read(adapter_read_comfyui,
		   "{\"devices\":[{\"type\":\"cuda\",\"torch_vram_total\":\"5\"}]}", NULL);
	check_read(adapter_read_a1111, "{\"cuda\":{\"reserved\":{\"current\":1073741824}}}",
		   "=1073741824;");
	check_read(adapter_read_a1111, "{\"cuda\":{\"error\":\"unavailable\"}}", "");
	check_read(adapter_read_a1111, "{\"detail\":\"Not Found\"}", NULL);
	check_read(adapter_read_a1111, "{\"cuda\":{}}", NULL);

	assert_int_equal(progress_of("{\"state\":{\"job_count\":2}}"), 1);
	assert_int_equal(progress_of("{\"state\":{\"job_count\":0}}"), 0);
	assert_int_equal(progress_of("{\"detail\":\"Not Found\"}"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_fill),
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_loaded_is_read_whole),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_busy),
		cmocka_unit_test(test_prompts),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_pending),
		cmocka_unit_test(test_pending_by_its_beginning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
