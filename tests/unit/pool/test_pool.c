/* Pools of two workers on a real PostgreSQL 15 that the test starts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/pool/world.h"
#include "tests/unit/wire/certs.h"

static struct test_pg pg;
static bool have_pg;
static struct world world;
static struct client clients[64];

static int
group_setup(void **state)
{
	(void)state;
	log_setup(LOG_LOGFMT, LOG_ERROR, 0);
	have_pg = test_pg_init(&pg) && test_pg_start(&pg) &&
	    test_pg_sql(&pg, "CREATE ROLE anna LOGIN") &&
	    test_pg_sql(&pg, "CREATE ROLE bert LOGIN");
	if (!have_pg)
		print_message("no PostgreSQL 15 here: nothing is tested\n");
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	test_pg_stop(&pg);
	return 0;
}

static void
start(int workers, int pool_size)
{
	if (!have_pg)
		skip();
	world_start(&world, &pg, workers);
	atomic_store(&world.backend->limits.pool_size, pool_size);
}

static void
wait_all(int n, int ms)
{
	for (int i = 0; i < n; i++)
		assert_true(client_wait(&clients[i], ms));
}

#define BACKEND (world.backend)

/* ---- one worker ---- */

static void
lends_and_reuses(void **state)
{
	(void)state;
	start(1, 5);
	client_start(&clients[0], &world, 0, "anna", "SELECT 1", 50, 0);
	wait_all(1, 5000);
	assert_int_equal(atomic_load(&clients[0].done), 50);
	assert_int_equal(atomic_load(&BACKEND->connections), 1);
	assert_int_equal(atomic_load(&BACKEND->n_connects), 1);
	assert_int_equal(world_idle(&world, 0), 1);
	world_stop(&world);
}

static void
queues_at_the_limit(void **state)
{
	(void)state;
	start(1, 2);
	for (int i = 0; i < 10; i++)
		client_start(&clients[i], &world, 0, "anna", "SELECT 1", 20, 1);
	wait_all(10, 10000);
	for (int i = 0; i < 10; i++)
		assert_int_equal(atomic_load(&clients[i].done), 20);
	assert_int_equal(atomic_load(&BACKEND->connections), 2);
	assert_int_equal(atomic_load(&BACKEND->n_connects), 2);
	world_stop(&world);
}

static void
takes_turns(void **state)
{
	uint64_t used[4];

	(void)state;
	start(1, 5);
	for (int i = 0; i < 3; i++)
		client_start(
		    &clients[i], &world, 0, "anna", "SELECT pg_sleep(0.1)", 1, 0);
	wait_all(3, 3000);
	/* the same again and again */
	for (int i = 0; i < 4; i++) {
		client_start(&clients[0], &world, 0, "anna", "SELECT 1", 1, 0);
		wait_all(1, 3000);
		used[i] = atomic_load(&clients[0].server_id);
		assert_int_equal(used[i], used[0]);
	}
	atomic_store(&BACKEND->limits.server_round_robin, true);
	for (int i = 0; i < 4; i++) {
		client_start(&clients[0], &world, 0, "anna", "SELECT 1", 1, 0);
		wait_all(1, 3000);
		used[i] = atomic_load(&clients[0].server_id);
	}
	assert_int_equal(used[3], used[0]);
	assert_true(used[0] != used[1] && used[1] != used[2] && used[0] != used[2]);
	world_stop(&world);
}

/* ---- the budget ---- */

static atomic_int seen_max;
static atomic_bool sampling;

static void *
sample(void *arg)
{
	(void)arg;
	while (atomic_load(&sampling)) {
		int n = atomic_load(&BACKEND->connections);

		if (n > atomic_load(&seen_max))
			atomic_store(&seen_max, n);
	}
	return NULL;
}

