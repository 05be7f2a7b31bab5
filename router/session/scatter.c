#include "router/session/scatter.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static void take_servers(struct session *);
static void move_list(struct list *to, struct list *from);

static bool
mentions_snapshot(const char *sql)
{
	return sql != NULL &&
	    (strcasestr(sql, "serializable") != NULL ||
		strcasestr(sql, "repeatable") != NULL);
}

static struct scatter *
scatter_create(struct session *s)
{
	struct scatter *sc = calloc(1, sizeof *sc);

	if (sc == NULL)
		abort();
	sc->session = s;
	sc->describe = true;
	sc->final_shard = SHARD_NONE;
	list_init(&sc->aside.branches);
	arena_init(&sc->arena);
	return sc;
}

void
scatter_destroy(struct scatter *sc)
{
	if (sc == NULL)
		return;
	if (sc->aside.active) { /* the session ends */
		move_list(&sc->session->x->branches, &sc->aside.branches);
		branches_drop(sc->session);
		free(sc->aside.begin);
		txlog_clear(&sc->aside.log);
		sc->aside.active = false;
	}
	sc->phase = SCATTER_OVER;
	if (sc->holds > 0)
		return;
	scatter_rows_end(sc);
	free(sc->error_body);
	arena_reset(&sc->arena);
	free(sc);
}

void
scatter_hold(struct scatter *sc)
{
	sc->holds++;
}

void
scatter_let_go(struct scatter *sc)
{
	if (--sc->holds == 0 && sc->phase == SCATTER_OVER)
		scatter_destroy(sc);
}

/* ---- planning ---- */

bool
scatter_may_do(
    const struct session *s, const struct sql_stmt *stmt, const struct err *why)
{
	bool kind = stmt->kind == STMT_SELECT || stmt->kind == STMT_INSERT ||
	    stmt->kind == STMT_UPDATE || stmt->kind == STMT_DELETE;

	return s->x->plan_text.ptr != NULL && kind && !session_one_shard(s) &&
	    strcmp(why->sqlstate, "0A000") == 0;
}

static const struct plan_param *
copy_params(struct arena *a, const struct plan_param *params, int n)
{
	struct plan_param *copy = ARENA_NEW_N(a, struct plan_param, n + 1);

	for (int i = 0; i < n; i++) {
		copy[i] = params[i];
		if (copy[i].len > 0)
			copy[i].ptr = arena_dup(a, params[i].ptr, (size_t)params[i].len);
	}
	return copy;
}

/* What a portal keeps outlives the messages that made it. */
static struct scatter *
copy_ctx(struct session *s, const struct plan_ctx *ctx)
{
	struct scatter *sc = scatter_create(s);
	struct slice text = s->x->plan_text;
	uint32_t *oids = ARENA_NEW_N(&sc->arena, uint32_t, ctx->n_params + 1);

	sc->n_params = ctx->n_params;
	sc->params = copy_params(&sc->arena, ctx->params, ctx->n_params);
	for (int i = 0; i < ctx->n_params && i < ctx->n_oids; i++)
		oids[i] = ctx->param_oids[i];
	sc->oids = oids;
	sc->client.sql =
	    (struct slice){arena_dup(&sc->arena, text.ptr, text.len), text.len};
	return sc;
}

/* The parameters that the text speaks of are there. */
static enum rc
check_params(
    const struct scatter *sc, const struct multi_text *t, bool simple, struct err *e)
{
	for (int i = 0; t->params != NULL && i < t->n_params; i++)
		if (t->params[i] > sc->n_params)
			return simple
			    ? err_set(e, "42P02", BLAST_STMT, "there is no parameter $%d",
				  t->params[i])
			    : err_set(e, "08P01", BLAST_STMT,
				  "bind message supplies %d parameters, but prepared statement requires %d or more",
				  sc->n_params, t->params[i]);
	return RC_OK;
}

static enum rc
check_all_params(struct session *s, const struct scatter *sc, struct err *e)
{
	bool simple = s->x->msg.type == 'Q';

	for (int i = 0; i < sc->multi.n_fragments; i++)
		if (check_params(sc, &sc->multi.fragments[i].query, simple, e) != RC_OK ||
		    check_params(sc, &sc->multi.fragments[i].create, simple, e) != RC_OK)
			return RC_ERR;
	return check_params(sc, &sc->multi.final, simple, e);
}

