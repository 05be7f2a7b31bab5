/* Pools of two workers on a real PostgreSQL 15 that the test starts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/pool/world.h"

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
	    test_pg_sql(&pg, "CREATE ROLE anna LOGIN") && test_pg_sql(&pg, "CREATE ROLE bert LOGIN");
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lends_and_reuses),
	    cmocka_unit_test(queues_at_the_limit),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
