/* Lending and taking back. The way that every statement goes, when a connection rests and
 * nobody waits, is short; everything else is decided by the site (serve.c), once at the
 * end of the turn. */
#include "pool/pool_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* The connection used last, whose caches are warm; or each in turn. */
static struct server *
next_idle(const struct pool *p)
{
	if (list_empty(&p->idle))
		return NULL;
	if (atomic_load_explicit(
		&p->backend->limits.server_round_robin, memory_order_relaxed))
		return server_of_node(p->idle.prev);
	return server_of_node(p->idle.next);
}

enum rc
pool_acquire(struct pool *p, struct waiter *w, struct server **out, struct err *e)
{
	struct backend *b = p->backend;
	struct server *s;

	assert(w->state == WAITER_OUT);
	if (atomic_load_explicit(&b->disabled, memory_order_relaxed))
		return err_set(e, "3D000", BLAST_SESSION, "database \"%s\" is disabled",
		    b->database);
	if (atomic_load_explicit(&b->waiting, memory_order_relaxed) == 0 &&
	    !atomic_load_explicit(&b->paused, memory_order_relaxed) &&
	    !lane_pressed(p->lane)) {
		s = next_idle(p);
		if (s != NULL && !server_needs_check(s, pools_now(p->pools))) {
			server_lend(s);
			*out = s;
			return RC_OK;
		}
	}
	return waiter_queue(p, w, e);
}

/* A connection whose owner is done with it. */
static bool
is_reusable(const struct server *s)
{
	return !s->replication && !s->close_needed && !s->ended &&
	    reader_at_boundary(&s->reader);
}

void
pool_release(struct server *s)
{
	assert(s->state == SERVER_ACTIVE || s->state == SERVER_CLOSING);
	if (s->state == SERVER_CLOSING)
		return;
	if (is_reusable(s))
		server_rest(s);
	else
		server_close(s, true);
}

void
pool_discard(struct server *s, bool polite)
{
	server_close(s, polite);
}

void
pool_reset_and_release(struct server *s, const char *sql)
{
	assert(s->state == SERVER_ACTIVE || s->state == SERVER_CLOSING);
	if (s->state == SERVER_CLOSING)
		return;
	if (!is_reusable(s))
		server_close(s, true);
	else if (sql == NULL || *sql == 0)
		server_rest(s);
	else
		server_test(s, TEST_RESET, sql);
}

/* ---- for SHOW ---- */

void
pool_each_server(struct pool *p, void (*fn)(struct server *, void *arg), void *arg)
{
	struct list *lists[] = {&p->active, &p->idle, &p->testing};

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		LIST_FOREACH_SAFE(n, lists[i])
			fn(server_of_node(n), arg);
}

void
pool_stats(const struct pool *p, struct pool_stats *st)
{
	const struct list *lists[] = {&p->active, &p->testing};
	const struct waiter *w = first_waiter(p);
	uint64_t now = pools_now(p->pools);

	*st = (struct pool_stats){
	    .active = p->n_active,
	    .idle = p->n_idle,
	    .resetting = p->n_testing,
	    .connecting = p->n_dialing,
	    .waiting = p->n_waiting,
	    .max_wait_us = w == NULL ? 0 : now - w->since_us,
	};
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		LIST_FOREACH(n, lists[i]) {
			const struct server *s = server_of_node(n);

			st->cancelling += s->cancels > 0;
			st->held += s->state == SERVER_RESETTING && s->test == TEST_HOLD;
		}
	}
}
