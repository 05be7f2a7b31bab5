/* Those who wait for a connection: first in, first out in their pool. */
#include "pool/pool_impl.h"

#include <stdio.h>
#include <string.h>

void
pool_publish_waiting(struct pool *p)
{
	const struct waiter *w = first_waiter(p);
	int i = p->pools->index, n = p->n_waiting - p->n_asked;

	atomic_store(&p->lane->worker[i].oldest_wait_us, w == NULL ? 0 : w->since_us);
	atomic_store(&p->lane->worker[i].waiting, n < 0 ? 0 : n);
}

static void
enter_queue(struct pool *p, struct waiter *w)
{
	w->state = WAITER_QUEUED;
	list_push_back(&p->waiters, &w->node);
	if (p->n_waiting++ == 0)
		list_push_back(&p->site->hungry, &p->hungry);
	p->site->n_waiting++;
	atomic_fetch_add(&p->backend->waiting, 1);
	pool_publish_waiting(p);
}

static void
leave_queue(struct waiter *w)
{
	struct pool *p = w->pool;

	w->state = WAITER_OUT;
	list_remove(&w->node);
	timer_stop(&w->timeout);
	if (--p->n_waiting == 0) {
		list_remove(&p->hungry);
		quota_forget(&p->need);
	}
	p->site->n_waiting--;
	atomic_fetch_sub(&p->backend->waiting, 1);
	pool_publish_waiting(p);
}

static void
waiter_expired(struct timer *t)
{
	struct waiter *w = LIST_ENTRY(t, struct waiter, timeout);
	struct pool *p = w->pool;
	char reason[200];
	struct err e;

	(void)err_set(&e, "53300", BLAST_SESSION,
	    "timed out after %.1f s waiting for a server connection (query_wait_timeout)",
	    (double)(pools_now(p->pools) - w->since_us) / 1e6);
	err_hint(&e, "%s", pool_wait_reason(w, reason, sizeof reason));
	leave_queue(w);
	site_want_serve(p->site);
	w->failed(w, &e);
}

static enum rc
unreachable(const struct pool *p, struct err *e)
{
	char text[200];

	(void)backend_last_error(p->backend, text, sizeof text);
	return err_set(e, "08001", BLAST_TXN, "server %s cannot be reached: %s",
	    p->backend->label, *text == 0 ? "no reason is known" : text);
}

/* Nothing alive that could be released to it, and no attempt may be made. */
static bool
is_hopeless(const struct pool *p)
{
	return p->n_dialing == 0 && atomic_load(&p->lane->connections) == 0 &&
	    !backend_would_be_usable(p->backend, pools_now(p->pools));
}

/* How long it may wait; 0: without end. */
static uint64_t
patience(const struct pool *p, const struct waiter *w)
{
	if (w->patience_us == 0)
		return atomic_load(&p->backend->limits.query_wait_timeout_us);
	return w->patience_us == UINT64_MAX ? 0 : w->patience_us;
}

enum rc
waiter_queue(struct pool *p, struct waiter *w, struct err *e)
{
	uint64_t timeout = patience(p, w);
	bool paused = atomic_load(&p->backend->paused);

	if (!paused && is_hopeless(p))
		return unreachable(p, e);
	if (pools_now(p->pools) < p->refused_until_us &&
	    atomic_load(&p->lane->connections) == 0) {
		*e = *p->refused;
		return RC_ERR;
	}
	w->pool = p;
	w->server = NULL;
	w->since_us = pools_now(p->pools);
	timer_init(&w->timeout, waiter_expired);
	if (timeout > 0)
		timer_start(p->pools->loop, &w->timeout, (timeout + 999) / 1000);
	p->used_us = w->since_us;
	p->asked = p->site->asked_places = 0;
	enter_queue(p, w);
	site_want_serve(p->site);
	return RC_AGAIN;
}

void
waiter_grant(struct waiter *w, struct server *s)
{
	leave_queue(w);
	w->state = WAITER_GRANTED;
	w->server = s;
	server_lend(s);
	list_push_back(&w->pool->site->granted, &w->node);
}

void
waiters_deliver(struct site *site)
{
	struct list *n;

	while ((n = list_pop_front(&site->granted)) != NULL) {
		struct waiter *w = LIST_ENTRY(n, struct waiter, node);
		struct server *s = w->server;

		assert(s->state == SERVER_ACTIVE); /* no socket was looked at since */
		w->state = WAITER_OUT;
		w->server = NULL;
		w->granted(w, s);
	}
}

void
waiters_fail(struct pool *p, const struct err *e)
{
	struct err own = *e; /* the caller's may change with what the callbacks do */

	/* Who comes back at once is not failed twice. */
	for (int n = p->n_waiting; n > 0 && p->n_waiting > 0; n--) {
		struct waiter *w = first_waiter(p);

		leave_queue(w);
		w->failed(w, &own);
	}
}

void
pool_cancel_wait(struct waiter *w)
{
	struct server *s = w->server;

	if (w->state == WAITER_QUEUED) {
		leave_queue(w);
		site_want_serve(w->pool->site); /* the next one's turn may be another's */
	} else if (w->state == WAITER_GRANTED) {
		list_remove(&w->node);
		w->state = WAITER_OUT;
		w->server = NULL;
		pool_release(s);
	}
}

const char *
pool_wait_reason(const struct waiter *w, char *buf, size_t size)
{
	const struct pool *p = w->pool;
	const struct backend *b = p->backend;
	uint64_t now = pools_now(p->pools);
	int limit = atomic_load(&b->limits.pool_size);

	if (w->state != WAITER_QUEUED)
		(void)snprintf(buf, size, "does not wait");
	else if (atomic_load(&b->paused))
		(void)snprintf(buf, size, "database %s is paused", b->database);
	else if (p->n_checking > 0)
		(void)snprintf(
		    buf, size, "an idle connection to %s is checked", b->label);
	else if (p->n_dialing > 0)
		(void)snprintf(buf, size, "connecting to %s", b->label);
	else if (p->site->retry_us > now)
		(void)snprintf(buf, size,
		    "next attempt to connect to %s in %.1f s: %.120s", b->label,
		    (double)(p->site->retry_us - now) / 1e6, p->site->last_error.msg);
	else if (p->need.quota != NULL)
		(void)snprintf(buf, size, "%s of %s (%d) reached",
		    p->need.quota->kind == QUOTA_USER ? "max_user_connections"
						      : "max_db_connections",
		    p->need.quota->name, atomic_load(&p->need.quota->limit));
	else if (atomic_load(&b->connections) >= limit)
		(void)snprintf(buf, size, "pool_size of %s (%d) reached, %d active",
		    b->label, limit, backend_active(b));
	else if (p->max_connections > 0)
		(void)snprintf(buf, size, "user %s has all of its %d connections to %s",
		    p->lane->user, p->max_connections, b->label);
	else
		(void)snprintf(buf, size, "its turn is next");
	return buf;
}
