/* router/route/map_load.h: reads the `distributions`, `tables` and `functions` of one
 * database out of libconfig. Mistakes (unknown keys, wrong types, integers that libconfig
 * has wrapped) go to the builder with file and line; what is well-formed is added to it.
 * Reads the CSV files that `entries_file` names, relative to the file that names them.
 *   distributions = ( { name; kind; type;
 *     hash:      buckets; placement = ( { shard; buckets = "0-511, 600"; } );
 *     range:     ranges = ( { from; to; shard; } ); allow_gaps;
 *     directory: default; entries = ( { key; shard; } ); entries_file;
 *                lookup; lookup_cache_size; lookup_cache_ttl (seconds); } );
 *   tables = ( { name; schema; distribution; key = "id" or ("a", "b"); }
 *              or { name; schema; reference = true; } );
 *   functions = ( { name; schema; distribution; argument; read_only; }
 *                 or { name; schema; reference = true; read_only; } ); */
#ifndef WEIR_ROUTER_ROUTE_MAP_LOAD_H
#define WEIR_ROUTER_ROUTE_MAP_LOAD_H

#include <libconfig.h>

#include "router/route/map_build.h"

void map_load(struct map_builder *, const config_setting_t *database);
/* The names of the members of a database group that map_load() reads, NULL-ended; for the
 * caller's check of unknown keys. */
extern const char *const map_load_members[];

#endif
