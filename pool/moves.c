/* Mail between workers.
 *   parcel  a place, with a connection or without one; or nothing, to make the other
 *           look again
 *   ask     "give me a resting connection of this login", or "give up a resting
 *           connection of whatever login": the answer is a parcel, or the ask itself
 *           with `no` set
 * Each parcel holds what it needs alive; an ask is kept in its pool's holds until it
 * is answered. */
#include "pool/pool_impl.h"

#include <stdlib.h>
#include <string.h>

struct ask {
	struct mail mail;
	struct pools *from, *to;
	struct pool
	    *pool; /* the asker's, which the ask keeps alive; for the asker only */
	struct lane *lane; /* kept alive by that pool */
	bool evict, no;
};

struct parcel {
	struct mail mail;
	struct pools *to;
	struct backend *backend; /* a reference */
	struct lane *lane;       /* a reference; NULL: no connection */
	bool empty;              /* no place either: only to look again */
	struct ask *ask;         /* answered by it, NULL: none */
	int fd;
	SSL *ssl;
	struct server was; /* the connection's fields */
};

/* ---- parcels ---- */

static void
ask_answered(struct ask *a)
{
	if (a->evict)
		a->pool->site->n_expected--;
	else
		a->pool->n_asked--;
	a->pool->holds--;
	a->from->n_mail--;
	pool_publish_waiting(a->pool);
	site_want_serve(a->pool->site);
	free(a);
}

static void
unpack(struct parcel *x)
{
	struct pool *p = pools_of_lane(x->to, x->lane);
	struct server *s = server_create(p, x->fd, x->ssl);
	const struct server *was = &x->was;

	s->reader = was->reader;
	s->close_needed = was->close_needed;
	s->protocol_minor = was->protocol_minor;
	s->backend_pid = was->backend_pid;
	s->key_len = was->key_len;
	memcpy(s->key, was->key, was->key_len);
	s->connected_us = was->connected_us;
	s->requested_us = was->requested_us;
	s->idle_since_us = was->idle_since_us;
	s->tested_us = was->tested_us;
	s->id = was->id;
	s->params = was->params;
	s->n_params = was->n_params;
	memcpy(s->address, was->address, sizeof s->address);
	s->remote = was->remote;
	s->link = was->link;
	s->jitter = was->jitter;
	if (p->backend->named && !backend_is_at(p->backend, &s->remote))
		s->close_needed = true;
	server_rest(s);
	s->idle_since_us = was->idle_since_us;
}

static void
parcel_arrived(struct mail *m)
{
	struct parcel *x = (struct parcel *)(void *)m;
	struct pools *ps = x->to;
	struct site *site = site_get(ps, x->backend);

	/* In this order: pools_ended() must not see neither the parcel nor what comes of
	 * it. */
	atomic_store(&ps->ended, false);
	atomic_fetch_sub(&ps->n_parcels, 1);
	if (x->ask != NULL)
		ask_answered(x->ask);
	else if (x->lane != NULL)
		atomic_fetch_sub(&x->lane->worker[ps->index].coming, 1);
	else if (!x->empty)
		atomic_fetch_sub(&x->backend->worker[ps->index].coming, 1);
	if (x->lane != NULL) {
		unpack(x);
		lane_unref(x->lane);
	} else {
		site->n_places += !x->empty;
		site_want_serve(site);
	}
	backend_unref(x->backend);
	free(x);
}

static struct parcel *
parcel_to(struct pools *to, struct backend *b, struct ask *a)
{
	struct parcel *x = calloc(1, sizeof *x);

	if (x == NULL)
		abort();
	x->mail.deliver = parcel_arrived;
	x->to = to;
	x->backend = b;
	backend_ref(x->backend);
	x->ask = a;
	x->fd = -1;
	atomic_fetch_add(&x->to->n_parcels, 1);
	return x;
}

static struct parcel *
parcel_create(struct site *s, int to, struct ask *a)
{
	return parcel_to(s->pools->peers[to], s->backend, a);
}

