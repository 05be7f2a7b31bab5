/* Finds the server for a statement: plan -> shard -> primary or replica -> a connection of the pool -> settings applied.
 * Each step may have to wait; then the session is blocked and the step runs again when something changed. */
#include "router/session/scatter.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "router/route/map.h"

/* ---- planning ---- */

bool
session_one_shard(const struct session *s)
{
	return s->db->cluster->n_shards == 1;
}

void
session_env(const struct session *s, struct sql_env *env)
{
	*env = varset_known(s->params)->env;
}

struct shape *
session_shape(struct session *s, struct slice sql, struct sql_consts *consts)
{
	struct sql_env env;

	session_env(s, &env);
	return shape_get(s->w->shapes, sql, &env, consts);
}

void
session_plan_ctx(struct session *s, struct plan_ctx *ctx)
{
	const struct var_known *known = varset_known(s->params);

	memset(ctx, 0, sizeof *ctx);
	ctx->map = s->db->cluster->conf->map;
	ctx->schema = dbview_schema(s->db);
	ctx->search_path = session_search_path(s);
	ctx->user = s->identity->user;
	ctx->date_style = known->date_style;
	ctx->time_zone = known->time_zone;
	ctx->client_encoding = known->client_encoding;
	ctx->server_encoding = known->server_encoding;
	ctx->arena = &session_exec(s)->arena;
	ctx->temp_tables = temps_names(s->x->temps, ctx->arena);
}

int
session_any_shard(const struct session *s)
{
	const struct db_conf *conf = s->db->cluster->conf;

	return s->shard_setting != SHARD_NONE ? s->shard_setting
	    : conf->default_shard >= 0        ? conf->default_shard
					      : 0;
}

static int
hinted_shard(const struct session *s, const struct shape *shape)
{
	if (shape->stmts != NULL && shape->stmts->weir_shard != NULL)
		return shard_map_shard(
		    s->db->cluster->conf->map, shape->stmts->weir_shard);
	return s->shard_setting;
}

static void
obey_hints(struct session *s, const struct shape *shape, const struct sql_stmt *stmt,
    struct plan *plan)
{
	enum target target = s->target;

	if (shape->stmts != NULL && shape->stmts->weir_primary)
		target = TARGET_PRIMARY;
	if (shape->stmts != NULL && shape->stmts->weir_replica)
		target = TARGET_REPLICA;
	if (target == TARGET_PRIMARY) { /* where it runs; what it does stays a read */
		plan->locks_only = plan->locks_only || plan->read_only;
		plan->read_only = false;
	}
	if (target == TARGET_REPLICA && stmt != NULL && stmt->kind == STMT_SELECT &&
	    !stmt->locks_rows && !stmt->modifies)
		plan->read_only = true;
}

/* FETCH, MOVE and CLOSE belong where the cursor is. */
static void
go_to_cursor(const struct session *s, const struct sql_stmt *stmt, struct plan *plan)
{
	int shard;

	if (stmt == NULL || (stmt->kind != STMT_FETCH && stmt->kind != STMT_CLOSE) ||
	    stmt->name == NULL || s->tx != 'T' || plan->kind != PLAN_ANY)
		return;
	shard = effects_cursor_shard(s, stmt->name);
	if (shard == SHARD_NONE)
		return;
	plan->kind = PLAN_ONE;
	plan->shard = shard;
}

#define SERVER_RETRY_US 200000 /* between two tries of a server that is down */

static enum rc plan_execute(struct session *s, const struct sql_stmt *stmt,
    struct plan_ctx *ctx, struct plan *plan, struct err *e);

static bool
calls_nextval(const struct sql_stmts *stmts)
{
	for (int i = 0; i < stmts->n; i++)
		for (int k = 0; k < stmts->v[i].n_funcs; k++)
			if (strcmp(stmts->v[i].funcs[k].name, "nextval") == 0 ||
			    stmts->v[i].kind == STMT_INSERT)
				return true;
	return false;
}

