/* Statements that Weir answers itself: a BEGIN before anybody knows the shard, what follows it as long as no server is needed, its own
 * settings (weir.…), DEALLOCATE and DISCARD ALL of a session that has no server. */
#include "router/session/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "router/route/map.h"

static bool
weir_name(const char *name)
{
	return name != NULL && strncmp(name, "weir.", 5) == 0;
}

static bool
unbound(const struct session *s)
{
	return s->server == NULL && s->x != NULL && s->x->begin != NULL;
}

bool
local_is(struct session *s, const struct sql_stmts *stmts, int i)
{
	const struct sql_stmt *stmt = &stmts->v[i];

	if (s->admin)
		return true;
	switch (stmt->kind) {
	case STMT_BEGIN:
		return s->server == NULL && !unbound(s);
	case STMT_COMMIT:
	case STMT_ROLLBACK:
		return unbound(s) || ending_needed(s);
	case STMT_PREPARE_XACT: /* of a failed transaction it is a ROLLBACK */
		return (unbound(s) && s->x->tx_failed) || ending_needed(s);
	case STMT_SAVEPOINT:
	case STMT_RELEASE:
	case STMT_ROLLBACK_TO:
	case STMT_SET_TRANSACTION:
		return unbound(s);
	case STMT_SHOW:
	case STMT_SET:
	case STMT_RESET:
		return weir_name(stmt->name);
	case STMT_SET_LOCAL:
		return weir_name(stmt->name);
	case STMT_DEALLOCATE:
	case STMT_DEALLOCATE_ALL:
		return true;
	case STMT_DISCARD_ALL:
		return s->server == NULL && s->tx == 'I';
	default:
		return false;
	}
}

/* ---- transactions without a server ---- */

/* COMMIT of a transaction that lost a server, of which the client has not heard yet. */
static enum rc
refuse_lost(struct session *s, struct err *e)
{
	*e = *s->x->lost;
	effects_transaction_over(s, false);
	s->tx = 'I';
	return RC_ERR;
}

bool
session_statement_mode(const struct session *s)
{
	return s->db != NULL && s->identity != NULL &&
	    CONFIG_VALUE(s->identity->conf, s->db->cluster->conf, pool_mode) ==
	    POOL_MODE_STATEMENT;
}

enum rc
session_refuse_block(struct err *e)
{
	return err_set(e, "0A000", BLAST_SESSION,
	    "transaction blocks not allowed in statement pooling mode");
}

static enum rc
begin(struct session *s, const struct sql_stmt *stmt, const char **tag, struct err *e)
{
	struct exec *x = session_exec(s);

	if (session_statement_mode(s))
		return session_refuse_block(e);
	x->begin = strndup(stmt->text.ptr, stmt->text.len);
	x->begun = x->firm = false;
	x->tx_read_only = stmt->read_only;
	s->tx = 'T';
	x->tx_started_us = loop_now_us(s->w->loop);
	*tag =
	    stmt->text.len > 0 && (stmt->text.ptr[0] == 's' || stmt->text.ptr[0] == 'S')
	    ? "START TRANSACTION"
	    : "BEGIN";
	return RC_OK;
}

static enum rc
end(struct session *s, const struct sql_stmt *stmt, const char **tag, struct err *e)
{
	struct exec *x = s->x;
	bool commit = stmt->kind != STMT_ROLLBACK && s->tx == 'T' && !x->doomed;
	bool read_only = x->tx_read_only;
	char *again = NULL;

	*tag = commit ? "COMMIT" : "ROLLBACK";
	if (ending_needed(s)) {
		if (stmt->kind == STMT_PREPARE_XACT && commit) {
			(void)err_set(e, "0A000", BLAST_TXN,
			    "PREPARE TRANSACTION of a transaction that has used several shards");
			err_hint(e,
			    "COMMIT it: Weir itself commits it everywhere or nowhere.");
			return RC_ERR;
		}
		switch (ending_run(s, commit, tag, e)) {
		case RC_AGAIN:
			return RC_OK;
		case RC_ERR:
			return RC_ERR;
		case RC_OK:
			break;
		}
	}
	if (x->lost != NULL && stmt->kind != STMT_ROLLBACK)
		return refuse_lost(s, e);
	if (stmt->chain)
		again = txlog_chain(&x->log, x->begin);
	effects_transaction_over(s, commit && strcmp(*tag, "COMMIT") == 0);
	s->tx = 'I';
	if (again != NULL) {
		x->begin = again;
		x->tx_read_only = read_only;
		s->tx = 'T';
	}
	return RC_OK;
}