/* Does the server itself have at most so many? */
static bool
server_has_at_most(int n)
{
	char sql[300];

	snprintf(sql, sizeof sql,
	    "DO $$ BEGIN IF (SELECT count(*) FROM pg_stat_activity WHERE usename IN "
	    "('anna','bert')) > %d THEN RAISE 'too many'; END IF; END $$",
	    n);
	return test_pg_sql(&pg, sql);
}

static void
budget_is_exact(void **state)
{
	pthread_t t;

	(void)state;
	start(2, 5);
	atomic_store(&seen_max, 0);
	atomic_store(&sampling, true);
	pthread_create(&t, NULL, sample, NULL);
	for (int i = 0; i < 16; i++)
		client_start(&clients[i], &world, i & 1, i % 3 == 0 ? "anna" : "bert",
		    "SELECT 1", 300, i % 5 == 0);
	while (!client_wait(&clients[0], 50))
		assert_true(server_has_at_most(5));
	wait_all(16, 30000);
	atomic_store(&sampling, false);
	pthread_join(t, NULL);
	for (int i = 0; i < 16; i++) {
		assert_int_equal(atomic_load(&clients[i].done), 300);
		assert_int_equal(atomic_load(&clients[i].failed), 0);
		assert_int_equal(atomic_load(&clients[i].lost), 0);
	}
	assert_in_range(atomic_load(&seen_max), 1, 5);
	assert_int_equal(atomic_load(&BACKEND->waiting), 0);
	EVENTUALLY(3000,
	    atomic_load(&BACKEND->connections) ==
		world_idle(&world, 0) + world_idle(&world, 1));
	world_stop(&world);
}

static void
other_login_is_evicted(void **state)
{
	(void)state;
	for (int other = 0; other < 2; other++) {
		start(2, 1);
		client_start(&clients[0], &world, 0, "anna", "SELECT 1", 1, 0);
		wait_all(1, 3000);
		client_start(&clients[0], &world, other, "bert", "SELECT 1", 1, 0);
		wait_all(1, 3000);
		assert_int_equal(atomic_load(&clients[0].done), 1);
		assert_int_equal(atomic_load(&BACKEND->connections), 1);
		assert_int_equal(atomic_load(&BACKEND->n_evictions), 1);
		assert_int_equal(atomic_load(&BACKEND->n_connects), 2);
		world_stop(&world);
	}
}

/* A login that always has something to do must not starve another. */
static void
busy_login_gives_way(void **state)
{
	(void)state;
	for (int other = 0; other < 2; other++) {
		start(2, 2);
		for (int i = 1; i < 9; i++)
			client_start(
			    &clients[i], &world, 0, "anna", "SELECT 1", 1000000, 1);
		world_sleep_ms(100);
		client_start(&clients[0], &world, other, "bert", "SELECT 1", 3, 0);
		wait_all(1, 5000);
		assert_int_equal(atomic_load(&clients[0].done), 3);
		assert_true(atomic_load(&clients[0].max_wait_us) < 1000000);
		world_stop_clients(&clients[1], 8);
		world_stop(&world);
	}
}

/* ---- between workers ---- */

static void
idle_connection_moves(void **state)
{
	(void)state;
	start(2, 5);
	for (int i = 0; i < 6; i++) {
		client_start(&clients[i], &world, i & 1, "anna", "SELECT 1", 1, 0);
		assert_true(client_wait(&clients[i], 3000));
		assert_int_equal(
		    atomic_load(&clients[i].pid), atomic_load(&clients[0].pid));
		assert_int_equal(atomic_load(&clients[i].server_id),
		    atomic_load(&clients[0].server_id));
	}
	assert_int_equal(atomic_load(&BACKEND->n_connects), 1);
	assert_int_equal(atomic_load(&BACKEND->n_moves), 5);
	world_stop(&world);
}