/* currval() speaks of a nextval() of the same session; Weir's sessions keep a server for a transaction only. */
static enum rc
check_sequence(const struct session *s, const struct shape *shape,
    const struct sql_stmt *stmt, struct err *e)
{
	bool keeps = s->pins != 0 ||
	    (s->server != NULL && (s->x->firm || s->x->unsynced)) ||
	    CONFIG_VALUE(s->identity->conf, s->db->cluster->conf, pool_mode) ==
		POOL_MODE_SESSION;

	if (stmt == NULL || !stmt->uses_session_seq || keeps ||
	    calls_nextval(shape->stmts))
		return RC_OK;
	(void)err_set(e, "55000", BLAST_TXN,
	    "currval and lastval are not defined: no sequence was used in this transaction");
	err_hint(e,
	    "Call them in the transaction that called nextval, or use INSERT … RETURNING, or pool_mode = \"session\".");
	return RC_ERR;
}

enum rc
session_plan(struct session *s, struct shape *shape, int i, struct plan_ctx *ctx,
    struct plan *plan, struct err *e)
{
	int shard = hinted_shard(s, shape);
	const struct sql_stmt *stmt = i < 0 ? NULL : &shape->stmts->v[i];
	enum rc rc = RC_ERR;

	memset(plan, 0, sizeof *plan);
	if (check_sequence(s, shape, stmt, e) != RC_OK)
		return RC_ERR;
	if (stmt == NULL || stmt->kind == STMT_UNREADABLE)
		*plan = (struct plan){.kind = PLAN_ANY, .shard = session_any_shard(s)};
	else if ((stmt->kind == STMT_EXECUTE ||
		     (stmt->inner != NULL && stmt->inner->kind == STMT_EXECUTE)) &&
	    s->x->sql_prepared != NULL)
		rc = plan_execute(
		    s, stmt->kind == STMT_EXECUTE ? stmt : stmt->inner, ctx, plan, e);
	else
		rc = plan_run(shape, i, ctx, plan, e);
	if (stmt != NULL && stmt->kind == STMT_UNREADABLE && !session_one_shard(s) &&
	    shard == SHARD_NONE) {
		/* The default shard parses it; were it run there, the answer might be wrong. */
		*e = shape->stmts->err;
		return RC_ERR;
	}
	if (rc == RC_ERR && shard == SHARD_NONE && stmt != NULL &&
	    scatter_may_do(s, stmt, e))
		rc = scatter_plan(s, shape, i, ctx, plan, e);
	if (shard != SHARD_NONE) { /* the session knows better */
		bool read_only = rc == RC_OK && plan->read_only;

		*plan = (struct plan){.kind = PLAN_ONE,
		    .shard = shard,
		    .temp = plan->temp,
		    .read_only = read_only,
		    .sharded = true};
	} else if (rc == RC_ERR && stmt != NULL && stmt->kind != STMT_UNREADABLE) {
		return RC_ERR;
	}
	if (stmt != NULL && stmt->kind == STMT_BEGIN && !stmt->read_only) {
		plan->read_only = false; /* what follows in its transaction may write */
		plan->locks_only = true;
	}
	if (plan->kind == PLAN_ANY && plan->shard == SHARD_NONE)
		plan->shard = session_any_shard(s);
	if (plan->kind == PLAN_ALL && session_one_shard(s))
		*plan = (struct plan){.kind = PLAN_ONE, .shard = 0, .sharded = true};
	go_to_cursor(s, stmt, plan);
	obey_hints(s, shape, stmt, plan);
	if (plan->kind == PLAN_MULTI)
		s->x->planned->read_only = plan->read_only;
	return temps_place(s, stmt, plan, e);
}

/* EXECUTE name(…): the prepared statement's plan with these arguments as its parameters. */
static enum rc
plan_execute(struct session *s, const struct sql_stmt *stmt, struct plan_ctx *ctx,
    struct plan *plan, struct err *e)
{
	struct prepared *p = s->x->sql_prepared;
	struct plan_param *params =
	    ARENA_NEW_N(ctx->arena, struct plan_param, stmt->n_args + 1);
	struct plan_ctx inner = *ctx;

