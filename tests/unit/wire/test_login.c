/* The login's step function against scripted and hostile servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "wire/login.h"

static struct login l;
static struct login_ask ask;
static struct err err;
static struct msgbuf sent; /* what the server sends next */

static void
start(bool tls, const char *cbind)
{
	memset(&err, 0, sizeof err);
	assert_int_equal(login_init(&l, &ask, tls, false, slice_of(cbind), &err), RC_OK);
}

static int
setup(void **state)
{
	(void)state;
	memset(&ask, 0, sizeof ask);
	ask.user = "joe";
	ask.database = "shop";
	msgbuf_init(&sent);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	login_fini(&l);
	msgbuf_fini(&sent);
	return 0;
}

/* Feeds the message in `sent` and empties it. */
static enum rc
step(void)
{
	struct read_msg m = {.type = sent.data[0], .len = (uint32_t)sent.len};
	char *own = malloc(sent.len);
	enum rc rc;

	memcpy(own, sent.data, sent.len);
	m.raw = (struct slice){own, sent.len};
	m.body = (struct slice){own + 5, sent.len - 5};
	rc = login_step(&l, &m, &err);
	free(own);
	msgbuf_clear(&sent);
	return rc;
}

static enum rc
send_body(char type, const void *body, size_t n)
{
	msg_begin(&sent, type);
	msg_bytes(&sent, body, n);
	msg_end(&sent);
	return step();
}

static enum rc
send_auth(int32_t code, const char *rest, size_t n)
{
	msg_begin(&sent, 'R');
	msg_int32(&sent, code);
	msg_bytes(&sent, rest, n);
	msg_end(&sent);
	return step();
}

#define SASL_BOTH       "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0"
#define SASL_PLAIN      "SCRAM-SHA-256\0"
#define AUTH(code, lit) send_auth(code, lit, sizeof(lit) - 1)

static enum rc
send_param(const char *name, const char *value)
{
	msg_parameter_status(&sent, name, value);
	return step();
}

static enum rc
send_ready(char status)
{
	msg_ready(&sent, status);
	return step();
}

static void
expect_failed(enum rc rc, const char *sqlstate)
{
	assert_int_equal(rc, RC_ERR);
	assert_string_equal(err.sqlstate, sqlstate);
	assert_int_equal(l.state, LOGIN_FAILED);
	assert_int_equal(l.out.len, 0);
}

/* ---- what works ---- */

static void
start_packet_has_everything(void **state)
{
	static const char *const params[] = {
	    "replication", "database", "options", "-c a=b", NULL};
	struct arena a;
	struct startup s;

	(void)state;
	ask.params = params;
	start(false, "");
	arena_init(&a);
	assert_int_equal(
	    startup_parse((struct slice){l.out.data, l.out.len}, &a, &s, &err), RC_OK);
	assert_true(slice_eq_str(s.user, "joe"));
	assert_true(slice_eq_str(s.database, "shop"));
	assert_int_equal(s.asked, PROTO_3_2);
	assert_int_equal(s.replication, REPLICATION_DATABASE);
	assert_true(slice_eq_str(*startup_param(&s, "a"), "b"));
	arena_reset(&a);
}

static void
too_long_a_start_is_refused(void **state)
{
	char *big = calloc(1, 10001);
	const char *params[] = {"options", big, NULL};

	(void)state;
	memset(big, ' ', 10000);
	ask.params = params;
	assert_int_equal(
	    login_init(&l, &ask, false, false, (struct slice){"", 0}, &err), RC_ERR);
	assert_string_equal(err.sqlstate, "54000");
	free(big);
}

static const char *
param(const char *name)
{
	for (size_t i = 0; i < l.n_params; i++)
		if (slice_eq_str(l.params[i].name, name))
			return l.params[i].value.ptr;
	return NULL;
}

