#include "router/recovery/service.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"

#define SWEEP_US    UINT64_C(60000000) /* between two looks for verdicts that can go */
#define SETTLE_US   UINT64_C(500000)   /* before the anchor is asked again */
#define HURRIED_MAX 64
#define HURRY_US    UINT64_C(1000000)

/* A TXN_REQUEST_SETTLE whose anchor has not answered yet. */
struct unsettled {
	struct unsettled *next;
	struct txn_request *request;
	uint64_t again_us, until_us; /* commit_timeout */
};

struct watched {
	struct watched *next;
	struct site *site;
	uint64_t learned_us, swept_us;
	bool seen;    /* its cluster is in the snapshot */
	bool *warned; /* by shard */
};

static struct recovery {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool running, stop, woken;
	struct proc *proc;
	/* the thread's own */
	struct watched *watched;
	struct unsettled *unsettled;
	char hurried[HURRIED_MAX][TXN_KEY_SIZE]; /* beyond, recovery_grace passes first */
	int n_hurried;
	bool hurried_once; /* they were looked for */
	uint64_t pass_at_us;
	/* under the lock: what SHOW sees */
	struct recovery_row *rows;
	int n_rows;
	/* of the pass under way */
	struct recovery_row *next_rows;
	int n_next, cap_next;
} recovery = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static _Atomic uint64_t counts[RECOVERY_COUNTS];

uint64_t
recovery_count(enum recovery_count c)
{
	return atomic_load(&counts[c]);
}

static void
count(enum recovery_count c, uint64_t n)
{
	atomic_fetch_add(&counts[c], n);
}

static uint64_t
wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* ---- what is published ---- */

static void
keep_row(const struct site *s, const struct found *f, const char *why)
{
	struct recovery_row *r;

	if (recovery.n_next == recovery.cap_next) {
		recovery.cap_next = recovery.cap_next == 0 ? 16 : 2 * recovery.cap_next;
		recovery.next_rows = realloc(recovery.next_rows,
		    (size_t)recovery.cap_next * sizeof *recovery.next_rows);
		if (recovery.next_rows == NULL)
			abort();
	}
	r = &recovery.next_rows[recovery.n_next++];
	*r = (struct recovery_row){.age_s = f->age_s, .found_us = wall_us(), .why = why};
	r->verdict = f->verdict;
	snprintf(r->database, sizeof r->database, "%s", s->cluster->name);
	snprintf(r->shard, sizeof r->shard, "%s", f->shard);
	snprintf(r->anchor, sizeof r->anchor, "%s", f->anchor == NULL ? "" : f->anchor);
	snprintf(r->owner, sizeof r->owner, "%s", f->owner);
	snprintf(r->gid, sizeof r->gid, "%s", f->gid);
}

static void
publish(int unreachable)
{
	double oldest = 0;

	pthread_mutex_lock(&recovery.lock);
	free(recovery.rows);
	recovery.rows = recovery.next_rows;
	recovery.n_rows = recovery.n_next;
	pthread_mutex_unlock(&recovery.lock);
	for (int i = 0; i < recovery.n_rows; i++)
		if (recovery.rows[i].age_s > oldest)
			oldest = recovery.rows[i].age_s;
	recovery.next_rows = NULL;
	recovery.n_next = recovery.cap_next = 0;
	atomic_store(&counts[RECOVERY_IN_DOUBT], (uint64_t)recovery.n_rows);
	atomic_store(&counts[RECOVERY_OLDEST_S], (uint64_t)oldest);
	atomic_store(&counts[RECOVERY_UNREACHABLE], (uint64_t)unreachable);
	count(RECOVERY_PASSES, 1);
}

void
recovery_each(void (*fn)(const struct recovery_row *, void *arg), void *arg)
{
	pthread_mutex_lock(&recovery.lock);
	for (int i = 0; i < recovery.n_rows; i++)
		fn(&recovery.rows[i], arg);
	pthread_mutex_unlock(&recovery.lock);
}

