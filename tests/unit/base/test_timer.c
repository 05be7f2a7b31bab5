/* The wheel under a clock of our own: whatever is started, stopped and re-armed, a timer
 * is never early, and never later than the millisecond after its due time at which the
 * wheel runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/loop_impl.h"

#define N        5000
#define START_US (123456789ull * 1000 + 321)

struct probe {
	struct timer timer;
	unsigned fired;
};

static uint64_t now_us;
static uint64_t run_before_us;
static struct wheel wheel;

static void
fired(struct timer *t)
{
	struct probe *p = LIST_ENTRY(t, struct probe, timer);

	assert_false(timer_armed(t));
	assert_true(t->due_us <= now_us);
	/* The run before was too early for it. */
	assert_true(t->due_us > run_before_us - 1000);
	p->fired++;
}

static void
arm(struct probe *p, uint64_t delay_us)
{
	timer_stop(&p->timer);
	p->timer.due_us = now_us + delay_us;
	wheel_add(&wheel, &p->timer);
}

static void
run_at(uint64_t us)
{
	run_before_us = now_us;
	now_us = us;
	wheel_run(&wheel, us);
}

static uint64_t
some_delay_us(void)
{
	static const uint64_t scale[] = {
	    1000, 64000, 70000, 5000000, 300000000, 20000000000};

	return ((uint64_t)rand() << 16 ^ (uint64_t)rand()) % scale[rand() % 6];
}

static void
test_random(void **state)
{
	static struct probe p[N];

	(void)state;
	srand(3);
	now_us = START_US;
	wheel_init(&wheel, now_us);
	for (int i = 0; i < N; i++) {
		timer_init(&p[i].timer, fired);
		arm(&p[i], some_delay_us());
	}
	for (int round = 0; round < 20000; round++) {
		struct probe *q = &p[rand() % N];
		uint64_t next = wheel_next_us(&wheel);

		switch (rand() % 4) {
		case 0:
			arm(q, some_delay_us());
			break;
		case 1:
			timer_stop(&q->timer);
			break;
		case 2:
			run_at(now_us + (uint64_t)rand() % 3000);
			break;
		default:
			if (next != UINT64_MAX)
				run_at(next > now_us ? next : now_us);
		}
	}
	/* Going from one due time to the next ends, with all of them fired. */
	for (uint64_t next; (next = wheel_next_us(&wheel)) != UINT64_MAX;)
		run_at(next > now_us ? next : now_us);
	for (int i = 0; i < N; i++)
		assert_false(timer_armed(&p[i].timer));
}

/* Each single delay around the borders of the levels fires at its time exactly. */
static void
test_borders(void **state)
{
	static const uint64_t border[] = {1, 2, 63, 64, 65, 127, 128, 4095, 4096, 4097,
	    8191, 262143, 262144, 262145, 16777215, 16777216, 16777217, 1073741823,
	    1073741824, 5000000000};

	(void)state;
	for (uint64_t base = 0; base < 130; base++)
		for (size_t i = 0; i < sizeof border / sizeof *border; i++) {
			struct probe p = {.fired = 0};
			uint64_t due;

			now_us = (64ull * 64 * 64 * 64 - 65 + base) * 1000;
			wheel_init(&wheel, now_us);
			timer_init(&p.timer, fired);
			arm(&p, border[i] * 1000);
			due = p.timer.due_us;
			for (uint64_t next; (next = wheel_next_us(&wheel)) < due;)
				run_at(next);
			assert_int_equal(wheel_next_us(&wheel), due);
			run_at(due - 1000);
			assert_int_equal(p.fired, 0);
			run_at(due);
			assert_int_equal(p.fired, 1);
		}
}

static struct probe pair[2];

static void
stops_other(struct timer *t)
{
	struct probe *p = LIST_ENTRY(t, struct probe, timer);

	p->fired++;
	timer_stop(&pair[p == pair].timer);
}

static void
test_stop_of_one_due_at_the_same_time(void **state)
{
	(void)state;
	now_us = START_US;
	wheel_init(&wheel, now_us);
	for (int i = 0; i < 2; i++) {
		timer_init(&pair[i].timer, stops_other);
		arm(&pair[i], 5000);
	}
	run_at(now_us + 100000);
	assert_int_equal(pair[0].fired + pair[1].fired, 1);
}

static void
rearms(struct timer *t)
{
	struct probe *p = LIST_ENTRY(t, struct probe, timer);

	p->fired++;
	arm(p, 0);
}

static void
test_rearm_at_once_does_not_loop(void **state)
{
	struct probe p = {.fired = 0};

	(void)state;
	now_us = START_US;
	wheel_init(&wheel, now_us);
	timer_init(&p.timer, rearms);
	arm(&p, 0);
	for (int i = 1; i <= 10; i++) {
		run_at(now_us + 1000);
		assert_int_equal(p.fired, i);
	}
	timer_stop(&p.timer);
}

/* A long sleep is not paid for by the millisecond. */
static void
test_years(void **state)
{
	struct probe p = {.fired = 0};

	(void)state;
	now_us = START_US;
	wheel_init(&wheel, now_us);
	timer_init(&p.timer, fired);
	for (int i = 0; i < 1000; i++)
		run_at(now_us + 86400ull * 1000000);
	arm(&p, 400ull * 86400 * 1000000);
	for (uint64_t next; (next = wheel_next_us(&wheel)) != UINT64_MAX;)
		run_at(next);
	assert_int_equal(p.fired, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random),
	    cmocka_unit_test(test_borders),
	    cmocka_unit_test(test_stop_of_one_due_at_the_same_time),
	    cmocka_unit_test(test_rearm_at_once_does_not_loop),
	    cmocka_unit_test(test_years),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