	for (int i = 0; i < stmt->n_args; i++) {
		const struct sql_value *v = &stmt->args[i];
		struct slice text = v->text;

		if (v->kind == VALUE_CONST &&
		    sql_const_decode(ctx->arena, &ctx->consts->v[v->index], &text, e) !=
			RC_OK)
			return RC_ERR;
		if (v->negated) {
			char *minus =
			    arena_printf(ctx->arena, "-%.*s", (int)text.len, text.ptr);

			text = slice_of(minus);
		}
		params[i] = (struct plan_param){
		    text.ptr, v->kind == VALUE_NULL ? -1 : (int32_t)text.len, 0};
		if (v->kind == VALUE_PARAM && ctx->params != NULL &&
		    (int)v->index <= ctx->n_params)
			params[i] = ctx->params[v->index - 1];
		else if ((v->kind == VALUE_UNKNOWN || v->kind == VALUE_PARAM) &&
		    !session_one_shard(s)) {
			err_set(e, "0A000", BLAST_STMT,
			    "EXECUTE with an argument that is not a constant or a parameter");
			err_hint(e, "Compute it in the application.");
			return RC_ERR;
		}
	}
	if (p->shape->stmts == NULL || p->shape->stmts->n != 1)
		return err_set(
		    e, "42601", BLAST_STMT, "a prepared statement is one statement");
	inner.consts = &p->consts;
	inner.params = params;
	inner.n_params = stmt->n_args;
	inner.param_oids = p->oids;
	inner.n_oids = p->n_oids;
	return plan_run(p->shape, 0, &inner, plan, e);
}

/* ---- waiting outside the pool's queue ---- */

void
session_unpark(struct session *s)
{
	struct exec *x = s->x;

	if (!list_empty(&x->parked))
		atomic_fetch_sub(&s->w->n_parked, 1);
	list_remove(&x->parked);
	timer_stop(&x->wait_timer);
}

void
session_park(struct session *s, enum block why, uint64_t timeout_us)
{
	struct exec *x = s->x;

	if (list_empty(&x->parked)) {
		list_push_back(&s->w->parked, &x->parked);
		atomic_fetch_add(&s->w->n_parked, 1);
		x->waited_since_us = loop_now_us(s->w->loop);
	}
	if (!timer_armed(&x->wait_timer))
		timer_start(s->w->loop, &x->wait_timer, timeout_us / 1000);
	session_block(s, why);
}

static void
try_again(struct session *s)
{
	struct exec *x = s->x;
	void (*resume)(struct session *) = x->resume;
	struct err e;

	x->blocked = BLOCK_NOT;
	switch (session_need_server(s, &x->plan, resume, &e)) {
	case RC_OK:
		session_unpark(s);
		x->resume = resume;
		session_unblock(s);
		break;
	case RC_AGAIN:
		break;
	case RC_ERR:
		session_unpark(s);
		x->resume = NULL;
		session_error(s, &e);
		session_run(s);
		break;
	}
}

void
session_health_changed(struct session *s)
{
	struct exec *x = s->x;

	if (x->blocked == BLOCK_PRIMARY || x->blocked == BLOCK_TOKEN)
		try_again(s);
	else if (x->blocked == BLOCK_LSN)
		session_unblock(s);
	else if (x->blocked == BLOCK_SCHEMA &&
	    (x->gave_up || !session_schema_behind(s))) {
		session_unpark(s);
		session_unblock(s);
	}
}

void
session_wait_timeout(struct timer *t)
{
	struct exec *x = LIST_ENTRY(t, struct exec, wait_timer);

	x->gave_up = x->blocked != BLOCK_PRIMARY;
	session_health_changed(x->session);
}

/* ---- primary or replica ---- */

static struct backend *
first_writable(struct cluster_shard *shard, struct backend *primary)
{
	return primary != NULL || shard->n > 1 ? primary : shard->backends[0];
}

