/* Constants and parameters to keys, as the server would read them. */
#include <stdlib.h>

#include "router/plan/plan_int.h"

#define OID_TEXT    25
#define OID_UNKNOWN 705
#define OID_VARCHAR 1043
#define OID_INT4    23
#define OID_INT8    20
#define OID_NUMERIC 1700

/* Integers, numerics and uuids mean the same in every session. */
static const struct key_env *
key_env(struct eval *ev, enum key_type type)
{
	static const struct key_env none = {.order = ORDER_MDY};
	const struct plan_ctx *ctx = ev->ctx;
	enum family family = key_family(type);

	if (family == FAMILY_INT || family == FAMILY_UUID || family == FAMILY_NUMERIC)
		return &none;
	if (!ev->env_ready) {
		key_env_init(&ev->env, ctx->date_style, ctx->time_zone,
		    ctx->client_encoding, ctx->server_encoding);
		ev->env_ready = true;
	}
	return &ev->env;
}

/* 0A000: only Weir cannot tell the value; the statement may still be pinned by something
 * else. */
static enum value_result
key_result(struct eval *ev, enum rc rc, struct err *e)
{
	if (rc == RC_OK)
		return VALUE_IS_KEY;
	if (strcmp(e->sqlstate, "0A000") != 0)
		return VALUE_IS_ERROR;
	ev->unproven = *e;
	return VALUE_IS_UNKNOWN;
}

static enum value_result
unknown(struct eval *ev, const char *why)
{
	err_set(&ev->unproven, "0A000", BLAST_STMT, "%s", why);
	return VALUE_IS_UNKNOWN;
}

/* ---- constants ---- */

/* '…' without quotes or backslashes in it needs no decoding. */
static enum rc
const_text(struct eval *ev, const struct sql_const *k, struct slice *out, struct err *e)
{
	size_t n = k->raw.len;

	if (k->class == CONST_STRING && n >= 2 && k->raw.ptr[0] == '\'' &&
	    k->raw.ptr[n - 1] == '\'' && memchr(k->raw.ptr + 1, '\'', n - 2) == NULL) {
		*out = (struct slice){k->raw.ptr + 1, n - 2};
		return RC_OK;
	}
	return sql_const_decode(ev->ctx->arena, k, out, e);
}

static enum value_result
number_key(struct eval *ev, const struct plan_value *v, const struct sql_const *k,
    enum key_type type, struct key *key, struct err *e)
{
	uint32_t oid = v->oid != 0   ? v->oid
	    : k->class == CONST_INT4 ? OID_INT4
	    : k->class == CONST_INT8 ? OID_INT8
				     : OID_NUMERIC;
	struct slice text = k->raw;
	char *digits;

	if (v->negated) {
		digits = arena_alloc(ev->ctx->arena, text.len + 1);
		digits[0] = '-';
		memcpy(digits + 1, text.ptr, text.len);
		text = (struct slice){digits, text.len + 1};
	}
	return key_result(ev,
	    key_from_param(type, oid, 0, text, key_env(ev, type), ev->ctx->arena, key, e),
	    e);
}

static enum value_result
text_key(struct eval *ev, uint32_t oid, struct slice text, enum key_type type,
    struct key *key, struct err *e)
{
	enum rc rc = oid == 0
	    ? key_from_text(type, text, key_env(ev, type), ev->ctx->arena, key, e)
	    : key_from_param(
		  type, oid, 0, text, key_env(ev, type), ev->ctx->arena, key, e);

	return key_result(ev, rc, e);
}

static enum value_result
const_key(struct eval *ev, const struct plan_value *v, enum key_type type,
    struct key *key, struct err *e)
{
	const struct sql_consts *consts = ev->ctx->consts;
	const struct sql_const *k;
	struct slice text;

