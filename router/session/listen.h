/* router/session/listen.h: the listening sockets of one process, TCP and Unix, in the control thread's loop. */
#ifndef WEIR_ROUTER_SESSION_LISTEN_H
#define WEIR_ROUTER_SESSION_LISTEN_H

#include "router/config/config.h"

struct listeners;

/* RC_ERR: an address cannot be had (in use, not ours, no right); nothing is open then. */
enum rc listeners_create(struct listeners **, struct loop *, const struct settings *,
    void (*accepted)(void *arg, int fd, bool unix_socket), void *arg,
    struct err *) WARN_UNUSED;
/* Closes them; the Unix socket's file goes. NULL is harmless. */
void listeners_destroy(struct listeners *);

#endif
