#include "router/session/link.h"

#include <stdlib.h>
#include <string.h>

/* Clients are not told whether a replica answers: it would be another word for every read. */
static bool
hides(const char *name)
{
	return strcmp(name, "in_hot_standby") == 0;
}

struct link *
link_get(struct server *server)
{
	struct link *l = server->link;

	if (l != NULL)
		return l;
	l = calloc(1, sizeof *l);
	if (l == NULL)
		abort();
	l->tx_status = 'I';
	for (int i = 0; i < server->n_params; i++)
		varset_assign(&l->params,
		    varset_with(l->params, server->params[2 * i],
			hides(server->params[2 * i]) ? "off"
						     : server->params[2 * i + 1]));
	server->link = l;
	return l;
}

void
link_free(struct server *server)
{
	struct link *l = server->link;

	if (l == NULL)
		return;
	while (l->ring_len > 0)
		link_pop(l);
	varset_unref(l->vars);
	varset_unref(l->params);
	free(l->ring);
	free(l->held);
	free(l);
	server->link = NULL;
}

void
link_param_changed(struct server *server, const char *name, const char *value)
{
	struct link *l = server->link;

	if (l != NULL && !hides(name))
		varset_assign(&l->params, varset_with(l->params, name, value));
}

/* ---- replies: a ring that grows ---- */

static void
grow(struct link *l)
{
	uint32_t cap = l->ring_cap == 0 ? 8 : l->ring_cap * 2;
	struct reply *ring = calloc(cap, sizeof *ring);

	if (ring == NULL)
		abort();
	for (uint32_t i = 0; i < l->ring_len; i++)
		ring[i] = *link_nth(l, i);
	free(l->ring);
	l->ring = ring;
	l->ring_cap = cap;
	l->ring_head = 0;
}

static bool
ends_cycle(const struct reply *r)
{
	return r->type == REPLY_SYNC || r->type == REPLY_QUERY ||
	    r->type == REPLY_FUNCTION;
}

struct reply *
link_push(struct link *l, enum reply_type type)
{
	struct reply *r;

	if (l->ring_len == l->ring_cap)
		grow(l);
	r = link_nth(l, l->ring_len++);
	memset(r, 0, sizeof *r);
	r->type = type;
	if (type == REPLY_QUERY)
		l->unnamed_id =
		    0; /* a simple Query drops the server's unnamed statement */
	l->syncs += ends_cycle(r);
	return r;
}

void
link_pop(struct link *l)
{
	struct reply *r = link_nth(l, 0);

	free(r->text);
	free(r->undo_name);
	l->syncs -= ends_cycle(r);
	l->ring_head = (l->ring_head + 1) & (l->ring_cap - 1);
	l->ring_len--;
}

void
link_pop_tail(struct link *l)
{
	struct reply *r = link_tail(l);

	free(r->text);
	free(r->undo_name);
	l->syncs -= ends_cycle(r);
	l->ring_len--;
}

/* ---- prepared statements: at most some hundred; a hash index would cost more than it saves below that, so the table is probed
 * openly by id and carries the LRU list in it ---- */

static uint32_t
slot_of(const struct link *l, uint64_t id)
{
	return (uint32_t)((id * 0x9e3779b97f4a7c15u) >> 32) % (l->held_cap - 1) + 1;
}

static uint32_t
find(const struct link *l, uint64_t id)
{
	uint32_t at;

	if (l->held_cap == 0)
		return 0;
	for (at = slot_of(l, id); l->held[at].id != 0;
	     at = at + 1 < l->held_cap ? at + 1 : 1)
		if (l->held[at].id == id)
			return at;
	return 0;
}

static void
unlink_lru(struct link *l, uint32_t at)
{
	l->held[l->held[at].newer].older = l->held[at].older;
	l->held[l->held[at].older].newer = l->held[at].newer;
}

/* held[0].older is the newest, held[0].newer the oldest. */
static void
push_newest(struct link *l, uint32_t at)
{
	uint32_t second = l->held[0].older;

	l->held[at].newer = 0;
	l->held[at].older = second;
	l->held[second].newer = at;
	l->held[0].older = at;
}

bool
link_holds(struct link *l, uint64_t id)
{
	uint32_t at = find(l, id);

	if (at == 0)
		return false;
	if (l->held[0].older != at) {
		unlink_lru(l, at);
		push_newest(l, at);
	}
	return true;
}

static void
insert(struct link *l, uint64_t id)
{
	uint32_t at = slot_of(l, id);

	while (l->held[at].id != 0)
		at = at + 1 < l->held_cap ? at + 1 : 1;
	l->held[at].id = id;
	push_newest(l, at);
	l->held_n++;
}

/* Rebuilds the table at `cap` slots, oldest first, without `but`. */
static void
rebuild(struct link *l, uint32_t cap, uint64_t but)
{
	struct held_stmt *old = l->held;
	uint32_t had = l->held_cap;

	l->held = calloc(cap, sizeof l->held[0]);
	if (l->held == NULL)
		abort();
	l->held_cap = cap;
	l->held_n = 0;
	for (uint32_t at = had == 0 ? 0 : old[0].newer; at != 0; at = old[at].newer)
		if (old[at].id != but)
			insert(l, old[at].id);
	free(old);
}

void
link_hold(struct link *l, uint64_t id, uint32_t max, uint64_t *evicted)
{
	*evicted = 0;
	if (l->held_n >= max && l->held_n > 0) {
		*evicted = l->held[l->held[0].newer].id;
		link_drop(l, *evicted);
	}
	if ((l->held_n + 2) * 2 > l->held_cap)
		rebuild(l, l->held_cap == 0 ? 16 : l->held_cap * 2, 0);
	insert(l, id);
}

void
link_drop(struct link *l, uint64_t id)
{
	if (find(l, id) != 0)
		rebuild(l, l->held_cap, id);
}

void
link_drop_all(struct link *l)
{
	free(l->held);
	l->held = NULL;
	l->held_cap = l->held_n = 0;
	l->unnamed_id = 0;
}
