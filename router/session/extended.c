/* The extended protocol. Parse, Describe and Close of statements wait (`pending`) until Bind, Flush or Sync says which server they are
 * for; Bind chooses it by its parameters. From the first message that was sent up to Sync everything goes to that server. */
#include "router/session/session.h"

#include <stdlib.h>

/* ---- small replies of our own ---- */

static void
reply_empty(struct session *s, char type)
{
	struct msgbuf *out = &s->x->out;

	msgbuf_clear(out);
	msg_begin(out, type);
	msg_end(out);
	session_reply(s, out);
}

static void
fail(struct session *s, struct err *e)
{
	session_error(s, e);
}

static void
bad_message(struct session *s, const char *what)
{
	struct err e;

	(void)err_set(&e, "08P01", BLAST_STMT, "invalid %s message", what);
	fail(s, &e);
}

static void
forward(struct session *s)
{
	struct exec *x = s->x;
	struct read_msg *m = &x->msg;

	if (m->in_chunk)
		stream_write_buf(&s->server->stream, x->chunk->buf,
		    (uint32_t)((const unsigned char *)m->raw.ptr - x->chunk->buf->data),
		    (uint32_t)m->raw.len);
	else
		stream_write(&s->server->stream, m->raw.ptr, m->raw.len);
}

/* ---- statements on the server ---- */

static void
write_parse(struct session *s, struct prepared *p, const char *name)
{
	struct msgbuf *out = &s->x->out;

	msgbuf_clear(out);
	msg_begin(out, 'P');
	msg_str(out, name);
	msg_slice_str(out, p->text);
	msg_int16(out, (int16_t)p->n_oids);
	for (int i = 0; i < p->n_oids; i++)
		msg_int32(out, (int32_t)p->oids[i]);
	msg_end(out);
	stream_write(&s->server->stream, out->data, out->len);
	atomic_fetch_add_explicit(&s->db->stats->server_parses, 1, memory_order_relaxed);
}

static void
close_evicted(struct session *s, uint64_t id)
{
	struct msgbuf *out = &s->x->out;
	char name[PREPARED_NAME_MAX];
	struct reply *r;

	if (id == 0)
		return;
	prepared_name(id, name);
	msgbuf_clear(out);
	msg_begin(out, 'C');
	msg_byte(out, 'S');
	msg_str(out, name);
	msg_end(out);
	stream_write(&s->server->stream, out->data, out->len);
	r = link_push(link_of(s->server), REPLY_CLOSE);
	r->swallow = true;
}

static uint32_t
max_statements(const struct session *s)
{
	int n = s->db->cluster->conf->settings.max_prepared_statements;

	return n < 1 ? 1 : (uint32_t)n;
}

static bool
on_server_already(struct session *s, struct prepared *p, bool unnamed)
{
	struct link *l = link_of(s->server);

	return unnamed ? l->unnamed_id == p->id : link_holds(l, p->id);
}

/* Sends Parse and notes its reply. */
static struct reply *
parse_on_server(struct session *s, struct prepared *p, bool unnamed)
{
	struct link *l = link_of(s->server);
	char name[PREPARED_NAME_MAX] = "";
	uint64_t evicted = 0;
	struct reply *r;

	if (unnamed) {
		l->unnamed_id = p->id;
	} else {
		link_hold(l, p->id, max_statements(s), &evicted);
		prepared_name(p->id, name);
	}
	close_evicted(s, evicted);
	write_parse(s, p, name);
	r = link_push(l, REPLY_PARSE);
	r->prepared_id = p->id;
	return r;
}

static void
ensure_on_server(struct session *s, struct prepared *p, bool unnamed)
{
	if (p->below != NULL) /* EXECUTE: what it runs */
		ensure_on_server(s, p->below, false);
	if (on_server_already(s, p, unnamed))
		return;
	if (p->by_sql)
		sqlprep_inject(s, p);
	else
		parse_on_server(s, p, unnamed)->swallow = true;
}

/* ---- pending messages ---- */

static void
pend(struct session *s, char type, struct prepared *p, struct slice name, bool undo)
{
	struct exec *x = s->x;
	struct pending *v;

	if (x->n_pending == x->cap_pending) {
		x->cap_pending = x->cap_pending == 0 ? 4 : x->cap_pending * 2;
		x->pending =
		    realloc(x->pending, sizeof *x->pending * (size_t)x->cap_pending);
		if (x->pending == NULL)
			abort();
	}
	v = &x->pending[x->n_pending++];
	*v = (struct pending){.type = type,
	    .undo = undo,
	    .prepared = p,
	    .name = strndup(name.ptr == NULL ? "" : name.ptr, name.len)};
}

