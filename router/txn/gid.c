#include "router/txn/gid.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/sha.h>

static const char prefix[] = "weir_";

#define PREFIX_LEN (sizeof prefix - 1)

static bool
is_hex(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
			return false;
	return true;
}

static void
print_hex(const uint8_t *bytes, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

bool
txn_identity_parse(struct slice s, struct txn_identity *out)
{
	out->hex[0] = '\0';
	if (s.len != TXN_IDENTITY_LEN || !is_hex(s.ptr, s.len))
		return false;
	memcpy(out->hex, s.ptr, s.len);
	out->hex[s.len] = '\0';
	return true;
}

bool
txn_identity_known(const struct txn_identity *i)
{
	return i->hex[0] != '\0';
}

bool
txn_identity_eq(const struct txn_identity *a, const struct txn_identity *b)
{
	return txn_identity_known(a) && strcmp(a->hex, b->hex) == 0;
}

void
txn_token(const uint8_t random[TXN_RANDOM_BYTES], char token[TXN_TOKEN_LEN + 1])
{
	print_hex(random, TXN_RANDOM_BYTES, token);
}

/* weir.txn_commit() (router/recovery/catalog_sql.h) computes the same. */
void
txn_key(const struct txn_identity *anchor, const char *token, char key[TXN_KEY_SIZE])
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	char hash[TXN_HASH_LEN + 1];

	SHA256((const uint8_t *)token, strlen(token), digest);
	print_hex(digest, TXN_HASH_LEN / 2, hash);
	snprintf(key, TXN_KEY_SIZE, "%s%s_%s", prefix, anchor->hex, hash);
}

void
gid_print(const char *key, int part, char out[GID_MAX])
{
	snprintf(out, GID_MAX, "%s_%d", key, part);
}

bool
txn_key_parse(struct slice s, struct gid *g)
{
	const char *hash = s.ptr + PREFIX_LEN + TXN_IDENTITY_LEN + 1;

	*g = (struct gid){.part = -1};
	if (s.len != TXN_KEY_LEN || memcmp(s.ptr, prefix, PREFIX_LEN) != 0 ||
	    hash[-1] != '_' || !is_hex(hash, TXN_HASH_LEN) ||
	    !txn_identity_parse(
		(struct slice){s.ptr + PREFIX_LEN, TXN_IDENTITY_LEN}, &g->anchor))
		return false;
	memcpy(g->key, s.ptr, s.len);
	g->key[s.len] = '\0';
	return true;
}

/* Digits without a leading zero, so that each name has one form. */
static int
parse_part(struct slice s)
{
	int n = 0;

	if (s.len == 0 || s.len > 4 || (s.len > 1 && s.ptr[0] == '0'))
		return -1;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return -1;
		n = n * 10 + (s.ptr[i] - '0');
	}
	return n < TXN_PARTS_MAX ? n : -1;
}

bool
gid_parse(struct slice s, struct gid *g)
{
	int part;

	*g = (struct gid){.part = -1};
	if (s.len < TXN_KEY_LEN + 2 || s.ptr[TXN_KEY_LEN] != '_')
		return false;
	part =
	    parse_part((struct slice){s.ptr + TXN_KEY_LEN + 1, s.len - TXN_KEY_LEN - 1});
	if (part < 0 || !txn_key_parse((struct slice){s.ptr, TXN_KEY_LEN}, g))
		return false;
	g->part = part;
	return true;
}
