/* Protocol v3 messages are a type byte, a length that counts itself, and a body.
 * msg_begin() leaves room for the length, msg_end() fills it in, so builders never
 * compute sizes. */
#include "wire/msg.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- building ---- */

void
msgbuf_init(struct msgbuf *b)
{
	memset(b, 0, sizeof *b);
}

void
msgbuf_fini(struct msgbuf *b)
{
	free(b->data);
	msgbuf_init(b);
}

void
msgbuf_clear(struct msgbuf *b)
{
	b->len = b->start = 0;
}

static char *
room(struct msgbuf *b, size_t n)
{
	char *at;

	if (n > SIZE_MAX / 4 || b->len > SIZE_MAX / 4)
		abort();
	if (b->len + n > b->cap) {
		size_t cap = b->cap < 128 ? 128 : b->cap;

		while (cap < b->len + n)
			cap *= 2;
		b->data = realloc(b->data, cap);
		if (b->data == NULL)
			abort();
		b->cap = cap;
	}
	at = b->data + b->len;
	b->len += n;
	return at;
}

static void
put_uint32(char *at, uint32_t v)
{
	at[0] = (char)(v >> 24);
	at[1] = (char)(v >> 16);
	at[2] = (char)(v >> 8);
	at[3] = (char)v;
}

void
msg_begin(struct msgbuf *b, char type)
{
	if (type != 0)
		*room(b, 1) = type;
	b->start = b->len;
	msg_int32(b, 0);
}

void
msg_byte(struct msgbuf *b, unsigned char v)
{
	*room(b, 1) = (char)v;
}

void
msg_int16(struct msgbuf *b, int16_t v)
{
	char *at = room(b, 2);

	at[0] = (char)((uint16_t)v >> 8);
	at[1] = (char)v;
}

void
msg_int32(struct msgbuf *b, int32_t v)
{
	put_uint32(room(b, 4), (uint32_t)v);
}

void
msg_bytes(struct msgbuf *b, const void *ptr, size_t n)
{
	if (n > 0)
		memcpy(room(b, n), ptr, n);
}

void
msg_str(struct msgbuf *b, const char *s)
{
	msg_bytes(b, s, strlen(s) + 1);
}

void
msg_slice_str(struct msgbuf *b, struct slice s)
{
	msg_bytes(b, s.ptr, s.len);
	msg_byte(b, 0);
}

void
msg_end(struct msgbuf *b)
{
	size_t n = b->len - b->start;

	if (n > INT32_MAX) /* every caller bounds what it builds; a wrapped length would
			      desynchronise the peer */
		abort();
	put_uint32(b->data + b->start, (uint32_t)n);
}

void
msg_ready(struct msgbuf *b, char status)
{
	msg_begin(b, 'Z');
	msg_byte(b, (unsigned char)status);
	msg_end(b);
}

void
msg_command_complete(struct msgbuf *b, const char *tag)
{
	msg_begin(b, 'C');
	msg_str(b, tag);
	msg_end(b);
}

void
msg_parameter_status(struct msgbuf *b, const char *name, const char *value)
{
	msg_begin(b, 'S');
	msg_str(b, name);
	msg_str(b, value);
	msg_end(b);
}

static void
field(struct msgbuf *b, char code, const char *value)
{
	msg_byte(b, (unsigned char)code);
	msg_str(b, value);
}

static void
report(struct msgbuf *b, char type, const char *severity, const char *sqlstate,
    const char *text, const char *hint, int position)
{
	msg_begin(b, type);
	field(b, 'S', severity);
	field(b, 'V', severity);
	field(b, 'C', sqlstate);
	field(b, 'M', text);
	if (hint != NULL && hint[0] != '\0')
		field(b, 'H', hint);
	if (position > 0) {
		char digits[16];

		snprintf(digits, sizeof digits, "%d", position);
		field(b, 'P', digits);
	}
	msg_byte(b, 0);
	msg_end(b);
}