static void
pending_free(struct pending *v)
{
	prepared_unref(v->prepared);
	free(v->name);
}

static void
describe_on_server(struct session *s, struct prepared *p, bool unnamed)
{
	struct msgbuf *out = &s->x->out;
	char name[PREPARED_NAME_MAX] = "";

	ensure_on_server(s, p, unnamed);
	if (!unnamed)
		prepared_name(p->id, name);
	msgbuf_clear(out);
	msg_begin(out, 'D');
	msg_byte(out, 'S');
	msg_str(out, name);
	msg_end(out);
	stream_write(&s->server->stream, out->data, out->len);
	link_push(link_of(s->server), REPLY_DESCRIBE_STATEMENT);
}

static void
flush_one(struct session *s, struct pending *v)
{
	bool unnamed = v->name[0] == '\0';
	struct reply *r;

	if (v->type == 'D') {
		describe_on_server(s, v->prepared, unnamed);
	} else if (v->type == 'C' || on_server_already(s, v->prepared, unnamed)) {
		reply_empty(s, v->type == 'C' ? '3' : '1');
		r = link_tail(link_of(s->server));
		if (r == NULL || !v->undo)
			return;
	} else {
		if (v->prepared->below != NULL)
			ensure_on_server(s, v->prepared->below, false);
		r = parse_on_server(s, v->prepared, unnamed);
	}
	if (v->type == 'D' || !v->undo)
		return;
	r = link_tail(link_of(s->server));
	r->undo_parse = v->type == 'P';
	r->undo_close = v->type == 'C';
	free(r->undo_name);
	r->undo_name = v->name;
	v->name = NULL;
	r->prepared = v->type == 'C' ? v->prepared : NULL;
	if (v->type == 'C')
		v->prepared = NULL;
}

void
extended_flush_pending(struct session *s)
{
	struct exec *x = s->x;

	for (int i = 0; i < x->n_pending; i++) {
		flush_one(s, &x->pending[i]);
		pending_free(&x->pending[i]);
	}
	if (x->n_pending > 0)
		x->unsynced = true;
	x->n_pending = 0;
}

static void
describe_here(struct session *s, struct prepared *p, struct msgbuf *out)
{
	struct sql_stmts *stmts = p->shape->stmts;

	if (s->admin)
		s->w->proc->admin->describe(s, p->text, out);
	else
		local_describe(
		    s, stmts == NULL || stmts->n == 0 ? NULL : &stmts->v[0], out);
}

/* Without a server: what can be said of them is said here. */
static void
answer_pending_here(struct session *s)
{
	struct exec *x = s->x;
	struct msgbuf *out = &x->out;

	for (int i = 0; i < x->n_pending; i++) {
		struct pending *v = &x->pending[i];

		if (v->type == 'D') {
			msgbuf_clear(out);
			msg_begin(out, 't');
			msg_int16(out, 0);
			msg_end(out);
			describe_here(s, v->prepared, out);
			session_reply(s, out);
		} else {
			reply_empty(s, v->type == 'C' ? '3' : '1');
		}
		pending_free(v);
	}
	x->n_pending = 0;
}

/* An error of Weir's own comes behind the answers to what stood before it. */
void
extended_settle_pending(struct session *s)
{
	struct exec *x = s->x;

	if (s->server != NULL && x->n_pending > 0) {
		extended_flush_pending(s);
		return;
	}
	for (int i = 0; i < x->n_pending; i++) {
		if (x->pending[i].type != 'D')
			reply_empty(s, x->pending[i].type == 'C' ? '3' : '1');
		pending_free(&x->pending[i]);
	}
	x->n_pending = 0;
}

void
extended_drop_pending(struct session *s)
{
	struct exec *x = s->x;

	while (x->n_pending > 0) {
		struct pending *v = &x->pending[--x->n_pending];

		if (v->type == 'P' && v->name[0] != '\0')
			prepared_unref(names_put(&s->names, slice_of(v->name), NULL));
		if (v->type == 'C' && v->undo) {
			prepared_unref(
			    names_put(&s->names, slice_of(v->name), v->prepared));
			v->prepared = NULL;
		}
		pending_free(v);
	}
}