static void
trust_to_the_end(void **state)
{
	char name[32];

	(void)state;
	start(false, "");
	assert_int_equal(AUTH(0, ""), RC_AGAIN);
	for (int i = 0; i < 150; i++) {
		snprintf(name, sizeof name, "p%d", i);
		assert_int_equal(send_param(name, "v"), RC_AGAIN);
	}
	assert_int_equal(send_param("p7", "changed"), RC_AGAIN);
	msg_notice(&sent, "NOTICE", "00000", "hello", NULL);
	assert_int_equal(step(), RC_AGAIN);
	assert_int_equal(send_body('K', "\0\0\1\0abcd", 8), RC_AGAIN);
	assert_int_equal(send_ready('I'), RC_OK);
	assert_int_equal(l.state, LOGIN_DONE);
	assert_int_equal(l.n_params, 150);
	assert_string_equal(param("p7"), "changed");
	assert_string_equal(param("p149"), "v");
	assert_int_equal(l.pid, 256);
	assert_int_equal(l.key_len, 4);
	assert_memory_equal(l.key, "abcd", 4);
	assert_int_equal(l.proto, PROTO_3_2);
	assert_int_equal(l.notices, 1);
	expect_failed(send_ready('I'), "08P01");
}

static void
md5_answers(void **state)
{
	(void)state;
	ask.password = "secret";
	start(false, "");
	login_sent(&l);
	assert_int_equal(AUTH(5, "\1\2\3\4"), RC_AGAIN);
	assert_int_equal(l.out.len, 5 + 36);
	assert_int_equal(AUTH(0, ""), RC_AGAIN);
	login_fini(&l);

	ask.password = NULL;
	ask.md5 = "md5c59ec932d911ffdf487595b5a2adf973";
	start(false, "");
	login_sent(&l);
	assert_int_equal(AUTH(5, "\1\2\3\4"), RC_AGAIN);
	assert_int_equal(l.out.len, 5 + 36);
	assert_memory_equal(l.out.data, "p\0\0\0\50md5", 8);
}

static void
cleartext_needs_leave(void **state)
{
	(void)state;
	ask.password = "secret";
	start(false, "");
	expect_failed(AUTH(3, ""), "28000");
	login_fini(&l);
	start(true, "");
	login_sent(&l);
	assert_int_equal(AUTH(3, ""), RC_AGAIN);
	assert_int_equal(l.out.len, 12);
	assert_memory_equal(l.out.data, "p\0\0\0\13secret", 12);
	login_fini(&l);
	ask.allow_cleartext = true;
	start(false, "");
	assert_int_equal(AUTH(3, ""), RC_AGAIN);
}

/* Runs the other role by scram.h. */
static enum rc
scram_with(const char *server_password, const char *server_cbind, bool offer_plus)
{
	struct scram_secret secret;
	struct scram_server server;
	struct scram_keys keys;
	struct msgbuf out;
	struct msgread r;
	struct slice mechanism, data;
	enum rc rc;

	msgbuf_init(&out);
	login_sent(&l);
	rc = offer_plus ? AUTH(10, SASL_BOTH "\0") : AUTH(10, SASL_PLAIN "\0");
	if (rc != RC_AGAIN)
		return rc;
	r = msgread_of((struct slice){l.out.data + 5, l.out.len - 5});
	mechanism = read_str(&r);
	data = read_bytes(&r, (size_t)read_int32(&r));
	assert_false(r.bad);
	assert_int_equal(
	    scram_secret_derive(slice_of(server_password), NULL, 0, 10, &secret, &err),
	    RC_OK);
	scram_server_init(&server, &secret, false, slice_of(server_cbind));
	rc = scram_server_first(&server, mechanism, data, NULL, &out, &err);
	login_sent(&l);
	if (rc == RC_OK) {
		assert_int_equal(send_auth(11, out.data, out.len), RC_AGAIN);
		assert_int_equal(l.state, LOGIN_SASL_FINAL);
		msgbuf_clear(&out);
		rc = scram_server_final(&server,
		    (struct slice){l.out.data + 5, l.out.len - 5}, &keys, &out, &err);
		login_sent(&l);
	}
	if (rc == RC_OK)
		rc = send_auth(12, out.data, out.len);
	scram_server_fini(&server);
	msgbuf_fini(&out);
	return rc;
}

