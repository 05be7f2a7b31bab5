/* All pools of one worker: finding and making them, what an operator does to them, and
 * the janitor. */
#include "pool/pool_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TABLE_START 64
#define END_MS      5

static void janitor(struct timer *);

uint64_t
pools_random(struct pools *ps)
{
	/* Marsaglia, "Xorshift RNGs": for spreading only. */
	ps->random ^= ps->random << 13;
	ps->random ^= ps->random >> 7;
	ps->random ^= ps->random << 17;
	return ps->random;
}

struct pools *
pools_create(struct loop *loop, int worker_index, struct dialer *d)
{
	struct pools *ps = calloc(1, sizeof *ps);
	struct timespec ts;

	assert(worker_index >= 0 && worker_index < WORKERS_MAX);
	if (ps == NULL)
		abort();
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	ps->random = (uint64_t)ts.tv_nsec * 2654435761u + (uint64_t)worker_index + 1;
	ps->loop = loop;
	ps->index = worker_index;
	ps->dialer = d;
	if (worker_index == 0) { /* alone until pools_set_peers() */
		ps->self = ps;
		ps->peers = &ps->self;
		ps->n_peers = 1;
	}
	slab_init(&ps->servers, sizeof(struct server));
	list_init(&ps->all);
	list_init(&ps->sites);
	list_init(&ps->jobs);
	timer_init(&ps->janitor, janitor);
	timer_start(loop, &ps->janitor, JANITOR_MS);
	return ps;
}

void
pools_set_peers(struct pools **all, int n)
{
	backend_set_workers(n);
	for (int i = 0; i < n; i++) {
		assert(all[i]->index == i);
		all[i]->peers = all;
		all[i]->n_peers = n;
	}
}

void
pools_set_link_free(struct pools *ps, void (*link_free)(struct server *))
{
	ps->link_free = link_free;
}

void
pools_set_param_changed(struct pools *ps,
    void (*changed)(struct server *, const char *name, const char *value))
{
	ps->param_changed = changed;
}

/* ---- sites ---- */

struct site *
site_get(struct pools *ps, struct backend *b)
{
	struct site *s;

	LIST_FOREACH(n, &ps->sites)
		if (LIST_ENTRY(n, struct site, node)->backend == b)
			return LIST_ENTRY(n, struct site, node);
	s = calloc(1, sizeof *s);
	if (s == NULL)
		abort();
	s->pools = ps;
	s->backend = b;
	backend_ref(b);
	list_init(&s->members);
	list_init(&s->hungry);
	list_init(&s->idle);
	list_init(&s->granted);
	deferred_init(&s->serve, site_serve);
	timer_init(&s->wake, site_wake);
	list_push_front(&ps->sites, &s->node);
	return s;
}

static void
site_destroy(struct site *s)
{
	deferred_cancel(&s->serve);
	timer_stop(&s->wake);
	list_remove(&s->node);
	backend_unref(s->backend);
	free(s);
}

/* ---- the table ---- */

static struct pool **
bucket(struct pools *ps, uint64_t hash)
{
	return &ps->table[hash & (ps->table_size - 1)];
}

static void
table_grow(struct pools *ps)
{
	size_t size = ps->table_size == 0 ? TABLE_START : ps->table_size * 2;

	free(ps->table);
	ps->table = calloc(size, sizeof *ps->table);
	if (ps->table == NULL)
		abort();
	ps->table_size = size;
	LIST_FOREACH(n, &ps->all) {
		struct pool *p = LIST_ENTRY(n, struct pool, node);
		struct pool **at = bucket(ps, p->lane->hash);

		p->chain = *at;
		*at = p;
	}
}

static void
table_add(struct pools *ps, struct pool *p)
{
	struct pool **at;

	if (ps->n_pools++ >= ps->table_size)
		table_grow(ps);
	at = bucket(ps, p->lane->hash);
	p->chain = *at;
	*at = p;
}