void
msg_error(struct msgbuf *b, const char *severity, const struct err *e)
{
	if (e->raw.ptr == NULL) {
		report(b, 'E', severity, e->sqlstate, e->msg, e->hint, e->position);
		return;
	}
	msg_begin(b, 'E');
	msg_bytes(b, e->raw.ptr, e->raw.len);
	msg_end(b);
}

void
msg_notice(struct msgbuf *b, const char *severity, const char *sqlstate, const char *text,
    const char *hint)
{
	report(b, 'N', severity, sqlstate, text, hint, 0);
}

void
msg_query(struct msgbuf *b, const char *sql)
{
	msg_begin(b, 'Q');
	msg_str(b, sql);
	msg_end(b);
}

void
msg_row_description(struct msgbuf *b, const struct msg_column *columns, int n)
{
	msg_begin(b, 'T');
	msg_int16(b, (int16_t)n);
	for (int i = 0; i < n; i++) {
		msg_str(b, columns[i].name);
		msg_int32(b, 0); /* no table */
		msg_int16(b, 0); /* no column of it */
		msg_int32(b, (int32_t)columns[i].type_oid);
		msg_int16(b, columns[i].type_len);
		msg_int32(b, -1); /* no type modifier */
		msg_int16(b, 0);  /* text */
	}
	msg_end(b);
}

void
msg_data_row(struct msgbuf *b, const char *const *values, int n)
{
	msg_begin(b, 'D');
	msg_int16(b, (int16_t)n);
	for (int i = 0; i < n; i++) {
		size_t len;

		if (values[i] == NULL) {
			msg_int32(b, -1);
			continue;
		}
		len = strlen(values[i]);
		if (len > INT32_MAX)
			abort();
		msg_int32(b, (int32_t)len);
		msg_bytes(b, values[i], len);
	}
	msg_end(b);
}

/* ---- reading ---- */

struct msgread
msgread_of(struct slice body)
{
	const char *at = body.len == 0 ? "" : body.ptr;

	return (struct msgread){at, at + body.len, false};
}

static struct slice
past_end(struct msgread *r)
{
	r->bad = true;
	r->at = r->end;
	return (struct slice){"", 0};
}

struct slice
read_bytes(struct msgread *r, size_t n)
{
	struct slice s = {r->at, n};

	if (n > read_left(r))
		return past_end(r);
	r->at += n;
	return s;
}

unsigned char
read_byte(struct msgread *r)
{
	struct slice s = read_bytes(r, 1);

	return s.len == 1 ? (unsigned char)s.ptr[0] : 0;
}

int16_t
read_int16(struct msgread *r)
{
	struct slice s = read_bytes(r, 2);
	const unsigned char *p = (const unsigned char *)s.ptr;

	return s.len == 2 ? (int16_t)(uint16_t)(p[0] << 8 | p[1]) : 0;
}

int32_t
read_int32(struct msgread *r)
{
	struct slice s = read_bytes(r, 4);
	const unsigned char *p = (const unsigned char *)s.ptr;

	if (s.len != 4)
		return 0;
	return (int32_t)((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3]);
}

struct slice
read_str(struct msgread *r)
{
	size_t left = read_left(r);
	const char *zero = left == 0 ? NULL : memchr(r->at, '\0', left);
	struct slice s;

	if (zero == NULL)
		return past_end(r);
	s = (struct slice){r->at, (size_t)(zero - r->at)};
	r->at = zero + 1;
	return s;
}

struct slice
msg_error_field(struct slice body, char wanted)
{
	struct msgread r = msgread_of(body);

	while (read_left(&r) > 0) {
		unsigned char code = read_byte(&r);
		struct slice value;

		if (code == 0)
			break;
		value = read_str(&r);
		if (code == (unsigned char)wanted)
			return value;
	}
	return (struct slice){"", 0};
}