static bool
wants_replica(
    const struct session *s, const struct plan *plan, const struct cluster_shard *shard)
{
	const struct exec *x = s->x;
	bool read_tx = x->begin != NULL && x->tx_read_only;

	if (shard->n < 2 || s->pins != 0 || x->primary_only ||
	    s->target == TARGET_PRIMARY)
		return false;
	if (s->target != TARGET_REPLICA &&
	    !CONFIG_VALUE(s->identity->conf, s->db->cluster->conf, split_reads))
		return false;
	if (x->begin != NULL)
		return read_tx && (plan->read_only || plan->kind == PLAN_ANY);
	return plan->read_only;
}

/* A replica for this read; NULL: the primary. RC_AGAIN: one may be there in a moment. */
static enum rc
find_replica(
    struct session *s, struct cluster_shard *shard, int index, struct backend **out)
{
	const struct settings *set = &s->db->cluster->conf->shards[index].settings;
	const struct read_token *token = s->ryw_off ? NULL : tokens_get(s, index);
	unsigned cursor =
	    atomic_fetch_add_explicit(&shard->cursor, 1, memory_order_relaxed);
	uint64_t now = loop_now_us(s->w->loop);
	uint64_t wait = CONFIG_VALUE(s->identity->conf,
	    &s->db->cluster->conf->shards[index], read_your_writes_wait_us);

	*out = choose_replica(shard->backends, shard->n, set->replica_policy, token, now,
	    worker_random(s->w), &cursor);
	if (*out != NULL || token == NULL || wait == 0 || s->x->gave_up)
		return RC_OK;
	if (choose_replica(shard->backends, shard->n, set->replica_policy, NULL, now, 0,
		&cursor) == NULL)
		return RC_OK;
	for (int i = 0; i < shard->n; i++)
		health_hurry(s->w->proc->health, shard->backends[i], now + wait);
	session_park(s, BLOCK_TOKEN, wait);
	return RC_AGAIN;
}

/* How long the statement has lacked a server that it can use. */
static uint64_t
in_trouble_for(struct session *s)
{
	uint64_t now = loop_now_us(s->w->loop);

	if (s->x->trouble_since_us == 0)
		s->x->trouble_since_us = now;
	return now - s->x->trouble_since_us;
}

static enum rc
no_primary(struct session *s, const struct plan *plan, struct err *e)
{
	uint64_t limit = s->db->cluster->conf->settings.primary_wait_us,
		 waited = in_trouble_for(s);
	struct cluster_shard *shard = &s->db->cluster->shards[plan->shard];

	if (waited < limit) {
		for (int i = 0; i < shard->n; i++)
			health_hurry(s->w->proc->health, shard->backends[i],
			    loop_now_us(s->w->loop) + limit - waited);
		session_park(s, BLOCK_PRIMARY, limit - waited + 999);
		return RC_AGAIN;
	}
	(void)err_set(e, "08001", BLAST_STMT,
	    "shard %s of database %s has no primary now", shard->name,
	    s->db->cluster->name);
	err_hint(
	    e, "SHOW SHARDS on the admin console tells what is known of its servers.");
	return RC_ERR;
}

static enum rc
find_backend(struct session *s, const struct plan *plan, struct err *e)
{
	struct exec *x = s->x;
	struct cluster_shard *shard = &s->db->cluster->shards[plan->shard];
	struct backend *b = NULL;

	if (wants_replica(s, plan, shard)) {
		enum rc rc = find_replica(s, shard, plan->shard, &b);

		if (rc != RC_OK)
			return rc;
	}
	x->on_replica = b != NULL;
	if (b == NULL)
		b = first_writable(shard, choose_primary(shard->backends, shard->n));
	if (b == NULL)
		return no_primary(s, plan, e);
	x->backend = b;
	return RC_OK;
}

/* ---- the connection ---- */

static void
adopt(struct session *s, struct server *server)
{
	struct exec *x = s->x;
	struct link *l;

	s->server = server;
	server->owner = s;
	server->owner_ops = &session_server_ops;
	l = link_get(server);
	if (l->tested_us != server->tested_us) { /* the pool's own query dropped it */
		l->tested_us = server->tested_us;
		l->unnamed_id = 0;
	}
	server->stream.io.low_water = OUTPUT_LOW;
	x->gave_up = x->used = false;
	x->trouble_since_us = 0;
	stat_add(&s->db->stats->server_assignments, 1);
}

