#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "router/route/directory.h"

static int duplicates;
static uint32_t first_tag, second_tag;

static void
on_duplicate(void *arg, struct slice key, uint32_t first, uint32_t second)
{
	(void)arg, (void)key;
	duplicates++;
	first_tag = first;
	second_tag = second;
}

static struct slice
int_key(const int64_t *v)
{
	return (struct slice){(const char *)v, sizeof *v};
}

static void
integers(void **state)
{
	struct directory *d = directory_create(8, 1);
	int64_t n = 200000;

	(void)state;
	duplicates = 0;
	assert_int_equal(directory_get(d, int_key(&n)), DIRECTORY_MISS);
	for (int64_t i = 0; i < n; i++) {
		int64_t key = i * 7919;

		assert_int_equal(
		    directory_add(d, int_key(&key), (int)(i % 1000), (uint32_t)i),
		    DIRECTORY_ADDED);
	}
	directory_seal(d, on_duplicate, NULL);
	assert_int_equal(duplicates, 0);
	assert_int_equal(directory_count(d), n);
	for (int64_t i = 0; i < n; i++) {
		int64_t key = i * 7919, other = key + 1;

		assert_int_equal(directory_get(d, int_key(&key)), i % 1000);
		assert_int_equal(directory_get(d, int_key(&other)), DIRECTORY_MISS);
	}
	/* 18 bytes a key, as the header says. */
	assert_true(directory_bytes(d) < (size_t)n * 18 + 1000);
	assert_int_equal(
	    directory_add(d, SLICE_LIT("short"), 1, 1), DIRECTORY_KEY_TOO_LONG);
	directory_destroy(d);
}

static bool
count_one(void *arg, struct slice key, int shard)
{
	int *n = arg;
	char expected[40];

	snprintf(expected, sizeof expected, "tenant-%d", *n);
	assert_true(slice_eq_str(key, expected));
	assert_int_equal(shard, *n % 3);
	return ++*n < 500;
}

static void
texts(void **state)
{
	struct directory *d = directory_create(0, 99);
	static char big[DIRECTORY_KEY_MAX + 1];
	char key[40];
	int seen = 0;

	(void)state;
	for (int i = 0; i < 50000; i++) {
		snprintf(key, sizeof key, "tenant-%d", i);
		assert_int_equal(
		    directory_add(d, slice_of(key), i % 3, 0), DIRECTORY_ADDED);
	}
	memset(big, 'x', sizeof big);
	for (size_t n = 250; n < 260; n++)
		assert_int_equal(
		    directory_add(d, (struct slice){big, n}, (int)n, 0), DIRECTORY_ADDED);
	assert_int_equal(directory_add(d, (struct slice){big, DIRECTORY_KEY_MAX}, 5, 0),
	    DIRECTORY_ADDED);
	assert_int_equal(directory_add(d, (struct slice){big, sizeof big}, 5, 0),
	    DIRECTORY_KEY_TOO_LONG);
	assert_int_equal(directory_add(d, SLICE_LIT(""), 7, 0), DIRECTORY_ADDED);
	directory_seal(d, on_duplicate, NULL);
	for (size_t n = 250; n < 260; n++)
		assert_int_equal(directory_get(d, (struct slice){big, n}), n);
	assert_int_equal(directory_get(d, (struct slice){big, 260}), DIRECTORY_MISS);
	assert_int_equal(directory_get(d, (struct slice){big, DIRECTORY_KEY_MAX}), 5);
	assert_int_equal(directory_get(d, SLICE_LIT("")), 7);
	assert_int_equal(directory_get(d, (struct slice){NULL, 0}), 7);
	assert_int_equal(directory_get(d, SLICE_LIT("tenant-49999")), 49999 % 3);
	assert_int_equal(directory_get(d, SLICE_LIT("tenant-50000")), DIRECTORY_MISS);
	directory_each(d, count_one, &seen);
	assert_int_equal(seen, 500);
	directory_destroy(d);
}

