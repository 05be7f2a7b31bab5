/* Key values. One table (key_type.def) says how each type is read, printed and hashed;
 * here are the integers, uuids, and what holds for all types. */
#include "router/route/key.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "router/route/hash.h"
#include "router/route/key_in.h"

/* KEPT_TIME is kept like KEPT_INT, but is not a number. */
enum kept { KEPT_INT, KEPT_TIME, KEPT_TEXT, KEPT_UUID, KEPT_NUMERIC };

/* ---- errors ---- */

/* What of a value is shown in a message: printable, and not too much of it. */
static const char *
shown(struct slice s, char buf[64])
{
	size_t n = s.len < 60 ? s.len : 60;

	for (size_t i = 0; i < n; i++)
		buf[i] =
		    s.ptr[i] == '\0' || (unsigned char)s.ptr[i] < ' ' ? '?' : s.ptr[i];
	/* Never half a character. */
	while (n > 0 && n < s.len && ((unsigned char)s.ptr[n] & 0xC0) == 0x80)
		n--;
	buf[n] = '\0';
	return buf;
}

enum rc
key_bad_syntax(struct err *e, const char *sqlstate, enum key_type type, struct slice s)
{
	char buf[64];

	if (strcmp(sqlstate, "22008") == 0)
		return err_set(e, sqlstate, BLAST_STMT,
		    "date/time field value out of range: \"%s\"", shown(s, buf));
	if (strcmp(sqlstate, "22003") == 0)
		return err_set(e, sqlstate, BLAST_STMT,
		    "value \"%s\" is out of range for type %s", shown(s, buf),
		    key_type_name(type));
	return err_set(e, sqlstate, BLAST_STMT,
	    "invalid input syntax for type %s: \"%s\"", key_type_name(type),
	    shown(s, buf));
}

enum rc
key_unproven(struct err *e, enum key_type type, struct slice s, const char *hint)
{
	char buf[64];

	err_set(e, "0A000", BLAST_STMT,
	    "the value of a %s key cannot be proven from \"%s\"", key_type_name(type),
	    shown(s, buf));
	err_hint(e, "%s", hint);
	return RC_ERR;
}

/* ---- integers: one value whatever their width ---- */

static enum rc
int_in(struct slice text, const struct key_env *env, struct arena *a, struct key *k,
    struct err *e)
{
	struct slice s = slice_trim(text);
	const char *p = s.ptr, *end = s.ptr + s.len;
	bool negative = false;
	int64_t v = 0;

	(void)env, (void)a;
	if (p < end && (*p == '-' || *p == '+'))
		negative = *p++ == '-';
	if (p == end || !is_digit(*p))
		return key_bad_syntax(e, "22P02", k->type, text);
	for (; p < end && is_digit(*p); p++)
		/* Downwards, since there is one more negative number. */
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_sub_overflow(v, *p - '0', &v))
			return key_bad_syntax(e, "22003", k->type, text);
	if (p < end && *p != '_' && ((*p | 0x20) < 'a' || (*p | 0x20) > 'z'))
		return key_bad_syntax(e, "22P02", k->type, text);
	if (p < end) /* 0x10 and 1_000 are numbers from PostgreSQL 16 on */
		return key_unproven(
		    e, k->type, text, "Write the number in decimal digits.");
	if (!negative && __builtin_sub_overflow(0, v, &v))
		return key_bad_syntax(e, "22003", k->type, text);
	k->i = v;
	return RC_OK;
}

static enum rc
int_recv(struct slice b, const struct key_env *env, struct arena *a, struct key *k,
    struct err *e)
{
	(void)env, (void)a;
	switch (b.len) {
	case 2:
		k->i = (int16_t)(uint16_t)load_be(b.ptr, 2);
		return RC_OK;
	case 4:
		k->i = (int32_t)(uint32_t)load_be(b.ptr, 4);
		return RC_OK;
	case 8:
		k->i = (int64_t)load_be(b.ptr, 8);
		return RC_OK;
	}
	return err_set(
	    e, "22P03", BLAST_STMT, "a binary integer key has %zu bytes", b.len);
}

static struct slice
int_out(const struct key *k, struct arena *a)
{
	return slice_of(arena_printf(a, "%lld", (long long)k->i));
}

/* ---- uuid ---- */

static int
hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The server's forms: braces around it or none, a hyphen behind any group of four digits
 * or none. */
static enum rc
uuid_in(struct slice s, const struct key_env *env, struct arena *a, struct key *k,
    struct err *e)
{
	const char *p = s.ptr, *end = s.ptr + s.len;