/* Takes back what a discarded message did to the client's names. */
void
extended_undo(struct session *s, struct reply *r)
{
	if (r->type == REPLY_PARSE && r->prepared_id != 0) {
		struct link *l = link_of(s->server);

		if (l->unnamed_id == r->prepared_id)
			l->unnamed_id = 0;
		link_drop(l, r->prepared_id);
	}
	if (r->undo_parse) {
		prepared_unref(names_put(&s->names, slice_of(r->undo_name), NULL));
		r->undo_parse = false;
	}
	if (r->undo_close) {
		prepared_unref(names_put(&s->names, slice_of(r->undo_name), r->prepared));
		r->prepared = NULL;
		r->undo_close = false;
	}
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

static enum rc
failed_transaction(struct session *s, struct prepared *p, struct err *e)
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
		bad_message(s, "Parse");
		return;
	}
	atomic_fetch_add_explicit(&s->db->stats->client_parses, 1, memory_order_relaxed);
	if (name.len > 0 && names_get(s->names, name) != NULL) {
		(void)err_set(&e, "42P05", BLAST_STMT,
		    "prepared statement \"%.*s\" already exists", (int)name.len,
		    name.ptr);
		fail(s, &e);
		return;
	}
	p = session_prepare(s, text, oids, n, (struct slice){NULL, 0}, false);
	if (unreadable(s, p, &e)) {
		prepared_unref(p);
		fail(s, &e);
		return;
	}
	if (failed_transaction(s, p, &e) != RC_OK || sqlprep_parse(s, &p, &e) != RC_OK) {
		prepared_unref(p);
		fail(s, &e);
		return;
	}
	if (name.len == 0)
		use_unnamed(s, p);
	else
		names_put(&s->names, name, prepared_ref(p));
	pend(s, 'P', p, name, name.len > 0);
}

static struct prepared *
find_statement(struct session *s, struct slice name, struct err *e)
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

/* ---- portals ---- */

static struct portal *
portal_find(struct exec *x, struct slice name)
{
	LIST_FOREACH(it, &x->portals) {
		struct portal *p = LIST_ENTRY(it, struct portal, node);

		if (slice_eq(p->name, name))
			return p;
	}
	return NULL;
}

static void
portal_drop(struct portal *p)
{
	if (p == NULL)
		return;
	list_remove(&p->node);
	prepared_unref(p->prepared);
	free(p);
}

static void
portal_make(struct exec *x, struct slice name, struct prepared *prepared, bool local)
{
	struct portal *p = malloc(sizeof *p + name.len);

	if (p == NULL)
		abort();
	portal_drop(portal_find(x, name));
	memcpy(p + 1, name.ptr, name.len);
	*p = (struct portal){.prepared = prepared_ref(prepared),
	    .local = local,
	    .name = {(char *)(p + 1), name.len}};
	list_init(&p->node);
	list_push_front(&x->portals, &p->node);
}

void
extended_reset(struct session *s)
{
	struct exec *x = s->x;

	while (!list_empty(&x->portals))
		portal_drop(LIST_ENTRY(x->portals.next, struct portal, node));
	for (int i = 0; i < x->n_pending; i++)
		pending_free(&x->pending[i]);
	x->n_pending = 0;
}

/* ---- Bind ---- */

struct bind {
	struct slice portal, statement, rest; /* rest: from the format codes on */
};

static bool
read_formats(struct msgread *r, int16_t **formats, int *n, struct arena *a)
{
	*n = read_int16(r);
	if (*n < 0 || (size_t)*n * 2 > read_left(r))
		return false;
	*formats = ARENA_NEW_N(a, int16_t, *n);
	for (int i = 0; i < *n; i++)
		(*formats)[i] = read_int16(r);
	return true;
}

static bool
read_params(struct session *s, struct msgread *r)
{
	struct exec *x = s->x;
	int16_t *formats;
	int n_formats;

	if (!read_formats(r, &formats, &n_formats, &x->arena))
		return false;
	x->n_params = (uint16_t)read_int16(r);
	if ((size_t)x->n_params * 4 > read_left(r))
		return false;
	x->params = ARENA_NEW_N(&x->arena, struct plan_param, x->n_params);
	for (int i = 0; i < x->n_params; i++) {
		struct plan_param *p = &x->params[i];
		struct slice value;

		p->len = read_int32(r);
		if (p->len < -1)
			return false;
		value =
		    p->len < 0 ? (struct slice){NULL, 0} : read_bytes(r, (size_t)p->len);
		p->ptr = value.ptr;
		p->format = n_formats == 0 ? 0
		    : n_formats == 1       ? formats[0]
		    : i < n_formats        ? formats[i]
					   : 0;
	}
	return !r->bad;
}