/* Why it was not finished when it was last seen; rows are replaced by this thread alone. */
static const char *
said_before(const char *gid)
{
	for (int i = 0; i < recovery.n_rows; i++)
		if (strcmp(recovery.rows[i].gid, gid) == 0)
			return recovery.rows[i].why;
	return NULL;
}

static void
tell(const struct site *s, const struct found *f)
{
	bool done = recover_result_done(f->result);
	const char *why = recover_result_text(f->result), *before = said_before(f->gid);
	char age[24];

	snprintf(age, sizeof age, "%.0f", f->age_s);
	if (done)
		log_line(LOG_NOTICE, "transaction recovered", "database",
		    s->cluster->name, "shard", f->shard, "gid", f->gid, "anchor",
		    f->anchor, "outcome", recover_result_name(f->result), "age_s", age,
		    NULL);
	else if (before == NULL || strcmp(before, why) != 0)
		log_line(LOG_WARNING, "transaction in doubt", "database",
		    s->cluster->name, "shard", f->shard, "gid", f->gid, "anchor",
		    f->anchor, "why", why, "error", f->error[0] == '\0' ? NULL : f->error,
		    "age_s", age, NULL);
}

static void
account(const struct site *s, const struct found *f)
{
	if (f->foreign_database || f->active)
		return;
	if (!f->tried) {
		keep_row(s, f, "younger than recovery_grace");
		return;
	}
	tell(s, f);
	if (f->result == RECOVER_COMMITTED)
		count(RECOVERY_COMMITTED, 1);
	else if (f->result == RECOVER_ROLLED_BACK)
		count(RECOVERY_ROLLED_BACK, 1);
	if (!recover_result_done(f->result))
		keep_row(s, f, recover_result_text(f->result));
}

/* ---- the databases ---- */

static void
watch(struct cluster *c)
{
	struct watched *w;

	for (w = recovery.watched; w != NULL; w = w->next)
		if (w->site->cluster == c) {
			w->seen = true;
			return;
		}
	w = calloc(1, sizeof *w);
	if (w == NULL ||
	    (w->warned = calloc((size_t)c->n_shards, sizeof *w->warned)) == NULL)
		abort();
	w->site = site_create(c);
	w->seen = true;
	w->next = recovery.watched;
	recovery.watched = w;
}

static void
forget(bool all)
{
	for (struct watched **at = &recovery.watched; *at != NULL;) {
		struct watched *w = *at;

		if (w->seen && !all) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		site_destroy(w->site);
		free(w->warned);
		free(w);
	}
}

/* The databases of several shards, as the snapshot has them now. */
static uint64_t
look_around(void)
{
	struct snapshot *snap = snapshot_ref(atomic_load(&recovery.proc->snap));
	uint64_t period_us = snap->config->settings.recovery_period_us;

	for (struct watched *w = recovery.watched; w != NULL; w = w->next)
		w->seen = false;
	pthread_mutex_lock(&snap->lock);
	for (int i = 0; i < snap->n; i++)
		if (snap->clusters[i]->n_shards > 1)
			watch(snap->clusters[i]);
	pthread_mutex_unlock(&snap->lock);
	snapshot_unref(snap);
	forget(false);
	return period_us;
}

static void
warn_of_shard(struct watched *w, int i)
{
	const struct site_shard *h = &w->site->shards[i];
	bool bad = h->state != TXN_SHARD_READY &&
	    w->site->cluster->conf->settings.multi_shard_commit == MULTI_SHARD_TWO_PHASE;

	if (bad && !w->warned[i])
		log_line(LOG_WARNING,
		    "a transaction cannot write on this shard and on others", "database",
		    w->site->cluster->name, "shard", h->name, "why",
		    h->state == TXN_SHARD_NO_PREPARE ? "max_prepared_transactions is 0"
			: h->state == TXN_SHARD_NO_CATALOG
			? "schema weir is missing: weir catalog init"
			: "it could not be asked",
		    "error", h->error[0] == '\0' ? NULL : h->error, NULL);
	w->warned[i] = bad;
}

