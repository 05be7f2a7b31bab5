/* router/admin/round.h: a round of mail through the workers, for a command that wants something of each.
 *
 *   start --mail to each--> visit, in each worker's thread --the last one--> complete
 *   a console's: complete = mail home --> finish, in the session's worker --RC_AGAIN--> the same once more, a little later
 *
 * Thread:  visit() has its part for itself; finish() has all. Memory: a round is its own until it is answered; the
 *          session may go meanwhile, then nobody is answered. A round that runs when the process ends is left alone.
 * Failure: finish() says RC_ERR, and the client gets it. */
#ifndef WEIR_ROUTER_ADMIN_ROUND_H
#define WEIR_ROUTER_ADMIN_ROUND_H

#include "pool/dialer.h"
#include "router/admin/parse.h"
#include "router/session/session.h"

struct round;

struct part {
	struct mail mail;
	struct round *round;
	struct worker *w;
	struct arena arena; /* records live in it */
	struct msgbuf rows; /* whole DataRow messages */
	void *records;      /* the visitor's */
	uint64_t n[4];      /* counts of the visitor's */
};

struct round {
	struct list node; /* all rounds */
	struct proc *proc;
	struct mail homeward;
	struct timer again;
	struct job job;
	struct worker *home; /* NULL: no console asks */
	uint64_t session, number;
	struct arena arena;
	struct admin_line line;
	const char *database; /* line.arg as text; NULL: all */
	bool with_columns;
	int passes; /* complete ones */
	uint64_t started_us;
	uint64_t
	    quiet_us; /* PAUSE: since when no server connection is left; 0: there are some */
	bool force; /* SUSPEND: time is up */
	enum rc rc; /* of a job */
	struct err err;
	void (*visit)(struct round *, struct part *);
	enum rc (*finish)(struct round *, struct msgbuf *out, struct err *);
	void (*complete)(struct round *);
	void (*run)(struct round *); /* of a job */
	void *arg;                   /* of `complete` */
	int n_parts;
	atomic_int left;
	struct part parts[];
};

/* What a command's handler gets. */
struct call {
	struct session *session;
	struct worker *w;
	const struct admin_line *line;
	bool with_columns;
	struct msgbuf
	    *out; /* for rows; RowDescription and CommandComplete are put around them */
};

/* home, session: whose command it is; NULL, 0: none's. Others see them from here on. */
struct round *round_create(struct proc *, struct worker *home, uint64_t session,
    void (*complete)(struct round *));
void round_free(struct round *);
void round_start(struct round *);

/* The command goes round. Always RC_AGAIN: what the handler returns. */
enum rc round_run(struct call *, void (*visit)(struct round *, struct part *),
    enum rc (*finish)(struct round *, struct msgbuf *out, struct err *));
/* The command's `run` is carried out by a dialer thread, which may block; it sets round->rc and round->err. */
enum rc round_dial(struct call *, void (*run)(struct round *));

/* From now on mail on its way does nothing. */
void rounds_stop(void);

#define EACH_SESSION(w, s)                                                           \
	LIST_FOREACH_SAFE(s##_node, &(w)->sessions)                                  \
		for (struct session *s = LIST_ENTRY(s##_node, struct session, node); \
		     s != NULL; s = NULL)

#endif
