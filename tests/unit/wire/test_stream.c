/* Streams on both event loops, plain and TLS, against an OpenSSL peer that sits in a
 * thread of its own on a blocking socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "tests/unit/wire/certs.h"
#include "wire/stream.h"
#include "wire/tls.h"

static char dir[64];
static struct test_cert ca, cert, client_cert;
static SSL_CTX *server_ctx, *client_ctx;
static struct err err;
static enum loop_kind kind;

static int
group_setup(void **state)
{
	struct tls_client_conf conf = {SSLMODE_VERIFY_FULL, NULL, NULL, NULL};

	(void)state;
	strcpy(dir, "/tmp/weir-stream-XXXXXX");
	if (mkdtemp(dir) == NULL)
		abort();
	test_cert_make(&ca, dir, "ca", "test authority", NULL, EVP_sha256(), NULL);
	test_cert_make(
	    &cert, dir, "server", "localhost", "DNS:localhost", EVP_sha256(), &ca);
	test_cert_make(&client_cert, dir, "client", "joe", NULL, EVP_sha256(), &ca);
	conf.ca = ca.cert_file;
	conf.cert = client_cert.cert_file;
	conf.key = client_cert.key_file;
	if (tls_server_create(cert.cert_file, cert.key_file, ca.cert_file, false,
		&server_ctx, &err) != RC_OK ||
	    tls_client_create(&conf, &client_ctx, &err) != RC_OK)
		fail_msg("%s", err.msg);
	return 0;
}

static int
group_teardown(void **state)
{
	char command[100];

	(void)state;
	SSL_CTX_free(server_ctx);
	SSL_CTX_free(client_ctx);
	test_cert_free(&ca);
	test_cert_free(&cert);
	test_cert_free(&client_cert);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

/* ---- the owner of a stream: sends everything back ---- */

struct echo {
	struct stream stream;
	struct loop *loop;
	uint64_t received;
	int ended, secured, closed, error;
	bool close_at_secured, close_at_received, detach_at_received;
	bool no_echo;
	char tls_error[200];
	SSL *ssl; /* after a detach */
	int fd;
	struct msgless {
		char first[64];
		size_t n;
	} seen;
};

#define HIGH (256 * 1024)

static struct echo *
echo_of(struct stream *s)
{
	return LIST_ENTRY(s, struct echo, stream);
}

static void
on_received(struct stream *s, struct buf *b, uint32_t off, uint32_t len)
{
	struct echo *e = echo_of(s);
	size_t room = sizeof e->seen.first - e->seen.n, n = len < room ? len : room;

	assert_int_equal(e->ended, 0);
	assert_int_equal(e->closed, 0);
	memcpy(e->seen.first + e->seen.n, b->data + off, n);
	e->seen.n += n;
	e->received += len;
	if (e->close_at_received) {
		stream_close(s, 1000);
		e->close_at_received = false;
		return;
	}
	if (e->detach_at_received) {
		if (e->received == len) { /* more may come after it */
			stream_read_stop(s);
			stream_detach(s);
		}
		return;
	}
	if (!e->no_echo)
		stream_write_buf(s, b, off, len);
	if (stream_queued(s) > HIGH)
		stream_read_stop(s);
}

static void
on_drained(struct stream *s)
{
	stream_read_start(s);
}

static void
on_ended(struct stream *s, int error)
{
	struct echo *e = echo_of(s);

	assert_int_equal(e->ended++, 0);
	e->error = error;
	snprintf(e->tls_error, sizeof e->tls_error, "%s", stream_tls_error(s));
	stream_close(s, 1000);
}

static void
on_closed(struct stream *s)
{
	struct echo *e = echo_of(s);

	assert_int_equal(e->closed++, 0);
	if (e->detach_at_received) {
		e->ssl = stream_ssl(s);
		e->fd = s->io.fd;
	}
	loop_stop(e->loop);
}

static void
on_secured(struct stream *s)
{
	struct echo *e = echo_of(s);

	e->secured++;
	if (e->close_at_secured)
		stream_close(s, 1000);
}

static const struct stream_ops echo_ops = {
    on_received, on_drained, on_ended, on_closed, on_secured};