static void
scram_in_all_ways(void **state)
{
	(void)state;
	ask.password = "pencil";
	start(false, "");
	assert_int_equal(scram_with("pencil", "", false), RC_AGAIN);
	assert_int_equal(AUTH(0, ""), RC_AGAIN);
	login_fini(&l);
	/* without TLS, PLUS is not taken though it is offered */
	start(false, "hash");
	assert_int_equal(scram_with("pencil", "hash", true), RC_AGAIN);
	login_fini(&l);
	/* with TLS it is */
	start(true, "hash");
	assert_int_equal(scram_with("pencil", "hash", true), RC_AGAIN);
	login_fini(&l);
	start(true, "hash");
	assert_int_equal(scram_with("pencil", "other", true), RC_ERR);
	assert_string_equal(err.sqlstate, "28000");
	login_fini(&l);
	/* somebody took PLUS out of the list: 'y' tells the server */
	start(true, "hash");
	assert_int_equal(scram_with("pencil", "hash", false), RC_ERR);
	assert_string_equal(err.sqlstate, "28000");
	login_fini(&l);
	start(false, "");
	assert_int_equal(scram_with("other", "", false), RC_ERR);
	assert_string_equal(err.sqlstate, "28P01");
}

static void
negotiation(void **state)
{
	(void)state;
	start(false, "");
	assert_int_equal(send_body('v', "\0\3\0\0\0\0\0\0", 8), RC_AGAIN);
	assert_int_equal(l.proto, PROTO_3_0);
	expect_failed(send_body('v', "\0\3\0\0\0\0\0\0", 8), "08P01"); /* once only */
	login_fini(&l);
	start(false, "");
	assert_int_equal(send_body('v', "\0\0\0\1\0\0\0\0", 8), RC_AGAIN);
	assert_int_equal(l.proto, 0x30001);
	login_fini(&l);
	start(false, "");
	expect_failed(
	    send_body('v', "\0\3\0\3\0\0\0\0", 8), "08P01"); /* newer than asked */
	login_fini(&l);
	start(false, "");
	expect_failed(send_body('v', "\0\2\0\0\0\0\0\0", 8), "08P01");
	login_fini(&l);
	start(false, "");
	expect_failed(send_body('v', "\0\3\0\0\0\0\0\1x\0", 10),
	    "08P01"); /* we asked for nothing */
	login_fini(&l);
	start(false, "");
	expect_failed(send_body('v', "\0\3", 2), "08P01");
	login_fini(&l);
	start(false, "");
	assert_int_equal(AUTH(0, ""), RC_AGAIN);
	expect_failed(send_body('v', "\0\3\0\0\0\0\0\0", 8), "08P01"); /* too late */
}

/* ---- what must not ---- */

static void
error_is_the_servers_own(void **state)
{
	(void)state;
	start(false, "");
	expect_failed(
	    send_body('E', "SFATAL\0C28P01\0Mno \"joe\" here\0Htry jim\0\0", 40),
	    "28P01");
	assert_string_equal(err.msg, "no \"joe\" here");
	assert_string_equal(err.hint, "try jim");
	assert_true(l.server_error);
}

static void
error_without_sqlstate(void **state)
{
	static const struct {
		const char *body;
		size_t n;
	} bad[] = {{"", 0}, {"\0", 1}, {"M\0\0", 3}, {"C\0Mx\0\0", 6},
	    {"C123456\0Mx\0\0", 12}, {"C28p01\0Mx\0\0", 11}, {"Mx", 2},
	    {"C2\001P01\0Mx\0\0", 11}};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		start(false, "");
		expect_failed(send_body('E', bad[i].body, bad[i].n), "08P01");
		assert_true(err.msg[0] != '\0');
		login_fini(&l);
	}
}

static void
error_text_is_cut_and_cleaned(void **state)
{
	char body[2000];
	size_t n;

	(void)state;
	start(false, "");
	n = (size_t)sprintf(body, "C57P03") + 1;
	body[n++] = 'M';
	body[n++] = '\n';
	while (n < 1500) {
		body[n++] = (char)0xc3;
		body[n++] = (char)0xa9;
	}
	body[n++] = 0;
	body[n++] = 0;
	expect_failed(send_body('E', body, n), "57P03");
	assert_int_equal(err.msg[0], ' ');
	assert_int_equal((unsigned char)err.msg[strlen(err.msg) - 1], 0xa9);
}

