/* The prober, on a primary and a replica that the test starts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <time.h>

#include "base/log.h"
#include "pool/health.h"
#include "tests/unit/wire/postgres.h"

static struct test_pg pg, standby;
static bool have_pg;
static struct health *health;
static struct backend *b[2];
static atomic_int changes;
static unsigned cursor;

static uint64_t
clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

#define EVENTUALLY(ms, expr)                                          \
	do {                                                          \
		for (int wait_ = 0; wait_ < (ms) && !(expr); wait_++) \
			usleep(1000);                                 \
		assert_true(expr);                                    \
	} while (0)

static void
changed(void *arg)
{
	(void)arg;
	atomic_fetch_add(&changes, 1);
}

static bool
make_standby(void)
{
	char dir[100];
	const char *const argv[] = {TEST_PG_BIN "/pg_basebackup", "-h", pg.dir, "-p",
	    pg.port, "-U", "postgres", "-D", dir, "-R", "-c", "fast", "--no-sync", NULL};

	standby = pg;
	snprintf(dir, sizeof dir, "%s/standby", pg.dir);
	memcpy(standby.data, dir, sizeof standby.data);
	test_pg_free_port(standby.port);
	return test_pg_run(&pg, argv) && test_pg_start(&standby);
}

static int
setup(void **state)
{
	struct backend_target t = {
	    .host = pg.dir, .dbname = "postgres", .user = "prober"};
	struct err e;

	(void)state;
	log_setup(LOG_LOGFMT, LOG_ERROR, 0);
	have_pg = test_pg_init(&pg) && test_pg_start(&pg) && make_standby() &&
	    test_pg_sql(&pg, "CREATE ROLE prober LOGIN");
	if (!have_pg) {
		print_message("no PostgreSQL 15 here: nothing is tested\n");
		return 0;
	}
	backend_set_workers(1);
	for (int i = 0; i < 2; i++) {
		t.port = i == 0 ? pg.port : standby.port;
		b[i] = backend_create("shop", "s1", i, 1, &t);
		atomic_store(&b[i]->limits.probe_interval_us, 100000);
		atomic_store(&b[i]->limits.probe_timeout_us, 200000);
		atomic_store(&b[i]->limits.breaker_open_us, 100000);
	}
	assert_int_equal(health_create(&health, changed, NULL, &e), RC_OK);
	health_watch(health, b, 2);
	return 0;
}

static int
teardown(void **state)
{
	int status;

	(void)state;
	if (have_pg) {
		health_destroy(health);
		assert_int_equal(atomic_load(&b[0]->refs), 1);
		backend_unref(b[0]);
		backend_unref(b[1]);
		kill(standby.pid, SIGQUIT);
		waitpid(standby.pid, &status, 0);
	}
	test_pg_stop(&pg);
	return 0;
}

#define NEEDS_PG                \
	do {                    \
		if (!have_pg)   \
			skip(); \
	} while (0)

static struct backend *
replica(const struct read_token *t)
{
	return choose_replica(b, 2, REPLICA_RANDOM, t, clock_us(), 0, &cursor);
}

static void
finds_roles(void **state)
{
	(void)state;
	NEEDS_PG;
	EVENTUALLY(5000, choose_primary(b, 2) == b[0] && replica(NULL) == b[1]);
	assert_int_equal(atomic_load(&b[0]->timeline), 1);
	assert_int_equal(atomic_load(&b[1]->timeline), 1);
	assert_true(atomic_load(&b[0]->lsn) > 0);
	EVENTUALLY(5000, atomic_load(&b[1]->lag_us) == 0);
	EVENTUALLY(2000, atomic_load(&b[1]->lsn) == atomic_load(&b[0]->lsn));
	assert_true(atomic_load(&changes) >= 1);
	assert_true(atomic_load(&b[0]->latency_us) > 0);
}

/* A write, then the replica counts as past it, much sooner than by the probes' own
 * interval. */