static void
echo_open(struct echo *e, int fd, SSL *ssl)
{
	stream_open(&e->stream, e->loop, fd, &echo_ops, ssl);
	e->stream.io.low_water = HIGH / 2;
	stream_read_start(&e->stream);
}

/* ---- the peer ---- */

struct peer {
	int fd;
	pthread_t thread;
	void (*run)(struct peer *);
	bool is_server;
	size_t total;
	size_t raw_piece; /* raw bytes are sent in pieces of so many; 0: as they come */
	bool no_notify;
	const char *raw;
	bool ok;
	char got[200];
	size_t n_got;
};

static void *
peer_main(void *arg)
{
	struct peer *p = arg;

	p->run(p);
	close(p->fd);
	return NULL;
}

static void
send_slowly(int fd, const char *p, size_t n, size_t piece)
{
	while (n > 0) {
		size_t k = piece == 0 || piece > n ? n : piece;
		ssize_t sent = send(fd, p, k, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		p += sent;
		n -= (size_t)sent;
		if (piece > 0)
			usleep(20);
	}
}

static void
peer_flush(struct peer *p, SSL *ssl)
{
	char *at;
	long n = BIO_get_mem_data(SSL_get_wbio(ssl), &at);

	if (n > 0)
		send_slowly(p->fd, at, (size_t)n, p->raw_piece);
	(void)BIO_reset(SSL_get_wbio(ssl));
}

static bool
peer_feed(struct peer *p, SSL *ssl)
{
	char raw[32768];
	ssize_t n = recv(p->fd, raw, sizeof raw, 0);

	return n > 0 && BIO_write(SSL_get_rbio(ssl), raw, (int)n) == n;
}

static SSL *
peer_ssl(struct peer *p)
{
	struct err e;
	SSL *ssl = NULL;

	if (p->is_server ? tls_server_new(server_ctx, &ssl, &e) != RC_OK
			 : tls_client_new(client_ctx, SSLMODE_VERIFY_FULL, "localhost",
			       &ssl, &e) != RC_OK)
		return NULL;
	for (;;) {
		int rc = SSL_do_handshake(ssl);
		bool want = rc != 1 && SSL_get_error(ssl, rc) == SSL_ERROR_WANT_READ;

		peer_flush(p, ssl);
		if (rc == 1)
			return ssl;
		if (!want || !peer_feed(p, ssl)) {
			ERR_clear_error();
			SSL_free(ssl);
			return NULL;
		}
	}
}

/* Byte i of the stream. */
static unsigned char
pattern(size_t i)
{
	return (unsigned char)(i * 131 + (i >> 8) * 7 + (i >> 16));
}

struct half {
	struct peer *p;
	SSL *ssl;
	pthread_mutex_t *lock;
};

static void *
write_half(void *arg)
{
	struct half *h = arg;
	unsigned char chunk[16000]; /* one record: SSL_write() may stop behind it */

	for (size_t at = 0; at < h->p->total;) {
		size_t n =
		    h->p->total - at < sizeof chunk ? h->p->total - at : sizeof chunk;
		char *raw, *copy;
		long len;

		for (size_t i = 0; i < n; i++)
			chunk[i] = pattern(at + i);
		pthread_mutex_lock(h->lock);
		SSL_write(h->ssl, chunk, (int)n);
		len = BIO_get_mem_data(SSL_get_wbio(h->ssl), &raw);
		copy = malloc((size_t)len + 1);
		memcpy(copy, raw, (size_t)len);
		(void)BIO_reset(SSL_get_wbio(h->ssl));
		pthread_mutex_unlock(h->lock);
		send_slowly(h->p->fd, copy, (size_t)len, h->p->raw_piece);
		free(copy);
		at += n;
	}
	return NULL;
}

static bool
read_half(struct peer *p, SSL *ssl, pthread_mutex_t *lock)
{
	unsigned char in[16384];
	size_t at = 0;
	char raw[32768];

	while (at < p->total) {
		ssize_t r = recv(p->fd, raw, sizeof raw, 0);
		int n;

		if (r <= 0)
			return false;
		pthread_mutex_lock(lock);
		BIO_write(SSL_get_rbio(ssl), raw, (int)r);
		while ((n = SSL_read(ssl, in, sizeof in)) > 0)
			for (int i = 0; i < n; i++)
				if (in[i] != pattern(at++)) {
					pthread_mutex_unlock(lock);
					return false;
				}
		pthread_mutex_unlock(lock);
	}
	return true;
}

/* Sends `total` bytes and reads them back, both at the same time. */
static void
run_tls_echo(struct peer *p)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	SSL *ssl = peer_ssl(p);
	struct half h = {p, ssl, &lock};
	pthread_t writer;

	if (ssl == NULL)
		return;
	pthread_create(&writer, NULL, write_half, &h);
	p->ok = read_half(p, ssl, &lock);
	if (!p->ok)
		shutdown(p->fd, SHUT_RDWR);
	pthread_join(writer, NULL);
	if (!p->no_notify) {
		SSL_shutdown(ssl);
		peer_flush(p, ssl);
		/* its answer, then its end */
		while (peer_feed(p, ssl))
			;
	}
	SSL_free(ssl);
}

