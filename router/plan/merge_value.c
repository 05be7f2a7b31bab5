/* Comparisons as PostgreSQL's default operator classes make them. Only what is exact in
 * the format at hand has one: dates and floats are compared in binary, since their texts
 * depend on settings. */
#include <stdlib.h>

#include "router/plan/merge_int.h"

#define OID_BOOL        16
#define OID_BYTEA       17
#define OID_CHAR        18
#define OID_INT8        20
#define OID_INT2        21
#define OID_INT4        23
#define OID_TEXT        25
#define OID_OID         26
#define OID_FLOAT4      700
#define OID_FLOAT8      701
#define OID_VARCHAR     1043
#define OID_DATE        1082
#define OID_TIME        1083
#define OID_TIMESTAMP   1114
#define OID_TIMESTAMPTZ 1184
#define OID_INTERVAL    1186
#define OID_NUMERIC     1700
#define OID_UUID        2950

#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

/* ---- reading ---- */

static bool
read_decimal(struct field f, int64_t *v)
{
	const char *p = f.ptr, *end = f.ptr + f.len;
	bool minus = p < end && *p == '-';

	*v = 0;
	if ((p += minus) == end)
		return false;
	for (; p < end; p++)
		if (*p < '0' || *p > '9' || __builtin_mul_overflow(*v, 10, v) ||
		    (minus ? __builtin_sub_overflow(*v, *p - '0', v)
			   : __builtin_add_overflow(*v, *p - '0', v)))
			return false;
	return true;
}

static bool
read_big_endian(struct field f, int64_t *v)
{
	if (f.len == 2)
		*v = (int16_t)be16(f.ptr);
	else if (f.len == 4)
		*v = (int32_t)be32(f.ptr);
	else if (f.len == 8)
		*v = (int64_t)((uint64_t)be32(f.ptr) << 32 | be32(f.ptr + 4));
	else
		return false;
	return true;
}

bool
read_int(struct field f, int format, int64_t *v)
{
	return format == 1 ? read_big_endian(f, v) : read_decimal(f, v);
}

bool
read_bool(struct field f, int format, bool *v)
{
	if (f.len != 1)
		return false;
	*v = format == 1 ? f.ptr[0] != 0 : f.ptr[0] == 't';
	return format == 1 || f.ptr[0] == 't' || f.ptr[0] == 'f';
}

/* ---- comparing ---- */

#define COMPARE(name, type, read)                                  \
	static bool name(struct field a, struct field b, int *out) \
	{                                                          \
		type x, y;                                         \
                                                                   \
		if (!read(a, &x) || !read(b, &y))                  \
			return false;                              \
		*out = ORDER(x, y);                                \
		return true;                                       \
	}

static bool
bool_text(struct field f, bool *v)
{
	return read_bool(f, 0, v);
}

static bool
bool_binary(struct field f, bool *v)
{
	return read_bool(f, 1, v);
}

/* All NaNs are equal, and greater than all else: a number that orders so. */
static bool
float_order(struct field f, double *v)
{
	uint64_t bits;
	uint32_t half;
	float single;

	if (f.len == 4) {
		half = be32(f.ptr);
		memcpy(&single, &half, sizeof single);
		*v = (double)single;
		return true;
	}
	if (f.len != 8)
		return false;
	bits = (uint64_t)be32(f.ptr) << 32 | be32(f.ptr + 4);
	memcpy(v, &bits, sizeof *v);
	return true;
}

static bool
compare_float(struct field a, struct field b, int *out)
{
	double x, y;

	if (!float_order(a, &x) || !float_order(b, &y))
		return false;
	*out = x != x || y != y ? (x != x) - (y != y) : ORDER(x, y);
	return true;
}

static bool
oid_binary(struct field f, uint32_t *v)
{
	if (f.len != 4)
		return false;
	*v = be32(f.ptr);
	return true;
}

/* Days count as 24 hours, months as 30 days. */
static bool
interval_span(struct field f, __int128 *v)
{
	int64_t time, days, months;

	if (f.len != 16)
		return false;
	time = (int64_t)((uint64_t)be32(f.ptr) << 32 | be32(f.ptr + 4));
	days = (int32_t)be32(f.ptr + 8);
	months = (int32_t)be32(f.ptr + 12);
	*v = (__int128)(days + months * 30) * INT64_C(86400000000) + time;
	return true;
}

static bool
compare_bytes(struct field a, struct field b, int *out)
{
	int32_t n = a.len < b.len ? a.len : b.len;
	int c = n > 0 ? memcmp(a.ptr, b.ptr, (size_t)n) : 0;

	*out = c != 0 ? (c > 0) - (c < 0) : ORDER(a.len, b.len);
	return true;
}

static bool
compare_uuid(struct field a, struct field b, int *out)
{
	return (a.len == 16 || a.len == 36) && a.len == b.len && compare_bytes(a, b, out);
}

static bool
compare_numeric(struct field a, struct field b, int format, int *out)
{
	struct num x = {.n = 0}, y = {.n = 0};
	bool good = num_read(&x, a, format) && num_read(&y, b, format);

	if (good)
		*out = num_compare(&x, &y);
	num_fini(&x);
	num_fini(&y);
	return good;
}

static bool
numeric_text(struct field a, struct field b, int *out)
{
	return compare_numeric(a, b, 0, out);
}

static bool
numeric_binary(struct field a, struct field b, int *out)
{
	return compare_numeric(a, b, 1, out);
}

COMPARE(compare_decimal, int64_t, read_decimal)
COMPARE(compare_big_endian, int64_t, read_big_endian)
COMPARE(compare_bool_text, bool, bool_text)
COMPARE(compare_bool_binary, bool, bool_binary)
COMPARE(compare_oid, uint32_t, oid_binary)
COMPARE(compare_interval, __int128, interval_span)

compare_fn *
compare_of(uint32_t type, int format, bool bytes)
{
	bool binary = format == 1;

	switch (type) {
	case OID_INT2:
	case OID_INT4:
	case OID_INT8:
		return binary ? compare_big_endian : compare_decimal;
	case OID_OID:
		return binary ? compare_oid : compare_decimal;
	case OID_BOOL:
		return binary ? compare_bool_binary : compare_bool_text;
	case OID_NUMERIC:
		return binary ? numeric_binary : numeric_text;
	case OID_UUID:
		return compare_uuid;
	case OID_DATE:
	case OID_TIME:
	case OID_TIMESTAMP:
	case OID_TIMESTAMPTZ:
		return binary ? compare_big_endian : NULL;
	case OID_FLOAT4:
	case OID_FLOAT8:
		return binary ? compare_float : NULL;
	case OID_INTERVAL:
		return binary ? compare_interval : NULL;
	case OID_BYTEA:
		return binary ? compare_bytes : NULL;
	case OID_TEXT:
	case OID_VARCHAR:
		return bytes ? compare_bytes : NULL;
	default:
		return NULL;
	}
}
