/* Dates and timestamps. Read are the forms whose meaning needs no table of time zones and
 * no clock:
 *   2026-01-31, 20260131, 31.01.2026, 01/31/2026 (three numbers by DateStyle's order),
 *   Jan 31, 2026, 31 Jan 2026, 31-Jan-2026, a weekday before any of them,
 *   then [T]HH:MM[:SS[.f]] [+HH[:MM[:SS]] | Z | UTC | GMT], BC or AD,
 *   Sat Jan 31 10:00:00 2026, infinity, -infinity, epoch.
 * Everything else is refused, though the server may read it. Calendar arithmetic: days of
 * the proleptic Gregorian calendar by eras of 400 years. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "router/route/key_in.h"

#define US_PER_S      INT64_C(1000000)
#define US_PER_DAY    (86400 * US_PER_S)
#define EPOCH_2000    10957      /* days from 1970 to 2000 */
#define DATE_MIN      (-2451545) /* 4714-11-24 BC */
#define DATE_END      (2147483494 - 2451545)
#define TIMESTAMP_MIN INT64_C(-211813488000000000)
#define TIMESTAMP_END INT64_C(9223371331200000000)
#define TEXT_MAX      100
/* Digits of a year beside a month's name; six digits on their own are a date or a time to
 * the server. */
#define NAMED_YEAR_MAX 5

struct moment {
	long year, month, day;
	int year_digits;
	bool bc, zone_seen, named; /* named: the month was a word */
	int32_t zone_s;
	int64_t time_us;
};

struct cursor {
	const char *p, *end;
};

enum read { READ_OK, READ_UNKNOWN, READ_FIELD_RANGE };

/* ---- calendar ---- */

static int64_t
days_of_civil(int64_t y, int64_t m, int64_t d)
{
	int64_t era, yoe, doy;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468 - EPOCH_2000;
}

static void
civil_of_days(int64_t days, int64_t *y, int *m, int *d)
{
	int64_t z = days + EPOCH_2000 + 719468, era = (z >= 0 ? z : z - 146096) / 146097,
		doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365,
		doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*d = (int)(doy - (153 * mp + 2) / 5 + 1);
	*m = (int)(mp < 10 ? mp + 3 : mp - 9);
	*y = yoe + era * 400 + (*m <= 2);
}

static int
days_in_month(int64_t y, long m)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	if (m == 2 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0))
		return 29;
	return days[m - 1];
}

/* ---- small readers ---- */

static bool
at(const struct cursor *c, char ch)
{
	return c->p < c->end && *c->p == ch;
}

static bool
take(struct cursor *c, char ch)
{
	if (!at(c, ch))
		return false;
	c->p++;
	return true;
}

static bool
take_spaces(struct cursor *c)
{
	const char *from = c->p;

	while (c->p < c->end && is_space(*c->p))
		c->p++;
	return c->p > from;
}

static bool
is_alpha(char ch)
{
	return (ch | 0x20) >= 'a' && (ch | 0x20) <= 'z';
}

/* 1 to 8 digits; returns how many, 0: none or too many. */
static int
take_number(struct cursor *c, long *v)
{
	const char *from = c->p;

	*v = 0;
	while (c->p < c->end && is_digit(*c->p) && c->p - from < 9)
		*v = *v * 10 + (*c->p++ - '0');
	return c->p - from > 8 ? 0 : (int)(c->p - from);
}

/* Letters, at most 9; the cursor moves only behind a word that is in the list. Lists are
 * of the form ",a,b=,c,". */
static int
take_word(struct cursor *c, const char *const *words, int n)
{
	char word[16];
	size_t len = 0;

	while (c->p + len < c->end && is_alpha(c->p[len]) && len < 12)
		word[1 + len] = (char)(c->p[len] | 0x20), len++;
	if (len == 0 || len > 10)
		return -1;
	word[0] = word[len + 1] = ',';
	word[len + 2] = '\0';
	for (int i = 0; i < n; i++) {
		if (strstr(words[i], word) != NULL) {
			c->p += len;
			return i;
		}
	}
	return -1;
}

