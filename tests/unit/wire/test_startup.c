#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "wire/startup.h"

static struct arena arena;
static struct startup s;
static struct err err;

static int
setup(void **state)
{
	(void)state;
	arena_init(&arena);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_reset(&arena);
	return 0;
}

/* The packet is copied to a block of its own size so that AddressSanitizer sees any read
 * beyond it. */
static enum rc
parse(const struct msgbuf *b)
{
	char *own = arena_dup(&arena, b->data, b->len);

	memset(&err, 0, sizeof err);
	return startup_parse((struct slice){own, b->len}, &arena, &s, &err);
}

/* "user", "a", "database", "b", NULL */
static enum rc
parse_pairs(uint32_t version, ...)
{
	struct msgbuf b;
	va_list ap;
	enum rc rc;

	msgbuf_init(&b);
	msg_begin(&b, 0);
	msg_int32(&b, (int32_t)version);
	va_start(ap, version);
	for (const char *t; (t = va_arg(ap, const char *)) != NULL;)
		msg_str(&b, t);
	va_end(ap);
	msg_byte(&b, 0);
	msg_end(&b);
	rc = parse(&b);
	msgbuf_fini(&b);
	return rc;
}

#define PAIRS(...)       parse_pairs(PROTO_3_0, __VA_ARGS__, (char *)NULL)
#define IS(slice_, text) assert_true(slice_eq_str((slice_), (text)))

static void
expect_err(enum rc rc, const char *sqlstate)
{
	assert_int_equal(rc, RC_ERR);
	assert_string_equal(err.sqlstate, sqlstate);
}

static void
plain_packet(void **state)
{
	(void)state;
	assert_int_equal(PAIRS("user", "joe", "database", "shop", "application_name",
			     "psql", "client_encoding", "UTF8"),
	    RC_OK);
	assert_int_equal(s.kind, STARTUP_START);
	IS(s.user, "joe");
	IS(s.database, "shop");
	assert_int_equal(s.n_params, 2);
	IS(s.params[0].name, "application_name");
	IS(s.params[1].value, "UTF8");
	assert_int_equal(s.proto, PROTO_3_0);
	assert_false(s.negotiate);
	assert_int_equal(s.replication, REPLICATION_NONE);
	assert_null(startup_param(&s, "nothing"));
}

static void
database_defaults_to_user(void **state)
{
	(void)state;
	assert_int_equal(PAIRS("user", "joe"), RC_OK);
	IS(s.database, "joe");
	assert_int_equal(PAIRS("user", "joe", "database", ""), RC_OK);
	IS(s.database, "joe");
}

static void
no_user(void **state)
{
	(void)state;
	expect_err(PAIRS("database", "shop"), "28000");
	expect_err(PAIRS("user", ""), "28000");
}

static void
versions(void **state)
{
	static const struct {
		uint32_t asked, proto;
		bool negotiate;
	} v[] = {{0x30000, 0x30000, false}, {0x30001, 0x30001, false},
	    {0x30002, 0x30002, false}, {0x30003, 0x30002, true}, {0x3270f, 0x30002, true},
	    {0x3ffff, 0x30002, true}};

	(void)state;
	for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
		assert_int_equal(
		    parse_pairs(v[i].asked, "user", "u", (char *)NULL), RC_OK);
		assert_int_equal(s.proto, v[i].proto);
		assert_int_equal(s.negotiate, v[i].negotiate);
	}
	expect_err(parse_pairs(0x20000, "user", "u", (char *)NULL), "0A000");
	expect_err(parse_pairs(0x40000, "user", "u", (char *)NULL), "0A000");
	expect_err(parse_pairs(0, "user", "u", (char *)NULL), "0A000");
}

static void
negotiation_lists_the_unknown(void **state)
{
	static const char want[] = "v\0\0\0\36\0\3\0\2\0\0\0\2_pq_.one\0_pq_.two\0";
	struct msgbuf b;

	(void)state;
	assert_int_equal(parse_pairs(0x3270f, "_pq_.one", "1", "user", "u", "_pq_.two",
			     "", (char *)NULL),
	    RC_OK);
	assert_true(s.negotiate);
	assert_int_equal(s.n_params, 0);
	msgbuf_init(&b);
	msg_negotiate(&b, &s);
	assert_int_equal(b.len, 31);
	assert_memory_equal(b.data, want, 31);
	msgbuf_fini(&b);

	assert_int_equal(PAIRS("user", "u", "_pq_.x", "1"), RC_OK);
	assert_true(s.negotiate);
	assert_int_equal(s.proto, PROTO_3_0);
}