enum rc
scatter_plan(struct session *s, struct shape *shape, int i, const struct plan_ctx *ctx,
    struct plan *plan, struct err *e)
{
	struct exec *x = s->x;
	struct scatter *sc = copy_ctx(s, ctx);
	struct plan_ctx inner = *ctx;
	struct sql_env env;
	enum rc rc;

	session_env(s, &env);
	inner.arena = &sc->arena;
	inner.params = ctx->params == NULL ? NULL : sc->params;
	rc = multi_plan(shape, i, &inner, &env, sc->client.sql, &sc->multi, e);
	sc->read_only = plan->read_only;
	if (rc == RC_OK)
		rc = check_all_params(s, sc, e);
	if (rc == RC_OK) {
		scatter_destroy(x->planned);
		x->planned = sc;
		*plan = (struct plan){.kind = PLAN_MULTI,
		    .shard = SHARD_NONE,
		    .read_only = sc->read_only,
		    .sharded = true};
		return RC_OK;
	}
	if (rc == RC_AGAIN) {
		*plan = (struct plan){.kind = PLAN_LOOKUP};
		plan->lookup.distribution = sc->multi.lookup.distribution;
		plan->lookup.key =
		    (struct slice){arena_dup(ctx->arena, sc->multi.lookup.key.ptr,
				       sc->multi.lookup.key.len),
			sc->multi.lookup.key.len};
		rc = RC_OK;
	}
	scatter_destroy(sc);
	return rc;
}

struct scatter *
scatter_planned(struct session *s)
{
	struct scatter *sc = s->x->planned;

	s->x->planned = NULL;
	return sc;
}

/* ---- which shards ---- */

static bool
wanted(const uint64_t *shards, int shard)
{
	return (shards[shard / 64] >> (shard % 64)) & 1;
}

static bool
takes_part(const struct multi *m, int shard)
{
	for (int i = 0; i < m->n_fragments; i++)
		if (wanted(m->fragments[i].shards, shard))
			return true;
	return false;
}

/* The final query runs where a fragment comes from, if it may: that one need not be moved. */
static int
final_shard(const struct scatter *sc, int n)
{
	const struct multi *m = &sc->multi;
	int any = SHARD_NONE;

	if (m->kind != MULTI_INTERMEDIATE)
		return SHARD_NONE;
	for (int i = n - 1; i >= 0; i--) {
		if (!wanted(m->final_shards, i))
			continue;
		any = i;
		if (takes_part(m, i))
			break;
	}
	for (int i = 0; i < n; i++)
		if (wanted(m->final_shards, i) && takes_part(m, i))
			return i;
	return any;
}

static void
choose_shards(struct scatter *sc)
{
	int n = sc->session->db->cluster->n_shards, final = final_shard(sc, n);

	sc->shards = ARENA_NEW_N(&sc->arena, struct scatter_shard, n);
	for (int i = 0; i < n; i++)
		if (i == final || takes_part(&sc->multi, i))
			sc->shards[sc->n_shards++].shard = i;
	sc->final_shard = final;
}

struct branch *
scatter_branch(struct scatter *sc, int shard)
{
	for (int i = 0; i < sc->n_shards; i++)
		if (sc->shards[i].shard == shard)
			return sc->shards[i].branch;
	return NULL;
}

/* ---- beside a transaction ---- */

static bool
one_snapshot(const struct exec *x)
{
	for (int i = 0; i < x->log.n; i++)
		if (mentions_snapshot(x->log.v[i].sql))
			return true;
	return mentions_snapshot(x->begin) ||
	    mentions_snapshot(
		varset_get(x->session->vars, "default_transaction_isolation"));
}

static bool
wrote_here(struct scatter *sc)
{
	LIST_FOREACH(it, &sc->session->x->branches) {
		const struct branch *b = LIST_ENTRY(it, struct branch, node);

		if (b->wrote &&
		    (takes_part(&sc->multi, b->shard) || b->shard == sc->final_shard))
			return true;
	}
	return false;
}

/* Temporary tables would make the transaction's servers unfit for PREPARE. As long as it has written nothing on these shards, a statement of READ
 * COMMITTED sees on other connections what it would see on its own. */