static int
take_month(struct cursor *c)
{
	static const char *const months[] = {",jan,january,", ",feb,february,",
	    ",mar,march,", ",apr,april,", ",may,", ",jun,june,", ",jul,july,",
	    ",aug,august,", ",sep,sept,september,", ",oct,october,", ",nov,november,",
	    ",dec,december,"};

	return take_word(c, months, 12) + 1;
}

static bool
take_weekday(struct cursor *c)
{
	static const char *const days[] = {",sun,sunday,", ",mon,monday,",
	    ",tue,tues,tuesday,", ",wed,weds,wednesday,", ",thu,thur,thurs,thursday,",
	    ",fri,friday,", ",sat,saturday,"};

	return take_word(c, days, 7) >= 0;
}

/* ---- time of day and zone ---- */

static enum read
read_fraction(struct cursor *c, int64_t *us)
{
	char text[TEXT_MAX + 2];
	size_t n = 1;

	text[0] = '.';
	while (c->p < c->end && is_digit(*c->p) && n < TEXT_MAX)
		text[n++] = *c->p++;
	text[n] = '\0';
	/* As the server rounds it, and may so reach the next second. */
	*us = (int64_t)rint(strtod(n > 1 ? text : "0", NULL) * 1000000);
	return READ_OK;
}

/* 24:00:00 and a sixtieth second are left to the server. */
static enum read
read_time(struct cursor *c, int64_t *us)
{
	long h, m, s = 0;
	int64_t fraction = 0;
	int n = take_number(c, &h);

	if (n == 0 || n > 2 || !take(c, ':') || (n = take_number(c, &m)) == 0 || n > 2)
		return READ_UNKNOWN;
	if (take(c, ':')) {
		n = take_number(c, &s);
		if (n == 0 || n > 2)
			return READ_UNKNOWN;
		if (take(c, '.') && read_fraction(c, &fraction) != READ_OK)
			return READ_UNKNOWN;
	}
	if (h == 24 || s == 60)
		return READ_UNKNOWN;
	if (h > 23 || m > 59 || s > 59)
		return READ_FIELD_RANGE;
	*us = (h * 3600 + m * 60 + s) * US_PER_S + fraction;
	return READ_OK;
}

/* +HH, +HHMM, +HH:MM, +HH:MM:SS behind its sign */
static enum read
read_offset(struct cursor *c, bool west, struct moment *t)
{
	long h, m = 0, s = 0;
	int n = take_number(c, &h);

	if (n == 4) {
		m = h % 100;
		h /= 100;
	} else if (n != 1 && n != 2) {
		return READ_UNKNOWN;
	} else if (take(c, ':')) {
		if (take_number(c, &m) != 2 || (take(c, ':') && take_number(c, &s) != 2))
			return READ_UNKNOWN;
	}
	if (h > 15 || m > 59 || s > 59)
		return READ_FIELD_RANGE;
	t->zone_s = (int32_t)(h * 3600 + m * 60 + s);
	if (west)
		t->zone_s = -t->zone_s;
	t->zone_seen = true;
	return READ_OK;
}

static enum read
read_zone(struct cursor *c, struct moment *t)
{
	static const char *const utc[] = {",z,utc,gmt,"};

	if (at(c, '+') || at(c, '-'))
		return read_offset(c, *c->p++ == '-', t);
	if (take_word(c, utc, 1) == 0)
		t->zone_seen = true;
	return READ_OK;
}

/* Whatever follows a complete date and time: era, end. */
static enum read
read_tail(struct cursor *c, struct moment *t)
{
	static const char *const eras[] = {",ad,", ",bc,"};
	int era;

	take_spaces(c);
	era = take_word(c, eras, 2);
	t->bc = era == 1;
	take_spaces(c);
	return c->p == c->end ? READ_OK : READ_UNKNOWN;
}

/* ---- dates ---- */

static void
set_ymd(struct moment *t, long y, int digits, long m, long d)
{
	t->year = y;
	t->year_digits = digits;
	t->month = m;
	t->day = d;
}

/* A year of three digits or more comes first whatever DateStyle says; else its order
 * decides. */
static enum read
read_three_numbers(
    struct cursor *c, long first, int n1, enum date_order order, struct moment *t)
{
	char separator = *c->p++;
	long second, third;
	int n2 = take_number(c, &second), n3;

