/* numeric as PostgreSQL has it: base 10000, sums exact, the scale of a quotient as
 * select_div_scale() chooses it. */
#include <stdio.h>
#include <stdlib.h>

#include "router/plan/merge_int.h"

#define BASE       10000
#define DIGITS_MAX 40000 /* 131072 before the point and 16383 behind it, and room */

static void
reserve(struct num *x, int n)
{
	if (n <= x->cap)
		return;
	x->cap = n * 2;
	x->digits = realloc(x->digits, (size_t)x->cap * sizeof *x->digits);
	if (x->digits == NULL)
		abort();
}

void
num_fini(struct num *x)
{
	free(x->digits);
	*x = (struct num){.n = 0};
}

static void
strip(struct num *x)
{
	int lead = 0;

	while (lead < x->n && x->digits[lead] == 0)
		lead++;
	if (lead > 0) {
		x->n -= lead;
		x->weight -= lead;
		memmove(x->digits, x->digits + lead, (size_t)x->n * sizeof *x->digits);
	}
	while (x->n > 0 && x->digits[x->n - 1] == 0)
		x->n--;
	if (x->n == 0) {
		x->weight = 0;
		x->negative = false;
	}
}

/* ---- reading ---- */

static bool
read_binary(struct num *x, struct field f)
{
	int n;

	if (f.len < 8)
		return false;
	n = be16(f.ptr);
	if (f.len != 8 + 2 * n || n > DIGITS_MAX)
		return false;
	x->weight = (int16_t)be16(f.ptr + 2);
	x->dscale = be16(f.ptr + 6) & 0x3fff;
	x->negative = false;
	x->n = 0;
	switch (be16(f.ptr + 4)) {
	case 0xC000:
		x->kind = NUM_NAN;
		return true;
	case 0xD000:
		x->kind = NUM_INF;
		x->dscale = x->weight = 0;
		return true;
	case 0xF000:
		x->kind = NUM_MINUS_INF;
		x->dscale = x->weight = 0;
		return true;
	case 0x4000:
		x->negative = true;
		break;
	case 0:
		break;
	default:
		return false;
	}
	x->kind = NUM_FINITE;
	reserve(x, n + 1);
	for (int i = 0; i < n; i++) {
		uint16_t d = be16(f.ptr + 8 + 2 * i);

		if (d >= BASE)
			return false;
		x->digits[x->n++] = (int16_t)d;
	}
	strip(x);
	return true;
}

static bool
read_special(struct num *x, struct field f)
{
	static const struct {
		const char *name;
		enum num_kind kind;
	} names[] = {
	    {"NaN", NUM_NAN}, {"Infinity", NUM_INF}, {"-Infinity", NUM_MINUS_INF}};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strlen(names[i].name) == (size_t)f.len &&
		    memcmp(names[i].name, f.ptr, (size_t)f.len) == 0) {
			x->kind = names[i].kind;
			x->n = x->dscale = x->weight = 0;
			x->negative = false;
			return true;
		}
	return false;
}

/* As numeric_out() writes: [-]digits[.digits]. */
static bool
read_text(struct num *x, struct field f)
{
	const char *p = f.ptr, *end = f.ptr + f.len, *point;
	int before, place, digit = 0;

	x->kind = NUM_FINITE;
	x->negative = p < end && *p == '-';
	p += x->negative;
	point = memchr(p, '.', (size_t)(end - p));
	before = (int)((point == NULL ? end : point) - p);
	x->dscale = point == NULL ? 0 : (int)(end - point - 1);
	if (before == 0 || before > DIGITS_MAX * 4 || x->dscale > 16383)
		return read_special(x, f);
	x->weight = (before + 3) / 4 - 1;
	x->n = 0;
	reserve(x, (before + 3) / 4 + (x->dscale + 3) / 4 + 1);
	place = (4 - before % 4) % 4; /* within a group of four */
	for (; p < end; p++) {
		if (p == point)
			continue;
		if (*p < '0' || *p > '9')
			return read_special(x, f);
		digit = digit * 10 + (*p - '0');
		if (++place == 4) {
			x->digits[x->n++] = (int16_t)digit;
			place = digit = 0;
		}
	}
	if (place > 0) {
		for (; place < 4; place++)
			digit *= 10;
		x->digits[x->n++] = (int16_t)digit;
	}
	strip(x);
	return true;
}

bool
num_read(struct num *x, struct field f, int format)
{
	if (f.len < 0)
		return false;
	return format == 1 ? read_binary(x, f) : read_text(x, f);
}