static void
granted(struct waiter *w, struct server *server)
{
	struct exec *x = LIST_ENTRY(w, struct exec, waiter);
	struct session *s = x->session;

	stat_add(&s->db->stats->wait_us, loop_now_us(s->w->loop) - w->since_us);
	histogram_record(s->db->stats->wait_hist, loop_now_us(s->w->loop) - w->since_us);
	adopt(s, server);
	if (session_replay(s) == RC_OK)
		session_unblock(s);
}

/* The server could not be reached. Another replica, or the primary, may do for a read; a primary comes back or is replaced within
 * primary_wait. */
static bool
server_trouble(const struct err *e)
{
	return strncmp(e->sqlstate, "08", 2) == 0 || strcmp(e->sqlstate, "57P03") == 0 ||
	    strcmp(e->sqlstate, "57P01") == 0;
}

static enum rc
wait_for_server(struct session *s, void (*resume)(struct session *))
{
	struct exec *x = s->x;
	uint64_t limit = s->db->cluster->conf->settings.primary_wait_us,
		 waited = in_trouble_for(s);

	if (x->on_replica && x->bad_server_tries++ < 3)
		limit = 0;
	else if (waited >= limit)
		return RC_ERR;
	x->resume = resume;
	health_hurry(s->w->proc->health, x->backend, loop_now_us(s->w->loop) + 1000000);
	session_park(s, BLOCK_PRIMARY, limit == 0 ? 1000 : SERVER_RETRY_US);
	return RC_AGAIN;
}

static void
not_granted(struct waiter *w, const struct err *e)
{
	struct session *s = LIST_ENTRY(w, struct exec, waiter)->session;
	struct err mine;

	if (server_trouble(e) && s->state == SESSION_ACTIVE &&
	    wait_for_server(s, s->x->resume) == RC_AGAIN)
		return;
	s->x->resume = NULL;
	s->x->blocked = BLOCK_NOT;
	s->x->shard = SHARD_NONE;
	mine = *e;
	mine.blast = BLAST_TXN; /* the client stays */
	session_error(s, &mine);
	if (s->state == SESSION_ACTIVE && s->x != NULL)
		session_run(s);
}

/* A user's own query_wait_timeout. */
static uint64_t
patience(const struct session *s)
{
	const struct user_conf *u = s->identity->conf;

	if (u == NULL || !setting_set_has(&u->set, SETTING_ID_query_wait_timeout_us))
		return 0;
	return u->settings.query_wait_timeout_us == 0 ? UINT64_MAX
						      : u->settings.query_wait_timeout_us;
}

static enum rc
acquire(struct session *s, void (*resume)(struct session *), struct err *e)
{
	struct exec *x = s->x;
	struct server *server;

	x->waiter.granted = granted;
	x->waiter.failed = not_granted;
	x->waiter.patience_us = patience(s);
	switch (pool_acquire(pools_get(s->w->pools, x->backend, &s->identity->login),
	    &x->waiter, &server, e)) {
	case RC_ERR:
		x->shard = SHARD_NONE;
		e->blast = BLAST_TXN;
		return server_trouble(e) && s->state == SESSION_ACTIVE
		    ? wait_for_server(s, resume)
		    : RC_ERR;
	case RC_AGAIN:
		x->resume = resume;
		session_block(s, BLOCK_SERVER);
		return RC_AGAIN;
	case RC_OK:
		break;
	}
	adopt(s, server);
	x->resume = resume;
	if (session_replay(s) == RC_AGAIN)
		return RC_AGAIN;
	x->resume = NULL;
	return RC_OK;
}

/* The transaction stands on another shard than this statement wants. */
static enum rc
other_shard(struct session *s, const struct plan *plan, struct err *e)
{
	const struct cluster *c = s->db->cluster;

	(void)err_set(e, "0A000", BLAST_TXN,
	    "this transaction is on shard %s, the statement belongs to shard %s",
	    c->shards[s->x->shard].name, c->shards[plan->shard].name);
	if (s->x->set_unseen)
		err_hint(e,
		    "set_config() with a value that is not a constant was called in it; other shards would lack that. Use SET LOCAL.");
	else if (s->pins != 0)
		err_hint(e,
		    "The session is pinned to its server (SHOW CLIENTS says why); DISCARD ALL frees it.");
	else
		err_hint(e,
		    "Statements of several shards before one Sync need a transaction block: send BEGIN first.");
	return RC_ERR;
}

