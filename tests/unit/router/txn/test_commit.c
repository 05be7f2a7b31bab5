/* Typical ends of a transaction, word by word; tests/sim has all the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "router/txn/commit.h"

static struct arena arena;
static struct txn t;
static struct txn_part parts[4];
static char said[4000];

static int
setup(void **state)
{
	(void)state;
	arena_init(&arena);
	memset(parts, 0, sizeof parts);
	for (int i = 0; i < 4; i++) {
		static const char *const names[] = {"s0", "s1", "s2", "s3"};

		parts[i].shard = names[i];
		memset(parts[i].identity.hex, 'a' + i, TXN_IDENTITY_LEN);
	}
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_reset(&arena);
	return 0;
}

/* A statement's words without names and tokens. */
static const char *
brief(const char *sql)
{
	if (strstr(sql, "PREPARE TRANSACTION") != NULL)
		return "prepare";
	if (strncmp(sql, "SELECT weir.txn_commit", 22) == 0)
		return "decide";
	if (strncmp(sql, "COMMIT PREPARED", 15) == 0)
		return "commit prepared";
	if (strncmp(sql, "ROLLBACK PREPARED", 17) == 0)
		return "rollback prepared";
	return sql;
}

/* "0:prepare 1:release …" of what is to be done now. */
static const char *
todo(void)
{
	static const char *const names[] = {
	    "", "release", "discard", "timer", "settle", "hand over", "over"};
	const struct txn_action *a;
	size_t n = 0;

	said[0] = '\0';
	while ((a = txn_next(&t)) != NULL) {
		if (a->kind == TXN_TIMER)
			continue;
		n += (size_t)snprintf(said + n, sizeof said - n, "%s", n > 0 ? ", " : "");
		if (a->kind != TXN_OVER && a->kind != TXN_SETTLE)
			n += (size_t)snprintf(said + n, sizeof said - n, "%d:", a->part);
		n += (size_t)snprintf(said + n, sizeof said - n, "%s",
		    a->kind == TXN_SEND ? brief(a->sql) : names[a->kind]);
	}
	return said;
}

static void
start(int n, bool best_effort)
{
	uint8_t random[TXN_RANDOM_BYTES] = {1, 2, 3};

	txn_init(&t, &arena, parts, n, best_effort, random);
	txn_begin(&t, true);
}

static void
deeds(enum txn_deed a, enum txn_deed b, enum txn_deed c)
{
	parts[0].deed = a;
	parts[1].deed = b;
	parts[2].deed = c;
}

#define EXPECT(words) assert_string_equal(todo(), words)

static void
ends(enum txn_outcome outcome, const char *sqlstate)
{
	assert_int_equal(t.state, TXN_STATE_OVER);
	assert_int_equal(t.answer.outcome, outcome);
	if (sqlstate != NULL)
		assert_string_equal(t.answer.err.sqlstate, sqlstate);
}

static void
prepared(int part)
{
	txn_reply(&t, part, "PREPARE TRANSACTION", NULL, 'I');
}

static void
test_one_shard(void **state)
{
	(void)state;
	deeds(TXN_WROTE, 0, 0);
	start(1, false);
	EXPECT("0:COMMIT");
	txn_reply(&t, 0, "COMMIT", NULL, 'I');
	EXPECT("0:release, over");
	ends(TXN_COMMITTED, NULL);
}

static void
test_one_writer(void **state)
{
	(void)state;
	deeds(TXN_READ, TXN_WROTE, TXN_LOCKED);
	start(3, false);
	EXPECT("0:COMMIT, 2:SELECT 1");
	assert_true(txn_forwards_cancel(&t));
	txn_reply(&t, 2, "SELECT 1", NULL, 'T');
	EXPECT("");
	txn_reply(&t, 0, "COMMIT", NULL, 'I');
	EXPECT("0:release, 1:COMMIT");
	txn_reply(&t, 1, "COMMIT", NULL, 'I');
	EXPECT("1:release, 2:COMMIT");
	txn_reply(&t, 2, "COMMIT", NULL, 'I');
	EXPECT("2:release, over");
	ends(TXN_COMMITTED, NULL);
}

static void
test_readers(void **state)
{
	(void)state;
	deeds(TXN_READ, TXN_READ, TXN_LOCKED);
	start(3, false);
	EXPECT("0:COMMIT, 1:COMMIT, 2:COMMIT");
	txn_lost(&t, 1);
	EXPECT("1:discard");
	txn_reply(&t, 0, "COMMIT", NULL, 'I');
	txn_reply(&t, 2, "COMMIT", NULL, 'I');
	EXPECT("0:release, 2:release, over");
	ends(TXN_COMMITTED, NULL);
}