	if (n2 == 0 || n2 > 2 || !take(c, separator) ||
	    (n3 = take_number(c, &third)) == 0)
		return READ_UNKNOWN;
	if (n1 >= 3 || order == ORDER_YMD) {
		if (n3 > 2)
			return READ_UNKNOWN;
		set_ymd(t, first, n1, second, third);
	} else if (order == ORDER_DMY) {
		set_ymd(t, third, n3, second, first);
	} else {
		set_ymd(t, third, n3, first, second);
	}
	return n1 > 7 ? READ_UNKNOWN : READ_OK;
}

/* "Jan 31, 2026" or, the server's own "Postgres" style, "Jan 31 10:00:00 2026": the month
 * is known, a day or a year may be. */
static enum read
read_rest_of_named(
    struct cursor *c, char separator, long known, int known_digits, struct moment *t)
{
	struct cursor ahead;
	long v;
	int n;

	if (known_digits == 0) {
		known_digits = take_number(c, &known);
		if (known_digits == 0 || known_digits > 2)
			return READ_UNKNOWN;
		take(c, ',');
		if (!take_spaces(c))
			return READ_UNKNOWN;
	} else if (separator == ' ' ? !take_spaces(c) : !take(c, separator)) {
		return READ_UNKNOWN;
	}
	ahead = *c;
	n = take_number(&ahead, &v);
	if (known_digits <= 2 && at(&ahead, ':') && separator == ' ') {
		enum read r = read_time(c, &t->time_us);

		if (r != READ_OK)
			return r;
		if (!take_spaces(c))
			return READ_UNKNOWN;
		n = take_number(c, &v);
		/* No second time may follow. */
		if (n < 4 || n > NAMED_YEAR_MAX || (c->p < c->end && !is_space(*c->p)))
			return READ_UNKNOWN;
		set_ymd(t, v, n, t->month, known);
		take_spaces(c);
		return read_zone(c, t);
	}
	*c = ahead;
	if (known_digits >= 4 ? n == 0 || n > 2 || known_digits > NAMED_YEAR_MAX
			      : n < 4 || n > NAMED_YEAR_MAX)
		return READ_UNKNOWN;
	if (known_digits >= 4)
		set_ymd(t, known, known_digits, t->month, v);
	else
		set_ymd(t, v, n, t->month, known);
	return READ_OK;
}

static enum read
read_named(struct cursor *c, long first, int n1, struct moment *t)
{
	char separator = ' ';

	t->named = true;
	if (n1 > 0 && n1 != 1 && n1 != 2 && n1 < 4)
		return READ_UNKNOWN;
	if (n1 > 0) {
		if (!take_spaces(c)) {
			if (!take(c, '-'))
				return READ_UNKNOWN;
			separator = '-';
		}
	}
	t->month = take_month(c);
	if (t->month == 0)
		return READ_UNKNOWN;
	if (n1 == 0 && !take_spaces(c))
		return READ_UNKNOWN;
	return read_rest_of_named(c, separator, first, n1, t);
}

static enum read
read_date(struct cursor *c, enum date_order order, struct moment *t)
{
	long first;
	int n1;

	if (take_weekday(c)) {
		take(c, ',');
		if (!take_spaces(c))
			return READ_UNKNOWN;
	}
	if (c->p < c->end && is_alpha(*c->p))
		return read_named(c, 0, 0, t);
	n1 = take_number(c, &first);
	if (n1 == 0)
		return READ_UNKNOWN;
	if (n1 == 8 && (c->p == c->end || is_space(*c->p))) {
		set_ymd(t, first / 10000, 4, first / 100 % 100, first % 100);
		return READ_OK;
	}
	if (c->p + 1 < c->end && (*c->p == '-' || *c->p == '/' || *c->p == '.') &&
	    is_digit(c->p[1]))
		return read_three_numbers(c, first, n1, order, t);
	return read_named(c, first, n1, t);
}