	(void)env, (void)a;
	if (s.len >= 2 && *p == '{') {
		if (end[-1] != '}')
			return key_bad_syntax(e, "22P02", KEY_UUID, s);
		p++, end--;
	}
	for (int i = 0; i < 16; i++) {
		int hi, lo;

		if (end - p < 2 || (hi = hex_value(p[0])) < 0 ||
		    (lo = hex_value(p[1])) < 0)
			return key_bad_syntax(e, "22P02", KEY_UUID, s);
		k->uuid[i] = (uint8_t)(hi << 4 | lo);
		p += 2;
		if (i % 2 == 1 && i < 15 && p < end && *p == '-')
			p++;
	}
	return p == end ? RC_OK : key_bad_syntax(e, "22P02", KEY_UUID, s);
}

static enum rc
uuid_recv(struct slice b, const struct key_env *env, struct arena *a, struct key *k,
    struct err *e)
{
	(void)env, (void)a;
	if (b.len != 16)
		return err_set(e, "22P03", BLAST_STMT,
		    "a binary uuid key has %zu bytes, not 16", b.len);
	memcpy(k->uuid, b.ptr, 16);
	return RC_OK;
}

static struct slice
uuid_out(const struct key *k, struct arena *a)
{
	const uint8_t *u = k->uuid;

	return slice_of(arena_printf(a,
	    "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0],
	    u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12],
	    u[13], u[14], u[15]));
}

/* ---- the table ---- */

static struct slice
text_out(const struct key *k, struct arena *a)
{
	(void)a;
	return k->text;
}

static uint64_t
hash_int(const struct key *k, uint64_t seed)
{
	return hash_int8(k->i, seed);
}

static uint64_t
hash_text(const struct key *k, uint64_t seed)
{
	return hash_bytes(k->text.ptr, k->text.len, seed);
}

static uint64_t
hash_uuid(const struct key *k, uint64_t seed)
{
	return hash_bytes(k->uuid, sizeof k->uuid, seed);
}

static uint64_t
hash_num(const struct key *k, uint64_t seed)
{
	return hash_numeric(k->text.ptr, k->text.len, seed);
}

static const struct key_type_row {
	const char *name, *aliases;
	uint32_t oid;
	enum kept kept;
	key_reader *in, *recv;
	key_printer *out;
	uint64_t (*hash)(const struct key *, uint64_t seed);
} types[KEY_TYPE_COUNT] = {
#define KEY_TYPE(id, name, aliases, oid, kept, in, recv, out, hash) \
	{name, aliases, oid, kept, in, recv, out, hash},
#include "router/route/key_type.def"
#undef KEY_TYPE
};

const char *
key_type_name(enum key_type t)
{
	return types[t].name;
}

uint32_t
key_type_oid(enum key_type t)
{
	return types[t].oid;
}

enum key_type
key_type_of_oid(uint32_t oid)
{
	for (enum key_type t = 0; t < KEY_TYPE_COUNT; t++)
		if (types[t].oid == oid)
			return t;
	return KEY_TYPE_COUNT;
}

enum key_type
key_type_find(struct slice name)
{
	char alias[40];

	if (name.len == 0 || name.len > 36 || memchr(name.ptr, ',', name.len) != NULL)
		return KEY_TYPE_COUNT;
	snprintf(alias, sizeof alias, ",%.*s,", (int)name.len, name.ptr);
	for (enum key_type t = 0; t < KEY_TYPE_COUNT; t++)
		if (slice_eq_str(name, types[t].name) ||
		    strstr(types[t].aliases, alias) != NULL)
			return t;
	return KEY_TYPE_COUNT;
}

/* ---- environment ---- */

void
key_env_init(struct key_env *env, const char *date_style, const char *time_zone,
    const char *client_encoding, const char *server_encoding)
{
	env->order = ORDER_MDY;
	if (date_style != NULL && strcasestr(date_style, "DMY") != NULL)
		env->order = ORDER_DMY;
	else if (date_style != NULL && strcasestr(date_style, "YMD") != NULL)
		env->order = ORDER_YMD;
	env->zone_s = 0;
	env->zone_fixed = time_zone != NULL && time_zone_fixed(time_zone, &env->zone_s);
	env->client_encoding = client_encoding;
	env->server_encoding = server_encoding;
}

/* ---- reading ---- */

enum rc
key_from_text(enum key_type type, struct slice text, const struct key_env *env,
    struct arena *a, struct key *k, struct err *e)
{
	k->type = type;
	return types[type].in(text, env, a, k, e);
}

#define OID_NAME     19
#define OID_UNKNOWN  705
#define NAME_MAX_LEN 63

/* Which of our types a value of that OID is read as; KEY_TYPE_COUNT: none. */
static enum key_type
type_of_value(enum key_type key, uint32_t oid, struct slice value)
{
	if (oid == 0)
		return key;
	/* The server cuts names; an unknown is text until something says more, and that
	 * is the key. */
	if (oid == OID_NAME)
		return value.len <= NAME_MAX_LEN ? KEY_TEXT : KEY_TYPE_COUNT;
	return key_type_of_oid(oid);
}