static void
table_remove(struct pools *ps, struct pool *p)
{
	struct pool **at = bucket(ps, p->lane->hash);

	while (*at != p)
		at = &(*at)->chain;
	*at = p->chain;
	ps->n_pools--;
}

/* ---- pools ---- */

/* Takes over a reference to the lane. */
static struct pool *
pool_create(struct pools *ps, struct lane *lane)
{
	struct pool *p = calloc(1, sizeof *p);

	if (p == NULL)
		abort();
	p->pools = ps;
	p->lane = lane;
	p->backend = lane->backend;
	p->site = site_get(ps, lane->backend);
	list_init(&p->hungry);
	list_init(&p->idle);
	list_init(&p->active);
	list_init(&p->testing);
	list_init(&p->closing);
	list_init(&p->waiters);
	p->need.pool = p;
	p->used_us = pools_now(ps);
	table_add(ps, p);
	list_push_front(&ps->all, &p->node);
	list_push_front(&p->site->members, &p->member);
	return p;
}

static void
forget_text(char **text)
{
	if (*text != NULL)
		explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

static void
pool_destroy(struct pool *p)
{
	struct site *site = p->site;

	table_remove(p->pools, p);
	list_remove(&p->node);
	list_remove(&p->member);
	lane_unref(p->lane);
	forget_text(&p->password);
	forget_text(&p->md5);
	explicit_bzero(&p->keys, sizeof p->keys);
	explicit_bzero(&p->known, sizeof p->known);
	free(p->refused);
	free(p);
	if (list_empty(&site->members) && site->n_places == 0 && site->n_expected == 0)
		site_destroy(site);
}

/* True when it changed. */
static bool
set_text(char **have, const char *want)
{
	if ((*have == NULL && want == NULL) ||
	    (*have != NULL && want != NULL && strcmp(*have, want) == 0))
		return false;
	forget_text(have);
	if (want != NULL && (*have = strdup(want)) == NULL)
		abort();
	return true;
}

static bool
same_keys(const struct scram_keys *k, const struct pool_login *l)
{
	return memcmp(k->client_key, l->client_key, sizeof k->client_key) == 0 &&
	    memcmp(k->server_key, l->server_key, sizeof k->server_key) == 0;
}

static void
set_credential(struct pool *p, const struct pool_login *l)
{
	bool fresh = set_text(&p->md5, l->md5);

	if (set_text(&p->password, l->password)) {
		explicit_bzero(&p->known, sizeof p->known);
		fresh = true;
	}
	if (l->has_scram_keys && (!p->has_keys || !same_keys(&p->keys, l))) {
		memcpy(p->keys.client_key, l->client_key, sizeof p->keys.client_key);
		memcpy(p->keys.server_key, l->server_key, sizeof p->keys.server_key);
		fresh = true;
	}
	p->has_keys = l->has_scram_keys;
	if (fresh)
		p->refused_until_us = 0;
	p->max_connections = l->max_connections;
	quota_set_limit(p->lane->quotas[QUOTA_USER], l->max_user_connections);
	p->used_us = pools_now(p->pools);
}

struct pool *
pools_get(struct pools *ps, struct backend *b, const struct pool_login *l)
{
	uint64_t hash = login_hash(b, l);
	struct pool *p = ps->table_size == 0 ? NULL : *bucket(ps, hash);

	while (p != NULL && !lane_is(p->lane, b, l, hash))
		p = p->chain;
	if (p == NULL)
		p = pool_create(ps, lane_get(b, l, hash));
	set_credential(p, l);
	return p;
}

struct pool *
pools_of_lane(struct pools *ps, struct lane *lane)
{
	struct pool *p = ps->table_size == 0 ? NULL : *bucket(ps, lane->hash);

	while (p != NULL && p->lane != lane)
		p = p->chain;
	if (p != NULL)
		return p;
	lane_ref(lane);
	return pool_create(ps, lane);
}

void
pool_hold(struct pool *p)
{
	p->holds++;
}

void
pool_unhold(struct pool *p)
{
	assert(p->holds > 0);
	p->holds--;
}

struct backend *
pool_backend(const struct pool *p)
{
	return p->backend;
}

const char *
pool_user(const struct pool *p)
{
	return p->lane->user;
}

/* ---- control ---- */

static bool
is_of(const struct pool *p, const char *database)
{
	return database == NULL || strcmp(p->backend->database, database) == 0;
}

#define EACH_POOL(ps, p)                                                       \
	LIST_FOREACH_SAFE(p##_node, &(ps)->all)                                \
		for (struct pool *p = LIST_ENTRY(p##_node, struct pool, node); \
		     p != NULL; p = NULL)

static void
close_list(struct list *list)
{
	LIST_FOREACH_SAFE(n, list)
		server_close(server_of_node(n), true);
}

static void
mark_list(struct list *list)
{
	LIST_FOREACH(n, list)
		server_of_node(n)->close_needed = true;
}

void
pools_reconnect(struct pools *ps, const char *database)
{
	EACH_POOL(ps, p)
	{
		if (!is_of(p, database))
			continue;
		p->epoch++;
		mark_list(&p->active);
		mark_list(&p->testing);
		close_list(&p->idle);
	}
}

void
pools_kill(struct pools *ps, const char *database)
{
	struct err e;

	(void)err_set(&e, "57P01", BLAST_SESSION,
	    "the database's connections were closed by an administrator");
	EACH_POOL(ps, p)
	{
		if (!is_of(p, database))
			continue;
		p->epoch++;
		close_list(&p->idle);
		close_list(&p->testing);
		while (!list_empty(&p->active))
			server_lose(server_of_node(p->active.next), ECONNABORTED);
		waiters_fail(p, &e);
	}
}

void
pools_resume(struct pools *ps, const char *database)
{
	LIST_FOREACH(n, &ps->sites) {
		struct site *s = LIST_ENTRY(n, struct site, node);

		if (database == NULL || strcmp(s->backend->database, database) == 0)
			site_want_serve(s);
	}
}

bool
pools_quiet(struct pools *ps, const char *database)
{
	LIST_FOREACH(n, &ps->all) {
		struct pool *p = LIST_ENTRY(n, struct pool, node);

		if (is_of(p, database) && p->n_active > 0)
			return false;
	}
	return true;
}

void
pools_close_idle(struct pools *ps)
{
	EACH_POOL(ps, p)
	close_list(&p->idle);
}

void
pools_each(struct pools *ps, void (*fn)(struct pool *, void *arg), void *arg)
{
	EACH_POOL(ps, p)
	fn(p, arg);
}

/* ---- janitor ---- */

static bool
idle_too_long(const struct server *s, uint64_t now_us)
{
	uint64_t timeout = atomic_load(&s->pool->backend->limits.server_idle_timeout_us);

	return timeout > 0 && now_us - s->idle_since_us > timeout;
}

/* Connections above the number that shall be kept, those on their way out not counted. */
static int
spare_connections(const struct site *s)
{
	int n = atomic_load(&s->backend->connections) -
	    atomic_load(&s->backend->limits.min_pool_size);

	LIST_FOREACH(m, &s->members)
		LIST_FOREACH(c, &LIST_ENTRY(m, struct pool, member)->closing)
			n--;
	return n;
}

static void
close_unwanted(struct pool *p, uint64_t now_us)
{
	struct backend *b = p->backend;

	/* the one used last comes last */
	for (struct list *n = p->idle.prev, *before; n != &p->idle; n = before) {
		struct server *s = server_of_node(n);

		before = n->prev;
		if (s->close_needed || atomic_load(&b->retired) ||
		    server_too_old(s, now_us) ||
		    atomic_load(&b->connections) > budget_hard_limit(b) ||
		    (idle_too_long(s, now_us) && spare_connections(p->site) > 0))
			server_close(s, true);
	}
}

/* One connection more, for the login used last, if the backend has fewer than it shall
 * keep. */
static void
keep_minimum(struct site *s, uint64_t now_us)
{
	struct backend *b = s->backend;
	int least = atomic_load(&b->limits.min_pool_size);
	struct pool *latest = NULL;

	if (atomic_load(&b->connections) >= least || atomic_load(&b->retired) ||
	    atomic_load(&b->paused) || !site_may_dial(s, now_us))
		return;
	LIST_FOREACH(n, &s->members) {
		struct pool *p = LIST_ENTRY(n, struct pool, member);

		if (!p->lane->replication &&
		    (latest == NULL || p->used_us > latest->used_us))
			latest = p;
	}
	if (latest == NULL || !budget_take(b, least))
		return;
	if (lane_enter(latest->lane, latest->max_connections, NULL, 0))
		dial_start(latest);
	else
		place_free(s, -1);
}

static bool
is_unused(const struct pool *p, uint64_t now_us)
{
	return p->n_servers == 0 && p->n_dialing == 0 && p->n_waiting == 0 &&
	    p->holds == 0 && now_us - p->used_us > POOL_UNUSED_US;
}

static void
janitor(struct timer *t)
{
	struct pools *ps = LIST_ENTRY(t, struct pools, janitor);
	uint64_t now = pools_now(ps);

	timer_start(ps->loop, t, JANITOR_MS);
	LIST_FOREACH(n, &ps->sites) {
		struct site *s = LIST_ENTRY(n, struct site, node);

		keep_minimum(s, now);
		site_follow_name(s, now);
		s->asked_places = 0;
		if (s->n_waiting > 0)
			site_want_serve(s);
	}
	EACH_POOL(ps, p)
	{
		p->asked = 0;
		p->need.asked = false;
		if (lane_pressed(p->lane))
			site_want_serve(p->site);
		close_unwanted(p, now);
		if (is_unused(p, now))
			pool_destroy(p);
	}
}

/* ---- the end ---- */

static void
end_pool(struct pool *p)
{
	close_list(&p->idle);
	close_list(&p->testing);
	LIST_FOREACH_SAFE(n, &p->closing)
		if (server_of_node(n)->state == SERVER_CLOSING)
			stream_close(&server_of_node(n)->stream, 0);
	while (!list_empty(&p->active))
		server_lose(server_of_node(p->active.next), ECONNABORTED);
}

/* Asks that were not answered, connections on their way out. */
static bool
is_busy(struct pools *ps)
{
	if (ps->n_mail > 0)
		return true;
	LIST_FOREACH(n, &ps->all)
		if (!list_empty(&LIST_ENTRY(n, struct pool, node)->closing))
			return true;
	return false;
}

static void
look_for_end(struct timer *t)
{
	struct pools *ps = LIST_ENTRY(t, struct pools, janitor);

	atomic_store(&ps->ended, !is_busy(ps));
	timer_start(ps->loop, t, END_MS);
}

void
pools_end(struct pools *ps)
{
	struct err e;

	(void)err_set(&e, "57P01", BLAST_SESSION, "Weir is shutting down");
	ps->ending = true;
	EACH_POOL(ps, p)
	{
		waiters_fail(p, &e);
		end_pool(p);
	}
	ps->janitor.fire = look_for_end;
	timer_start(ps->loop, &ps->janitor, END_MS);
}

bool
pools_ended(struct pools *ps)
{
	return atomic_load(&ps->ended) && atomic_load(&ps->n_parcels) == 0;
}

void
pools_destroy(struct pools *ps)
{
	if (ps == NULL)
		return;
	timer_stop(&ps->janitor);
	jobs_forget(ps);
	/* Without pools_end() there may be connections, which only the loop could close:
	 * they are left to the process's end. */
	if (ps->servers.live > 0 || atomic_load(&ps->n_parcels) > 0)
		return;
	EACH_POOL(ps, p)
	pool_destroy(p);
	LIST_FOREACH_SAFE(n, &ps->sites)
		site_destroy(LIST_ENTRY(n, struct site, node));
	free(ps->table);
	slab_fini(&ps->servers);
	free(ps);
}
