/* router/config/check.h: `weir check`: are the configuration and its servers right?
 * Thread:  one; blocks while it connects, through libpq.
 * Failure: everything wrong goes to the report; the servers are only read from. */
#ifndef WEIR_ROUTER_CONFIG_CHECK_H
#define WEIR_ROUTER_CONFIG_CHECK_H

#include "router/config/config.h"

/* `weir check -c FILE [--offline]`, argv[0] being "check". Prints to standard output and
 * standard error. 0: right (there may be warnings), 1: mistakes, 2: wrong usage. */
int config_check_main(int argc, char **argv);

/* Tries every server, and compares the shards of each database. A line for each server
 * goes to `progress` (NULL: nowhere). */
void config_check_servers(const struct config *, struct config_report *, FILE *progress);

#endif