static enum read
read_moment(struct slice s, enum date_order order, struct moment *t)
{
	struct cursor c = {s.ptr, s.ptr + s.len};
	enum read r;
	bool had_t;

	*t = (struct moment){.time_us = -1};
	r = read_date(&c, order, t);
	if (r != READ_OK)
		return r;
	had_t = !t->named && c.p + 1 < c.end && (*c.p == 'T' || *c.p == 't') &&
	    is_digit(c.p[1]);
	if (had_t)
		c.p++;
	else if (c.p < c.end && !take_spaces(&c) && !t->zone_seen)
		return READ_UNKNOWN;
	if (t->time_us < 0 && c.p < c.end && is_digit(*c.p)) {
		r = read_time(&c, &t->time_us);
		if (r != READ_OK)
			return r;
		take_spaces(&c);
		r = read_zone(&c, t);
		if (r != READ_OK)
			return r;
	}
	if (t->time_us < 0)
		t->time_us = 0;
	return read_tail(&c, t);
}

/* The server's rules for years and days. */
static enum read
check_moment(struct moment *t)
{
	if (t->bc) {
		if (t->year <= 0)
			return READ_FIELD_RANGE;
		t->year = 1 - t->year;
	} else if (t->year_digits <= 2) {
		t->year += t->year < 70 ? 2000 : 1900;
	} else if (t->year <= 0) {
		return READ_FIELD_RANGE;
	}
	if (t->month < 1 || t->month > 12 || t->day < 1 ||
	    t->day > days_in_month(t->year, t->month))
		return READ_FIELD_RANGE;
	return READ_OK;
}

static enum rc
moment_in(enum key_type type, struct slice s, const struct key_env *env, struct moment *t,
    struct err *e)
{
	enum read r = s.len > TEXT_MAX ? READ_UNKNOWN : read_moment(s, env->order, t);

	if (r == READ_OK)
		r = check_moment(t);
	if (r == READ_FIELD_RANGE)
		return key_bad_syntax(e, "22008", type, s);
	if (r == READ_UNKNOWN)
		return key_unproven(e, type, s,
		    "Write it in ISO 8601 form: 2026-01-31, or 2026-01-31 10:00:00+00.");
	return RC_OK;
}

/* 1, -1: infinity; 2: epoch; 0: none of them */
static int
special_word(struct slice s)
{
	if (s.len == 8 && strncasecmp(s.ptr, "infinity", 8) == 0)
		return 1;
	if (s.len == 9 && strncasecmp(s.ptr, "-infinity", 9) == 0)
		return -1;
	return s.len == 5 && strncasecmp(s.ptr, "epoch", 5) == 0 ? 2 : 0;
}

enum rc
date_in(struct slice text, const struct key_env *env, struct arena *a, struct key *k,
    struct err *e)
{
	struct slice s = slice_trim(text);
	struct moment t;

	(void)a;
	switch (special_word(s)) {
	case 1:
		k->i = INT32_MAX;
		return RC_OK;
	case -1:
		k->i = INT32_MIN;
		return RC_OK;
	case 2:
		k->i = -EPOCH_2000;
		return RC_OK;
	}
	if (moment_in(k->type, s, env, &t, e) != RC_OK)
		return RC_ERR;
	k->i = days_of_civil(t.year, t.month, t.day);
	if (k->i < DATE_MIN || k->i >= DATE_END)
		return err_set(e, "22008", BLAST_STMT, "date out of range: \"%.60s\"",
		    arena_strndup(a, s.ptr, s.len));
	return RC_OK;
}

static enum rc
no_fixed_zone(struct err *e)
{
	err_set(e, "0A000", BLAST_STMT,
	    "timestamp with time zone key without an offset, in a session whose TimeZone "
	    "is neither UTC nor a fixed offset");
	err_hint(
	    e, "Write the offset: 2026-01-31 10:00:00+01, or SET TimeZone TO 'UTC'.");
	return RC_ERR;
}

enum rc
timestamp_in(struct slice text, const struct key_env *env, struct arena *a, struct key *k,
    struct err *e)
{
	struct slice s = slice_trim(text);
	struct moment t;
	int64_t days;

