/* The end of a transaction that has several servers: carries out what the step function of router/txn/commit.h says. All its servers are
 * branches then (branch.h). The COMMIT or ROLLBACK that began it is worked on once more when all is over, and finds the answer here.
 * A session that is closed meanwhile goes on until the end, so that nothing is left for recovery. */
#include <stdlib.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#include "base/fault.h"
#include "base/log.h"
#include "router/session/session.h"
#include "router/txn/commit.h"
#include "router/txn/registry.h"

/* A question to recovery outlives the session that asked. */
struct settle {
	struct txn_request request;
	struct mail mail;
	struct worker *w;
	struct ending *ending; /* NULL: nobody waits any more */
};

struct ending {
	struct session *session;
	struct arena arena;
	struct txn txn;
	struct branch **branches; /* by part; NULL: released */
	struct txn_part *parts;
	struct slice *errors; /* by part: the body of its ErrorResponse */
	int n, catching_up;
	bool commit, registered, over, told, running;
	struct txn_entry entry;
	struct timer timer;
	struct settle *settle;
	struct err
	    refusal; /* why it is rolled back in spite of COMMIT; sqlstate empty: nothing */
};

static void run(struct ending *);

bool
ending_needed(const struct session *s)
{
	const struct exec *x = s->x;

	/* doomed: other servers were there, and are gone; the one that is left must not commit */
	return x != NULL &&
	    (!list_empty(&x->branches) || (x->doomed && s->server != NULL) ||
		(x->ending != NULL && !x->ending->told));
}

bool
ending_busy(const struct exec *x)
{
	return x != NULL && x->ending != NULL && !x->ending->over;
}

/* ---- what takes part ---- */

static bool
says_serializable(const char *sql)
{
	return sql != NULL && strcasestr(sql, "serializable") != NULL;
}

/* Readers of a serializable transaction matter to its serial order: they are prepared like writers. */
static bool
serializable(const struct session *s)
{
	const struct exec *x = s->x;

	if (x->tx_read_only)
		return false;
	for (int i = 0; i < x->log.n; i++)
		if (says_serializable(x->log.v[i].sql))
			return true;
	return says_serializable(x->begin) ||
	    says_serializable(varset_get(s->vars, "default_transaction_isolation"));
}

static int
part_of(const struct ending *g, const struct branch *b)
{
	for (int i = 0; i < g->n; i++)
		if (g->branches[i] == b)
			return i;
	return -1;
}

static void
fill_part(struct session *s, struct txn_part *p, const struct branch *b, bool all_matter)
{
	*p = (struct txn_part){.shard = s->db->cluster->shards[b->shard].name,
	    .deed = b->on_replica        ? TXN_READ
		: b->wrote || all_matter ? TXN_WROTE
		: b->locked              ? TXN_LOCKED
					 : TXN_READ,
	    .unpreparable = b->unpreparable,
	    .first = b->wrote_nth == 1};
}

static struct ending *
ending_create(struct session *s, bool commit)
{
	struct ending *g = calloc(1, sizeof *g);
	bool all_matter = commit && serializable(s);
	int n = 0;

	if (g == NULL)
		abort();
	g->session = s;
	g->commit = commit;
	arena_init(&g->arena);
	LIST_FOREACH(it, &s->x->branches)
		n++;
	g->parts = ARENA_NEW_N(&g->arena, struct txn_part, n);
	g->branches = ARENA_NEW_N(&g->arena, struct branch *, n);
	g->errors = ARENA_NEW_N(&g->arena, struct slice, n);
	LIST_FOREACH(it, &s->x->branches) {
		struct branch *b = LIST_ENTRY(it, struct branch, node);

		fill_part(s, &g->parts[g->n], b, all_matter);
		g->errors[g->n] = (struct slice){NULL, 0};
		g->branches[g->n++] = b;
	}
	return g;
}

/* ---- a question to recovery ---- */

/* Where tests let the process die. */
static void
moment(const struct ending *g, const char *what)
{
	if (g->txn.two_phase)
		FAULT_AT(txn_state_name(g->txn.state), what);
	(void)what;
}

static void
settle_delivered(struct mail *m)
{
	struct settle *q = LIST_ENTRY(m, struct settle, mail);
	struct ending *g = q->ending;

	if (g != NULL) {
		g->settle = NULL;
		txn_verdict(&g->txn, q->request.verdict);
		run(g);
	}
	free(q);
}

