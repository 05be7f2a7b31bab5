/* Who gets what: a site's resting connections, places and waiters, decided once a
 * turn, at its end.
 *
 *   match      resting connections to waiters of their login, unless somebody else has
 *              waited so much longer
 *   provide    for waiters that nothing is under way for: a resting connection of
 *              another worker, a new connection in a place that is free, a place for
 *              which another login's resting connection is closed
 *   give_away  what rests and is needed in other workers
 *
 * The work grows with the logins that wait, not with the waiters. */
#include "pool/pool_impl.h"

/* ---- match ---- */

/* Starts the check of a connection that has rested for long. */
static void
start_check(struct server *s)
{
	struct backend *b = s->pool->backend;

	pthread_mutex_lock(&b->lock);
	server_test(s, TEST_CHECK, b->check_query);
	pthread_mutex_unlock(&b->lock);
}

/* A connection to lend now, NULL: none, or they are being checked. */
static struct server *
take_idle(struct pool *p, uint64_t now)
{
	bool in_turn = atomic_load(&p->backend->limits.server_round_robin);

	while (p->n_idle > 0) {
		struct server *s = server_of_node(in_turn ? p->idle.prev : p->idle.next);

		if (!server_needs_check(s, now))
			return s;
		if (p->n_checking >= p->n_waiting)
			return NULL;
		start_check(s);
	}
	return NULL;
}

/* A worker whose oldest waiter for this login has waited so much longer than `w`; -1:
 * none. */
static int
older_elsewhere(const struct pool *p, const struct waiter *w)
{
	uint64_t oldest = w->since_us - POOL_FAIR_US;
	int who = -1;

	if (atomic_load(&p->backend->waiting) == p->site->n_waiting)
		return -1;
	for (int i = 0; i < p->pools->n_peers; i++) {
		uint64_t since = atomic_load(&p->lane->worker[i].oldest_wait_us);

		if (i != p->pools->index && since != 0 && since < oldest &&
		    atomic_load(&p->lane->worker[i].coming) == 0) {
			oldest = since;
			who = i;
		}
	}
	return who;
}

/* Does another login's waiter lack a place here for so long that a connection of this
 * login is to be closed for it? */
static bool
starved_here(const struct pool *p, const struct waiter *w)
{
	const struct site *site = p->site;

	if (site->n_places + site->n_expected > 0)
		return false;
	LIST_FOREACH(n, &site->hungry) {
		const struct pool *q = LIST_ENTRY(n, struct pool, hungry);

		if (q != p && q->lacks_place &&
		    first_waiter(q)->since_us < w->since_us - POOL_EVICT_US)
			return true;
	}
	return false;
}

/* The other worker that lacks a place for longest, unless it is for this very login: that
 * one gets a connection moved. */
static int
stranger_in_need(const struct pool *p, uint64_t *since)
{
	int who = budget_neediest(p->backend, p->pools->n_peers, p->pools->index, since);

	if (who >= 0 && atomic_load(&p->lane->worker[who].oldest_wait_us) == *since)
		return -1;
	return who;
}

/* The worker of such a waiter; -1: none. */
static int
starved(const struct pool *p, const struct waiter *w)
{
	int self = p->pools->index, who;
	uint64_t since;

	if (starved_here(p, w))
		return self;
	who = stranger_in_need(p, &since);
	return who >= 0 && since < w->since_us - POOL_EVICT_US ? who : -1;
}

static void
evict(struct server *s, int heir)
{
	struct site *site = s->pool->site;

	s->heir = heir;
	if (heir == site->pools->index) {
		s->expected = true;
		site->n_expected++;
	} else {
		s->promised = true;
		atomic_fetch_add(&site->backend->worker[heir].coming, 1);
	}
	atomic_fetch_add_explicit(&site->backend->n_evictions, 1, memory_order_relaxed);
	server_close(s, true);
}

/* ---- quotas ---- */

static void
close_for(struct server *s, struct quota *q)
{
	s->evicted_for = q;
	atomic_fetch_add_explicit(
	    &s->pool->backend->n_evictions, 1, memory_order_relaxed);
	server_close(s, true);
}

