/* Everything at once, by chance: three workers, three logins, few places; clients
 * release, discard, reset, cancel their queries, give up waiting; connections are killed
 * from outside. With the janitors stopped, so that a lost wake-up would be a client that
 * waits for ever. WEIR_SEED repeats a run (as far as threads repeat). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "pool/pool_impl.h"
#include "tests/unit/pool/world.h"

#define ACTORS 30

struct actor {
	struct world *w;
	int worker;
	uint64_t rnd;
	struct waiter waiter;
	struct timer timer;
	struct server *server;
	bool answered, sent;
	atomic_int rounds;
	atomic_bool finished;
	_Atomic uint64_t asked_us; /* 0: not waiting */
	_Atomic uint64_t longest_us;
	atomic_int failed;
	struct err err;
};

static struct test_pg pg;
static bool have_pg;
static struct world world;
static struct actor actors[ACTORS];
static atomic_int seen_max, seen_quota;
static struct backend *second; /* of the same database; NULL: none */
static int user_limit;         /* of anna over both */
static atomic_int granted, gave_up, lost_n;

static uint64_t
chance(struct actor *a, uint64_t n)
{
	a->rnd ^= a->rnd << 13;
	a->rnd ^= a->rnd >> 7;
	a->rnd ^= a->rnd << 17;
	return (a->rnd >> 11) % n;
}

static void actor_next(struct actor *a);

static void
again(struct actor *a)
{
	a->server = NULL;
	if (atomic_fetch_sub(&a->rounds, 1) > 1) {
		timer_start(a->w->loop[a->worker], &a->timer, chance(a, 3));
		return;
	}
	atomic_store(&a->finished, true);
}

static void
give_back(struct actor *a)
{
	struct server *s = a->server;

	switch (chance(a, 30)) {
	case 0:
		pool_discard(s, true);
		break;
	case 1:
		pool_discard(s, false);
		break;
	case 2:
		pool_reset_and_release(s, "DISCARD ALL");
		break;
	case 3:
		pool_cancel_query(s);
		pool_release(s);
		break;
	default:
		pool_release(s);
		break;
	}
	again(a);
}

static void
actor_received(struct server *s, struct buf *b, uint32_t off, uint32_t len)
{
	struct actor *a = s->owner;
	struct read_msg m;
	bool ready = false;

	reader_feed(&s->reader, b->data + off, len);
	while (reader_next(&s->reader, 1 << 20, &m) == READ_MSG)
		ready |= m.type == 'Z';
	if (!ready)
		return;
	if (chance(a, 3) == 0)
		timer_start(a->w->loop[a->worker], &a->timer, chance(a, 5));
	else
		give_back(a);
}

static void
actor_drained(struct server *s)
{
	(void)s;
}

static void
actor_lost(struct server *s, int error)
{
	struct actor *a = s->owner;

	(void)error;
	timer_stop(&a->timer);
	atomic_fetch_add(&lost_n, 1);
	again(a);
}

static const struct server_owner_ops actor_ops = {
    actor_received, actor_drained, actor_lost};

static void
stop_waiting(struct actor *a)
{
	uint64_t waited = clock_us() - atomic_load(&a->asked_us);

	atomic_store(&a->asked_us, 0);
	if (waited > atomic_load(&a->longest_us))
		atomic_store(&a->longest_us, waited);
}

static void
use(struct actor *a, struct server *s)
{
	int n = atomic_load(&a->w->backend->connections);
	int all = atomic_load(&a->w->backend->quota->connections);
	struct msgbuf m;

	stop_waiting(a);
	timer_stop(&a->timer);
	atomic_fetch_add(&granted, 1);
	if (n > atomic_load(&seen_max))
		atomic_store(&seen_max, n);
	if (all > atomic_load(&seen_quota))
		atomic_store(&seen_quota, all);
	a->server = s;
	s->owner = a;
	s->owner_ops = &actor_ops;
	msgbuf_init(&m);
	msg_query(&m, "SELECT 1");
	stream_write(&s->stream, m.data, m.len);
	msgbuf_fini(&m);
}

static void
actor_granted(struct waiter *w, struct server *s)
{
	use(LIST_ENTRY(w, struct actor, waiter), s);
}

static void
actor_failed(struct waiter *w, const struct err *e)
{
	struct actor *a = LIST_ENTRY(w, struct actor, waiter);

	stop_waiting(a);
	timer_stop(&a->timer);
	a->err = *e;
	atomic_fetch_add(&a->failed, 1);
	again(a);
}