static void
hurries_for_a_token(void **state)
{
	struct read_token t = {0};
	uint64_t began;

	(void)state;
	NEEDS_PG;
	atomic_store(&b[0]->limits.probe_interval_us, 5000000);
	atomic_store(&b[1]->limits.probe_interval_us, 5000000);
	usleep(300000);
	for (int i = 0; i < 3; i++) {
		assert_true(test_pg_sql(&pg,
		    "CREATE TABLE IF NOT EXISTS t (a int); INSERT INTO t VALUES (1)"));
		began = t.written_us = clock_us();
		assert_null(replica(&t));
		for (int j = 0; j < 5; j++) {
			health_hurry(health, b[0], clock_us() + 1000000);
			health_hurry(health, b[1], clock_us() + 1000000);
		}
		EVENTUALLY(1000, replica(&t) == b[1]);
		assert_true(clock_us() - began < 1000000);
		usleep(1100000); /* the hurry is over */
	}
	atomic_store(&b[0]->limits.probe_interval_us, 100000);
	atomic_store(&b[1]->limits.probe_interval_us, 100000);
	health_hurry(health, b[0], clock_us() + 10000);
	health_hurry(health, b[1], clock_us() + 10000);
}

static void
stop_server(const struct test_pg *who, int signal)
{
	char sql[100];

	/* The postmaster alone would leave the probe's own backend answering. */
	snprintf(sql, sizeof sql, "pkill -%d -P %d; kill -%d %d", signal, (int)who->pid,
	    signal, (int)who->pid);
	assert_int_equal(system(sql), 0);
}

static void
frozen_server_is_left_out(void **state)
{
	(void)state;
	NEEDS_PG;
	stop_server(&standby, SIGSTOP);
	EVENTUALLY(3000, atomic_load(&b[1]->breaker) != BREAKER_CLOSED);
	assert_null(replica(NULL));
	/* the other's probes go on */
	assert_true(clock_us() - atomic_load(&b[0]->probed_us) < 500000);
	stop_server(&standby, SIGCONT);
	EVENTUALLY(3000, replica(NULL) == b[1]);
}

static void
promotion_is_seen(void **state)
{
	const char *const promote[] = {
	    TEST_PG_BIN "/pg_ctl", "promote", "-D", standby.data, NULL};
	int status;

	(void)state;
	NEEDS_PG;
	kill(pg.pid, SIGQUIT);
	waitpid(pg.pid, &status, 0);
	pg.pid = 0;
	EVENTUALLY(3000, atomic_load(&b[0]->breaker) != BREAKER_CLOSED);
	assert_ptr_equal(choose_primary(b, 2), b[0]);
	assert_true(test_pg_run(&standby, promote));
	EVENTUALLY(5000, choose_primary(b, 2) == b[1]);
	assert_int_equal(atomic_load(&b[1]->timeline), 2);
	/* the old one comes back, as a primary: it is not chosen */
	assert_true(test_pg_start(&pg));
	EVENTUALLY(5000, atomic_load(&b[0]->breaker) == BREAKER_CLOSED);
	assert_int_equal(atomic_load(&b[0]->role), ROLE_PRIMARY);
	assert_ptr_equal(choose_primary(b, 2), b[1]);
}

static void
watches_another_set(void **state)
{
	uint64_t probed;

	(void)state;
	NEEDS_PG;
	health_watch(health, &b[1], 1);
	usleep(300000);
	assert_int_equal(atomic_load(&b[0]->refs), 1);
	probed = atomic_load(&b[0]->probed_us);
	EVENTUALLY(2000, clock_us() - atomic_load(&b[1]->probed_us) < 200000);
	usleep(300000);
	assert_int_equal(atomic_load(&b[0]->probed_us), probed);
	health_watch(health, NULL, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(finds_roles),
	    cmocka_unit_test(hurries_for_a_token),
	    cmocka_unit_test(frozen_server_is_left_out),
	    cmocka_unit_test(promotion_is_seen),
	    cmocka_unit_test(watches_another_set),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
