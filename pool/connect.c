/* What the dialer does for a pool: opening connections, looking names up, and cancel requests. Everything
 * that a job needs is copied into it, since the pool's credential may change while it
 * runs; the server of a cancel request lives until it is done. */
#include "pool/pool_impl.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

#define STARTUP_MAX 64 /* texts of start-up parameters */

/* ---- jobs ---- */

struct pool_job {
	struct job job;
	struct list node; /* pools->jobs */
	struct pools *pools;
	struct arena arena;
	struct login_target target;
	int timeout_ms;
	enum rc rc;
	struct err err;
	bool ran;
	void (*forget)(struct pool_job *); /* frees it; its loop has ended */
};

static void
job_prepare(struct pool_job *j, struct pool *p, void (*run)(struct job *),
    void (*done)(struct job *))
{
	const struct backend_target *t = &p->backend->target;
	struct dialer_tcp tcp;

	dialer_tcp(p->pools->dialer, &tcp);
	j->pools = p->pools;
	j->job.loop = p->pools->loop;
	j->job.backend = p->backend;
	j->job.run = run;
	j->job.done = done;
	backend_ref(p->backend);
	pool_hold(p);
	arena_init(&j->arena);
	j->target = (struct login_target){
	    .host = t->host,
	    .hostaddr = t->hostaddr,
	    .port = t->port,
	    .keepalive_idle_s = tcp.keepalive_idle_s,
	    .keepalive_interval_s = tcp.keepalive_interval_s,
	    .keepalive_count = tcp.keepalive_count,
	    .user_timeout_ms = tcp.user_timeout_ms,
	};
	j->timeout_ms =
	    (int)(atomic_load(&p->backend->limits.server_connect_timeout_us) / 1000);
}

static void
job_begin(struct pool_job *j)
{
	list_push_back(&j->pools->jobs, &j->node);
	dialer_run(j->pools->dialer, &j->job);
}

static void
job_end(struct pool_job *j, struct pool *p)
{
	list_remove(&j->node);
	arena_reset(&j->arena);
	pool_unhold(p);
	backend_unref(j->job.backend);
}

void
jobs_forget(struct pools *ps)
{
	LIST_FOREACH_SAFE(n, &ps->jobs) {
		struct pool_job *j = LIST_ENTRY(n, struct pool_job, node);

		j->forget(j);
	}
}

/* ---- opening ---- */

struct dial {
	struct pool_job j;
	struct pool *pool;
	unsigned epoch;
	uint64_t began_us;
	struct scram_keys keys;
	struct scram_known known;
	char *password;
	struct login_result result;
};

static struct dial *
dial_of(struct job *j)
{
	return (struct dial *)(void *)((char *)j - offsetof(struct dial, j.job));
}

/* In a dialer's thread. */
static void
dial_run(struct job *job)
{
	struct dial *d = dial_of(job);
	struct login_target *t = &d->j.target;

	d->j.rc = backend_tls(job->backend, &t->sslmode, &t->tls, &d->j.err);
	if (d->j.rc == RC_OK)
		d->j.rc = login_connect(t, d->j.timeout_ms, &d->result, &d->j.err);
	d->j.ran = true;
}

static void
dial_free(struct dial *d)
{
	struct pool *p = d->pool;

	p->n_dialing--;
	p->site->n_dialing--;
	if (d->password != NULL)
		explicit_bzero(d->password, strlen(d->password));
	explicit_bzero(&d->keys, sizeof d->keys);
	explicit_bzero(&d->known, sizeof d->known);
	job_end(&d->j, p);
	free(d);
}

static void
dial_forget(struct pool_job *j)
{
	struct dial *d = dial_of(&j->job);

	if (j->ran && j->rc == RC_OK)
		login_result_fini(&d->result);
	lane_leave(d->pool->lane);
	atomic_fetch_sub(&d->pool->backend->connections, 1);
	dial_free(d);
}

/* Without a login for probes a server is asked for its role by the way (PostgreSQL 14 and
 * later say it). */
static void
learn_role(struct backend *b, const struct server *s)
{
	const char *standby = server_param(s, "in_hot_standby");

	if (standby != NULL && !backend_can_probe(b))
		atomic_store(
		    &b->role, strcmp(standby, "on") == 0 ? ROLE_REPLICA : ROLE_PRIMARY);
}

