/* The driver of the login: against a real PostgreSQL 15, where there is one, and against
 * servers that misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>

#include "tests/unit/wire/certs.h"
#include "tests/unit/wire/postgres.h"
#include "wire/login.h"
#include "wire/md5.h"

static struct test_pg pg;
static bool have_pg;
static char dir[64];
static struct test_cert ca, server_cert, client_cert, other_ca;
static struct login_target target;
static struct login_result result;
static struct err err;

/* ---- set-up ---- */

static void
certificates(void)
{
	const char *out = have_pg ? pg.data : dir;

	test_cert_make(&ca, out, "ca", "test authority", NULL, EVP_sha256(), NULL);
	test_cert_make(
	    &other_ca, out, "other", "other authority", NULL, EVP_sha256(), NULL);
	/* signed with SHA-384, so that the binding's hash is not the usual one */
	test_cert_make(&server_cert, out, "server", "localhost",
	    "DNS:localhost,IP:127.0.0.1", EVP_sha384(), &ca);
	test_cert_make(&client_cert, out, "client", "certuser", NULL, EVP_sha256(), &ca);
}

static void
own(const char *file)
{
	struct passwd *p = getpwnam("postgres");

	if (geteuid() == 0 && chown(file, p->pw_uid, p->pw_gid) != 0)
		abort();
}

static int
group_setup(void **state)
{
	(void)state;
	have_pg = test_pg_init(&pg);
	strcpy(dir, "/tmp/weir-login-XXXXXX");
	if (mkdtemp(dir) == NULL)
		abort();
	certificates();
	if (!have_pg) {
		print_message("no PostgreSQL 15 here: only false servers are met\n");
		return 0;
	}
	own(server_cert.cert_file);
	own(server_cert.key_file);
	own(ca.cert_file);
	test_pg_append(&pg, "pg_hba.conf", "w",
	    "local all postgres trust\n"
	    "local all scramuser scram-sha-256\n"
	    "host all trustuser all trust\n"
	    "host all clearuser all password\n"
	    "host all md5user all md5\n"
	    "host all scramuser all scram-sha-256\n"
	    "hostssl all ssluser all scram-sha-256\n"
	    "hostnossl all plainuser all scram-sha-256\n"
	    "hostssl all certuser all cert\n");
	test_pg_append(&pg, "postgresql.conf", "a",
	    "ssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\n"
	    "ssl_ca_file = 'ca.crt'\nlog_connections = on\n");
	assert_true(test_pg_start(&pg));
	assert_true(test_pg_sql(&pg,
	    "CREATE ROLE trustuser LOGIN; CREATE ROLE certuser LOGIN;"
	    "SET password_encryption = 'md5'; CREATE ROLE md5user LOGIN "
	    "PASSWORD 'secret';SET password_encryption = 'scram-sha-256';"
	    "CREATE ROLE clearuser LOGIN PASSWORD 'secret'; CREATE ROLE "
	    "scramuser LOGIN PASSWORD "
	    "'pencil'; CREATE ROLE ssluser LOGIN PASSWORD 'I\302\255X'; "
	    "CREATE ROLE plainuser LOGIN PASSWORD 'pencil'"));
	return 0;
}

