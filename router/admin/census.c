#include "router/admin/census.h"

#include <stdlib.h>

bool
census_waits(const struct session *s, uint64_t *since_us)
{
	const struct exec *x = s->x;

	if (x == NULL)
		return false;
	switch (x->blocked) {
	case BLOCK_SERVER:
		*since_us = x->waiter.since_us;
		return x->waiter.state != WAITER_OUT;
	case BLOCK_PRIMARY:
	case BLOCK_TOKEN:
	case BLOCK_LSN:
		*since_us = x->waited_since_us;
		return true;
	default:
		return false;
	}
}

/* ---- in a worker ---- */

/* Sessions of one user come one after the other often enough that comparing with the last one saves most records; the
 * rest is done by sorting. */
static struct tally *
tally_for(struct part *p, const char *database, const char *user, const char *client)
{
	struct tally *t = p->records;

	if (t != NULL && strcmp(t->database, database) == 0 &&
	    strcmp(t->user, user) == 0 && strcmp(t->client, client) == 0)
		return t;
	t = ARENA_NEW(&p->arena, struct tally);
	t->database = arena_strdup(&p->arena, database);
	t->user = arena_strdup(&p->arena, user);
	t->client = arena_strdup(&p->arena, client);
	t->next = p->records;
	p->records = t;
	return t;
}

static void
count_session(struct part *p, const struct session *s)
{
	uint64_t now = loop_now_us(p->w->loop), since;
	struct tally *t;

	if (s->state == SESSION_CLOSING)
		return;
	if (s->identity == NULL) {
		tally_for(p, "", "", "")->cl_login++;
		return;
	}
	t = tally_for(p, session_database(s),
	    s->admin ? s->identity->user : s->identity->login.user, s->identity->user);
	t->admin = s->admin;
	if (census_waits(s, &since)) {
		t->cl_waiting++;
		if (now > since && now - since > t->max_wait_us)
			t->max_wait_us = now - since;
	} else {
		t->cl_active++;
	}
}

struct count {
	struct tally *t;
	uint64_t now_us, delay_us;
};

static void
count_server(struct server *sv, void *arg)
{
	struct count *c = arg;

	if (sv->state != SERVER_IDLE)
		return;
	if (c->now_us - sv->idle_since_us > c->delay_us)
		c->t->sv_used++;
	else
		c->t->sv_idle++;
}

static void
count_pool(struct pool *pool, void *arg)
{
	struct part *p = arg;
	const struct backend *b = pool_backend(pool);
	struct count c = {tally_for(p, b->database, pool_user(pool), ""),
	    loop_now_us(p->w->loop), atomic_load(&b->limits.server_check_delay_us)};
	struct pool_stats st;

	pool_stats(pool, &st);
	c.t->sv_active += (uint64_t)st.active;
	c.t->sv_tested += (uint64_t)(st.resetting - st.held);
	c.t->sv_canceled += (uint64_t)st.held;
	c.t->sv_login += (uint64_t)st.connecting;
	pool_each_server(pool, count_server, &c);
}

void
census_take(struct round *r, struct part *p)
{
	(void)r;
	EACH_SESSION(p->w, s)
	count_session(p, s);
	pools_each(p->w->pools, count_pool, p);
}

/* ---- merging ---- */

static int
compare(const struct tally *a, const struct tally *b, enum census_by by)
{
	int c = 0;

	if (by == CENSUS_CLIENT)
		return strcmp(a->client, b->client);
	if (by == CENSUS_POOL || by == CENSUS_DATABASE)
		c = strcmp(a->database, b->database);
	if (c == 0 && by != CENSUS_DATABASE)
		c = strcmp(a->user, b->user);
	return c;
}

static int
compare_r(const void *a, const void *b, void *by)
{
	return compare(
	    *(struct tally *const *)a, *(struct tally *const *)b, *(enum census_by *)by);
}

static void
add(struct tally *to, const struct tally *t)
{
	to->admin |= t->admin;
	to->cl_active += t->cl_active;
	to->cl_waiting += t->cl_waiting;
	to->cl_login += t->cl_login;
	to->sv_active += t->sv_active;
	to->sv_idle += t->sv_idle;
	to->sv_used += t->sv_used;
	to->sv_tested += t->sv_tested;
	to->sv_login += t->sv_login;
	to->sv_canceled += t->sv_canceled;
	if (t->max_wait_us > to->max_wait_us)
		to->max_wait_us = t->max_wait_us;
}

/* Merging works on copies, so that one census can be merged by several keys. */
struct tally **
census_merge(struct round *r, enum census_by by, int *n)
{
	struct tally **v;
	int total = 0, kept = 0;

	for (int i = 0; i < r->n_parts; i++)
		for (struct tally *t = r->parts[i].records; t != NULL; t = t->next)
			total++;
	v = ARENA_NEW_N(&r->arena, struct tally *, (size_t)total + 1);
	total = 0;
	for (int i = 0; i < r->n_parts; i++)
		for (struct tally *t = r->parts[i].records; t != NULL; t = t->next)
			v[total++] = t;
	qsort_r(v, (size_t)total, sizeof v[0], compare_r, &by);
	for (int i = 0; i < total; i++) {
		if (kept > 0 && compare(v[kept - 1], v[i], by) == 0)
			add(v[kept - 1], v[i]);
		else
			v[kept++] = arena_dup(&r->arena, v[i], sizeof *v[i]);
	}
	*n = kept;
	return v;
}

const struct tally *
census_find(struct tally *const *v, int n, enum census_by by, const char *key)
{
	struct tally wanted = {.database = key, .user = key, .client = key};
	int low = 0, high = n;

	while (low < high) {
		int mid = low + (high - low) / 2, c = compare(v[mid], &wanted, by);

		if (c == 0)
			return v[mid];
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}