static void
duplicate_keys(void **state)
{
	struct directory *d = directory_create(0, 3);

	(void)state;
	duplicates = 0;
	directory_add(d, SLICE_LIT("a"), 1, 10);
	directory_add(d, SLICE_LIT("b"), 1, 20);
	directory_add(d, SLICE_LIT("a"), 2, 30);
	directory_seal(d, on_duplicate, NULL);
	assert_int_equal(duplicates, 1);
	assert_int_equal(first_tag, 10);
	assert_int_equal(second_tag, 30);
	directory_destroy(d);
	directory_destroy(NULL);
}

/* ---- cache ---- */

static struct directory *
cache_of(size_t size, uint64_t ttl_us)
{
	struct directory *d = directory_create(8, 5);

	directory_seal(d, on_duplicate, NULL);
	assert_false(directory_has_cache(d));
	directory_cache_init(d, size, ttl_us);
	assert_true(directory_has_cache(d));
	return d;
}

static void
cache_learns_and_forgets(void **state)
{
	struct directory *d = cache_of(1000, 100);
	struct directory_stats s;
	int64_t k = 1, other = 2;

	(void)state;
	directory_cache_forget(d, int_key(&k));
	assert_int_equal(directory_cache_get(d, int_key(&k), 1000), DIRECTORY_MISS);
	directory_cache_learn(d, int_key(&k), 3, 1000);
	directory_cache_learn(d, int_key(&other), -1, 1000);
	assert_int_equal(directory_cache_get(d, int_key(&k), 1099), 3);
	assert_int_equal(directory_cache_get(d, int_key(&other), 1099), -1);
	assert_int_equal(directory_cache_get(d, int_key(&k), 1100), DIRECTORY_MISS);
	directory_cache_learn(d, int_key(&k), 3, 2000);
	directory_cache_learn(d, int_key(&k), 4, 2050);
	assert_int_equal(directory_cache_get(d, int_key(&k), 2149), 4);
	directory_cache_forget(d, int_key(&k));
	assert_int_equal(directory_cache_get(d, int_key(&k), 2060), DIRECTORY_MISS);
	directory_cache_learn(d, int_key(&k), 4, 2050);
	directory_cache_clear(d);
	assert_int_equal(directory_cache_get(d, int_key(&k), 2060), DIRECTORY_MISS);
	directory_cache_stats(d, &s);
	assert_int_equal(s.keys, 0);
	assert_int_equal(s.hits, 3);
	assert_int_equal(s.misses, 4);
	assert_int_equal(s.expired, 1);
	directory_destroy(d);
}

static void
cache_without_clock(void **state)
{
	struct directory *d = cache_of(1000, 5000000);
	int64_t k = 1, other = 2;

	(void)state;
	directory_cache_learn(d, int_key(&k), 3, 10000000);
	assert_int_equal(directory_cache_get(d, int_key(&k), 0), 3);
	directory_cache_get(d, int_key(&other), 99000000);
	assert_int_equal(directory_cache_get(d, int_key(&k), 0), DIRECTORY_MISS);
	directory_destroy(d);
}

static void
cache_is_bounded(void **state)
{
	struct directory *d = cache_of(6400, 1000000);
	struct directory_stats s;
	int hot_left = 0;

	(void)state;
	for (int64_t k = 0; k < 200000; k++) {
		directory_cache_learn(d, int_key(&k), (int)(k % 100), 1);
		/* The first thousand keys are asked for all the time. */
		for (int64_t hot = 0; k % 50 == 0 && hot < 1000; hot++)
			directory_cache_get(d, int_key(&hot), 1);
	}
	directory_cache_stats(d, &s);
	assert_true(s.keys <= 6400 && s.keys > 5000);
	assert_int_equal(s.learned, 200000);
	assert_int_equal(s.evicted, 200000 - s.keys);
	for (int64_t hot = 0; hot < 1000; hot++)
		hot_left += directory_cache_get(d, int_key(&hot), 1) == hot % 100;
	assert_true(hot_left > 900);
	directory_destroy(d);
	d = cache_of(0, 1);
	directory_cache_learn(d, int_key(&(int64_t){1}), 1, 0);
	directory_destroy(d);
}