static bool
read_bind(struct session *s, struct bind *b)
{
	struct msgread r = msgread_of(s->x->msg.body);

	b->portal = read_str(&r);
	b->statement = read_str(&r);
	b->rest = (struct slice){r.at, read_left(&r)};
	return !r.bad && read_params(s, &r);
}

static void
bind_on_server(struct session *s)
{
	struct exec *x = s->x;
	struct msgbuf *out = &x->out;
	char name[PREPARED_NAME_MAX];
	struct bind b;
	bool unnamed;

	(void)read_bind(s, &b);
	extended_flush_pending(s);
	unnamed = b.statement.len == 0 && !x->prepared->by_sql;
	ensure_on_server(s, x->prepared, unnamed);
	if (unnamed) {
		forward(s);
	} else {
		prepared_name(x->prepared->id, name);
		msgbuf_clear(out);
		msg_begin(out, 'B');
		msg_slice_str(out, b.portal);
		msg_str(out, name);
		msg_bytes(out, b.rest.ptr, b.rest.len);
		msg_end(out);
		stream_write(&s->server->stream, out->data, out->len);
	}
	link_push(link_of(s->server), REPLY_BIND);
	portal_make(x, b.portal, x->prepared, false);
	x->unsynced = true;
	session_sent(s, &x->plan, x->prepared->shape->stmts);
}

void
extended_bind_big(struct session *s, struct slice portal, struct slice statement,
    uint32_t more, struct slice first)
{
	static const struct plan write = {.kind = PLAN_ANY};
	struct exec *x = s->x;
	struct msgbuf *out = &x->out;
	char name[PREPARED_NAME_MAX] = "";
	bool unnamed = statement.len == 0 && !x->prepared->by_sql;
	uint32_t len;

	extended_flush_pending(s);
	ensure_on_server(s, x->prepared, unnamed);
	if (!unnamed)
		prepared_name(x->prepared->id, name);
	len = (uint32_t)(4 + portal.len + 1 + strlen(name) + 1) + more;
	msgbuf_clear(out);
	msg_byte(out, 'B');
	msg_int32(out, (int32_t)len);
	msg_slice_str(out, portal);
	msg_str(out, name);
	msg_bytes(out, first.ptr, first.len);
	stream_write(&s->server->stream, out->data, out->len);
	link_push(link_of(s->server), REPLY_BIND);
	portal_make(x, portal, x->prepared, false);
	x->unsynced = true;
	session_sent(s, &write, x->prepared->shape->stmts);
}

static void
go_to_server(struct session *s, void (*then)(struct session *))
{
	struct err e;

	switch (session_need_server(s, &s->x->plan, then, &e)) {
	case RC_OK:
		then(s);
		break;
	case RC_AGAIN:
		break;
	case RC_ERR:
		fail(s, &e);
		break;
	}
}

/* Only what stands between this Bind and a Sync that is already here may go to a replica: behind it might come a write. */
static bool
sync_in_sight(const struct session *s)
{
	const unsigned char *at = s->reader.chunk;
	size_t left = s->reader.chunk_len;

	while (left >= 5) {
		size_t len = 1 +
		    ((size_t)at[1] << 24 | (size_t)at[2] << 16 | (size_t)at[3] << 8 |
			at[4]);

		if (at[0] == 'S')
			return true;
		if (len < 5 || len > left ||
		    (at[0] != 'D' && at[0] != 'E' && at[0] != 'C' && at[0] != 'H'))
			return false;
		at += len;
		left -= len;
	}
	return false;
}

static enum rc
plan_bind(struct session *s, struct err *e)
{
	struct exec *x = s->x;
	struct prepared *p = x->prepared;
	struct plan_ctx ctx;

	sqlprep_forget(x);
	if (p->below != NULL)
		x->sql_prepared = prepared_ref(p->below);

	session_plan_ctx(s, &ctx);
	ctx.consts = &p->consts;
	ctx.params = x->params;
	ctx.n_params = x->n_params;
	ctx.param_oids = p->oids;
	ctx.n_oids = p->n_oids;
	if (session_plan(s, p->shape,
		p->shape->stmts == NULL || p->shape->stmts->n == 0 ? -1 : 0, &ctx,
		&x->plan, e) != RC_OK)
		return RC_ERR;
	if (x->plan.kind == PLAN_ALL) {
		(void)err_set(e, "0A000", BLAST_STMT,
		    "this statement runs on all shards, which the extended protocol cannot do yet");
		err_hint(e, "Send it by the simple protocol, without parameters.");
		return RC_ERR;
	}
	if (x->plan.read_only && !sync_in_sight(s))
		x->plan.read_only = false;
	return RC_OK;
}