void
num_from_int(struct num *x, int64_t v)
{
	uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;

	reserve(x, 6);
	x->kind = NUM_FINITE;
	x->negative = v < 0;
	x->dscale = 0;
	x->n = 5;
	x->weight = 4;
	for (int i = 4; i >= 0; i--, u /= BASE)
		x->digits[i] = (int16_t)(u % BASE);
	strip(x);
}

/* ---- comparing and adding ---- */

static int
digit_at(const struct num *x, int weight)
{
	int i = x->weight - weight;

	return i >= 0 && i < x->n ? x->digits[i] : 0;
}

static int
compare_magnitude(const struct num *a, const struct num *b)
{
	int top = a->weight > b->weight ? a->weight : b->weight;
	int low =
	    a->weight - a->n < b->weight - b->n ? a->weight - a->n : b->weight - b->n;

	if (a->n == 0 || b->n == 0)
		return (a->n > 0) - (b->n > 0);
	if (a->weight != b->weight)
		return a->weight < b->weight ? -1 : 1;
	for (int w = top; w > low; w--)
		if (digit_at(a, w) != digit_at(b, w))
			return digit_at(a, w) < digit_at(b, w) ? -1 : 1;
	return 0;
}

/* NaN is equal to itself and greater than all else. */
int
num_compare(const struct num *a, const struct num *b)
{
	static const int rank[] = {
	    [NUM_MINUS_INF] = 0, [NUM_FINITE] = 1, [NUM_INF] = 2, [NUM_NAN] = 3};
	int m;

	if (a->kind != NUM_FINITE || b->kind != NUM_FINITE)
		return (rank[a->kind] > rank[b->kind]) - (rank[a->kind] < rank[b->kind]);
	if (a->negative != b->negative)
		return a->negative ? -1 : 1;
	m = compare_magnitude(a, b);
	return a->negative ? -m : m;
}

/* |sum| + |x| or, where they differ in sign, |greater| - |less|; `sum` takes both. */
static void
combine(struct num *sum, const struct num *x)
{
	int top = sum->weight > x->weight ? sum->weight : x->weight;
	int ls = sum->weight - sum->n, lx = x->weight - x->n, low = ls < lx ? ls : lx;
	bool subtract = sum->negative != x->negative, swap;
	struct num out = {.weight = top + 1, .n = top + 1 - low};
	int carry = 0;

	swap = subtract && compare_magnitude(sum, x) < 0;
	reserve(&out, out.n + 1);
	for (int w = low + 1; w <= top + 1; w++) {
		int a = digit_at(swap ? x : sum, w), b = digit_at(swap ? sum : x, w);
		int d = subtract ? a - b + carry : a + b + carry;

		carry = d < 0 ? -1 : d / BASE;
		d = d < 0 ? d + BASE : d % BASE;
		out.digits[out.weight - w] = (int16_t)d;
	}
	out.negative = swap ? x->negative : sum->negative;
	out.dscale = sum->dscale > x->dscale ? sum->dscale : x->dscale;
	free(sum->digits);
	*sum = out;
	strip(sum);
}

void
num_add(struct num *sum, const struct num *x)
{
	if (sum->kind == NUM_FINITE && x->kind == NUM_FINITE) {
		if (x->n == 0) {
			if (x->dscale > sum->dscale)
				sum->dscale = x->dscale;
		} else if (sum->n == 0) {
			int scale = sum->dscale;

			reserve(sum, x->n);
			memcpy(sum->digits, x->digits, (size_t)x->n * sizeof *x->digits);
			sum->n = x->n;
			sum->weight = x->weight;
			sum->negative = x->negative;
			sum->dscale = x->dscale > scale ? x->dscale : scale;
		} else {
			combine(sum, x);
		}
		return;
	}
	if (sum->kind == NUM_NAN || x->kind == NUM_FINITE || x->kind == sum->kind)
		return;
	/* infinity and minus infinity have no sum */
	sum->kind = sum->kind == NUM_FINITE ? x->kind : NUM_NAN;
	sum->n = sum->dscale = 0;
	sum->negative = false;
}

/* ---- average ---- */

static int
quotient_scale(const struct num *sum, const struct num *count)
{
	int qweight = (sum->n == 0 ? 0 : sum->weight) - count->weight;
	int scale;

	if ((sum->n == 0 ? 0 : sum->digits[0]) <= count->digits[0])
		qweight--;
	scale = 16 - qweight * 4;
	if (scale < sum->dscale)
		scale = sum->dscale;
	if (scale < 0)
		scale = 0;
	return scale > 1000 ? 1000 : scale;
}