static void
codes_out_of_order(void **state)
{
	static const int32_t codes[] = {
	    1, 2, 4, 6, 7, 8, 9, 11, 12, 13, -1, INT32_MIN, INT32_MAX};

	(void)state;
	ask.password = "x";
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		start(true, "");
		expect_failed(send_auth(codes[i], "", 0), "28000");
		login_fini(&l);
	}
	/* twice, or something else after an answer */
	start(true, "");
	assert_int_equal(AUTH(3, ""), RC_AGAIN);
	expect_failed(AUTH(3, ""), "08P01");
	login_fini(&l);
	start(true, "");
	assert_int_equal(AUTH(5, "salt"), RC_AGAIN);
	expect_failed(AUTH(10, SASL_PLAIN "\0"), "08P01");
	login_fini(&l);
	start(true, "");
	assert_int_equal(AUTH(0, ""), RC_AGAIN);
	expect_failed(AUTH(0, ""), "08P01");
}

static void
sasl_must_be_finished(void **state)
{
	(void)state;
	ask.password = "pencil";
	start(false, "");
	assert_int_equal(AUTH(10, SASL_PLAIN "\0"), RC_AGAIN);
	expect_failed(AUTH(0, ""), "08P01"); /* no way round the exchange */
	login_fini(&l);
	start(false, "");
	assert_int_equal(AUTH(10, SASL_PLAIN "\0"), RC_AGAIN);
	expect_failed(AUTH(12, "v=AAAA"), "08P01");
	login_fini(&l);
	start(false, "");
	assert_int_equal(AUTH(10, SASL_PLAIN "\0"), RC_AGAIN);
	msg_ready(&sent, 'I');
	expect_failed(step(), "08P01");
}

/* The server's signature is missing: it never proved that it knows the password. */
static void
sasl_final_is_missing(void **state)
{
	char first[200];
	int n;

	(void)state;
	ask.password = "pencil";
	start(false, "");
	assert_int_equal(AUTH(10, SASL_PLAIN "\0"), RC_AGAIN);
	n = snprintf(first, sizeof first, "r=%sxyz,s=c2FsdA==,i=10", l.scram.nonce);
	assert_int_equal(send_auth(11, first, (size_t)n), RC_AGAIN);
	expect_failed(AUTH(0, ""), "08P01");
}

static void
sasl_lists(void **state)
{
	(void)state;
	ask.password = "pencil";
	start(false, "");
	expect_failed(AUTH(10, ""), "08P01");
	login_fini(&l);
	start(false, "");
	expect_failed(AUTH(10, "SCRAM-SHA-256"), "08P01");
	login_fini(&l);
	start(false, "");
	expect_failed(AUTH(10, "\0"), "28000");
	login_fini(&l);
	start(false, "");
	expect_failed(AUTH(10, "SCRAM-SHA-256-PLUS\0\0"), "28000"); /* no TLS here */
	login_fini(&l);
	start(false, "");
	expect_failed(AUTH(10, "OAUTHBEARER\0\0"), "28000");
	login_fini(&l);
	ask.password = NULL;
	start(false, "");
	expect_failed(AUTH(10, SASL_PLAIN "\0"), "28000");
}

static void
no_credentials(void **state)
{
	(void)state;
	start(true, "");
	expect_failed(AUTH(3, ""), "28000");
	login_fini(&l);
	start(true, "");
	expect_failed(AUTH(5, "salt"), "28000");
	login_fini(&l);
	ask.md5 = "md5short";
	start(true, "");
	expect_failed(AUTH(5, "salt"), "28000");
	login_fini(&l);
	ask.password = "x";
	start(true, "");
	expect_failed(AUTH(5, "sal"), "08P01");
	login_fini(&l);
	start(true, "");
	expect_failed(AUTH(5, "salts"), "08P01");
}

static void
every_type_before_and_after_authentication(void **state)
{
	(void)state;
	for (int type = 1; type < 256; type++) {
		start(false, "");
		if (strchr("ERNv", type) == NULL)
			expect_failed(send_body((char)type, "I", 1), "08P01");
		login_fini(&l);
		start(false, "");
		assert_int_equal(AUTH(0, ""), RC_AGAIN);
		if (strchr("EN", type) == NULL && type != 'Z')
			expect_failed(send_body((char)type, "\1", 1), "08P01");
		login_fini(&l);
	}
	start(false, "");
}