static int
group_teardown(void **state)
{
	char command[100];

	(void)state;
	test_cert_free(&ca);
	test_cert_free(&other_ca);
	test_cert_free(&server_cert);
	test_cert_free(&client_cert);
	if (have_pg)
		test_pg_stop(&pg);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

static int
setup(void **state)
{
	(void)state;
	memset(&target, 0, sizeof target);
	memset(&err, 0, sizeof err);
	target.host = "127.0.0.1";
	target.port = pg.port;
	target.ask.database = "postgres";
	memset(&result, 0, sizeof result);
	result.fd = -1;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	login_result_fini(&result);
	SSL_CTX_free(target.tls);
	target.tls = NULL;
	return 0;
}

static void
use_tls(enum sslmode mode, const char *root, bool with_cert)
{
	struct tls_client_conf conf = {mode, root,
	    with_cert ? client_cert.cert_file : NULL,
	    with_cert ? client_cert.key_file : NULL};

	SSL_CTX_free(target.tls);
	target.sslmode = mode;
	assert_int_equal(tls_client_create(&conf, &target.tls, &err), RC_OK);
}

/* ---- a connection that came out of it is used ---- */

static void
put_bytes(const char *p, size_t n)
{
	if (result.ssl != NULL) {
		char *raw;

		assert_int_equal(SSL_write(result.ssl, p, (int)n), (int)n);
		n = (size_t)BIO_get_mem_data(SSL_get_wbio(result.ssl), &raw);
		assert_int_equal(send(result.fd, raw, n, MSG_NOSIGNAL), n);
		(void)BIO_reset(SSL_get_wbio(result.ssl));
		return;
	}
	assert_int_equal(send(result.fd, p, n, MSG_NOSIGNAL), n);
}

/* Whatever comes within a moment. */
static size_t
get_bytes(char *p, size_t cap)
{
	struct pollfd f = {result.fd, POLLIN, 0};
	size_t n = 0, got;

	for (;;) {
		char raw[4096];
		ssize_t r;

		if (result.ssl != NULL &&
		    SSL_read_ex(result.ssl, p + n, cap - n, &got) == 1) {
			n += got;
			continue;
		}
		if (poll(&f, 1, n > 0 ? 20 : 2000) <= 0)
			return n;
		if (result.ssl == NULL) {
			r = recv(result.fd, p + n, cap - n, 0);
			if (r <= 0)
				return n;
			n += (size_t)r;
		} else {
			r = recv(result.fd, raw, sizeof raw, 0);
			if (r <= 0)
				return n;
			BIO_write(SSL_get_rbio(result.ssl), raw, (int)r);
		}
	}
}

static void
ask_one(const char *sql, const char *want)
{
	struct msgbuf b;
	char got[4000];
	size_t n;

	msgbuf_init(&b);
	msg_query(&b, sql);
	put_bytes(b.data, b.len);
	msgbuf_fini(&b);
	n = get_bytes(got, sizeof got);
	assert_true(n > 6);
	assert_memory_equal(got + n - 6, "Z\0\0\0\5I", 6);
	assert_non_null(memmem(got, n, want, strlen(want)));
}

static enum rc
dial_as(const char *user, const char *password)
{
	target.ask.user = user;
	target.ask.password = password;
	login_result_fini(&result);
	return login_connect(&target, 10000, &result, &err);
}

static void
expect_in(const char *user, const char *password)
{
	if (dial_as(user, password) != RC_OK)
		fail_msg("%s: %s %s", user, err.sqlstate, err.msg);
	ask_one("SELECT 'me=' || current_user", user);
}

static void
expect_out(const char *user, const char *password, const char *sqlstate)
{
	assert_int_equal(dial_as(user, password), RC_ERR);
	assert_string_equal(err.sqlstate, sqlstate);
	assert_int_equal(result.fd, -1);
}

#define NEEDS_PG      \
	(void)state;  \
	if (!have_pg) \
		skip();

/* ---- real server ---- */

static const char *
param(const char *name)
{
	for (size_t i = 0; i < result.n_params; i++)
		if (slice_eq_str(result.params[i].name, name))
			return result.params[i].value.ptr;
	return "";
}

static void
plain_methods(void **state)
{
	NEEDS_PG
	expect_in("trustuser", NULL);
	assert_string_equal(param("server_encoding"), "UTF8");
	assert_true(strncmp(param("server_version"), "15.", 3) == 0);
	assert_true(result.n_params > 10);
	assert_int_equal(result.key_len, 4);
	assert_true(result.pid > 1);
	assert_int_equal(result.proto, PROTO_3_0); /* by NegotiateProtocolVersion */
	assert_true(strncmp(result.address_text, "127.0.0.1:", 10) == 0);
	expect_in("md5user", "secret");
	expect_in("scramuser", "pencil");
	expect_out("md5user", "wrong", "28P01");
	expect_out("scramuser", "wrong", "28P01");
	expect_out("nobody", "x", "28000");
	expect_out("clearuser", "secret", "28000"); /* ours: not in clear */
	target.ask.allow_cleartext = true;
	expect_in("clearuser", "secret");
	target.ask.database = "missing";
	expect_out("trustuser", NULL, "3D000");
	target.ask.database = NULL;
	expect_out("trustuser", NULL, "3D000");
	assert_non_null(strstr(err.msg, "trustuser"));
}

static void
unix_socket(void **state)
{
	NEEDS_PG
	target.host = pg.dir;
	target.sslmode = SSLMODE_REQUIRE; /* means nothing there */
	expect_in("postgres", NULL);
	assert_true(strncmp(result.address_text, "unix:/tmp/weir-wire-", 20) == 0);
	expect_in("scramuser", "pencil");
}

static void
md5_by_hash(void **state)
{
	char hash[36] = "md5";

	NEEDS_PG
	assert_int_equal(
	    md5_stored(SLICE_LIT("secret"), SLICE_LIT("md5user"), hash + 3, &err), RC_OK);
	hash[35] = 0;
	target.ask.md5 = hash;
	expect_in("md5user", NULL);
	expect_out("scramuser", NULL, "28000");
}

static void
scram_by_keys_and_known(void **state)
{
	struct scram_known known = {0};
	struct scram_keys keys;

	NEEDS_PG
	target.ask.known = &known;
	expect_in("scramuser", "pencil");
	assert_true(known.set);
	expect_in("scramuser", "not looked at");
	keys = known.keys;
	target.ask.known = NULL;
	target.ask.keys = &keys;
	expect_in("scramuser", NULL);
	keys.client_key[0] ^= 1;
	expect_out("scramuser", NULL, "28P01");
}

static void
tls_with_channel_binding(void **state)
{
	NEEDS_PG
	use_tls(SSLMODE_VERIFY_FULL, ca.cert_file, false);
	/* This server offers PLUS and refuses 'y': a login proves that the binding was
	 * right. */
	expect_in("ssluser", "I\302\255X");
	assert_non_null(result.ssl);
	expect_in("ssluser", "\342\205\250");
	expect_out("ssluser", "wrong", "28P01");
	expect_in("scramuser", "pencil");
	expect_in("md5user", "secret");
	expect_in("clearuser", "secret"); /* in clear, but under TLS */
	target.host = "localhost";
	expect_in("ssluser", "I\302\255X");
	target.hostaddr = "127.0.0.1";
	expect_in("ssluser", "I\302\255X");
	target.host = "otherhost";
	expect_out("ssluser", "I\302\255X", "08001");
	assert_non_null(strstr(err.msg, "mismatch"));
	use_tls(SSLMODE_VERIFY_CA, ca.cert_file, false);
	expect_in("ssluser", "I\302\255X");
	use_tls(SSLMODE_VERIFY_CA, other_ca.cert_file, false);
	expect_out("ssluser", "I\302\255X", "08001");
	use_tls(
	    SSLMODE_REQUIRE, other_ca.cert_file, false); /* a file is there: it counts */
	expect_out("ssluser", "I\302\255X", "08001");
	use_tls(SSLMODE_REQUIRE, NULL, false);
	expect_in("ssluser", "I\302\255X");
}

static void
client_certificate(void **state)
{
	NEEDS_PG
	use_tls(SSLMODE_VERIFY_FULL, ca.cert_file, true);
	expect_in("certuser", NULL);
	use_tls(SSLMODE_VERIFY_FULL, ca.cert_file, false);
	expect_out("certuser", NULL, "28000");
}

static void
sslmodes_fall_back(void **state)
{
	NEEDS_PG
	use_tls(SSLMODE_PREFER, NULL, false);
	expect_in("ssluser", "I\302\255X");
	assert_non_null(result.ssl);
	expect_in("plainuser", "pencil"); /* refused under TLS, then without */
	assert_null(result.ssl);
	use_tls(SSLMODE_PREFER, other_ca.cert_file, false);
	expect_in("plainuser", "pencil"); /* handshake fails, then without */
	use_tls(SSLMODE_ALLOW, NULL, false);
	expect_in("plainuser", "pencil");
	assert_null(result.ssl);
	expect_in("ssluser", "I\302\255X");
	assert_non_null(result.ssl);
	use_tls(SSLMODE_REQUIRE, NULL, false);
	expect_out("plainuser", "pencil", "28000");
	use_tls(SSLMODE_DISABLE, NULL, false);
	expect_out("ssluser", "I\302\255X", "28000");
}

static void
parameters_are_passed(void **state)
{
	static const char *const params[] = {"application_name", "weir test", "options",
	    "-c statement_timeout=4321", NULL};

	NEEDS_PG
	target.ask.params = params;
	expect_in("trustuser", NULL);
	assert_string_equal(param("application_name"), "weir test");
	ask_one("SHOW statement_timeout", "4321ms");
}

static void
cancel_a_query(bool tls)
{
	struct msgbuf b;
	char got[2000];
	size_t n;

	expect_in("scramuser", "pencil");
	assert_int_equal(result.ssl != NULL, tls);
	msgbuf_init(&b);
	msg_query(&b, "SELECT pg_sleep(60)");
	put_bytes(b.data, b.len);
	msgbuf_fini(&b);
	usleep(100000);
	assert_int_equal(
	    login_cancel(&target, &result.address, tls, result.pid,
		(struct slice){(const char *)result.key, result.key_len}, 5000, &err),
	    RC_OK);
	n = get_bytes(got, sizeof got);
	assert_non_null(memmem(got, n, "C57014", 7));
	ask_one("SELECT 'alive'", "alive");
}

static void
cancels(void **state)
{
	NEEDS_PG
	cancel_a_query(false);
	use_tls(SSLMODE_VERIFY_FULL, ca.cert_file, false);
	cancel_a_query(true);
	target.host = pg.dir;
	use_tls(SSLMODE_DISABLE, NULL, false);
	cancel_a_query(false);
}

/* ---- false servers ---- */

struct script {
	const char *bytes; /* sent on accept, after `wait` bytes came */
	size_t n, wait;
	bool close_after;
	int connections; /* how many to take */
	int fd;
	char port[8];
	pthread_t thread;
};

static void *
serve(void *arg)
{
	struct script *s = arg;

	for (int i = 0; i < s->connections; i++) {
		int fd = accept(s->fd, NULL, NULL);
		char in[10000];
		size_t got = 0;

		while (got < s->wait) {
			ssize_t n = recv(fd, in, sizeof in, 0);

			if (n <= 0)
				break;
			got += (size_t)n;
		}
		if (s->n > 0)
			(void)!send(fd, s->bytes, s->n, MSG_NOSIGNAL);
		/* until the other side goes */
		while (!s->close_after && recv(fd, in, sizeof in, 0) > 0)
			;
		close(fd);
	}
	return NULL;
}

static void
script_start(struct script *s)
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof a;

	s->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(s->fd, 5), 0);
	getsockname(s->fd, (struct sockaddr *)&a, &len);
	snprintf(s->port, sizeof s->port, "%d", ntohs(a.sin_port));
	target.port = s->port;
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void
script_end(struct script *s)
{
	login_result_fini(&result);
	pthread_join(s->thread, NULL);
	close(s->fd);
}

