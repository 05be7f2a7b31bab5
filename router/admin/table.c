#include "router/admin/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- columns ---- */

enum {
	OID_TEXT = 25,
	OID_INT4 = 23,
	OID_INT8 = 20,
	OID_NUMERIC = 1700,
	OID_FLOAT8 = 701
};
enum { LEN_TEXT = -1, LEN_INT4 = 4, LEN_INT8 = 8, LEN_NUMERIC = -1, LEN_FLOAT8 = 8 };

/* The last entry is a stop, so that no table is an empty array. */
#define TABLE(id)                 static const struct msg_column columns_##id[] = {
#define COLUMN(table, name, type) {name, OID_##type, LEN_##type},
#define END_TABLE(id)      \
	{                  \
		NULL, 0, 0 \
	}                  \
	}                  \
	;
#include "router/admin/columns.def"

static const struct {
	const struct msg_column *columns;
	int n;
} tables[TABLE_COUNT] = {
#define TABLE(id) {columns_##id, (int)(sizeof columns_##id / sizeof columns_##id[0]) - 1},
#define COLUMN(table, name, type)
#define END_TABLE(id)
#include "router/admin/columns.def"
};

int
table_columns(enum table_id t)
{
	return tables[t].n;
}

const char *
table_column(enum table_id t, int i)
{
	assert(i >= 0 && i < tables[t].n);
	return tables[t].columns[i].name;
}

void
table_describe(enum table_id t, struct msgbuf *out)
{
	if (t != TABLE_none) {
		msg_row_description(out, tables[t].columns, tables[t].n);
		return;
	}
	msg_begin(out, 'n');
	msg_end(out);
}

/* ---- rows ---- */

void
rows_init(struct rows *r, enum table_id t, struct msgbuf *out)
{
	assert(tables[t].n <= TABLE_COLUMNS_MAX);
	r->table = t;
	r->out = out;
	r->n = 0;
	arena_init(&r->arena);
}

void
rows_fini(struct rows *r)
{
	arena_reset(&r->arena);
}

/* Unicode 15, table 3-7: well-formed byte sequences. */
size_t
utf8_char(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned low = 0x80, high = 0xbf;
	size_t n;

	if (p[0] < 0x80)
		return 1;
	n = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
	    : (p[0] & 0xf0) == 0xe0        ? 3
	    : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
					   : 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (n == 0 || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

static bool
is_utf8(const char *s)
{
	while (*s != '\0') {
		size_t n = utf8_char(s);

		if (n == 0)
			return false;
		s += n;
	}
	return true;
}

static const char *
cleaned(struct rows *r, const char *s)
{
	char *copy = arena_strdup(&r->arena, s);

	for (char *p = copy; *p != '\0';) {
		size_t n = utf8_char(p);

		if (n == 0)
			*p = '?';
		p += n == 0 ? 1 : n;
	}
	return copy;
}

void
row_text(struct rows *r, const char *text)
{
	assert(r->n < tables[r->table].n);
	r->v[r->n++] = text == NULL || is_utf8(text) ? text : cleaned(r, text);
}

void
row_slice(struct rows *r, struct slice s)
{
	row_text(r, arena_strndup(&r->arena, s.len == 0 ? "" : s.ptr, s.len));
}

void
row_fmt(struct rows *r, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	row_slice(r, slice_of(text));
	free(text);
}

void
row_int(struct rows *r, int64_t n)
{
	char *to = r->numbers[r->n];

	snprintf(to, sizeof r->numbers[0], "%lld", (long long)n);
	row_text(r, to);
}

void
row_uint(struct rows *r, uint64_t n)
{
	char *to = r->numbers[r->n];

	snprintf(to, sizeof r->numbers[0], "%llu", (unsigned long long)n);
	row_text(r, to);
}

void
row_null(struct rows *r)
{
	row_text(r, NULL);
}

void
row_seconds(struct rows *r, uint64_t us)
{
	row_fmt(
	    r, "%llu.%06u", (unsigned long long)(us / 1000000), (unsigned)(us % 1000000));
}

void
row_time(struct rows *r, uint64_t us)
{
	time_t at = (time_t)(us / 1000000);
	char text[40];
	struct tm tm;

	if (us == 0 || gmtime_r(&at, &tm) == NULL) {
		row_null(r);
		return;
	}
	strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm);
	row_slice(r, slice_of(text));
}

void
row_lsn(struct rows *r, uint64_t lsn)
{
	if (lsn == 0)
		row_null(r);
	else
		row_fmt(r, "%X/%X", (unsigned)(lsn >> 32), (unsigned)lsn);
}

void
row_end(struct rows *r)
{
	assert(r->n == tables[r->table].n);
	msg_data_row(r->out, r->v, r->n);
	r->n = 0;
	arena_reset(&r->arena);
}
