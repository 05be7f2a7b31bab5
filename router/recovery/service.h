/* router/recovery/service.h: the recovery service of `weir serve`: a thread that looks at the databases of several shards every
 * recovery_period, recovers, removes old verdicts, and answers what sessions ask (router/txn/registry.h).
 * Thread:  its own; the rest of these functions: any. libpq; one connection to each shard's primary, outside the budgets. */
#ifndef WEIR_ROUTER_RECOVERY_SERVICE_H
#define WEIR_ROUTER_RECOVERY_SERVICE_H

#include "router/recovery/pass.h"
#include "router/session/worker.h"

enum rc recovery_start(struct proc *, struct err *) WARN_UNUSED;
/* Waits for the statement that it runs, some seconds at most. */
void recovery_stop(void);

/* What the last look has found and not finished, for SHOW TRANSACTIONS. */
struct recovery_row {
	char database[64], shard[64], anchor[64], owner[64];
	char gid[GID_MAX];
	double age_s; /* when it was found */
	uint64_t found_us;
	enum txn_verdict verdict;
	const char *why; /* not finished yet */
};
void recovery_each(void (*fn)(const struct recovery_row *, void *arg), void *arg);

enum recovery_count {
	RECOVERY_IN_DOUBT,
	RECOVERY_OLDEST_S,
	RECOVERY_PASSES,
	RECOVERY_COMMITTED,
	RECOVERY_ROLLED_BACK,
	RECOVERY_REMOVED_VERDICTS,
	RECOVERY_UNREACHABLE, /* shards, at the last look */
	RECOVERY_COUNTS
};
uint64_t recovery_count(enum recovery_count);

#endif