static void
run_plain_echo(struct peer *p)
{
	char out[5000], in[5000];
	size_t at = 0;

	p->ok = true;
	for (size_t left = p->total; left > 0;) {
		size_t n = left < sizeof out ? left : sizeof out;

		for (size_t i = 0; i < n; i++)
			out[i] = (char)pattern(at++);
		send_slowly(p->fd, out, n, 0);
		if (recv(p->fd, in, n, MSG_WAITALL) != (ssize_t)n ||
		    memcmp(in, out, n) != 0)
			p->ok = false;
		left -= n;
	}
	shutdown(p->fd, SHUT_WR);
	p->ok = p->ok && recv(p->fd, in, sizeof in, 0) == 0;
}

/* Sends raw bytes instead of a handshake; keeps what comes back. */
static void
run_raw(struct peer *p)
{
	ssize_t n;

	send_slowly(p->fd, p->raw, p->total, 0);
	if (p->no_notify)
		shutdown(p->fd, SHUT_WR);
	while ((n = recv(p->fd, p->got + p->n_got, sizeof p->got - p->n_got, 0)) > 0)
		p->n_got += (size_t)n;
}

static void
pair(struct peer *p, int *fd)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	p->fd = fds[0];
	*fd = fds[1];
}

static void
peer_start(struct peer *p)
{
	assert_int_equal(pthread_create(&p->thread, NULL, peer_main, p), 0);
}

static void
loop_up(struct echo *e)
{
	if (loop_create(&e->loop, kind, &err) != RC_OK)
		fail_msg("%s", err.msg);
}

/* Our side is the TLS server, from the first byte on. */
static void
serve(struct echo *e, struct peer *p, const char *early, size_t n)
{
	SSL *ssl;
	int fd;

	pair(p, &fd);
	loop_up(e);
	echo_open(e, fd, NULL);
	assert_false(stream_is_tls(&e->stream));
	assert_int_equal(tls_server_new(server_ctx, &ssl, &err), RC_OK);
	stream_tls_accept(&e->stream, ssl, early, n);
	assert_true(stream_is_tls(&e->stream));
	assert_ptr_equal(stream_ssl(&e->stream), ssl);
	peer_start(p);
	loop_run(e->loop);
	pthread_join(p->thread, NULL);
	assert_int_equal(e->closed, 1);
	loop_destroy(e->loop);
}

/* ---- tests ---- */

static void
plain_echo(void **state)
{
	struct echo e = {0};
	struct peer p = {.run = run_plain_echo, .total = 1000000};
	int fd;

	(void)state;
	pair(&p, &fd);
	loop_up(&e);
	echo_open(&e, fd, NULL);
	peer_start(&p);
	loop_run(e.loop);
	pthread_join(p.thread, NULL);
	assert_true(p.ok);
	assert_int_equal(e.ended, 1);
	assert_int_equal(e.error, 0);
	assert_int_equal(e.received, 1000000);
	assert_null(stream_ssl(&e.stream));
	assert_string_equal(stream_tls_error(&e.stream), "");
	loop_destroy(e.loop);
}

