#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <pthread.h>
#include <cmocka.h>

#include "base/metric.h"

static void
test_buckets_are_seamless(void **state)
{
	uint64_t next = 0;

	(void)state;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		uint64_t upper = histogram_upper_us(i);

		assert_true(upper >= next);
		assert_int_equal(histogram_bucket_of(next), i);
		assert_int_equal(histogram_bucket_of(upper), i);
		/* four to an octave: no bucket is wider than a quarter of where it begins
		 */
		if (next >= 4)
			assert_true((upper - next + 1) * 4 <= next);
		next = upper + 1;
	}
	assert_true(next > 100 * 1000 * 1000);
	assert_int_equal(histogram_bucket_of(next), HISTOGRAM_BUCKETS - 1);
	assert_int_equal(histogram_bucket_of(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
	assert_true(histogram_upper_us(HISTOGRAM_BUCKETS - 1) == UINT64_MAX);
}

static void
test_quantiles_and_merge(void **state)
{
	static struct histogram a, b, sum;

	(void)state;
	assert_true(histogram_quantile(&a, 0.5) == 0);
	for (uint64_t i = 1; i <= 1000; i++)
		histogram_record(i % 2 ? &a : &b, i * 10);
	histogram_merge(&sum, &a);
	histogram_merge(&sum, &b);
	assert_int_equal(histogram_count(&sum), 1000);
	assert_int_equal(histogram_sum_us(&sum), 5005000);
	for (int p = 5; p <= 99; p++) {
		double want = p * 100.0, got = histogram_quantile(&sum, p / 100.0);

		assert_true(got > want * 0.97 && got < want * 1.03);
	}
	assert_true(histogram_quantile(&sum, 1) >= 10000);
	assert_true(histogram_quantile(&sum, 0) <= 10);
	assert_true(histogram_quantile(&sum, 2) == histogram_quantile(&sum, 1));
}

static void
test_quantile_of_huge(void **state)
{
	static struct histogram h;

	(void)state;
	histogram_record(&h, UINT64_MAX / 2);
	assert_true(histogram_quantile(&h, 0.5) > 1e8);
	assert_true(histogram_quantile(&h, 0.5) < 1e9);
}

static void *
write_many(void *arg)
{
	for (uint64_t i = 0; i < 200000; i++)
		histogram_record(arg, i & 1023);
	return NULL;
}

static void
test_read_while_written(void **state)
{
	static struct histogram h;
	uint64_t seen = 0;
	pthread_t t;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, write_many, &h), 0);
	while (seen < 200000) {
		uint64_t now = histogram_count(&h);

		assert_true(now >= seen);
		seen = now;
	}
	pthread_join(t, NULL);
	assert_int_equal(histogram_count(&h), 200000);
}

static void
test_counters(void **state)
{
	struct counter c = {0};

	(void)state;
	counter_add(&c, 5);
	counter_add_shared(&c, 7);
	assert_int_equal(counter_get(&c), 12);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_buckets_are_seamless),
	    cmocka_unit_test(test_quantiles_and_merge),
	    cmocka_unit_test(test_quantile_of_huge),
	    cmocka_unit_test(test_read_while_written),
	    cmocka_unit_test(test_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
