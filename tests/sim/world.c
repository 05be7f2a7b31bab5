/* One run: the clock, chance, and which faults there are. */
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdlib.h>

#define END_AFTER (600 * SECOND) /* of simulated time since the last fault */

struct world world;

static struct event *heap;
static int n_heap, cap_heap;
static uint64_t seq, rng;

/* splitmix64 */
uint64_t
chance(void)
{
	uint64_t z = (rng += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

int
pick(int n)
{
	return (int)(chance() % (uint64_t)n);
}

bool
maybe(int thousandths)
{
	return pick(1000) < thousandths && world.now < world.calm_at;
}

uint64_t
between(uint64_t lo, uint64_t hi)
{
	return lo + chance() % (hi - lo + 1);
}

void
note(const char *fmt, ...)
{
	va_list ap;

	if (!world.trace)
		return;
	printf("%10.3f ms  ", (double)world.now / 1000.0);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* ---- the queue of events: a binary heap by time, then by order ---- */

static bool
before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void
insert(struct event e)
{
	int i = n_heap++;

	if (n_heap > cap_heap) {
		cap_heap = cap_heap == 0 ? 1024 : 2 * cap_heap;
		heap = realloc(heap, (size_t)cap_heap * sizeof *heap);
		if (heap == NULL)
			abort();
	}
	for (; i > 0 && before(&e, &heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = e;
}

static struct event
take(void)
{
	struct event first = heap[0], last = heap[--n_heap];
	int i = 0;

	for (;;) {
		int child = 2 * i + 1;

		if (child >= n_heap)
			break;
		if (child + 1 < n_heap && before(&heap[child + 1], &heap[child]))
			child++;
		if (!before(&heap[child], &last))
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = last;
	return first;
}

void
at(uint64_t when, enum event_kind kind, int a, int b, const void *p)
{
	insert((struct event){when, seq++, kind, a, b, p});
}

void
push_back(struct event e, uint64_t when)
{
	e.at = when;
	insert(e);
}

/* ---- what happens in this seed ---- */

static void
plan_faults(void)
{
	uint64_t end = world.calm_at;
	int proxies = pick(4), shards = pick(4), freezes = pick(4);

	for (int i = 0; i < proxies; i++)
		at(between(0, end), EV_CRASH_PROXY, pick(world.n_proxies), 0, NULL);
	for (int i = 0; i < shards; i++)
		at(between(0, end), EV_CRASH_SHARD, pick(world.n_shards), 0, NULL);
	for (int i = 0; i < freezes; i++)
		at(between(0, end), EV_FREEZE_PROXY, pick(world.n_proxies), 0, NULL);
	world.crash_proxy_at = pick(2) ? pick(40) : -1;
	world.crash_shard_at = pick(2) ? pick(40) : -1;
}

static void
prepare_world(uint64_t seed, bool trace)
{
	arena_reset(&world.arena);
	world = (struct world){.seed = seed, .trace = trace};
	rng = seed * 0x2545f4914f6cdd1dull + 88172645463325252ull;
	n_heap = 0;
	seq = 0;
	world.n_shards = 2 + pick(SHARDS_MAX - 1);
	world.n_proxies = 1 + pick(PROXIES_MAX);
	world.n_txns = 1 + pick(TXNS_MAX);
	world.calm_at = between(1 * SECOND, 60 * SECOND);
	world.grace_us = pick(3) == 0 ? 0 : between(1, 5 * SECOND);
	world.period_us = between(SECOND / 2, 5 * SECOND);
	world.retention_us = pick(2) ? between(1, 30 * SECOND) : 30 * SECOND;
	world.commit_timeout_us = between(50 * MS, 5 * SECOND);
	world.lock_timeout_us = between(10 * MS, 2 * SECOND);
	world.p_break = pick(2) ? pick(80) : 0;
	world.p_late = pick(2) ? pick(100) : 0;
	world.p_disk_full = pick(3) ? 0 : pick(300);
	net_init();
	for (int i = 0; i < world.n_shards; i++)
		shard_init(i);
	proxies_init();
	plan_faults();
	for (int i = 0; i < world.n_txns; i++)
		at(between(0, pick(2) ? 100 * MS : world.calm_at / 2), EV_TXN, i, 0,
		    NULL);
}

static void
dispatch(struct event *e)
{
	switch (e->kind) {
	case EV_TO_SERVER:
	case EV_SERVER_END:
	case EV_TO_CLIENT:
	case EV_CLIENT_END:
		net_event(e);
		break;
	case EV_FLUSHED:
		shard_flushed(e->a, e->b);
		break;
	case EV_LOCK_TIMEOUT:
		shard_lock_timeout(e->a, e->b);
		break;
	case EV_CRASH_SHARD:
		if (world.shards[e->a].up && world.now < world.calm_at)
			shard_crash(e->a);
		break;
	case EV_START_SHARD:
		shard_start(e->a);
		break;
	default:
		proxy_event(e);
	}
}

bool
world_run(uint64_t seed, bool trace)
{
	prepare_world(seed, trace);
	while (n_heap > 0 && world.failure[0] == '\0') {
		struct event e = take();

		if (e.at > world.now)
			world.now = e.at;
		if (world.now > world.calm_at && check_settled() && proxies_quiet())
			break;
		if (world.now > world.calm_at + END_AFTER)
			break;
		dispatch(&e);
	}
	if (world.failure[0] == '\0')
		check_end();
	return world.failure[0] == '\0';
}
