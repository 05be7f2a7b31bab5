/* The prober: one thread, all backends at once by libpq's non-blocking calls, so that
 * a frozen server delays nobody else's probes. (Only libpq's look-up of a host name
 * blocks; it happens when a connection is opened.)
 *
 *   REST --next_us--> CONNECTING --connected--> ASKED --answer--> REST, connection kept
 *   CONNECTING, ASKED --error, probe_timeout--> REST, connection dropped, failure counted
 *
 * Positions on a primary are those where the next record will be inserted: a commit
 * that was acknowledged before the probe was sent lies before it, even with
 * synchronous_commit = off. */
#include "pool/health.h"

#include <assert.h>
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

#define HURRY_US 4000
#define SECOND   UINT64_C(1000000)

enum phase { PHASE_REST, PHASE_CONNECTING, PHASE_ASKED };

struct watch {
	struct backend *backend; /* a reference */
	PGconn *conn;
	enum phase phase;
	short events;           /* to poll for */
	unsigned moves_of_name; /* of the backend, as obeyed */
	int slot;               /* in the poll set, -1: not there */
	uint64_t next_us, deadline_us, sent_us;
};

struct health {
	pthread_t thread;
	int wake; /* eventfd */
	void (*changed)(void *arg);
	void *arg;
	atomic_bool stop;
	pthread_mutex_t lock;
	struct backend *
	    *wanted; /* under lock: the set to watch, references; NULL: no news */
	int n_wanted;
	bool news;
	/* ---- the thread's own ---- */
	struct watch *watches;
	int n;
	struct pollfd *polls;
	bool tell; /* something changed in this round */
};

static const char probe_sql[] =
    "SELECT r::int,"
    " CASE WHEN r THEN coalesce((SELECT received_tli FROM "
    "pg_catalog.pg_stat_wal_receiver),"
    "   (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()))::bigint"
    "  ELSE ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), "
    "1, 8))"
    "   ::bit(32)::bigint END,"
    " CASE WHEN r THEN pg_catalog.pg_last_wal_replay_lsn()"
    "  ELSE pg_catalog.pg_current_wal_insert_lsn() END - '0/0'::pg_lsn,"
    " CASE WHEN NOT r THEN 0"
    "  WHEN pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn()"
    "   AND EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver) THEN 0"
    "  ELSE (extract(epoch FROM pg_catalog.clock_timestamp()"
    "   - pg_catalog.pg_last_xact_replay_timestamp()) * 1000000)::bigint END,"
    " pg_catalog.current_setting('wal_block_size')::int"
    " FROM (SELECT pg_catalog.pg_is_in_recovery() AS r) AS s";

static uint64_t
now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec / 1000;
}

/* ---- outcome of a probe ---- */

static void
rest(struct watch *w, uint64_t now)
{
	uint64_t interval = atomic_load(&w->backend->limits.probe_interval_us);

	w->phase = PHASE_REST;
	w->next_us = now + interval;
	if (w->conn != NULL && atomic_load(&w->backend->hurry_until_us) > now)
		w->next_us = now + HURRY_US;
}

static void
drop(struct watch *w)
{
	PQfinish(w->conn);
	w->conn = NULL;
}

static void
probe_failed(struct health *h, struct watch *w, const char *why, uint64_t now)
{
	struct backend *b = w->backend;
	int before = atomic_load(&b->breaker);
	size_t len = strcspn(why, "\n");
	struct err e;

	(void)err_set(
	    &e, "08006", BLAST_TXN, "probe: %.*s", (int)(len > 300 ? 300 : len), why);
	backend_failed(b, &e, now);
	if (before == BREAKER_CLOSED && atomic_load(&b->breaker) != BREAKER_CLOSED) {
		log_line(LOG_WARNING, "server is down", "backend", b->label, "error",
		    e.msg, NULL);
		h->tell = true;
	}
	drop(w);
	rest(w, now);
}

/* Where a record ends at the end of a page the next one begins behind the next page's
 * header, which a replica reaches only with that next record. */
static uint64_t
before_page_header(uint64_t lsn, uint64_t block)
{
	uint64_t in_page = block == 0 ? 0 : lsn % block;

	return in_page == 24 || in_page == 40 ? lsn - in_page : lsn;
}

struct probe {
	enum backend_role role;
	uint32_t timeline;
	uint64_t lsn, lag_us;
};

