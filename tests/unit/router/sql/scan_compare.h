/* The lexer against PostgreSQL's own scanner, as libpg_query has it. Known differences of
 * libpg_query, not of PostgreSQL: the end of U&'…' and U&"…" is wrong, and a string does
 * not go on behind a -- comment. */
#ifndef WEIR_TESTS_SCAN_COMPARE_H
#define WEIR_TESTS_SCAN_COMPARE_H

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>
#include <stdio.h>
#include <string.h>

#include "router/sql/lexer.h"

static int
token_class_ok(const struct token *t, const PgQuery__ScanToken *g)
{
	int tok = (int)g->token;

	switch (t->kind) {
	case TOK_IDENT:
		return tok == PG_QUERY__TOKEN__IDENT || g->keyword_kind != 0 ||
		    tok == PG_QUERY__TOKEN__NCHAR;
	case TOK_QIDENT:
		return tok == PG_QUERY__TOKEN__IDENT;
	case TOK_UIDENT:
		return tok == PG_QUERY__TOKEN__UIDENT;
	case TOK_STRING:
	case TOK_ESTRING:
	case TOK_DOLLAR:
		return tok == PG_QUERY__TOKEN__SCONST;
	case TOK_USTRING:
		return tok == PG_QUERY__TOKEN__USCONST;
	case TOK_BITS:
		return tok == PG_QUERY__TOKEN__BCONST;
	case TOK_HEX:
		return tok == PG_QUERY__TOKEN__XCONST;
	case TOK_INT:
		return tok == PG_QUERY__TOKEN__ICONST || tok == PG_QUERY__TOKEN__FCONST;
	case TOK_FLOAT:
		return tok == PG_QUERY__TOKEN__FCONST;
	case TOK_PARAM:
		return tok == PG_QUERY__TOKEN__PARAM;
	case TOK_OP:
		return tok == PG_QUERY__TOKEN__Op;
	case TOK_TYPECAST:
		return tok == PG_QUERY__TOKEN__TYPECAST;
	case TOK_DOT_DOT:
		return tok == PG_QUERY__TOKEN__DOT_DOT;
	case TOK_COLON_EQUALS:
		return tok == PG_QUERY__TOKEN__COLON_EQUALS;
	case TOK_EQUALS_GREATER:
		return tok == PG_QUERY__TOKEN__EQUALS_GREATER;
	case TOK_LESS_EQUALS:
		return tok == PG_QUERY__TOKEN__LESS_EQUALS;
	case TOK_GREATER_EQUALS:
		return tok == PG_QUERY__TOKEN__GREATER_EQUALS;
	case TOK_NOT_EQUALS:
		return tok == PG_QUERY__TOKEN__NOT_EQUALS;
	case TOK_COMMENT:
		return tok == PG_QUERY__TOKEN__SQL_COMMENT ||
		    tok == PG_QUERY__TOKEN__C_COMMENT;
	case TOK_CHAR:
		return tok == *t->start;
	default:
		return 0;
	}
}

static int
is_string(enum token_kind k)
{
	return k == TOK_STRING || k == TOK_ESTRING || k == TOK_BITS || k == TOK_HEX ||
	    k == TOK_USTRING;
}

/* A string that may go on behind a comment: libpg_query cuts it there, PostgreSQL does
 * not. */
static int
string_with_comment(const char *text)
{
	struct lexer lx;
	struct token t;
	enum token_kind k;

	lexer_init(&lx, slice_of(text), ENC_UTF8, true);
	do {
		k = lexer_next(&lx, &t);
		if ((k == TOK_ERROR || is_string(k)) &&
		    memmem(t.start, (size_t)(t.end - t.start), "--", 2) != NULL &&
		    memchr(t.start, '\'', (size_t)(t.end - t.start)) != NULL)
			return 1;
	} while (k > TOK_ERROR);
	return 0;
}

static int
differ(const char *text, const char *what, const struct token *t)
{
	fprintf(
	    stderr, "lexer: %s at %d in <<%s>>\n", what, (int)(t->start - text), text);
	return 0;
}

/* 1: the same tokens. */
static int
compare_tokens(const char *text, const PgQuery__ScanResult *r)
{
	struct lexer lx;
	struct token t;
	enum token_kind k;
	size_t i = 0;

	lexer_init(&lx, slice_of(text), ENC_UTF8, true);
	while ((k = lexer_next(&lx, &t)) != TOK_END) {
		const char *end;

		if (k == TOK_ERROR)
			return differ(text, lx.error, &t);
		if (i == r->n_tokens)
			return differ(text, "one more", &t);
		if (text + r->tokens[i]->start != t.start)
			return differ(text, "other start", &t);
		if (!token_class_ok(&t, r->tokens[i]))
			return differ(text, "other class", &t);
		end = text + r->tokens[i]->end;
		if (k != TOK_USTRING && k != TOK_UIDENT && end != t.end)
			return differ(text, "other end", &t);
		i++;
	}
	return i == r->n_tokens ? 1 : differ(text, "fewer", &t);
}

/* What PostgreSQL finds inside escapes is not the lexer's business. */
static int
error_within_escape(const char *message)
{
	static const char *const words[] = {
	    "escape", "surrogate", "byte sequence", "unsafe", "\\'"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strstr(message, words[i]) != NULL)
			return 1;
	return 0;
}

static int
compare_error(const char *text, const char *message)
{
	struct lexer lx;
	struct token t;
	enum token_kind k;
	char mine[4096];

	if (error_within_escape(message))
		return 1;
	lexer_init(&lx, slice_of(text), ENC_UTF8, true);
	while ((k = lexer_next(&lx, &t)) > TOK_ERROR)
		continue;
	if (k != TOK_ERROR)
		return differ(text, message, &t);
	if (t.end - t.start > 2000)
		return 1;
	snprintf(mine, sizeof mine, "%s at or near \"%.*s\"", lx.error,
	    (int)(t.end - t.start), t.start);
	return strcmp(mine, message) == 0 ? 1 : differ(text, message, &t);
}

static int
same_as_postgres(const char *text)
{
	PgQueryScanResult r = pg_query_scan(text);
	PgQuery__ScanResult *tokens;
	int same;

	if (string_with_comment(text)) {
		same = 1;
	} else if (r.error != NULL) {
		same = compare_error(text, r.error->message);
	} else {
		tokens = pg_query__scan_result__unpack(
		    NULL, r.pbuf.len, (const uint8_t *)r.pbuf.data);
		same = tokens != NULL && compare_tokens(text, tokens);
		pg_query__scan_result__free_unpacked(tokens, NULL);
	}
	pg_query_free_scan_result(r);
	return same;
}

#endif
