/* wire/reader.h: cuts a stream of received chunks into protocol v3 messages.
 * Thread:  its connection's.
 * Memory:  at rest nothing; while a message is incomplete, a heap buffer of what has come of it, freed as soon as it is
 *          whole. A message that lies whole in a chunk is handed out in place.
 * Use:     reader_feed() once per chunk, then reader_next() until READ_MORE. */
#ifndef WEIR_WIRE_READER_H
#define WEIR_WIRE_READER_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct reader {
	const unsigned char *chunk; /* what is left of the chunk being read */
	size_t chunk_len;
	unsigned char
	    *partial; /* NULL, or an incomplete message from its first byte on */
	size_t have, cap;
	size_t pass; /* bytes still to come of a message that is passed on in pieces */
	bool
	    whole; /* partial holds a message that was handed out: freed at the next call */
	/* NULL, or 256 flags: types whose messages are handed out in READ_PIECEs when they do not lie whole in the chunk,
	 * so that nothing of them is ever held back (their 5 header bytes excepted). */
	const bool *pieces;
};

enum read_kind {
	READ_MORE,  /* the chunk is used up */
	READ_MSG,   /* a whole message */
	READ_PIECE, /* bytes of a message that is passed on in pieces */
	READ_BIG, /* header only: the message is longer than max_whole; decide by reader_pass() or give up */
	READ_BAD  /* length below 4 or above 1 GB */
};

struct read_msg {
	char type;
	uint32_t len; /* of the whole message, 1 + the length field */
	struct slice
	    raw; /* READ_MSG: header and body; READ_PIECE: the bytes at hand, READ_BIG: the 5 header bytes */
	struct slice body; /* READ_MSG: behind the header */
	bool in_chunk;     /* raw lies in the chunk (can be forwarded by reference) */
	bool last;         /* READ_PIECE: the message ends here */
};

void reader_init(struct reader *, const bool *pieces);
void reader_fini(struct reader *);
/* The chunk must live until reader_next() said READ_MORE. */
void reader_feed(struct reader *, const void *chunk, size_t len);
/* max_whole: longest message (bytes, with header) to be assembled; longer ones come as READ_BIG. */
enum read_kind reader_next(struct reader *, size_t max_whole, struct read_msg *);
/* After READ_BIG: let the message through in READ_PIECEs; the first piece begins with the header. */
void reader_pass(struct reader *);
/* Nothing of a message is held back. */
static inline bool
reader_at_boundary(const struct reader *r)
{
	return r->chunk_len == 0 && (r->have == 0 || r->whole) && r->pass == 0;
}

#endif