#define WELCOME "R\0\0\0\10\0\0\0\0K\0\0\0\14\0\0\0\1abcdZ\0\0\0\5I"

static void
what_comes_behind_ready_stays(void **state)
{
	static const char more[] = WELCOME "N\0\0\0\5\0A";
	struct script s = {more, sizeof more - 1, 8, false, 1, 0, "", 0};
	char got[16];

	(void)state;
	script_start(&s);
	assert_int_equal(dial_as("joe", NULL), RC_OK);
	assert_int_equal(result.pid, 1);
	assert_int_equal(recv(result.fd, got, sizeof got, 0), 7);
	assert_memory_equal(got, "N\0\0\0\5\0A", 7);
	script_end(&s);
}

static void
expect_script_fails(const char *bytes, size_t n, size_t wait, bool close_after,
    int connections, const char *sqlstate)
{
	struct script s = {bytes, n, wait, close_after, connections, 0, "", 0};

	script_start(&s);
	assert_int_equal(dial_as("joe", "secret"), RC_ERR);
	assert_string_equal(err.sqlstate, sqlstate);
	script_end(&s);
}

#define FAILS(bytes, wait, close_after, connections, sqlstate) \
	expect_script_fails(                                   \
	    bytes, sizeof(bytes) - 1, wait, close_after, connections, sqlstate)

