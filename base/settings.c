/* base/settings.c: values of settings: found by name, read, written, copied. */
#include "base/settings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit time_units[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000},
    {"sec", 1000000}, {"min", 60000000}, {"m", 60000000}, {"h", 3600000000},
    {"d", 86400000000}, {"", 1000000}, {NULL, 0}};

static const struct unit size_units[] = {{"B", 1}, {"kB", 1024}, {"MB", 1 << 20},
    {"GB", 1 << 30}, {"TB", UINT64_C(1) << 40}, {"", 1}, {NULL, 0}};

#define FRACTION_MAX 1000000000

static void *
field(const struct setting *s, void *values)
{
	return (char *)values + s->offset;
}

static const void *
const_field(const struct setting *s, const void *values)
{
	return (const char *)values + s->offset;
}

int
setting_find(const struct setting_table *t, struct slice name)
{
	for (int i = 0; i < t->n; i++)
		if (slice_eq_str(name, t->settings[i].name))
			return i;
	for (int i = 0; i < t->n_aliases; i++)
		if (slice_eq_str(name, t->aliases[i].alias))
			return setting_find(t, slice_of(t->aliases[i].name));
	return -1;
}

static enum rc
bad_value(struct err *err, const char *wanted)
{
	return err_set(err, "22023", BLAST_STMT, "%s is expected", wanted);
}

static enum rc
bad_kind(const struct setting *s, struct err *err)
{
	struct arena a;

	arena_init(&a);
	err_set(err, "22023", BLAST_STMT, "%s is expected", setting_unit(s, &a));
	arena_reset(&a);
	return RC_ERR;
}

static enum rc
check_limits(const struct setting *s, int64_t value, struct err *err)
{
	struct arena a;
	const char *lo, *hi;

	if (s->min == s->max || (value >= s->min && value <= s->max))
		return RC_OK;
	arena_init(&a);
	lo = setting_limit_text(s, s->min, &a);
	hi = setting_limit_text(s, s->max, &a);
	err_set(err, "22023", BLAST_STMT, "the value must lie between %s and %s", lo, hi);
	arena_reset(&a);
	return RC_ERR;
}

static enum rc
store_number(const struct setting *s, void *values, uint64_t value, struct err *err)
{
	if (value > INT64_MAX)
		value = INT64_MAX;
	if (check_limits(s, (int64_t)value, err) != RC_OK)
		return RC_ERR;
	memcpy(field(s, values), &value, sizeof value);
	return RC_OK;
}

static enum rc
store_int(const struct setting *s, void *values, int64_t value, struct err *err)
{
	int v = (int)value;

	if (check_limits(s, value, err) != RC_OK)
		return RC_ERR;
	if (v != value)
		return bad_value(err, "a number of 32 bits");
	memcpy(field(s, values), &v, sizeof v);
	return RC_OK;
}

/* ---- numbers with units ---- */

