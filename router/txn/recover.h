/* router/txn/recover.h: recovery, as step functions: of one prepared transaction whose coordinator is silent; and the removal of
 * verdicts that can no longer matter. No leader, no memory: any proxy may run them for any other, two at once, at any moment, and
 * stop anywhere. Pure; the caller (router/recovery, or the simulator) runs the SQL, each text as one simple Query in no transaction, at
 * READ COMMITTED, with lock_timeout, and says what came of it.
 *
 * One gid:    list (RECOVER_SQL_LIST) → older than recovery_grace and not our own → recover_begin() → recover_reply() … RECOVER_END.
 *             The verdict comes first: whoever inserts 'abort' on the anchor before the anchor's own commit has made it impossible.
 * Verdicts:   on each shard RECOVER_SQL_FORGET_ABORTS; and for each row of RECOVER_SQL_OLD sweep_begin() … SWEEP_END. */
#ifndef WEIR_ROUTER_TXN_RECOVER_H
#define WEIR_ROUTER_TXN_RECOVER_H

#include "router/txn/commit.h"

/* gid, owner, seconds since it was prepared, is it of this database; of what looks like ours. */
#define RECOVER_SQL_LIST                                                                  \
	"SELECT gid, owner, extract(epoch FROM clock_timestamp() - prepared)::float8, "   \
	"database OPERATOR(pg_catalog.=) pg_catalog.current_database() "                  \
	"FROM pg_catalog.pg_prepared_xacts WHERE gid OPERATOR(pg_catalog.~~) 'weir\\_%' " \
	"ORDER BY prepared"
/* Without an error in the server's log where there is no catalog. */
#define RECOVER_SQL_CATALOG                                                        \
	"SELECT pg_catalog.to_regprocedure('weir.shard_identity()') IS NOT NULL, " \
	"pg_catalog.current_setting('max_prepared_transactions')"
#define RECOVER_SQL_IDENTITY      "SELECT weir.shard_identity()"
#define RECOVER_SQL_FORGET_ABORTS "SELECT weir.txn_forget_aborts()"

enum recover_where {
	RECOVER_ON_ANCHOR, /* the shard whose identity is recover.gid.anchor */
	RECOVER_ON_HOLDER, /* the server that has it prepared; in its database, as its owner */
	RECOVER_END        /* recover.result says how */
};

struct recover_reply {
	bool lost;            /* not reached, or lost on the way */
	const char *sqlstate; /* an error; NULL: done */
	const char *value;    /* of the only row's only column, or NULL */
};

enum recover_result {
#define RESULT(id, name, done, doc) RECOVER_##id,
#include "router/txn/recover_result.def"
	RECOVER_RESULTS
};
const char *recover_result_name(enum recover_result);
const char *recover_result_text(enum recover_result);
/* It is finished, now or before; else somebody must come again. */
bool recover_result_done(enum recover_result);

struct recover {
	struct gid gid;
	char name[GID_MAX];
	enum recover_state { RECOVER_ASKING, RECOVER_FINISHING, RECOVER_DONE } state;
	enum txn_verdict verdict; /* UNKNOWN until the anchor has said */
	enum recover_result result;
	char sql[GID_MAX + 60];
};

/* The first statement is in r->sql. */
enum recover_where recover_begin(struct recover *, const struct gid *);
enum recover_where recover_reply(struct recover *, const struct recover_reply *);

/* TXN_SETTLE: the anchor alone. Its SQL is the same; what its answer means. */
void recover_verdict_sql(const char *key, char *out, size_t size);
enum txn_verdict recover_verdict(const struct recover_reply *);
/* What a coordinator may believe that has waited for age_us since its COMMIT began. A 'commit' may have been removed after
 * txn_retention, and then the anchor says 'abort': who was frozen for so long does not know. */
enum txn_verdict recover_believe(
    enum txn_verdict, uint64_t age_us, uint64_t retention_us);

/* ---- removal of a 'commit' ---- */

enum sweep_where {
	SWEEP_ON_PARTICIPANT, /* the shard whose identity is s->participant */
	SWEEP_ON_ANCHOR,      /* the shard that has the verdict */
	SWEEP_END
};

struct sweep {
	char key[TXN_KEY_SIZE];
	const char *rest; /* of the participants, not looked at yet; the caller's text */
	struct txn_identity participant;
	uint64_t retention_us;
	bool deleting;
	enum sweep_result {
		SWEEP_REMOVED,
		SWEEP_PREPARED, /* a participant still has it prepared: recovery comes first */
		SWEEP_UNREACHABLE, /* a participant could not be asked: the verdict is kept */
		SWEEP_BAD          /* not a row that Weir has written; kept */
	} result;
	char sql[400];
};

/* gid and participants, an array's text "{0:IDENTITY,2:IDENTITY}", of verdicts old enough. Up to `size` bytes. */
void sweep_old_sql(uint64_t retention_us, char *out, size_t size);
/* `participants` stays valid until SWEEP_END. */
enum sweep_where sweep_begin(
    struct sweep *, struct slice key, const char *participants, uint64_t retention_us);
/* On a participant: value NULL means that it has no such prepared transaction. */
enum sweep_where sweep_reply(struct sweep *, const struct recover_reply *);

#endif
