/* router/sql/analyze_int.h: what the files of the analysis share; nobody else includes
 * it. analyze.c            a text: limits, hints, libpg_query, one statement after the
 * other analyze_scan.c       a small scanner, for what the parse tree does not tell
 * (positions, comments, nesting) analyze_utility.c    SET, transactions, cursors and the
 * like analyze_ddl.c        which tables and which scope DDL and maintenance have
 * analyze_query.c      levels, tables, joins
 * analyze_expr.c       expressions and conditions */
#ifndef WEIR_ROUTER_SQL_ANALYZE_INT_H
#define WEIR_ROUTER_SQL_ANALYZE_INT_H

#include <pg_query/pg_query.pb-c.h>

#include "router/sql/query.h"
#include "router/sql/stmt.h"

/* A statement whose parse tree may be deeper than this is not given to libpg_query, which
 * recurses without looking at its stack (some 8 kB a level of subqueries). */
#define ANALYZE_DEPTH_MAX 400
#define ANALYZE_TEXT_MAX  (64 * 1024 * 1024)

struct analysis {
	struct arena *arena;
	const char *text; /* a copy, followed by a zero; gone after the analysis */
	size_t len;
	const struct sql_const *consts;
	uint32_t n_consts;
	const char *consts_base; /* the caller's text, which consts point into */
	struct sql_stmt *stmt;
	struct sql_func *funcs;
	int n_funcs;
	int depth;
	bool keep_nodes; /* the parse tree outlives the analysis */
};

/* What of the parse tree a level or table came from. */
static inline void *
an_node(const struct analysis *an, const void *node)
{
	return an->keep_nodes ? (void *)(uintptr_t)node : NULL;
}

/* Room for one more at the end of an array in the arena that has grown by this call only;
 * AN_PUSH gives its address. */
void *an_grow(struct analysis *, void *array, int n, size_t size);
#define AN_PUSH(an, array, n) \
	((array) = an_grow((an), (array), (n), sizeof *(array)), &(array)[(n)++])

/* ---- scanner ---- */
enum token {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_NAME,
	TOKEN_STRING,
	TOKEN_NUMBER,
	TOKEN_PARAM,
	TOKEN_OP,
	TOKEN_PUNCT,
	TOKEN_COMMENT
};
struct scan {
	const char *p, *end;
	const char *token; /* start of the latest token */
	size_t len;
};
enum token scan_next(struct scan *);         /* skips comments */
enum token scan_next_comment(struct scan *); /* returns them too */
bool scan_word(
    const struct scan *, const char *lower); /* the latest token is this keyword */
/* Deepest nesting that the parse tree of the text may have. */
int scan_depth(struct slice text);
void scan_hints(struct slice text, struct sql_stmts *);
/* The rest of `text` behind its first token that is the keyword, outside of parentheses;
 * empty if there is none. */
struct slice scan_behind(struct slice text, const char *keyword);
/* EXPLAIN's: behind its options. */
struct slice scan_behind_explain(struct slice text);
struct slice scan_trim(struct slice);

/* ---- expressions (analyze_expr.c) ---- */
/* Where an expression stands: subqueries in it hang there. */
struct spot {
	struct sql_query *level;
	enum query_place place; /* PLACE_TOP, PLACE_ON */
	struct sql_from *at;
};
void an_expr(struct analysis *, struct spot, const PgQuery__Node *, struct sql_expr *);
struct sql_cond *an_cond(struct analysis *, struct spot, const PgQuery__Node *);
/* Records functions, operators and subqueries anywhere below. */
void an_walk(struct analysis *, struct spot, const ProtobufCMessage *);
void an_walk_list(struct analysis *, struct spot, size_t n, PgQuery__Node *const *);
const char *an_string(const PgQuery__Node *); /* NULL: not a string */
const char *an_type_name(struct analysis *,
    const PgQuery__TypeName *); /* "int8", "_int8"; NULL: unknown or with a typmod */
/* Two-part names: the last goes to *name, the one before to *schema or NULL. */
void an_name(struct analysis *, size_t n, PgQuery__Node *const *, const char **schema,
    const char **name);
const char *an_strdup(struct analysis *, const char *); /* "" and NULL give NULL */

/* ---- levels (analyze_query.c) ---- */
struct sql_query *an_query(struct analysis *, const PgQuery__Node *,
    struct sql_query *parent, enum query_place, struct sql_from *at);
struct sql_query *an_select(struct analysis *, const PgQuery__SelectStmt *,
    struct sql_query *parent, enum query_place, struct sql_from *at);
struct sql_query *an_level(struct analysis *, enum query_kind, struct sql_query *parent,
    enum query_place, struct sql_from *at);
/* Adds a table to the FROM list of a level. */
struct sql_rel *an_add_table(
    struct analysis *, struct sql_query *, const PgQuery__RangeVar *);

/* ---- statements ---- */
struct sql_stmts *sql_stmts_create(void);
void an_statement(struct analysis *, const PgQuery__Node *);
/* False: not one of theirs. */
bool an_utility(struct analysis *, const PgQuery__Node *);
void an_ddl(struct analysis *, const PgQuery__Node *);
/* Notes the name of what a statement makes. */
void an_makes(struct analysis *, const PgQuery__RangeVar *);
/* Fills `stmt` for a nested statement and returns it. */
struct sql_stmt *an_inner(struct analysis *, const PgQuery__Node *);

#endif
