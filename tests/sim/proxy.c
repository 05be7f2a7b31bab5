/* Proxies: coordinators that carry out what router/txn/commit.h says, as sessions do, and recoverers that do what router/recovery
 * does; and what may happen to them. */
#include "tests/sim/sim.h"

#include <stdlib.h>

#define COORDS_MAX   TXNS_MAX
#define SETTLE_TRIES 3

struct coord {
	bool used, over;
	int proxy, epoch, gtxn;
	struct arena arena;
	struct txn t;
	struct txn_part parts[SHARDS_MAX];
	int conn[SHARDS_MAX];
	int opening; /* participants whose BEGIN is not answered yet */
	int timer_no, settle_tries;
	uint64_t began_at;
};

/* One statement of recovery, on a connection of its own. */
struct ask {
	enum ask_kind {
		ASK_SETTLE,
		ASK_LIST,
		ASK_RECOVER,
		ASK_FORGET_ABORTS,
		ASK_OLD,
		ASK_SWEEP
	} kind;
	int proxy, shard, conn;
	int coord;
	struct recover r;
	int holder;
	struct sweep s;
};

struct handover {
	int shard;
	struct gid gid;
};

static struct coord coords[COORDS_MAX];
static struct ask **asks;
static int n_asks, cap_asks, started;

void
proxies_init(void)
{
	for (int i = 0; i < COORDS_MAX; i++)
		arena_reset(&coords[i].arena);
	memset(coords, 0, sizeof coords);
	n_asks = started = 0;
	for (int i = 0; i < world.n_proxies; i++) {
		world.proxies[i].up = true;
		at(between(0, world.period_us), EV_PERIOD, i, world.proxies[i].epoch,
		    NULL);
	}
}

bool
proxies_quiet(void)
{
	for (int i = 0; i < COORDS_MAX; i++)
		if (coords[i].used && !coords[i].over)
			return false;
	return started == world.n_txns;
}

/* ---- coordinators ---- */

static int
random_flags(enum txn_deed deed, bool serializable)
{
	int flags = 0;

	if (pick(20) == 0 && (deed != TXN_LOCKED || serializable))
		flags |= FAIL_PREPARE;
	if (pick(40) == 0)
		flags |= FAIL_SILENT;
	if (pick(40) == 0)
		flags |= READ_ONLY;
	if (pick(4) == 0)
		flags |= NO_SYNC;
	return flags;
}

static void
invent(struct gtxn *g)
{
	int from = pick(world.n_shards);

	g->n = 1 + pick(world.n_shards);
	g->serializable = pick(5) == 0;
	g->best_effort = pick(12) == 0;
	for (int i = 0; i < g->n; i++) {
		int deed = pick(6);

		g->shard[i] = (from + i) % world.n_shards;
		g->deed[i] = deed == 0 ? TXN_READ : deed == 1 ? TXN_LOCKED : TXN_WROTE;
		g->writers += g->deed[i] == TXN_WROTE;
		g->flags[i] = random_flags(g->deed[i], g->serializable);
		note("%d: participant %d on shard %d: deed %d, flags %d%s%s",
		    (int)(g - world.txns), i, g->shard[i], g->deed[i], g->flags[i],
		    g->serializable ? ", serializable" : "",
		    g->best_effort ? ", best_effort" : "");
	}
}

static void
tell(struct coord *c, enum txn_outcome outcome)
{
	struct gtxn *g = &world.txns[c->gtxn];

	note("the client of %d is told %d", c->gtxn, outcome);
	sim_counts[outcome]++;
	g->told = true;
	g->outcome = outcome;
	c->over = true;
}

static void carry_out(int coord);

static bool
alive(const struct coord *c)
{
	return c->used && !c->over && world.proxies[c->proxy].up &&
	    world.proxies[c->proxy].epoch == c->epoch;
}

static void
start_coord(int i, int proxy)
{
	struct coord *c = &coords[i];
	struct gtxn *g = &world.txns[i];

	*c = (struct coord){.used = true, .proxy = proxy, .gtxn = i};
	c->epoch = world.proxies[proxy].epoch;
	invent(g);
	started++;
	c->opening = g->n;
	for (int p = 0; p < g->n; p++) {
		struct txn_part *part = &c->parts[p];

		part->shard = "a shard";
		part->identity = world.shards[g->shard[p]].identity;
		part->deed = g->deed[p];
		part->serializable = g->serializable;
		part->unpreparable = pick(30) == 0;
		part->first = pick(3) == 0;
		c->conn[p] = net_open(proxy, g->shard[p], WAITS_COORD, i, p);
		net_send(c->conn[p], arena_printf(&world.arena, "BEGIN %d %d", i, p));
	}
}