static struct slice
trim(struct slice t)
{
	while (t.len > 0 && strchr(" \t\r\n", t.ptr[0]) != NULL && t.ptr[0] != '\0')
		t.ptr++, t.len--;
	while (t.len > 0 && strchr(" \t\r\n", t.ptr[t.len - 1]) != NULL &&
	    t.ptr[t.len - 1] != '\0')
		t.len--;
	return t;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

struct decimal {
	uint64_t whole;
	uint64_t fraction, fraction_of; /* 0.25: 25 of 100 */
};

/* Moves *t past the number; false: none there, or too many digits. */
static bool
take_decimal(struct slice *t, struct decimal *d)
{
	bool any = false;

	*d = (struct decimal){0, 0, 1};
	for (; t->len > 0 && is_digit(t->ptr[0]); t->ptr++, t->len--, any = true)
		if (__builtin_mul_overflow(d->whole, 10, &d->whole) ||
		    __builtin_add_overflow(
			d->whole, (uint64_t)(t->ptr[0] - '0'), &d->whole))
			return false;
	if (t->len == 0 || t->ptr[0] != '.')
		return any;
	t->ptr++, t->len--;
	for (; t->len > 0 && is_digit(t->ptr[0]); t->ptr++, t->len--, any = true) {
		if (d->fraction_of >= FRACTION_MAX)
			return false;
		d->fraction = d->fraction * 10 + (uint64_t)(t->ptr[0] - '0');
		d->fraction_of *= 10;
	}
	return any;
}

static const struct unit *
find_unit(const struct unit *units, struct slice name)
{
	for (const struct unit *u = units; u->name != NULL; u++)
		if (strlen(u->name) == name.len &&
		    strncasecmp(u->name, name.ptr, name.len) == 0)
			return u;
	return NULL;
}

static enum rc
parse_with_unit(struct slice text, const struct unit *units, const char *wanted,
    uint64_t *result, struct err *err)
{
	struct slice t = trim(text);
	const struct unit *u;
	struct decimal d;
	uint64_t whole, part;

	if (!take_decimal(&t, &d) || (u = find_unit(units, trim(t))) == NULL)
		return bad_value(err, wanted);
	part = (uint64_t)((unsigned __int128)d.fraction * u->factor / d.fraction_of);
	if (__builtin_mul_overflow(d.whole, u->factor, &whole) ||
	    __builtin_add_overflow(whole, part, &whole))
		return bad_value(err, wanted);
	/* nought often means "no limit": what is not nought must not become it */
	if (whole == 0 && d.fraction != 0)
		return bad_value(err, wanted);
	*result = whole;
	return RC_OK;
}

enum rc
parse_duration(struct slice text, uint64_t *us, struct err *err)
{
	return parse_with_unit(text, time_units,
	    "a time in seconds, or with a unit such as \"500ms\" or \"5min\",", us, err);
}

enum rc
parse_size(struct slice text, uint64_t *bytes, struct err *err)
{
	return parse_with_unit(text, size_units,
	    "a size in bytes, or with a unit such as \"64kB\" or \"16MB\",", bytes, err);
}

/* ---- from text ---- */

static enum rc
parse_int(const struct setting *s, void *values, struct slice text, struct err *err)
{
	struct slice t = trim(text);
	bool negative = t.len > 1 && t.ptr[0] == '-';
	struct decimal d;

	if (negative)
		t.ptr++, t.len--;
	if (!take_decimal(&t, &d) || t.len > 0 || d.fraction_of != 1 ||
	    memchr(text.ptr, '.', text.len) != NULL || d.whole > INT64_MAX)
		return bad_value(err, "a whole number");
	return store_int(s, values, negative ? -(int64_t)d.whole : (int64_t)d.whole, err);
}

static enum rc
parse_bool(const struct setting *s, void *values, struct slice text, struct err *err)
{
	static const char *const yes[] = {"true", "on", "yes", "1", NULL};
	static const char *const no[] = {"false", "off", "no", "0", NULL};
	struct slice t = trim(text);

	for (int i = 0; yes[i] != NULL; i++) {
		if (t.len == strlen(yes[i]) && strncasecmp(t.ptr, yes[i], t.len) == 0)
			return setting_put_bool(s, values, true, err);
		if (t.len == strlen(no[i]) && strncasecmp(t.ptr, no[i], t.len) == 0)
			return setting_put_bool(s, values, false, err);
	}
	return bad_value(err, "true or false");
}

/* Is `word` one of the names in "name|alias|…"? */
static bool
choice_is(const char *choice, struct slice word)
{
	for (const char *end; *choice != '\0'; choice = *end == '|' ? end + 1 : end) {
		end = strchrnul(choice, '|');
		if ((size_t)(end - choice) == word.len &&
		    strncasecmp(choice, word.ptr, word.len) == 0)
			return true;
	}
	return false;
}

static enum rc
parse_enum(const struct setting *s, void *values, struct slice text, struct err *err)
{
	struct slice t = trim(text);

	for (int i = 0; s->choices[i] != NULL; i++)
		if (t.len > 0 && choice_is(s->choices[i], t)) {
			memcpy(field(s, values), &i, sizeof i);
			return RC_OK;
		}
	return bad_kind(s, err);
}

static bool
has_zero(struct slice text)
{
	return text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL;
}

static enum rc
parse_string(const struct setting *s, void *values, struct slice text,
    struct arena *arena, struct err *err)
{
	char *copy;

	if (has_zero(text))
		return bad_value(err, "text without zero bytes");
	copy = arena_strndup(arena, text.ptr, text.len);
	memcpy(field(s, values), &copy, sizeof copy);
	return RC_OK;
}

static enum rc
parse_list(const struct setting *s, void *values, struct slice text, struct arena *arena,
    struct err *err)
{
	const char **items;
	int n = 0, room = 1;

	if (has_zero(text))
		return bad_value(err, "text without zero bytes");
	for (size_t i = 0; i < text.len; i++)
		room += text.ptr[i] == ',';
	items = ARENA_NEW_N(arena, const char *, (size_t)room);
	while (text.len > 0) {
		const char *comma = memchr(text.ptr, ',', text.len);
		size_t len = comma != NULL ? (size_t)(comma - text.ptr) : text.len;
		struct slice item = trim((struct slice){text.ptr, len});

		if (item.len > 0)
			items[n++] = arena_strndup(arena, item.ptr, item.len);
		text.ptr += len;
		text.len -= len;
		if (text.len > 0)
			text.ptr++, text.len--;
	}
	return setting_put_list(s, values, items, n, arena, err);
}

enum rc
setting_parse(const struct setting *s, void *values, struct slice text,
    struct arena *arena, struct err *err)
{
	uint64_t number;

	switch (s->kind) {
	case SETTING_BOOL:
		return parse_bool(s, values, text, err);
	case SETTING_INT:
		return parse_int(s, values, text, err);
	case SETTING_DURATION:
		if (parse_duration(text, &number, err) != RC_OK)
			return RC_ERR;
		return store_number(s, values, number, err);
	case SETTING_SIZE:
		if (parse_size(text, &number, err) != RC_OK)
			return RC_ERR;
		return store_number(s, values, number, err);
	case SETTING_ENUM:
		return parse_enum(s, values, text, err);
	case SETTING_STRING:
	case SETTING_FILE:
		return parse_string(s, values, text, arena, err);
	case SETTING_LIST:
		return parse_list(s, values, text, arena, err);
	}
	return bad_kind(s, err);
}

void
settings_defaults(const struct setting_table *t, void *values, struct arena *arena)
{
	struct err err;

	memset(values, 0, t->values_size);
	for (int i = 0; i < t->n; i++) {
		const struct setting *s = &t->settings[i];

		if (setting_parse(s, values, slice_of(s->default_text), arena, &err) !=
		    RC_OK) {
			fprintf(stderr, "%s: %s\n", s->name, err.msg);
			abort();
		}
	}
}

/* ---- from numbers ---- */

enum rc
setting_put_int(const struct setting *s, void *values, int64_t n, struct err *err)
{
	uint64_t us;

	switch (s->kind) {
	case SETTING_INT:
		return store_int(s, values, n, err);
	case SETTING_BOOL:
		if (n != 0 && n != 1)
			return bad_kind(s, err);
		return setting_put_bool(s, values, n == 1, err);
	case SETTING_DURATION:
		if (n < 0 || __builtin_mul_overflow((uint64_t)n, 1000000, &us))
			return bad_kind(s, err);
		return store_number(s, values, us, err);
	case SETTING_SIZE:
		if (n < 0)
			return bad_kind(s, err);
		return store_number(s, values, (uint64_t)n, err);
	case SETTING_ENUM:
	case SETTING_STRING:
	case SETTING_FILE:
	case SETTING_LIST:
		break;
	}
	return bad_kind(s, err);
}

enum rc
setting_put_float(const struct setting *s, void *values, double d, struct err *err)
{
	uint64_t us;

	/* also false for NaN */
	if (s->kind != SETTING_DURATION || !(d >= 0 && d < 9e12))
		return bad_kind(s, err);
	us = (uint64_t)llround(d * 1e6);
	if (us == 0 && d > 0)
		return bad_kind(s, err);
	return store_number(s, values, us, err);
}

enum rc
setting_put_bool(const struct setting *s, void *values, bool b, struct err *err)
{
	if (s->kind != SETTING_BOOL)
		return bad_kind(s, err);
	memcpy(field(s, values), &b, sizeof b);
	return RC_OK;
}

enum rc
setting_put_list(const struct setting *s, void *values, const char *const *items, int n,
    struct arena *arena, struct err *err)
{
	struct setting_list list = {NULL, n};
	const char **copy;

	if (s->kind != SETTING_LIST)
		return bad_kind(s, err);
	copy = ARENA_NEW_N(arena, const char *, (size_t)n + 1);
	for (int i = 0; i < n; i++)
		copy[i] = arena_strdup(arena, items[i]);
	list.items = copy;
	memcpy(field(s, values), &list, sizeof list);
	return RC_OK;
}

/* ---- one struct and another ---- */

static size_t
value_size(enum setting_kind kind)
{
	switch (kind) {
	case SETTING_BOOL:
		return sizeof(bool);
	case SETTING_INT:
	case SETTING_ENUM:
		return sizeof(int);
	case SETTING_DURATION:
	case SETTING_SIZE:
		return sizeof(uint64_t);
	case SETTING_STRING:
	case SETTING_FILE:
		return sizeof(const char *);
	case SETTING_LIST:
		return sizeof(struct setting_list);
	}
	return 0;
}

void
setting_copy(const struct setting *s, void *to, const void *from)
{
	memcpy(field(s, to), const_field(s, from), value_size(s->kind));
}

static bool
lists_equal(const struct setting_list *a, const struct setting_list *b)
{
	if (a->n != b->n)
		return false;
	for (int i = 0; i < a->n; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

bool
setting_equal(const struct setting *s, const void *a, const void *b)
{
	const void *x = const_field(s, a), *y = const_field(s, b);

	if (s->kind == SETTING_LIST)
		return lists_equal(x, y);
	if (s->kind == SETTING_STRING || s->kind == SETTING_FILE)
		return strcmp(*(const char *const *)x, *(const char *const *)y) == 0;
	return memcmp(x, y, value_size(s->kind)) == 0;
}