/* A server has nothing to say behind its ReadyForQuery but settings, notices and its end; anything else would be taken for the answer to
 * what its first user asks. */
static bool
said_too_much(const struct login_result *r)
{
	char type;

	return r->ssl == NULL && recv(r->fd, &type, 1, MSG_PEEK | MSG_DONTWAIT) == 1 &&
	    strchr("SNEA", type) == NULL;
}

static void
dial_worked(struct dial *d)
{
	struct pool *p = d->pool;
	struct login_result *r = &d->result;
	bool too_much = said_too_much(r);
	struct server *s = server_create(p, r->fd, r->ssl);

	r->fd = -1;
	r->ssl = NULL;
	s->protocol_minor = (uint8_t)PROTO_MINOR(r->proto);
	s->backend_pid = r->pid;
	s->key_len = (uint16_t)r->key_len;
	memcpy(s->key, r->key, r->key_len);
	s->remote = r->address;
	memcpy(s->address, r->address_text, sizeof s->address);
	for (size_t i = 0; i < r->n_params; i++)
		server_set_param(s, r->params[i].name.ptr, r->params[i].value.ptr);
	login_result_fini(r);
	s->close_needed = d->epoch != p->epoch || too_much;
	if (d->known.set && p->password != NULL)
		p->known = d->known;
	if (!backend_is_at(
		p->backend, &s->remote)) /* a newer answer than the known one */
		atomic_store(&p->backend->looked_up_us, 0);
	p->site->failures = 0;
	p->site->retry_us = 0;
	backend_worked(p->backend);
	learn_role(p->backend, s);
	atomic_fetch_add_explicit(&p->backend->n_connects, 1, memory_order_relaxed);
	server_rest(s);
}

/* Nobody else's login would fail by it. */
static bool
is_logins_fault(const struct err *e)
{
	return memcmp(e->sqlstate, "28", 2) == 0 || strcmp(e->sqlstate, "3D000") == 0 ||
	    strcmp(e->sqlstate, "42501") == 0;
}

/* The second attempt follows at once, then come pauses. */
static void
set_pause(struct site *s, uint64_t now)
{
	uint64_t most = atomic_load(&s->backend->limits.server_login_retry_us);
	uint64_t pause = POOL_RETRY_US;

	for (int i = 2; i < s->failures && pause < most; i++)
		pause *= 2;
	if (pause > most)
		pause = most;
	/* Not all workers and proxies at the same moment. */
	pause -= pause / 4 * (pools_random(s->pools) & 1023) / 1024;
	s->retry_us = s->failures < 2 ? now : now + pause;
}

/* Attempts that began before the last failure was known tell the same story again. */
static void
count_failure(struct dial *d, uint64_t now)
{
	struct site *s = d->pool->site;

	s->last_error = d->j.err;
	if (d->began_us < s->failed_us) {
		backend_note(s->backend, &d->j.err);
		return;
	}
	s->failures++;
	s->failed_us = now;
	set_pause(s, now);
	backend_failed(s->backend, &d->j.err, now);
}

/* The same credential is not tried again for a moment, else clients that try again at
 * once make a storm. */
static void
note_refusal(struct pool *p, const struct err *e)
{
	if (p->refused == NULL && (p->refused = malloc(sizeof *p->refused)) == NULL)
		abort();
	*p->refused = *e;
	p->refused_until_us = pools_now(p->pools) + POOL_RETRY_US;
}

static void
dial_failed(struct dial *d)
{
	struct pool *p = d->pool;
	uint64_t now = pools_now(p->pools);
	struct err e = d->j.err;

	e.blast = BLAST_TXN;
	atomic_fetch_add_explicit(
	    &p->backend->n_connect_failures, 1, memory_order_relaxed);
	log_line(LOG_WARNING, "cannot connect to server", "backend", p->backend->label,
	    "user", p->lane->user, "sqlstate", e.sqlstate, "error", e.msg, NULL);
	if (is_logins_fault(&e)) {
		backend_note(p->backend, &e);
		note_refusal(p, &e);
		waiters_fail(p, &e);
		return;
	}
	count_failure(d, now);
	if (p->site->failures > 1 && atomic_load(&p->lane->connections) == 0)
		waiters_fail(p, &e);
}

