/* PREPARE and EXECUTE as SQL in transaction mode. They share the protocol's names: what one prepared the other can use. On the servers the
 * statement has Weir's name, so the texts are rewritten; a server that lacks it gets it first. */
#include "router/session/extended.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "router/sql/lexer.h"

void
sqlprep_forget(struct exec *x)
{
	prepared_unref(x->sql_prepared);
	x->sql_prepared = NULL;
}

/* ---- settings as SQL ---- */

const char *
session_quote_setting(const char *name)
{
	static _Thread_local char out[256];
	size_t n = 0;
	bool open = false;

	for (const char *p = name; *p != '\0' && n + 8 < sizeof out; p++) {
		if (*p == '.' && open) {
			out[n++] = '"';
			out[n++] = '.';
			open = false;
			continue;
		}
		if (!open)
			out[n++] = '"';
		open = true;
		if (*p == '"')
			out[n++] = '"';
		out[n++] = *p;
	}
	if (open)
		out[n++] = '"';
	out[n] = '\0';
	return out;
}

static void
add_literal(struct msgbuf *sql, struct slice text)
{
	bool backslash = memchr(text.ptr, '\\', text.len) != NULL;

	msg_bytes(sql, backslash ? " E'" : "'", backslash ? 3 : 1);
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\'' || text.ptr[i] == '\\')
			msg_bytes(sql, &text.ptr[i], 1);
		msg_bytes(sql, &text.ptr[i], 1);
	}
	msg_bytes(sql, "'", 1);
}

char *
session_set_config_sql(const char *name, struct slice value, bool local)
{
	struct msgbuf sql;

	if (!local && strcasecmp(name, "search_path") == 0)
		return path_sql(value);
	msgbuf_init(&sql);
	msg_bytes(&sql, "SELECT pg_catalog.set_config(", 29);
	add_literal(&sql, slice_of(name));
	msg_bytes(&sql, ",", 1);
	add_literal(&sql, value);
	msg_bytes(&sql, local ? ",true)" : ",false)", local ? 6 : 7);
	msg_bytes(&sql, "", 1);
	return sql.data;
}

/* ---- rewriting ---- */

static enum rc
known(struct session *s, const char *name, struct err *e)
{
	struct prepared *p = names_get(s->names, slice_of(name));

	if (p == NULL)
		return err_set(e, "26000", BLAST_TXN,
		    "prepared statement \"%s\" does not exist", name);
	s->x->sql_prepared = prepared_ref(p);
	return RC_OK;
}

/* The byte behind the n-th token (0: the first); 0 when there is none. *start is its first byte. */
static size_t
token_end(struct session *s, struct slice sql, int n, size_t *start)
{
	struct lexer lex;
	struct token t;
	struct sql_env env;

	session_env(s, &env);
	lexer_init(&lex, sql, (enum sql_encoding)env.encoding, env.standard_strings);
	for (int i = 0; i <= n;) {
		enum token_kind kind = lexer_next(&lex, &t);

		if (kind == TOK_END || kind == TOK_ERROR)
			return 0;
		i += kind != TOK_COMMENT;
	}
	*start = (size_t)(t.start - sql.ptr);
	return (size_t)(t.end - sql.ptr);
}

size_t
sqlprep_behind_first(struct session *s, struct slice sql)
{
	size_t start = 0;
	int n = 0;

	while (token_end(s, sql, n, &start) != 0 && sql.ptr[start] == ';')
		n++;
	while (token_end(s, sql, n, &start) != 0 && sql.ptr[start] != ';')
		n++;
	return token_end(s, sql, n, &start) == 0 ? sql.len : start;
}

static enum rc
rewrite_execute(struct session *s, const struct sql_stmt *stmt, struct slice sql,
    size_t skip, struct err *e)
{
	struct exec *x = s->x;
	char name[PREPARED_NAME_MAX];
	struct slice rest = {sql.ptr + skip, sql.len - skip};
	size_t start, end;

	if (known(s, stmt->name, e) != RC_OK)
		return RC_ERR;
	end = token_end(s, rest, 1, &start);
	if (end == 0)
		return err_set(e, "42601", BLAST_TXN, "syntax error in EXECUTE");
	prepared_name(x->sql_prepared->id, name);
	x->sql_text = arena_printf(&x->arena, "%.*s%s%.*s", (int)(skip + start), sql.ptr,
	    name, (int)(rest.len - end), rest.ptr + end);
	return RC_OK;
}

/* PREPARE name (types) AS body */
static enum rc
rewrite_prepare(
    struct session *s, const struct sql_stmt *stmt, struct slice sql, struct err *e)
{
	struct exec *x = s->x;
	char name[PREPARED_NAME_MAX];
	size_t start, end, as_start, i = 2;
	struct slice types;

	if (names_get(s->names, slice_of(stmt->name)) != NULL)
		return err_set(e, "42P05", BLAST_TXN,
		    "prepared statement \"%s\" already exists", stmt->name);
	end = token_end(s, sql, 1, &start);
	do
		if (end == 0 || token_end(s, sql, (int)i, &as_start) == 0)
			return err_set(e, "42601", BLAST_TXN, "syntax error in PREPARE");
	while (i++,
	    strncasecmp(sql.ptr + as_start, "as", 2) != 0 ||
		!isspace((unsigned char)sql.ptr[as_start + 2]));
	types = (struct slice){sql.ptr + end, as_start - end};
	while (types.len > 0 && isspace((unsigned char)types.ptr[types.len - 1]))
		types.len--;
	x->sql_prepared = session_prepare(s, stmt->body, NULL, 0, types, true);
	prepared_name(x->sql_prepared->id, name);
	x->sql_text = arena_printf(&x->arena, "PREPARE %s%.*s AS %.*s", name,
	    (int)types.len, types.ptr, (int)stmt->body.len, stmt->body.ptr);
	return RC_OK;
}