static void
learn(struct watched *w)
{
	uint64_t now = site_now_us();
	bool ready = true;

	for (int i = 0; i < w->site->n; i++)
		ready = ready && w->site->shards[i].state == TXN_SHARD_READY;
	if (ready && now < w->learned_us + SWEEP_US)
		return;
	site_learn(w->site);
	w->learned_us = now;
	for (int i = 0; i < w->site->n; i++)
		warn_of_shard(w, i);
}

static void
hurry(const char *key)
{
	recovery.pass_at_us = 0;
	recovery.hurried_once = false;
	if (recovery.n_hurried < HURRIED_MAX)
		memcpy(recovery.hurried[recovery.n_hurried++], key, TXN_KEY_SIZE);
}

static bool
is_hurried(const struct found *f)
{
	for (int i = 0; i < recovery.n_hurried; i++)
		if (strcmp(recovery.hurried[i], f->key) == 0)
			return true;
	return false;
}

static int
pass(struct watched *w)
{
	struct pass p;
	uint64_t now = site_now_us();
	int unreachable;

	learn(w);
	pass_init(&p, w->site);
	pass_list(&p);
	for (int i = 0; i < p.n; i++)
		if (is_hurried(&p.found[i]))
			p.found[i].young = false;
	pass_recover_all(&p);
	for (int i = 0; i < p.n; i++)
		account(w->site, &p.found[i]);
	if (now > w->swept_us + SWEEP_US || w->swept_us == 0) {
		pass_sweep(&p);
		w->swept_us = now;
		count(RECOVERY_REMOVED_VERDICTS, p.removed_commits + p.removed_aborts);
	}
	unreachable = p.unreachable;
	pass_fini(&p);
	return unreachable;
}

static void
pass_all(void)
{
	uint64_t period_us = look_around();
	int unreachable = 0;

	for (struct watched *w = recovery.watched; w != NULL; w = w->next)
		unreachable += pass(w);
	publish(unreachable);
	recovery.pass_at_us = site_now_us() + period_us;
}

/* ---- what sessions ask ---- */

static struct watched *
find(const char *database)
{
	for (struct watched *w = recovery.watched; w != NULL; w = w->next)
		if (strcmp(w->site->cluster->name, database) == 0)
			return w;
	return NULL;
}

static enum txn_verdict
settle(struct unsettled *u)
{
	const struct txn_request *r = u->request;
	struct watched *w = find(r->database);
	enum txn_verdict v;

	if (w == NULL) {
		(void)look_around();
		w = find(r->database);
	}
	if (w == NULL)
		return TXN_VERDICT_UNKNOWN;
	if (u->until_us == 0)
		u->until_us =
		    site_now_us() + w->site->cluster->conf->settings.commit_timeout_us;
	if (site_incomplete(w->site))
		site_learn(w->site);
	v = pass_settle(w->site, r->key);
	return recover_believe(
	    v, txn_age_us(r->key), w->site->cluster->conf->settings.txn_retention_us);
}

/* False: it is to be tried again. */
static bool
try_to_settle(struct unsettled *u)
{
	enum txn_verdict v =
	    txn_request_wanted(u->request) ? settle(u) : TXN_VERDICT_UNKNOWN;

	if (v == TXN_VERDICT_UNKNOWN && site_now_us() < u->until_us &&
	    txn_request_wanted(u->request)) {
		u->again_us = site_now_us() + SETTLE_US;
		return false;
	}
	log_line(LOG_NOTICE, "lost commit settled", "database", u->request->database,
	    "key", u->request->key, "verdict",
	    v == TXN_VERDICT_COMMIT      ? "commit"
		: v == TXN_VERDICT_ABORT ? "abort"
					 : "unknown",
	    NULL);
	txn_request_answer(u->request, v);
	return true;
}