static bool
turn_tls_on(void)
{
	struct passwd *user = getpwnam("postgres");
	struct test_cert cert;

	test_cert_make(
	    &cert, pg.data, "server", "localhost", "DNS:localhost", EVP_sha256(), NULL);
	if (geteuid() == 0 &&
	    (chown(cert.cert_file, user->pw_uid, user->pw_gid) != 0 ||
		chown(cert.key_file, user->pw_uid, user->pw_gid) != 0))
		abort();
	test_cert_free(&cert);
	return test_pg_sql(&pg, "ALTER SYSTEM SET ssl_cert_file = 'server.crt'") &&
	    test_pg_sql(&pg, "ALTER SYSTEM SET ssl_key_file = 'server.key'") &&
	    test_pg_sql(&pg, "ALTER SYSTEM SET ssl = on") &&
	    test_pg_sql(&pg, "SELECT pg_reload_conf()");
}

static void
tls_moves_along(void **state)
{
	struct backend_target t = {.host = "127.0.0.1",
	    .port = pg.port,
	    .dbname = "postgres",
	    .sslmode = "require"};

	(void)state;
	start(2, 3);
	assert_true(turn_tls_on());
	backend_unref(world.backend);
	world.backend = backend_create("shop", "s1", 0, 1, &t);
	for (int i = 0; i < 10; i++) {
		client_start(&clients[i], &world, i & 1, "anna",
		    "DO $$ BEGIN IF NOT (SELECT ssl FROM pg_stat_ssl WHERE pid = "
		    "pg_backend_pid())"
		    " THEN PERFORM pg_sleep(1000); END IF; END $$",
		    1, 0);
		assert_true(client_wait(&clients[i], 3000));
		assert_int_equal(atomic_load(&clients[i].done), 1);
	}
	assert_int_equal(atomic_load(&BACKEND->n_connects), 1);
	assert_int_equal(atomic_load(&BACKEND->n_moves), 9);
	for (int i = 0; i < 10; i++)
		client_start(&clients[i], &world, i & 1, "anna", "SELECT 1", 50, 1);
	wait_all(10, 10000);
	world_stop(&world);
}

/* 13 clients share 2 servers, each for 5 ms: first-in-first-out would make each wait for
 * 30 ms. */
static void
lonely_client_waits_no_longer(void **state)
{
	(void)state;
	start(2, 2);
	for (int i = 1; i < 13; i++)
		client_start(&clients[i], &world, 0, "anna", "SELECT 1", 1000000, 5);
	world_sleep_ms(200);
	client_start(&clients[0], &world, 1, "anna", "SELECT 1", 40, 5);
	wait_all(1, 20000);
	assert_int_equal(atomic_load(&clients[0].done), 40);
	print_message("longest wait: %.1f ms\n",
	    (double)atomic_load(&clients[0].max_wait_us) / 1e3);
	assert_true(atomic_load(&clients[0].max_wait_us) < 150000);
	assert_int_equal(atomic_load(&BACKEND->n_connects), 2);
	world_stop_clients(&clients[1], 12);
	world_stop(&world);
}

/* ---- limits of time and number ---- */

static void
waiter_times_out(void **state)
{
	(void)state;
	start(1, 1);
	atomic_store(&BACKEND->limits.query_wait_timeout_us, 200000);
	client_start(&clients[0], &world, 0, "anna", "SELECT pg_sleep(0.6)", 1, 0);
	world_sleep_ms(100);
	client_start(&clients[1], &world, 0, "anna", "SELECT 1", 1, 0);
	wait_all(2, 3000);
	assert_int_equal(atomic_load(&clients[0].done), 1);
	assert_int_equal(atomic_load(&clients[1].failed), 1);
	assert_string_equal(clients[1].err.sqlstate, "53300");
	assert_string_equal(
	    clients[1].err.hint, "pool_size of shop/s1/0 (1) reached, 1 active");
	world_stop(&world);
}

