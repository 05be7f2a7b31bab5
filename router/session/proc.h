/* router/session/proc.h: the process: workers, listeners, reload, shutdown.
 * Thread:  the control thread, but for proc_reload_soon() and proc_shutdown_soon(), which any may call. */
#ifndef WEIR_ROUTER_SESSION_PROC_H
#define WEIR_ROUTER_SESSION_PROC_H

#include "router/session/worker.h"

enum stop_mode { STOP_DRAIN, STOP_NOW, STOP_WAIT_CLIENTS };

/* Everything made and running, listeners open; config's reference is taken over. */
enum rc proc_start(
    struct proc *, struct config *, const char *file, struct err *) WARN_UNUSED;
/* The control thread's loop; returns when the process shall end. */
void proc_run(struct proc *);
void proc_stop(struct proc *);
/* Reads the file again. RC_ERR: nothing has changed; the mistakes are in the log. */
enum rc proc_reload(struct proc *, struct err *) WARN_UNUSED;
/* Another configuration is in force from now on (reload, SET). Takes the reference. */
void proc_publish(struct proc *, struct config *);
/* Carries a command of the admin console out in the control thread, and waits for it. Any thread but that. */
enum control_verb { CONTROL_RELOAD, CONTROL_SHUTDOWN, CONTROL_SET };
enum rc proc_control(struct proc *, enum control_verb, struct slice key,
    struct slice value, int mode, struct err *) WARN_UNUSED;
void proc_let_go(struct proc *, struct snapshot *);
void proc_shutdown(struct proc *, enum stop_mode);

#endif
