/* The simple protocol: one Query message, one implicit transaction, one server. */
#include "router/session/scatter.h"

#include <stdlib.h>

static void plan_query(struct session *);

/* The message's text; false when it does not end with its zero. */
static bool
query_text(const struct read_msg *m, struct slice *sql)
{
	const char *end;

	*sql = m->body;
	if (sql->len == 0 || sql->ptr[sql->len - 1] != '\0')
		return false;
	end = memchr(sql->ptr, '\0', sql->len);
	sql->len = (size_t)(end - sql->ptr);
	return true;
}

static void
remember_shape(struct exec *x, struct shape *shape)
{
	shape_ref(shape);
	if (x->shape != NULL)
		shape_unref(x->shape);
	x->shape = shape;
}

/* Statements of one text go to one server: their plans are folded into one. */
static enum rc
fold(struct plan *all, const struct plan *one, struct err *e)
{
	bool read_only = all->read_only && one->read_only,
	     sharded = all->sharded || one->sharded;
	bool locks_only = !read_only && (all->read_only || all->locks_only) &&
	    (one->read_only || one->locks_only);

	if (all->kind == PLAN_ANY)
		*all = *one;
	else if (one->kind != PLAN_ANY &&
	    !(all->kind == one->kind && all->kind == PLAN_ONE &&
		all->shard == one->shard)) {
		(void)err_set(e, "0A000", BLAST_STMT,
		    "the statements of one query string belong to several shards");
		err_hint(e, "Send them one by one.");
		return RC_ERR;
	}
	all->read_only = read_only;
	all->locks_only = locks_only;
	all->sharded = sharded;
	return RC_OK;
}

static enum rc
plan_statements(struct session *s, const struct sql_consts *consts, struct err *e)
{
	struct exec *x = s->x;
	struct plan_ctx ctx;
	struct plan one;
	int n = x->shape->stmts == NULL ? 0 : x->shape->stmts->n;

	session_plan_ctx(s, &ctx);
	ctx.consts = consts;
	x->plan_text = (struct slice){NULL, 0};
	if (n == 1)
		(void)query_text(&x->msg, &x->plan_text);
	if (n == 0)
		return session_plan(s, x->shape, -1, &ctx, &x->plan, e);
	for (int i = 0; i < n; i++) {
		if (i + 1 < n && !session_one_shard(s) &&
		    path_changes(&x->shape->stmts->v[i])) {
			(void)err_set(e, "0A000", BLAST_STMT,
			    "a change of search_path with statements behind it in one query string");
			err_hint(e, "Send it by itself.");
			return RC_ERR;
		}
		if (session_plan(s, x->shape, i, &ctx, &one, e) != RC_OK)
			return RC_ERR;
		if (i == 0 || one.kind == PLAN_LOOKUP)
			x->plan = one;
		else if (fold(&x->plan, &one, e) != RC_OK)
			return RC_ERR;
		if (one.kind == PLAN_LOOKUP)
			break;
	}
	return RC_OK;
}

static void
send_query(struct session *s, uint64_t makes)
{
	struct exec *x = s->x;
	struct read_msg *m = &x->msg;
	struct stream *to = &s->server->stream;

	link_push(link_of(s->server), REPLY_QUERY)->prepared_id = makes;
	if (x->sql_text != NULL) {
		msgbuf_clear(&x->out);
		msg_query(&x->out, x->sql_text);
		stream_write(to, x->out.data, x->out.len);
	} else if (m->in_chunk) {
		stream_write_buf(to, x->chunk->buf,
		    (uint32_t)((const unsigned char *)m->raw.ptr - x->chunk->buf->data),
		    (uint32_t)m->raw.len);
	} else {
		stream_write(to, m->raw.ptr, m->raw.len);
	}
	x->unsynced = false; /* it ends the transaction of what came before it, too */
	session_sent(s, &x->plan, x->shape->stmts);
	session_block(s, BLOCK_REPLIES);
}

/* The server is there: what must be on it first, then the query. */
static void
on_server(struct session *s)
{
	struct msgbuf *out = &s->x->out;
	uint64_t makes;

	extended_flush_pending(s);
	if (sqlprep_ensure(s, &makes)) {
		send_query(s, makes);
		return;
	}
	effects_apply(
	    s, &s->x->shape->stmts->v[0], s->x->sql_prepared, SLICE_LIT("PREPARE"));
	msgbuf_clear(out);
	msg_command_complete(out, "PREPARE");
	msg_ready(out, s->tx);
	session_reply(s, out);
	session_cycle_done(s);
}