static void
server_16_mb(void **state)
{
	struct echo e = {0};
	struct peer p = {.run = run_tls_echo, .total = 16 << 20};

	(void)state;
	serve(&e, &p, NULL, 0);
	assert_true(p.ok);
	assert_int_equal(e.secured, 1);
	assert_int_equal(e.received, 16 << 20);
	assert_int_equal(e.ended, 1);
	assert_int_equal(e.error, 0);
}

static void
tiny_fragments(void **state)
{
	struct echo e = {0};
	struct peer p = {.run = run_tls_echo, .total = 3000, .raw_piece = 1};

	(void)state;
	serve(&e, &p, NULL, 0);
	assert_true(p.ok);
	assert_int_equal(e.received, 3000);
}

static void
end_without_notify(void **state)
{
	struct echo e = {0};
	struct peer p = {.run = run_tls_echo, .total = 100, .no_notify = true};

	(void)state;
	serve(&e, &p, NULL, 0);
	assert_true(p.ok);
	assert_int_equal(e.ended, 1);
	assert_true(e.error == 0 || e.error == ECONNRESET);
}

static void
garbage_instead_of_a_handshake(void **state)
{
	static const char *const raw[] = {"GET / HTTP/1.1\r\n\r\n",
	    "\0\0\0\10\4\322\26\57", "Q\0\0\0\15SELECT 1\0", "\26\3\1\377\377garbage",
	    "\26\3\1\0\5\1\0\0\1\0"};
	static const size_t n[] = {18, 8, 14, 12, 10};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct echo e = {0};
		struct peer p = {.run = run_raw, .raw = raw[i], .total = n[i]};

		p.no_notify = i == 3; /* waits for more than will come */
		serve(&e, &p, NULL, 0);
		assert_int_equal(e.secured, 0);
		assert_int_equal(e.received, 0);
		assert_int_equal(e.ended, 1);
		assert_true(e.error == EPROTO || (i == 3 && e.error == 0));
		assert_true(e.tls_error[0] != '\0');
	}
}

static void
gone_in_the_handshake(void **state)
{
	struct echo e = {0};
	struct peer p = {.run = run_raw, .raw = "\26\3\1", .total = 3, .no_notify = true};

	(void)state;
	serve(&e, &p, NULL, 0);
	assert_int_equal(e.ended, 1);
	assert_int_equal(e.error, 0);
	assert_string_equal(e.tls_error, "the peer went away in the handshake");
}

static void
closed_from_callbacks(void **state)
{
	struct echo a = {.close_at_secured = true}, b = {.close_at_received = true};
	struct peer p = {.run = run_tls_echo, .total = 100000}, q = p;

	(void)state;
	serve(&a, &p, NULL, 0);
	assert_int_equal(a.ended, 0);
	assert_int_equal(a.received, 0);
	assert_int_equal(a.secured, 1);
	serve(&b, &q, NULL, 0);
	assert_int_equal(b.ended, 0);
	assert_true(b.received > 0);
}

/* Direct TLS: the ClientHello was read by the owner, who saw its first byte and handed it
 * on. */
static void
early_bytes_are_the_handshake(void **state)
{
	struct echo e = {0};
	struct peer p = {.run = run_tls_echo, .total = 5000};
	struct err e2;
	char hello[4000];
	SSL *ssl;
	ssize_t n;
	int fd;

	(void)state;
	pair(&p, &fd);
	peer_start(&p);
	usleep(50000);
	n = recv(fd, hello, sizeof hello, 0);
	assert_true(n > 100);
	assert_int_equal(hello[0], 0x16);
	loop_up(&e);
	echo_open(&e, fd, NULL);
	assert_int_equal(tls_server_new(server_ctx, &ssl, &e2), RC_OK);
	stream_tls_accept(&e.stream, ssl, hello, (size_t)n);
	loop_run(e.loop);
	pthread_join(p.thread, NULL);
	assert_true(p.ok);
	assert_int_equal(e.secured, 1);
	assert_int_equal(e.received, 5000);
	loop_destroy(e.loop);
}

/* As the dialer does: a handshake on the blocking socket, then the SSL goes to a stream.
 */
static SSL *
shake_hands(int fd, bool server)
{
	struct peer me = {.fd = fd, .is_server = server};
	SSL *ssl;

	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	ssl = peer_ssl(&me);
	assert_non_null(ssl);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return ssl;
}