	switch (special_word(s)) {
	case 1:
		k->i = INT64_MAX;
		return RC_OK;
	case -1:
		k->i = INT64_MIN;
		return RC_OK;
	case 2:
		k->i = -EPOCH_2000 * US_PER_DAY;
		return RC_OK;
	}
	if (moment_in(k->type, s, env, &t, e) != RC_OK)
		return RC_ERR;
	if (k->type == KEY_TIMESTAMPTZ && !t.zone_seen && !env->zone_fixed)
		return no_fixed_zone(e);
	days = days_of_civil(t.year, t.month, t.day);
	/* The server drops the offset of a timestamp without time zone. */
	if (k->type == KEY_TIMESTAMPTZ)
		t.time_us -= (t.zone_seen ? t.zone_s : env->zone_s) * US_PER_S;
	if (days < DATE_MIN - 1 || days > TIMESTAMP_END / US_PER_DAY)
		goto range;
	if (__builtin_mul_overflow(days, US_PER_DAY, &k->i) ||
	    __builtin_add_overflow(k->i, t.time_us, &k->i))
		goto range;
	if (k->i < TIMESTAMP_MIN || k->i >= TIMESTAMP_END)
		goto range;
	return RC_OK;
range:
	return err_set(e, "22008", BLAST_STMT, "timestamp out of range: \"%.60s\"",
	    arena_strndup(a, s.ptr, s.len));
}

enum rc
date_recv(struct slice b, const struct key_env *env, struct arena *a, struct key *k,
    struct err *e)
{
	(void)env, (void)a;
	if (b.len != 4)
		return err_set(e, "22P03", BLAST_STMT,
		    "a binary date key has %zu bytes, not 4", b.len);
	k->i = (int32_t)(uint32_t)load_be(b.ptr, 4);
	if (k->i != INT32_MAX && k->i != INT32_MIN &&
	    (k->i < DATE_MIN || k->i >= DATE_END))
		return err_set(e, "22008", BLAST_STMT, "date out of range");
	return RC_OK;
}

enum rc
timestamp_recv(struct slice b, const struct key_env *env, struct arena *a, struct key *k,
    struct err *e)
{
	(void)env, (void)a;
	if (b.len != 8)
		return err_set(e, "22P03", BLAST_STMT,
		    "a binary timestamp key has %zu bytes, not 8", b.len);
	k->i = (int64_t)load_be(b.ptr, 8);
	if (k->i != INT64_MAX && k->i != INT64_MIN &&
	    (k->i < TIMESTAMP_MIN || k->i >= TIMESTAMP_END))
		return err_set(e, "22008", BLAST_STMT, "timestamp out of range");
	return RC_OK;
}

/* ---- conversion ---- */

static bool
is_infinite(const struct key *k)
{
	return k->type == KEY_DATE ? k->i == INT32_MAX || k->i == INT32_MIN
				   : k->i == INT64_MAX || k->i == INT64_MIN;
}

static enum rc
timestamp_to_date(int64_t us, struct key *k, struct err *e)
{
	if (us % US_PER_DAY != 0) {
		err_set(e, "0A000", BLAST_STMT,
		    "a timestamp with a time of day as a date key");
		err_hint(e, "Cast the value to date.");
		return RC_ERR;
	}
	*k = (struct key){KEY_DATE, .i = us / US_PER_DAY};
	return RC_OK;
}

enum rc
time_convert(enum key_type to, const struct key_env *env, struct key *k, struct err *e)
{
	bool zoned = (k->type == KEY_TIMESTAMPTZ) != (to == KEY_TIMESTAMPTZ);
	int64_t shift = zoned ? env->zone_s * US_PER_S : 0, us;

	if (k->type == to)
		return RC_OK;
	if (is_infinite(k)) {
		*k = (struct key){to,
		    .i = to == KEY_DATE ? (k->i > 0 ? INT32_MAX : INT32_MIN)
					: (k->i > 0 ? INT64_MAX : INT64_MIN)};
		return RC_OK;
	}
	if (zoned && !env->zone_fixed)
		return no_fixed_zone(e);
	if (k->type == KEY_DATE) {
		if (k->i >= TIMESTAMP_END / US_PER_DAY)
			return err_set(
			    e, "22008", BLAST_STMT, "date out of range for timestamp");
		us = k->i * US_PER_DAY;
	} else {
		us = k->i;
	}
	us = k->type == KEY_TIMESTAMPTZ ? us + shift : us - shift;
	if (us < TIMESTAMP_MIN || us >= TIMESTAMP_END)
		return err_set(e, "22008", BLAST_STMT, "timestamp out of range");
	if (to == KEY_DATE)
		return timestamp_to_date(us, k, e);
	*k = (struct key){to, .i = us};
	return RC_OK;
}

