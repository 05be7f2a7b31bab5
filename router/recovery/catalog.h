/* router/recovery/catalog.h: schema weir on the shards, which commits over several of them stand on.
 * Thread: any that may block; libpq. One transaction a shard: all of it or nothing, and it can be run again at any time. */
#ifndef WEIR_ROUTER_RECOVERY_CATALOG_H
#define WEIR_ROUTER_RECOVERY_CATALOG_H

#include <libpq-fe.h>

#include "base/err.h"

/* Makes what is missing, as the connection's user, for the user `role` who does Weir's own work. `made` is called for each thing that
 * was not there ("table", "weir.txn"). */
enum rc catalog_init(PGconn *, const char *role,
    void (*made)(const char *kind, const char *name, void *arg), void *arg,
    struct err *) WARN_UNUSED;

#endif
