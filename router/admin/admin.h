/* router/admin/admin.h: the admin console (database `weir`, alias `pgbouncer`) and the metrics endpoint.
 * Thread:  commands run in their session's worker; what they want of other workers goes round by mail (round.h).
 *          The endpoint has a thread of its own that reads atomics, and never blocks a worker.
 * Wiring:  serve.c sets proc->admin = &admin_ops and calls admin_set_control() before any worker runs, metrics_start()
 *          once they run, and metrics_stop() before they end. */
#ifndef WEIR_ROUTER_ADMIN_ADMIN_H
#define WEIR_ROUTER_ADMIN_ADMIN_H

#include "router/session/worker.h"

extern const struct admin_ops admin_ops;

/* What only the control thread may do. Each may block its caller (a dialer thread) until it is done. */
struct admin_control {
	enum rc (*reload)(struct proc *, struct err *);
	void (*shutdown)(
	    struct proc *, int mode); /* enum stop_mode of router/session/proc.h */
	enum rc (*set)(struct proc *, struct slice key, struct slice value, struct err *);
};
/* Kept by reference. */
void admin_set_control(const struct admin_control *);

/* Begins the averages of SHOW STATS, and serves http://address:port/metrics and /health; port 0: no endpoint.
 * RC_ERR (58030): it cannot listen there. */
enum rc metrics_start(
    struct proc *, const char *address, int port, struct err *) WARN_UNUSED;
/* The endpoint is gone, and no mail that is still on its way will touch anything. */
void metrics_stop(void);

#endif