static void
hostile_bytes(void **state)
{
	(void)state;
	FAILS("", 8, true, 1, "08006");
	FAILS("R\0\0", 8, true, 1, "08006");
	FAILS("R\0\0\0\0", 8, false, 1, "08P01");
	FAILS("R\0\0\0\3", 8, false, 1, "08P01");
	FAILS("R\377\377\377\377", 8, false, 1, "08P01");
	FAILS("R\177\377\377\377", 8, false, 1, "08P01");
	FAILS("R\0\40\0\0", 8, false, 1, "08P01");
	FAILS("HTTP/1.1 400 Bad Request\r\n\r\n", 8, false, 1, "08P01");
}

static void
old_servers_are_asked_again(void **state)
{
	static const char no[] = "E\0\0\0\36SFATAL\0C0A000\0Munsupported\0\0";
	char bytes[sizeof no];

	(void)state;
	memcpy(bytes, no, sizeof no);
	bytes[4] = (char)(sizeof no - 2);
	expect_script_fails(bytes, sizeof no - 1, 8, false, 2, "0A000");
}

static void
clear_text_behind_the_yes(void **state)
{
	static const char bytes[] = "S" WELCOME;

	(void)state;
	use_tls(SSLMODE_REQUIRE, NULL, false);
	/* Found before or in the handshake, by timing; never believed. */
	for (int i = 0; i < 3; i++) {
		struct script s = {bytes, sizeof bytes - 1, 8, false, 1, 0, "", 0};

		script_start(&s);
		assert_int_equal(dial_as("joe", "secret"), RC_ERR);
		assert_true(strcmp(err.sqlstate, "08P01") == 0 ||
		    strcmp(err.sqlstate, "08001") == 0);
		script_end(&s);
	}
	FAILS("N", 8, false, 1, "08001");
	FAILS("E\0\0\0\10Mhi\0\0", 8, false, 1, "08P01");
	FAILS("X", 8, false, 1, "08P01");
	FAILS("", 8, true, 1, "08006");
}

