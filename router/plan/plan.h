/* router/plan/plan.h: where a statement runs. Pure: the same text, constants, parameters, map and schema give the same plan; golden files
 * in tests/plan show it and `weir explain` prints it.
 * The slow half (plan_compile) runs once a shape and epoch: names are resolved by search_path and schema, and the key values' places
 * noted. The fast half (plan_run) reads the values, hashes or looks them up, and names the shard.
 * Thread:  the calling worker's. Memory: a compiled plan belongs to the shape (shape->route). */
#ifndef WEIR_ROUTER_PLAN_PLAN_H
#define WEIR_ROUTER_PLAN_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "router/sql/shape.h"
#include "router/sql/stmt.h"

struct shard_map; /* router/route/map.h */
struct schema;    /* router/route/schema.h */

#define SHARD_NONE (-1)

enum plan_kind {
	PLAN_ONE, /* forward to `shard` */
	PLAN_ANY, /* any shard is right (reference tables only, no table at all): stay where the session is, else `shard`
	              * (the default shard, or the first) */
	PLAN_ALL, /* DDL and maintenance: on every shard of `shards` (a bitmap), one after the other */
	PLAN_LOOKUP, /* a directory key is not in the cache: look `lookup` up, then run the plan again */
	PLAN_MULTI /* several shards: multi.h says how; plan_run() never gives it, who tries multi_plan() behind it does */
};

struct plan {
	enum plan_kind kind;
	int shard;
	bool
	    read_only; /* may run on a replica: nothing written or locked, no volatile function */
	bool
	    locks_only; /* not read_only, but all it does is lock the rows that it reads */
	bool
	    temp; /* a temporary table is in it, or made: it belongs where the session's are */
	bool
	    sharded; /* touches a sharded or reference table (else it is transaction control, SET, catalogs …) */
	uint64_t shards[16]; /* PLAN_ALL: bitmap, up to 1024 shards */
	struct {
		int distribution; /* index in the map */
		struct slice key; /* canonical text of the key; lives in plan_ctx.arena */
	} lookup;
};

/* One parameter of a Bind. len -1: NULL. */
struct plan_param {
	const char *ptr;
	int32_t len;
	int16_t format; /* 0 text, 1 binary */
};

struct plan_ctx {
	const struct shard_map
	    *map; /* never NULL; a one-shard database has a map with no distribution */
	const struct schema *schema; /* NULL: not known (yet) */
	const char *search_path;     /* as the session has it: "\"$user\", public" */
	const char *user;            /* for "$user" */
	const char *date_style;      /* "ISO, MDY" */
	const char *time_zone;       /* "UTC" */
	const char *client_encoding; /* "UTF8" */
	const char *server_encoding;
	const struct sql_consts *consts;
	const struct plan_param *
	    params; /* NULL where a Parse or Describe comes before its Bind: plans then say any shard that
	                                  * has the table (kind ANY) */
	int n_params;
	const uint32_t *
	    param_oids; /* declared by Parse; may be shorter than n_params (n_oids); 0: unspecified */
	int n_oids;
	const char *const *
	    temp_tables; /* names the session created as temporary, NULL-ended; or NULL */
	struct arena *arena; /* for values; reset by the caller after the statement */
};

/* Where statement `i` of the shape runs. RC_ERR: refused (0A000, 42P01, 22P02 …) with a hint; read_only and sharded are
 * right then too, for a session that has named its shard (weir.shard) and goes there in spite of it. */
enum rc plan_run(struct shape *, int i, const struct plan_ctx *, struct plan *,
    struct err *) WARN_UNUSED;

/* For `weir explain`, EXPLAIN and golden files: several lines of text that end with a newline. */
void plan_describe(struct shape *, int i, const struct plan_ctx *, const struct plan *,
    struct arena *, struct slice *out);

#endif
