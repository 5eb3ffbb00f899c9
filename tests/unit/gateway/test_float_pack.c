/* Goal: lists of numbers under `embedding` become the floats' bytes, however the answer is cut; all
 * else stays, byte for byte; a list that cannot be packed is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "gateway/float_pack.h"

struct pack_case {
	const char *body, *want; /* want NULL: refused */
};

/* 0.5 is 0000003f, -1 is 000080bf, 1e-3 is 6f12833a, all little-endian. */
static const struct pack_case cases[] = {
	{"{\"data\":[{\"embedding\":[0.5]}]}", "{\"data\":[{\"embedding\":\"AAAAPw==\"}]}"},
	{"{\"embedding\" : [ 0.5 , -1\n] , \"x\":[1]}",
	 "{\"embedding\" : \"AAAAPwAAgL8=\" , \"x\":[1]}"},
	{"{\"embedding\":[0.5,-1.0,1E-3],\"embedding\":[0.5]}",
	 "{\"embedding\":\"AAAAPwAAgL9vEoM6\",\"embedding\":\"AAAAPw==\"}"},
	{"{\"embedding\":[]}", "{\"embedding\":\"\"}"},
	{"{\"embedding\":\"AAAAPw==\"}", "{\"embedding\":\"AAAAPw==\"}"},
	{"{\"embedding\":[[0.5],[1]]}", "{\"embedding\":[[0.5],[1]]}"},
	{"{\"embedding\":[\"embedding\",[1]]}", "{\"embedding\":[\"embedding\",[1]]}"},
	{"{\"object\":\"embedding\",\"embeddings\":[1],\"an embedding\":[1]}",
	 "{\"object\":\"embedding\",\"embeddings\":[1],\"an embedding\":[1]}"},
	{"{\"a\":\"\\\"embedding\\\":[1]\",\"embedding\":null}",
	 "{\"a\":\"\\\"embedding\\\":[1]\",\"embedding\":null}"},
	{"{\"embedding\":[1e-60]}", "{\"embedding\":\"AAAAAA==\"}"},
	{"{\"embedding\":[0.5,null]}", NULL},
	{"{\"embedding\":[0.5,]}", NULL},
	{"{\"embedding\":[0.5 1]}", NULL},
	{"{\"embedding\":[0.5,NaN]}", NULL},
	{"{\"embedding\":[1e99]}", NULL},
	{"{\"embedding\":[1-1]}", NULL},
	{"{\"embedding\":[0.5", NULL},
	{"{\"embedding\":[000000000000000000000000000000000000000000000000000000000000001]}", NULL},
};

static void check_case(const struct pack_case *one, size_t piece)
{
	struct float_pack pack = {0};
	cleanup_text struct text out = {0};
	size_t length = strlen(one->body);
	bool good = true;

	for (size_t at = 0; at < length && good; at += piece)
		good = float_pack_take(&pack, one->body + at,
				       at + piece > length ? length - at : piece, &out);

	assert_int_equal(good && float_pack_end(&pack), one->want != NULL);
	if (one->want)
		assert_string_equal(out.bytes, one->want);
}

static void test_cases(void **state)
{
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t piece = 1; piece <= strlen(cases[i].body); piece++)
			check_case(&cases[i], piece);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