/* Cuts to the scale, half away from zero; there is a digit behind. */
static void
round_to(struct num *x, int scale)
{
	static const int units[] = {1, 10, 100, 1000};
	int keep = x->weight + 1 + (scale + 3) / 4; /* groups that stay */
	int unit = units[(4 - scale % 4) % 4], carry;

	x->dscale = scale;
	if (keep < 0 || (keep == 0 && unit > 1))
		x->n = 0;
	if (keep > x->n || x->n == 0) {
		strip(x);
		return;
	}
	if (unit == 1) {
		carry = keep < x->n && x->digits[keep] >= BASE / 2;
	} else {
		int rest = x->digits[keep - 1] % unit;

		x->digits[keep - 1] = (int16_t)(x->digits[keep - 1] - rest);
		carry = rest >= unit / 2 ? unit : 0;
	}
	x->n = keep;
	for (int i = keep - 1; i >= 0 && carry > 0; i--) {
		int d = x->digits[i] + carry;

		carry = d >= BASE;
		x->digits[i] = (int16_t)(d % BASE);
	}
	if (carry > 0) {
		reserve(x, x->n + 1);
		memmove(x->digits + 1, x->digits, (size_t)x->n * sizeof *x->digits);
		x->digits[0] = (int16_t)carry;
		x->n++;
		x->weight++;
	}
	strip(x);
}

void
num_average(struct num *out, const struct num *sum, int64_t count)
{
	struct num c = {.n = 0};
	unsigned __int128 rest = 0;
	int scale, groups;

	if (sum->kind != NUM_FINITE) {
		out->kind = sum->kind;
		out->n = out->dscale = 0;
		out->negative = false;
		return;
	}
	num_from_int(&c, count);
	scale = quotient_scale(sum, &c);
	num_fini(&c);
	/* a zero group in front, for what rounding carries; one behind to round by */
	groups = sum->n == 0 ? 0 : sum->weight + 1 + (scale + 3) / 4 + 1;
	if (groups < 1)
		groups = 1;
	reserve(out, groups + 2);
	out->kind = NUM_FINITE;
	out->negative = sum->negative;
	out->weight = sum->weight;
	out->n = 0;
	for (int i = 0; i < groups; i++) {
		rest = rest * BASE + (unsigned)(i < sum->n ? sum->digits[i] : 0);
		out->digits[out->n++] = (int16_t)(rest / (uint64_t)count);
		rest %= (uint64_t)count;
	}
	round_to(out, scale);
}

/* ---- writing ---- */

static void
put16(char *p, unsigned v)
{
	p[0] = (char)(v >> 8);
	p[1] = (char)v;
}

static size_t
write_binary(const struct num *x, char *out)
{
	static const unsigned signs[] = {[NUM_FINITE] = 0,
	    [NUM_MINUS_INF] = 0xF000,
	    [NUM_INF] = 0xD000,
	    [NUM_NAN] = 0xC000};

	/* the bits of an infinity's header, read as a short one's, are a scale of 32 */
	bool infinite = x->kind == NUM_INF || x->kind == NUM_MINUS_INF;

	if (out == NULL)
		return 8 + 2 * (size_t)x->n;
	put16(out, (unsigned)x->n);
	put16(out + 2, x->kind == NUM_FINITE ? (unsigned)x->weight : 0);
	put16(out + 4, x->negative ? 0x4000 : signs[x->kind]);
	put16(out + 6, infinite ? 32 : (unsigned)x->dscale);
	for (int i = 0; i < x->n; i++)
		put16(out + 8 + 2 * i, (unsigned)x->digits[i]);
	return 8 + 2 * (size_t)x->n;
}

static size_t
write_text(const struct num *x, char *out)
{
	static const char *const names[] = {
	    [NUM_MINUS_INF] = "-Infinity", [NUM_INF] = "Infinity", [NUM_NAN] = "NaN"};
	size_t n = 0;
	char group[8];
	int top = x->n > 0 && x->weight > 0 ? x->weight : 0, left = x->dscale;

#define PUT(p, len)                                  \
	do {                                         \
		if (out != NULL)                     \
			memcpy(out + n, (p), (len)); \
		n += (len);                          \
	} while (0)
	if (x->kind != NUM_FINITE) {
		PUT(names[x->kind], strlen(names[x->kind]));
		return n;
	}
	if (x->negative)
		PUT("-", 1);
	for (int w = top; w >= 0; w--) {
		int len = snprintf(
		    group, sizeof group, w == top ? "%d" : "%04d", digit_at(x, w));

		PUT(group, (size_t)len);
	}
	if (left > 0)
		PUT(".", 1);
	for (int w = -1; left > 0; w--, left -= 4) {
		snprintf(group, sizeof group, "%04d", digit_at(x, w));
		PUT(group, (size_t)(left < 4 ? left : 4));
	}
#undef PUT
	return n;
}

size_t
num_write(const struct num *x, int format, char *out)
{
	return format == 1 ? write_binary(x, out) : write_text(x, out);
}
