/* router/route/map_csv.h: a large directory from a file of "key,shard" records (RFC 4180:
 * a field may stand in quotes, a quote inside is doubled; lines end with LF or CRLF;
 * empty lines are skipped; no header). Mistakes go to the builder with file and line.
 * Blocks; for the control thread. */
#ifndef WEIR_ROUTER_ROUTE_MAP_CSV_H
#define WEIR_ROUTER_ROUTE_MAP_CSV_H

#include "router/route/map_build.h"

/* `loc`: of the setting that names the file. */
void map_csv_load(struct map_builder *, struct map_loc loc, int dist, const char *path);

#endif
