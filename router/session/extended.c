/* The extended protocol. Parse, Describe and Close of statements wait (`pending`) until Bind, Flush or Sync says which server they are
 * for; Bind chooses it by its parameters. From the first message that was sent up to Sync everything goes to that server. */
#include "router/session/extended.h"

#include <stdlib.h>

void
ext_fail(struct session *s, struct err *e)
{
	session_error(s, e);
}

void
ext_bad_message(struct session *s, const char *what)
{
	struct err e;

	(void)err_set(&e, "08P01", BLAST_STMT, "invalid %s message", what);
	ext_fail(s, &e);
}

/* ---- Parse ---- */

static void
use_unnamed(struct session *s, struct prepared *p)
{
	prepared_unref(s->unnamed);
	s->unnamed = prepared_ref(p);
}

static struct varset *
parse_settings(const struct session *s)
{
	return s->vars == NULL ? NULL : s->vars->parse_set;
}

/* Changes with every DDL: what is prepared after one is another statement than what was prepared before it, whose rows may have another
 * shape. */
static uint64_t
ddl_count(const struct session *s)
{
	const struct cluster *c = s->db->cluster;

	return atomic_load_explicit(&c->schema_wanted, memory_order_relaxed) +
	    atomic_load_explicit(&c->schema_gen, memory_order_relaxed);
}

struct prepared *
session_prepare(struct session *s, struct slice text, const uint32_t *oids, int n_oids,
    struct slice sql_types, bool by_sql)
{
	struct prepared_key key = {.text = text,
	    .oids = oids,
	    .n_oids = n_oids,
	    .sql_types = sql_types,
	    .by_sql = by_sql,
	    .parse_set = parse_settings(s),
	    .ddl = ddl_count(s)};

	session_env(s, &key.env);
	return prepared_get(s->w->prepared, &key);
}

static uint32_t *
read_oids(struct session *s, struct msgread *r, int *n)
{
	uint32_t *oids;

	*n = read_int16(r);
	if (*n < 0 || (size_t)*n * 4 > read_left(r)) {
		r->bad = true;
		*n = 0;
		return NULL;
	}
	oids = ARENA_NEW_N(&s->x->arena, uint32_t, *n);
	for (int i = 0; i < *n; i++)
		oids[i] = (uint32_t)read_int32(r);
	return oids;
}

enum rc
ext_failed_transaction(struct session *s, struct prepared *p, struct err *e)
{
	if (!s->x->tx_failed || effects_ends_failed(p->shape->stmts))
		return RC_OK;
	return err_set(e, "25P02", BLAST_STMT,
	    "current transaction is aborted, commands ignored until end of transaction block");
}

/* On a sharded database what cannot be read cannot be routed; PostgreSQL says so at Parse. */
static bool
unreadable(struct session *s, struct prepared *p, struct err *e)
{
	struct sql_stmts *stmts = p->shape->stmts;

	if (s->admin || session_one_shard(s) || s->shard_setting != SHARD_NONE)
		return false;
	if (stmts == NULL)
		*e = *p->shape->err;
	else if (stmts->n == 1 && stmts->v[0].kind == STMT_UNREADABLE)
		*e = stmts->err;
	else
		return false;
	return true;
}

static void
parse_message(struct session *s)
{
	struct msgread r = msgread_of(s->x->msg.body);
	struct slice name = read_str(&r), text = read_str(&r);
	struct prepared *p;
	uint32_t *oids;
	struct err e;
	int n;

	oids = read_oids(s, &r, &n);
	if (r.bad || read_left(&r) != 0) {
		ext_bad_message(s, "Parse");
		return;
	}
	atomic_fetch_add_explicit(&s->db->stats->client_parses, 1, memory_order_relaxed);
	if (name.len > 0 && names_get(s->names, name) != NULL) {
		(void)err_set(&e, "42P05", BLAST_STMT,
		    "prepared statement \"%.*s\" already exists", (int)name.len,
		    name.ptr);
		ext_fail(s, &e);
		return;
	}
	p = session_prepare(s, text, oids, n, (struct slice){NULL, 0}, false);
	if (unreadable(s, p, &e)) {
		prepared_unref(p);
		ext_fail(s, &e);
		return;
	}
	if (ext_failed_transaction(s, p, &e) != RC_OK ||
	    sqlprep_parse(s, &p, &e) != RC_OK) {
		prepared_unref(p);
		ext_fail(s, &e);
		return;
	}
	if (name.len == 0)
		use_unnamed(s, p);
	else
		names_put(&s->names, name, prepared_ref(p));
	ext_pend(s, 'P', p, name, name.len > 0);
}

