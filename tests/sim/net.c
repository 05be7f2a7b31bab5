/* Connections. Messages keep their order within one; a break loses what was on the way, from some message on, in either direction; each
 * side learns of an end on its own, the server's perhaps much later (a host that is gone says nothing). */
#include "tests/sim/sim.h"

#include <limits.h>
#include <stdlib.h>

static struct conn *conns;
static int n_conns, cap_conns;

void
net_init(void)
{
	n_conns = 0;
}

struct conn *
net_conn(int conn)
{
	return &conns[conn];
}

int
net_count(void)
{
	return n_conns;
}

static uint64_t
delay(void)
{
	if (maybe(world.p_late))
		return between(10 * MS, 20 * SECOND);
	return between(100, 2 * MS);
}

int
net_open(int proxy, int shard, enum waits waits, int id, int part)
{
	struct conn *c;

	if (n_conns == cap_conns) {
		cap_conns = cap_conns == 0 ? 256 : 2 * cap_conns;
		conns = realloc(conns, (size_t)cap_conns * sizeof *conns);
		if (conns == NULL)
			abort();
	}
	c = &conns[n_conns];
	*c = (struct conn){.proxy = proxy, .shard = shard, .waits = waits};
	c->client_epoch = world.proxies[proxy].epoch;
	c->shard_epoch = world.shards[shard].epoch;
	c->waits_id = id;
	c->waits_part = part;
	c->c2s_limit = c->s2c_limit = INT_MAX;
	c->waits_for = -1;
	if (!world.shards[shard].up) {
		c->server_closed = true;
		at(world.now + delay(), EV_CLIENT_END, n_conns, 0, NULL);
	}
	return n_conns++;
}

static uint64_t
arrival(uint64_t *last)
{
	uint64_t when = world.now + delay();

	if (when <= *last)
		when = *last + 1;
	*last = when;
	return when;
}

static void
server_will_see_end(int conn)
{
	struct conn *c = &conns[conn];
	uint64_t when = arrival(&c->c2s_at);

	/* no FIN: TCP keepalive finds it in the end */
	if (maybe(200))
		when += between(SECOND, 60 * SECOND);
	at(when, EV_SERVER_END, conn, 0, NULL);
}

static void
break_connection(int conn)
{
	struct conn *c = &conns[conn];

	note("connection %d breaks", conn);
	c->c2s_limit = c->c2s_got + (c->c2s_sent > c->c2s_got ? pick(2) : 0);
	c->s2c_limit = pick(2) ? c->s2c_sent : 0;
	at(arrival(&c->s2c_at), EV_CLIENT_END, conn, 0, NULL);
	server_will_see_end(conn);
}

void
net_send(int conn, const char *text)
{
	struct conn *c = &conns[conn];

	note("proxy %d -> shard %d (%d): %s", c->proxy, c->shard, conn, text);
	at(arrival(&c->c2s_at), EV_TO_SERVER, conn, ++c->c2s_sent, text);
	if (maybe(world.p_break))
		break_connection(conn);
}

void
net_reply(int conn, const struct reply *r)
{
	struct conn *c = &conns[conn];

	note("shard %d -> proxy %d (%d): %s %c", c->shard, c->proxy, conn,
	    r->sqlstate != NULL ? r->sqlstate : r->tag, r->status);
	at(arrival(&c->s2c_at), EV_TO_CLIENT, conn, ++c->s2c_sent, r);
	if (maybe(world.p_break))
		break_connection(conn);
}

void
net_close_client(int conn)
{
	struct conn *c = &conns[conn];

	if (c->client_closed)
		return;
	c->client_closed = true;
	server_will_see_end(conn);
}

void
net_client_died(int proxy)
{
	for (int i = 0; i < n_conns; i++)
		if (conns[i].proxy == proxy && !conns[i].client_closed)
			net_close_client(i);
}

void
net_server_died(int shard)
{
	for (int i = 0; i < n_conns; i++) {
		struct conn *c = &conns[i];

		if (c->shard != shard || c->server_closed)
			continue;
		c->server_closed = true;
		/* answers on the way may arrive still, or not */
		if (pick(2))
			c->s2c_limit = 0;
		at(arrival(&c->s2c_at), EV_CLIENT_END, i, 0, NULL);
	}
}

void
net_event(const struct event *e)
{
	struct conn *c = &conns[e->a];
	struct proxy *p = &world.proxies[c->proxy];

	switch (e->kind) {
	case EV_TO_SERVER:
		if (c->server_closed || e->b > c->c2s_limit)
			return;
		c->c2s_got = e->b;
		shard_receive(e->a, e->p);
		return;
	case EV_SERVER_END:
		if (!c->server_closed)
			shard_client_gone(e->a);
		return;
	default:
		break;
	}
	if (c->client_closed || c->client_epoch != p->epoch)
		return;
	if (world.now < p->frozen_until) {
		push_back(*e, p->frozen_until);
		return;
	}
	if (e->kind == EV_CLIENT_END) {
		c->client_closed = true;
		if (!c->server_closed)
			server_will_see_end(e->a);
		proxy_lost(e->a);
	} else if (e->b <= c->s2c_limit) {
		proxy_answer(e->a, e->p);
	}
}