static enum rc
may_run_beside(struct scatter *sc, struct err *e)
{
	const struct exec *x = sc->session->x;
	bool snapshot = one_snapshot(x);

	for (int i = 0; i < x->log.n; i++)
		if (x->log.v[i].kind == STMT_SET_LOCAL) {
			(void)err_set(e, "0A000", BLAST_TXN,
			    "a statement that needs intermediate results in a transaction that has used SET LOCAL");
			err_hint(e, "Run it outside the transaction, or use SET.");
			return RC_ERR;
		}
	if (!snapshot && !wrote_here(sc))
		return RC_OK;
	(void)err_set(e, "0A000", BLAST_TXN,
	    "a statement that needs intermediate results in a transaction that %s",
	    snapshot ? "keeps one snapshot" : "has written on its shards");
	err_hint(e,
	    snapshot ? "Use READ COMMITTED, or run it outside the transaction."
		     : "Run it before the transaction writes, or outside it.");
	return RC_ERR;
}

static void
move_list(struct list *to, struct list *from)
{
	while (!list_empty(from)) {
		struct list *it = from->next;

		list_remove(it);
		list_push_back(to, it);
	}
}

static void
set_aside(struct scatter *sc)
{
	struct exec *x = sc->session->x;

	sc->aside.active = true;
	sc->aside.begin = x->begin;
	sc->aside.log = x->log;
	move_list(&sc->aside.branches, &x->branches);
	x->begin = NULL;
	x->log = (struct txlog){0};
}

static void
bring_back(struct scatter *sc)
{
	struct exec *x = sc->session->x;

	if (!sc->aside.active)
		return;
	sc->aside.active = false;
	x->begin = sc->aside.begin;
	x->log = sc->aside.log;
	x->firm = x->begun = x->wrote = x->locked = false;
	x->log_done = 0;
	move_list(&x->branches, &sc->aside.branches);
}

/* ---- taking the servers ---- */

static bool
types_known(const struct scatter *sc)
{
	for (int i = 0; i < sc->n_params; i++)
		if (sc->oids[i] == 0)
			return false;
	return true;
}

static void
run(struct scatter *sc)
{
	if (sc->multi.kind == MULTI_INTERMEDIATE)
		scatter_tables_begin(sc);
	else
		scatter_rows_begin(sc);
}

static void
begin(struct scatter *sc)
{
	sc->phase = SCATTER_RUNNING;
	session_block(sc->session, BLOCK_SCATTER);
	if (sc->multi.kind != MULTI_CONCAT && !types_known(sc))
		scatter_types(sc, sc->shards[0].branch, run);
	else
		run(sc);
}

/* The current server becomes the branch of the shard that was asked for last. False: it broke. */
static bool
take(struct scatter *sc)
{
	struct session *s = sc->session;
	struct plan plan = {.kind = PLAN_MULTI,
	    .read_only = sc->read_only,
	    .locks_only = sc->multi.kind != MULTI_WRITE,
	    .sharded = true};
	struct err e;

	sc->shards[sc->next].backend = s->x->backend;
	session_sent(s, &plan, NULL);
	sc->shards[sc->next].branch = branch_stash(s, &e);
	if (sc->shards[sc->next++].branch != NULL)
		return true;
	scatter_fail(sc, &e);
	return false;
}

static void
taken(struct session *s)
{
	struct scatter *sc = s->x->scatter;
	struct err e;

	if (sc->phase == SCATTER_SERVERS) {
		if (take(sc))
			take_servers(s);
		return;
	}
	(void)branch_stash(s, &e); /* it has failed meanwhile */
	sc->replaying = false;
	if (--sc->busy == 0)
		sc->at_rest(sc);
}

static void
take_servers(struct session *s)
{
	struct scatter *sc = s->x->scatter;
	struct plan plan = {.kind = PLAN_ONE, .sharded = true};
	struct err e;

	while (sc->next < sc->n_shards) {
		plan.shard = sc->shards[sc->next].shard;
		plan.read_only =
		    sc->read_only && plan.shard != sc->final_shard && !sc->aside.active;
		switch (session_need_server(s, &plan, taken, &e)) {
		case RC_OK:
			if (!take(sc))
				return;
			break;
		case RC_AGAIN:
			return;
		case RC_ERR:
			scatter_fail(sc, &e);
			return;
		}
	}
	begin(sc);
}

/* No server is waited for any more; one that is being brought up to date comes to taken(). */
static void
stop_taking(struct scatter *sc)
{
	struct session *s = sc->session;

	if (s->server != NULL) {
		sc->replaying = true;
		sc->busy++;
		return;
	}
	pool_cancel_wait(&s->x->waiter);
	session_unpark(s);
}

