#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/slab.h"

#define N (SLAB_CHUNK * 5)

static void
test_zeroed_and_distinct(void **state)
{
	static unsigned char *p[N];
	struct slab s;

	(void)state;
	slab_init(&s, 37);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < N; i++) {
			p[i] = slab_alloc(&s);
			assert_int_equal((uintptr_t)p[i] % 8, 0);
			for (int j = 0; j < 37; j++)
				assert_int_equal(p[i][j], 0);
			memset(p[i], i & 0xff, 37);
		}
		for (int i = 0; i < N; i++)
			for (int j = 0; j < 37; j++)
				assert_int_equal(p[i][j], i & 0xff);
		assert_int_equal(s.live, N);
		/* out of order, so that chunks go through all fillings */
		for (int i = 0; i < N; i++)
			slab_free(&s, p[(i * 7) % N]);
		assert_int_equal(s.live, 0);
		assert_true(s.chunks <= 1);
		assert_true(s.empty <= 1);
	}
	slab_free(&s, NULL);
	slab_fini(&s);
}

static void
test_reuses(void **state)
{
	struct slab s;
	void *a, *keep;

	(void)state;
	slab_init(&s, 64);
	keep = slab_alloc(&s);
	for (int i = 0; i < 1000; i++) {
		a = slab_alloc(&s);
		slab_free(&s, a);
	}
	assert_true(s.chunks <= 1);
	slab_free(&s, keep);
	slab_fini(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_zeroed_and_distinct),
	    cmocka_unit_test(test_reuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