static void
client_16_mb(void **state)
{
	struct echo e = {0};
	struct peer p = {.run = run_tls_echo, .is_server = true, .total = 16 << 20};
	int fd;

	(void)state;
	pair(&p, &fd);
	peer_start(&p);
	loop_up(&e);
	echo_open(&e, fd, shake_hands(fd, false));
	loop_run(e.loop);
	pthread_join(p.thread, NULL);
	assert_true(p.ok);
	assert_int_equal(e.received, 16 << 20);
	assert_int_equal(e.error, 0);
	loop_destroy(e.loop);
}

/* Bytes that lie in the SSL and in its BIO when the stream takes it over, and a detached
 * stream going on elsewhere. */
static void
nothing_is_lost_on_the_way(void **state)
{
	struct echo a = {.detach_at_received = true}, b = {0};
	struct peer p = {.run = run_tls_echo, .is_server = true, .total = 60000};
	char raw[65536], first[10];
	SSL *ssl;
	ssize_t n;
	int fd;

	(void)state;
	pair(&p, &fd);
	peer_start(&p);
	ssl = shake_hands(fd, false);
	usleep(50000);
	n = recv(fd, raw, sizeof raw, 0);
	assert_true(n > 20000);
	assert_int_equal(BIO_write(SSL_get_rbio(ssl), raw, (int)n), n);
	assert_int_equal(
	    SSL_peek(ssl, first, 10), 10); /* a record is decrypted, and not taken */
	assert_int_equal((unsigned char)first[9], pattern(9));

	loop_up(&a);
	echo_open(&a, fd, ssl);
	loop_run(a.loop);
	assert_int_equal(a.closed, 1);
	assert_true(a.received > 0);
	assert_ptr_equal(a.ssl, ssl);
	assert_memory_equal(a.seen.first, first, 10);
	loop_destroy(a.loop);

	/* what the first one took is sent back by the second */
	loop_up(&b);
	echo_open(&b, a.fd, a.ssl);
	for (size_t i = 0; i < a.received; i++) {
		unsigned char c = pattern(i);

		stream_write(&b.stream, &c, 1);
	}
	loop_run(b.loop);
	pthread_join(p.thread, NULL);
	assert_true(p.ok);
	assert_int_equal(a.received + b.received, 60000);
	loop_destroy(b.loop);
}

static void
detach_before_reading(void **state)
{
	struct echo a = {.detach_at_received = true}, b = {0};
	struct peer p = {.run = run_tls_echo, .is_server = true, .total = 1000};
	char raw[4096];
	SSL *ssl;
	ssize_t n;
	int fd;

	(void)state;
	pair(&p, &fd);
	peer_start(&p);
	ssl = shake_hands(fd, false);
	usleep(50000);
	n = recv(fd, raw, sizeof raw, 0);
	assert_true(n > 1000);
	BIO_write(SSL_get_rbio(ssl), raw, (int)n);
	loop_up(&a);
	stream_open(&a.stream, a.loop, fd, &echo_ops, ssl);
	stream_detach(&a.stream);
	loop_run(a.loop);
	assert_int_equal(a.received, 0);
	loop_destroy(a.loop);
	loop_up(&b);
	echo_open(&b, a.fd, a.ssl);
	loop_run(b.loop);
	pthread_join(p.thread, NULL);
	assert_true(p.ok);
	assert_int_equal(b.received, 1000);
	loop_destroy(b.loop);
}

/* ---- what tls.h says about a connection ---- */

static void
both_ends_agree(SSL *s, SSL *c)
{
	unsigned char own[TLS_END_POINT_MAX], peer[TLS_END_POINT_MAX];
	char name[64];

	assert_int_equal(tls_end_point_own(s, own), 32);
	assert_int_equal(tls_end_point_peer(c, peer), 32);
	assert_memory_equal(own, peer, 32);
	assert_true(tls_peer_cn(s, name, sizeof name));
	assert_string_equal(name, "joe");
	assert_false(tls_peer_cn(s, name, 3));
	assert_true(tls_has_alpn(s));
	assert_true(SSL_version(s) >= TLS1_2_VERSION);
}