static void
actor_next(struct actor *a)
{
	static const char *const users[] = {"anna", "bert", "carl"};
	struct pool_login login = {.user = users[chance(a, 3)], .database = "postgres"};
	struct pool *p;
	struct server *s = NULL;
	struct err e;

	if (login.user[0] == 'c')
		login.max_connections = 1;
	if (login.user[0] == 'a')
		login.max_user_connections = user_limit;
	p = pools_get(a->w->pools[a->worker],
	    second != NULL && chance(a, 2) ? second : a->w->backend, &login);
	a->waiter.granted = actor_granted;
	a->waiter.failed = actor_failed;
	atomic_store(&a->asked_us, clock_us());
	switch (pool_acquire(p, &a->waiter, &s, &e)) {
	case RC_OK:
		use(a, s);
		break;
	case RC_AGAIN:
		if (chance(a, 4) == 0)
			timer_start(a->w->loop[a->worker], &a->timer, chance(a, 20));
		break;
	case RC_ERR:
		actor_failed(&a->waiter, &e);
		break;
	}
}

static void
actor_timer(struct timer *t)
{
	struct actor *a = LIST_ENTRY(t, struct actor, timer);

	if (a->server != NULL) {
		give_back(a);
	} else if (a->waiter.state == WAITER_OUT) {
		actor_next(a);
	} else {
		stop_waiting(a);
		atomic_fetch_add(&gave_up, 1);
		pool_cancel_wait(&a->waiter);
		again(a);
	}
}

static void
actor_begin(void *arg)
{
	struct actor *a = arg;

	timer_init(&a->timer, actor_timer);
	actor_next(a);
}

static void
stop_janitor(void *arg)
{
	timer_stop(&((struct pools *)arg)->janitor);
}