static void
reserve_serves_who_waited(void **state)
{
	uint64_t wait;

	(void)state;
	start(1, 1);
	atomic_store(&BACKEND->limits.reserve_pool_size, 1);
	atomic_store(&BACKEND->limits.reserve_pool_timeout_us, 200000);
	client_start(&clients[0], &world, 0, "anna", "SELECT pg_sleep(1)", 1, 0);
	world_sleep_ms(100);
	client_start(&clients[1], &world, 0, "anna", "SELECT 1", 1, 0);
	assert_true(client_wait(&clients[1], 3000));
	wait = atomic_load(&clients[1].max_wait_us);
	assert_true(wait >= 200000 && wait < 700000);
	wait_all(1, 3000);
	/* back to pool_size when nobody waits */
	EVENTUALLY(2000, atomic_load(&BACKEND->connections) == 1);
	world_stop(&world);
}

static void
minimum_is_kept(void **state)
{
	(void)state;
	start(2, 5);
	atomic_store(&BACKEND->limits.min_pool_size, 3);
	atomic_store(&BACKEND->limits.server_idle_timeout_us, 100000);
	client_start(&clients[0], &world, 0, "anna", "SELECT 1", 1, 0);
	wait_all(1, 3000);
	EVENTUALLY(3000, world_idle(&world, 0) + world_idle(&world, 1) == 3);
	world_sleep_ms(800);
	assert_int_equal(atomic_load(&BACKEND->connections), 3);
	world_stop(&world);
}

static void
idle_ones_are_closed(void **state)
{
	(void)state;
	start(1, 5);
	atomic_store(&BACKEND->limits.server_idle_timeout_us, 300000);
	for (int i = 0; i < 3; i++)
		client_start(
		    &clients[i], &world, 0, "anna", "SELECT pg_sleep(0.1)", 1, 0);
	wait_all(3, 3000);
	EVENTUALLY(2000, atomic_load(&BACKEND->connections) == 0);
	world_stop(&world);
}

static void
old_ones_are_replaced(void **state)
{
	(void)state;
	start(1, 2);
	atomic_store(&BACKEND->limits.server_lifetime_us, 300000);
	for (int i = 0; i < 4; i++)
		client_start(&clients[i], &world, 0, "anna", "SELECT 1", 300, 4);
	wait_all(4, 20000);
	for (int i = 0; i < 4; i++)
		assert_int_equal(atomic_load(&clients[i].done), 300);
	assert_true(atomic_load(&BACKEND->n_connects) > 4);
	EVENTUALLY(2000, atomic_load(&BACKEND->connections) == 0);
	/* 0: each is used once */
	atomic_store(&BACKEND->limits.server_lifetime_us, 0);
	atomic_store(&BACKEND->n_connects, 0);
	client_start(&clients[0], &world, 0, "anna", "SELECT 1", 5, 0);
	wait_all(1, 5000);
	assert_int_equal(atomic_load(&BACKEND->n_connects), 5);
	world_stop(&world);
}

static void
lowered_limit_takes_effect(void **state)
{
	(void)state;
	start(2, 6);
	for (int i = 0; i < 12; i++)
		client_start(&clients[i], &world, i & 1, "anna", "SELECT 1", 1000000, 2);
	EVENTUALLY(3000, atomic_load(&BACKEND->connections) == 6);
	atomic_store(&BACKEND->limits.pool_size, 2);
	EVENTUALLY(3000, atomic_load(&BACKEND->connections) == 2);
	atomic_store(&BACKEND->limits.pool_size, 4);
	EVENTUALLY(3000, atomic_load(&BACKEND->connections) == 4);
	world_stop_clients(clients, 12);
	world_stop(&world);
}

/* ---- failures ---- */