static enum rc
savepoint(struct session *s, const struct sql_stmt *stmt, const char **tag, struct err *e)
{
	struct exec *x = s->x;

	if (stmt->kind != STMT_SAVEPOINT && !savepoint_exists(x, stmt->name))
		return err_set(
		    e, "3B001", BLAST_TXN, "savepoint \"%s\" does not exist", stmt->name);
	*tag = stmt->kind == STMT_SAVEPOINT ? "SAVEPOINT"
	    : stmt->kind == STMT_RELEASE    ? "RELEASE"
					    : "ROLLBACK";
	effects_apply(s, stmt, NULL, slice_of(*tag)); /* also logs it */
	if (stmt->kind == STMT_ROLLBACK_TO)
		s->tx = 'T';
	return RC_OK;
}

static void
set_transaction(struct session *s, const struct sql_stmt *stmt)
{
	if (stmt->read_only)
		s->x->tx_read_only = true;
	if (stmt->read_write)
		s->x->tx_read_only = false;
	effects_log(s, STMT_SET_TRANSACTION, NULL, stmt->text);
}

/* ---- Weir's own settings ---- */

static enum rc
set_target(struct session *s, struct slice v, struct err *e)
{
	if (slice_eq_str(v, "auto"))
		s->target = TARGET_AUTO;
	else if (slice_eq_str(v, "primary"))
		s->target = TARGET_PRIMARY;
	else if (slice_eq_str(v, "replica"))
		s->target = TARGET_REPLICA;
	else {
		(void)err_set(e, "22023", BLAST_TXN,
		    "invalid value for parameter \"weir.target\": \"%.*s\"", (int)v.len,
		    v.ptr);
		err_hint(e, "Available values: auto, primary, replica.");
		return RC_ERR;
	}
	return RC_OK;
}

static enum rc
set_shard(struct session *s, struct slice v, struct err *e)
{
	const struct cluster *c = s->db->cluster;

	if (v.len == 0) {
		s->shard_setting = SHARD_NONE;
		return RC_OK;
	}
	for (int i = 0; i < c->n_shards; i++)
		if (slice_eq_str(v, c->shards[i].name)) {
			s->shard_setting = (int16_t)i;
			return RC_OK;
		}
	(void)err_set(e, "22023", BLAST_TXN, "database %s has no shard \"%.*s\"", c->name,
	    (int)v.len, v.ptr);
	err_hint(
	    e, "SHOW SHARDS on the admin console lists them; '' lets Weir choose again.");
	return RC_ERR;
}

enum rc
session_setting(struct session *s, const char *name, struct slice value, struct err *e)
{
	if (strcmp(name, "weir.target") == 0)
		return set_target(s, value, e);
	if (strcmp(name, "weir.shard") == 0)
		return set_shard(s, value, e);
	if (strcmp(name, "weir.read_after") == 0)
		return tokens_parse(s, value, e);
	(void)err_set(
	    e, "42704", BLAST_TXN, "unrecognized configuration parameter \"%s\"", name);
	err_hint(e, "Weir has weir.target, weir.shard and weir.read_after.");
	return RC_ERR;
}

static enum rc
set(struct session *s, const struct sql_stmt *stmt, struct err *e)
{
	if (stmt->kind == STMT_SET_LOCAL) {
		(void)err_set(
		    e, "0A000", BLAST_TXN, "SET LOCAL %s is not supported", stmt->name);
		err_hint(e, "Use SET for the session.");
		return RC_ERR;
	}
	if (s->server != NULL && s->tx != 'I' && strcmp(stmt->name, "weir.shard") == 0)
		return err_set(e, "25001", BLAST_TXN,
		    "weir.shard cannot change inside a transaction that has a server");
	if (stmt->kind == STMT_RESET)
		return session_setting(s, stmt->name,
		    strcmp(stmt->name, "weir.target") == 0 ? SLICE_LIT("auto")
							   : SLICE_LIT(""),
		    e);
	return session_setting(s, stmt->name, stmt->value, e);
}

static const struct msg_column *
show_column(const char *name, struct msg_column *c)
{
	*c = (struct msg_column){name, 25, -1};
	return c;
}

