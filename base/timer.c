/* Timers: a hierarchical wheel. Starting and stopping cost O(1) whatever the number of
 * timers; 5 levels of 64 slots cover 12 days, a later timer waits in the last slot and is
 * sorted in again. timer_stop() knows no wheel, so a slot's bit may be set though the
 * slot is empty; it is cleared when it is looked at. */
#include "base/loop_impl.h"

#define SLOT_BITS    6
#define SLOT_MASK    (WHEEL_SLOTS - 1)
#define SPAN_MAX     (((uint64_t)1 << (SLOT_BITS * WHEEL_LEVELS)) - 1)
#define DELAY_MAX_MS ((uint64_t)1 << 40)

void
timer_init(struct timer *t, void (*fire)(struct timer *))
{
	list_init(&t->node);
	t->due_us = 0;
	t->fire = fire;
}

void
timer_start(struct loop *loop, struct timer *t, uint64_t delay_ms)
{
	if (delay_ms > DELAY_MAX_MS)
		delay_ms = DELAY_MAX_MS;
	/* The turn's own clock may be late, and the timer must not be early. */
	t->due_us = loop_clock_us() + delay_ms * 1000;
	list_remove(&t->node);
	wheel_add(&loop->wheel, t);
}

void
timer_stop(struct timer *t)
{
	list_remove(&t->node);
}

void
wheel_init(struct wheel *w, uint64_t now_us)
{
	w->tick = now_us / 1000;
	for (int l = 0; l < WHEEL_LEVELS; l++) {
		w->used[l] = 0;
		for (int s = 0; s < WHEEL_SLOTS; s++)
			list_init(&w->slot[l][s]);
	}
}

/* Sorts a timer in, at `earliest` if it is due before. */
static void
insert(struct wheel *w, struct timer *t, uint64_t earliest)
{
	uint64_t at = (t->due_us + 999) / 1000;
	unsigned level = 0, slot;

	if (at < earliest)
		at = earliest;
	if (at - w->tick > SPAN_MAX)
		at = w->tick + SPAN_MAX;
	while ((at - w->tick) >> (SLOT_BITS * (level + 1)) != 0)
		level++;
	slot = (at >> (SLOT_BITS * level)) & SLOT_MASK;
	list_push_back(&w->slot[level][slot], &t->node);
	w->used[level] |= (uint64_t)1 << slot;
}

void
wheel_add(struct wheel *w, struct timer *t)
{
	insert(w, t, w->tick + 1);
}

/* Empties a slot into `out`. */
static void
slot_take(struct wheel *w, unsigned level, unsigned slot, struct list *out)
{
	struct list *from = &w->slot[level][slot];

	list_init(out);
	w->used[level] &= ~((uint64_t)1 << slot);
	if (list_empty(from))
		return;
	*out = *from;
	out->next->prev = out;
	out->prev->next = out;
	list_init(from);
}

/* The slots of the upper levels that begin with this tick are sorted into the levels
 * below. */
static void
cascade(struct wheel *w)
{
	struct list due, *n;

	for (unsigned level = 1; level < WHEEL_LEVELS; level++) {
		uint64_t span = (uint64_t)1 << (SLOT_BITS * level);

		if ((w->tick & (span - 1)) != 0)
			return;
		slot_take(w, level, (w->tick >> (SLOT_BITS * level)) & SLOT_MASK, &due);
		/* One due at this very tick goes to the slot that is run next. */
		while ((n = list_pop_front(&due)) != NULL)
			insert(w, LIST_ENTRY(n, struct timer, node), w->tick);
	}
}

/* The next tick at which there is anything to do: not before `tick + 1`, not after
 * `limit`. */
static uint64_t
next_tick(const struct wheel *w, uint64_t limit)
{
	uint64_t tick = w->tick + 1;
	unsigned level = 0;

	if (w->used[0] != 0)
		return tick;
	while (level + 1 < WHEEL_LEVELS && w->used[level] == 0)
		level++;
	/* Nothing below `level`, so go straight to where its next slot begins. */
	tick = ((w->tick >> (SLOT_BITS * level)) + 1) << (SLOT_BITS * level);
	return tick < limit ? tick : limit;
}

void
wheel_run(struct wheel *w, uint64_t now_us)
{
	uint64_t now = now_us / 1000;
	struct list due, *n;

	while (w->tick < now) {
		w->tick = next_tick(w, now);
		cascade(w);
		if ((w->used[0] >> (w->tick & SLOT_MASK) & 1) == 0)
			continue;
		slot_take(w, 0, w->tick & SLOT_MASK, &due);
		while ((n = list_pop_front(&due)) != NULL) {
			struct timer *t = LIST_ENTRY(n, struct timer, node);

			t->fire(t);
		}
	}
}

/* The first tick at which the level has something to do; forgets slots that are empty by
 * now. */
static uint64_t
level_next(struct wheel *w, unsigned level)
{
	uint64_t base = (w->tick >> (SLOT_BITS * level)) + 1;
	unsigned first = base & SLOT_MASK;

	while (w->used[level] != 0) {
		uint64_t from_first = w->used[level] >> first |
		    w->used[level] << ((WHEEL_SLOTS - first) & SLOT_MASK);
		unsigned d = (unsigned)__builtin_ctzll(from_first);
		unsigned slot = (first + d) & SLOT_MASK;

		if (!list_empty(&w->slot[level][slot]))
			return (base + d) << (SLOT_BITS * level);
		w->used[level] &= ~((uint64_t)1 << slot);
	}
	return UINT64_MAX;
}

uint64_t
wheel_next_us(struct wheel *w)
{
	uint64_t best = UINT64_MAX;

	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		uint64_t at = level_next(w, level);

		if (at < best)
			best = at;
	}
	return best == UINT64_MAX ? best : best * 1000;
}
