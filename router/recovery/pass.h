/* router/recovery/pass.h: one look at all shards of a database: what is prepared there and whose coordinator is silent is
 * finished, verdicts that can no longer matter are removed. The decisions are router/txn/recover.h's; this carries them out.
 * Thread: the service's, or a command's. */
#ifndef WEIR_ROUTER_RECOVERY_PASS_H
#define WEIR_ROUTER_RECOVERY_PASS_H

#include "router/recovery/site.h"

/* A prepared transaction of ours that was found. */
struct found {
	char gid[GID_MAX];
	char key[TXN_KEY_SIZE];
	char owner[64];
	const char *shard;  /* that has it prepared */
	const char *anchor; /* NULL: not known */
	int shard_index, anchor_index;
	double age_s;
	bool
	    foreign_database; /* of another database of that server: another's to finish */
	bool active;          /* this process is about to finish it */
	bool young;           /* not older than recovery_grace */
	bool tried;           /* then result says what came of it */
	enum txn_verdict verdict;
	enum recover_result result;
	char error[300];
};

struct pass {
	struct site *site;
	struct arena arena;
	struct found *found;
	int n, cap;
	int unreachable; /* shards that could not be asked */
	uint64_t removed_commits, removed_aborts;
};

void pass_init(struct pass *, struct site *);
void pass_fini(struct pass *);
/* Finds, in the order of the shards. */
void pass_list(struct pass *);
/* Which verdict stands, without making one. */
void pass_look(struct pass *, struct found *);
/* Recovers this one, whatever its age. */
void pass_recover(struct pass *, struct found *);
/* COMMIT or ROLLBACK PREPARED without asking anybody. */
void pass_force(struct pass *, struct found *, enum txn_verdict);
/* Recovers those that are not young, and not this process's own. */
void pass_recover_all(struct pass *);
void pass_sweep(struct pass *);
/* TXN_SETTLE. */
enum txn_verdict pass_settle(struct site *, const char *key);

#endif