static void
take_requests(void)
{
	struct txn_request *r;

	while ((r = txn_request_take()) != NULL) {
		struct unsettled *u;

		if (r->kind == TXN_REQUEST_HURRY) {
			hurry(r->key);
			txn_request_answer(r, TXN_VERDICT_UNKNOWN);
			continue;
		}
		u = calloc(1, sizeof *u);
		if (u == NULL)
			abort();
		u->request = r;
		u->next = recovery.unsettled;
		recovery.unsettled = u;
	}
}

static void
settle_all(void)
{
	for (struct unsettled **at = &recovery.unsettled; *at != NULL;) {
		struct unsettled *u = *at;

		if (site_now_us() < u->again_us || !try_to_settle(u)) {
			at = &u->next;
			continue;
		}
		*at = u->next;
		free(u);
	}
}

static void
answer_all(void)
{
	take_requests();
	while (recovery.unsettled != NULL) {
		struct unsettled *u = recovery.unsettled;

		recovery.unsettled = u->next;
		txn_request_answer(u->request, TXN_VERDICT_UNKNOWN);
		free(u);
	}
}

/* ---- the thread ---- */

static uint64_t
next_us(void)
{
	uint64_t next = recovery.pass_at_us;

	for (struct unsettled *u = recovery.unsettled; u != NULL; u = u->next)
		if (u->again_us < next)
			next = u->again_us;
	return next;
}

/* Who asked may have held it as its own still: they are looked for twice. */
static void
after_hurry(void)
{
	if (recovery.n_hurried > 0 && !recovery.hurried_once) {
		recovery.hurried_once = true;
		recovery.pass_at_us = site_now_us() + HURRY_US;
	} else {
		recovery.n_hurried = 0;
	}
}

/* Under the lock. */
static void
rest(void)
{
	uint64_t now = site_now_us(), next = next_us();
	uint64_t wait_us = next > now ? next - now : 0, until = wall_us() + wait_us;
	struct timespec ts = {.tv_sec = (time_t)(until / 1000000),
	    .tv_nsec = (long)(until % 1000000) * 1000};

	while (!recovery.stop && !recovery.woken && wait_us > 0 &&
	    pthread_cond_timedwait(&recovery.wake, &recovery.lock, &ts) == 0)
		;
	recovery.woken = false;
}

static void *
run(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&recovery.lock);
	while (!recovery.stop) {
		pthread_mutex_unlock(&recovery.lock);
		take_requests();
		settle_all();
		if (site_now_us() >= recovery.pass_at_us) {
			pass_all();
			after_hurry();
		}
		pthread_mutex_lock(&recovery.lock);
		rest();
	}
	pthread_mutex_unlock(&recovery.lock);
	return NULL;
}

static void
wake(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&recovery.lock);
	recovery.woken = true;
	pthread_cond_signal(&recovery.wake);
	pthread_mutex_unlock(&recovery.lock);
}

enum rc
recovery_start(struct proc *proc, struct err *e)
{
	recovery.proc = proc;
	if (pthread_create(&recovery.thread, NULL, run, NULL) != 0)
		return err_set(
		    e, "53000", BLAST_SESSION, "cannot start the recovery service");
	recovery.running = true;
	txn_service_set(wake, NULL);
	return RC_OK;
}

void
recovery_stop(void)
{
	if (!recovery.running)
		return;
	txn_service_set(NULL, NULL);
	pthread_mutex_lock(&recovery.lock);
	recovery.stop = true;
	pthread_cond_signal(&recovery.wake);
	pthread_mutex_unlock(&recovery.lock);
	pthread_join(recovery.thread, NULL);
	recovery.running = false;
	answer_all();
	forget(true);
	free(recovery.rows);
	recovery.rows = NULL;
	recovery.n_rows = 0;
}
