/* router/config/service.h: the two files that conninfo strings may name: services
 * (pg_service.conf) and passwords (.pgpass). libpq reads them only while it connects;
 * Weir connects by itself, and reads them once, with its configuration.
 * Memory:  the arena's.
 * Failure: F0000; the text names the file. */
#ifndef WEIR_ROUTER_CONFIG_SERVICE_H
#define WEIR_ROUTER_CONFIG_SERVICE_H

#include "router/config/config.h"

/* From the file named by PGSERVICEFILE, else ~/.pg_service.conf, else pg_service.conf in
 * PGSYSCONFDIR or PostgreSQL's own folder for it: what is said about the service in the
 * first of them that has it. */
enum rc service_read(const char *service, struct arena *, struct conf_param **, int *n,
    struct err *) WARN_UNUSED;

/* host:port:database:user:password lines; backslash escapes, `*` matches all. Refuses
 * files that others can read. */
enum rc passfile_read(const char *path, struct arena *, struct conf_pass **, int *n,
    struct err *) WARN_UNUSED;

#endif