static void
options_become_settings(void **state)
{
	(void)state;
	assert_int_equal(
	    PAIRS("user", "u", "options",
		"-c a=1  -cb=2 --work-mem=3\t-c d=x\\ y -c e=\\\\ -c f= --g=-c", "A",
		"last"),
	    RC_OK);
	assert_int_equal(s.n_params, 8);
	IS(s.params[0].value, "1");
	IS(s.params[1].name, "b");
	IS(s.params[2].name, "work_mem");
	IS(s.params[3].value, "x y");
	IS(s.params[4].value, "\\");
	IS(s.params[5].value, "");
	IS(s.params[6].value, "-c");
	IS(*startup_param(&s, "a"), "last");
	IS(*startup_param(&s, "WORK_mem"), "3");
	assert_int_equal(PAIRS("user", "u", "options", ""), RC_OK);
	assert_int_equal(PAIRS("user", "u", "options", " \t "), RC_OK);
	assert_int_equal(s.n_params, 0);
}

static void
bad_options(void **state)
{
	(void)state;
	expect_err(PAIRS("user", "u", "options", "-c"), "42601");
	expect_err(PAIRS("user", "u", "options", "-c a"), "42601");
	expect_err(PAIRS("user", "u", "options", "-c =a"), "42601");
	expect_err(PAIRS("user", "u", "options", "--"), "42601");
	expect_err(PAIRS("user", "u", "options", "--a"), "42601");
	expect_err(PAIRS("user", "u", "options", "-"), "42601");
	expect_err(PAIRS("user", "u", "options", "-x"), "42601");
	expect_err(PAIRS("user", "u", "options", "word"), "42601");
	assert_true(err.hint[0] != '\0');
}

static void
replication(void **state)
{
	static const char *const yes[] = {"true", "t", "ON", "1", "yes", "TRUE", "tr"};
	static const char *const no[] = {"false", "off", "0", "n", "f"};
	static const char *const bad[] = {
	    "", "o", "2", "Database", "truest", "databases"};

	(void)state;
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		assert_int_equal(PAIRS("user", "u", "replication", yes[i]), RC_OK);
		assert_int_equal(s.replication, REPLICATION_PHYSICAL);
	}
	for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
		assert_int_equal(PAIRS("user", "u", "replication", no[i]), RC_OK);
		assert_int_equal(s.replication, REPLICATION_NONE);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		expect_err(PAIRS("user", "u", "replication", bad[i]), "22023");
	assert_int_equal(PAIRS("user", "u", "replication", "database"), RC_OK);
	assert_int_equal(s.replication, REPLICATION_DATABASE);
	assert_int_equal(s.n_params, 0);
}

static void
requests(void **state)
{
	struct msgbuf b;

	(void)state;
	msgbuf_init(&b);
	msg_request(&b, PROTO_SSL);
	assert_int_equal(parse(&b), RC_OK);
	assert_int_equal(s.kind, STARTUP_SSL);
	msgbuf_clear(&b);
	msg_request(&b, PROTO_GSSENC);
	assert_int_equal(parse(&b), RC_OK);
	assert_int_equal(s.kind, STARTUP_GSSENC);
	msgbuf_clear(&b);
	msg_begin(&b, 0);
	msg_int32(&b, (int32_t)PROTO_SSL);
	msg_byte(&b, 'x');
	msg_end(&b);
	expect_err(parse(&b), "08P01");
	msgbuf_fini(&b);
}

static void
cancel_keys(void **state)
{
	char key[300];
	struct msgbuf b;

	(void)state;
	memset(key, 'k', sizeof key);
	msgbuf_init(&b);
	for (size_t n = 0; n <= sizeof key; n++) {
		msgbuf_clear(&b);
		msg_cancel(&b, 0xfffffff0u, (struct slice){key, n});
		if (n < 4 || n > 256) {
			expect_err(parse(&b), "08P01");
			continue;
		}
		assert_int_equal(parse(&b), RC_OK);
		assert_int_equal(s.kind, STARTUP_CANCEL);
		assert_int_equal(s.pid, 0xfffffff0u);
		assert_int_equal(s.key.len, n);
	}
	/* without even a pid */
	msgbuf_clear(&b);
	msg_request(&b, PROTO_CANCEL);
	expect_err(parse(&b), "08P01");
	msgbuf_fini(&b);
}

