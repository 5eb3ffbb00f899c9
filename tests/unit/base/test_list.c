/* Goal: lists keep their order, and a node can leave while the list is walked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
	int number;
	struct list link;
};

/* Items come in the order in which they were appended, less those that left. */
static void test_order(void **state)
{
	struct item items[4];
	struct list list;
	int expect = 0;

	(void)state;
	list_init(&list);
	assert_true(list_empty(&list));
	for (int i = 0; i < 4; i++) {
		items[i].number = i;
		list_init(&items[i].link);
		list_append(&list, &items[i].link);
	}
	list_each (it, next, &list) {
		struct item *item = container_of(it, struct item, link);
		assert_int_equal(item->number, expect++);
		if (item->number % 2 == 0)
			list_remove(it);
	}
	assert_int_equal(expect, 4);
	assert_ptr_equal(list.next, &items[1].link);
	assert_ptr_equal(list.prev, &items[3].link);
	list_remove(&items[0].link); /* again: a no-op */
	assert_true(list_empty(&items[0].link));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_order)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
