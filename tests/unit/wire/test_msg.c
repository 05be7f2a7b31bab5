#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "wire/msg.h"

static struct slice
whole(const struct msgbuf *b)
{
	return (struct slice){b->data, b->len};
}

static void
assert_bytes(const struct msgbuf *b, const char *want, size_t n)
{
	assert_int_equal(b->len, n);
	assert_memory_equal(b->data, want, n);
}

#define ASSERT_BYTES(b, lit) assert_bytes(b, lit, sizeof(lit) - 1)

static void
builds_the_documented_bytes(void **state)
{
	struct msgbuf b;

	(void)state;
	msgbuf_init(&b);
	msg_ready(&b, 'I');
	ASSERT_BYTES(&b, "Z\0\0\0\5I");
	msgbuf_clear(&b);
	msg_command_complete(&b, "SHOW");
	ASSERT_BYTES(&b, "C\0\0\0\11SHOW\0");
	msgbuf_clear(&b);
	msg_parameter_status(&b, "a", "b");
	ASSERT_BYTES(&b, "S\0\0\0\10a\0b\0");
	msgbuf_clear(&b);
	msg_query(&b, "SELECT 1");
	ASSERT_BYTES(&b, "Q\0\0\0\15SELECT 1\0");
	msgbuf_clear(&b);
	msg_begin(&b, 0);
	msg_int32(&b, (int32_t)PROTO_SSL);
	msg_end(&b);
	ASSERT_BYTES(&b, "\0\0\0\10\4\322\26\57");
	msgbuf_fini(&b);
}

static void
two_messages_have_their_own_lengths(void **state)
{
	struct msgbuf b;

	(void)state;
	msgbuf_init(&b);
	msg_ready(&b, 'T');
	msg_ready(&b, 'E');
	ASSERT_BYTES(&b, "Z\0\0\0\5TZ\0\0\0\5E");
	msgbuf_fini(&b);
}

static void
rows_with_nulls(void **state)
{
	static const struct msg_column col[] = {{"n", 25, -1}};
	static const char *const row[] = {"x", NULL, ""};
	struct msgbuf b;

	(void)state;
	msgbuf_init(&b);
	msg_row_description(&b, col, 1);
	ASSERT_BYTES(
	    &b, "T\0\0\0\32\0\1n\0\0\0\0\0\0\0\0\0\0\31\377\377\377\377\377\377\0\0");
	msgbuf_clear(&b);
	msg_data_row(&b, row, 3);
	ASSERT_BYTES(&b, "D\0\0\0\23\0\3\0\0\0\1x\377\377\377\377\0\0\0\0");
	msgbuf_fini(&b);
}

static void
error_fields_come_back(void **state)
{
	struct msgbuf b;
	struct err e;
	struct slice body;

	(void)state;
	msgbuf_init(&b);
	(void)err_set(&e, "42601", BLAST_STMT, "syntax error at %s", "x");
	err_hint(&e, "look closer");
	e.position = 17;
	msg_error(&b, "ERROR", &e);
	body = (struct slice){b.data + 5, b.len - 5};
	assert_true(slice_eq_str(msg_error_field(body, 'S'), "ERROR"));
	assert_true(slice_eq_str(msg_error_field(body, 'V'), "ERROR"));
	assert_true(slice_eq_str(msg_error_field(body, 'C'), "42601"));
	assert_true(slice_eq_str(msg_error_field(body, 'M'), "syntax error at x"));
	assert_true(slice_eq_str(msg_error_field(body, 'H'), "look closer"));
	assert_true(slice_eq_str(msg_error_field(body, 'P'), "17"));
	assert_int_equal(msg_error_field(body, 'D').len, 0);
	msgbuf_clear(&b);
	msg_notice(&b, "WARNING", "01000", "careful", NULL);
	body = (struct slice){b.data + 5, b.len - 5};
	assert_int_equal(b.data[0], 'N');
	assert_int_equal(msg_error_field(body, 'H').len, 0);
	assert_true(slice_eq_str(msg_error_field(body, 'M'), "careful"));
	msgbuf_fini(&b);
}

/* A hostile server's fields: no terminator, no text, nothing at all. */
static void
broken_error_bodies_read_as_empty(void **state)
{
	(void)state;
	assert_int_equal(msg_error_field((struct slice){NULL, 0}, 'C').len, 0);
	assert_int_equal(msg_error_field(SLICE_LIT("C"), 'C').len, 0);
	assert_int_equal(msg_error_field(SLICE_LIT("C12345"), 'C').len, 0);
	assert_int_equal(msg_error_field((struct slice){"M\0C\0", 4}, 'C').len, 0);
	assert_int_equal(msg_error_field((struct slice){"\0C42\0", 5}, 'C').len, 0);
}

static void
reading_past_the_end_is_bad_and_zero(void **state)
{
	struct msgread r = msgread_of((struct slice){"\1\2\3\4\5", 5});

	(void)state;
	assert_int_equal(read_int32(&r), 0x01020304);
	assert_false(r.bad);
	assert_int_equal(read_int16(&r), 0);
	assert_true(r.bad);
	assert_int_equal(read_byte(&r), 0);
	assert_int_equal(read_left(&r), 0);

	r = msgread_of(SLICE_LIT("abc"));
	assert_int_equal(read_str(&r).len, 0);
	assert_true(r.bad);
	r = msgread_of(SLICE_LIT("abc"));
	assert_int_equal(read_bytes(&r, SIZE_MAX).len, 0);
	assert_true(r.bad);
	r = msgread_of((struct slice){NULL, 0});
	assert_int_equal(read_int32(&r), 0);
	assert_int_equal(read_str(&r).len, 0);
	assert_true(r.bad);
}

static void
negative_numbers_survive(void **state)
{
	struct msgbuf b;
	struct msgread r;

	(void)state;
	msgbuf_init(&b);
	msg_int16(&b, -2);
	msg_int32(&b, -3);
	msg_int32(&b, INT32_MIN);
	msg_slice_str(&b, SLICE_LIT("name"));
	msg_bytes(&b, NULL, 0);
	r = msgread_of(whole(&b));
	assert_int_equal(read_int16(&r), -2);
	assert_int_equal(read_int32(&r), -3);
	assert_int_equal(read_int32(&r), INT32_MIN);
	assert_true(slice_eq_str(read_str(&r), "name"));
	assert_int_equal(read_left(&r), 0);
	assert_false(r.bad);
	msgbuf_fini(&b);
}

static void
a_megabyte_grows(void **state)
{
	struct msgbuf b;
	char *big = calloc(1, 1 << 20);

	(void)state;
	msgbuf_init(&b);
	msg_begin(&b, 'd');
	msg_bytes(&b, big, 1 << 20);
	msg_end(&b);
	assert_int_equal(b.len, (1 << 20) + 5);
	assert_memory_equal(b.data, "d\0\20\0\4", 5);
	msgbuf_fini(&b);
	free(big);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(builds_the_documented_bytes),
	    cmocka_unit_test(two_messages_have_their_own_lengths),
	    cmocka_unit_test(rows_with_nulls),
	    cmocka_unit_test(error_fields_come_back),
	    cmocka_unit_test(broken_error_bodies_read_as_empty),
	    cmocka_unit_test(reading_past_the_end_is_bad_and_zero),
	    cmocka_unit_test(negative_numbers_survive),
	    cmocka_unit_test(a_megabyte_grows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
