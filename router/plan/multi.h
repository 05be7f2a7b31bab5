/* router/plan/multi.h: what a statement that plan_run() refuses, because it needs several
 * shards, becomes: fragments for the shards, and how their rows become the answer. SELECT,
 * INSERT, UPDATE and DELETE; the others are refused with plan_run()'s error.
 * Pure: the same text, parameters, map and schema give the same program; multi_describe()
 * prints it, golden files in tests/plan keep it.
 * Thread:  any. Memory: all of it in ctx->arena, or in the text that was given.
 * Failure: RC_ERR with PostgreSQL's SQLSTATE: 0A000 and a hint for what is not proven to
 *          be right; RC_AGAIN: a key must be looked up first (out->lookup, as PLAN_LOOKUP).
 *
 * How it is driven:
 *
 *   rc = plan_run(shape, i, ctx, &plan, &err);
 *   if (rc == RC_ERR) rc = multi_plan(shape, i, ctx, env, text, &multi, &err2);
 *
 * with the values of all parameters (at Bind, not at Parse: a Parse or Describe of such a
 * statement is answered by any shard that has its tables, with the client's own text).
 * Where the client left types of parameters open, Describe tells them, and each Parse of
 * a fragment must declare the types that Describe told: alone, a fragment might infer
 * another.
 *
 * A text's $k is the client's parameter params[k - 1] (value, format, type); NULL: the
 * client's list as it is. All texts run with the session's role and settings (search_path,
 * DateStyle, TimeZone, client_encoding …), and all fragments that go to one shard on one
 * connection in one REPEATABLE READ transaction, so that they see one snapshot.
 *
 * MULTI_CONCAT, MULTI_SORTED, MULTI_AGGREGATE: one fragment. It goes to each of its shards
 * (at least one), with the client's result formats or, where `merge.formats` is set, with
 * those (which needs the extended protocol). The RowDescriptions must agree in number, name, type (OIDs below 16384),
 * typmod and format, else the shards' schemas differ: an error that names two shards. The
 * rows go through the merger of merge.h, which says whose row is next and when it is
 * enough (LIMIT: then the other branches are cancelled). The client's tag is SELECT n,
 * with n the rows that came out.
 *
 * MULTI_INTERMEDIATE: `final` runs on a primary of one of final_shards, on a connection of
 * its own (it makes temporary tables: no two-phase transaction, no replica), in a
 * transaction that ends with the statement:
 *
 *   BEGIN; for each fragment: its `create`; COPY of its rows by `copy`; `after` unless it
 *   is empty; then `final`, with the client's result formats, whose answer is the
 *   client's answer (RowDescription, rows, tag); ROLLBACK.
 *
 * A fragment's query runs on each of its shards (it may have none: the table stays empty)
 * with all results in binary: a DataRow then is a CopyData of COPY's binary format but for
 * its type byte ('D' becomes 'd'; MULTI_COPY_HEADER goes before, MULTI_COPY_TRAILER after
 * the last). Fragments only read, and may run on replicas that are fresh enough. An error
 * of `create` means that a column cannot stand in a table (42P16): 0A000 for the client.
 *
 * MULTI_WRITE: each fragment's query runs on the primary of each of its shards, all in one
 * transaction over the shards. The client's tag has the sum of their counts; where
 * `same_count` is set (reference tables), it has the count that all must agree in, else
 * XX000 and nothing is committed. Rows (RETURNING) go through the merger, whose inputs are
 * the fragments' shards in order (fragment by fragment, shards ascending); with
 * `same_count`, the first one's rows are the client's.
 */
#ifndef WEIR_ROUTER_PLAN_MULTI_H
#define WEIR_ROUTER_PLAN_MULTI_H

#include "router/plan/merge.h"
#include "router/plan/plan.h"

struct sql_env; /* router/sql/shape.h */

/* One line each: kind, what multi_describe() and metrics call it. */
#define MULTI_KINDS(X)                                                                  \
	X(CONCAT, "concatenate")  /* rows in any order */                               \
	X(SORTED, "merge sorted") /* each shard sorts, k-way merge; DISTINCT */         \
	X(AGGREGATE, "aggregate") /* partial aggregates sorted by group, merged */      \
	X(INTERMEDIATE, "intermediate results") /* fragments to tables, then `final` */ \
	X(WRITE, "write")                       /* each fragment writes on its shards */

enum multi_kind {
#define X(id, text) MULTI_##id,
	MULTI_KINDS(X)
#undef X
	    MULTI_KIND_COUNT
};
const char *multi_kind_name(enum multi_kind);

struct multi_text {
	struct slice sql;       /* not zero-terminated */
	const uint16_t *params; /* NULL: the client's list as it is */
	int n_params;
};

struct multi_fragment {
	struct multi_text query;
	uint64_t shards[16]; /* bitmap, as struct plan's */
	const char *source;  /* the tables that it reads, for people: "orders o" */
	/* INTERMEDIATE */
	const char *table;        /* "weir_1" */
	struct multi_text create; /* CREATE TEMPORARY TABLE … */
	struct slice copy;        /* COPY pg_temp.weir_1 FROM STDIN (FORMAT binary) */
	struct slice after;       /* once it is filled; empty: nothing */
};

struct multi {
	enum multi_kind kind;
	struct multi_fragment *fragments;
	int n_fragments;
	struct merge_spec merge; /* CONCAT, SORTED, AGGREGATE */
	bool same_count;         /* WRITE */
	/* INTERMEDIATE */
	struct multi_text final;
	uint64_t final_shards[16]; /* where `final` may run: they have all its tables */
	struct {
		int distribution;
		struct slice key;
	} lookup; /* RC_AGAIN */
};

#define MULTI_COPY_HEADER     "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"
#define MULTI_COPY_HEADER_LEN 19
#define MULTI_COPY_TRAILER    "\377\377" /* also a CopyData of its own */

/* Statement `i` of `text`, whose shape it is; ctx->params are all its parameters (NULL
 * only where it has none). ctx->schema should be known: without it little is proven. */
enum rc multi_plan(struct shape *, int i, const struct plan_ctx *, const struct sql_env *,
    struct slice text, struct multi *out, struct err *) WARN_UNUSED;

/* Several lines that end with a newline: kind, fragments with their shards and texts, the
 * merge, the final text. */
void multi_describe(
    const struct plan_ctx *, const struct multi *, struct arena *, struct slice *out);

#endif