static void
test_two_phase(void **state)
{
	(void)state;
	deeds(TXN_WROTE, TXN_WROTE, TXN_READ);
	parts[1].first = true;
	start(3, false);
	EXPECT("0:prepare, 2:COMMIT");
	assert_int_equal(t.anchor, 1);
	assert_false(txn_forwards_cancel(&t));
	txn_reply(&t, 2, "COMMIT", NULL, 'I');
	prepared(0);
	EXPECT("2:release, 1:decide");
	txn_reply(&t, 1, "COMMIT", NULL, 'I');
	EXPECT("1:release, 0:commit prepared");
	txn_reply(&t, 0, "COMMIT PREPARED", NULL, 'I');
	EXPECT("0:release, over");
	ends(TXN_COMMITTED, NULL);
	assert_false(t.answer.late);
}

static void
test_unpreparable(void **state)
{
	(void)state;
	deeds(TXN_WROTE, TXN_WROTE, TXN_WROTE);
	parts[0].first = parts[2].unpreparable = true;
	start(3, false);
	EXPECT("0:prepare, 1:prepare");
	assert_int_equal(t.anchor, 2);
	teardown(NULL);
	setup(NULL);
	deeds(TXN_WROTE, TXN_WROTE, 0);
	parts[0].unpreparable = parts[1].unpreparable = true;
	start(2, false);
	EXPECT("0:ROLLBACK, 1:ROLLBACK");
	txn_reply(&t, 0, "ROLLBACK", NULL, 'I');
	txn_reply(&t, 1, "ROLLBACK", NULL, 'I');
	EXPECT("0:release, 1:release, over");
	ends(TXN_FAILED, "0A000");
}

static void
test_serializable(void **state)
{
	(void)state;
	deeds(TXN_READ, TXN_WROTE, 0);
	parts[0].serializable = parts[1].serializable = true;
	assert_true(txn_needs_two_phase(parts, 2));
	start(2, false);
	EXPECT("0:prepare");
	txn_reply(&t, 0, NULL, "40001", 'I');
	EXPECT("0:release, 1:ROLLBACK");
	txn_reply(&t, 1, "ROLLBACK", NULL, 'I');
	EXPECT("1:release, over");
	ends(TXN_SERVER_ERROR, NULL);
	assert_int_equal(t.answer.part, 0);
}

static void
test_prepare_fails(void **state)
{
	(void)state;
	deeds(TXN_WROTE, TXN_WROTE, TXN_WROTE);
	parts[0].first = true;
	start(3, false);
	EXPECT("1:prepare, 2:prepare");
	txn_reply(&t, 1, "SELECT 1", "23503", 'I');
	EXPECT("1:release, 0:ROLLBACK");
	prepared(2);
	EXPECT("2:rollback prepared");
	txn_reply(&t, 2, "ROLLBACK PREPARED", NULL, 'I');
	txn_reply(&t, 0, "ROLLBACK", NULL, 'I');
	EXPECT("2:release, 0:release, over");
	ends(TXN_SERVER_ERROR, NULL);
}

/* PREPARE TRANSACTION in a failed transaction says ROLLBACK, and no error. */
static void
test_prepare_says_rollback(void **state)
{
	(void)state;
	deeds(TXN_WROTE, TXN_WROTE, 0);
	parts[0].first = true;
	start(2, false);
	EXPECT("1:prepare");
	txn_reply(&t, 1, "ROLLBACK", NULL, 'I');
	EXPECT("1:release, 0:ROLLBACK");
	txn_reply(&t, 0, "ROLLBACK", NULL, 'I');
	EXPECT("0:release, over");
	ends(TXN_FAILED, "40000");
}

static void
two_prepared(void)
{
	deeds(TXN_WROTE, TXN_WROTE, 0);
	parts[0].first = true;
	start(2, false);
	EXPECT("1:prepare");
	prepared(1);
	EXPECT("0:decide");
}

static void
test_decision_refused(void **state)
{
	(void)state;
	two_prepared();
	txn_reply(&t, 0, "SELECT 1", "25006", 'E');
	EXPECT("0:ROLLBACK, 1:rollback prepared");
	txn_reply(&t, 1, "ROLLBACK PREPARED", NULL, 'I');
	txn_reply(&t, 0, "ROLLBACK", NULL, 'I');
	EXPECT("1:release, 0:release, over");
	ends(TXN_FAILED, "25006");
}

static void
test_decision_lost(void **state)
{
	(void)state;
	two_prepared();
	txn_lost(&t, 0);
	EXPECT("0:discard, settle");
	txn_verdict(&t, TXN_VERDICT_COMMIT);
	EXPECT("1:commit prepared");
	txn_reply(&t, 1, NULL, "42704", 'I'); /* recovery was faster */
	EXPECT("1:release, over");
	ends(TXN_COMMITTED, NULL);
	assert_false(t.answer.late);

	teardown(NULL);
	setup(NULL);
	two_prepared();
	txn_timeout(&t);
	EXPECT("0:discard, settle");
	txn_verdict(&t, TXN_VERDICT_ABORT);
	EXPECT("1:rollback prepared");
	txn_reply(&t, 1, "ROLLBACK PREPARED", NULL, 'I');
	EXPECT("1:release, over");
	ends(TXN_FAILED, "40001");

	teardown(NULL);
	setup(NULL);
	two_prepared();
	txn_lost(&t, 0);
	EXPECT("0:discard, settle");
	txn_verdict(&t, TXN_VERDICT_UNKNOWN);
	EXPECT("1:hand over, 1:release, over");
	ends(TXN_UNKNOWN, "08007");
}