static void
settle_done(struct txn_request *r)
{
	struct settle *q = LIST_ENTRY(r, struct settle, request);

	loop_post(q->w->loop, &q->mail);
}

static void
fill_request(
    struct ending *g, struct txn_request *r, enum txn_request_kind kind, const char *key)
{
	r->kind = kind;
	snprintf(r->key, sizeof r->key, "%.*s", TXN_KEY_LEN, key);
	snprintf(r->database, sizeof r->database, "%s", session_database(g->session));
	list_init(&r->node);
}

static void
settle(struct ending *g)
{
	struct settle *q = calloc(1, sizeof *q);

	if (q == NULL || g->settle != NULL)
		abort();
	g->settle = q;
	q->ending = g;
	q->w = g->session->w;
	q->mail.deliver = settle_delivered;
	q->request.done = settle_done;
	fill_request(g, &q->request, TXN_REQUEST_SETTLE, g->txn.key);
	moment(g, "ask");
	txn_request(&q->request);
}

static void
hurry(struct ending *g)
{
	struct txn_request r = {0};

	fill_request(g, &r, TXN_REQUEST_HURRY, g->txn.key);
	txn_request(&r);
}

/* ---- the shell around the step function ---- */

/* A server takes no more part. It is not always known whether it has committed: reads wait for it as if it had. */
static void
part_over(struct ending *g, int part)
{
	if (g->commit && g->parts[part].deed == TXN_WROTE)
		tokens_wrote(g->session, g->branches[part]->shard);
	g->branches[part] = NULL;
}

/* What was set in a transaction that its server has rolled back is undone there. PREPARE TRANSACTION keeps it, whatever comes of it. */
static void
note_settings(struct session *s, struct branch *b)
{
	if (b->status != 'I' || !b->begun)
		return;
	b->begun = false;
	if (b->error != NULL || strncmp(b->tag, "ROLLBACK", 8) == 0)
		varset_assign(&link_of(b->server)->vars, varset_ref(s->tx_vars));
}

static void
replied(struct branch *b)
{
	struct ending *g = b->session->x->ending;
	int part = part_of(g, b);
	struct slice body = {b->error, b->error_len};
	char sqlstate[6] = "";

	if (b->status == 0) {
		part_over(g, part);
		branch_release(b);
		txn_lost(&g->txn, part);
		run(g);
		return;
	}
	note_settings(b->session, b);
	if (body.ptr != NULL) {
		char *copy = arena_alloc(&g->arena, body.len);
		struct slice state = msg_error_field(body, 'C');

		memcpy(copy, body.ptr, body.len);
		g->errors[part] = (struct slice){copy, body.len};
		snprintf(sqlstate, sizeof sqlstate, "%.*s", (int)state.len, state.ptr);
	}
	moment(g, "reply");
	txn_reply(&g->txn, part, b->tag, body.ptr == NULL ? NULL : sqlstate, b->status);
	run(g);
}

bool
session_is_home(const struct session *s, const struct branch *b)
{
	bool session_mode = CONFIG_VALUE(s->identity->conf, s->db->cluster->conf,
				pool_mode) == POOL_MODE_SESSION;

	return s->server == NULL && (s->pins != 0 || session_mode) &&
	    (s->x->pin_shard == SHARD_NONE ? session_mode : b->shard == s->x->pin_shard);
}

static void
release(struct ending *g, int part)
{
	struct session *s = g->session;
	struct branch *b = g->branches[part];

	part_over(g, part);
	if (session_is_home(s, b)) {
		branch_take(b);
		s->x->wrote = false; /* its token is noted */
	} else {
		branch_release(b);
	}
}

static void
discard(struct ending *g, int part)
{
	struct branch *b = g->branches[part];

	if (b == NULL)
		return;
	part_over(g, part);
	b->state = BRANCH_LOST; /* not to be used again, whatever it does */
	branch_release(b);
}

static void
act(struct ending *g, const struct txn_action *a)
{
	switch (a->kind) {
	case TXN_SEND:
		moment(g, "send");
		if (g->branches[a->part] == NULL)
			txn_lost(&g->txn, a->part);
		else
			branch_query(g->branches[a->part], a->sql, replied);
		break;
	case TXN_RELEASE:
		release(g, a->part);
		break;
	case TXN_DISCARD:
		discard(g, a->part);
		break;
	case TXN_TIMER:
		timer_start(g->session->w->loop, &g->timer,
		    g->session->db->cluster->conf->settings.commit_timeout_us / 1000);
		break;
	case TXN_SETTLE:
		settle(g);
		break;
	case TXN_HANDOVER:
		hurry(g);
		break;
	case TXN_OVER:
		moment(g, "over");
		g->over = true;
		break;
	}
}