/* One of this login's quotas for which a connection is to be closed rather than lent:
 * there are too many, or somebody has lacked room for so much longer. */
static struct quota *
starved_quota(const struct pool *p, const struct waiter *w)
{
	for (int i = 0; i < QUOTA_KINDS; i++) {
		struct quota *q = p->lane->quotas[i];
		uint64_t oldest = quota_oldest(q);

		if ((quota_over(q) ||
			(oldest != 0 && oldest < w->since_us - POOL_EVICT_US)) &&
		    quota_claim(q))
			return q;
	}
	return NULL;
}

static struct server *
longest_at_rest(const struct site *site, const struct quota *q, struct server *than)
{
	for (struct list *n = site->idle.prev; n != &site->idle; n = n->prev) {
		struct server *s = LIST_ENTRY(n, struct server, rest);

		if (s->pool->n_waiting == 0 && s->pool->lane->quotas[q->kind] == q)
			return than == NULL || s->idle_since_us < than->idle_since_us
			    ? s
			    : than;
	}
	return than;
}

void
evict_for_quota(struct pools *ps, struct site *preferred, struct quota *q)
{
	struct server *s = NULL;

	if (!quota_claim(q))
		return;
	if (preferred != NULL)
		s = longest_at_rest(preferred, q, NULL);
	if (s == NULL)
		LIST_FOREACH(n, &ps->sites)
			s = longest_at_rest(LIST_ENTRY(n, struct site, node), q, s);
	if (s != NULL)
		close_for(s, q);
	else
		quota_evicted(q);
}

/* Room was not to be had: what rests somewhere makes some. */
static void
want_room(struct pool *p)
{
	struct quota *q = p->need.quota;

	p->need.round = p->site->round;
	evict_for_quota(p->pools, p->site, q);
	if (!p->need.asked)
		ask_for_room(p->pools, q);
	p->need.asked = true;
}

/* Those that asked for room before and do not now must not keep it from others. */
static void
forget_needs(struct site *site, unsigned round)
{
	LIST_FOREACH(n, &site->hungry) {
		struct pool *p = LIST_ENTRY(n, struct pool, hungry);

		if (p->need.quota != NULL && p->need.round != round)
			quota_forget(&p->need);
	}
}

/* What rests here for nobody, and is lacked somewhere. */
static void
give_room(struct site *site)
{
	LIST_FOREACH_SAFE(n, &site->idle) {
		struct server *s = LIST_ENTRY(n, struct server, rest);

		for (int i = 0; i < QUOTA_KINDS && s->state == SERVER_IDLE; i++)
			if (s->pool->n_waiting == 0 &&
			    quota_claim(s->pool->lane->quotas[i]))
				close_for(s, s->pool->lane->quotas[i]);
	}
}

/* ---- match, all ---- */

static void
match_pool(struct pool *p, uint64_t now)
{
	struct quota *q;
	struct waiter *w;
	struct server *s;
	int who;

	while ((w = first_waiter(p)) != NULL && (s = take_idle(p, now)) != NULL) {
		if ((who = older_elsewhere(p, w)) >= 0)
			server_begin_move(s, who, NULL);
		else if ((who = starved(p, w)) >= 0)
			evict(s, who);
		else if ((q = starved_quota(p, w)) != NULL)
			close_for(s, q);
		else
			waiter_grant(w, s);
	}
}

static void
match(struct site *site, uint64_t now)
{
	LIST_FOREACH_SAFE(n, &site->hungry)
		match_pool(LIST_ENTRY(n, struct pool, hungry), now);
}

/* ---- provide ---- */

bool
site_may_dial(const struct site *s, uint64_t now_us)
{
	return s->n_dialing < DIALS_PER_SITE && now_us >= s->retry_us &&
	    backend_would_be_usable(s->backend, now_us);
}

/* Of the pools that can still be helped in this round, the one whose first waiter is
 * oldest. */
