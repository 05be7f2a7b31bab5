/* A fresh server gets what the session has set, and the BEGIN that Weir answered in its stead. Settings go in one query of their own, so that
 * a rollback of the transaction does not undo them; nothing of the client is sent before they have succeeded. */
#include "router/session/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static bool
goes_last(const char *name)
{
	return strcmp(name, "role") == 0 || strcmp(name, "session_authorization") == 0;
}

/* A text may end in a comment. */
static void
add(struct msgbuf *sql, const char *a, const char *b)
{
	msg_bytes(sql, a, strlen(a));
	msg_bytes(sql, b, strlen(b));
	msg_bytes(sql, "\n;", 2);
}

/* What is applied and no longer wanted; roles first, since what follows may need the login's rights. */
static void
add_resets(
    struct msgbuf *sql, const struct varset *has, const struct varset *wants, bool roles)
{
	for (int i = 0; has != NULL && i < has->n; i++) {
		const char *name = has->v[i].name;

		if (goes_last(name) != roles ||
		    (!roles && varset_get(wants, name) != NULL))
			continue;
		if (strcmp(name, "session_authorization") == 0)
			add(sql, "RESET SESSION AUTHORIZATION", "");
		else
			add(sql, "RESET ", session_quote_setting(name));
	}
}

static void
add_sets(struct msgbuf *sql, const struct varset *has, const struct varset *wants,
    const char *only)
{
	for (int i = 0; wants != NULL && i < wants->n; i++) {
		const char *name = wants->v[i].name, *old = varset_get(has, name);

		if (only != NULL ? strcmp(name, only) != 0 : goes_last(name))
			continue;
		if (only != NULL || old == NULL || strcmp(old, wants->v[i].value) != 0)
			add(sql, wants->v[i].value, "");
	}
}

static void
send_checked(struct session *s, struct msgbuf *sql, bool check)
{
	struct msgbuf *out = &s->x->out;
	struct reply *r;

	msg_bytes(sql, "", 1);
	msgbuf_clear(out);
	msg_query(out, sql->data);
	stream_write(&s->server->stream, out->data, out->len);
	r = link_push(link_of(s->server), REPLY_QUERY);
	r->swallow = true;
	r->check = check;
	s->x->replays += check;
}

static bool
begin_is_due(const struct exec *x)
{
	return x->begin != NULL && !x->begun;
}

/* Before a BEGIN that is due: what holds outside the transaction; its own settings are in its log. */
static void
replay_settings(struct session *s, struct msgbuf *sql)
{
	struct link *l = link_of(s->server);
	struct varset *wants = begin_is_due(s->x) ? s->tx_vars : s->vars;

	if (l->vars == wants)
		return;
	msgbuf_clear(sql);
	add_resets(sql, l->vars, wants, true);
	add_resets(sql, l->vars, wants, false);
	add_sets(sql, l->vars, wants, NULL);
	add_sets(sql, l->vars, wants, "session_authorization");
	add_sets(sql, l->vars, wants, "role");
	varset_assign(&l->vars, varset_ref(wants));
	if (sql->len > 0)
		send_checked(s, sql, true);
}

static bool
plain_begin(const char *begin)
{
	return strcasecmp(begin, "begin") == 0 ||
	    strcasecmp(begin, "start transaction") == 0;
}

/* BEGIN, and what was set and which savepoints were made in the transaction so far, as far as this server has not run it yet. */
static void
replay_begin(struct session *s, struct msgbuf *sql)
{
	struct exec *x = s->x;
	bool check;

	if (x->begin == NULL || (x->begun && x->log_done == x->log.n))
		return;
	check = x->log.n > x->log_done || x->scatter != NULL || !plain_begin(x->begin);
	msgbuf_clear(sql);
	if (!x->begun)
		add(sql, x->begin, "");
	txlog_write(&x->log, x->log_done, sql);
	x->begun = true;
	x->log_done = x->log.n;
	varset_assign(&link_of(s->server)->vars, varset_ref(s->vars));
	/* A bare BEGIN fails only with its connection: no need to wait for it, but where the server will be put aside. */
	send_checked(s, sql, check);
}

/* The client is told what the server reports otherwise than its last one did. */
void
session_report_params(struct session *s)
{
	struct link *l = link_of(s->server);
	struct msgbuf *out = &s->x->out;

	if (l->params == s->params)
		return;
	msgbuf_clear(out);
	for (int i = 0; l->params != NULL && i < l->params->n; i++) {
		const struct var *v = &l->params->v[i];
		const char *told = varset_get(s->params, v->name);

		if (told == NULL || strcmp(told, v->value) != 0)
			msg_parameter_status(out, v->name, v->value);
	}
	varset_assign(&s->params, varset_ref(l->params));
	if (out->len > 0)
		stream_write(&s->stream, out->data, out->len);
}

enum rc
session_replay(struct session *s)
{
	struct exec *x = s->x;
	struct msgbuf sql;

	x->replays = 0;
	msgbuf_init(&sql);
	if (begin_is_due(x))
		replay_settings(s, &sql);
	replay_begin(s, &sql);
	replay_settings(s, &sql);
	msgbuf_fini(&sql);
	if (x->replays == 0) {
		session_report_params(s);
		return RC_OK;
	}
	session_block(s, BLOCK_REPLAY);
	return RC_AGAIN;
}

void
session_server_error(struct slice body, struct err *e)
{
	struct slice state = msg_error_field(body, 'C'),
		     text = msg_error_field(body, 'M');

	(void)err_set(e, "XX000", BLAST_STMT, "%.*s", (int)text.len,
	    text.ptr == NULL ? "" : text.ptr);
	if (state.len == 5)
		memcpy(e->sqlstate, state.ptr, 5);
}

/* One checked answer came in; error_body is its ErrorResponse's, or NULL. */
void
session_replay_done(struct session *s, const char *error_body, size_t len)
{
	struct exec *x = s->x;
	struct msgbuf *out = &x->out;
	struct err e;

	if (error_body == NULL) {
		if (--x->replays > 0)
			return;
		session_report_params(s);
		session_unblock(s);
		return;
	}
	/* The session cannot have what it asked for on this server; the server's own words say why. */
	if (!ddl_answers(x)) /* that left its server as it was */
		session_drop_server(s, true);
	x->resume = NULL;
	x->blocked = BLOCK_NOT;
	msgbuf_clear(out);
	session_server_error((struct slice){error_body, len}, &e);
	if (x->ddl_shard != SHARD_NONE)
		ddl_failed(s, &e);
	else
		err_hint(&e,
		    "A setting of this session, or its BEGIN, could not be applied to the server: RESET it.");
	session_error(s, &e);
	if (s->state == SESSION_ACTIVE && s->x != NULL)
		session_run(s);
}