/* A model: whatever is found must be what was learned last. */
static void
cache_model(void **state)
{
	struct directory *d = cache_of(640, 1000);
	static int model[2000];
	unsigned long long r = 42;

	(void)state;
	for (int i = 0; i < 2000; i++)
		model[i] = DIRECTORY_MISS;
	for (int i = 0; i < 300000; i++) {
		int64_t k;
		int got;

		r = r * 6364136223846793005ULL + 1442695040888963407ULL;
		k = (int64_t)(r >> 33) % 2000;
		switch (r >> 61) {
		case 0:
		case 1:
			model[k] = (int)(r >> 20) % 7 - 1;
			directory_cache_learn(d, int_key(&k), model[k], 1);
			break;
		case 2:
			model[k] = DIRECTORY_MISS;
			directory_cache_forget(d, int_key(&k));
			break;
		default:
			got = directory_cache_get(d, int_key(&k), 1);
			assert_true(got == DIRECTORY_MISS || got == model[k]);
		}
		if (i % 100000 == 99999) {
			directory_cache_clear(d);
			for (int j = 0; j < 2000; j++)
				model[j] = DIRECTORY_MISS;
		}
	}
	directory_destroy(d);
}

static void *
hammer(void *arg)
{
	struct directory *d = arg;
	struct directory_stats s;

	for (int64_t i = 0; i < 60000; i++) {
		int64_t k = i * 31 % 3000;
		int got;

		if (i % 5 == 0)
			directory_cache_learn(
			    d, int_key(&k), (int)(k % 500), (uint64_t)i * 100);
		else if (i % 17 == 0)
			directory_cache_forget(d, int_key(&k));
		else if (i % 20011 == 1)
			directory_cache_clear(d);
		got = directory_cache_get(d, int_key(&k), (uint64_t)i * 100);
		if (got != DIRECTORY_MISS && got != k % 500)
			abort();
	}
	directory_cache_stats(d, &s);
	return NULL;
}

static void
cache_of_many_threads(void **state)
{
	struct directory *d = cache_of(1000, 1000000);
	pthread_t t[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, hammer, d), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	directory_destroy(d);
}

/* WEIR_DIRECTORY_KEYS=10000000: how large and how fast; printed, and held to 1 µs. */
static void
measured(void **state)
{
	const char *keys = getenv("WEIR_DIRECTORY_KEYS");
	int64_t n = keys == NULL ? 0 : atoll(keys), found = 0;
	struct directory *d;
	struct timespec a, b;
	double ns;

	(void)state;
	if (n == 0)
		skip();
	d = directory_create(0, 7);
	for (int64_t i = 0; i < n; i++) {
		char key[40];

		snprintf(key, sizeof key, "tenant-%012lld", (long long)i);
		assert_int_equal(
		    directory_add(d, slice_of(key), (int)(i % 16), 0), DIRECTORY_ADDED);
	}
	clock_gettime(CLOCK_MONOTONIC, &a);
	directory_seal(d, on_duplicate, NULL);
	clock_gettime(CLOCK_MONOTONIC, &b);
	print_message("%lld keys of 19 bytes: sealed in %.2f s, %.1f bytes a key\n",
	    (long long)n,
	    (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9,
	    (double)directory_bytes(d) / (double)n);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int64_t i = 0; i < 2000000; i++) {
		char key[20] = "tenant-000000000000";
		int64_t v = i * 7919 % n;

		for (int p = 18; p > 6; p--, v /= 10)
			key[p] = (char)('0' + v % 10);
		found += directory_get(d, (struct slice){key, 19}) >= 0;
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	ns = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) /
	    2000000;
	print_message("%.0f ns a look-up\n", ns);
	assert_int_equal(found, 2000000);
	assert_true(ns < 1000);
	directory_destroy(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(integers),
	    cmocka_unit_test(texts),
	    cmocka_unit_test(duplicate_keys),
	    cmocka_unit_test(cache_learns_and_forgets),
	    cmocka_unit_test(cache_without_clock),
	    cmocka_unit_test(cache_is_bounded),
	    cmocka_unit_test(cache_model),
	    cmocka_unit_test(cache_of_many_threads),
	    cmocka_unit_test(measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
