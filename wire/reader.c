#include "wire/reader.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HEADER      5
#define MESSAGE_MAX 0x40000000u

void
reader_init(struct reader *r, const bool *pieces)
{
	memset(r, 0, sizeof *r);
	r->pieces = pieces;
}

static void
drop_partial(struct reader *r)
{
	free(r->partial);
	r->partial = NULL;
	r->have = r->cap = 0;
	r->whole = false;
}

void
reader_fini(struct reader *r)
{
	drop_partial(r);
	reader_init(r, r->pieces);
}

void
reader_feed(struct reader *r, const void *chunk, size_t len)
{
	r->chunk = chunk;
	r->chunk_len = len;
}

static uint32_t
length_field(const unsigned char *header)
{
	return (uint32_t)header[1] << 24 | (uint32_t)header[2] << 16 |
	    (uint32_t)header[3] << 8 | header[4];
}

/* Moves up to n bytes of the chunk into partial. */
static void
keep(struct reader *r, size_t n)
{
	if (n > r->chunk_len)
		n = r->chunk_len;
	if (r->have + n > r->cap) {
		size_t cap = r->cap == 0 ? 64 : r->cap;

		while (cap < r->have + n)
			cap *= 2;
		r->partial = realloc(r->partial, cap);
		if (r->partial == NULL)
			abort();
		r->cap = cap;
	}
	memcpy(r->partial + r->have, r->chunk, n);
	r->have += n;
	r->chunk += n;
	r->chunk_len -= n;
}

static void
set_msg(struct read_msg *m, const unsigned char *at, uint32_t len, bool in_chunk)
{
	m->type = (char)at[0];
	m->len = len;
	m->raw = (struct slice){(const char *)at, len};
	m->body = (struct slice){(const char *)at + HEADER, len - HEADER};
	m->in_chunk = in_chunk;
	m->last = true;
}

static enum read_kind
next_piece(struct reader *r, struct read_msg *m)
{
	const unsigned char *at = r->chunk;
	size_t n = r->chunk_len;

	if (r->have > 0) { /* the header, kept while its message was judged */
		at = r->partial;
		n = r->have;
		r->whole = true;
	} else {
		if (n == 0)
			return READ_MORE;
		if (n > r->pass)
			n = r->pass;
		r->chunk += n;
		r->chunk_len -= n;
	}
	r->pass -= n;
	m->raw = (struct slice){(const char *)at, n};
	m->in_chunk = at != r->partial;
	m->last = r->pass == 0;
	return READ_PIECE;
}

enum read_kind
reader_next(struct reader *r, size_t max_whole, struct read_msg *m)
{
	const unsigned char *header;
	uint32_t len;
	bool in_chunk;

	if (r->whole)
		drop_partial(r);
	if (r->pass > 0)
		return next_piece(r, m);
	if (r->chunk_len == 0)
		return READ_MORE;
	in_chunk = r->have == 0 && r->chunk_len >= HEADER;
	if (!in_chunk && r->have < HEADER) {
		keep(r, HEADER - r->have);
		if (r->have < HEADER)
			return READ_MORE;
	}
	header = in_chunk ? r->chunk : r->partial;
	len = length_field(header);
	if (len < 4 || len >= MESSAGE_MAX)
		return READ_BAD;
	len++;
	if (len > max_whole) {
		if (in_chunk)
			keep(r, HEADER);
		m->type = (char)r->partial[0];
		m->len = len;
		m->raw = (struct slice){(const char *)r->partial, HEADER};
		m->in_chunk = false;
		return READ_BIG;
	}
	if (in_chunk && r->chunk_len >= len) {
		set_msg(m, header, len, true);
		r->chunk += len;
		r->chunk_len -= len;
		return READ_MSG;
	}
	if (r->pieces != NULL && r->pieces[header[0]]) {
		m->type = (char)header[0];
		m->len = len;
		r->pass = len;
		return next_piece(r, m);
	}
	keep(r, len - r->have);
	if (r->have < len)
		return READ_MORE;
	set_msg(m, r->partial, len, false);
	r->whole = true;
	return READ_MSG;
}

void
reader_pass(struct reader *r)
{
	r->pass = (size_t)length_field(r->partial) + 1;
}
