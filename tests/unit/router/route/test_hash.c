#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "router/route/hash.h"
#include "router/route/key.h"

static const struct golden {
	enum key_type type;
	const char *text;
	uint64_t hash, partition_hash;
} golden[] = {
#include "golden_hash.h"
};

static void
golden_vectors(void **state)
{
	struct key_env env;
	struct arena a;

	(void)state;
	arena_init(&a);
	key_env_init(&env, "ISO, MDY", "UTC", "UTF8", "UTF8");
	for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++) {
		const struct golden *g = &golden[i];
		struct key k;
		struct err e;

		if (key_from_text(g->type, slice_of(g->text), &env, &a, &k, &e) != RC_OK)
			fail_msg("%s \"%s\": %s", key_type_name(g->type), g->text, e.msg);
		if (key_hash(&k, 0) != g->hash ||
		    key_hash(&k, HASH_PARTITION_SEED) != g->partition_hash)
			fail_msg("%s \"%s\": %016llx, golden %016llx",
			    key_type_name(g->type), g->text,
			    (unsigned long long)key_hash(&k, 0),
			    (unsigned long long)g->hash);
	}
	assert_true(sizeof golden / sizeof golden[0] > 250);
	arena_reset(&a);
}

/* The widths of integers agree, so a column may be widened without moving a row. */
static void
integers_agree(void **state)
{
	(void)state;
	for (int64_t v = -40000; v < 40000; v += 37) {
		struct key k2 = {KEY_INT2, .i = v}, k4 = {KEY_INT4, .i = v},
			   k8 = {KEY_INT8, .i = v};

		assert_true(key_hash(&k2, 0) == key_hash(&k8, 0));
		assert_true(key_hash(&k4, 5) == key_hash(&k8, 5));
	}
}

static void
bytes_of_all_lengths(void **state)
{
	char buf[64];
	uint64_t seen[64];

	(void)state;
	/* Zero bytes count: no two lengths of zeros hash alike. */
	memset(buf, 0, sizeof buf);
	for (size_t n = 0; n < sizeof buf; n++) {
		seen[n] = hash_bytes(buf, n, 0);
		for (size_t i = 0; i < n; i++)
			assert_true(seen[i] != seen[n]);
	}
	assert_true(hash_bytes(NULL, 0, 0) == seen[0]);
}

static void
combine(void **state)
{
	(void)state;
	assert_true(hash_combine(0, 0) == UINT64_C(0x49a0f4dd15e5a8e3));
	assert_true(hash_combine(1, 2) != hash_combine(2, 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(golden_vectors),
	    cmocka_unit_test(integers_agree),
	    cmocka_unit_test(bytes_of_all_lengths),
	    cmocka_unit_test(combine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