/* The current server has been left, or is ready to be. */
static void
need_again(struct session *s)
{
	struct exec *x = s->x;
	void (*resume)(struct session *) = x->move_resume;
	struct err e;

	x->resume = resume;
	switch (session_need_server(s, &x->plan, resume, &e)) {
	case RC_OK:
		x->resume = NULL;
		resume(s);
		break;
	case RC_AGAIN:
		break;
	case RC_ERR:
		x->resume = NULL;
		session_error(s, &e);
		break;
	}
}

/* So far only statements ran that can run again: roll back here, start over there. */
static void
moved_away(struct session *s)
{
	varset_assign(&link_of(s->server)->vars, varset_ref(s->tx_vars));
	session_release_server(s);
	s->x->begun = false;
	s->x->log_done = 0;
	need_again(s);
}

static enum rc
move_away(struct session *s, void (*resume)(struct session *))
{
	struct exec *x = s->x;
	struct msgbuf *out = &x->out;
	struct reply *r;

	msgbuf_clear(out);
	msg_query(out, "ROLLBACK");
	stream_write(&s->server->stream, out->data, out->len);
	r = link_push(link_of(s->server), REPLY_QUERY);
	r->swallow = r->check = true;
	x->move_resume = resume;
	x->resume = moved_away;
	x->replays = 1;
	session_block(s, BLOCK_REPLAY);
	return RC_AGAIN;
}

/* A RESET left the server that the session keeps at the server's own defaults. */
static enum rc
settle_vars(struct session *s, void (*resume)(struct session *))
{
	struct exec *x = s->x;

	if (link_of(s->server)->vars == s->vars || s->tx == 'E' || x->unsynced)
		return RC_OK;
	x->resume = resume;
	if (session_replay(s) == RC_AGAIN)
		return RC_AGAIN;
	x->resume = NULL;
	return RC_OK;
}

static void
settled(struct session *s)
{
	struct exec *x = s->x;
	void (*resume)(struct session *) = x->settle_resume;

	if (x->discard) /* an error came: the rest of the cycle is skipped */
		extended_drop_pending(s);
	else
		resume(s);
}

/* A Sync of our own: inside a transaction block it ends nothing. */
void
session_settle(struct session *s, void (*resume)(struct session *))
{
	struct exec *x = s->x;
	struct msgbuf *out = &x->out;
	struct reply *r;

	msgbuf_clear(out);
	msg_begin(out, 'S');
	msg_end(out);
	stream_write(&s->server->stream, out->data, out->len);
	r = link_push(link_of(s->server), REPLY_SYNC);
	r->swallow = r->check = true;
	x->unsynced = false;
	x->replays = 1;
	x->settle_resume = resume;
	x->resume = settled;
	session_block(s, BLOCK_REPLAY);
}

/* A statement on a shard where the transaction has been before; one that any shard can answer goes to the first. */
static bool
come_back(struct session *s, const struct plan *plan)
{
	struct exec *x = s->x;
	struct branch *b = list_empty(&x->branches) ? NULL
	    : plan->kind == PLAN_ANY ? LIST_ENTRY(x->branches.next, struct branch, node)
				     : branch_of_shard(s, plan->shard);

	if (b == NULL || b->state == BRANCH_LOST)
		return false;
	branch_take(b);
	return true;
}

/* The first of several servers: one that the session keeps comes back at the end. */
struct branch *
session_stash(struct session *s, struct err *e)
{
	struct exec *x = s->x;

	if (s->pins == 0 && list_empty(&x->branches))
		x->pin_shard = x->shard;
	return branch_stash(s, e);
}

