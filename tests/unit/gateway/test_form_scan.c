/* Goal: the field `model` of a form is found in whatever order fields come, cut anywhere; a
 * boundary inside a file's bytes misleads nobody; and what another reader could take for another
 * model is refused, wherever it stands. */
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

#define PART(head) "--xyz\r\nContent-Disposition: form-data; " head "\r\n\r\nsecret\r\n"
#define LAST       "--xyz--\r\n"

static const char *const good[] = {
	MODEL_PART FILE_PART LAST,
	FILE_PART MODEL_PART LAST,
	MODEL_PART PART("name=\"prompt\"") "--xyz--",
	PART("name=models") PART("name=\"a; name=b\"") MODEL_PART LAST,
	PART("name=\"a\"; filename*=utf-8''model; filename=model") MODEL_PART LAST,
	"--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n" MODEL_PART LAST,
	"--xyz\r\ncontent-transfer-encoding: 8bit\r\nCONTENT-DISPOSITION: form-data; NAME=model"
	"\r\n\r\nwhisper-1\r\n" LAST,
};

static const char *const none[] = {FILE_PART LAST, "--xyz--\r\n"};

static const char *const broken[] = {
	"preamble\r\n" MODEL_PART LAST,
	"\r\n" MODEL_PART LAST,
	/* The field twice, or in another form. */
	MODEL_PART MODEL_PART LAST,
	MODEL_PART FILE_PART PART("name=\"model\"") LAST,
	MODEL_PART PART("name=model") LAST,
	MODEL_PART PART("Name = \"model\"") LAST,
	MODEL_PART PART("name=\"Model\"") LAST,
	MODEL_PART PART("name*=utf-8''model") LAST,
	MODEL_PART PART("name=\"a\"; name=\"model\"") LAST,
	MODEL_PART PART("filename=\"a\\\"; name=\"model\"") LAST,
	MODEL_PART PART("name=\"model") LAST,
	MODEL_PART PART("name=\"a\"\r\nContent-Disposition: form-data; name=\"model\"") LAST,
	MODEL_PART PART("name=\"a\"\n;name=\"model\"") LAST,
	MODEL_PART PART("\r\n name=\"model\"") LAST,
	PART("name=\"model\"; filename=\"a\"") LAST,
	PART("name=\"model\"\r\nContent-Transfer-Encoding: quoted-printable") LAST,
	"--xyz\r\ncontent-disposition : form-data; name=\"model\"\r\n\r\nother\r\n" MODEL_PART LAST,
	/* Delimiters that only some take for one. */
	MODEL_PART "a\n" PART("name=\"a\"") LAST,
	"--xyz\nContent-Disposition: form-data; name=\"model\"\n\nsecret\n--xyz--\n",
	MODEL_PART
	"--xyz \r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nsecret\r\n" LAST,
	MODEL_PART LAST MODEL_PART LAST,
	MODEL_PART "--xyzz\r\n" LAST,
	/* No name. */
	"--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n\r\n--xyz--",
	"--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n--xyz--",
	"--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\na\r\nb\r\n--xyz--",
};

/* In two pieces, cut at each byte. */
static void check_all(const char *const *bodies, size_t count, bool taken, const char *model)
{
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(bodies[i]);

		for (size_t cut = 0; cut <= length; cut++) {
			struct form_scan scan;
			bool went_on;

			assert_true(form_scan_begin(&scan, TYPE));
			went_on = form_scan_take(&scan, bodies[i], cut) &&
				  form_scan_take(&scan, bodies[i] + cut, length - cut);
			if (went_on != taken)
				fail_msg("%s\n%s", bodies[i], scan.problem ? scan.problem : "");
			assert_int_equal(scan.state, taken ? FORM_DONE : FORM_BROKEN);
			if (taken)
				assert_int_equal(scan.found, model != NULL);
			if (taken && model)
				assert_string_equal(scan.value, model);
		}
	}
}

static void test_bodies(void **state)
{
	(void)state;

	check_all(good, sizeof(good) / sizeof(good[0]), true, "whisper-1");
	check_all(none, sizeof(none) / sizeof(none[0]), true, NULL);
	check_all(broken, sizeof(broken) / sizeof(broken[0]), false, NULL);
}

static void test_long_names(void **state)
{
	static const char head[] =
		"--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n";
	(void)state;

	for (int length = FORM_MODEL_BYTES - 2; length <= FORM_MODEL_BYTES + 2000; length++) {
		struct form_scan scan;
		char body[4096];
		int size = snprintf(body, sizeof(body), "%s%0*d\r\n--xyz--\r\n", head, length, 1);
		bool fits = length < FORM_MODEL_BYTES;

		assert_true(form_scan_begin(&scan, TYPE));
		assert_int_equal(form_scan_take(&scan, body, (size_t)size), fits);
		if (fits)
			assert_int_equal(strlen(scan.value), length);
	}
}

static void test_boundaries(void **state)
{
	struct form_scan scan;
	char type[200];
	(void)state;

	assert_true(form_scan_begin(&scan, "multipart/form-data; boundary=\"a'b:c\"; x=y"));
	assert_string_equal(scan.delimiter, "\n--a'b:c");
	assert_true(form_scan_begin(&scan, "Multipart/Form-Data;Boundary=a;"));
	assert_false(form_scan_begin(&scan, "multipart/form-data"));
	assert_false(form_scan_begin(&scan, "multipart/form-data; boundary=a; boundary=b"));
	assert_false(form_scan_begin(&scan, "multipart/form-data; xboundary=a"));
	assert_false(form_scan_begin(&scan, "multipart/form-data; boundary=a b"));
	assert_false(form_scan_begin(&scan, "multipart/form-datas; boundary=a"));
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
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_boundaries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