static struct pool *
hungriest(const struct site *site)
{
	struct pool *best = NULL;

	LIST_FOREACH(n, &site->hungry) {
		struct pool *p = LIST_ENTRY(n, struct pool, hungry);

		if (p->round == site->round ||
		    p->n_waiting <=
			p->n_dialing + p->n_checking + p->n_asked + p->promised)
			continue;
		if (best == NULL ||
		    first_waiter(p)->since_us < first_waiter(best)->since_us)
			best = p;
	}
	return best;
}

/* A worker with a resting connection of this login that was not asked yet. */
static bool
ask_for_connection(struct pool *p)
{
	for (int i = 0; i < p->pools->n_peers; i++) {
		if (i == p->pools->index || (p->asked & UINT64_C(1) << i) ||
		    atomic_load(&p->lane->worker[i].idle) == 0)
			continue;
		p->asked |= UINT64_C(1) << i;
		ask_send(p, i, false);
		return true;
	}
	return false;
}

static bool
ask_for_place(struct pool *p)
{
	struct site *site = p->site;

	for (int i = 0; i < p->pools->n_peers; i++) {
		if (i == p->pools->index || (site->asked_places & UINT64_C(1) << i) ||
		    atomic_load(&p->backend->worker[i].idle) == 0)
			continue;
		site->asked_places |= UINT64_C(1) << i;
		ask_send(p, i, true);
		return true;
	}
	return false;
}

/* The connection that has rested longest of the logins that nobody waits for. */
static bool
evict_own(struct site *site)
{
	for (struct list *n = site->idle.prev; n != &site->idle; n = n->prev) {
		struct server *s = LIST_ENTRY(n, struct server, rest);

		if (s->pool->n_waiting == 0) {
			evict(s, site->pools->index);
			return true;
		}
	}
	return false;
}

static bool
take_place(struct pool *p, uint64_t now)
{
	struct site *site = p->site;

	if (site->n_places > 0) {
		site->n_places--;
		return true;
	}
	return budget_take(
	    p->backend, budget_limit(p->backend, now - first_waiter(p)->since_us));
}

/* Since when the first has waited for whom nothing is under way. */
static uint64_t
waited_since(const struct pool *p)
{
	int n = p->n_dialing + p->n_checking + p->n_asked + p->promised;
	const struct list *it = p->waiters.next;

	while (n-- > 0 && it->next != &p->waiters)
		it = it->next;
	return LIST_ENTRY(it, struct waiter, node)->since_us;
}

/* Sets something under way for one more waiter of the pool, or marks why it cannot. */
static void
provide_one(struct pool *p, uint64_t now)
{
	struct site *site = p->site;

	if (ask_for_connection(p))
		return;
	p->round = site->round;
	if (!site_may_dial(site, now))
		return;
	if (!lane_enter(p->lane, p->max_connections, &p->need, waited_since(p))) {
		if (p->need.quota != NULL)
			want_room(p);
		return;
	}
	if (take_place(p, now)) {
		p->round--;
		dial_start(p);
		return;
	}
	lane_leave(p->lane);
	if (site->tokens > 0)
		site->tokens--;
	else if (!evict_own(site) && !ask_for_place(p)) {
		p->lacks_place = true;
		return;
	}
	p->promised++;
	p->round--;
}

static void
provide(struct site *site, uint64_t now)
{
	struct pool *p;

	site->round++;
	site->tokens = site->n_expected;
	LIST_FOREACH(n, &site->hungry) {
		p = LIST_ENTRY(n, struct pool, hungry);
		p->promised = 0;
		p->lacks_place = false;
	}
	while ((p = hungriest(site)) != NULL)
		provide_one(p, now);
	forget_needs(site, site->round);
}

/* Shows since when somebody here has lacked a place. True when that is news. */
static bool
publish_need(struct site *site)
{
	_Atomic uint64_t *entry =
	    &site->backend->worker[site->pools->index].oldest_wait_us;
	uint64_t oldest = 0;

	LIST_FOREACH(n, &site->hungry) {
		struct pool *p = LIST_ENTRY(n, struct pool, hungry);
		uint64_t since = first_waiter(p)->since_us;

		if (p->lacks_place && (oldest == 0 || since < oldest))
			oldest = since;
	}
	if (atomic_load_explicit(entry, memory_order_relaxed) == oldest)
		return false;
	atomic_store(entry, oldest);
	return oldest != 0;
}

