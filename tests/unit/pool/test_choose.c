/* Choice of primary and replica, the circuit breaker, the budget's count: no server, no
 * clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "pool/health.h"
#include "pool/pool_impl.h"

#define N   4
#define NOW UINT64_C(1000000000)

static struct backend *b[N];
static unsigned cursor;

static int
setup(void **state)
{
	struct backend_target t = {.host = "h", .port = "1", .user = "u"};

	(void)state;
	backend_set_workers(2);
	for (int i = 0; i < N; i++) {
		b[i] = backend_create("d", "s", i, 1, &t);
		atomic_store(&b[i]->role, i == 0 ? ROLE_PRIMARY : ROLE_REPLICA);
		atomic_store(&b[i]->timeline, 1);
		atomic_store(&b[i]->probed_us, NOW - 100);
		atomic_store(&b[i]->lsn, 500);
	}
	cursor = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (int i = 0; i < N; i++)
		backend_unref(b[i]);
	return 0;
}

static struct backend *
replica(enum replica_policy policy, const struct read_token *t, uint64_t rnd)
{
	return choose_replica(b, N, policy, t, NOW, rnd, &cursor);
}

/* ---- primary ---- */

static void
primary_is_the_one_not_in_recovery(void **state)
{
	(void)state;
	assert_ptr_equal(choose_primary(b, N), b[0]);
	atomic_store(&b[0]->role, ROLE_REPLICA);
	assert_null(choose_primary(b, N));
	atomic_store(&b[2]->role, ROLE_PRIMARY);
	assert_ptr_equal(choose_primary(b, N), b[2]);
	atomic_store(&b[2]->role, ROLE_UNKNOWN);
	assert_null(choose_primary(b, N));
	assert_null(choose_primary(b, 0));
}

static void
of_two_primaries_the_later_timeline(void **state)
{
	(void)state;
	atomic_store(&b[3]->role, ROLE_PRIMARY);
	assert_ptr_equal(choose_primary(b, N), b[0]);
	atomic_store(&b[3]->timeline, 2);
	assert_ptr_equal(choose_primary(b, N), b[3]);
	/* also while it cannot be reached: never the old one */
	atomic_store(&b[3]->breaker, BREAKER_OPEN);
	assert_ptr_equal(choose_primary(b, N), b[3]);
}

static void
without_a_probe_position_decides(void **state)
{
	struct backend_target t = {.host = "h", .port = "1"};
	struct backend *two[2] = {
	    backend_create("d", "s", 0, 1, &t), backend_create("d", "s", 1, 1, &t)};

	(void)state;
	assert_ptr_equal(choose_primary(two, 2), two[0]);
	assert_ptr_equal(
	    choose_replica(two, 2, REPLICA_RANDOM, NULL, NOW, 7, &cursor), two[1]);
	backend_unref(two[0]);
	backend_unref(two[1]);
}

/* 0 and 3 are the primary's hosts, 1 and 2 a replica's. */
static void
of_several_hosts_one_is_used(void **state)
{
	(void)state;
	backend_set_first(b[0], 0);
	backend_set_first(b[3], 0);
	backend_set_first(b[1], 1);
	backend_set_first(b[2], 1);
	for (uint64_t r = 0; r < 8; r++)
		assert_ptr_equal(replica(REPLICA_RANDOM, NULL, r), b[1]);
	atomic_store(&b[1]->breaker, BREAKER_OPEN);
	for (uint64_t r = 0; r < 8; r++)
		assert_ptr_equal(replica(REPLICA_RANDOM, NULL, r), b[2]);
	atomic_store(&b[2]->role, ROLE_UNKNOWN);
	assert_null(replica(REPLICA_RANDOM, NULL, 0));
	/* two ways to the primary */
	atomic_store(&b[3]->role, ROLE_PRIMARY);
	assert_ptr_equal(choose_primary(b, N), b[0]);
	atomic_store(&b[0]->breaker, BREAKER_OPEN);
	assert_ptr_equal(choose_primary(b, N), b[3]);
	/* not of different conninfos: then it may be an old one that came back */
	b[3]->first = 3;
	assert_ptr_equal(choose_primary(b, N), b[0]);
}

/* ---- replicas ---- */