static void
new_txn(int i)
{
	int proxy = pick(world.n_proxies);

	if (!world.proxies[proxy].up || world.proxies[proxy].frozen_until > world.now)
		at(world.now + SECOND, EV_TXN, i, 0, NULL);
	else
		start_coord(i, proxy);
}

/* All are open: the client says COMMIT. */
static void
commit(int i)
{
	struct coord *c = &coords[i];
	struct gtxn *g = &world.txns[i];
	uint8_t random[TXN_RANDOM_BYTES];
	bool best_effort = g->best_effort;

	for (int b = 0; b < TXN_RANDOM_BYTES; b++)
		random[b] = (uint8_t)chance();
	txn_init(&c->t, &c->arena, c->parts, g->n, best_effort, random);
	c->began_at = world.now;
	txn_begin(&c->t, pick(20) != 0);
	snprintf(g->key, sizeof g->key, "%s", c->t.key);
	if (pick(10) == 0)
		at(world.now + between(0, 10 * MS), EV_CANCEL, i, c->epoch, NULL);
	carry_out(i);
}

static void
drop(struct coord *c)
{
	for (int p = 0; p < world.txns[c->gtxn].n; p++)
		net_close_client(c->conn[p]);
	tell(c, TXN_FAILED);
}

static void
release(struct coord *c, int part)
{
	struct conn *n = net_conn(c->conn[part]);

	if (!n->server_closed && (n->t.open || n->rest != NULL))
		check_fail("a connection is released that is not at rest");
	net_close_client(c->conn[part]);
}

static void
hand_over(struct coord *c, int part, const char *gid)
{
	struct handover *h = ARENA_NEW(&world.arena, struct handover);

	h->shard = world.txns[c->gtxn].shard[part];
	if (!gid_parse(slice_of(gid), &h->gid))
		check_fail("not a gid: %s", gid);
	at(world.now + between(0, 10 * MS), EV_HANDOVER, c->proxy, c->epoch, h);
}

static void settle(int coord);

static void
carry_out_one(int i, const struct txn_action *a)
{
	struct coord *c = &coords[i];

	switch (a->kind) {
	case TXN_SEND:
		net_send(c->conn[a->part], arena_strdup(&world.arena, a->sql));
		break;
	case TXN_RELEASE:
		release(c, a->part);
		break;
	case TXN_DISCARD:
		net_close_client(c->conn[a->part]);
		break;
	case TXN_TIMER:
		at(world.now + world.commit_timeout_us, EV_TIMER, i, ++c->timer_no, NULL);
		break;
	case TXN_SETTLE:
		settle(i);
		break;
	case TXN_HANDOVER:
		hand_over(c, a->part, a->sql);
		break;
	case TXN_OVER:
		tell(c, c->t.answer.outcome);
		break;
	}
}

static void
carry_out(int i)
{
	struct coord *c = &coords[i];
	struct proxy *p = &world.proxies[c->proxy];
	const struct txn_action *a;

	while (alive(c) && (a = txn_next(&c->t)) != NULL) {
		if (p->actions++ == world.crash_proxy_at && world.now < world.calm_at) {
			proxy_crash(c->proxy);
			return;
		}
		carry_out_one(i, a);
	}
}

static void
coord_answer(int i, int part, const struct reply *r)
{
	struct coord *c = &coords[i];

	if (!alive(c))
		return;
	if (c->opening > 0) {
		if (--c->opening == 0)
			commit(i);
		return;
	}
	txn_reply(&c->t, part, r->tag, r->sqlstate, r->status);
	carry_out(i);
}

static void
coord_lost(int i, int part)
{
	struct coord *c = &coords[i];

	if (!alive(c))
		return;
	if (c->opening > 0) {
		drop(c);
		return;
	}
	txn_lost(&c->t, part);
	carry_out(i);
}

/* ---- recovery ---- */

static struct ask *
ask(enum ask_kind kind, int proxy, int shard)
{
	struct ask *k = ARENA_NEW(&world.arena, struct ask);

	if (n_asks == cap_asks) {
		cap_asks = cap_asks == 0 ? 256 : 2 * cap_asks;
		asks = realloc(asks, (size_t)cap_asks * sizeof(struct ask *));
		if (asks == NULL)
			abort();
	}
	k->kind = kind;
	k->proxy = proxy;
	k->shard = shard;
	asks[n_asks++] = k;
	return k;
}

