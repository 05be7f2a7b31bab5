/* router/plan/merge.h: rows of several servers become the rows of one answer.
 * Inputs are DataRow messages of statements with the same columns; memory grows with the
 * number of inputs (one row each, copied), not with rows. Pull model:
 *
 *   m = merge_create(spec, n_inputs);
 *   merge_columns(m, RowDescription's body, &err);     types and formats; once
 *   for (;;) switch (merge_next(m, &out, &err)) {
 *     MERGE_FEED: the next DataRow of input out.input: merge_feed(m, input, body), or at
 *                 its CommandComplete merge_end(m, input). Others may be fed early, one
 *                 row each, when merge_wants(m, input).
 *     MERGE_ROW:  out.row is the body of a DataRow for the client: the fed bytes
 *                 themselves, or a row of the merger's own; valid until the next call.
 *     MERGE_DONE: enough; inputs that have not ended may be cancelled.
 *     MERGE_FAILED: err, with its SQLSTATE. }
 *
 * "Body" is a message without its type byte and length. The bytes that a CONCAT is fed
 * (no keys, no outs) must stay where they are until MERGE_ROW has given them back and
 * merge_next() is called again; those of the others are copied. LIMIT 0 is MERGE_DONE at
 * once: the RowDescription is still the client's due.
 * Thread:  any, one at a time. Pure: no sockets, no clock.
 * Failure: malformed rows (08P01), values that are not of their type (22P03, 22P02),
 *          overflow (22003), columns whose comparison is not known to be exact (0A000). */
#ifndef WEIR_ROUTER_PLAN_MERGE_H
#define WEIR_ROUTER_PLAN_MERGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

struct merge_key {
	int column; /* of the inputs, from 0 */
	bool desc, nulls_first;
	bool bytes; /* text that is sorted by COLLATE "C" */
};

/* How an output column of an AGGREGATE comes from the input column `a`, which has its
 * name and type, and `b`. NULLs as the aggregate of that name. */
#define MERGE_OPS(X)                                                     \
	X(GROUP, "group key") /* the first of the group's */             \
	X(COUNT, "count")     /* bigint: their sum, 22003 beyond */      \
	X(SUM_INT, "sum")     /* bigint: sums of smallint and integer */ \
	X(SUM_NUMERIC, "sum") /* numeric: sums of bigint and numeric */  \
	X(AVG, "avg")         /* a: numeric sums, b: bigint counts */    \
	X(MIN, "min")                                                    \
	X(MAX, "max") /* a where b is least or greatest */               \
	X(AND, "bool_and") X(OR, "bool_or")

enum merge_op {
#define X(id, text) MERGE_##id,
	MERGE_OPS(X)
#undef X
	    MERGE_OP_COUNT
};

struct merge_out {
	enum merge_op op;
	int a, b;
};

#define MERGE_CLIENTS (-1) /* the format that the client wants */

struct merge_spec {
	/* keys: how the inputs are sorted. None: as they come; AGGREGATE: one group */
	const struct merge_key *keys;
	int n_keys;
	int n_distinct; /* rows that agree in the first n keys: the first one counts */
	const struct merge_out *outs; /* AGGREGATE: the client's columns; else NULL */
	int n_outs;
	/* Without keys: the input whose turn each row is (INSERT … RETURNING gives rows in
	 * their order); one that has ended is passed over. NULL: as they come */
	const uint16_t *turns;
	int n_turns;
	int n_junk; /* columns at the end of the inputs that the client did not ask for */
	int64_t limit, offset; /* limit -1: none */
	/* The result formats of a fragment's Bind, one for each of its columns: 0, 1, or
	 * MERGE_CLIENTS: what the client's Bind asks for that column of its own (so for all
	 * that are not computed or compared). NULL: the client's list as it is. */
	const int16_t *formats;
	int n_formats;
	/* AGGREGATE: what the client's Bind said, for merge_create(); as Bind has it: none
	 * (all text), one for all, or one a column. Set by the session. */
	const int16_t *client_formats;
	int n_client_formats;
};

enum merge_step { MERGE_FEED, MERGE_ROW, MERGE_DONE, MERGE_FAILED };

struct merge_result {
	int input;        /* FEED */
	struct slice row; /* ROW */
};

struct merge;

struct merge *merge_create(const struct merge_spec *, int n_inputs);
void merge_destroy(struct merge *);
/* The body of a RowDescription of the inputs. *client: what the client must be told, the
 * same bytes or without the junk; as long as the merge lives. */
enum rc merge_columns(struct merge *, struct slice description, struct slice *client,
    struct err *) WARN_UNUSED;
enum merge_step merge_next(struct merge *, struct merge_result *, struct err *);
bool merge_wants(const struct merge *, int input);
void merge_feed(struct merge *, int input, struct slice row);
void merge_end(struct merge *, int input);
/* Rows given out. */
uint64_t merge_rows(const struct merge *);

#endif
