/* Bind: it has the parameters, so it chooses the server. Portals are remembered by name, for what Execute runs. */
#include "router/session/extended.h"
#include "router/session/scatter.h"

#include <stdlib.h>

/* ---- portals ---- */

struct portal *
ext_portal_find(struct exec *x, struct slice name)
{
	LIST_FOREACH(it, &x->portals) {
		struct portal *p = LIST_ENTRY(it, struct portal, node);

		if (slice_eq(p->name, name))
			return p;
	}
	return NULL;
}

void
ext_portal_drop(struct portal *p)
{
	if (p == NULL)
		return;
	list_remove(&p->node);
	prepared_unref(p->prepared);
	scatter_destroy(p->scatter);
	free(p);
}

static struct portal *
portal_make(struct exec *x, struct slice name, struct prepared *prepared, bool local)
{
	struct portal *p = malloc(sizeof *p + name.len);

	if (p == NULL)
		abort();
	ext_portal_drop(ext_portal_find(x, name));
	memcpy(p + 1, name.ptr, name.len);
	*p = (struct portal){.prepared = prepared_ref(prepared),
	    .local = local,
	    .shard = local ? SHARD_NONE : x->shard,
	    .name = {(char *)(p + 1), name.len}};
	list_init(&p->node);
	list_push_front(&x->portals, &p->node);
	return p;
}

void
extended_reset(struct session *s)
{
	struct exec *x = s->x;

	while (!list_empty(&x->portals))
		ext_portal_drop(LIST_ENTRY(x->portals.next, struct portal, node));
	for (int i = 0; i < x->n_pending; i++)
		ext_pending_free(&x->pending[i]);
	x->n_pending = 0;
}

/* ---- Bind ---- */

struct bind {
	struct slice portal, statement, rest; /* rest: from the format codes on */
};