	if (consts == NULL || v->index >= consts->n)
		return unknown(ev, "a constant of the key is not known");
	k = &consts->v[v->index];
	switch (k->class) {
	case CONST_INT4:
	case CONST_INT8:
	case CONST_NUMERIC:
		return number_key(ev, v, k, type, key, e);
	case CONST_STRING:
	case CONST_ESTRING:
		break;
	case CONST_NULL:
		return VALUE_IS_NULL;
	default:
		return unknown(ev, "a bit string or a boolean as a key");
	}
	if (const_text(ev, k, &text, e) != RC_OK)
		return VALUE_IS_ERROR;
	return text_key(ev, v->oid, text, type, key, e);
}

/* ---- parameters ---- */

static bool
is_int_oid(uint32_t oid)
{
	return oid == 20 || oid == 21 || oid == 23;
}

static bool
is_text_oid(uint32_t oid)
{
	return oid == OID_TEXT || oid == OID_VARCHAR || oid == OID_UNKNOWN;
}

/* The type that a parameter's bytes have, and that they are then read as: $1::int8 of a
 * text parameter is its text read as a number. False: not told. */
static bool
param_type(uint32_t declared, uint32_t cast, uint32_t *oid, int16_t *format)
{
	*oid = declared;
	if (cast == 0 || cast == declared || (is_int_oid(cast) && is_int_oid(declared)))
		return true;
	if (declared == 0) {
		*oid = cast;
		return true;
	}
	if (is_text_oid(declared)) {
		*oid = cast;
		*format = 0; /* text is the same in both */
		return true;
	}
	return false;
}

static const struct plan_param *
param_of(struct eval *ev, const struct plan_value *v)
{
	const struct plan_ctx *ctx = ev->ctx;

	if (ctx->params == NULL || v->index == 0 ||
	    v->index > (uint32_t)(ctx->n_params < 0 ? 0 : ctx->n_params))
		return NULL;
	return &ctx->params[v->index - 1];
}

static uint32_t
declared_oid(const struct eval *ev, const struct plan_value *v)
{
	return ev->ctx->n_oids > 0 && v->index <= (uint32_t)ev->ctx->n_oids
	    ? ev->ctx->param_oids[v->index - 1]
	    : 0;
}

uint32_t
value_oid(const struct eval *ev, const struct plan_value *v)
{
	return v->oid != 0 || v->kind != VALUE_PARAM ? v->oid : declared_oid(ev, v);
}

/* An undeclared parameter has the type of what it is compared with: among integers, its
 * width says which. */
static enum value_result
param_key(struct eval *ev, const struct plan_value *v, enum key_type type,
    struct key *key, struct err *e)
{
	const struct plan_param *p = param_of(ev, v);
	int16_t format;
	uint32_t oid;
	struct slice value;

	if (p == NULL) {
		err_set(e, "08P01", BLAST_STMT, "there is no parameter $%u", v->index);
		return VALUE_IS_ERROR;
	}
	if (p->len < 0)
		return VALUE_IS_NULL;
	format = p->format;
	if (!param_type(declared_oid(ev, v), v->oid, &oid, &format))
		return unknown(ev, "a parameter of the key is cast to another type");
	value = (struct slice){p->ptr, (size_t)p->len};
	return key_result(ev,
	    key_from_param(
		type, oid, format, value, key_env(ev, type), ev->ctx->arena, key, e),
	    e);
}

enum value_result
value_key(struct eval *ev, const struct plan_value *v, enum key_type type,
    struct key *key, struct err *e)
{
	switch (v->kind) {
	case VALUE_CONST:
		return const_key(ev, v, type, key, e);
	case VALUE_PARAM:
		return param_key(ev, v, type, key, e);
	case VALUE_TEXT:
		return text_key(ev, v->oid, v->text, type, key, e);
	case VALUE_NULL:
		return VALUE_IS_NULL;
	default:
		return unknown(ev, "a value of the key is not a constant");
	}
}

