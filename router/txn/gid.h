/* router/txn/gid.h: names of transactions over shards.
 *
 *   key   weir_IDENTITY_HASH      the transaction; primary key of weir.txn on its anchor
 *   gid   weir_IDENTITY_HASH_N    its part on participant N: what PREPARE TRANSACTION gets
 *
 * IDENTITY is the anchor's, from weir.identity: 32 hexadecimal digits. HASH are the first 32 digits of the SHA-256 of a
 * random token, so it is as good as random, and it proves who may decide: only who knows the token can write the verdict
 * 'commit', though everybody reads the name in pg_prepared_xacts. N differs, since a gid is unique per server, and two
 * participants may be databases of one server.
 * Pure. PostgreSQL takes up to 199 bytes; ours have at most GID_MAX - 1. */
#ifndef WEIR_ROUTER_TXN_GID_H
#define WEIR_ROUTER_TXN_GID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define TXN_IDENTITY_LEN 32
#define TXN_HASH_LEN     32
#define TXN_RANDOM_BYTES 16
#define TXN_TOKEN_LEN    (2 * TXN_RANDOM_BYTES)
#define TXN_KEY_LEN      (5 + TXN_IDENTITY_LEN + 1 + TXN_HASH_LEN)
#define TXN_KEY_SIZE     (TXN_KEY_LEN + 1)
#define GID_MAX          (TXN_KEY_SIZE + 8)
#define TXN_PARTS_MAX    1024

/* Of a shard: what catalog init stored there. Empty: not known. */
struct txn_identity {
	char hex[TXN_IDENTITY_LEN + 1];
};

struct gid {
	struct txn_identity anchor;
	char key[TXN_KEY_SIZE];
	int part;
};

/* Exactly 32 lower-case hexadecimal digits (a uuid without its hyphens). */
bool txn_identity_parse(struct slice, struct txn_identity *);
bool txn_identity_known(const struct txn_identity *);
bool txn_identity_eq(const struct txn_identity *, const struct txn_identity *);

/* A token of 16 random bytes, in hexadecimal; and the key that it stands behind. */
void txn_token(const uint8_t random[TXN_RANDOM_BYTES], char token[TXN_TOKEN_LEN + 1]);
void txn_key(
    const struct txn_identity *anchor, const char *token, char key[TXN_KEY_SIZE]);
void gid_print(const char *key, int part, char out[GID_MAX]);
/* False: not one of ours, to be left alone. */
bool gid_parse(struct slice, struct gid *);
/* The key alone, as in weir.txn. */
bool txn_key_parse(struct slice, struct gid *);

#endif