/* Extended messages that still wait are answered first. */
static void
answer_behind_pending(struct session *s, struct msgbuf *out)
{
	char *bytes;
	size_t len = out->len;

	if (s->x->n_pending == 0)
		return;
	bytes = malloc(len);
	if (bytes == NULL)
		abort();
	memcpy(bytes, out->data, len);
	extended_settle_pending(s);
	msgbuf_clear(out);
	msg_bytes(out, bytes, len);
	free(bytes);
}

/* RESET and DISCARD ALL go back to what the start-up packet set, which the server does not know: it is brought there by the same replay as any
 * server, and the answer is ours. */
static void
settled(struct session *s)
{
	struct msgbuf *out = &s->x->out;

	msgbuf_clear(out);
	msg_command_complete(out, s->x->tag);
	msg_ready(out, s->tx);
	session_reply(s, out);
	session_cycle_done(s);
}

static bool
goes_back(struct session *s)
{
	const struct sql_stmts *stmts = s->x->shape->stmts;
	const struct sql_stmt *stmt =
	    stmts == NULL || stmts->n != 1 ? NULL : &stmts->v[0];

	if (stmt == NULL || s->tx == 'E' || s->admin)
		return false;
	if (stmt->kind == STMT_RESET)
		return varset_get(s->start_vars, stmt->name) != NULL;
	if (stmt->kind == STMT_RESET_ALL)
		return s->start_vars != NULL;
	return stmt->kind == STMT_DISCARD_ALL && s->server == NULL && s->tx == 'I' &&
	    s->vars != s->start_vars;
}

static void
go_back(struct session *s)
{
	struct exec *x = s->x;
	const struct sql_stmt *stmt = &x->shape->stmts->v[0];
	struct server *server = s->server;
	struct err e;
	enum rc rc;

	x->tag = stmt->kind == STMT_DISCARD_ALL ? "DISCARD ALL" : "RESET";
	s->server =
	    NULL; /* so that only the session's side changes; the replay brings the server along */
	effects_apply(s, stmt, NULL, slice_of(x->tag));
	s->server = server;
	x->plan = (struct plan){.kind = PLAN_ANY, .shard = session_any_shard(s)};
	x->resume = settled;
	rc = server != NULL ? session_replay(s)
			    : session_need_server(s, &x->plan, settled, &e);
	if (rc == RC_OK) {
		x->resume = NULL;
		settled(s);
	} else if (rc == RC_ERR) {
		session_error(s, &e);
	}
}

/* One statement that Weir answers itself. */
static bool
answered_here(struct session *s)
{
	struct sql_stmts *stmts = s->x->shape->stmts;
	struct msgbuf *out = &s->x->out;
	struct err e;

	if (stmts == NULL || stmts->n > 1)
		return false;
	msgbuf_clear(out);
	if (stmts->n == 0) {
		msg_begin(out, 'I');
		msg_end(out);
	} else {
		switch (local_statement(s, stmts, 0, out, &e)) {
		case RC_AGAIN:
			return false;
		case RC_ERR:
			session_error(s, &e);
			return true;
		case RC_OK:
			break;
		}
		if (s->state != SESSION_ACTIVE || s->x->blocked != BLOCK_NOT)
			return true;
	}
	answer_behind_pending(s, out);
	msg_ready(out, s->tx);
	session_reply(s, out);
	session_cycle_done(s);
	return true;
}

enum rc
session_refuse_failed(struct session *s, struct err *e)
{
	if (s->x->lost !=
	    NULL) { /* said once, then it is an aborted transaction like any other */
		*e = *s->x->lost;
		free(s->x->lost);
		s->x->lost = NULL;
		return RC_ERR;
	}
	return err_set(e, "25P02", BLAST_STMT,
	    "current transaction is aborted, commands ignored until end of transaction block");
}

/* What PostgreSQL would not read is its own to complain of. */
static bool
readable(const struct sql_stmts *stmts)
{
	for (int i = 0; stmts != NULL && i < stmts->n; i++)
		if (stmts->v[i].kind == STMT_UNREADABLE)
			return false;
	return stmts != NULL;
}

/* The transaction has failed, and its server does not know: what would commit it there is replaced. */
static void
commit_is_rollback(struct session *s, struct slice sql)
{
	struct exec *x = s->x;
	const struct sql_stmt *stmt = &x->shape->stmts->v[0];
	size_t rest;

	if (stmt->kind != STMT_COMMIT && stmt->kind != STMT_PREPARE_XACT)
		return;
	rest = sqlprep_behind_first(s, sql);
	x->sql_text = arena_printf(&x->arena, "ROLLBACK%s%.*s",
	    stmt->chain ? " AND CHAIN" : "", (int)(sql.len - rest), sql.ptr + rest);
}

