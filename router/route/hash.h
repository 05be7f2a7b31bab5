/* router/route/hash.h: PostgreSQL's own extended hash functions, so that a server
 * computes the same buckets in SQL. The algorithm is Bob Jenkins' lookup3 (2006, public
 * domain) as PostgreSQL seeds it.
 * Results are frozen: golden vectors in tests/unit/router/route/golden_hash.h, compared
 * with a live server by tests/it/hash_vectors.py. Little-endian servers are assumed for
 * numeric (its digits are hashed as int16 in memory order). */
#ifndef WEIR_ROUTER_ROUTE_HASH_H
#define WEIR_ROUTER_ROUTE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* hash_any_extended: text (deterministic collations), varchar, uuid. */
uint64_t hash_bytes(const void *ptr, size_t len, uint64_t seed);
/* hashint8extended; hashint2extended and hashint4extended agree with it, as do date and
 * timestamp's. */
uint64_t hash_int8(int64_t v, uint64_t seed);
/* hash_numeric_extended of canonical digits ("-12.5", "0", "NaN", "Infinity"). */
uint64_t hash_numeric(const char *digits, size_t len, uint64_t seed);
/* hash_combine64. */
uint64_t hash_combine(uint64_t a, uint64_t b);

#define HASH_PARTITION_SEED UINT64_C(0x7A5B22367996DCFD)

#endif
