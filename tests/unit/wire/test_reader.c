#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "wire/msg.h"
#include "wire/reader.h"

#define MAX_WHOLE 64

/* What came out, written down so that two ways of cutting can be compared: one line of
 * messages and pieces joined. */
struct got {
	struct msgbuf bytes;
	int messages, bigs;
};

static void
take(struct reader *r, struct got *g, const char *chunk, size_t n)
{
	struct read_msg m;

	/* A copy of its own, so that AddressSanitizer sees every read beyond the chunk.
	 */
	char *own = malloc(n == 0 ? 1 : n);

	memcpy(own, chunk, n);
	reader_feed(r, own, n);
	for (;;) {
		enum read_kind k = reader_next(r, MAX_WHOLE, &m);

		assert_int_not_equal(k, READ_BAD);
		if (k == READ_MORE)
			break;
		if (k == READ_BIG) {
			assert_int_equal(m.raw.len, 5);
			g->bigs++;
			reader_pass(r);
			continue;
		}
		if (k == READ_MSG) {
			assert_int_equal(m.raw.len, m.len);
			assert_int_equal(m.body.len, m.len - 5);
			assert_ptr_equal(m.body.ptr, m.raw.ptr + 5);
			assert_int_equal(m.type, m.raw.ptr[0]);
			assert_int_equal(m.in_chunk,
			    m.raw.ptr >= own && m.raw.ptr + m.raw.len <= own + n);
		}
		if (m.last)
			g->messages++;
		msg_bytes(&g->bytes, m.raw.ptr, m.raw.len);
	}
	free(own);
}

static void
sample(struct msgbuf *b)
{
	char big[300];

	memset(big, 'x', sizeof big);
	msg_ready(b, 'I');
	msg_begin(b, 'S'); /* Sync: no body */
	msg_end(b);
	msg_query(b, "SELECT 1");
	msg_begin(b, 'd');
	msg_bytes(b, big, sizeof big);
	msg_end(b);
	msg_begin(b, 'H');
	msg_end(b);
	msg_begin(b, 'd'); /* exactly the limit */
	msg_bytes(b, big, MAX_WHOLE - 5);
	msg_end(b);
	msg_begin(b, 'd'); /* one above */
	msg_bytes(b, big, MAX_WHOLE - 4);
	msg_end(b);
	msg_ready(b, 'T');
}

static void
check(const struct msgbuf *in, struct reader *r, struct got *g)
{
	assert_int_equal(g->messages, 8);
	assert_int_equal(g->bigs, 2);
	assert_int_equal(g->bytes.len, in->len);
	assert_memory_equal(g->bytes.data, in->data, in->len);
	assert_true(reader_at_boundary(r));
	reader_fini(r);
	msgbuf_fini(&g->bytes);
}

static void
every_cut_in_three(void **state)
{
	struct msgbuf in;

	(void)state;
	msgbuf_init(&in);
	sample(&in);
	for (size_t a = 0; a <= in.len; a += 1) {
		for (size_t b = a; b <= in.len; b += a < 60 ? 1 : 7) {
			struct reader r;
			struct got g = {0};

			reader_init(&r, NULL);
			take(&r, &g, in.data, a);
			take(&r, &g, in.data + a, b - a);
			take(&r, &g, in.data + b, in.len - b);
			check(&in, &r, &g);
		}
	}
	msgbuf_fini(&in);
}

static void
every_fixed_chunk_size(void **state)
{
	struct msgbuf in;

	(void)state;
	msgbuf_init(&in);
	sample(&in);
	for (size_t step = 1; step <= in.len; step++) {
		struct reader r;
		struct got g = {0};

		reader_init(&r, NULL);
		for (size_t at = 0; at < in.len; at += step)
			take(&r, &g, in.data + at,
			    in.len - at < step ? in.len - at : step);
		check(&in, &r, &g);
	}
	msgbuf_fini(&in);
}

static enum read_kind
first_kind(uint32_t length, size_t cut, size_t max_whole)
{
	unsigned char h[5] = {'Q', (unsigned char)(length >> 24),
	    (unsigned char)(length >> 16), (unsigned char)(length >> 8),
	    (unsigned char)length};
	struct reader r;
	struct read_msg m;
	enum read_kind k = READ_MORE;

	reader_init(&r, NULL);
	if (cut > 0) {
		reader_feed(&r, h, cut);
		k = reader_next(&r, max_whole, &m);
		assert_int_equal(k, READ_MORE);
	}
	reader_feed(&r, h + cut, 5 - cut);
	k = reader_next(&r, max_whole, &m);
	reader_fini(&r);
	return k;
}