static void
start(struct session *s)
{
	struct exec *x = s->x;
	struct scatter *sc = x->planned;
	struct err e;

	x->planned = NULL;
	x->scatter = sc;
	if (sc->multi.kind == MULTI_WRITE && x->begin == NULL)
		scatter_own_block(sc);
	if (s->pins == 0 && list_empty(&x->branches))
		x->pin_shard = SHARD_NONE;
	if (s->server != NULL && session_stash(s, &e) == NULL) {
		scatter_fail(sc, &e);
		return;
	}
	if (sc->multi.kind == MULTI_INTERMEDIATE && s->x->begin != NULL) {
		if (may_run_beside(sc, &e) != RC_OK) {
			scatter_fail(sc, &e);
			return;
		}
		set_aside(sc);
	}
	take_servers(s);
}

static bool
may_settle(const struct session *s)
{
	return s->x->begin != NULL || !s->x->firm;
}

void
scatter_run(struct session *s, struct scatter *sc)
{
	struct exec *x = s->x;
	struct err e;

	scatter_destroy(x->planned);
	x->planned = sc; /* it goes with the cycle if what stands before it fails */
	sc->phase = SCATTER_SERVERS;
	choose_shards(sc);
	if (s->server != NULL && x->unsynced && !may_settle(s)) {
		(void)err_set(&e, "0A000", BLAST_STMT,
		    "a statement over several shards behind others of its pipeline");
		err_hint(&e, "Send Sync before it, or BEGIN before them.");
		session_error(s, &e);
		return;
	}
	if (s->server != NULL && (x->unsynced || !link_quiet(link_of(s->server)))) {
		session_settle(s, start);
	} else {
		start(s);
	}
}

/* ---- statements on branches ---- */

static void
write_bind(struct scatter *sc, struct msgbuf *out, const struct multi_text *t,
    const int16_t *formats, int n_formats)
{
	int n = t->params == NULL ? sc->n_params : t->n_params;

	msg_begin(out, 'B');
	msg_str(out, "");
	msg_str(out, "");
	msg_int16(out, (int16_t)n);
	for (int i = 0; i < n; i++)
		msg_int16(
		    out, sc->params[t->params == NULL ? i : t->params[i] - 1].format);
	msg_int16(out, (int16_t)n);
	for (int i = 0; i < n; i++) {
		const struct plan_param *p =
		    &sc->params[t->params == NULL ? i : t->params[i] - 1];

		msg_int32(out, p->len);
		if (p->len > 0)
			msg_bytes(out, p->ptr, (size_t)p->len);
	}
	msg_int16(out, (int16_t)n_formats);
	for (int i = 0; i < n_formats; i++)
		msg_int16(out, formats[i]);
	msg_end(out);
}

static void
write_parse(struct scatter *sc, struct msgbuf *out, const struct multi_text *t)
{
	int n = t->params == NULL ? sc->n_params : t->n_params;

	msg_begin(out, 'P');
	msg_str(out, "");
	msg_slice_str(out, t->sql);
	msg_int16(out, (int16_t)n);
	for (int i = 0; i < n; i++) {
		int k = t->params == NULL ? i : t->params[i] - 1;

		msg_int32(out, (int32_t)sc->oids[k]);
	}
	msg_end(out);
}

void
scatter_send(struct scatter *sc, struct branch *b, const struct multi_text *t,
    const int16_t *formats, int n_formats)
{
	struct msgbuf out;

	msgbuf_init(&out);
	write_parse(sc, &out, t);
	write_bind(sc, &out, t, formats, n_formats);
	msg_begin(&out, 'D');
	msg_byte(&out, 'P');
	msg_str(&out, "");
	msg_end(&out);
	if (!sc->only_describe) {
		msg_begin(&out, 'E');
		msg_str(&out, "");
		msg_int32(&out, sc->fetch);
		msg_end(&out);
	}
	msg_begin(&out, 'S');
	msg_end(&out);
	stream_write(&b->server->stream, out.data, out.len);
	msgbuf_fini(&out);
	sc->busy++;
}

/* ---- the end ---- */