static bool
read_formats(struct msgread *r, int16_t **formats, int *n, struct arena *a)
{
	*n = (uint16_t)read_int16(r);
	if ((size_t)*n * 2 > read_left(r))
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

static void bind_now(struct session *s);

/* Of the statement by Weir's name for it; rest: from the format codes on. */
static void
write_bind(
    struct session *s, struct slice portal, const struct prepared *p, struct slice rest)
{
	struct msgbuf *out = &s->x->out;
	char name[PREPARED_NAME_MAX];

	prepared_name(p->id, name);
	msgbuf_clear(out);
	msg_begin(out, 'B');
	msg_slice_str(out, portal);
	msg_str(out, name);
	msg_bytes(out, rest.ptr, rest.len);
	msg_end(out);
	stream_write(&s->server->stream, out->data, out->len);
}

/* They stand behind the parameters, which read_bind() has found sound. */
static void
read_result_formats(struct scatter *sc, struct slice rest)
{
	struct msgread r = msgread_of(rest);
	int16_t *formats;
	int n;

	(void)read_formats(&r, &formats, &n, &sc->arena);
	n = (uint16_t)read_int16(&r);
	for (int i = 0; i < n; i++) {
		int32_t len = read_int32(&r);

		if (len > 0)
			(void)read_bytes(&r, (size_t)len);
	}
	if (!read_formats(&r, &formats, &n, &sc->arena) || r.bad)
		n = 0;
	sc->formats = formats;
	sc->n_formats = n;
}

static void
bind_on_server(struct session *s)
{
	struct exec *x = s->x;
	struct bind b;
	bool unnamed;

	(void)read_bind(s, &b);
	extended_flush_pending(s);
	unnamed = b.statement.len == 0 && !x->prepared->by_sql;
	ext_ensure_on_server(s, x->prepared, unnamed);
	if (unnamed)
		ext_forward(s);
	else
		write_bind(s, b.portal, x->prepared, b.rest);
	link_push(link_of(s->server), REPLY_BIND)->prepared = prepared_ref(x->prepared);
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
	ext_ensure_on_server(s, x->prepared, unnamed);
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
	link_push(link_of(s->server), REPLY_BIND)->prepared = prepared_ref(x->prepared);
	portal_make(x, portal, x->prepared, false);
	x->unsynced = true;
	session_sent(s, &write, x->prepared->shape->stmts);
}

void
ext_go_to_server(struct session *s, void (*then)(struct session *))
{
	struct err e;

	switch (session_need_server(s, &s->x->plan, then, &e)) {
	case RC_OK:
		then(s);
		break;
	case RC_AGAIN:
		break;
	case RC_ERR:
		ext_fail(s, &e);
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
	x->plan_text = p->text;
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
	if (x->plan.read_only && !sync_in_sight(s)) {
		x->plan.read_only = false;
		x->plan.locks_only = true;
	}
	return RC_OK;
}

/* Were a Parse or Describe of the server's answered here, the answer would be a guess. A sharded database does without its servers' word on a
 * Parse: the first of them would be the transaction's. */
static bool
pending_needs_server(struct session *s)
{
	struct exec *x = s->x;

	if (s->server != NULL)
		return false;
	for (int i = 0; i < x->n_pending; i++) {
		struct pending *v = &x->pending[i];

		if ((v->type == 'D' || (v->type == 'P' && session_one_shard(s))) &&
		    !ext_answered_here(s, v->prepared))
			return true;
	}
	return false;
}

/* The portal keeps the plan until Execute; the servers hear nothing of it yet. */
static void
bind_multi(struct session *s)
{
	struct exec *x = s->x;
	struct scatter *sc;
	struct bind b;

	if (pending_needs_server(s)) {
		ext_pending_to_server(s, bind_now);
		return;
	}
	(void)read_bind(s, &b);
	if (s->server == NULL || (!x->unsynced && !ext_pending_describes(s)))
		ext_answer_pending_here(s);
	else
		extended_flush_pending(s);
	sc = scatter_planned(s);
	sc->extended = true;
	sc->describe = false;
	read_result_formats(sc, b.rest);
	portal_make(x, b.portal, x->prepared, true)->scatter = sc;
	ext_reply_empty(s, '2');
}

static void
bind_plan(struct session *s)
{
	struct exec *x = s->x;
	struct err e;

	if (plan_bind(s, &e) != RC_OK)
		ext_fail(s, &e);
	else if (x->plan.kind == PLAN_LOOKUP)
		lookup_start(s, bind_now);
	else if (x->plan.kind == PLAN_MULTI)
		bind_multi(s);
	else
		ext_go_to_server(s, bind_on_server);
}

bool
ext_answered_here(struct session *s, struct prepared *p)
{
	struct sql_stmts *stmts = p->shape->stmts;

	return s->admin ||
	    (stmts != NULL && stmts->n <= 1 &&
		(stmts->n == 0 || stmts->v[0].kind == STMT_PREPARE ||
		    local_is(s, stmts, 0)));
}

static void
bind_here(struct session *s, struct slice name)
{
	struct exec *x = s->x;
	struct sql_stmts *stmts = x->prepared->shape->stmts;
	struct err e;

	if (s->tx == 'E' && (stmts->n == 0 || !effects_ends_failed(s, stmts)) &&
	    session_refuse_failed(s, &e) != RC_OK) {
		ext_fail(s, &e);
		return;
	}
	if (s->server == NULL || (!x->unsynced && ext_pending_is_local(s)))
		ext_answer_pending_here(s);
	else
		extended_flush_pending(s);
	portal_make(x, name, x->prepared, true);
	ext_reply_empty(s, '2');
}

/* COMMIT of a transaction that Weir has failed. */
static void
commit_is_rollback(struct session *s)
{
	struct exec *x = s->x;
	struct sql_stmts *stmts = x->prepared->shape->stmts;

	if (!x->tx_failed || x->doomed || s->server == NULL || stmts == NULL ||
	    stmts->n == 0 ||
	    (stmts->v[0].kind != STMT_COMMIT && stmts->v[0].kind != STMT_PREPARE_XACT))
		return;
	prepared_unref(x->rollback);
	x->rollback = session_prepare(
	    s, SLICE_LIT("ROLLBACK"), NULL, 0, (struct slice){NULL, 0}, false);
	x->prepared = x->rollback;
}

/* Runs again when what it had to wait for is there. */
static void
bind_now(struct session *s)
{
	struct exec *x = s->x;
	struct bind b;
	struct err e;

	if (!read_bind(s, &b)) {
		ext_bad_message(s, "Bind");
		return;
	}
	x->prepared = ext_find_statement(s, b.statement, &e);
	if (x->prepared == NULL || ext_failed_transaction(s, x->prepared, &e) != RC_OK) {
		ext_fail(s, &e);
		return;
	}
	if (x->names_change && session_await_answers(s))
		return;
	x->names_change = false;
	commit_is_rollback(s);
	if (!ext_answered_here(s, x->prepared))
		bind_plan(s);
	else if (pending_needs_server(s))
		ext_pending_to_server(s, bind_now);
	else if (!session_await_answers(s))
		bind_here(s, b.portal);
}

void
ext_bind_message(struct session *s)
{
	stat_add(&s->db->stats->binds, 1);
	bind_now(s);
}

void
ext_bind_late(struct session *s, struct portal *portal)
{
	static const char no_formats_no_parameters[6];

	extended_flush_pending(s);
	ext_ensure_on_server(s, portal->prepared, false);
	write_bind(s, portal->name, portal->prepared,
	    (struct slice){no_formats_no_parameters, sizeof no_formats_no_parameters});
	link_push(link_of(s->server), REPLY_BIND)->swallow = true;
	portal->local = false;
	portal->shard = s->x->shard;
	session_sent(s, &s->x->plan, portal->prepared->shape->stmts);
}

void
ext_plan_late(struct session *s, struct portal *portal, void (*then)(struct session *))
{
	struct err e;

	s->x->prepared = portal->prepared;
	s->x->params = NULL;
	s->x->n_params = 0;
	if (plan_bind(s, &e) == RC_OK)
		ext_go_to_server(s, then);
	else
		ext_fail(s, &e);
}