struct prepared *
ext_find_statement(struct session *s, struct slice name, struct err *e)
{
	struct prepared *p = name.len == 0 ? s->unnamed : names_get(s->names, name);

	if (p == NULL && name.len == 0)
		(void)err_set(
		    e, "26000", BLAST_STMT, "unnamed prepared statement does not exist");
	else if (p == NULL)
		(void)err_set(e, "26000", BLAST_STMT,
		    "prepared statement \"%.*s\" does not exist", (int)name.len,
		    name.ptr);
	return p;
}

/* ---- Describe, Execute, Close ---- */

static void
no_portal(struct session *s, struct slice name)
{
	struct err e;

	(void)err_set(&e, "34000", BLAST_STMT, "portal \"%.*s\" does not exist",
	    (int)name.len, name.ptr);
	ext_fail(s, &e);
}

static void
describe_message(struct session *s)
{
	struct exec *x = s->x;
	struct msgread r = msgread_of(x->msg.body);
	char what = (char)read_byte(&r);
	struct slice name = read_str(&r);
	struct prepared *p;
	struct portal *portal;
	struct err e;

	if (r.bad || read_left(&r) != 0 || (what != 'S' && what != 'P')) {
		ext_bad_message(s, "Describe");
		return;
	}
	if (what == 'S') {
		p = ext_find_statement(s, name, &e);
		if (p == NULL || ext_failed_transaction(s, p, &e) != RC_OK)
			ext_fail(s, &e);
		else
			ext_pend(s, 'D', prepared_ref(p), name, false);
		return;
	}
	portal = ext_portal_find(x, name);
	if (portal != NULL && portal->local) {
		msgbuf_clear(&x->out);
		ext_describe_here(s, portal->prepared, &x->out);
		session_reply(s, &x->out);
	} else if (s->server == NULL) {
		no_portal(s, name);
	} else {
		extended_flush_pending(s);
		ext_forward(s);
		x->unsynced = true;
		link_push(link_of(s->server), REPLY_DESCRIBE_PORTAL);
	}
}

static enum rc
run_here(struct session *s, struct portal *portal, struct err *e)
{
	struct exec *x = s->x;
	enum rc rc;

	if (!s->admin && portal->prepared->shape->stmts->v[0].kind == STMT_PREPARE) {
		effects_apply(s, &portal->prepared->shape->stmts->v[0],
		    portal->prepared->below, SLICE_LIT("PREPARE"));
		msg_command_complete(&x->out, "PREPARE");
		return RC_OK;
	}
	if (!s->admin)
		return local_statement(s, portal->prepared->shape->stmts, 0, &x->out, e);
	rc = s->w->proc->admin->command(s, portal->prepared->text, false, &x->out, e);
	if (rc == RC_AGAIN)
		session_block(s, BLOCK_ADMIN);
	return rc;
}

static void
execute_here(struct session *s, struct portal *portal)
{
	struct exec *x = s->x;
	struct sql_stmts *stmts = portal->prepared->shape->stmts;
	struct err e;

	msgbuf_clear(&x->out);
	if (stmts != NULL && stmts->n == 0) {
		msg_begin(&x->out, 'I');
		msg_end(&x->out);
	} else if (!portal->done && run_here(s, portal, &e) == RC_ERR) {
		ext_fail(s, &e);
		return;
	}
	portal->done = true;
	if (s->state == SESSION_ACTIVE && x->blocked == BLOCK_NOT)
		session_reply(s, &x->out);
}

static void
execute_message(struct session *s)
{
	struct exec *x = s->x;
	struct msgread r = msgread_of(x->msg.body);
	struct slice name = read_str(&r);
	struct portal *portal = ext_portal_find(x, name);
	struct reply *reply;

	(void)read_int32(&r);
	if (r.bad || read_left(&r) != 0) {
		ext_bad_message(s, "Execute");
		return;
	}
	if (portal != NULL && portal->local) {
		execute_here(s, portal);
		return;
	}
	if (s->server == NULL) {
		no_portal(s, name);
		return;
	}
	extended_flush_pending(s);
	ext_forward(s);
	x->unsynced = true;
	reply = link_push(link_of(s->server), REPLY_EXECUTE);
	if (portal != NULL)
		reply->prepared = prepared_ref(portal->prepared);
}

