/* The dialer's threads: limits, urgent jobs, the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <unistd.h>

#include "pool/dialer.h"

static struct dialer *dialer;
static struct loop *loop;
static pthread_t thread;
static atomic_int running, most, ran, done;
static atomic_bool go;

static void *
run_loop(void *arg)
{
	loop_run(arg);
	return NULL;
}

static int
setup(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(dialer_create(&dialer, 1, &e), RC_OK);
	assert_int_equal(loop_create(&loop, LOOP_EPOLL, &e), RC_OK);
	pthread_create(&thread, NULL, run_loop, loop);
	running = most = ran = done = 0;
	go = false;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	dialer_destroy(dialer);
	loop_stop(loop);
	pthread_join(thread, NULL);
	loop_destroy(loop);
	return 0;
}

static void
wait_for_go(struct job *j)
{
	int n = atomic_fetch_add(&running, 1) + 1;

	(void)j;
	if (n > atomic_load(&most))
		atomic_store(&most, n);
	while (!atomic_load(&go))
		usleep(1000);
	atomic_fetch_sub(&running, 1);
	atomic_fetch_add(&ran, 1);
}

static void
run_at_once(struct job *j)
{
	(void)j;
	atomic_fetch_add(&ran, 1);
}

static void
count_done(struct job *j)
{
	(void)j;
	atomic_fetch_add(&done, 1);
}

static struct job
job_of(struct backend *b, void (*run)(struct job *))
{
	return (struct job){.loop = loop, .backend = b, .run = run, .done = count_done};
}

static void
wait_for(atomic_int *n, int value)
{
	for (int i = 0; i < 5000 && atomic_load(n) != value; i++)
		usleep(1000);
	assert_int_equal(atomic_load(n), value);
}

static void
a_backend_does_not_take_all_threads(void **state)
{
	struct backend_target t = {.host = "h"};
	struct backend *frozen = backend_create("d", "s", 0, 1, &t);
	struct backend *well = backend_create("d", "s", 1, 1, &t);
	struct job jobs[20], other, urgent;
	int queued, busy, threads;

	(void)state;
	for (int i = 0; i < 20; i++) {
		jobs[i] = job_of(frozen, wait_for_go);
		dialer_run(dialer, &jobs[i]);
	}
	wait_for(&running, DIALER_PER_BACKEND);
	other = job_of(well, run_at_once);
	dialer_run(dialer, &other);
	wait_for(&done, 1);
	urgent = job_of(frozen, run_at_once);
	urgent.urgent = true;
	dialer_run(dialer, &urgent);
	wait_for(&done, 2);
	dialer_stats(dialer, &queued, &busy, &threads);
	assert_int_equal(queued, 20 - DIALER_PER_BACKEND);
	assert_int_equal(busy, DIALER_PER_BACKEND);
	assert_in_range(threads, DIALER_PER_BACKEND, DIALER_PER_BACKEND + 3);
	atomic_store(&go, true);
	wait_for(&done, 22);
	assert_int_equal(atomic_load(&most), DIALER_PER_BACKEND);
	backend_unref(frozen);
	backend_unref(well);
}

static void
threads_grow_to_the_limit(void **state)
{
	static struct job jobs[DIALER_THREADS_MAX + 10];
	int n = DIALER_THREADS_MAX + 10;

	(void)state;
	for (int i = 0; i < n; i++) {
		jobs[i] = job_of(NULL, wait_for_go);
		dialer_run(dialer, &jobs[i]);
	}
	wait_for(&running, DIALER_THREADS_MAX);
	atomic_store(&go, true);
	wait_for(&done, n);
	assert_int_equal(atomic_load(&most), DIALER_THREADS_MAX);
}

static void
the_end_waits_for_what_runs(void **state)
{
	struct job a = job_of(NULL, wait_for_go);

	(void)state;
	dialer_run(dialer, &a);
	wait_for(&running, 1);
	atomic_store(&go, true);
	dialer_destroy(dialer);
	dialer = NULL;
	assert_int_equal(atomic_load(&ran), 1);
	wait_for(&done, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_backend_does_not_take_all_threads),
	    TEST(threads_grow_to_the_limit),
	    TEST(the_end_waits_for_what_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