static void
bindings_names_and_alpn(void **state)
{
	struct peer p = {.is_server = true};
	SSL *s, *c;
	char raw[16384];

	(void)state;
	assert_int_equal(tls_server_new(server_ctx, &s, &err), RC_OK);
	assert_int_equal(
	    tls_client_new(client_ctx, SSLMODE_VERIFY_FULL, "localhost", &c, &err),
	    RC_OK);
	for (int i = 0; i < 10; i++) {
		SSL *from = i % 2 == 0 ? c : s, *to = i % 2 == 0 ? s : c;
		int n;

		(void)SSL_do_handshake(from);
		n = BIO_read(SSL_get_wbio(from), raw, sizeof raw);
		if (n > 0)
			BIO_write(SSL_get_rbio(to), raw, n);
	}
	assert_true(SSL_is_init_finished(s) && SSL_is_init_finished(c));
	both_ends_agree(s, c);
	SSL_free(s);
	SSL_free(c);
	(void)p;
}

static void
tls_files_that_are_wrong(void **state)
{
	struct tls_client_conf conf = {SSLMODE_VERIFY_CA, NULL, NULL, NULL};
	enum sslmode mode;
	SSL_CTX *ctx;
	SSL *ssl;

	(void)state;
	assert_int_equal(
	    tls_server_create("/nonexistent", cert.key_file, NULL, false, &ctx, &err),
	    RC_ERR);
	assert_string_equal(err.sqlstate, "F0000");
	assert_null(ctx);
	assert_int_equal(
	    tls_server_create(cert.cert_file, ca.key_file, NULL, false, &ctx, &err),
	    RC_ERR);
	assert_int_equal(
	    tls_server_create(cert.cert_file, cert.cert_file, NULL, false, &ctx, &err),
	    RC_ERR);
	assert_int_equal(tls_server_create(cert.cert_file, cert.key_file, "/nonexistent",
			     true, &ctx, &err),
	    RC_ERR);
	assert_int_equal(tls_client_create(&conf, &ctx, &err), RC_ERR);
	conf.ca = cert.key_file;
	assert_int_equal(tls_client_create(&conf, &ctx, &err), RC_ERR);
	assert_int_equal(
	    tls_client_new(client_ctx, SSLMODE_VERIFY_FULL, "", &ssl, &err), RC_ERR);
	assert_int_equal(sslmode_parse("verify-full", &mode, &err), RC_OK);
	assert_int_equal(mode, SSLMODE_VERIFY_FULL);
	assert_int_equal(sslmode_parse("off", &mode, &err), RC_OK);
	assert_int_equal(mode, SSLMODE_DISABLE);
	assert_int_equal(sslmode_parse("Require", &mode, &err), RC_ERR);
	assert_int_equal(ERR_peek_error(), 0);
}

#define TESTS                                                                 \
	cmocka_unit_test(plain_echo), cmocka_unit_test(server_16_mb),         \
	    cmocka_unit_test(client_16_mb), cmocka_unit_test(tiny_fragments), \
	    cmocka_unit_test(end_without_notify),                             \
	    cmocka_unit_test(garbage_instead_of_a_handshake),                 \
	    cmocka_unit_test(gone_in_the_handshake),                          \
	    cmocka_unit_test(closed_from_callbacks),                          \
	    cmocka_unit_test(early_bytes_are_the_handshake),                  \
	    cmocka_unit_test(nothing_is_lost_on_the_way),                     \
	    cmocka_unit_test(detach_before_reading)

int
main(void)
{
	const struct CMUnitTest with_loop[] = {TESTS};
	const struct CMUnitTest without[] = {cmocka_unit_test(bindings_names_and_alpn),
	    cmocka_unit_test(tls_files_that_are_wrong)};
	struct loop *probe;
	int failures;

	kind = LOOP_EPOLL;
	failures =
	    cmocka_run_group_tests_name("epoll", with_loop, group_setup, group_teardown);
	failures +=
	    cmocka_run_group_tests_name("tls", without, group_setup, group_teardown);
	kind = LOOP_URING;
	if (loop_create(&probe, kind, &err) == RC_OK) {
		loop_destroy(probe);
		failures += cmocka_run_group_tests_name(
		    "io_uring", with_loop, group_setup, group_teardown);
	}
	return failures;
}
