#include "router/route/hash.h"

#include <string.h>

/* lookup3 by Bob Jenkins, public domain; the constants of its start are PostgreSQL's. */
struct jenkins {
	uint32_t a, b, c;
};

static inline uint32_t
rot(uint32_t x, unsigned k)
{
	return (x << k) | (x >> (32 - k));
}

static inline void
mix(struct jenkins *j)
{
	uint32_t a = j->a, b = j->b, c = j->c;

	a -= c, a ^= rot(c, 4), c += b;
	b -= a, b ^= rot(a, 6), a += c;
	c -= b, c ^= rot(b, 8), b += a;
	a -= c, a ^= rot(c, 16), c += b;
	b -= a, b ^= rot(a, 19), a += c;
	c -= b, c ^= rot(b, 4), b += a;
	*j = (struct jenkins){a, b, c};
}

static inline uint64_t
finish(const struct jenkins *j)
{
	uint32_t a = j->a, b = j->b, c = j->c;

	c ^= b, c -= rot(b, 14);
	a ^= c, a -= rot(c, 11);
	b ^= a, b -= rot(a, 25);
	c ^= b, c -= rot(b, 16);
	a ^= c, a -= rot(c, 4);
	b ^= a, b -= rot(a, 14);
	c ^= b, c -= rot(b, 24);
	return ((uint64_t)b << 32) | c;
}

static inline struct jenkins
start(uint32_t len, uint64_t seed)
{
	uint32_t v = 0x9e3779b9u + len + 3923095u;
	struct jenkins j = {v, v, v};

	if (seed != 0) {
		j.a += (uint32_t)(seed >> 32);
		j.b += (uint32_t)seed;
		mix(&j);
	}
	return j;
}

static inline uint32_t
load_le32(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t
hash_bytes(const void *ptr, size_t len, uint64_t seed)
{
	const unsigned char *p = ptr;
	struct jenkins j = start((uint32_t)len, seed);
	/* The lowest byte of c is kept for the length, so the tail's ninth byte is c's
	 * second. */
	unsigned char tail[13] = {0};

	for (; len >= 12; p += 12, len -= 12) {
		j.a += load_le32(p);
		j.b += load_le32(p + 4);
		j.c += load_le32(p + 8);
		mix(&j);
	}
	if (len > 0)
		memcpy(tail, p, len < 8 ? len : 8);
	if (len > 8)
		memcpy(tail + 9, p + 8, len - 8);
	j.a += load_le32(tail);
	j.b += load_le32(tail + 4);
	j.c += load_le32(tail + 8);
	return finish(&j);
}

uint64_t
hash_int8(int64_t v, uint64_t seed)
{
	uint32_t lo = (uint32_t)(uint64_t)v, hi = (uint32_t)((uint64_t)v >> 32);
	struct jenkins j = start(sizeof lo, seed);

	/* Folded so that a value that fits in int4 hashes as that int4 does. */
	j.a += lo ^ (v >= 0 ? hi : ~hi);
	return finish(&j);
}

uint64_t
hash_combine(uint64_t a, uint64_t b)
{
	return a ^ (b + UINT64_C(0x49a0f4dd15e5a8e3) + (a << 54) + (a >> 7));
}

/* ---- numeric ---- */

/* The server keeps a numeric as base-10000 digits around the decimal point, and hashes
 * those between the first and the last that are not zero, then the power of the first.
 * The sign does not count. */
#define NUMERIC_DIGITS_MAX (131072 / 4 + 16384 / 4 + 2)

/* The digit at position `i` counted from the first of `int_len` integer digits; zero
 * outside the text. */
static inline int
decimal_at(const char *ints, long int_len, const char *frac, long frac_len, long i)
{
	if (i < 0)
		return 0;
	if (i < int_len)
		return ints[i] - '0';
	i -= int_len;
	return i < frac_len ? frac[i] - '0' : 0;
}

uint64_t
hash_numeric(const char *s, size_t len, uint64_t seed)
{
	int16_t digits[NUMERIC_DIGITS_MAX];
	const char *point, *frac;
	long int_len, frac_len, groups_before, groups, n = 0, first = -1, last = -1;

	if (len > 0 && s[0] == '-')
		s++, len--;
	if (len == 0 || s[0] < '0' || s[0] > '9')
		return seed; /* NaN and the infinities */
	point = memchr(s, '.', len);
	int_len = point != NULL ? point - s : (long)len;
	frac = point != NULL ? point + 1 : s + len;
	frac_len = s + len - frac;
	groups_before = (int_len + 3) / 4;
	groups = groups_before + (frac_len + 3) / 4;
	if (groups > NUMERIC_DIGITS_MAX)
		groups = NUMERIC_DIGITS_MAX;
	for (long g = 0; g < groups; g++) {
		int v = 0;

		for (long k = 0; k < 4; k++)
			v = v * 10 +
			    decimal_at(s, int_len, frac, frac_len,
				int_len + (g - groups_before) * 4 + k);
		if (v != 0) {
			if (first < 0)
				first = g;
			last = g;
		}
		if (first >= 0)
			digits[n++] = (int16_t)v;
	}
	if (first < 0)
		return seed - 1;
	return hash_bytes(digits, (size_t)(last - first + 1) * sizeof digits[0], seed) ^
	    (uint64_t)(int64_t)(groups_before - 1 - first);
}
