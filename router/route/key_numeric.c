/* Numeric keys: reduced to canonical digits ("-12.5": no leading and no trailing zeros,
 * no "-0"), so that 1.0, 1.00 and 100e-2 are one key. Limits are the server's: 131072
 * digits before the point, 16383 behind it. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "router/route/key_in.h"

#define INT_DIGITS_MAX  131072
#define FRAC_DIGITS_MAX 16383
#define EXPONENT_MAX    INT_DIGITS_MAX /* the server also refuses a zero with more */

/* Digits d[0 … n) with the decimal point before d[point]. */
static enum rc
canonical(bool negative, const char *d, long n, long point, struct arena *a,
    struct key *k, struct err *e)
{
	char *out, *p;

	while (n > 0 && d[0] == '0')
		d++, n--, point--;
	while (n > 0 && d[n - 1] == '0')
		n--;
	if (n == 0) {
		k->text = SLICE_LIT("0");
		return RC_OK;
	}
	if (point > INT_DIGITS_MAX)
		return err_set(e, "22003", BLAST_STMT, "value overflows numeric format");
	if (n - point > FRAC_DIGITS_MAX) {
		err_set(e, "0A000", BLAST_STMT,
		    "numeric key with more than %d digits behind the decimal point",
		    FRAC_DIGITS_MAX);
		return RC_ERR;
	}
	out = p = arena_alloc(
	    a, (size_t)((point > n ? point : n) + (point < 0 ? -point : 0) + 4));
	if (negative)
		*p++ = '-';
	if (point <= 0)
		*p++ = '0';
	for (long i = 0; i < point; i++)
		*p++ = i < n ? d[i] : '0';
	if (n > point)
		*p++ = '.';
	for (long i = point; i < n; i++)
		*p++ = i < 0 ? '0' : d[i];
	k->text = (struct slice){out, (size_t)(p - out)};
	return RC_OK;
}

static bool
word_is(struct slice s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(s.ptr, word, s.len) == 0;
}

static bool
special_in(struct slice s, struct key *k)
{
	bool negative = s.len > 0 && s.ptr[0] == '-';
	struct slice rest = s;

	if (word_is(s, "NaN")) {
		k->text = SLICE_LIT("NaN");
		return true;
	}
	if (s.len > 0 && (s.ptr[0] == '-' || s.ptr[0] == '+'))
		rest = (struct slice){s.ptr + 1, s.len - 1};
	if (!word_is(rest, "Infinity") && !word_is(rest, "inf"))
		return false;
	k->text = negative ? SLICE_LIT("-Infinity") : SLICE_LIT("Infinity");
	return true;
}

/* [eE][+-]digits up to the end; false: something else stands there. */
static bool
exponent_in(const char *p, const char *end, long *exponent)
{
	bool negative = false;
	long v = 0;

	*exponent = 0;
	if (p == end)
		return true;
	if (*p != 'e' && *p != 'E')
		return false;
	p++;
	if (p < end && (*p == '+' || *p == '-'))
		negative = *p++ == '-';
	if (p == end)
		return false;
	for (; p < end && is_digit(*p); p++)
		if (v < 1000000000)
			v = v * 10 + (*p - '0');
	*exponent = negative ? -v : v;
	return p == end;
}

enum rc
numeric_in(struct slice text, const struct key_env *env, struct arena *a, struct key *k,
    struct err *e)
{
	struct slice s = slice_trim(text);
	const char *p = s.ptr, *end = s.ptr + s.len;
	bool negative = false, point_seen = false;
	long n = 0, point = 0, exponent;
	char *digits;