static bool
read_number(const PGresult *r, int column, uint64_t *n)
{
	char *end;

	if (PQgetisnull(r, 0, column))
		return false;
	*n = strtoull(PQgetvalue(r, 0, column), &end, 10);
	return *end == 0;
}

static bool
read_probe(const PGresult *r, struct probe *p)
{
	uint64_t recovery, timeline, block;

	if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1 ||
	    PQnfields(r) != 5 || !read_number(r, 0, &recovery) ||
	    !read_number(r, 1, &timeline) || !read_number(r, 4, &block))
		return false;
	/* Not yet replayed anything; never: as far behind as can be. */
	if (!read_number(r, 2, &p->lsn))
		p->lsn = 0;
	if (!read_number(r, 3, &p->lag_us))
		p->lag_us = UINT64_MAX;
	if (PQgetvalue(r, 0, 3)[0] == '-') /* clocks that differ */
		p->lag_us = 0;
	p->role = recovery ? ROLE_REPLICA : ROLE_PRIMARY;
	p->timeline = (uint32_t)timeline;
	if (!recovery)
		p->lsn = before_page_header(p->lsn, block);
	return true;
}

static void
log_role(const struct backend *b, const struct probe *p)
{
	log_line(LOG_NOTICE, "server has a role", "backend", b->label, "role",
	    p->role == ROLE_PRIMARY ? "primary" : "replica", "timeline",
	    LOG_NUM(p->timeline), NULL);
}

static void
publish(struct health *h, struct watch *w, const struct probe *p, uint64_t now)
{
	struct backend *b = w->backend;
	uint64_t took = now - w->sent_us, latency = atomic_load(&b->latency_us);
	bool news = atomic_load(&b->role) != (int)p->role ||
	    atomic_load(&b->timeline) != p->timeline;

	if (news)
		log_role(b, p);
	if (news || atomic_load(&b->lsn) != p->lsn ||
	    atomic_load(&b->breaker) != BREAKER_CLOSED ||
	    atomic_load(&b->probed_us) == 0 || atomic_load(&b->hurry_until_us) > now)
		h->tell = true;
	atomic_store(&b->timeline, p->timeline);
	atomic_store(&b->lsn, p->lsn);
	atomic_store(&b->lag_us, p->lag_us);
	atomic_store(&b->role, (int)p->role);
	atomic_store(&b->latency_us, latency == 0 ? took : (7 * latency + took) / 8);
	atomic_store(&b->probed_us, w->sent_us); /* last: see choose.c */
	backend_worked(b);
}

/* ---- the steps of a probe ---- */

static void
ignore_notice(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}

static void
begin_connect(struct health *h, struct watch *w, uint64_t now)
{
	const struct backend_target *t = &w->backend->target;
	bool own = t->probe_user != NULL;
	const char *const names[] = {"host", "hostaddr", "port", "dbname", "user",
	    "password", "sslmode", "sslrootcert", "sslcert", "sslkey", "gssencmode",
	    "fallback_application_name", NULL};
	const char *const values[] = {t->host, t->hostaddr, t->port, t->dbname,
	    own ? t->probe_user : t->user, own ? t->probe_password : t->password,
	    t->sslmode, t->sslrootcert, t->sslcert, t->sslkey, "disable", "weir-probe",
	    NULL};

	w->conn = PQconnectStartParams(names, values, 0);
	if (w->conn == NULL)
		abort();
	if (PQstatus(w->conn) == CONNECTION_BAD) {
		probe_failed(h, w, PQerrorMessage(w->conn), now);
		return;
	}
	(void)PQsetNoticeProcessor(w->conn, ignore_notice, NULL);
	w->phase = PHASE_CONNECTING;
	w->events = POLLOUT;
}

static void
ask(struct health *h, struct watch *w, uint64_t now)
{
	w->sent_us = now;
	w->phase = PHASE_ASKED;
	if (PQsetnonblocking(w->conn, 1) != 0 || PQsendQuery(w->conn, probe_sql) != 1) {
		probe_failed(h, w, PQerrorMessage(w->conn), now);
		return;
	}
	w->events = PQflush(w->conn) == 1 ? POLLIN | POLLOUT : POLLIN;
}

static void
go_on_connecting(struct health *h, struct watch *w, uint64_t now)
{
	switch (PQconnectPoll(w->conn)) {
	case PGRES_POLLING_OK:
		ask(h, w, now);
		break;
	case PGRES_POLLING_READING:
		w->events = POLLIN;
		break;
	case PGRES_POLLING_WRITING:
		w->events = POLLOUT;
		break;
	default:
		probe_failed(h, w, PQerrorMessage(w->conn), now);
		break;
	}
}