static bool
is_about_names(const struct sql_stmt *stmt)
{
	return stmt->kind == STMT_PREPARE || stmt->kind == STMT_EXECUTE ||
	    ((stmt->kind == STMT_EXPLAIN || stmt->kind == STMT_DDL) &&
		stmt->inner != NULL && stmt->inner->kind == STMT_EXECUTE);
}

enum rc
sqlprep_rewrite(struct session *s, struct slice sql, struct err *e)
{
	struct sql_stmts *stmts = s->x->shape->stmts;

	sqlprep_forget(s->x);
	s->x->sql_text = NULL;
	for (int i = 0; stmts != NULL && i < stmts->n; i++) {
		const struct sql_stmt *stmt = &stmts->v[i];

		if (!is_about_names(stmt) && stmt->kind != STMT_DEALLOCATE &&
		    stmt->kind != STMT_DEALLOCATE_ALL)
			continue;
		if (stmts->n > 1) {
			(void)err_set(e, "0A000", BLAST_TXN,
			    "%s together with other statements in one query string",
			    stmt_kind_name(stmt->kind));
			err_hint(e, "Send it by itself.");
			return RC_ERR;
		}
		if (stmt->kind == STMT_PREPARE)
			return rewrite_prepare(s, stmt, sql, e);
		if (stmt->kind == STMT_EXECUTE)
			return rewrite_execute(s, stmt, sql, 0, e);
		if (is_about_names(stmt)) {
			const char *at =
			    memmem(sql.ptr, sql.len, stmt->body.ptr, stmt->body.len);

			return at == NULL ? RC_OK
					  : rewrite_execute(s, stmt->inner, sql,
						(size_t)(at - sql.ptr), e);
		}
	}
	return RC_OK;
}

enum rc
sqlprep_parse(struct session *s, struct prepared **p, struct err *e)
{
	struct exec *x = s->x;
	struct sql_stmts *stmts = (*p)->shape->stmts;
	struct shape *before = x->shape;
	struct prepared *rewritten;
	enum rc rc;

	if (stmts == NULL || stmts->n != 1 ||
	    (stmts->v[0].kind != STMT_PREPARE && stmts->v[0].kind != STMT_EXECUTE))
		return RC_OK;
	x->shape = (*p)->shape;
	rc = sqlprep_rewrite(s, (*p)->text, e);
	x->shape = before;
	if (rc != RC_OK)
		return rc;
	rewritten = *p;
	if (stmts->v[0].kind == STMT_EXECUTE) {
		rewritten = session_prepare(s, slice_of(x->sql_text), (*p)->oids,
		    (*p)->n_oids, (struct slice){NULL, 0}, false);
		prepared_unref(*p);
	}
	if (rewritten->below == NULL)
		rewritten->below = prepared_ref(x->sql_prepared);
	sqlprep_forget(x);
	x->sql_text = NULL;
	*p = rewritten;
	return RC_OK;
}

/* ---- on the server ---- */

bool
sqlprep_ensure(struct session *s, uint64_t *makes)
{
	struct exec *x = s->x;
	struct prepared *p = x->sql_prepared;

	*makes = 0;
	if (p == NULL)
		return true;
	if (x->shape->stmts->v[0].kind != STMT_PREPARE) {
		ext_ensure_on_server(s, p, false);
		return true;
	}
	if (link_holds(link_of(s->server), p->id))
		return false;
	ext_hold(s, p);
	*makes = p->id;
	return true;
}

/* By extended messages without Sync: it belongs to the transaction of what comes behind it. */
void
sqlprep_inject(struct session *s, struct prepared *p)
{
	struct msgbuf *out = &s->x->out;
	struct link *l = link_of(s->server);
	char name[PREPARED_NAME_MAX];
	struct reply *r;

	ext_hold(s, p);
	prepared_name(p->id, name);
	msgbuf_clear(out);
	msg_begin(out, 'P');
	msg_str(out, "");
	msg_bytes(out, "PREPARE ", 8);
	msg_bytes(out, name, strlen(name));
	msg_bytes(out, p->sql_types.ptr, p->sql_types.len);
	msg_bytes(out, " AS ", 4);
	msg_slice_str(out, p->text);
	msg_int16(out, 0);
	msg_end(out);
	msg_begin(out, 'B');
	msg_str(out, "weir_p");
	msg_str(out, "");
	msg_int16(out, 0);
	msg_int16(out, 0);
	msg_int16(out, 0);
	msg_end(out);
	msg_begin(out, 'E');
	msg_str(out, "weir_p");
	msg_int32(out, 0);
	msg_end(out);
	msg_begin(out, 'C');
	msg_byte(out, 'P');
	msg_str(out, "weir_p");
	msg_end(out);
	stream_write(&s->server->stream, out->data, out->len);
	l->unnamed_id = 0;
	link_push(l, REPLY_PARSE)->swallow = true;
	link_push(l, REPLY_BIND)->swallow = true;
	r = link_push(l, REPLY_EXECUTE);
	r->swallow = true;
	r->prepared_id = p->id;
	link_push(l, REPLY_CLOSE)->swallow = true;
}