static void
send_ask(struct ask *k, int shard, const char *sql)
{
	int id = n_asks - 1;

	for (int i = n_asks - 1; i >= 0; i--)
		if (asks[i] == k) {
			id = i;
			break;
		}
	k->conn = net_open(k->proxy, shard, WAITS_ASK, id, 0);
	net_send(k->conn, arena_strdup(&world.arena, sql));
}

static int
shard_of(const struct txn_identity *identity)
{
	for (int i = 0; i < world.n_shards; i++)
		if (txn_identity_eq(&world.shards[i].identity, identity))
			return i;
	check_fail("no shard has the identity %s", identity->hex);
	return 0;
}

static void
settle(int coord)
{
	struct coord *c = &coords[coord];
	struct ask *k =
	    ask(ASK_SETTLE, c->proxy, shard_of(&c->parts[c->t.anchor].identity));
	char sql[200];

	k->coord = coord;
	recover_verdict_sql(c->t.key, sql, sizeof sql);
	send_ask(k, k->shard, sql);
}

static void
settled(const struct ask *k, const struct recover_reply *reply)
{
	struct coord *c = &coords[k->coord];
	enum txn_verdict v = recover_believe(
	    recover_verdict(reply), world.now - c->began_at, world.retention_us);

	if (!alive(c) || c->t.state != TXN_STATE_SETTLING)
		return;
	if (v == TXN_VERDICT_UNKNOWN && ++c->settle_tries < SETTLE_TRIES) {
		at(world.now + between(10 * MS, SECOND), EV_SETTLE, k->coord, c->epoch,
		    NULL);
		return;
	}
	sim_counts[COUNT_SETTLED_COMMIT + v]++;
	txn_verdict(&c->t, v);
	carry_out(k->coord);
}

static void
go_on_recovering(struct ask *k, enum recover_where where)
{
	if (where == RECOVER_END)
		sim_counts[COUNT_RECOVERED + k->r.result]++;
	if (where == RECOVER_END)
		note("proxy %d: %s_%d: %s", k->proxy, k->r.gid.key + 38, k->r.gid.part,
		    recover_result_name(k->r.result));
	else
		send_ask(k,
		    where == RECOVER_ON_ANCHOR ? shard_of(&k->r.gid.anchor) : k->holder,
		    k->r.sql);
}

static bool
is_active(int proxy, const char *key)
{
	for (int i = 0; i < COORDS_MAX; i++)
		if (alive(&coords[i]) && coords[i].proxy == proxy &&
		    strcmp(coords[i].t.key, key) == 0)
			return true;
	return false;
}

static void
recover(int proxy, int holder, const struct gid *g)
{
	struct ask *k;

	if (is_active(proxy, g->key))
		return;
	k = ask(ASK_RECOVER, proxy, holder);
	k->holder = holder;
	go_on_recovering(k, recover_begin(&k->r, g));
}

static void
listed(const struct ask *k, const struct reply *r)
{
	for (int i = 0; i < r->n_rows; i++) {
		struct gid g;

		if (!gid_parse(slice_of(r->rows[i].a), &g))
			check_fail("not a gid: %s", r->rows[i].a);
		if (r->rows[i].age_s * 1e6 >= (double)world.grace_us)
			recover(k->proxy, k->shard, &g);
	}
}

static void
go_on_sweeping(struct ask *k, enum sweep_where where)
{
	if (where == SWEEP_END)
		return;
	send_ask(k, where == SWEEP_ON_ANCHOR ? k->shard : shard_of(&k->s.participant),
	    k->s.sql);
}

static void
old_listed(const struct ask *k, const struct reply *r)
{
	for (int i = 0; i < r->n_rows; i++) {
		struct ask *sweep = ask(ASK_SWEEP, k->proxy, k->shard);

		go_on_sweeping(sweep,
		    sweep_begin(&sweep->s, slice_of(r->rows[i].a), r->rows[i].b,
			world.retention_us));
	}
}

static void
ask_answered(struct ask *k, const struct reply *r)
{
	struct recover_reply reply = {.lost = r == NULL};

	if (r != NULL) {
		reply.sqlstate = r->sqlstate;
		reply.value = r->n_rows > 0 ? r->rows[0].a : NULL;
	}
	switch (k->kind) {
	case ASK_SETTLE:
		settled(k, &reply);
		break;
	case ASK_RECOVER:
		go_on_recovering(k, recover_reply(&k->r, &reply));
		break;
	case ASK_SWEEP:
		go_on_sweeping(k, sweep_reply(&k->s, &reply));
		break;
	case ASK_LIST:
		if (r != NULL)
			listed(k, r);
		break;
	case ASK_OLD:
		if (r != NULL)
			old_listed(k, r);
		break;
	case ASK_FORGET_ABORTS:
		break;
	}
}