static int
group_setup(void **state)
{
	(void)state;
	log_setup(LOG_LOGFMT, LOG_ERROR, 0);
	have_pg = test_pg_init(&pg) && test_pg_start(&pg) &&
	    test_pg_sql(&pg, "CREATE ROLE anna LOGIN") &&
	    test_pg_sql(&pg, "CREATE ROLE bert LOGIN") &&
	    test_pg_sql(&pg, "CREATE ROLE carl LOGIN");
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

static bool
all_finished(void)
{
	for (int i = 0; i < ACTORS; i++)
		if (!atomic_load(&actors[i].finished))
			return false;
	return true;
}

static void
show_server(struct server *s, void *arg)
{
	const struct actor *a = s->owner;

	(void)arg;
	print_message(
	    "    server %lu pid %u %s reading %d queued %u flags %d ended %d cancels %d "
	    "boundary %d; owner %ld has it %d, timer %d, asked %lu rounds %d\n",
	    (unsigned long)s->id, s->backend_pid, server_state_name(s->state),
	    io_reading(&s->stream.io), stream_queued(&s->stream), s->stream.io.flags,
	    s->ended, s->cancels, reader_at_boundary(&s->reader),
	    a == NULL ? -1 : (long)(a - actors), a != NULL && a->server == s,
	    a != NULL && timer_armed(&a->timer),
	    a == NULL ? 0 : (unsigned long)a->asked_us, a == NULL ? 0 : a->rounds);
}

/* What the workers think, for whoever looks into a failure. */
static void
show(void *arg)
{
	struct pools *ps = arg;
	struct backend *b = world.backend;

	print_message("worker %d: oldest %lu coming %d\n", ps->index,
	    (unsigned long)b->worker[ps->index].oldest_wait_us,
	    b->worker[ps->index].coming);
	LIST_FOREACH(n, &ps->all) {
		struct pool *p = LIST_ENTRY(n, struct pool, node);

		print_message(
		    "  %s: idle %d active %d testing %d dialing %d waiting %d asked %d "
		    "promised %d lacks %d, site: places %d expected %d dialing %d, "
		    "lane: %d connections %d waiting %d coming\n",
		    p->lane->user, p->n_idle, p->n_active, p->n_testing, p->n_dialing,
		    p->n_waiting, p->n_asked, p->promised, p->lacks_place,
		    p->site->n_places, p->site->n_expected, p->site->n_dialing,
		    p->lane->connections, p->lane->worker[ps->index].waiting,
		    p->lane->worker[ps->index].coming);
		print_message(
		    "    need %d of %d told %d; quota %d of %d, %d lacking, %d evicting\n",
		    p->need.quota != NULL,
		    p->need.quota == NULL ? -1 : (int)p->need.quota->kind, p->need.told,
		    b->quota->connections, b->quota->limit, b->quota->lacking,
		    b->quota->n_evicting);
		pool_each_server(p, show_server, ps);
	}
}

/* Nobody may wait for longer than a few seconds. */
static void
nobody_hangs(void)
{
	uint64_t now = clock_us();

	for (int i = 0; i < ACTORS; i++) {
		uint64_t asked = atomic_load(&actors[i].asked_us);

		if (asked != 0 && now > asked + 10000000) {
			for (int w = 0; w < world.n; w++)
				world_call(&world, w, show, world.pools[w]);
			fail_msg(
			    "actor %d of worker %d hangs: %d connections, %d waiting", i,
			    actors[i].worker, atomic_load(&world.backend->connections),
			    atomic_load(&world.backend->waiting));
		}
	}
}

/* quota: connections to two servers together; 0: there is one server, and no quota. */
static void
storm(int workers, int pool_size, int quota, int rounds, uint64_t seed)
{
	uint64_t longest = 0;
	int failed = 0;

	world_start(&world, &pg, workers);
	atomic_store(&world.backend->limits.pool_size, pool_size);
	if (quota > 0) {
		second = world_backend(pg.dir, pg.port);
		atomic_store(&second->limits.pool_size, pool_size);
		quota_set_limit(world.backend->quota, quota);
		user_limit = quota - 1;
	}
	atomic_store(&seen_max, 0);
	atomic_store(&seen_quota, 0);
	granted = gave_up = lost_n = 0;
	for (int i = 0; i < workers; i++)
		world_call(&world, i, stop_janitor, world.pools[i]);
	memset(actors, 0, sizeof actors);
	for (int i = 0; i < ACTORS; i++) {
		actors[i].w = &world;
		actors[i].worker = i % workers;
		actors[i].rnd = seed * 1000 + (uint64_t)i + 1;
		actors[i].rounds = rounds;
		world_call(&world, actors[i].worker, actor_begin, &actors[i]);
	}
	for (int i = 0; !all_finished(); i++) {
		usleep(20000);
		nobody_hangs();
		if (i % 10 == 9)
			(void)test_pg_sql(&pg,
			    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
			    " WHERE usename IN ('anna', 'bert', 'carl') ORDER BY "
			    "random() LIMIT 1");
	}
	for (int i = 0; i < ACTORS; i++) {
		if (atomic_load(&actors[i].longest_us) > longest)
			longest = atomic_load(&actors[i].longest_us);
		if (atomic_load(&actors[i].failed) > 0)
			print_message(
			    "failed: %s %s\n", actors[i].err.sqlstate, actors[i].err.msg);
		failed += atomic_load(&actors[i].failed);
	}
	print_message(
	    "seed %lu: %d granted, %d gave up, %d lost, %lu connects, %lu moves, %lu "
	    "evictions, longest wait %.0f ms\n",
	    (unsigned long)seed, granted, gave_up, lost_n,
	    (unsigned long)world.backend->n_connects,
	    (unsigned long)world.backend->n_moves,
	    (unsigned long)world.backend->n_evictions, (double)longest / 1e3);
	assert_int_equal(failed, 0);
	assert_in_range(atomic_load(&seen_max), 1, pool_size);
	if (quota > 0)
		assert_in_range(atomic_load(&seen_quota), 1, quota);
	assert_int_equal(atomic_load(&world.backend->waiting), 0);
	assert_int_equal(atomic_load(&world.backend->quota->lacking), 0);
	for (int i = 0; i < workers; i++)
		assert_int_equal(atomic_load(&world.backend->worker[i].coming), 0);
	world_stop(&world);
	backend_unref(second);
	second = NULL;
	user_limit = 0;
}

static void
storms(void **state)
{
	uint64_t seed = getenv("WEIR_SEED") ? strtoull(getenv("WEIR_SEED"), NULL, 10) : 1;
	int n = getenv("WEIR_STORMS") ? atoi(getenv("WEIR_STORMS")) : 1;

	(void)state;
	if (!have_pg)
		skip();
	for (int i = 0; i < n; i++, seed++) {
		storm(3, 4, 0, 60, seed);
		storm(2, 1, 0, 12, seed);
		storm(1, 3, 0, 60, seed);
		storm(3, 3, 4, 60, seed);
		storm(2, 2, 2, 20, seed);
		storm(1, 3, 3, 40, seed);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(storms),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