static void
unfit_replicas_are_left_out(void **state)
{
	(void)state;
	atomic_store(&b[1]->breaker, BREAKER_OPEN);
	atomic_store(&b[2]->role, ROLE_UNKNOWN);
	for (uint64_t r = 0; r < 10; r++)
		assert_ptr_equal(replica(REPLICA_RANDOM, NULL, r), b[3]);
	atomic_store(&b[3]->limits.max_replica_lag_us, 1000);
	atomic_store(&b[3]->lag_us, 1000);
	assert_ptr_equal(replica(REPLICA_RANDOM, NULL, 0), b[3]);
	atomic_store(&b[3]->lag_us, 1001);
	assert_null(replica(REPLICA_RANDOM, NULL, 0));
	atomic_store(&b[3]->limits.max_replica_lag_us, 0);
	atomic_store(&b[3]->retired, true);
	assert_null(replica(REPLICA_RANDOM, NULL, 0));
}

static void
a_token_must_be_passed(void **state)
{
	struct read_token t = {.lsn = 600, .timeline = 1};

	(void)state;
	assert_null(replica(REPLICA_ROUND_ROBIN, &t, 0));
	atomic_store(&b[2]->lsn, 599);
	assert_null(replica(REPLICA_ROUND_ROBIN, &t, 0));
	atomic_store(&b[2]->lsn, 600);
	assert_ptr_equal(replica(REPLICA_ROUND_ROBIN, &t, 0), b[2]);
	/* what was written after a failover is not on one that stayed behind */
	t.timeline = 2;
	assert_null(replica(REPLICA_ROUND_ROBIN, &t, 0));
	atomic_store(&b[2]->timeline, 2);
	assert_ptr_equal(replica(REPLICA_ROUND_ROBIN, &t, 0), b[2]);
}

static void
a_write_counts_from_the_next_probe_on(void **state)
{
	struct read_token t = {.written_us = NOW - 100};

	(void)state;
	/* probed at the same moment: it may have been before */
	assert_null(replica(REPLICA_ROUND_ROBIN, &t, 0));
	atomic_store(&b[0]->lsn, 700);
	atomic_store(&b[0]->probed_us, NOW - 99);
	assert_null(replica(REPLICA_ROUND_ROBIN, &t, 0));
	atomic_store(&b[3]->lsn, 700);
	assert_ptr_equal(replica(REPLICA_ROUND_ROBIN, &t, 0), b[3]);
	t.lsn = 701;
	assert_null(replica(REPLICA_ROUND_ROBIN, &t, 0));
	t.lsn = 0;
	atomic_store(&b[0]->role, ROLE_UNKNOWN);
	assert_null(replica(REPLICA_ROUND_ROBIN, &t, 0));
}

static void
policies(void **state)
{
	int got[N] = {0};

	(void)state;
	for (int i = 0; i < 6; i++)
		assert_ptr_equal(replica(REPLICA_ROUND_ROBIN, NULL, 0), b[1 + i % 3]);
	atomic_store(&b[1]->worker[0].active, 2);
	atomic_store(&b[2]->worker[0].active, 1);
	atomic_store(&b[2]->worker[1].active, 1);
	atomic_store(&b[3]->worker[1].active, 1);
	for (uint64_t r = 0; r < 9; r++)
		assert_ptr_equal(replica(REPLICA_LEAST_CONNECTIONS, NULL, r), b[3]);
	b[1]->weight = 3;
	b[2]->weight = 0;
	for (uint64_t r = 0; r < 400; r++)
		got[replica(REPLICA_WEIGHTED, NULL, r)->position]++;
	assert_int_equal(got[1], 300);
	assert_int_equal(got[2], 0);
	assert_int_equal(got[3], 100);
	b[1]->weight = b[3]->weight = 0;
	assert_null(replica(REPLICA_WEIGHTED, NULL, 5));
}

static void
equals_share_by_chance(void **state)
{
	int got[N] = {0};

	(void)state;
	for (uint64_t r = 0; r < 300; r++) {
		got[replica(REPLICA_LEAST_CONNECTIONS, NULL, r)->position]++;
		got[replica(REPLICA_RANDOM, NULL, r)->position]++;
	}
	for (int i = 1; i < N; i++)
		assert_int_equal(got[i], 200);
}

/* ---- breaker ---- */

static struct err
failure(void)
{
	struct err e;

	(void)err_set(&e, "08006", BLAST_TXN, "it broke");
	return e;
}

