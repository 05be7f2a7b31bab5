/* router/route/map_print.h: a shard map as text, for SHOW MAP, `weir check` and golden
 * tests. The same map gives the same text; directories with more than `entries_max`
 * entries are cut, and say so. Memory: the text is in the arena. */
#ifndef WEIR_ROUTER_ROUTE_MAP_PRINT_H
#define WEIR_ROUTER_ROUTE_MAP_PRINT_H

#include <stddef.h>

#include "router/route/map.h"

struct slice shard_map_print(
    const struct shard_map *, size_t entries_max, struct arena *);
/* One distribution or one table on one line, without a newline. */
struct slice shard_map_print_distribution(
    const struct shard_map *, int distribution, struct arena *);
struct slice shard_map_print_table(const struct shard_map *, int table, struct arena *);
/* Where each piece of it stands: "0-511" of s1, "[2026-01-01, )" of s2; calls fn once a
 * piece (contiguous buckets of one shard, a range, a directory entry up to entries_max).
 */
void shard_map_each_piece(const struct shard_map *, int distribution, size_t entries_max,
    struct arena *, void (*fn)(void *arg, struct slice piece, int shard), void *arg);

#endif