static void
bind_plan(struct session *s)
{
	struct exec *x = s->x;
	struct err e;

	if (plan_bind(s, &e) != RC_OK)
		fail(s, &e);
	else if (x->plan.kind == PLAN_LOOKUP)
		lookup_start(s, bind_plan);
	else
		go_to_server(s, bind_on_server);
}

static bool
answered_here(struct session *s, struct prepared *p)
{
	struct sql_stmts *stmts = p->shape->stmts;

	return s->admin ||
	    (stmts != NULL && stmts->n <= 1 &&
		(stmts->n == 0 || stmts->v[0].kind == STMT_PREPARE ||
		    local_is(s, stmts, 0)));
}

static void
bind_message(struct session *s)
{
	struct exec *x = s->x;
	struct sql_stmts *stmts;
	struct bind b;
	struct err e;

	if (!read_bind(s, &b)) {
		bad_message(s, "Bind");
		return;
	}
	atomic_fetch_add_explicit(&s->db->stats->binds, 1, memory_order_relaxed);
	x->prepared = find_statement(s, b.statement, &e);
	if (x->prepared == NULL || failed_transaction(s, x->prepared, &e) != RC_OK) {
		fail(s, &e);
		return;
	}
	stmts = x->prepared->shape->stmts;
	if (x->tx_failed && s->server != NULL && stmts != NULL &&
	    stmts->v[0].kind == STMT_COMMIT) {
		prepared_unref(x->rollback);
		x->rollback = session_prepare(
		    s, SLICE_LIT("ROLLBACK"), NULL, 0, (struct slice){NULL, 0}, false);
		x->prepared = x->rollback;
	}
	if (answered_here(s, x->prepared)) {
		if (s->server == NULL)
			answer_pending_here(s);
		else
			extended_flush_pending(s);
		portal_make(x, b.portal, x->prepared, true);
		reply_empty(s, '2');
		return;
	}
	bind_plan(s);
}

/* ---- Describe, Execute, Close ---- */

static void
no_portal(struct session *s, struct slice name)
{
	struct err e;

	(void)err_set(&e, "34000", BLAST_STMT, "portal \"%.*s\" does not exist",
	    (int)name.len, name.ptr);
	fail(s, &e);
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
		bad_message(s, "Describe");
		return;
	}
	if (what == 'S') {
		p = find_statement(s, name, &e);
		if (p == NULL || failed_transaction(s, p, &e) != RC_OK)
			fail(s, &e);
		else
			pend(s, 'D', prepared_ref(p), name, false);
		return;
	}
	portal = portal_find(x, name);
	if (portal != NULL && portal->local) {
		msgbuf_clear(&x->out);
		describe_here(s, portal->prepared, &x->out);
		session_reply(s, &x->out);
	} else if (s->server == NULL) {
		no_portal(s, name);
	} else {
		extended_flush_pending(s);
		forward(s);
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
		fail(s, &e);
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
	struct portal *portal = portal_find(x, name);
	struct reply *reply;

	(void)read_int32(&r);
	if (r.bad || read_left(&r) != 0) {
		bad_message(s, "Execute");
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
	forward(s);
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
		bad_message(s, "Close");
		return;
	}
	if (what == 'S') {
		if (name.len == 0) {
			old = s->unnamed;
			s->unnamed = NULL;
		} else {
			old = names_put(&s->names, name, NULL);
		}
		pend(s, 'C', old, name, old != NULL && name.len > 0);
		return;
	}
	if (s->server == NULL ||
	    (portal_find(x, name) != NULL && portal_find(x, name)->local)) {
		portal_drop(portal_find(x, name));
		extended_settle_pending(s);
		reply_empty(s, '3');
		return;
	}
	portal_drop(portal_find(x, name));
	extended_flush_pending(s);
	forward(s);
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
		if (!answered_here(s, p))
			return false;
	}
	return true;
}

static void
flush_on_server(struct session *s)
{
	extended_flush_pending(s);
	forward(s);
}

static void
flush_message(struct session *s)
{
	struct exec *x = s->x;

	if (s->server == NULL && x->n_pending > 0 && all_local(s))
		answer_pending_here(s);
	else if (s->server == NULL && x->n_pending > 0 && plan_pending(s))
		go_to_server(s, flush_on_server);
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
	forward(s);
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
		go_to_server(s, sync_on_server);
		return;
	}
	if (!x->discard)
		answer_pending_here(s);
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
		bind_message(s);
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
			bad_message(s, "Sync");
		} else {
			sync_message(s);
		}
		break;
	}
}