static void
test_late(void **state)
{
	(void)state;
	two_prepared();
	txn_reply(&t, 0, "COMMIT", NULL, 'I');
	EXPECT("0:release, 1:commit prepared");
	txn_timeout(&t);
	EXPECT("1:discard, 1:hand over, over");
	ends(TXN_COMMITTED, NULL);
	assert_true(t.answer.late);
	txn_lost(&t, 1); /* too late to matter */
	EXPECT("");
}

static void
test_cancel(void **state)
{
	(void)state;
	deeds(TXN_WROTE, TXN_WROTE, 0);
	parts[0].first = true;
	start(2, false);
	EXPECT("1:prepare");
	txn_cancel(&t);
	prepared(1);
	EXPECT("0:ROLLBACK, 1:rollback prepared");
	txn_reply(&t, 0, "ROLLBACK", NULL, 'I');
	txn_reply(&t, 1, "ROLLBACK PREPARED", NULL, 'I');
	EXPECT("0:release, 1:release, over");
	ends(TXN_FAILED, "57014");
}

static void
test_lost_while_preparing(void **state)
{
	(void)state;
	deeds(TXN_WROTE, TXN_WROTE, TXN_LOCKED);
	parts[0].first = true;
	start(3, false);
	EXPECT("1:prepare, 2:SELECT 1");
	txn_lost(&t, 1); /* it may be prepared or not */
	EXPECT("1:discard, 1:hand over, 0:ROLLBACK");
	txn_reply(&t, 2, "SELECT 1", NULL, 'T');
	EXPECT("2:ROLLBACK");
	txn_timeout(&t);
	EXPECT("0:discard, 2:discard, over");
	ends(TXN_FAILED, "08006");
}

static void
test_best_effort(void **state)
{
	(void)state;
	deeds(TXN_WROTE, TXN_WROTE, TXN_WROTE);
	start(3, true);
	EXPECT("0:COMMIT");
	txn_reply(&t, 0, "COMMIT", NULL, 'I');
	EXPECT("0:release, 1:COMMIT");
	txn_reply(&t, 1, NULL, "23505", 'I');
	EXPECT("1:release, 2:COMMIT");
	txn_reply(&t, 2, "COMMIT", NULL, 'I');
	EXPECT("2:release, over");
	ends(TXN_UNKNOWN, "08007");
	assert_non_null(strstr(t.answer.err.msg, "on shard \"s0\", \"s2\", but not"));

	teardown(NULL);
	setup(NULL);
	deeds(TXN_WROTE, TXN_WROTE, 0);
	start(2, true);
	EXPECT("0:COMMIT");
	txn_reply(&t, 0, NULL, "23505", 'I');
	EXPECT("0:release, 1:ROLLBACK");
	txn_reply(&t, 1, "ROLLBACK", NULL, 'I');
	EXPECT("1:release, over");
	ends(TXN_SERVER_ERROR, NULL);
}

static void
test_rollback(void **state)
{
	uint8_t random[TXN_RANDOM_BYTES] = {0};

	(void)state;
	deeds(TXN_WROTE, TXN_READ, 0);
	txn_init(&t, &arena, parts, 2, false, random);
	txn_begin(&t, false);
	EXPECT("0:ROLLBACK, 1:ROLLBACK");
	txn_lost(&t, 0);
	txn_reply(&t, 1, "ROLLBACK", NULL, 'I');
	EXPECT("0:discard, 1:release, over");
	ends(TXN_ROLLED_BACK, NULL);
}

static void
test_no_catalog(void **state)
{
	(void)state;
	deeds(TXN_WROTE, TXN_WROTE, 0);
	parts[1].identity.hex[0] = '\0';
	start(2, false);
	EXPECT("0:ROLLBACK, 1:ROLLBACK");
	txn_lost(&t, 0);
	txn_lost(&t, 1);
	EXPECT("0:discard, 1:discard, over");
	ends(TXN_FAILED, "55000");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {TEST(test_one_shard), TEST(test_one_writer),
	    TEST(test_readers), TEST(test_two_phase), TEST(test_unpreparable),
	    TEST(test_serializable), TEST(test_prepare_fails),
	    TEST(test_prepare_says_rollback), TEST(test_decision_refused),
	    TEST(test_decision_lost), TEST(test_late), TEST(test_cancel),
	    TEST(test_lost_while_preparing), TEST(test_best_effort), TEST(test_rollback),
	    TEST(test_no_catalog)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