static void
close_message(struct session *s)
{
	struct exec *x = s->x;
	struct msgread r = msgread_of(x->msg.body);
	char what = (char)read_byte(&r);
	struct slice name = read_str(&r);
	struct prepared *old;

	if (r.bad || read_left(&r) != 0 || (what != 'S' && what != 'P')) {
		ext_bad_message(s, "Close");
		return;
	}
	if (what == 'S') {
		if (name.len == 0) {
			old = s->unnamed;
			s->unnamed = NULL;
		} else {
			old = names_put(&s->names, name, NULL);
		}
		ext_pend(s, 'C', old, name, old != NULL && name.len > 0);
		return;
	}
	if (s->server == NULL ||
	    (ext_portal_find(x, name) != NULL && ext_portal_find(x, name)->local)) {
		ext_portal_drop(ext_portal_find(x, name));
		extended_settle_pending(s);
		ext_reply_empty(s, '3');
		return;
	}
	ext_portal_drop(ext_portal_find(x, name));
	extended_flush_pending(s);
	ext_forward(s);
	x->unsynced = true;
	link_push(link_of(s->server), REPLY_CLOSE);
}

/* ---- Flush and Sync ---- */

/* A statement that only Parse and Describe speak of: any server that has its tables. */
static bool
plan_pending(struct session *s)
{
	struct exec *x = s->x;
	struct plan_ctx ctx;
	struct err e;

	for (int i = 0; i < x->n_pending; i++) {
		struct prepared *p = x->pending[i].prepared;

		if (x->pending[i].type == 'C' || p->shape->stmts == NULL)
			continue;
		session_plan_ctx(s, &ctx);
		ctx.consts = &p->consts;
		ctx.param_oids = p->oids;
		ctx.n_oids = p->n_oids;
		if (p->shape->stmts->n == 1 &&
		    session_plan(s, p->shape, 0, &ctx, &x->plan, &e) == RC_OK &&
		    (x->plan.kind == PLAN_ONE || x->plan.kind == PLAN_ANY))
			return true;
		return session_plan(s, p->shape, -1, &ctx, &x->plan, &e) == RC_OK;
	}
	return false;
}

static bool
all_local(struct session *s)
{
	struct exec *x = s->x;

	for (int i = 0; i < x->n_pending; i++) {
		struct prepared *p = x->pending[i].prepared;

		if (x->pending[i].type == 'C')
			continue;
		if (!ext_answered_here(s, p))
			return false;
	}
	return true;
}

static void
flush_on_server(struct session *s)
{
	extended_flush_pending(s);
	ext_forward(s);
}

static void
flush_message(struct session *s)
{
	struct exec *x = s->x;

	if (s->server == NULL && x->n_pending > 0 && all_local(s))
		ext_answer_pending_here(s);
	else if (s->server == NULL && x->n_pending > 0 && plan_pending(s))
		ext_go_to_server(s, flush_on_server);
	else if (s->server != NULL)
		flush_on_server(s);
}

static void
rollback_refused(struct session *s)
{
	struct link *l = link_of(s->server);
	struct msgbuf *out = &s->x->out;

	msgbuf_clear(out);
	msg_query(out, "ROLLBACK");
	stream_write(&s->server->stream, out->data, out->len);
	link_push(l, REPLY_QUERY)->swallow = true;
}

static void
sync_on_server(struct session *s)
{
	struct exec *x = s->x;

	if (x->discard && x->refused && x->unsynced && !x->tx_failed)
		rollback_refused(s);
	else if (!x->discard)
		extended_flush_pending(s);
	x->discard = false;
	x->refused = false;
	x->unsynced = false;
	ext_forward(s);
	link_push(link_of(s->server), REPLY_SYNC);
	session_block(s, BLOCK_REPLIES);
}

static void
sync_message(struct session *s)
{
	struct exec *x = s->x;

	if (s->server != NULL) {
		sync_on_server(s);
		return;
	}
	if (!x->discard && x->n_pending > 0 && !all_local(s) && plan_pending(s)) {
		ext_go_to_server(s, sync_on_server);
		return;
	}
	if (!x->discard)
		ext_answer_pending_here(s);
	x->discard = x->refused = false;
	msgbuf_clear(&x->out);
	msg_ready(&x->out, s->tx);
	session_reply(s, &x->out);
	session_cycle_done(s);
}

void
extended_message(struct session *s)
{
	arena_reset(
	    &s->x->arena); /* a pipeline may be long: nothing in it outlives its message */
	switch (s->x->msg.type) {
	case 'P':
		parse_message(s);
		break;
	case 'B':
		ext_bind_message(s);
		break;
	case 'D':
		describe_message(s);
		break;
	case 'E':
		execute_message(s);
		break;
	case 'C':
		close_message(s);
		break;
	case 'H':
		flush_message(s);
		break;
	case 'S':
		if (s->x->msg.body.len > 0) {
			s->x->msg.type = 'H'; /* PostgreSQL waits for a proper one */
			ext_bad_message(s, "Sync");
		} else {
			sync_message(s);
		}
		break;
	}
}