static void
refused_login_fails_its_own(void **state)
{
	(void)state;
	start(1, 5);
	for (int i = 0; i < 5; i++)
		client_start(&clients[i], &world, 0, "nobody", "SELECT 1", 1, 0);
	wait_all(5, 3000);
	for (int i = 0; i < 5; i++)
		assert_string_equal(clients[i].err.sqlstate, "28000");
	assert_int_equal(atomic_load(&BACKEND->breaker), BREAKER_CLOSED);
	assert_int_equal(atomic_load(&BACKEND->failures), 0);
	client_start(&clients[0], &world, 0, "anna", "SELECT 1", 1, 0);
	wait_all(1, 3000);
	assert_int_equal(atomic_load(&clients[0].done), 1);
	world_stop(&world);
}

static void
terminated_at_rest_is_noticed(void **state)
{
	(void)state;
	start(1, 5);
	client_start(&clients[0], &world, 0, "anna", "SELECT 1", 1, 0);
	wait_all(1, 3000);
	assert_true(test_pg_sql(&pg,
	    "SELECT pg_terminate_backend(pid) FROM "
	    "pg_stat_activity WHERE usename = 'anna'"));
	EVENTUALLY(2000, atomic_load(&BACKEND->connections) == 0);
	client_start(&clients[0], &world, 0, "anna", "SELECT 1", 1, 0);
	wait_all(1, 3000);
	assert_int_equal(atomic_load(&clients[0].done), 1);
	assert_int_equal(atomic_load(&BACKEND->breaker), BREAKER_CLOSED);
	world_stop(&world);
}

static void
stop_postgres(void)
{
	int status;

	kill(pg.pid, SIGINT);
	waitpid(pg.pid, &status, 0);
	pg.pid = 0;
}

static void
server_restarts(void **state)
{
	(void)state;
	start(2, 3);
	atomic_store(&BACKEND->limits.breaker_open_us, 300000);
	for (int i = 0; i < 6; i++)
		client_start(&clients[i], &world, i & 1, "anna", "SELECT 1", 1000000, 1);
	world_sleep_ms(200);
	stop_postgres();
	wait_all(6, 5000);
	for (int i = 0; i < 6; i++)
		assert_int_equal(atomic_load(&clients[i].failed), 1);
	assert_int_equal(atomic_load(&BACKEND->connections), 0);
	/* the breaker opens, and new ones fail at once with the last error */
	for (int i = 0; i < 3; i++) {
		client_start(&clients[0], &world, 0, "anna", "SELECT 1", 1, 0);
		wait_all(1, 3000);
		assert_string_equal(clients[0].err.sqlstate, "08001");
	}
	assert_int_not_equal(atomic_load(&BACKEND->breaker), BREAKER_CLOSED);
	assert_true(test_pg_start(&pg));
	world_sleep_ms(500);
	for (int i = 0; i < 6; i++)
		client_start(&clients[i], &world, i & 1, "anna", "SELECT 1", 20, 1);
	wait_all(6, 5000);
	assert_int_equal(atomic_load(&BACKEND->breaker), BREAKER_CLOSED);
	assert_true(atomic_load(&clients[0].done) + atomic_load(&clients[1].done) > 0);
	world_stop(&world);
}

static void
frozen_server_times_out(void **state)
{
	uint64_t began;

	(void)state;
	start(1, 2);
	atomic_store(&BACKEND->limits.server_connect_timeout_us, 300000);
	kill(pg.pid, SIGSTOP);
	began = clock_us();
	client_start(&clients[0], &world, 0, "anna", "SELECT 1", 1, 0);
	wait_all(1, 5000);
	kill(pg.pid, SIGCONT);
	assert_int_equal(atomic_load(&clients[0].failed), 1);
	/* two attempts */
	assert_in_range(clock_us() - began, 500000, 2500000);
	client_start(&clients[0], &world, 0, "anna", "SELECT 1", 1, 0);
	wait_all(1, 3000);
	assert_int_equal(atomic_load(&clients[0].done), 1);
	world_stop(&world);
}

/* ---- checks, resets, cancels ---- */

