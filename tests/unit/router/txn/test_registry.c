/* What sessions and recovery tell each other: identities, requests that are answered once or taken back, commits under way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "router/txn/registry.h"

#define KEY "weir_0123456789abcdef0123456789abcdef_1a7674eb4ee78df7e1ac439a93c3fa8e"

static int woken, answered;

static void
wake(void *arg)
{
	assert_ptr_equal(arg, &woken);
	woken++;
}

static void
done(struct txn_request *r)
{
	(void)r;
	answered++;
}

static struct txn_request
request(enum txn_request_kind kind, void (*fn)(struct txn_request *))
{
	struct txn_request r = {.kind = kind, .done = fn};

	snprintf(r.key, sizeof r.key, "%s", KEY);
	snprintf(r.database, sizeof r.database, "shop");
	return r;
}

static void
test_no_service(void **state)
{
	struct txn_request r = request(TXN_REQUEST_SETTLE, done);

	(void)state;
	answered = 0;
	txn_request(&r);
	assert_int_equal(answered, 1);
	assert_int_equal(r.verdict, TXN_VERDICT_UNKNOWN);
	r = request(TXN_REQUEST_HURRY, NULL);
	txn_request(&r);
	assert_null(txn_request_take());
}

static void
test_requests(void **state)
{
	struct txn_request a = request(TXN_REQUEST_SETTLE, done), b = a, *taken;
	struct txn_request hurry = request(TXN_REQUEST_HURRY, NULL);

	(void)state;
	answered = woken = 0;
	txn_service_set(wake, &woken);
	txn_request(&a);
	txn_request(&b);
	txn_request(&hurry);
	assert_int_equal(woken, 3);
	assert_true(txn_request_forget(&b));
	taken = txn_request_take();
	assert_ptr_equal(taken, &a);
	assert_true(txn_request_wanted(&a));
	assert_false(txn_request_forget(&a));
	assert_false(txn_request_wanted(&a));
	txn_request_answer(taken, TXN_VERDICT_COMMIT);
	assert_int_equal(answered, 1);
	assert_int_equal(a.verdict, TXN_VERDICT_COMMIT);
	taken = txn_request_take();
	assert_true(taken != NULL && taken != &hurry); /* a copy, freed with its answer */
	assert_string_equal(taken->key, KEY);
	txn_request_answer(taken, TXN_VERDICT_UNKNOWN);
	assert_null(txn_request_take());
	txn_service_set(NULL, NULL);
}

static void
test_shards(void **state)
{
	struct txn_identity id;
	struct txn_part parts[2] = {{.shard = "s1"}, {.shard = "s2"}};
	struct err e;

	(void)state;
	assert_true(
	    txn_identity_parse(SLICE_LIT("0123456789abcdef0123456789abcdef"), &id));
	assert_int_equal(txn_ready("shop", parts, 2, &e), RC_ERR);
	assert_string_equal(e.sqlstate, "55000");
	txn_shard_learn("shop", "s1", TXN_SHARD_READY, &id);
	txn_shard_learn("shop", "s2", TXN_SHARD_NO_PREPARE, &id);
	assert_int_equal(txn_ready("shop", parts, 2, &e), RC_ERR);
	assert_non_null(strstr(e.msg, "max_prepared_transactions"));
	txn_shard_learn("shop", "s2", TXN_SHARD_NO_CATALOG, NULL);
	assert_int_equal(txn_ready("shop", parts, 2, &e), RC_ERR);
	assert_non_null(strstr(e.hint, "weir catalog init"));
	txn_shard_learn("shop", "s2", TXN_SHARD_READY, &id);
	assert_int_equal(txn_ready("shop", parts, 2, &e), RC_OK);
	assert_true(txn_identity_eq(&parts[1].identity, &id));
	assert_int_equal(txn_ready("other", parts, 1, &e), RC_ERR);
}

static void
count(const struct txn_entry *e, void *arg)
{
	assert_string_equal(e->key, KEY);
	++*(int *)arg;
}

static void
test_active(void **state)
{
	struct txn_entry entry = {.database = "shop"};
	int n = 0;

	(void)state;
	snprintf(entry.key, sizeof entry.key, "%s", KEY);
	assert_false(txn_is_active(KEY));
	txn_register(&entry);
	assert_true(txn_is_active(KEY));
	assert_true(txn_age_us(KEY) < UINT64_C(60000000));
	txn_each(count, &n);
	assert_int_equal(n, 1);
	txn_unregister(&entry);
	assert_false(txn_is_active(KEY));
	assert_true(txn_age_us(KEY) == UINT64_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_service),
	    cmocka_unit_test(test_requests), cmocka_unit_test(test_shards),
	    cmocka_unit_test(test_active)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