/* ---- printing: ISO, which every DateStyle reads the same ---- */

static int
print_date(char *out, size_t size, int64_t days, bool *bc)
{
	int64_t y;
	int m, d;

	civil_of_days(days, &y, &m, &d);
	*bc = y <= 0;
	return snprintf(
	    out, size, "%04lld-%02d-%02d", (long long)(*bc ? 1 - y : y), m, d);
}

struct slice
date_out(const struct key *k, struct arena *a)
{
	char *out = arena_alloc(a, 40);
	bool bc;
	int n;

	if (is_infinite(k))
		return k->i > 0 ? SLICE_LIT("infinity") : SLICE_LIT("-infinity");
	n = print_date(out, 40, k->i, &bc);
	if (bc)
		n += snprintf(out + n, 40 - (size_t)n, " BC");
	return (struct slice){out, (size_t)n};
}

struct slice
timestamp_out(const struct key *k, struct arena *a)
{
	char *out = arena_alloc(a, 64);
	int64_t days, us;
	size_t n;
	bool bc;

	if (is_infinite(k))
		return k->i > 0 ? SLICE_LIT("infinity") : SLICE_LIT("-infinity");
	days = k->i / US_PER_DAY;
	us = k->i % US_PER_DAY;
	if (us < 0)
		us += US_PER_DAY, days--;
	n = (size_t)print_date(out, 64, days, &bc);
	n += (size_t)snprintf(out + n, 64 - n, " %02d:%02d:%02d",
	    (int)(us / (3600 * US_PER_S)), (int)(us / (60 * US_PER_S) % 60),
	    (int)(us / US_PER_S % 60));
	if (us % US_PER_S != 0)
		n += (size_t)snprintf(out + n, 64 - n, ".%06d", (int)(us % US_PER_S));
	n += (size_t)snprintf(out + n, 64 - n, "%s%s",
	    k->type == KEY_TIMESTAMPTZ ? "+00" : "", bc ? " BC" : "");
	return (struct slice){out, n};
}

/* ---- TimeZone ---- */

/* <+03>-03, the form in which the server reports SET TIME ZONE 3: the name between the
 * brackets, then the offset west. */
static bool
posix_offset(const char *s, int32_t *east)
{
	const char *close = strchr(s, '>');
	struct moment t = {0};
	struct cursor c;
	bool east_of;

	if (close == NULL)
		return false;
	c = (struct cursor){close + 1, close + 1 + strlen(close + 1)};
	east_of = at(&c, '-');
	if (east_of || at(&c, '+'))
		c.p++;
	if (read_offset(&c, !east_of, &t) != READ_OK || c.p != c.end)
		return false;
	*east = t.zone_s;
	return true;
}

bool
time_zone_fixed(const char *zone, int32_t *east)
{
	static const char utc[] = ",UTC,GMT,UCT,ZULU,UNIVERSAL,GREENWICH,ETC/UTC,ETC/"
				  "GMT,ETC/UCT,ETC/ZULU,ETC/UNIVERSAL,"
				  "ETC/GREENWICH,GMT0,ETC/GMT0,";
	char name[32];
	size_t n = strlen(zone);
	long h;
	struct cursor c;

	*east = 0;
	if (zone[0] == '<')
		return posix_offset(zone, east);
	if (n == 0 || n > sizeof name - 3 || strchr(zone, ',') != NULL)
		return false;
	name[0] = ',';
	for (size_t i = 0; i < n; i++)
		name[i + 1] =
		    (char)(zone[i] >= 'a' && zone[i] <= 'z' ? zone[i] - 32 : zone[i]);
	name[n + 1] = ',';
	name[n + 2] = '\0';
	if (strstr(utc, name) != NULL)
		return true;
	if (strncmp(name, ",ETC/GMT", 8) != 0 || (name[8] != '+' && name[8] != '-'))
		return false;
	c = (struct cursor){zone + 8, zone + n};
	if (take_number(&c, &h) == 0 || c.p != c.end || h > 14)
		return false;
	*east = (int32_t)(name[8] == '-' ? h * 3600 : -h * 3600);
	return true;
}