static void
absurd_lengths_are_bad(void **state)
{
	static const uint32_t bad[] = {
	    0, 1, 3, 0x40000000u, 0x7fffffffu, 0x80000000u, 0xfffffffeu, 0xffffffffu};

	(void)state;
	for (size_t cut = 0; cut < 5; cut++) {
		for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
			assert_int_equal(first_kind(bad[i], cut, SIZE_MAX), READ_BAD);
		assert_int_equal(first_kind(4, cut, 100), READ_MSG);
		assert_int_equal(first_kind(5, cut, 100), READ_MORE);
		assert_int_equal(first_kind(0x3fffffffu, cut, 1000), READ_BIG);
	}
}

/* A length of a gigabyte must not allocate a gigabyte before the bytes are there. */
static void
memory_follows_what_came(void **state)
{
	static const unsigned char h[] = {'Q', 0x3f, 0xff, 0xff, 0xff, 'S', 'E'};
	struct reader r;
	struct read_msg m;

	(void)state;
	reader_init(&r, NULL);
	reader_feed(&r, h, sizeof h);
	assert_int_equal(reader_next(&r, SIZE_MAX, &m), READ_MORE);
	assert_true(r.cap <= 4096);
	assert_false(reader_at_boundary(&r));
	reader_fini(&r);
}

static void
nothing_is_held_at_rest(void **state)
{
	struct msgbuf in;
	struct reader r;
	struct got g = {0};

	(void)state;
	msgbuf_init(&in);
	msg_query(&in, "SELECT 1");
	reader_init(&r, NULL);
	take(&r, &g, in.data, 7);
	assert_non_null(r.partial);
	assert_false(reader_at_boundary(&r));
	take(&r, &g, in.data + 7, in.len - 7);
	assert_null(r.partial);
	assert_true(reader_at_boundary(&r));
	assert_int_equal(g.messages, 1);
	reader_fini(&r);
	msgbuf_fini(&g.bytes);
	msgbuf_fini(&in);
}

static void
pieces_keep_their_kind_across_chunks(void **state)
{
	struct msgbuf in;
	struct reader r;
	struct read_msg m;
	char body[100] = {0};

	(void)state;
	msgbuf_init(&in);
	msg_begin(&in, 'd');
	msg_bytes(&in, body, sizeof body);
	msg_end(&in);
	reader_init(&r, NULL);
	reader_feed(&r, in.data, 50);
	assert_int_equal(reader_next(&r, 10, &m), READ_BIG);
	assert_int_equal(m.type, 'd');
	assert_int_equal(m.len, 105);
	reader_pass(&r);
	assert_int_equal(reader_next(&r, 10, &m), READ_PIECE);
	assert_int_equal(m.raw.len, 5);
	assert_false(m.in_chunk);
	assert_false(m.last);
	assert_int_equal(reader_next(&r, 10, &m), READ_PIECE);
	assert_int_equal(m.raw.len, 45);
	assert_true(m.in_chunk);
	assert_false(m.last);
	assert_int_equal(reader_next(&r, 10, &m), READ_MORE);
	assert_false(reader_at_boundary(&r));
	reader_feed(&r, in.data + 50, in.len - 50);
	assert_int_equal(reader_next(&r, 10, &m), READ_PIECE);
	assert_int_equal(m.raw.len, 55);
	assert_true(m.last);
	assert_int_equal(reader_next(&r, 10, &m), READ_MORE);
	assert_true(reader_at_boundary(&r));
	reader_fini(&r);
	msgbuf_fini(&in);
}

/* Types that must never be held back: whole ones in place, others as they come; nothing
 * lost, nothing doubled. */
static void
types_in_pieces_at_every_cut(void **state)
{
	static bool pieces[256];
	struct msgbuf in;

	(void)state;
	pieces['d'] = pieces['Q'] = true;
	msgbuf_init(&in);
	sample(&in);
	for (size_t step = 1; step <= in.len; step++) {
		struct reader r;
		struct got g = {0};

		reader_init(&r, pieces);
		for (size_t at = 0; at < in.len; at += step) {
			take(&r, &g, in.data + at,
			    in.len - at < step ? in.len - at : step);
			assert_true(r.cap <= 64); /* a header at most */
		}
		check(&in, &r, &g);
	}
	msgbuf_fini(&in);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_cut_in_three),
	    cmocka_unit_test(every_fixed_chunk_size),
	    cmocka_unit_test(absurd_lengths_are_bad),
	    cmocka_unit_test(memory_follows_what_came),
	    cmocka_unit_test(nothing_is_held_at_rest),
	    cmocka_unit_test(pieces_keep_their_kind_across_chunks),
	    cmocka_unit_test(types_in_pieces_at_every_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
