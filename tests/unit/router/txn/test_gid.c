/* Names of transactions: printed and parsed back; nothing else is taken for ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "router/txn/gid.h"

#define IDENTITY "0123456789abcdef0123456789abcdef"
#define HASH     "1a7674eb4ee78df7e1ac439a93c3fa8e"

static struct txn_identity
identity(void)
{
	struct txn_identity i;

	assert_true(txn_identity_parse(slice_of(IDENTITY), &i));
	return i;
}

static void
test_key(void **state)
{
	struct txn_identity i = identity();
	char key[TXN_KEY_SIZE];

	(void)state;
	/* SELECT left(encode(sha256('tok'), 'hex'), 32) */
	txn_key(&i, "tok", key);
	assert_string_equal(key, "weir_" IDENTITY "_" HASH);
	assert_int_equal(strlen(key), TXN_KEY_LEN);
}

static void
test_token(void **state)
{
	uint8_t random[TXN_RANDOM_BYTES] = {0, 255, 16};
	char token[TXN_TOKEN_LEN + 1];

	(void)state;
	txn_token(random, token);
	assert_string_equal(token, "00ff1000000000000000000000000000");
}

static void
test_round_trip(void **state)
{
	struct txn_identity i = identity();
	char key[TXN_KEY_SIZE], name[GID_MAX];
	struct gid g;

	(void)state;
	txn_key(&i, "another", key);
	for (int part = 0; part < TXN_PARTS_MAX; part += 11) {
		gid_print(key, part, name);
		assert_true(strlen(name) < 200);
		assert_true(gid_parse(slice_of(name), &g));
		assert_int_equal(g.part, part);
		assert_string_equal(g.key, key);
		assert_true(txn_identity_eq(&g.anchor, &i));
	}
	assert_true(txn_key_parse(slice_of(key), &g));
	assert_int_equal(g.part, -1);
}

static void
test_not_ours(void **state)
{
	static const char *const others[] = {"", "weir_", "x", "weir_" IDENTITY "_" HASH,
	    "weir_" IDENTITY "_" HASH "_", "weir_" IDENTITY "_" HASH "_01",
	    "weir_" IDENTITY "_" HASH "_1024", "weir_" IDENTITY "_" HASH "_-1",
	    "weir_" IDENTITY "_" HASH "_1 ", "weir_" IDENTITY "_" HASH "x_1",
	    "weir_" IDENTITY "-" HASH "_1", "Weir_" IDENTITY "_" HASH "_1",
	    "weir_0123456789ABCDEF0123456789abcdef_" HASH "_1",
	    "weir_" IDENTITY "_1a7674eb4ee78df7e1ac439a93c3fa8'_1",
	    "weir_" IDENTITY "_" HASH "_99999999999999999999"};
	struct gid g;

	(void)state;
	for (size_t n = 0; n < sizeof others / sizeof others[0]; n++)
		assert_false(gid_parse(slice_of(others[n]), &g));
	assert_false(txn_key_parse(SLICE_LIT("weir_" IDENTITY "_" HASH "_1"), &g));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_key),
	    cmocka_unit_test(test_token), cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_not_ours)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
