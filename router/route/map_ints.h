/* router/route/map_ints.h: finds the integers that libconfig 1.5 has wrapped without a
 * word (5000000000 becomes 705032704): reads the file again and reports each integer that
 * does not fit, with file and line. */
#ifndef WEIR_ROUTER_ROUTE_MAP_INTS_H
#define WEIR_ROUTER_ROUTE_MAP_INTS_H

#include "router/route/map_build.h"

/* false: the file cannot be read, so nothing is known. */
bool map_ints_check(struct map_builder *, const char *path);

#endif
