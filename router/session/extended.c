/* The extended protocol. Parse, Describe and Close of statements wait (`pending`) until Bind, Flush or Sync says which server they are
 * for; Bind chooses it by its parameters. From the first message that was sent up to Sync everything goes to that server. */
#include "router/session/extended.h"
#include "router/session/scatter.h"

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

	return atomic_load_explicit(&c->ddl, memory_order_relaxed) +
	    atomic_load_explicit(&c->schema_gen, memory_order_relaxed);
}

struct prepared *
session_prepare_again(struct session *s, const struct prepared *p)
{
	return session_prepare(s, p->text, p->oids, p->n_oids, p->sql_types, p->by_sql);
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

	*n = (uint16_t)read_int16(r);
	if ((size_t)*n * 4 > read_left(r)) {
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
	return !s->x->tx_failed || effects_ends_failed(s, p->shape->stmts)
	    ? RC_OK
	    : session_refuse_failed(s, e);
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

/* NULL: *e says why not. */
static struct prepared *
statement_of(
    struct session *s, struct slice text, const uint32_t *oids, int n_oids, struct err *e)
{
	struct prepared *p =
	    session_prepare(s, text, oids, n_oids, (struct slice){NULL, 0}, false);

	if (!unreadable(s, p, e) && ext_failed_transaction(s, p, e) == RC_OK &&
	    sqlprep_parse(s, &p, e) == RC_OK)
		return p;
	prepared_unref(p);
	return NULL;
}

static void
parse_message(struct session *s)
{
	struct msgread r = msgread_of(s->x->msg.body);
	struct slice name = read_str(&r), text = read_str(&r);
	struct prepared *p, *before = NULL;
	uint32_t *oids;
	struct err e;
	int n;

	oids = read_oids(s, &r, &n);
	if (r.bad || read_left(&r) != 0) {
		ext_bad_message(s, "Parse");
		return;
	}
	stat_add(&s->db->stats->client_parses, 1);
	if (name.len > 0 && names_get(s->names, name) != NULL) {
		(void)err_set(&e, "42P05", BLAST_STMT,
		    "prepared statement \"%.*s\" already exists", (int)name.len,
		    name.ptr);
		ext_fail(s, &e);
		return;
	}
	if (name.len == 0) /* it goes even if the new one is refused */
		before = ext_name(s, name, NULL);
	p = statement_of(s, text, oids, n, &e);
	if (p == NULL) {
		prepared_unref(before);
		ext_fail(s, &e);
		return;
	}
	(void)ext_name(s, name, prepared_ref(p));
	ext_pend(s, 'P', p, name, before);
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

/* The transaction has gone on to another shard since its Bind. */
static bool
is_elsewhere(struct session *s, const struct portal *portal)
{
	return portal != NULL && !portal->local && s->tx == 'T' &&
	    portal->shard != s->x->shard && branch_of_shard(s, portal->shard) != NULL;
}

static void
go_to_portal(
    struct session *s, const struct portal *portal, void (*then)(struct session *))
{
	s->x->plan =
	    (struct plan){.kind = PLAN_ONE, .shard = portal->shard, .sharded = true};
	ext_go_to_server(s, then);
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
	struct reply *reply;
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
			ext_pend(s, 'D', prepared_ref(p), name, NULL);
		return;
	}
	portal = ext_portal_find(x, name);
	if (portal != NULL && portal->scatter != NULL) {
		if (!session_await_answers(s))
			scatter_describe(s, portal->scatter);
	} else if (portal != NULL && portal->local) {
		msgbuf_clear(&x->out);
		ext_describe_here(s, portal->prepared, &x->out);
		session_reply(s, &x->out);
	} else if (is_elsewhere(s, portal)) {
		go_to_portal(s, portal, describe_message);
	} else if (s->server == NULL) {
		no_portal(s, name);
	} else {
		extended_flush_pending(s);
		ext_forward(s);
		x->unsynced = true;
		reply = link_push(link_of(s->server), REPLY_DESCRIBE_PORTAL);
		if (portal != NULL)
			reply->prepared = prepared_ref(portal->prepared);
	}
}

static enum rc
prepare_here(struct session *s, struct prepared *p, struct err *e)
{
	const struct sql_stmt *stmt = &p->shape->stmts->v[0];

	if (names_get(s->names, slice_of(stmt->name)) != NULL)
		return err_set(e, "42P05", BLAST_STMT,
		    "prepared statement \"%s\" already exists", stmt->name);
	effects_apply(s, stmt, p->below, SLICE_LIT("PREPARE"));
	msg_command_complete(&s->x->out, "PREPARE");
	return RC_OK;
}

static enum rc
run_here(struct session *s, struct portal *portal, struct err *e)
{
	struct exec *x = s->x;
	struct sql_stmts *stmts = portal->prepared->shape->stmts;
	enum rc rc;

	redo_give_up(x);
	if (portal->limited) {
		(void)err_set(e, "0A000", BLAST_TXN,
		    "the rest of the rows of portal \"%.*s\", whose statement runs on several shards",
		    (int)portal->name.len, portal->name.ptr);
		err_hint(e, "Let one Execute ask for all rows.");
		return RC_ERR;
	}
	if (portal->done)
		return err_set(e, "55000", BLAST_STMT, "portal \"%.*s\" cannot be run",
		    (int)portal->name.len, portal->name.ptr);
	if (s->admin) {
		rc = s->w->proc->admin->command(
		    s, portal->prepared->text, false, &x->out, e);
		if (rc == RC_AGAIN)
			session_block(s, BLOCK_ADMIN);
		return rc;
	}
	if (s->tx == 'E' && !effects_ends_failed(s, stmts))
		return session_refuse_failed(s, e);
	if (stmts->v[0].kind == STMT_PREPARE)
		return prepare_here(s, portal->prepared, e);
	return local_statement(s, stmts, 0, &x->out, e);
}

static bool
is_empty(const struct portal *portal)
{
	return portal->prepared->shape->stmts != NULL &&
	    portal->prepared->shape->stmts->n == 0;
}

static void
execute_here(struct session *s, struct portal *portal)
{
	struct exec *x = s->x;
	struct err e;

	msgbuf_clear(&x->out);
	if (is_empty(portal)) {
		msg_begin(&x->out, 'I');
		msg_end(&x->out);
	} else if (run_here(s, portal, &e) == RC_ERR) {
		ext_fail(s, &e);
		return;
	} else if (x->blocked == BLOCK_NOT ||
	    x->blocked == BLOCK_ADMIN) { /* else it is looked at again */
		portal->done = true;
	}
	if (s->state == SESSION_ACTIVE && x->blocked == BLOCK_NOT)
		session_reply(s, &x->out);
}

static void
execute_on_server(struct session *s, struct portal *portal)
{
	struct reply *reply;

	extended_flush_pending(s);
	ext_forward(s);
	s->x->unsynced = true;
	reply = link_push(link_of(s->server), REPLY_EXECUTE);
	if (portal == NULL)
		return;
	reply->prepared = prepared_ref(portal->prepared);
	if (temps_may_change(s, portal->prepared->shape->stmts) ||
	    path_may_change(s, portal->prepared->shape->stmts))
		s->x->names_change = true;
}

static struct portal *
executed_portal(struct session *s)
{
	struct msgread r = msgread_of(s->x->msg.body);

	return ext_portal_find(s->x, read_str(&r));
}

static void
execute_bound_late(struct session *s)
{
	struct portal *portal = executed_portal(s);

	ext_bind_late(s, portal);
	execute_on_server(s, portal);
}

static void
execute_scatter(struct session *s, struct portal *portal, int32_t max_rows)
{
	struct scatter *sc = portal->scatter;
	struct err e;

	if (ext_failed_transaction(s, portal->prepared, &e) != RC_OK) {
		ext_fail(s, &e);
		return;
	}
	portal->scatter = NULL;
	portal->done = true;
	sc->max_rows = max_rows > 0 ? max_rows : 0;
	portal->limited = max_rows > 0;
	scatter_run(s, sc);
}

static void
execute_message(struct session *s)
{
	struct exec *x = s->x;
	struct msgread r = msgread_of(x->msg.body);
	struct slice name = read_str(&r);
	struct portal *portal = ext_portal_find(x, name);
	int32_t max_rows = read_int32(&r);
	struct err e;

	if (r.bad || read_left(&r) != 0) {
		ext_bad_message(s, "Execute");
		return;
	}
	if (portal != NULL && portal->local && !is_empty(portal) &&
	    session_await_answers(s))
		return;
	if (portal != NULL && portal->scatter != NULL)
		execute_scatter(s, portal, max_rows);
	else if (portal != NULL && portal->local && !portal->done &&
	    !ext_answered_here(s, portal->prepared))
		ext_plan_late(s, portal, execute_bound_late);
	else if (portal != NULL && portal->local)
		execute_here(s, portal);
	else if (is_elsewhere(s, portal))
		go_to_portal(s, portal, execute_message);
	else if (s->server == NULL || (x->tx_failed && portal == NULL))
		no_portal(s, name);
	else if (portal != NULL &&
	    ext_failed_transaction(s, portal->prepared, &e) != RC_OK)
		ext_fail(s, &e);
	else
		execute_on_server(s, portal);
}

static void
close_message(struct session *s)
{
	struct exec *x = s->x;
	struct msgread r = msgread_of(x->msg.body);
	char what = (char)read_byte(&r);
	struct slice name = read_str(&r);
	struct portal *portal;
	bool here;

	if (r.bad || read_left(&r) != 0 || (what != 'S' && what != 'P')) {
		ext_bad_message(s, "Close");
		return;
	}
	if (what == 'S') {
		ext_pend(s, 'C', NULL, name, ext_name(s, name, NULL));
		return;
	}
	portal = ext_portal_find(x, name);
	if (is_elsewhere(s, portal)) {
		go_to_portal(s, portal, close_message);
		return;
	}
	here = s->server == NULL || (portal != NULL && portal->local);
	ext_portal_drop(portal);
	if (here) {
		ext_pend(s, 'c', NULL, name, NULL);
		return;
	}
	extended_flush_pending(s);
	ext_forward(s);
	x->unsynced = true;
	link_push(link_of(s->server), REPLY_CLOSE);
}

/* ---- Flush and Sync ---- */

/* A statement that only Parse and Describe speak of: any server that has its tables. */
static void
plan_pending(struct session *s)
{
	struct exec *x = s->x;
	struct plan_ctx ctx;
	struct err e;

	x->plan_text = (struct slice){NULL, 0}; /* nothing of it is carried out */
	for (int i = 0; i < x->n_pending; i++) {
		struct prepared *p = x->pending[i].prepared;

		if (p == NULL || p->shape->stmts == NULL)
			continue;
		session_plan_ctx(s, &ctx);
		ctx.consts = &p->consts;
		ctx.param_oids = p->oids;
		ctx.n_oids = p->n_oids;
		if (p->shape->stmts->n == 1 &&
		    session_plan(s, p->shape, 0, &ctx, &x->plan, &e) == RC_OK &&
		    (x->plan.kind == PLAN_ONE || x->plan.kind == PLAN_ANY))
			return;
		if (session_plan(s, p->shape, -1, &ctx, &x->plan, &e) == RC_OK)
			return;
	}
	x->plan = (struct plan){.kind = PLAN_ANY, .shard = session_any_shard(s)};
}

void
ext_pending_to_server(struct session *s, void (*then)(struct session *))
{
	plan_pending(s);
	if (s->x->msg.type != 'S') /* what comes behind it might write */
		s->x->plan.read_only = false;
	ext_go_to_server(s, then);
}

bool
ext_pending_is_local(struct session *s)
{
	struct exec *x = s->x;

	for (int i = 0; i < x->n_pending; i++) {
		struct prepared *p = x->pending[i].prepared;

		if (p != NULL && !ext_answered_here(s, p))
			return false;
	}
	return true;
}

static void
flush_on_server(struct session *s)
{
	extended_flush_pending(s);
	ext_forward(s);
	session_send_local(s);
}

bool
ext_pending_describes(const struct session *s)
{
	for (int i = 0; i < s->x->n_pending; i++)
		if (s->x->pending[i].type == 'D')
			return true;
	return false;
}

static void
flush_message(struct session *s)
{
	if (s->server != NULL)
		flush_on_server(s);
	else if (ext_pending_is_local(s))
		ext_answer_pending_here(s);
	else
		ext_pending_to_server(s, flush_on_server);
}

/* Weir refused a message behind others that the server has taken. So that it does not commit those, it is made to fail too: no statement
 * has this name there. */
static void
fail_on_server(struct session *s)
{
	struct msgbuf *out = &s->x->out;

	msgbuf_clear(out);
	msg_begin(out, 'D');
	msg_byte(out, 'S');
	msg_str(out, "weir_refused");
	msg_end(out);
	stream_write(&s->server->stream, out->data, out->len);
	link_push(link_of(s->server), REPLY_REFUSED);
}

void
extended_end_refused(struct session *s)
{
	struct exec *x = s->x;

	if (!x->tx_failed)
		fail_on_server(s);
	x->unsynced = false;
	msgbuf_clear(&x->out);
	msg_begin(&x->out, 'S');
	msg_end(&x->out);
	stream_write(&s->server->stream, x->out.data, x->out.len);
	link_push(link_of(s->server), REPLY_SYNC);
	session_block(s, BLOCK_REPLIES);
}

static void
sync_on_server(struct session *s)
{
	struct exec *x = s->x;

	if (x->discard && x->refused && x->unsynced && !x->tx_failed)
		fail_on_server(s);
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
	if (!x->discard && !ext_pending_is_local(s)) {
		ext_pending_to_server(s, sync_on_server);
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