/* Outside a transaction the servers go back; one that the session keeps becomes the current one again. */
static void
leave_servers(struct scatter *sc)
{
	struct session *s = sc->session;
	struct exec *x = s->x;

	if (x->begin != NULL)
		return;
	while (!list_empty(&x->branches)) {
		struct branch *b = LIST_ENTRY(x->branches.next, struct branch, node);

		if (!sc->aside.active && b->state == BRANCH_REST &&
		    link_of(b->server)->tx_status == 'I' && session_is_home(s, b)) {
			branch_take(b);
			x->firm = x->wrote = x->locked = false;
		} else {
			branch_release(b);
		}
	}
}

static void
go_on(struct session *s)
{
	if (s->state == SESSION_ACTIVE && s->x != NULL)
		session_run(s);
}

void
scatter_report(struct scatter *sc)
{
	struct session *s = sc->session;
	struct exec *x = s->x;

	if (sc->own_block) {
		scatter_end_block(sc, false);
		return;
	}
	x->scatter = NULL;
	leave_servers(sc);
	bring_back(sc);
	x->blocked = BLOCK_NOT;
	x->resume = NULL;
	session_error(s, &sc->error);
	scatter_destroy(sc);
	go_on(s);
}

static void
count_time(const struct scatter *sc)
{
	struct session *s = sc->session;
	uint64_t took = loop_now_us(s->w->loop) - s->x->started_us;

	for (int i = 0; i < sc->n_shards; i++)
		if (sc->shards[i].backend != NULL)
			backend_query_took(
			    sc->shards[i].backend, s->w->index, PLAN_MULTI, took);
}

void
scatter_finish(struct scatter *sc, const char *tag)
{
	struct session *s = sc->session;
	struct exec *x = s->x;
	bool extended = sc->extended;
	struct msgbuf *out = &x->out;

	sc->phase = SCATTER_OVER;
	count_time(sc);
	x->scatter = NULL;
	leave_servers(sc);
	bring_back(sc);
	x->blocked = BLOCK_NOT;
	x->resume = NULL;
	msgbuf_clear(out);
	if (sc->cut) {
		msg_begin(out, 's');
		msg_end(out);
	} else if (tag != NULL) {
		msg_command_complete(out, tag);
	}
	if (!extended)
		msg_ready(out, s->tx);
	session_reply(s, out);
	scatter_destroy(sc);
	if (!extended)
		session_cycle_done(s);
	go_on(s);
}

void
scatter_rested(struct scatter *sc, struct branch *b)
{
	if (b->state == BRANCH_LOST) {
		for (int i = 0; i < sc->n_shards; i++)
			if (sc->shards[i].branch == b)
				sc->shards[i].branch = NULL;
		if (sc->session->x->begin != NULL)
			sc->session->x->doomed = true;
		if (sc->final == b)
			sc->final = NULL;
		branch_release(b);
	}
	if (--sc->busy == 0 && sc->phase == SCATTER_FAILING)
		sc->at_rest(sc);
}

/* A cancel may reach its server late. In a transaction of the client's the server is used again at once, so there an error lets the
 * others come to their own end; only the client's own wish, or a time limit, cancels them. */
static void
cancel_busy(struct scatter *sc)
{
	bool cancels =
	    sc->asked_to_stop || sc->own_block || sc->session->x->begin == NULL;

	for (int i = 0; i < sc->n_shards; i++) {
		struct branch *b = sc->shards[i].branch;

		if (b == NULL || b->state != BRANCH_BUSY)
			continue;
		if (cancels)
			pool_cancel_query(b->server);
		b->paused = false; /* branch_resume() below, when all are told */
	}
}

/* The last of them that comes to rest ends it all. */
static void
resume_all(struct scatter *sc)
{
	scatter_hold(sc);
	for (int i = 0; sc->phase == SCATTER_FAILING && i < sc->n_shards; i++)
		if (sc->shards[i].branch != NULL &&
		    sc->shards[i].branch->state == BRANCH_BUSY)
			branch_resume(sc->shards[i].branch);
	scatter_let_go(sc);
}