static void
read_answer(struct health *h, struct watch *w, uint64_t now)
{
	PGresult *r = PQgetResult(w->conn);
	struct probe p;
	bool good;

	if (r == NULL)
		return; /* the end of an answer */
	good = read_probe(r, &p);
	if (good)
		publish(h, w, &p, now);
	else
		probe_failed(h, w,
		    *PQresultErrorMessage(r) ? PQresultErrorMessage(r) : "strange answer",
		    now);
	PQclear(r);
}

static void
go_on_asking(struct health *h, struct watch *w, uint64_t now)
{
	int left = PQflush(w->conn);

	w->events = left == 1 ? POLLIN | POLLOUT : POLLIN;
	if (left < 0 || PQconsumeInput(w->conn) != 1) {
		probe_failed(h, w, PQerrorMessage(w->conn), now);
		return;
	}
	while (w->phase == PHASE_ASKED && !PQisBusy(w->conn)) {
		read_answer(h, w, now);
		if (w->conn != NULL && PQtransactionStatus(w->conn) != PQTRANS_ACTIVE)
			rest(w, now);
	}
}

/* Its name stands for another server now: that one is to be probed. */
static void
follow_name(struct watch *w)
{
	unsigned moves = atomic_load(&w->backend->moves_of_name);
	const char *address = w->conn == NULL ? NULL : PQhostaddr(w->conn);

	if (moves == w->moves_of_name)
		return;
	w->moves_of_name = moves;
	if (address != NULL && *address != 0 && !backend_is_at_text(w->backend, address))
		drop(w);
}

static void
begin_probe(struct health *h, struct watch *w, uint64_t now)
{
	w->deadline_us = now + atomic_load(&w->backend->limits.probe_timeout_us);
	follow_name(w);
	if (w->conn == NULL)
		begin_connect(h, w, now);
	else
		ask(h, w, now);
}

static void
step(struct health *h, struct watch *w, bool ready, uint64_t now)
{
	uint64_t hurry = atomic_load(&w->backend->hurry_until_us);

	if (w->phase == PHASE_REST) {
		if (w->conn != NULL && hurry > now && w->next_us > now + HURRY_US)
			w->next_us = now;
		if (now >= w->next_us)
			begin_probe(h, w, now);
		return;
	}
	if (ready && w->phase == PHASE_CONNECTING)
		go_on_connecting(h, w, now);
	else if (ready)
		go_on_asking(h, w, now);
	if (w->phase != PHASE_REST && now >= w->deadline_us)
		probe_failed(h, w, "no answer within probe_timeout", now);
}

/* ---- the thread ---- */

static void
watch_fini(struct watch *w)
{
	drop(w);
	backend_unref(w->backend);
}

/* The watch goes over from the old set to the new one if its backend is in both. */
static struct watch
take_over(struct health *h, struct backend *b, uint64_t now)
{
	for (int i = 0; i < h->n; i++) {
		if (h->watches[i].backend == b) {
			struct watch w = h->watches[i];

			h->watches[i].conn = NULL;
			h->watches[i].backend = NULL;
			backend_unref(b); /* it has two references now */
			return w;
		}
	}
	return (struct watch){.backend = b, .next_us = now};
}

static void
take_news(struct health *h, uint64_t now)
{
	struct backend **wanted;
	struct watch *fresh;
	int n = 0, n_wanted;

	pthread_mutex_lock(&h->lock);
	wanted = h->wanted;
	n_wanted = h->n_wanted;
	h->wanted = NULL;
	h->n_wanted = 0;
	if (!h->news) {
		pthread_mutex_unlock(&h->lock);
		return;
	}
	h->news = false;
	pthread_mutex_unlock(&h->lock);
	fresh = calloc((size_t)n_wanted + 1, sizeof *fresh);
	free(h->polls);
	h->polls = calloc((size_t)n_wanted + 1, sizeof *h->polls);
	if (fresh == NULL || h->polls == NULL)
		abort();
	for (int i = 0; i < n_wanted; i++)
		fresh[n++] = take_over(h, wanted[i], now);
	for (int i = 0; i < h->n; i++)
		watch_fini(&h->watches[i]);
	free(h->watches);
	free(wanted);
	h->watches = fresh;
	h->n = n;
}