static void
over(struct ending *g)
{
	struct session *s = g->session;

	timer_stop(&g->timer);
	if (g->registered)
		txn_unregister(&g->entry);
	g->registered = false;
	if (s->close_wanted)
		session_close(s, 0);
	else if (s->x->blocked == BLOCK_ENDING)
		session_unblock(s);
}

/* All that the step function wants. The ending may be gone afterwards. */
static void
run(struct ending *g)
{
	const struct txn_action *a;

	if (g->running || g->over)
		return;
	g->running = true;
	while (!g->over && (a = txn_next(&g->txn)) != NULL)
		act(g, a);
	g->running = false;
	atomic_store_explicit(&g->entry.state, (int)g->txn.state, memory_order_relaxed);
	if (g->over)
		over(g);
}

static void
timed_out(struct timer *t)
{
	struct ending *g = LIST_ENTRY(t, struct ending, timer);

	txn_timeout(&g->txn);
	run(g);
}

/* ---- the beginning ---- */

static void
announce(struct ending *g)
{
	struct session *s = g->session;
	struct timespec now;

	if (!g->txn.two_phase)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	memcpy(g->entry.key, g->txn.key, sizeof g->entry.key);
	g->entry.database = session_database(s);
	g->entry.user = session_user(s);
	g->entry.anchor = g->txn.anchor < 0 ? "" : g->parts[g->txn.anchor].shard;
	g->entry.client_id = s->id;
	g->entry.since_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	g->entry.participants = g->n;
	list_init(&g->entry.node);
	txn_register(&g->entry);
	g->registered = true;
}

static void
decide(struct ending *g)
{
	struct session *s = g->session;
	uint8_t random[TXN_RANDOM_BYTES];
	bool best_effort = CONFIG_VALUE(s->identity->conf, s->db->cluster->conf,
			       multi_shard_commit) == MULTI_SHARD_BEST_EFFORT;

	if (g->commit && !best_effort && txn_needs_two_phase(g->parts, g->n) &&
	    txn_ready(session_database(s), g->parts, g->n, &g->refusal) != RC_OK)
		g->commit = false;
	if (getrandom(random, sizeof random, 0) != sizeof random)
		abort();
	txn_init(&g->txn, &g->arena, g->parts, g->n, best_effort, random);
	txn_begin(&g->txn, g->commit);
	announce(g);
	run(g);
}

/* A savepoint was rolled back to that some server has not heard of. */
static void
caught_up(struct branch *b)
{
	struct ending *g = b->session->x->ending;

	if (branch_failed(b, &g->refusal)) {
		g->refusal.raw = (struct slice){NULL, 0};
		g->commit = false;
	}
	if (b->state == BRANCH_LOST) {
		g->branches[part_of(g, b)] = NULL;
		branch_release(b);
	} else { /* it has run what the others have */
		varset_assign(&link_of(b->server)->vars, varset_ref(g->session->vars));
	}
	if (--g->catching_up == 0)
		decide(g);
}

static void
catch_up(struct ending *g)
{
	struct exec *x = g->session->x;
	struct msgbuf sql;

	msgbuf_init(&sql);
	for (int i = 0; i < g->n && g->commit; i++) {
		struct branch *b = g->branches[i];

		if (!txlog_undoes(&x->log, b->log_done))
			continue;
		msgbuf_clear(&sql);
		txlog_write(&x->log, b->log_done, &sql);
		msg_bytes(&sql, "", 1);
		g->catching_up++;
		branch_query(b, sql.data, caught_up);
	}
	msgbuf_fini(&sql);
	if (g->catching_up == 0)
		decide(g);
}

static void
again(struct session *s)
{
	if (s->x->msg.type == 'Q')
		simple_query(s);
	else
		extended_message(s);
}

static void
start(struct session *s)
{
	struct exec *x = s->x;
	struct ending *g;
	struct err e;
	bool lost = s->server != NULL && branch_stash(s, &e) == NULL;

	x->resume = x->ending_then;
	session_block(s, BLOCK_ENDING);
	timer_stop(&s->timer);
	g = x->ending = ending_create(s, x->ending_commits && !lost);
	timer_init(&g->timer, timed_out);
	if (lost && x->ending_commits)
		g->refusal = e;
	catch_up(g);
}

