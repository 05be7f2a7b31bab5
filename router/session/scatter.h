/* router/session/scatter.h: carries a statement over several shards out (router/plan/multi.h says what it becomes). The servers that it needs
 * are taken one after the other, in the shards' order, so that two sessions never wait for each other outside transactions; in a
 * transaction they are its branches. scatter_rows.c puts the rows together; scatter_tables.c loads intermediate results and runs
 * the final query.
 * Thread:  the session's worker's.
 * Memory:  heap, with an arena of its own; x->scatter, or a portal's until it is executed.
 * Failure: the first error is the statement's; the other servers are cancelled, and all have come to rest before the client hears of it. */
#ifndef WEIR_ROUTER_SESSION_SCATTER_H
#define WEIR_ROUTER_SESSION_SCATTER_H

#include "router/plan/multi.h"
#include "router/session/session.h"

enum scatter_phase {
	SCATTER_PLANNED,
	SCATTER_SERVERS, /* connections are being taken */
	SCATTER_RUNNING,
	SCATTER_FAILING, /* an error has come, or the client cancelled: servers come to rest */
	SCATTER_OVER
};

/* A shard that takes part. */
struct scatter_shard {
	int shard;
	struct branch *branch; /* NULL: not yet, or lost */
	struct backend *backend;
	int fragment; /* WRITE: what it runs */
};

struct scatter {
	struct session *session;
	struct arena arena;
	struct multi multi;
	enum scatter_phase phase;
	/* the client's parameters and result formats, as in Bind */
	const struct plan_param *params;
	int n_params;
	uint32_t *oids; /* as many as parameters; 0: not known */
	const int16_t *formats;
	int n_formats;
	int final_shard;
	int holds;      /* functions that still look at it */
	bool extended;  /* the answer is to Execute, else to Query */
	bool describe;  /* the client is told the rows' description */
	bool read_only; /* may run on replicas */
	int max_rows;   /* of Execute; 0: all */
	int fetch;      /* what the shards' Execute says */
	bool cut;       /* there are more rows */
	bool only_describe;
	struct multi_text client; /* the client's own text, with all parameters */
	/* the transaction that waits while this runs beside it (set_aside()) */
	struct {
		bool active;
		struct list branches;
		char *begin;
		struct txlog log;
	} aside;
	struct scatter_shard *shards;
	int n_shards, next; /* next: shards before it have a branch */
	bool replaying;     /* FAILING: a server is still being brought up to date */
	int busy;           /* branches that have not come to rest */
	bool asked_to_stop; /* by the client, or a time limit */
	struct err error;   /* sqlstate empty: none */
	char *error_body;   /* of error.raw; heap */
	void (*at_rest)(struct scatter *);    /* FAILING: what follows */
	void (*types_then)(struct scatter *); /* what waits for the parameters' types */
	/* ---- scatter_rows.c ---- */
	struct merge *merge;
	struct slice first_columns; /* RowDescription of the first shard; in arena */
	int described, ended;
	bool pulling, plain,
	    draining; /* draining: the answer is whole, what else comes is dropped */
	struct branch **by_input;
	bool *fed; /* by input: a row has come since it was asked for */
	uint64_t rows;
	int64_t skipped;
	/* ---- scatter_write.c ---- */
	bool own_block; /* the client has no transaction block: it commits by itself */
	int tags;       /* that have come */
	uint64_t count;
	/* ---- scatter_tables.c ---- */
	struct branch *final;
	int fragment;
	uint64_t bytes;
	bool copying; /* the final's server takes CopyData */
	char tag[64];
	enum {
		STEP_BEGIN,
		STEP_CREATE, /* from here to AFTER: once for each fragment */
		STEP_LOAD_OWN,
		STEP_COPY,
		STEP_AFTER,
		STEP_FINAL,
		STEP_END
	} step;
};

/* One shard cannot answer it (*why): may several? */
bool scatter_may_do(
    const struct session *, const struct sql_stmt *, const struct err *why);
/* RC_OK: *plan is PLAN_MULTI and scatter_planned() has the rest, or PLAN_LOOKUP. RC_ERR: refused. */
enum rc scatter_plan(struct session *, struct shape *, int i, const struct plan_ctx *,
    struct plan *, struct err *) WARN_UNUSED;
/* The caller's from now on. */
struct scatter *scatter_planned(struct session *);
/* The answer to a Describe of its portal: what one shard says. */
void scatter_describe(struct session *, struct scatter *);
/* Its phase is OVER; it is freed when nobody holds it. */
void scatter_destroy(struct scatter *);
void scatter_hold(struct scatter *);
void scatter_let_go(struct scatter *);
/* Takes it over as x->scatter, and blocks the session until it is over. */
void scatter_run(struct session *, struct scatter *);
/* The error goes to the client; all servers are at rest. */
void scatter_report(struct scatter *);
/* The first error; others are ignored. */
void scatter_fail(struct scatter *, const struct err *);
void scatter_lost(struct scatter *, struct branch *);
void scatter_cancel(struct session *, const char *why);
/* Servers that do not obey the cancel are closed. */
void scatter_give_up(struct scatter *);
void scatter_client_drained(struct session *);
/* All is done: tag, e.g. "SELECT 5". */
void scatter_finish(struct scatter *, const char *tag);
/* A server's own error. */
void scatter_server_error(struct scatter *, struct branch *, struct slice body);
/* A branch came to rest or was lost: when all have, goes on. */
void scatter_rested(struct scatter *, struct branch *);
/* Sends Parse, Bind, Describe, Execute and Sync for a text. */
void scatter_send(struct scatter *, struct branch *, const struct multi_text *,
    const int16_t *formats, int n_formats);
struct branch *scatter_branch(struct scatter *, int shard);
/* Asks a server for the types of parameters that the client left open: alone, a fragment might infer others. */
void scatter_types(struct scatter *, struct branch *, void (*then)(struct scatter *));

/* ---- the two ways ---- */
void scatter_rows_begin(struct scatter *);
void scatter_rows_end(struct scatter *);
bool scatter_enough(struct scatter *);
void scatter_rows_drained(struct scatter *);
bool scatter_write_inputs(struct scatter *);
void scatter_write_tag(struct scatter *, struct branch *, struct slice body);
void scatter_write_whole_tag(struct scatter *, char *out, size_t size);
void scatter_own_block(struct scatter *);
void scatter_end_block(struct scatter *, bool commit);
void scatter_tables_begin(struct scatter *);
/* An error has come: the COPY under way, if any, is ended. */
void scatter_tables_failing(struct scatter *);
void scatter_tables_drained(struct scatter *);

#endif
