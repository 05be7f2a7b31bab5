/* router/route/key.h: one value of a sharding key, in the form that is hashed, compared
 * and looked up.
 * Two values that PostgreSQL calls equal give the same struct key, whatever their
 * notation (text or binary, 1.0 or 1.00, any accepted form of a uuid or a date). What
 * cannot be read exactly as the server would is refused, never guessed: 22P02, 22003,
 * 22008 where the server refuses it too, 0A000 where only Weir does (named zones,
 * 'tomorrow' …).
 * Pure:    no clock, no tables of time zones.
 * Memory:  key.text points into the input, or into the arena where the value had to be
 *          rewritten.
 * NULL:    is not a key; the caller deals with it. */
#ifndef WEIR_ROUTER_ROUTE_KEY_H
#define WEIR_ROUTER_ROUTE_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "router/route/map.h"

struct key {
	enum key_type type;
	union {
		int64_t i; /* integers; date: days, timestamp[tz]: µs since 2000-01-01
			      (UTC) */
		uint8_t uuid[16];
		struct slice text; /* text, varchar: bytes in the server's encoding;
				      numeric: canonical digits */
	};
};

/* The session settings that the meaning of a literal depends on. */
enum date_order { ORDER_MDY, ORDER_DMY, ORDER_YMD };
struct key_env {
	enum date_order order;
	bool zone_fixed; /* the session's TimeZone is UTC or a fixed offset */
	int32_t zone_s;  /* that offset, seconds east of UTC */
	const char *client_encoding, *server_encoding; /* borrowed; NULL: no conversion */
};
/* From the values of the session's parameters as the server reports them; NULL: ISO, MDY;
 * an unknown zone; no conversion of encodings. Costs some ten nanoseconds. */
void key_env_init(struct key_env *, const char *date_style, const char *time_zone,
    const char *client_encoding, const char *server_encoding);

/* An untyped literal or a text parameter whose OID is 0: read as the key's own type. */
enum rc key_from_text(enum key_type, struct slice text, const struct key_env *,
    struct arena *, struct key *, struct err *) WARN_UNUSED;
/* A parameter in binary format; oid 0: the key's own type. */
enum rc key_from_binary(enum key_type, uint32_t oid, struct slice bytes,
    const struct key_env *, struct arena *, struct key *, struct err *) WARN_UNUSED;
/* A parameter in either format (0 text, 1 binary) of a declared type: read as that type,
 * then converted to the key's type where that is exact for comparison and for assignment
 * alike (an integer numeric to bigint, a date to a timestamp …), else 0A000 or 42804.
 * Also for literals with a cast: format 0 and the type's OID. */
enum rc key_from_param(enum key_type, uint32_t oid, int format, struct slice value,
    const struct key_env *, struct arena *, struct key *, struct err *) WARN_UNUSED;

/* OID of the key type itself; and the type of an OID that values are accepted in,
 * KEY_TYPE_COUNT: none. */
uint32_t key_type_oid(enum key_type);
enum key_type key_type_of_oid(uint32_t oid);
const char *key_type_name(enum key_type);                /* "bigint" */
enum key_type key_type_find(struct slice name_or_alias); /* KEY_TYPE_COUNT: unknown */

/* Order of the type; text by bytes (collation "C"), NaN after all numerics. Both of one
 * type. */
int key_compare(const struct key *, const struct key *);
static inline bool
key_equal(const struct key *a, const struct key *b)
{
	return key_compare(a, b) == 0;
}
/* PostgreSQL's extended hash function of the type (hash.h). */
uint64_t key_hash(const struct key *, uint64_t seed);
/* Text that the server reads as the same value under any DateStyle and TimeZone; for
 * look-up queries and for people. */
struct slice key_to_text(const struct key *, struct arena *);
/* The bytes that stand for the key in a directory: equal keys of one distribution have
 * equal bytes. */
struct slice key_bytes(const struct key *);

#endif
