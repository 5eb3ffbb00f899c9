/* Goal: the field `model` of a form is found in whatever order fields come, cut anywhere, and a
 * boundary inside a file's bytes misleads nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/form_scan.h"

#define TYPE "multipart/form-data; boundary=xyz"
#define FILE_PART                                                                                  \
	"--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n"           \
	"Content-Type: audio/wav\r\n\r\nRIFF--xyz name=\"model\"\r\n--xy\r\n\r\n"
#define MODEL_PART "--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n"

struct form_case {
	const char *body;
	enum form_result result;
};

static const struct form_case cases[] = {
	{MODEL_PART FILE_PART "--xyz--\r\n", FORM_FOUND},
	{FILE_PART MODEL_PART "--xyz--\r\n", FORM_FOUND},
	{"preamble\r\n" FILE_PART "--xyz--\r\n", FORM_NONE},
	{"--xyz--\r\n", FORM_NONE},
	{"", FORM_NONE},
	{"--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n\r\n--xyz--", FORM_BROKEN},
	{"--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n" MODEL_PART "--xyz--",
	 FORM_FOUND},
};

/* As it comes: a byte at a time, and the whole at the end. */
static void check_case(const struct form_case *one)
{
	struct form_scan scan;
	char model[FORM_MODEL_BYTES];
	enum form_result result = FORM_MORE;
	size_t length = strlen(one->body);

	assert_true(form_scan_begin(&scan, TYPE));
	for (size_t came = 0; came <= length && result == FORM_MORE; came++)
		result = form_scan_look(&scan, one->body, came, came == length, model);

	assert_int_equal(result, one->result);
	if (result == FORM_FOUND)
		assert_string_equal(model, "whisper-1");
}

static void test_cases(void **state)
{
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_case(&cases[i]);
}

static void test_boundaries(void **state)
{
	struct form_scan scan;
	char type[200];
	(void)state;

	assert_true(form_scan_begin(&scan, "multipart/form-data; boundary=\"a'b:c\"; x=y"));
	assert_string_equal(scan.delimiter, "\r\n--a'b:c");
	assert_false(form_scan_begin(&scan, "multipart/form-data"));
	assert_false(form_scan_begin(&scan, "application/json"));
	assert_false(form_scan_begin(&scan, NULL));
	assert_false(form_scan_begin(&scan, "multipart/form-data; boundary="));
	assert_false(form_scan_begin(&scan, "multipart/form-data; boundary=\"open"));
	snprintf(type, sizeof(type), "multipart/form-data; boundary=%071d", 1);
	assert_false(form_scan_begin(&scan, type));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_boundaries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