/* ---- give away ---- */

static int
waiting_elsewhere(const struct pool *p)
{
	for (int i = 0; i < p->pools->n_peers; i++)
		if (i != p->pools->index &&
		    atomic_load(&p->lane->worker[i].waiting) >
			atomic_load(&p->lane->worker[i].coming))
			return i;
	return -1;
}

static void
give_away(struct site *site)
{
	uint64_t since;
	int who;

	if (site->n_idle == 0 || atomic_load(&site->backend->waiting) == site->n_waiting)
		return;
	LIST_FOREACH_SAFE(n, &site->idle) {
		struct server *s = LIST_ENTRY(n, struct server, rest);

		if (s->pool->n_waiting == 0 && (who = waiting_elsewhere(s->pool)) >= 0)
			server_begin_move(s, who, NULL);
	}
	LIST_FOREACH_SAFE(n, &site->idle) {
		struct server *s = LIST_ENTRY(n, struct server, rest);

		if (s->pool->n_waiting == 0 &&
		    (who = stranger_in_need(s->pool, &since)) >= 0)
			evict(s, who);
	}
}

/* ---- all together ---- */

/* Looks again when the reserve may be used, or the pause after a failure is over. */
static void
set_wake(struct site *site, uint64_t now)
{
	struct backend *b = site->backend;
	uint64_t due = UINT64_MAX,
		 reserve = atomic_load(&b->limits.reserve_pool_timeout_us);

	if (site->n_waiting == 0)
		return;
	if (site->retry_us > now)
		due = site->retry_us;
	if (reserve > 0 && atomic_load(&b->limits.reserve_pool_size) > 0) {
		LIST_FOREACH(n, &site->hungry) {
			struct pool *p = LIST_ENTRY(n, struct pool, hungry);
			uint64_t at = first_waiter(p)->since_us + reserve;

			if (p->lacks_place && at > now && at < due)
				due = at;
		}
	}
	if (due != UINT64_MAX)
		timer_start(site->pools->loop, &site->wake, (due - now + 999) / 1000);
}

void
site_wake(struct timer *t)
{
	site_want_serve(LIST_ENTRY(t, struct site, wake));
}

/* Without a connection anywhere and with the breaker open there is nothing to wait for.
 */
static void
fail_hopeless(struct site *site, uint64_t now)
{
	struct err e;
	char text[200];

	if (site->n_waiting == 0 || site->n_dialing > 0 ||
	    backend_would_be_usable(site->backend, now))
		return;
	(void)backend_last_error(site->backend, text, sizeof text);
	(void)err_set(&e, "08001", BLAST_TXN, "server %s cannot be reached: %s",
	    site->backend->label, text);
	LIST_FOREACH_SAFE(n, &site->members) {
		struct pool *p = LIST_ENTRY(n, struct pool, member);

		if (p->n_waiting > 0 && atomic_load(&p->lane->connections) == 0)
			waiters_fail(p, &e);
	}
}

void
site_serve(struct deferred *d)
{
	struct site *site = LIST_ENTRY(d, struct site, serve);
	uint64_t now = pools_now(site->pools);

	if (!atomic_load(&site->backend->paused) && !site->pools->ending) {
		match(site, now);
		provide(site, now);
		/* What came free before the need was seen. */
		if (publish_need(site)) {
			provide(site, now);
			(void)publish_need(site);
		}
		give_away(site);
		give_room(site);
		set_wake(site, now);
	} else {
		forget_needs(site, ++site->round);
	}
	if (atomic_load(
		&site->backend->paused)) /* it would get its places back at once */
		atomic_store(
		    &site->backend->worker[site->pools->index].oldest_wait_us, 0);
	for (int n = site->n_places; n > 0; n--) {
		site->n_places--;
		place_free(site, -1);
	}
	waiters_deliver(site);
	if (!atomic_load(&site->backend->paused))
		fail_hopeless(site, now);
}