/* Fills the poll set; returns how long to wait (ms). */
static int
prepare_poll(struct health *h, int *n, uint64_t now)
{
	uint64_t due = now + 60 * SECOND;

	h->polls[0] = (struct pollfd){.fd = h->wake, .events = POLLIN};
	*n = 1;
	for (int i = 0; i < h->n; i++) {
		struct watch *w = &h->watches[i];
		uint64_t at = w->phase == PHASE_REST ? w->next_us : w->deadline_us;

		w->slot = -1;
		if (at < due)
			due = at;
		if (w->phase == PHASE_REST)
			continue;
		w->slot = (*n)++;
		h->polls[w->slot] =
		    (struct pollfd){.fd = PQsocket(w->conn), .events = w->events};
	}
	return due <= now ? 0 : (int)((due - now + 999) / 1000);
}

static void
turn(struct health *h)
{
	uint64_t now = now_us();
	int n, ms = prepare_poll(h, &n, now);

	if (poll(h->polls, (nfds_t)n, ms) < 0 && errno != EINTR)
		abort();
	if (h->polls[0].revents != 0) {
		uint64_t count;

		if (read(h->wake, &count, sizeof count) < 0 && errno != EAGAIN)
			abort();
	}
	now = now_us();
	for (int i = 0; i < h->n; i++) {
		struct watch *w = &h->watches[i];

		step(h, w, w->slot > 0 && h->polls[w->slot].revents != 0, now);
	}
	take_news(h, now);
	if (h->tell && h->changed != NULL)
		h->changed(h->arg);
	h->tell = false;
}

static void *
health_thread(void *arg)
{
	struct health *h = arg;

	while (!atomic_load(&h->stop))
		turn(h);
	for (int i = 0; i < h->n; i++)
		watch_fini(&h->watches[i]);
	free(h->watches);
	free(h->polls);
	return NULL;
}

static void
wake(struct health *h)
{
	uint64_t one = 1;

	if (write(h->wake, &one, sizeof one) < 0 && errno != EAGAIN)
		abort();
}

/* ---- from outside ---- */

enum rc
health_create(struct health **out, void (*changed)(void *arg), void *arg, struct err *e)
{
	struct health *h = calloc(1, sizeof *h);

	if (h == NULL || (h->polls = calloc(1, sizeof *h->polls)) == NULL)
		abort();
	h->changed = changed;
	h->arg = arg;
	(void)pthread_mutex_init(&h->lock, NULL);
	h->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->wake < 0 || pthread_create(&h->thread, NULL, health_thread, h) != 0) {
		enum rc rc = err_set(e, "53000", BLAST_SESSION,
		    "cannot start the prober: %s", strerror(errno));

		if (h->wake >= 0)
			(void)close(h->wake);
		pthread_mutex_destroy(&h->lock);
		free(h->polls);
		free(h);
		return rc;
	}
	*out = h;
	return RC_OK;
}

static void
forget_wanted(struct health *h)
{
	for (int i = 0; i < h->n_wanted; i++)
		backend_unref(h->wanted[i]);
	free(h->wanted);
	h->wanted = NULL;
	h->n_wanted = 0;
}

void
health_destroy(struct health *h)
{
	if (h == NULL)
		return;
	atomic_store(&h->stop, true);
	wake(h);
	(void)pthread_join(h->thread, NULL);
	forget_wanted(h);
	(void)close(h->wake);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

/* Those without a login for probes are left out: what is known of them is learnt from
 * connections. */
void
health_watch(struct health *h, struct backend *const *backends, int n)
{
	struct backend **set = calloc((size_t)n + 1, sizeof *set);
	int m = 0;

	if (set == NULL)
		abort();
	for (int i = 0; i < n; i++) {
		if (!backend_can_probe(backends[i]))
			continue;
		backend_ref(backends[i]);
		set[m++] = backends[i];
	}
	pthread_mutex_lock(&h->lock);
	forget_wanted(h);
	h->wanted = set;
	h->n_wanted = m;
	h->news = true;
	pthread_mutex_unlock(&h->lock);
	wake(h);
}

void
health_hurry(struct health *h, struct backend *b, uint64_t until_us)
{
	uint64_t before = atomic_load_explicit(&b->hurry_until_us, memory_order_relaxed);

	while (before < until_us)
		if (atomic_compare_exchange_weak(&b->hurry_until_us, &before, until_us)) {
			/* While it hurries it looks by itself. */
			if (before < now_us())
				wake(h);
			return;
		}
}