void
move_place(struct site *s, int to, struct ask *a)
{
	struct parcel *x = parcel_create(s, to, a);

	if (a == NULL)
		atomic_fetch_add(&s->backend->worker[to].coming, 1);
	loop_post(x->to->loop, &x->mail);
}

static void
send_nothing(struct pools *to, struct backend *b)
{
	struct parcel *x = parcel_to(to, b, NULL);

	x->empty = true;
	loop_post(x->to->loop, &x->mail);
}

void
move_nothing(struct site *s, int to)
{
	send_nothing(s->pools->peers[to], s->backend);
}

void
wake_pool(struct pool *p)
{
	send_nothing(p->pools, p->backend);
}

void
move_send(struct server *s)
{
	struct site *site = s->pool->site;
	struct parcel *x = parcel_create(site, s->heir, s->ask);

	/* Its count in lane.coming was made when the move began. */
	x->lane = s->pool->lane;
	lane_ref(x->lane);
	x->fd = s->stream.io.fd;
	x->ssl = stream_ssl(&s->stream);
	x->was = *s;
	atomic_fetch_add_explicit(&site->backend->n_moves, 1, memory_order_relaxed);
	loop_post(x->to->loop, &x->mail);
}

/* ---- asks ---- */

static bool
give_connection(struct ask *a)
{
	struct pool *p = NULL;

	LIST_FOREACH(n, &a->to->all)
		if (LIST_ENTRY(n, struct pool, node)->lane == a->lane)
			p = LIST_ENTRY(n, struct pool, node);
	if (p == NULL || p->n_idle == 0 || p->n_waiting > 0)
		return false;
	server_begin_move(server_of_node(p->idle.next), a->from->index, a);
	return true;
}

/* The one that was used least recently, of a login for which nobody waits. */
static bool
give_up(struct ask *a)
{
	struct site *site = site_get(a->to, a->lane->backend);

	for (struct list *n = site->idle.prev; n != &site->idle; n = n->prev) {
		struct server *s = LIST_ENTRY(n, struct server, rest);

		if (s->pool->n_waiting > 0)
			continue;
		s->heir = a->from->index;
		s->ask = a;
		atomic_fetch_add_explicit(
		    &site->backend->n_evictions, 1, memory_order_relaxed);
		server_close(s, true);
		return true;
	}
	return false;
}

static void
ask_arrived(struct mail *m)
{
	struct ask *a = (struct ask *)(void *)m;

	if (a->no) {
		ask_answered(a);
		return;
	}
	if (!a->to->ending && (a->evict ? give_up(a) : give_connection(a)))
		return;
	a->no = true;
	loop_post(a->from->loop, &a->mail);
}

void
ask_send(struct pool *p, int whom, bool evict)
{
	struct ask *a = calloc(1, sizeof *a);

	if (a == NULL)
		abort();
	a->mail.deliver = ask_arrived;
	a->from = p->pools;
	a->to = p->pools->peers[whom];
	a->pool = p;
	a->lane = p->lane;
	a->evict = evict;
	p->holds++;
	a->from->n_mail++;
	if (evict)
		p->site->n_expected++;
	else
		p->n_asked++;
	pool_publish_waiting(p);
	loop_post(a->to->loop, &a->mail);
}

/* ---- room in a quota ---- */

struct call {
	struct mail mail;
	struct pools *to;
	struct quota *quota; /* a reference */
};

static void
call_arrived(struct mail *m)
{
	struct call *c = (struct call *)(void *)m;

	atomic_fetch_sub(&c->to->n_parcels, 1);
	if (!c->to->ending)
		evict_for_quota(c->to, NULL, c->quota);
	quota_unref(c->quota);
	free(c);
}

void
ask_for_room(struct pools *ps, struct quota *q)
{
	for (int i = 0; i < ps->n_peers; i++) {
		struct call *c;

		if (i == ps->index)
			continue;
		c = calloc(1, sizeof *c);
		if (c == NULL)
			abort();
		c->mail.deliver = call_arrived;
		c->to = ps->peers[i];
		c->quota = quota_get(q->kind, q->name);
		atomic_fetch_add(&c->to->n_parcels, 1);
		loop_post(c->to->loop, &c->mail);
	}
}