static enum rc
prepare_query(
    struct session *s, struct slice sql, struct sql_consts *consts, struct err *e)
{
	struct exec *x = s->x;

	if (sqlprep_rewrite(s, sql, e) != RC_OK)
		return RC_ERR;
	if (x->tx_failed && !x->doomed) /* else local.c ends it */
		commit_is_rollback(s, sql);
	return plan_statements(s, consts, e);
}

/* What Weir itself answers. */
static bool
is_own(struct session *s)
{
	struct sql_stmts *stmts = s->x->shape->stmts;

	return goes_back(s) ||
	    (stmts != NULL && stmts->n == 1 &&
		(stmts->v[0].kind == STMT_PREPARE || local_is(s, stmts, 0)));
}

/* A query string may be a transaction of its own; it may not leave one open. */
static bool
leaves_open(const struct sql_stmts *stmts)
{
	bool open = false;

	for (int i = 0; stmts != NULL && i < stmts->n; i++) {
		const struct sql_stmt *stmt = &stmts->v[i];

		if (stmt->kind == STMT_BEGIN)
			open = true;
		else if (stmt->kind == STMT_COMMIT || stmt->kind == STMT_ROLLBACK)
			open = stmt->chain;
		else if (stmt->kind == STMT_PREPARE_XACT)
			open = false;
	}
	return open;
}

/* Can this be done at all? */
static enum rc
may_run(struct session *s, struct err *e)
{
	struct exec *x = s->x;

	if (session_statement_mode(s) && s->tx == 'I' && leaves_open(x->shape->stmts))
		return session_refuse_block(e);
	if (s->tx == 'E' && !effects_ends_failed(s, x->shape->stmts) &&
	    (x->tx_failed || readable(x->shape->stmts)))
		return session_refuse_failed(s, e);
	if (!x->unsynced || !is_own(s))
		return RC_OK;
	(void)err_set(e, "0A000", BLAST_TXN,
	    "%s by Query behind extended messages without Sync",
	    stmt_kind_name(x->shape->stmts->v[0].kind));
	err_hint(e, "Send Sync before it.");
	return RC_ERR;
}

/* Everything is known of it but its server. */
static void
run_planned(struct session *s)
{
	struct exec *x = s->x;
	struct err e;

	if (x->plan.kind == PLAN_LOOKUP) {
		lookup_start(s, plan_query);
		return;
	}
	if (x->plan.kind == PLAN_MULTI) {
		scatter_run(s, scatter_planned(s));
		return;
	}
	if (x->plan.kind == PLAN_ALL && !x->unsynced) {
		ddl_start(s);
		return;
	}
	if (x->plan.kind == PLAN_ALL) {
		(void)err_set(&e, "0A000", BLAST_TXN,
		    "a statement for all shards behind extended messages without Sync");
		err_hint(&e, "Send Sync before it.");
		session_error(s, &e);
		return;
	}
	switch (session_need_server(s, &x->plan, on_server, &e)) {
	case RC_OK:
		on_server(s);
		break;
	case RC_AGAIN:
		break;
	case RC_ERR:
		session_error(s, &e);
		break;
	}
}

/* Plans the query in x->msg and finds its server. Runs again after a look-up. */
static void
plan_query(struct session *s)
{
	struct exec *x = s->x;
	struct sql_consts consts;
	struct slice sql;
	struct err e;

	(void)query_text(&x->msg, &sql);
	remember_shape(x, session_shape(s, sql, &consts));
	if (may_run(s, &e) != RC_OK)
		session_error(s, &e);
	else if (goes_back(s))
		go_back(s);
	else if (!x->unsynced && answered_here(s))
		return;
	else if (prepare_query(s, sql, &consts, &e) != RC_OK)
		session_error(s, &e);
	else
		run_planned(s);
}

void
simple_query(struct session *s)
{
	struct slice sql;
	struct err e;

	if (!query_text(&s->x->msg, &sql)) {
		(void)err_set(&e, "08P01", BLAST_SESSION, "invalid string in message");
		session_fatal(s, &e);
		return;
	}
	if (s->x->unsynced || s->x->n_pending > 0)
		redo_give_up(s->x); /* what was unnamed is not kept */
	prepared_unref(s->unnamed); /* as PostgreSQL does */
	s->unnamed = NULL;
	plan_query(s);
}