	(void)env;
	if (special_in(s, k))
		return RC_OK;
	if (s.len > 2 * (INT_DIGITS_MAX + FRAC_DIGITS_MAX))
		return err_set(e, "0A000", BLAST_STMT, "numeric key is too long");
	if (p < end && (*p == '+' || *p == '-'))
		negative = *p++ == '-';
	digits = arena_alloc(a, s.len + 1);
	for (; p < end && (is_digit(*p) || (*p == '.' && !point_seen)); p++) {
		if (*p == '.')
			point_seen = true;
		else
			digits[n++] = *p, point += !point_seen;
	}
	if (n == 0 || !exponent_in(p, end, &exponent))
		return key_bad_syntax(e, "22P02", KEY_NUMERIC, text);
	if (exponent > EXPONENT_MAX || exponent < -EXPONENT_MAX)
		return err_set(e, "22003", BLAST_STMT, "value overflows numeric format");
	return canonical(negative, digits, n, point + exponent, a, k, e);
}

enum rc
numeric_recv(struct slice b, const struct key_env *env, struct arena *a, struct key *k,
    struct err *e)
{
	unsigned n, sign, scale;
	int weight;
	long len, point;
	char *digits;

	(void)env;
	if (b.len < 8)
		goto bad;
	n = (unsigned)load_be(b.ptr, 2);
	weight = (int16_t)load_be(b.ptr + 2, 2);
	sign = (unsigned)load_be(b.ptr + 4, 2);
	scale = (unsigned)load_be(b.ptr + 6, 2);
	if (b.len != 8 + 2 * (size_t)n)
		goto bad;
	if (sign == 0xC000 || sign == 0xD000 || sign == 0xF000) {
		k->text = sign == 0xC000 ? SLICE_LIT("NaN")
		    : sign == 0xD000     ? SLICE_LIT("Infinity")
					 : SLICE_LIT("-Infinity");
		return RC_OK;
	}
	if ((sign != 0 && sign != 0x4000) || scale > FRAC_DIGITS_MAX)
		goto bad;
	digits = arena_alloc(a, 4 * (size_t)n + 1);
	for (unsigned i = 0; i < n; i++) {
		unsigned v = (unsigned)load_be(b.ptr + 8 + 2 * i, 2);

		if (v > 9999)
			goto bad;
		for (int k4 = 3; k4 >= 0; k4--, v /= 10)
			digits[4 * i + (unsigned)k4] = (char)('0' + v % 10);
	}
	len = 4L * n;
	point = 4L * (weight + 1);
	/* The server cuts what the sender's display scale does not cover. */
	if (len - point > (long)scale)
		len = point + (long)scale > 0 ? point + (long)scale : 0;
	return canonical(sign == 0x4000, digits, len, point, a, k, e);
bad:
	return err_set(e, "22P03", BLAST_STMT, "invalid binary numeric in a key");
}

/* ---- order ---- */

/* -Infinity, negative, zero, positive, Infinity, NaN */
static int
class_of(struct slice s)
{
	if (s.ptr[0] == 'N')
		return 3;
	if (s.ptr[0] == 'I')
		return 2;
	if (s.ptr[0] != '-')
		return s.len == 1 && s.ptr[0] == '0' ? 0 : 1;
	return s.ptr[1] == 'I' ? -2 : -1;
}

/* Positive values. */
static int
magnitude_compare(struct slice a, struct slice b)
{
	const char *pa = memchr(a.ptr, '.', a.len), *pb = memchr(b.ptr, '.', b.len);
	size_t ia = pa != NULL ? (size_t)(pa - a.ptr) : a.len,
	       ib = pb != NULL ? (size_t)(pb - b.ptr) : b.len;
	size_t least = a.len < b.len ? a.len : b.len;
	int d;

	if (ia != ib)
		return ia < ib ? -1 : 1;
	/* The points stand at the same place, and without trailing zeros the longer is
	 * the greater. */
	d = memcmp(a.ptr, b.ptr, least);
	return d != 0 ? d : (a.len > b.len) - (a.len < b.len);
}

int
numeric_compare(struct slice a, struct slice b)
{
	int ca = class_of(a), cb = class_of(b);

	if (ca != cb)
		return ca < cb ? -1 : 1;
	if (ca == 1)
		return magnitude_compare(a, b);
	if (ca == -1)
		return magnitude_compare((struct slice){b.ptr + 1, b.len - 1},
		    (struct slice){a.ptr + 1, a.len - 1});
	return 0;
}