static void
dial_done(struct job *job)
{
	struct dial *d = dial_of(job);
	struct site *site = d->pool->site;

	if (d->j.rc == RC_OK) {
		dial_worked(d);
	} else {
		lane_leave(d->pool->lane);
		place_left(d->pool, -1);
		dial_failed(d);
	}
	dial_free(d);
	site_want_serve(site);
}

static bool
is_set(const char *text)
{
	return text != NULL && *text != 0;
}

/* The login's own parameters, and those of the server's conninfo. */
static const char *const *
startup_params(struct dial *d, const struct lane *lane)
{
	const char **list = ARENA_NEW_N(&d->j.arena, const char *, STARTUP_MAX + 5);
	const struct backend_target *t = &lane->backend->target;
	size_t n = 0;

	for (; lane->startup != NULL && lane->startup[n] != NULL && n < STARTUP_MAX; n++)
		list[n] = arena_strdup(&d->j.arena, lane->startup[n]);
	if (is_set(t->options)) {
		list[n++] = "options";
		list[n++] = t->options;
	}
	if (is_set(t->application_name) && !lane->replication) {
		list[n++] = "application_name";
		list[n] = t->application_name;
	}
	return list;
}

static void
set_ask(struct dial *d)
{
	struct pool *p = d->pool;
	const struct backend_target *t = &p->backend->target;
	struct login_ask *ask = &d->j.target.ask;
	const char *password = is_set(t->password) ? t->password : p->password;

	ask->user = arena_strdup(&d->j.arena, p->lane->user);
	ask->database = arena_strdup(&d->j.arena,
	    is_set(p->lane->database) ? p->lane->database
		: is_set(t->dbname)   ? t->dbname
				      : p->lane->user);
	ask->params = startup_params(d, p->lane);
	ask->allow_cleartext =
	    true; /* as libpq; sslmode says whether the way is trusted */
	if (password != NULL) {
		d->password = arena_strdup(&d->j.arena, password);
		d->known = p->known;
		ask->password = d->password;
		ask->known = &d->known;
	}
	if (p->md5 != NULL)
		ask->md5 = arena_strdup(&d->j.arena, p->md5);
	if (p->has_keys) {
		d->keys = p->keys;
		ask->keys = &d->keys;
	}
}

void
dial_start(struct pool *p)
{
	struct dial *d = calloc(1, sizeof *d);

	if (d == NULL)
		abort();
	/* A trial, if the breaker is open: then no other is begun. */
	(void)backend_usable(p->backend, pools_now(p->pools));
	d->pool = p;
	d->epoch = p->epoch;
	d->began_us = pools_now(p->pools);
	d->j.forget = dial_forget;
	p->n_dialing++;
	p->site->n_dialing++;
	job_prepare(&d->j, p, dial_run, dial_done);
	set_ask(d);
	job_begin(&d->j);
}

/* ---- names ---- */

struct look_up {
	struct pool_job j;
	struct pool *pool;
	struct login_address list[LOGIN_ADDRESSES_MAX];
	int n;
};

static void
look_up_run(struct job *job)
{
	struct look_up *l = LIST_ENTRY(job, struct look_up, j.job);

	l->j.rc = login_look_up(&l->j.target, l->list, &l->n, &l->j.err);
}

static void
look_up_forget(struct pool_job *j)
{
	struct look_up *l = LIST_ENTRY(j, struct look_up, j);

	job_end(j, l->pool);
	free(l);
}

/* A name that cannot be looked up changes nothing: its server may well be there. */
static void
look_up_done(struct job *job)
{
	struct look_up *l = LIST_ENTRY(job, struct look_up, j.job);
	struct backend *b = job->backend;
	bool first = atomic_load(&b->moves_of_name) == 0;

	if (l->j.rc != RC_OK)
		log_line(LOG_NOTICE, "cannot look up a server's name", "backend",
		    b->label, "error", l->j.err.msg, NULL);
	else if (backend_set_addresses(b, l->list, l->n) && !first)
		log_line(LOG_NOTICE, "a server's name stands for other addresses now",
		    "backend", b->label, "host", b->target.host, NULL);
	look_up_forget(&l->j);
}

static void
look_up_start(struct site *s)
{
	struct look_up *l = calloc(1, sizeof *l);

	if (l == NULL)
		abort();
	l->pool = LIST_ENTRY(s->members.next, struct pool, member);
	l->j.forget = look_up_forget;
	job_prepare(&l->j, l->pool, look_up_run, look_up_done);
	job_begin(&l->j);
}