static void
period(int proxy)
{
	char old[200];

	sweep_old_sql(world.retention_us, old, sizeof old);
	for (int s = 0; s < world.n_shards; s++) {
		send_ask(ask(ASK_LIST, proxy, s), s, RECOVER_SQL_LIST);
		send_ask(ask(ASK_FORGET_ABORTS, proxy, s), s, RECOVER_SQL_FORGET_ABORTS);
		send_ask(ask(ASK_OLD, proxy, s), s, old);
	}
	at(world.now + world.period_us, EV_PERIOD, proxy, world.proxies[proxy].epoch,
	    NULL);
}

/* ---- what arrives ---- */

void
proxy_answer(int conn, const struct reply *r)
{
	struct conn c = *net_conn(conn);

	if (c.waits == WAITS_COORD) {
		coord_answer(c.waits_id, c.waits_part, r);
	} else {
		net_close_client(conn);
		ask_answered(asks[c.waits_id], r);
	}
}

void
proxy_lost(int conn)
{
	struct conn c = *net_conn(conn);

	if (c.waits == WAITS_COORD)
		coord_lost(c.waits_id, c.waits_part);
	else
		ask_answered(asks[c.waits_id], NULL);
}

void
proxy_crash(int proxy)
{
	struct proxy *p = &world.proxies[proxy];

	note("proxy %d crashes", proxy);
	p->up = false;
	p->epoch++;
	for (int i = 0; i < COORDS_MAX; i++)
		if (coords[i].used && coords[i].proxy == proxy)
			coords[i].over = true;
	net_client_died(proxy);
	at(world.now + between(MS, pick(4) == 0 ? 60 * SECOND : SECOND), EV_START_PROXY,
	    proxy, 0, NULL);
}

static void
freeze(int proxy)
{
	struct proxy *p = &world.proxies[proxy];

	if (!p->up || world.now >= world.calm_at)
		return;
	p->frozen_until = world.now + between(10 * MS, 100 * SECOND);
	note("proxy %d freezes until %.3f ms", proxy, (double)p->frozen_until / 1000.0);
}

static void
coord_event(const struct event *e)
{
	struct coord *c = &coords[e->a];

	if (!alive(c) || c->opening > 0)
		return;
	if (e->kind == EV_TIMER) {
		if (e->b != c->timer_no)
			return;
		note("commit_timeout of %d", c->gtxn);
		txn_timeout(&c->t);
		carry_out(e->a);
	} else if (e->kind == EV_CANCEL) {
		txn_cancel(&c->t);
		carry_out(e->a);
	} else if (c->t.state == TXN_STATE_SETTLING) {
		settle(e->a);
	}
}

/* The proxy that an event is for; -1: none. */
static int
owner_of(const struct event *e)
{
	switch (e->kind) {
	case EV_TIMER:
	case EV_CANCEL:
	case EV_SETTLE:
		return coords[e->a].proxy;
	case EV_PERIOD:
	case EV_HANDOVER:
		return e->a;
	default:
		return -1;
	}
}

void
proxy_event(const struct event *e)
{
	int owner = owner_of(e);
	const struct handover *h = e->p;

	if (owner >= 0 && world.proxies[owner].frozen_until > world.now) {
		push_back(*e, world.proxies[owner].frozen_until);
		return;
	}
	switch (e->kind) {
	case EV_TXN:
		new_txn(e->a);
		break;
	case EV_CRASH_PROXY:
		if (world.proxies[e->a].up && world.now < world.calm_at)
			proxy_crash(e->a);
		break;
	case EV_FREEZE_PROXY:
		freeze(e->a);
		break;
	case EV_START_PROXY:
		note("proxy %d starts", e->a);
		world.proxies[e->a].up = true;
		world.proxies[e->a].frozen_until = 0;
		period(e->a);
		break;
	case EV_PERIOD:
		if (world.proxies[e->a].up && world.proxies[e->a].epoch == e->b)
			period(e->a);
		break;
	case EV_HANDOVER:
		if (world.proxies[e->a].up && world.proxies[e->a].epoch == e->b)
			recover(e->a, h->shard, &h->gid);
		break;
	default:
		coord_event(e);
	}
}