enum rc
session_need_server(struct session *s, const struct plan *plan,
    void (*resume)(struct session *), struct err *e)
{
	struct exec *x = s->x;
	enum rc rc;

	x->plan = *plan;
	if (s->server != NULL) {
		/* A failed transaction is refused by the server where it failed. */
		if (plan->kind == PLAN_ANY || plan->shard == x->shard ||
		    (s->tx == 'E' && !x->tx_failed))
			return settle_vars(s, resume);
		if (x->begun && !x->firm && !x->unsynced && s->pins == 0)
			return move_away(s, resume);
		if (x->begin == NULL || !x->begun || x->set_unseen)
			return other_shard(s, plan, e);
		if (x->unsynced || !link_quiet(link_of(s->server))) {
			x->move_resume = resume;
			session_settle(s, need_again);
			return RC_AGAIN;
		}
		if (session_stash(s, e) == NULL)
			return RC_ERR;
	}
	x->resume = resume;
	if (come_back(s, plan)) {
		rc = session_replay(s);
		x->resume = rc == RC_OK ? NULL : resume;
		return rc;
	}
	rc = find_backend(s, plan, e);
	if (rc != RC_OK)
		return rc;
	if (!list_empty(&x->parked))
		session_unpark(s);
	x->shard = plan->shard;
	return acquire(s, resume, e);
}

/* What a connection still owed is owed no more; prepared statements are this worker's. */
static void
forget_replies(struct link *l)
{
	while (!link_quiet(l)) {
		prepared_unref(link_head(l)->prepared);
		link_pop(l);
	}
}

/* ---- after the statement ---- */

void
session_sent(struct session *s, const struct plan *plan, const struct sql_stmts *stmts)
{
	struct exec *x = s->x;

	x->used = true;
	if (!x->on_replica && !plan->read_only) {
		if (!plan->locks_only && !x->wrote)
			x->wrote_nth = ++x->n_wrote;
		x->wrote = x->wrote || !plan->locks_only;
		x->locked = true;
	}
	if (x->tx_started_us == 0)
		x->tx_started_us = loop_now_us(s->w->loop);
	if (!effects_tentative(stmts))
		x->firm = true;
	if (x->started_us == 0) {
		x->started_us = loop_now_us(s->w->loop);
		session_start_timer(s);
	}
	/* once for all the servers of a statement over several shards */
	if (x->scatter == NULL || x->scatter->next == 1)
		stat_add(&s->db->stats->plans[plan->kind], 1);
}

/* At ReadyForQuery 'I' with nothing outstanding; what is applied on it stands in its link. */
void
session_give_back(struct session *s, struct server *server)
{
	const struct settings *set = &s->db->cluster->conf->settings;

	/* Something came behind ReadyForQuery, or data of a COPY that failed is still to be sent. */
	if (!reader_at_boundary(&server->reader) || stream_queued(&server->stream) > 0) {
		pool_discard(server, true);
		return;
	}
	if (!io_reading(&server->stream.io))
		stream_read_start(&server->stream);
	if (set->server_reset_query_always && set->server_reset_query[0] != '\0') {
		struct link *l = link_of(server);

		varset_assign(&l->vars, NULL);
		link_drop_all(l);
		pool_reset_and_release(server, set->server_reset_query);
	} else {
		pool_release(server);
	}
}

void
session_release_server(struct session *s)
{
	struct server *server = s->server;
	struct exec *x = s->x;

	if (server == NULL)
		return;
	s->server = NULL;
	if (x != NULL) {
		x->shard = SHARD_NONE;
		x->backend = NULL;
		x->on_replica = false;
	}
	session_give_back(s, server);
}

void
session_forget_server(struct session *s)
{
	struct exec *x = s->x;

	forget_replies(link_of(s->server));
	s->server = NULL;
	if (x == NULL)
		return;
	if (x->wrote)
		tokens_wrote(s, x->shard);
	x->shard = SHARD_NONE;
	x->wrote = x->locked = false;
	x->doomed = x->doomed || x->begun;
}

void
session_drop_server(struct session *s, bool polite)
{
	struct server *server = s->server;

	if (server == NULL)
		return;
	session_forget_server(s);
	if (s->x != NULL)
		s->x->backend = NULL;
	pool_discard(server, polite);
}