static enum rc
mismatch(struct err *e, enum key_type key, uint32_t oid)
{
	enum key_type t = key_type_of_oid(oid);

	if (t != KEY_TYPE_COUNT)
		err_set(e, "0A000", BLAST_STMT, "a %s value as a key of type %s",
		    key_type_name(t), key_type_name(key));
	else
		err_set(e, "0A000", BLAST_STMT,
		    "a value of the type with OID %u as a key of type %s", oid,
		    key_type_name(key));
	err_hint(e, "Cast the value to %s.", key_type_name(key));
	return RC_ERR;
}

static enum rc
numeric_to_int(enum key_type type, struct key *k, struct err *e)
{
	bool whole = is_digit(k->text.ptr[k->text.len - 1]) &&
	    memchr(k->text.ptr, '.', k->text.len) == NULL;

	k->type = type;
	if (whole && int_in(k->text, NULL, NULL, k, e) == RC_OK)
		return RC_OK;
	/* an assignment would round or fail; `=` would find nothing, without an error */
	err_set(e, "0A000", BLAST_STMT, "a numeric value that is %s, as a key of type %s",
	    whole ? "out of range" : "not whole", key_type_name(type));
	err_hint(e, "Cast the value to %s.", key_type_name(type));
	return RC_ERR;
}

/* Exact for `=` and for an assignment alike, else refused. */
static enum rc
convert(enum key_type to, uint32_t oid, const struct key_env *env, struct arena *a,
    struct key *k, struct err *e)
{
	enum kept kept_to = types[to].kept, kept_from = types[k->type].kept;

	if (to == k->type || (kept_to == kept_from && kept_to != KEPT_TIME)) {
		k->type = to;
		return RC_OK;
	}
	if (kept_to == KEPT_INT && kept_from == KEPT_NUMERIC)
		return numeric_to_int(to, k, e);
	if (kept_to == KEPT_NUMERIC && kept_from == KEPT_INT) {
		struct slice digits = int_out(k, a);

		*k = (struct key){KEY_NUMERIC, .text = digits};
		return RC_OK;
	}
	if (kept_to == KEPT_TIME && kept_from == KEPT_TIME)
		return time_convert(to, env, k, e);
	return mismatch(e, to, oid);
}

enum rc
key_from_param(enum key_type type, uint32_t oid, int format, struct slice value,
    const struct key_env *env, struct arena *a, struct key *k, struct err *e)
{
	enum key_type from = type_of_value(type, oid, value);
	enum rc rc;

	if (oid == OID_UNKNOWN)
		from = format == 0                  ? type
		    : types[type].kept == KEPT_TEXT ? type
						    : KEY_TYPE_COUNT;
	if (from == KEY_TYPE_COUNT)
		return mismatch(e, type, oid);
	k->type = from;
	rc = (format == 0 ? types[from].in : types[from].recv)(value, env, a, k, e);
	return rc != RC_OK ? rc : convert(type, oid, env, a, k, e);
}

enum rc
key_from_binary(enum key_type type, uint32_t oid, struct slice bytes,
    const struct key_env *env, struct arena *a, struct key *k, struct err *e)
{
	return key_from_param(type, oid, 1, bytes, env, a, k, e);
}

/* ---- use ---- */

int
key_compare(const struct key *a, const struct key *b)
{
	size_t least;
	int d;

	switch (types[a->type].kept) {
	case KEPT_INT:
	case KEPT_TIME:
		return (a->i > b->i) - (a->i < b->i);
	case KEPT_UUID:
		return memcmp(a->uuid, b->uuid, sizeof a->uuid);
	case KEPT_NUMERIC:
		return numeric_compare(a->text, b->text);
	case KEPT_TEXT:
		break;
	}
	least = a->text.len < b->text.len ? a->text.len : b->text.len;
	d = least == 0 ? 0 : memcmp(a->text.ptr, b->text.ptr, least);
	return d != 0 ? d : (a->text.len > b->text.len) - (a->text.len < b->text.len);
}

uint64_t
key_hash(const struct key *k, uint64_t seed)
{
	return types[k->type].hash(k, seed);
}

struct slice
key_to_text(const struct key *k, struct arena *a)
{
	return types[k->type].out(k, a);
}

struct slice
key_bytes(const struct key *k)
{
	switch (types[k->type].kept) {
	case KEPT_INT:
	case KEPT_TIME:
		return (struct slice){(const char *)&k->i, sizeof k->i};
	case KEPT_UUID:
		return (struct slice){(const char *)k->uuid, sizeof k->uuid};
	case KEPT_NUMERIC:
	case KEPT_TEXT:
		break;
	}
	return k->text;
}