static void
odd_bodies(void **state)
{
	static const struct {
		char type;
		const char *body;
		size_t n;
	} bad[] = {{'K', "\0\0\0\1abc", 7}, {'K', "\0\0", 2}, {'K', "", 0}, {'S', "", 0},
	    {'S', "name", 4}, {'S', "name\0value", 10}, {'S', "\0value\0", 7},
	    {'S', "a\0b\0c", 5}, {'Z', "", 0}, {'Z', "T", 1}, {'Z', "E", 1},
	    {'Z', "II", 2}, {'R', "\0\0", 2}};
	char key[300] = {0};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		start(false, "");
		assert_int_equal(AUTH(0, ""), RC_AGAIN);
		expect_failed(send_body(bad[i].type, bad[i].body, bad[i].n), "08P01");
		login_fini(&l);
	}
	start(false, "");
	assert_int_equal(AUTH(0, ""), RC_AGAIN);
	assert_int_equal(send_body('K', key, 4 + 256), RC_AGAIN);
	assert_int_equal(l.key_len, 256);
	expect_failed(send_body('K', key, 4 + 257), "08P01");
	login_fini(&l);
	start(false, "");
	expect_failed(send_body('R', "\0\0", 2), "08P01");
}

static void
endless_parameters(void **state)
{
	char name[32];
	enum rc rc = RC_AGAIN;
	int i;

	(void)state;
	start(false, "");
	assert_int_equal(AUTH(0, ""), RC_AGAIN);
	for (i = 0; i < 100000 && rc == RC_AGAIN; i++) {
		snprintf(name, sizeof name, "p%d", i);
		rc = send_param(name, "v");
	}
	expect_failed(rc, "08P01");
	assert_true(i <= 1001);
	login_fini(&l);
	/* the same name for ever, and notices for ever: the bytes are counted */
	start(false, "");
	assert_int_equal(AUTH(0, ""), RC_AGAIN);
	for (rc = RC_AGAIN, i = 0; rc == RC_AGAIN; i++)
		rc = send_param("p", "v");
	expect_failed(rc, "08P01");
	assert_true(l.arena.used < 20 * LOGIN_BYTES_MAX);
	login_fini(&l);
	start(false, "");
	for (rc = RC_AGAIN, i = 0; rc == RC_AGAIN; i++) {
		msg_notice(
		    &sent, "NOTICE", "00000", "hello hello hello hello hello", NULL);
		rc = step();
	}
	expect_failed(rc, "08P01");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(start_packet_has_everything, setup, teardown),
	    cmocka_unit_test_setup_teardown(too_long_a_start_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(trust_to_the_end, setup, teardown),
	    cmocka_unit_test_setup_teardown(md5_answers, setup, teardown),
	    cmocka_unit_test_setup_teardown(cleartext_needs_leave, setup, teardown),
	    cmocka_unit_test_setup_teardown(scram_in_all_ways, setup, teardown),
	    cmocka_unit_test_setup_teardown(negotiation, setup, teardown),
	    cmocka_unit_test_setup_teardown(error_is_the_servers_own, setup, teardown),
	    cmocka_unit_test_setup_teardown(error_without_sqlstate, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		error_text_is_cut_and_cleaned, setup, teardown),
	    cmocka_unit_test_setup_teardown(codes_out_of_order, setup, teardown),
	    cmocka_unit_test_setup_teardown(sasl_must_be_finished, setup, teardown),
	    cmocka_unit_test_setup_teardown(sasl_final_is_missing, setup, teardown),
	    cmocka_unit_test_setup_teardown(sasl_lists, setup, teardown),
	    cmocka_unit_test_setup_teardown(no_credentials, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		every_type_before_and_after_authentication, setup, teardown),
	    cmocka_unit_test_setup_teardown(odd_bodies, setup, teardown),
	    cmocka_unit_test_setup_teardown(endless_parameters, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