static enum rc
shown(struct session *s, const char *name, const char **value, struct err *e)
{
	static const char *const targets[] = {"auto", "primary", "replica"};

	if (strcmp(name, "weir.target") == 0) {
		*value = targets[s->target];
	} else if (strcmp(name, "weir.shard") == 0) {
		*value = s->shard_setting == SHARD_NONE
		    ? ""
		    : s->db->cluster->shards[s->shard_setting].name;
	} else if (strcmp(name, "weir.lsn") == 0 ||
	    strcmp(name, "weir.read_after") == 0) {
		return tokens_print(s, &session_exec(s)->arena, value, e);
	} else {
		(void)err_set(e, "42704", BLAST_TXN,
		    "unrecognized configuration parameter \"%s\"", name);
		err_hint(e, "Weir shows weir.target, weir.shard and weir.lsn.");
		return RC_ERR;
	}
	return RC_OK;
}

static void
show_again(struct session *s)
{
	struct exec *x = s->x;

	if (x->msg.type == 'Q')
		simple_query(s);
	else
		extended_message(s);
}

static enum rc
show(struct session *s, const struct sql_stmt *stmt, struct msgbuf *out, struct err *e)
{
	struct msg_column c;
	const char *value;

	switch (shown(s, stmt->name, &value, e)) {
	case RC_ERR:
		session_unpark(s);
		return RC_ERR;
	case RC_AGAIN: /* an LSN is on its way */
		tokens_wait(s, show_again);
		return RC_OK;
	case RC_OK:
		session_unpark(s);
		break;
	}
	if (s->x->msg.type == 'Q')
		msg_row_description(out, show_column(stmt->name, &c), 1);
	msg_data_row(out, &value, 1);
	msg_command_complete(out, "SHOW");
	return RC_OK;
}

/* ---- prepared statements ---- */

static enum rc
deallocate(struct session *s, const struct sql_stmt *stmt, struct err *e)
{
	if (names_get(s->names, slice_of(stmt->name)) == NULL)
		return err_set(e, "26000", BLAST_TXN,
		    "prepared statement \"%s\" does not exist", stmt->name);
	prepared_unref(names_put(&s->names, slice_of(stmt->name), NULL));
	return RC_OK;
}

static enum rc
transaction_statement(
    struct session *s, const struct sql_stmt *stmt, const char **tag, struct err *e)
{
	switch (stmt->kind) {
	case STMT_BEGIN:
		return begin(s, stmt, tag, e);
	case STMT_COMMIT:
	case STMT_ROLLBACK:
	case STMT_PREPARE_XACT:
		return end(s, stmt, tag, e);
	case STMT_SET_TRANSACTION:
		set_transaction(s, stmt);
		*tag = "SET";
		return RC_OK;
	default:
		return savepoint(s, stmt, tag, e);
	}
}

enum rc
local_statement(
    struct session *s, struct sql_stmts *stmts, int i, struct msgbuf *out, struct err *e)
{
	const struct sql_stmt *stmt = &stmts->v[i];
	const char *tag = stmt_kind_name(stmt->kind);
	enum rc rc = RC_OK;

	if (!local_is(s, stmts, i))
		return RC_AGAIN;
	switch (stmt->kind) {
	case STMT_SHOW:
		return show(s, stmt, out, e);
	case STMT_SET:
	case STMT_SET_LOCAL:
	case STMT_RESET:
		rc = set(s, stmt, e);
		tag = stmt->kind == STMT_RESET ? "RESET" : "SET";
		break;
	case STMT_DEALLOCATE:
		rc = deallocate(s, stmt, e);
		tag = "DEALLOCATE";
		break;
	case STMT_DEALLOCATE_ALL:
		effects_forget_names(s);
		tag = "DEALLOCATE ALL";
		break;
	case STMT_DISCARD_ALL:
		effects_apply(s, stmt, NULL, SLICE_LIT(""));
		tag = "DISCARD ALL";
		break;
	default:
		rc = transaction_statement(s, stmt, &tag, e);
	}
	if (rc == RC_OK && s->x->blocked == BLOCK_NOT)
		msg_command_complete(out, tag);
	return rc;
}

void
local_describe(struct session *s, const struct sql_stmt *stmt, struct msgbuf *out)
{
	struct msg_column c;

	(void)s;
	if (stmt != NULL && stmt->kind == STMT_SHOW) {
		msg_row_description(out, show_column(stmt->name, &c), 1);
		return;
	}
	msg_begin(out, 'n');
	msg_end(out);
}