static void
checks_before_use(void **state)
{
	(void)state;
	start(1, 5);
	atomic_store(&BACKEND->limits.server_check_delay_us, 0);
	backend_set_check_query(BACKEND, "SELECT 'checked'");
	client_start(&clients[0], &world, 0, "anna", "SELECT 1", 20, 0);
	wait_all(1, 5000);
	assert_int_equal(atomic_load(&clients[0].done), 20);
	assert_int_equal(atomic_load(&BACKEND->n_connects), 1);
	/* a check that fails costs the connection, not the client */
	backend_set_check_query(BACKEND, "SELECT 1/0");
	client_start(&clients[0], &world, 0, "anna", "SELECT 1", 3, 0);
	wait_all(1, 5000);
	assert_int_equal(atomic_load(&clients[0].done), 3);
	assert_true(atomic_load(&BACKEND->n_connects) >= 3);
	world_stop(&world);
}

/* What rested while the breaker was open is checked, whatever server_check_delay says. */
static void
checks_after_an_outage(void **state)
{
	struct err e;

	(void)state;
	start(1, 5);
	client_start(&clients[0], &world, 0, "anna", "SELECT 1", 1, 0);
	wait_all(1, 3000);
	backend_set_check_query(BACKEND, "SELECT 1/0");
	(void)err_set(&e, "08006", BLAST_TXN, "made up");
	for (int i = 0; i < 3; i++)
		backend_failed(BACKEND, &e, clock_us());
	assert_int_equal(atomic_load(&BACKEND->breaker), BREAKER_OPEN);
	backend_worked(BACKEND);
	client_start(&clients[0], &world, 0, "anna", "SELECT 1", 2, 0);
	wait_all(1, 3000);
	assert_int_equal(atomic_load(&clients[0].done), 2);
	assert_int_equal(atomic_load(&BACKEND->n_connects), 2);
	world_stop(&world);
}

static struct client *hand; /* one whose server the test handles itself */

static void
reset_it(void *sql)
{
	struct server *s = hand->server;

	timer_stop(&hand->timer);
	hand->server = NULL;
	client_finish(hand);
	pool_reset_and_release(s, sql);
}

static void
resets_before_release(void **state)
{
	(void)state;
	start(1, 1);
	hand = &clients[0];
	client_start(hand, &world, 0, "anna", "SET work_mem = '1234kB'", 1, 60000);
	world_sleep_ms(200);
	world_call(&world, 0, reset_it, "DISCARD ALL");
	client_start(&clients[1], &world, 0, "anna",
	    "DO $$ BEGIN IF current_setting('work_mem') = '1234kB' THEN RAISE 'leak'; "
	    "END IF; END $$",
	    1, 60000);
	EVENTUALLY(3000, atomic_load(&clients[1].pid) != 0);
	assert_int_equal(atomic_load(&clients[1].pid), atomic_load(&clients[0].pid));
	world_sleep_ms(100);
	hand = &clients[1];
	/* a reset that fails costs the connection */
	world_call(&world, 0, reset_it, "no such statement");
	EVENTUALLY(3000, atomic_load(&BACKEND->connections) == 0);
	world_stop(&world);
}

static void
cancel_it(void *arg)
{
	(void)arg;
	pool_cancel_query(hand->server);
	pool_cancel_query(hand->server);
}

static void
cancels(void **state)
{
	uint64_t began;

	(void)state;
	start(1, 1);
	began = clock_us();
	hand = &clients[0];
	client_start(hand, &world, 0, "anna", "SELECT pg_sleep(20)", 1, 0);
	client_start(&clients[1], &world, 0, "anna", "SELECT 1", 1, 0);
	world_sleep_ms(200);
	world_call(&world, 0, cancel_it, NULL);
	wait_all(2, 5000);
	assert_true(clock_us() - began < 5000000);
	assert_int_equal(atomic_load(&clients[1].done), 1);
	assert_int_equal(atomic_load(&BACKEND->n_connects), 1);
	world_stop(&world);
}

