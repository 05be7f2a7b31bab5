/* router/session/usercount.h: clients per user, for max_user_client_connections. Thread: any. */
#ifndef WEIR_ROUTER_SESSION_USERCOUNT_H
#define WEIR_ROUTER_SESSION_USERCOUNT_H

/* Counts one more; returns how many there are now. */
int usercount_add(const char *user);
void usercount_remove(const char *user);

#endif