static void
lengths(void **state)
{
	static const uint32_t bad[] = {
	    0, 1, 4, 7, 10001, 0x7fffffff, 0x80000000u, 0xffffffffu};
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char h[4] = {(char)(bad[i] >> 24), (char)(bad[i] >> 16),
		    (char)(bad[i] >> 8), (char)bad[i]};

		expect_err(startup_length((struct slice){h, 4}, &len, &err), "08P01");
	}
	for (size_t n = 0; n < 4; n++)
		assert_int_equal(
		    startup_length((struct slice){"\0\0\47\20", n}, &len, &err),
		    RC_AGAIN);
	assert_int_equal(
	    startup_length((struct slice){"\0\0\47\20", 4}, &len, &err), RC_OK);
	assert_int_equal(len, 10000);
	/* HTTP, SSH, TLS: their first bytes are no length of ours */
	expect_err(startup_length(SLICE_LIT("GET / HTTP"), &len, &err), "08P01");
	expect_err(startup_length(SLICE_LIT("\26\3\1\2"), &len, &err), "08P01");
}

/* Cut the body of a good packet at every length and set the length field to match: never
 * a crash, and never OK but for the whole. */
static void
every_truncation(void **state)
{
	static const struct startup_param p[] = {{{"user", 4}, {"joe", 3}},
	    {{"options", 7}, {"-c a=b", 6}}, {{"database", 8}, {"x", 1}}};
	struct msgbuf b, cut;

	(void)state;
	msgbuf_init(&b);
	msgbuf_init(&cut);
	msg_startup(&b, PROTO_3_2, p, 3);
	assert_int_equal(parse(&b), RC_OK);
	for (size_t n = 8; n < b.len; n++) {
		msgbuf_clear(&cut);
		msg_begin(&cut, 0);
		msg_bytes(&cut, b.data + 4, n - 4);
		msg_end(&cut);
		expect_err(parse(&cut), "08P01");
	}
	/* and with more behind its end */
	msgbuf_clear(&cut);
	msg_begin(&cut, 0);
	msg_bytes(&cut, b.data + 4, b.len - 4);
	msg_byte(&cut, 0);
	msg_end(&cut);
	expect_err(parse(&cut), "08P01");
	msgbuf_fini(&b);
	msgbuf_fini(&cut);
}

static void
long_names_are_only_long(void **state)
{
	char name[8001];

	(void)state;
	memset(name, 'n', 8000);
	name[8000] = 0;
	assert_int_equal(PAIRS("user", "u", "database", name), RC_OK);
	assert_int_equal(s.database.len, 8000);
	expect_err(PAIRS("user", "u", "replication", name), "22023");
	expect_err(PAIRS("user", "u", "options", name), "42601");
}

static void
many_small_settings(void **state)
{
	struct msgbuf b;

	(void)state;
	msgbuf_init(&b);
	msg_begin(&b, 0);
	msg_int32(&b, (int32_t)PROTO_3_0);
	msg_str(&b, "user");
	msg_str(&b, "u");
	while (b.len < STARTUP_PACKET_MAX - 4)
		msg_bytes(&b, "a\0", 3);
	msg_byte(&b, 0);
	msg_end(&b);
	assert_int_equal(parse(&b), RC_OK);
	assert_true(s.n_params > 3000);

	msgbuf_clear(&b);
	msg_begin(&b, 0);
	msg_int32(&b, (int32_t)PROTO_3_0);
	msg_str(&b, "user");
	msg_str(&b, "u");
	msg_str(&b, "options");
	while (b.len < STARTUP_PACKET_MAX - 9)
		msg_bytes(&b, "-ca= ", 5);
	msg_byte(&b, 0);
	msg_byte(&b, 0);
	msg_end(&b);
	assert_int_equal(parse(&b), RC_OK);
	assert_true(s.n_params > 1900);
	msgbuf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plain_packet),
	    cmocka_unit_test(database_defaults_to_user),
	    cmocka_unit_test(no_user),
	    cmocka_unit_test(versions),
	    cmocka_unit_test(negotiation_lists_the_unknown),
	    cmocka_unit_test(options_become_settings),
	    cmocka_unit_test(bad_options),
	    cmocka_unit_test(replication),
	    cmocka_unit_test(requests),
	    cmocka_unit_test(cancel_keys),
	    cmocka_unit_test(lengths),
	    cmocka_unit_test(every_truncation),
	    cmocka_unit_test(long_names_are_only_long),
	    cmocka_unit_test(many_small_settings),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