void
scatter_fail(struct scatter *sc, const struct err *e)
{
	if (sc->replaying && sc->session->server == NULL) { /* that server is gone, too */
		sc->replaying = false;
		if (--sc->busy == 0)
			sc->at_rest(sc);
		return;
	}
	if (sc->phase == SCATTER_FAILING || sc->phase == SCATTER_OVER)
		return;
	sc->error = *e;
	if (e->raw.ptr != NULL) {
		sc->error_body = malloc(e->raw.len);
		if (sc->error_body == NULL)
			abort();
		memcpy(sc->error_body, e->raw.ptr, e->raw.len);
		sc->error.raw.ptr = sc->error_body;
	}
	if (sc->phase == SCATTER_SERVERS)
		stop_taking(sc);
	sc->phase = SCATTER_FAILING;
	if (sc->at_rest == NULL)
		sc->at_rest = scatter_report;
	scatter_tables_failing(sc);
	cancel_busy(sc);
	if (sc->busy == 0)
		sc->at_rest(sc);
	else
		resume_all(sc);
}

void
scatter_server_error(struct scatter *sc, struct branch *b, struct slice body)
{
	struct slice state = msg_error_field(body, 'C');
	struct err e;

	(void)err_set(&e, "XX000", BLAST_TXN, "shard %s: %.*s",
	    sc->session->db->cluster->shards[b->shard].name,
	    (int)msg_error_field(body, 'M').len, msg_error_field(body, 'M').ptr);
	if (state.len == 5)
		memcpy(e.sqlstate, state.ptr, 5);
	e.raw = body;
	scatter_fail(sc, &e);
}

/* A branch at rest was lost. */
void
scatter_lost(struct scatter *sc, struct branch *b)
{
	struct err e;

	(void)branch_failed(b, &e);
	if (sc->aside.active && scatter_branch(sc, b->shard) != b)
		sc->session->x->doomed = true; /* the transaction's that waits */
	sc->busy++;
	scatter_fail(sc, &e);
	scatter_rested(sc, b);
}

void
scatter_cancel(struct session *s, const char *why)
{
	struct err e;

	s->x->scatter->asked_to_stop = true;
	(void)err_set(&e, "57014", BLAST_TXN, "canceling statement due to %s", why);
	scatter_fail(s->x->scatter, &e);
}

void
scatter_give_up(struct scatter *sc)
{
	struct session *s = sc->session;
	void (*then)(struct scatter *) = sc->at_rest;

	if (sc->replaying) {
		session_drop_server(s, false);
		scatter_fail(sc, &sc->error);
		return;
	}
	scatter_hold(sc);
	for (int i = 0; sc->busy > 0 && sc->at_rest == then && i < sc->n_shards; i++)
		if (sc->shards[i].branch != NULL &&
		    sc->shards[i].branch->state == BRANCH_BUSY)
			branch_abandon(sc->shards[i].branch);
	scatter_let_go(sc);
}

void
scatter_client_drained(struct session *s)
{
	struct scatter *sc = s->x->scatter;

	if (sc->phase != SCATTER_RUNNING)
		return;
	if (sc->multi.kind == MULTI_INTERMEDIATE)
		scatter_tables_drained(sc);
	else
		scatter_rows_drained(sc);
}

void
scatter_describe(struct session *s, struct scatter *of)
{
	struct scatter *sc = scatter_create(s);
	struct multi_fragment *f = ARENA_NEW(&sc->arena, struct multi_fragment);
	int shard =
	    takes_part(&of->multi, 0) || of->multi.n_fragments == 0 ? 0 : SHARD_NONE;

	for (int i = 0; shard == SHARD_NONE && i < s->db->cluster->n_shards; i++)
		if (takes_part(&of->multi, i))
			shard = i;
	shard = shard == SHARD_NONE ? 0 : shard;
	f->query.sql =
	    (struct slice){arena_dup(&sc->arena, of->client.sql.ptr, of->client.sql.len),
		of->client.sql.len};
	f->shards[shard / 64] = 1ull << (shard % 64);
	sc->multi =
	    (struct multi){.kind = MULTI_CONCAT, .fragments = f, .n_fragments = 1};
	sc->multi.merge.limit = -1;
	sc->params = copy_params(&sc->arena, of->params, of->n_params);
	sc->n_params = of->n_params;
	sc->oids =
	    arena_dup(&sc->arena, of->oids, sizeof of->oids[0] * (size_t)of->n_params);
	sc->formats = arena_dup(
	    &sc->arena, of->formats, sizeof of->formats[0] * (size_t)of->n_formats);
	sc->n_formats = of->n_formats;
	sc->read_only = of->read_only;
	sc->extended = sc->only_describe = true;
	scatter_run(s, sc);
}