static void
mark_moved(struct server *s, void *arg)
{
	struct site *site = arg;

	if (!backend_is_at(site->backend, &s->remote))
		s->close_needed = true;
}

void
site_follow_name(struct site *s, uint64_t now_us)
{
	struct backend *b = s->backend;
	uint64_t ttl = atomic_load(&b->limits.dns_max_ttl_us),
		 last = atomic_load(&b->looked_up_us);
	unsigned moves = atomic_load(&b->moves_of_name);

	if (!b->named || list_empty(&s->members))
		return;
	if (ttl > 0 && atomic_load(&b->connections) > 0 &&
	    (last == 0 || now_us >= last + ttl) &&
	    atomic_compare_exchange_strong(&b->looked_up_us, &last, now_us))
		look_up_start(s);
	if (moves == s->moves_of_name)
		return;
	s->moves_of_name = moves;
	LIST_FOREACH(n, &s->members)
		pool_each_server(LIST_ENTRY(n, struct pool, member), mark_moved, s);
}

/* ---- cancelling ---- */

struct cancel {
	struct pool_job j;
	struct server *server;
	struct pool *pool;
	struct login_address remote;
	bool tls;
	uint64_t due_us; /* given up then; 0: never */
	uint32_t pid;
	size_t key_len;
	unsigned char key[CANCEL_KEY_MAX];
};

static struct cancel *
cancel_of(struct job *j)
{
	return (struct cancel *)(void *)((char *)j - offsetof(struct cancel, j.job));
}

static uint64_t
clock_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* What is left of cancel_wait_timeout, after the wait for a thread. */
static enum rc
set_deadline(struct cancel *c)
{
	uint64_t now = clock_us();

	if (c->due_us == 0)
		return RC_OK;
	if (now >= c->due_us)
		return err_set(&c->j.err, "08001", BLAST_STMT,
		    "it waited for longer than cancel_wait_timeout");
	if ((c->due_us - now) / 1000 < (uint64_t)c->j.timeout_ms)
		c->j.timeout_ms = (int)((c->due_us - now) / 1000);
	return RC_OK;
}

static void
cancel_run(struct job *job)
{
	struct cancel *c = cancel_of(job);
	struct login_target *t = &c->j.target;

	c->j.rc = set_deadline(c);
	if (c->j.rc == RC_OK)
		c->j.rc = backend_tls(job->backend, &t->sslmode, &t->tls, &c->j.err);
	if (c->j.rc == RC_OK)
		c->j.rc = login_cancel(t, &c->remote, c->tls, c->pid,
		    (struct slice){(const char *)c->key, c->key_len}, c->j.timeout_ms,
		    &c->j.err);
}

static void
cancel_forget(struct pool_job *j)
{
	struct cancel *c = cancel_of(&j->job);
	struct server *s = c->server;

	explicit_bzero(c->key, sizeof c->key);
	job_end(j, c->pool);
	free(c);
	server_cancel_done(s);
}

static void
cancel_done(struct job *job)
{
	struct cancel *c = cancel_of(job);

	if (c->j.rc != RC_OK) {
		log_line(LOG_NOTICE, "cancel request failed", "backend",
		    job->backend->label, "address", c->server->address, "error",
		    c->j.err.msg, NULL);
		/* It may have left and arrive late: nobody else's statement is to be hit. */
		c->server->close_needed = true;
	}
	cancel_forget(&c->j);
}

void
pool_cancel_query(struct server *s)
{
	uint64_t limit = atomic_load(&s->pool->backend->limits.cancel_wait_timeout_us);
	struct cancel *c;

	if (s->key_len == 0 || s->state != SERVER_ACTIVE)
		return;
	c = calloc(1, sizeof *c);
	if (c == NULL)
		abort();
	c->server = s;
	c->pool = s->pool;
	c->due_us = limit == 0 ? 0 : clock_us() + limit;
	c->remote = s->remote;
	c->tls = stream_is_tls(&s->stream);
	c->pid = s->backend_pid;
	c->key_len = s->key_len;
	memcpy(c->key, s->key, s->key_len);
	s->cancels++;
	c->j.forget = cancel_forget;
	c->j.job.urgent = true;
	job_prepare(&c->j, s->pool, cancel_run, cancel_done);
	job_begin(&c->j);
}