static int64_t
ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
deadlines_hold(void **state)
{
	struct script s = {"R\0\0", 3, 8, false, 1, 0, "", 0};
	int64_t begun = ms();

	(void)state;
	script_start(&s);
	target.ask.user = "joe";
	assert_int_equal(login_connect(&target, 300, &result, &err), RC_ERR);
	assert_string_equal(err.sqlstate, "08001");
	assert_non_null(strstr(err.msg, "time is up"));
	assert_in_range(ms() - begun, 290, 2000);
	script_end(&s);

	use_tls(SSLMODE_REQUIRE, NULL, false);
	s = (struct script){"S", 1, 8, false, 1, 0, "", 0};
	begun = ms();
	script_start(&s);
	assert_int_equal(login_connect(&target, 300, &result, &err), RC_ERR);
	assert_string_equal(err.sqlstate, "08001");
	assert_in_range(ms() - begun, 290, 2000);
	script_end(&s);
}

static void
nobody_there(void **state)
{
	char port[8];

	(void)state;
	test_pg_free_port(port);
	target.port = port;
	expect_out("joe", NULL, "08001");
	assert_non_null(strstr(err.msg, "refused"));
	target.host = "/nonexistent/folder";
	expect_out("joe", NULL, "08001");
	target.host =
	    "/a/folder/whose/name/is/so/long/that/no/socket/address/could/ever/hold/it/"
	    "since/there/are/only/a/hundred/bytes";
	expect_out("joe", NULL, "08001");
	target.host = NULL;
	target.hostaddr = "not an address";
	expect_out("joe", NULL, "08001");
	target.hostaddr = "127.0.0.1";
	target.port = "no port";
	expect_out("joe", NULL, "08001");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(plain_methods),
	    TEST(unix_socket),
	    TEST(md5_by_hash),
	    TEST(scram_by_keys_and_known),
	    TEST(tls_with_channel_binding),
	    TEST(client_certificate),
	    TEST(sslmodes_fall_back),
	    TEST(parameters_are_passed),
	    TEST(cancels),
	    TEST(what_comes_behind_ready_stays),
	    TEST(hostile_bytes),
	    TEST(old_servers_are_asked_again),
	    TEST(clear_text_behind_the_yes),
	    TEST(deadlines_hold),
	    TEST(nobody_there),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