/* ---- the answer ---- */

static enum rc
answer(struct ending *g, const char **tag, struct err *e)
{
	const struct txn_answer *a = &g->txn.answer;
	struct msgbuf *out = &g->session->x->out;

	g->told = true;
	if (g->refusal.sqlstate[0] != '\0') {
		*e = g->refusal;
		return RC_ERR;
	}
	switch (a->outcome) {
	case TXN_COMMITTED:
		*tag = "COMMIT";
		if (a->late)
			msg_notice(out, "WARNING", "01000",
			    "the transaction is committed, but a shard shows it only when recovery has finished it there",
			    "SHOW TRANSACTIONS on the admin console lists what is left to do.");
		return RC_OK;
	case TXN_ROLLED_BACK:
		*tag = "ROLLBACK";
		return RC_OK;
	case TXN_SERVER_ERROR:
		(void)err_set(e, "XX000", BLAST_STMT, "shard %s: the transaction failed",
		    g->parts[a->part].shard);
		e->raw = g->errors[a->part];
		return RC_ERR;
	case TXN_FAILED:
	case TXN_UNKNOWN:
		*e = a->err;
		return RC_ERR;
	}
	return RC_ERR;
}

void
ending_begin(struct session *s, bool commit, void (*then)(struct session *))
{
	struct exec *x = s->x;

	ending_free(x);
	x->ending_commits = commit;
	x->ending_then = then;
	start(s);
}

/* The servers' settings are noted already. */
static void
transaction_over(struct session *s, bool committed)
{
	struct server *server = s->server;

	s->server = NULL;
	effects_transaction_over(s, committed);
	s->server = server;
}

enum rc
ending_result(struct session *s, const char **tag, struct err *e)
{
	enum rc rc = answer(s->x->ending, tag, e);

	transaction_over(s, rc == RC_OK && strcmp(*tag, "COMMIT") == 0);
	return rc;
}

enum rc
ending_run(struct session *s, bool commit, const char **tag, struct err *e)
{
	struct exec *x = s->x;
	enum rc rc;

	if (x->ending == NULL || x->ending->told) {
		if (s->server != NULL &&
		    (x->unsynced || !link_quiet(link_of(s->server)))) {
			session_settle(s, again);
			return RC_AGAIN;
		}
		ending_begin(s, commit, again);
		if (!x->ending->over)
			return RC_AGAIN;
		x->blocked = BLOCK_NOT;
		x->resume = NULL;
	}
	rc = answer(x->ending, tag, e);
	if (rc == RC_OK)
		return rc;
	transaction_over(s, false);
	s->tx = 'I';
	return rc;
}

/* ---- what happens meanwhile ---- */

bool
ending_lost(struct branch *b)
{
	struct ending *g = b->session->x->ending;
	int part = g == NULL || g->over ? -1 : part_of(g, b);

	if (part < 0)
		return false;
	part_over(g, part);
	branch_release(b);
	if (g->catching_up > 0) {
		(void)err_set(&g->refusal, "08006", BLAST_TXN,
		    "the connection to the server of shard %s was lost",
		    g->parts[part].shard);
		g->commit = false;
		return true;
	}
	txn_lost(&g->txn, part);
	run(g);
	return true;
}

void
ending_cancel(struct session *s)
{
	struct ending *g = s->x->ending;

	if (g == NULL || g->over || g->catching_up > 0)
		return;
	if (txn_forwards_cancel(&g->txn))
		for (int i = 0; i < g->n; i++)
			if (g->branches[i] != NULL &&
			    g->branches[i]->state == BRANCH_BUSY)
				pool_cancel_query(g->branches[i]->server);
	txn_cancel(&g->txn);
	run(g);
}

void
ending_free(struct exec *x)
{
	struct ending *g = x->ending;

	if (g == NULL)
		return;
	x->ending = NULL;
	timer_stop(&g->timer);
	if (g->registered)
		txn_unregister(&g->entry);
	if (g->settle != NULL) {
		g->settle->ending = NULL;
		if (txn_request_forget(&g->settle->request))
			free(g->settle);
	}
	arena_reset(&g->arena);
	free(g);
}