static void
breaker_opens_and_closes(void **state)
{
	struct err e = failure();
	uint64_t open = atomic_load(&b[0]->limits.breaker_open_us);
	char text[200];

	(void)state;
	backend_failed(b[0], &e, NOW);
	backend_failed(b[0], &e, NOW);
	assert_true(backend_usable(b[0], NOW));
	backend_worked(b[0]);
	backend_failed(b[0], &e, NOW);
	backend_failed(b[0], &e, NOW);
	assert_true(backend_usable(b[0], NOW));
	backend_failed(b[0], &e, NOW);
	assert_false(backend_usable(b[0], NOW));
	assert_true(backend_last_error(b[0], text, sizeof text) > 0);
	assert_string_equal(text, "it broke");
	/* one trial */
	assert_false(backend_usable(b[0], NOW + open - 1));
	assert_true(backend_would_be_usable(b[0], NOW + open));
	assert_true(backend_usable(b[0], NOW + open));
	assert_int_equal(atomic_load(&b[0]->breaker), BREAKER_HALF_OPEN);
	assert_false(backend_usable(b[0], NOW + open));
	assert_false(backend_would_be_usable(b[0], NOW + open));
	/* it fails: open again at once */
	backend_failed(b[0], &e, NOW + open);
	assert_int_equal(atomic_load(&b[0]->breaker), BREAKER_OPEN);
	/* the next one never reports: another follows */
	assert_true(backend_usable(b[0], NOW + 2 * open));
	assert_true(backend_usable(b[0], NOW + 3 * open));
	assert_false(backend_usable(b[0], NOW + 3 * open));
	backend_worked(b[0]);
	assert_int_equal(atomic_load(&b[0]->breaker), BREAKER_CLOSED);
	assert_true(backend_usable(b[0], NOW));
}

static void
same_backends(void **state)
{
	struct backend_target t = {.host = "h", .port = "1", .user = "u"};

	(void)state;
	assert_true(backend_same(b[0], "d", "s", 0, &t));
	assert_false(backend_same(b[0], "d", "s", 1, &t));
	assert_false(backend_same(b[0], "d", "t", 0, &t));
	t.password = "x";
	assert_false(backend_same(b[0], "d", "s", 0, &t));
}

/* ---- budget ---- */

static void
budget_counts(void **state)
{
	uint64_t since;

	(void)state;
	assert_true(budget_take(b[0], 2));
	assert_true(budget_take(b[0], 2));
	assert_false(budget_take(b[0], 2));
	assert_true(budget_take(b[0], 3));
	atomic_store(&b[0]->limits.pool_size, 10);
	atomic_store(&b[0]->limits.reserve_pool_size, 5);
	atomic_store(&b[0]->limits.reserve_pool_timeout_us, 100);
	assert_int_equal(budget_limit(b[0], 99), 10);
	assert_int_equal(budget_limit(b[0], 100), 15);
	atomic_store(&b[0]->limits.reserve_pool_timeout_us, 0);
	assert_int_equal(budget_limit(b[0], UINT64_MAX), 10);
	/* who needs it most */
	assert_int_equal(budget_neediest(b[0], 2, -1, &since), -1);
	atomic_store(&b[0]->waiting, 2);
	atomic_store(&b[0]->worker[0].oldest_wait_us, 20);
	atomic_store(&b[0]->worker[1].oldest_wait_us, 10);
	assert_int_equal(budget_neediest(b[0], 2, -1, &since), 1);
	assert_int_equal(since, 10);
	assert_int_equal(budget_neediest(b[0], 2, 1, &since), 0);
	atomic_store(&b[0]->worker[1].coming, 1);
	assert_int_equal(budget_neediest(b[0], 2, -1, &since), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(primary_is_the_one_not_in_recovery),
	    TEST(of_two_primaries_the_later_timeline),
	    TEST(without_a_probe_position_decides),
	    TEST(of_several_hosts_one_is_used),
	    TEST(unfit_replicas_are_left_out),
	    TEST(a_token_must_be_passed),
	    TEST(a_write_counts_from_the_next_probe_on),
	    TEST(policies),
	    TEST(equals_share_by_chance),
	    TEST(breaker_opens_and_closes),
	    TEST(same_backends),
	    TEST(budget_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
