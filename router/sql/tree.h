/* router/sql/tree.h: libpg_query's parse trees as something to change: parse, copy, walk,
 * compare, and back to text.
 * Thread:  any; pure.
 * Memory:  everything in the arena; nothing is freed by itself.
 * Failure: 42601 what cannot be parsed; 0A000 a tree whose text does not read as the same
 *          tree again (each text is parsed once more and compared). */
#ifndef WEIR_ROUTER_SQL_TREE_H
#define WEIR_ROUTER_SQL_TREE_H

#include <pg_query/pg_query.pb-c.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "router/sql/stmt.h"

#define NODE_IS(n, x) ((n) != NULL && (n)->node_case == PG_QUERY__NODE__NODE_##x)

enum rc tree_parse(
    struct arena *, struct slice text, PgQuery__ParseResult **, struct err *) WARN_UNUSED;
/* The analysis of a tree of this text; its levels and tables point into the tree
 * (`node`), which must live as long. Freed with sql_stmts_free(). */
struct sql_stmts *tree_analyze(const PgQuery__ParseResult *, struct slice text,
    const struct sql_const *consts, uint32_t n_consts);

/* A deep copy of any message of the tree. */
void *tree_copy(struct arena *, const void *message);
/* But for positions in the text. NULL equals NULL only. */
bool tree_equal(const void *a, const void *b);
/* Calls fn for each message below (the root too), parents first, until it says WALK_END;
 * WALK_SKIP: not into this one. Returns whether WALK_END was said. */
enum walk { WALK_ON, WALK_SKIP, WALK_END };
typedef enum walk tree_fn(void *arg, ProtobufCMessage *);
bool tree_walk(void *message, tree_fn *, void *arg);
/* The node that a message is, if it is a Node; else NULL. */
static inline PgQuery__Node *
tree_node(ProtobufCMessage *m)
{
	return m->descriptor == &pg_query__node__descriptor ? (PgQuery__Node *)(void *)m
							    : NULL;
}

/* The text of one statement. */
enum rc tree_text(
    struct arena *, PgQuery__Node *stmt, struct slice *, struct err *) WARN_UNUSED;
/* Gives the parameters of a statement the numbers 1, 2, … in the order of their numbers;
 * (*params)[k - 1] is what the new $k was. */
int tree_renumber(struct arena *, PgQuery__Node *stmt, const uint16_t **params);

/* ---- new nodes ---- */

PgQuery__Node *tree_string(struct arena *, const char *);
PgQuery__Node *tree_int(struct arena *, int64_t);
/* a.b; a may be NULL */
PgQuery__Node *tree_column(struct arena *, const char *a, const char *b);
PgQuery__Node *tree_target(struct arena *, PgQuery__Node *value, const char *name);
/* [pg_catalog.]name(args …) */
PgQuery__Node *tree_call(
    struct arena *, bool catalog, const char *name, PgQuery__Node **args, int n);
/* (value)::pg_catalog.type */
PgQuery__Node *tree_cast(struct arena *, PgQuery__Node *value, const char *type);
PgQuery__Node *tree_and(struct arena *, PgQuery__Node *const *args, int n);
PgQuery__Node *tree_operator(
    struct arena *, const char *op, PgQuery__Node *left, PgQuery__Node *right);
PgQuery__Node *tree_nullif(struct arena *, PgQuery__Node *, PgQuery__Node *);
PgQuery__Node *tree_coalesce(struct arena *, PgQuery__Node *, PgQuery__Node *);
PgQuery__Node *tree_collate(struct arena *, PgQuery__Node *, const char *collation);
PgQuery__Node *tree_sort(struct arena *, PgQuery__Node *, bool desc, bool nulls_first);
PgQuery__Node *tree_table(
    struct arena *, const char *schema, const char *name, const char *alias);
/* (query) AS alias */
PgQuery__Node *tree_subselect(struct arena *, PgQuery__Node *query, const char *alias);
PgQuery__Node *tree_select(struct arena *, PgQuery__SelectStmt **);
/* Adds to the end of a list of nodes. */
void tree_push(struct arena *, size_t *n, PgQuery__Node ***list, PgQuery__Node *);

/* NULL: no string node */
static inline const char *
tree_str(const PgQuery__Node *n)
{
	return NODE_IS(n, STRING) ? n->string->sval : NULL;
}

#endif