bool
key_fits_typmod(const struct key *k, int typmod)
{
	static const int64_t units[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
	const char *point;
	size_t chars = 0;
	int scale;

	if (typmod < 0)
		return true;
	switch (k->type) {
	case KEY_VARCHAR:
	case KEY_TEXT:
		/* at most as many bytes as it may have characters: surely fits */
		for (size_t i = 0; i < k->text.len; i++)
			chars += ((unsigned char)k->text.ptr[i] & 0xC0) != 0x80;
		return chars <= (size_t)(typmod < 4 ? 0 : typmod - 4);
	case KEY_NUMERIC:
		scale = (typmod - 4) & 0x7ff;
		point = k->text.len == 0 ? NULL : memchr(k->text.ptr, '.', k->text.len);
		return scale < 1024 &&
		    (point == NULL ||
			(size_t)(k->text.ptr + k->text.len - point - 1) <= (size_t)scale);
	case KEY_TIMESTAMP:
	case KEY_TIMESTAMPTZ:
		return typmod <= 6 && k->i % units[typmod] == 0;
	default:
		return true;
	}
}

/* ---- arrays ---- */

typedef enum value_result (*each_fn)(
    void *arg, enum value_result, const struct key *, struct err *);

static uint32_t
element_oid(uint32_t array)
{
	static const struct {
		uint32_t array, element;
	} types[] = {{1005, 21}, {1007, 23}, {1016, 20}, {1009, 25}, {1015, 1043},
	    {2951, 2950}, {1182, 1082}, {1115, 1114}, {1185, 1184}, {1231, 1700},
	    {1003, 19}};

	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (types[i].array == array)
			return types[i].element;
	return 0;
}

struct array_reader {
	struct eval *ev;
	enum key_type type;
	uint32_t oid; /* of the elements; 0: the key's type */
	each_fn fn;
	void *arg;
	struct err *e;
	char *buf; /* text: room for what is left of it, unescaped */
};

static enum value_result
element(const struct array_reader *r, int format, struct slice value)
{
	struct key key;
	enum rc rc = key_from_param(r->type, r->oid, format, value,
	    key_env(r->ev, r->type), r->ev->ctx->arena, &key, r->e);
	enum value_result v = key_result(r->ev, rc, r->e);

	return v == VALUE_IS_KEY ? r->fn(r->arg, v, &key, r->e) : v;
}

static uint32_t
be32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

/* dimensions, flags, element type, then size and lower bound of each dimension, then the
 * elements with their lengths. */
static enum value_result
binary_array(struct array_reader *r, struct slice b)
{
	const char *p = b.ptr, *end = b.ptr + b.len;
	enum value_result v = VALUE_IS_KEY;
	uint32_t n, dims;

	if (b.len < 12)
		goto malformed;
	dims = be32(p);
	r->oid = be32(p + 8);
	p += 12;
	if (dims == 0)
		return VALUE_IS_KEY;
	if (dims != 1)
		return unknown(r->ev, "a key in an array of several dimensions");
	if (end - p < 8)
		goto malformed;
	n = be32(p);
	p += 8;
	if (n > KEYS_MAX)
		return unknown(r->ev, "too many keys in one array");
	for (uint32_t i = 0; i < n && v == VALUE_IS_KEY; i++) {
		int32_t len;

		if (end - p < 4)
			goto malformed;
		len = (int32_t)be32(p);
		p += 4;
		if (len < 0)
			continue; /* NULL equals nothing */
		if (end - p < len)
			goto malformed;
		v = element(r, 1, (struct slice){p, (size_t)len});
		p += len;
	}
	return v;
malformed:
	err_set(r->e, "22P03", BLAST_STMT, "malformed binary array");
	return VALUE_IS_ERROR;
}

static bool
blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* One element of '{…}': quoted or not. *p is moved behind it. */
static bool
text_element(struct array_reader *r, const char **p, const char *end, struct slice *out,
    bool *quoted)
{
	char *buf = r->buf, *w = buf, *last = buf;
	const char *s = *p;

	*quoted = s < end && *s == '"';
	if (*quoted)
		s++;
	while (s < end && (*quoted ? *s != '"' : *s != ',' && *s != '}')) {
		if (!*quoted && (*s == '{' || *s == '"'))
			return false;
		if (*s == '\\' && ++s == end)
			return false;
		*w++ = *s;
		if (*quoted || !blank(*s) || s[-1] == '\\')
			last = w;
		s++;
	}
	if (s == end || (!*quoted && last == buf))
		return false;
	if (*quoted)
		s++;
	*out = (struct slice){buf, (size_t)(last - buf)};
	r->buf = w;
	*p = s;
	return true;
}

static const char *
skip_blank(const char *p, const char *end)
{
	while (p < end && blank(*p))
		p++;
	return p;
}

/* '{1,2}'. Bounds ([1:2]=…), several dimensions and what is malformed are not taken
 * apart. */
static enum value_result
text_array(struct array_reader *r, struct slice t)
{
	const char *p = skip_blank(t.ptr, t.ptr + t.len), *end = t.ptr + t.len;
	int n = 0;

	while (end > p && blank(end[-1]))
		end--;
	if (p == end || *p++ != '{')
		return unknown(r->ev, "an array of keys that is not written as {…}");
	p = skip_blank(p, end);
	if (p < end && *p == '}' && p + 1 == end)
		return VALUE_IS_KEY;
	r->buf = arena_alloc(r->ev->ctx->arena, t.len + 1);
	for (;;) {
		struct slice item;
		enum value_result v;
		bool quoted;

		p = skip_blank(p, end);
		if (++n > KEYS_MAX || !text_element(r, &p, end, &item, &quoted))
			return unknown(
			    r->ev, "an array of keys that cannot be taken apart");
		if (quoted || item.len != 4 || strncasecmp(item.ptr, "null", 4) != 0) {
			v = element(r, 0, item);
			if (v != VALUE_IS_KEY)
				return v;
		}
		p = skip_blank(p, end);
		if (p == end || (*p != ',' && *p != '}'))
			return unknown(
			    r->ev, "an array of keys that cannot be taken apart");
		if (*p++ == '}')
			return p == end
			    ? VALUE_IS_KEY
			    : unknown(
				  r->ev, "an array of keys that cannot be taken apart");
	}
}

enum value_result
value_array(struct eval *ev, const struct plan_value *v, enum key_type type, each_fn fn,
    void *arg, struct err *e)
{
	struct array_reader r = {ev, type, v->oid, fn, arg, e, NULL};
	const struct plan_param *p;
	struct slice text = v->text;
	uint32_t declared;

	if (v->kind == VALUE_NULL)
		return VALUE_IS_NULL;
	if (v->kind == VALUE_CONST) {
		if (ev->ctx->consts == NULL || v->index >= ev->ctx->consts->n ||
		    (ev->ctx->consts->v[v->index].class != CONST_STRING &&
			ev->ctx->consts->v[v->index].class != CONST_ESTRING))
			return unknown(ev, "an array of keys that is not a constant");
		if (const_text(ev, &ev->ctx->consts->v[v->index], &text, e) != RC_OK)
			return VALUE_IS_ERROR;
		return text_array(&r, text);
	}
	if (v->kind == VALUE_TEXT)
		return text_array(&r, text);
	if (v->kind != VALUE_PARAM)
		return unknown(ev, "an array of keys that is not a constant");
	p = param_of(ev, v);
	if (p == NULL) {
		err_set(e, "08P01", BLAST_STMT, "there is no parameter $%u", v->index);
		return VALUE_IS_ERROR;
	}
	if (p->len < 0)
		return VALUE_IS_NULL;
	declared = declared_oid(ev, v);
	if (declared != 0 && !is_text_oid(declared)) {
		r.oid = element_oid(declared);
		if (r.oid == 0 ||
		    (v->oid != 0 && v->oid != r.oid &&
			!(is_int_oid(v->oid) && is_int_oid(r.oid))))
			return unknown(
			    ev, "an array parameter of a type that is not a key's");
	}
	text = (struct slice){p->ptr, (size_t)p->len};
	return p->format == 1 && !is_text_oid(declared) ? binary_array(&r, text)
							: text_array(&r, text);
}