/* ---- an operator's commands ---- */

static void
resume(void *arg)
{
	(void)arg;
	pools_resume(world.pools[0], "shop");
}

static void
reconnect(void *arg)
{
	(void)arg;
	pools_reconnect(world.pools[0], NULL);
}

static void
kill_pools(void *arg)
{
	(void)arg;
	pools_kill(world.pools[0], "shop");
}

static void
pause_and_resume(void **state)
{
	(void)state;
	start(1, 2);
	client_start(&clients[0], &world, 0, "anna", "SELECT 1", 1, 0);
	wait_all(1, 3000);
	atomic_store(&BACKEND->paused, true);
	client_start(&clients[0], &world, 0, "anna", "SELECT 1", 1, 0);
	assert_false(client_wait(&clients[0], 500));
	atomic_store(&BACKEND->paused, false);
	world_call(&world, 0, resume, NULL);
	wait_all(1, 1000);
	assert_int_equal(atomic_load(&clients[0].done), 1);
	atomic_store(&BACKEND->disabled, true);
	client_start(&clients[0], &world, 0, "anna", "SELECT 1", 1, 0);
	wait_all(1, 1000);
	assert_string_equal(clients[0].err.sqlstate, "3D000");
	world_stop(&world);
}

static void
reconnect_and_kill(void **state)
{
	uint32_t pid;

	(void)state;
	start(1, 1);
	client_start(&clients[0], &world, 0, "anna", "SELECT pg_sleep(0.3)", 1, 0);
	world_sleep_ms(150);
	world_call(&world, 0, reconnect, NULL);
	wait_all(1, 3000);
	pid = atomic_load(&clients[0].pid);
	EVENTUALLY(2000, atomic_load(&BACKEND->connections) == 0);
	client_start(&clients[0], &world, 0, "anna", "SELECT pg_sleep(20)", 1, 0);
	world_sleep_ms(150);
	assert_int_not_equal(atomic_load(&clients[0].pid), pid);
	client_start(&clients[1], &world, 0, "anna", "SELECT 1", 1, 0);
	world_stop_clients(&clients[0], 1);
	world_call(&world, 0, kill_pools, NULL);
	wait_all(2, 3000);
	assert_int_equal(atomic_load(&clients[0].lost), 1);
	assert_string_equal(clients[1].err.sqlstate, "57P01");
	EVENTUALLY(2000, atomic_load(&BACKEND->connections) == 0);
	world_stop(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lends_and_reuses),
	    cmocka_unit_test(takes_turns),
	    cmocka_unit_test(queues_at_the_limit),
	    cmocka_unit_test(budget_is_exact),
	    cmocka_unit_test(other_login_is_evicted),
	    cmocka_unit_test(busy_login_gives_way),
	    cmocka_unit_test(idle_connection_moves),
	    cmocka_unit_test(tls_moves_along),
	    cmocka_unit_test(lonely_client_waits_no_longer),
	    cmocka_unit_test(waiter_times_out),
	    cmocka_unit_test(reserve_serves_who_waited),
	    cmocka_unit_test(minimum_is_kept),
	    cmocka_unit_test(idle_ones_are_closed),
	    cmocka_unit_test(old_ones_are_replaced),
	    cmocka_unit_test(lowered_limit_takes_effect),
	    cmocka_unit_test(refused_login_fails_its_own),
	    cmocka_unit_test(terminated_at_rest_is_noticed),
	    cmocka_unit_test(server_restarts),
	    cmocka_unit_test(frozen_server_times_out),
	    cmocka_unit_test(checks_before_use),
	    cmocka_unit_test(checks_after_an_outage),
	    cmocka_unit_test(resets_before_release),
	    cmocka_unit_test(cancels),
	    cmocka_unit_test(pause_and_resume),
	    cmocka_unit_test(reconnect_and_kill),
	};

	cmocka_set_test_filter(getenv("WEIR_TEST"));
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
