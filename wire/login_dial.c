/* The blocking driver of the login. Sockets are non-blocking all along and poll() keeps
 * the deadline. Bytes are looked at before they are taken (MSG_PEEK, SSL_peek), so that
 * what a server sends behind ReadyForQuery stays in the socket or in the SSL, and nothing
 * falls between the dialer and the worker. */
#include "wire/login.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "base/fault.h"

struct dial {
	const struct login_target *target;
	const struct login_address *address;
	char where[120];
	int64_t deadline_ms;
	int fd;
	SSL *ssl;
	bool again_other_tls; /* sslmode allows a second try with TLS on or off */
	bool final; /* it was the server that said no: other addresses would too */
};

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static enum rc
lost(const struct dial *d, const char *what, int error, struct err *e)
{
	char text[100];

	return err_set(e, "08006", BLAST_SESSION, "connection to %s was lost %s: %s",
	    d->where, what,
	    error == 0 ? "the server closed it" : strerror_r(error, text, sizeof text));
}

static enum rc
no_connection(const struct dial *d, const char *why, struct err *e)
{
	return err_set(
	    e, "08001", BLAST_SESSION, "connection to %s failed: %s", d->where, why);
}

static enum rc
wait_for(const struct dial *d, short events, const char *what, struct err *e)
{
	for (;;) {
		struct pollfd p = {d->fd, events, 0};
		int64_t left = d->deadline_ms - now_ms();
		int n =
		    left <= 0 ? 0 : poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);

		if (n > 0)
			return RC_OK;
		if (n == 0)
			return err_set(e, "08001", BLAST_SESSION,
			    "connection to %s failed: time is up while %s", d->where,
			    what);
		if (errno != EINTR)
			return lost(d, what, errno, e);
	}
}

/* ---- bytes ---- */

static enum rc
send_raw(const struct dial *d, const char *p, size_t n, struct err *e)
{
	while (n > 0) {
		ssize_t sent = send(d->fd, p, n, MSG_NOSIGNAL);

		if (sent > 0) {
			p += sent;
			n -= (size_t)sent;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			if (wait_for(d, POLLOUT, "sending", e) != RC_OK)
				return RC_ERR;
		} else if (errno != EINTR) {
			return lost(d, "while sending", errno, e);
		}
	}
	return RC_OK;
}

/* At least one byte. */
static enum rc
recv_raw(const struct dial *d, void *p, size_t cap, int flags, size_t *n, struct err *e)
{
	for (;;) {
		ssize_t got = recv(d->fd, p, cap, flags);

		if (got > 0) {
			*n = (size_t)got;
			return RC_OK;
		}
		if (got == 0)
			return lost(d, "at login", 0, e);
		if (errno == EAGAIN || errno == EWOULDBLOCK) {
			if (wait_for(d, POLLIN, "waiting for the server", e) != RC_OK)
				return RC_ERR;
		} else if (errno != EINTR) {
			return lost(d, "at login", errno, e);
		}
	}
}

static enum rc
flush_tls(const struct dial *d, struct err *e)
{
	char *p;
	long n = BIO_get_mem_data(SSL_get_wbio(d->ssl), &p);
	enum rc rc = n <= 0 ? RC_OK : send_raw(d, p, (size_t)n, e);

	(void)BIO_reset(SSL_get_wbio(d->ssl));
	return rc;
}

static enum rc
feed_tls(const struct dial *d, struct err *e)
{
	char raw[16384];
	size_t n;

	if (recv_raw(d, raw, sizeof raw, 0, &n, e) != RC_OK)
		return RC_ERR;
	if (BIO_write(SSL_get_rbio(d->ssl), raw, (int)n) != (int)n)
		return err_set(e, "53200", BLAST_SESSION, "out of memory");
	return RC_OK;
}

/* What a call of OpenSSL that did not succeed wants: RC_AGAIN when it can be repeated. */
static enum rc
tls_wants(const struct dial *d, int result, const char *what, struct err *e)
{
	char reason[200];
	enum rc flushed;
	int want = SSL_get_error(d->ssl, result);

	if (want == SSL_ERROR_ZERO_RETURN)
		return lost(d, "at login", 0, e);
	if (want != SSL_ERROR_WANT_READ && want != SSL_ERROR_WANT_WRITE) {
		tls_reason(d->ssl, reason, sizeof reason);
		flushed = flush_tls(d, e); /* the alert: as well as it can */
		(void)flushed;
		return err_set(e, "08001", BLAST_SESSION, "%s with %s failed: %s", what,
		    d->where, reason);
	}
	if (flush_tls(d, e) != RC_OK)
		return RC_ERR;
	if (want == SSL_ERROR_WANT_READ && feed_tls(d, e) != RC_OK)
		return RC_ERR;
	return RC_AGAIN;
}

static enum rc
send_all(const struct dial *d, const char *p, size_t n, struct err *e)
{
	size_t done;

	if (d->ssl == NULL)
		return send_raw(d, p, n, e);
	while (n > 0) {
		int rc;

		ERR_clear_error();
		rc = SSL_write_ex(d->ssl, p, n, &done);
		if (rc == 1) {
			p += done;
			n -= done;
		} else if (tls_wants(d, rc, "TLS", e) != RC_AGAIN) {
			return RC_ERR;
		}
	}
	return flush_tls(d, e);
}

/* At least one byte, which stays where it is until take() is called. */
static enum rc
peek(const struct dial *d, char *p, size_t cap, size_t *n, struct err *e)
{
	int rc;

	if (d->ssl == NULL)
		return recv_raw(d, p, cap, MSG_PEEK, n, e);
	for (;;) {
		ERR_clear_error();
		rc = SSL_peek_ex(d->ssl, p, cap, n);
		if (rc == 1)
			return RC_OK;
		if (tls_wants(d, rc, "TLS", e) != RC_AGAIN)
			return RC_ERR;
	}
}

static enum rc
take(const struct dial *d, char *p, size_t n, struct err *e)
{
	size_t got;

	while (n > 0) {
		if (d->ssl == NULL) {
			if (recv_raw(d, p, n, 0, &got, e) != RC_OK)
				return RC_ERR;
		} else if (SSL_read_ex(d->ssl, p, n, &got) != 1) {
			return lost(d, "at login", EPROTO, e);
		}
		n -= got;
	}
	return RC_OK;
}

/* ---- connecting ---- */

static void
set_option(int fd, int level, int name, int value)
{
	/* Only a wish: a kernel without it is no reason to fail. */
	if (value > 0)
		(void)setsockopt(fd, level, name, &value, sizeof value);
}

static void
tune(const struct dial *d)
{
	const struct login_target *t = d->target;

	if (d->address->any.sa_family == AF_UNIX)
		return;
	set_option(d->fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(d->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(d->fd, IPPROTO_TCP, TCP_KEEPIDLE, t->keepalive_idle_s);
	set_option(d->fd, IPPROTO_TCP, TCP_KEEPINTVL, t->keepalive_interval_s);
	set_option(d->fd, IPPROTO_TCP, TCP_KEEPCNT, t->keepalive_count);
	set_option(d->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, t->user_timeout_ms);
}

static bool
is_local(const struct login_target *t)
{
	return t->hostaddr == NULL && t->host != NULL &&
	    (t->host[0] == '/' || t->host[0] == '@');
}

static enum rc
connect_once(struct dial *d, struct err *e)
{
	char text[100];
	int error = 0;
	socklen_t len = sizeof error;

	while (connect(d->fd, &d->address->any, d->address->len) != 0) {
		if (errno == EISCONN)
			return RC_OK;
		if (errno == EAGAIN) { /* a Unix socket whose queue is full */
			if (now_ms() >= d->deadline_ms)
				return no_connection(d, "its queue is full", e);
			poll(NULL, 0, 10);
		} else if (errno == EINPROGRESS || errno == EALREADY) {
			if (wait_for(d, POLLOUT, "connecting", e) != RC_OK)
				return RC_ERR;
			if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
				error = errno;
			if (error == 0)
				return RC_OK;
			return no_connection(d, strerror_r(error, text, sizeof text), e);
		} else if (errno != EINTR) {
			return no_connection(d, strerror_r(errno, text, sizeof text), e);
		}
	}
	return RC_OK;
}

static enum rc
open_socket(struct dial *d, struct err *e)
{
	char text[100];

	d->fd = socket(
	    d->address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->fd < 0)
		return no_connection(d, strerror_r(errno, text, sizeof text), e);
	tune(d);
	if (FAULT("dial.connect"))
		return no_connection(d, "fault", e);
	return connect_once(d, e);
}

static void
dial_close(struct dial *d)
{
	SSL_free(d->ssl);
	d->ssl = NULL;
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

/* Asks for TLS. RC_OK: the handshake comes next. RC_AGAIN: the server has none. The one
 * byte is read alone, so whatever somebody slipped in behind it meets the handshake, and
 * not the login; what is there already is refused outright. */
static enum rc
ask_for_tls(struct dial *d, struct err *e)
{
	struct msgbuf b;
	char answer, more;
	size_t n;
	enum rc rc;

	msgbuf_init(&b);
	msg_request(&b, PROTO_SSL);
	rc = send_raw(d, b.data, b.len, e);
	msgbuf_fini(&b);
	if (rc != RC_OK || recv_raw(d, &answer, 1, 0, &n, e) != RC_OK)
		return RC_ERR;
	if (answer == 'N')
		return RC_AGAIN;
	/* An 'E' would be a whole error message, but anybody may have written it: its
	 * text is not believed. */
	if (answer != 'S')
		return err_set(e, "08P01", BLAST_SESSION,
		    "%s answered the request for TLS with neither yes nor no", d->where);
	if (recv(d->fd, &more, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
		return err_set(e, "08P01", BLAST_SESSION,
		    "%s sent data in clear text after it had agreed to TLS", d->where);
	return RC_OK;
}

static enum rc
start_tls(struct dial *d, struct err *e)
{
	const struct login_target *t = d->target;
	const char *host = t->host != NULL && t->host[0] != '\0' ? t->host : t->hostaddr;

	if (tls_client_new(t->tls, t->sslmode, host, &d->ssl, e) != RC_OK)
		return RC_ERR;
	for (;;) {
		int rc;

		ERR_clear_error();
		rc = SSL_do_handshake(d->ssl);
		if (rc == 1)
			return flush_tls(d, e);
		if (tls_wants(d, rc, "TLS handshake", e) != RC_AGAIN)
			return RC_ERR;
	}
}

/* Connected, and with TLS if it is to be. `must`: nothing but TLS will do. */
static enum rc
open_connection(struct dial *d, bool tls, bool must, struct err *e)
{
	enum rc rc = open_socket(d, e);

	if (rc != RC_OK || !tls)
		return rc;
	rc = ask_for_tls(d, e);
	if (rc == RC_OK)
		rc = start_tls(d, e);
	if (rc == RC_AGAIN && must)
		return no_connection(
		    d, "the server does not do TLS, but TLS is required", e);
	if (rc == RC_ERR)
		d->again_other_tls = !must;
	return rc == RC_AGAIN ? RC_OK : rc;
}

/* ---- login ---- */

/* One message, as its bytes come; *used is how many of the peeked ones belong to it. */
static enum rc
next_message(const struct dial *d, struct reader *r, char *buf, size_t cap,
    struct read_msg *m, size_t *used, struct err *e)
{
	for (;;) {
		enum read_kind k;
		size_t n;

		if (peek(d, buf, cap, &n, e) != RC_OK)
			return RC_ERR;
		reader_feed(r, buf, n);
		k = reader_next(r, LOGIN_BYTES_MAX, m);
		if (k == READ_MSG) {
			*used = n - r->chunk_len;
			return RC_OK;
		}
		if (k != READ_MORE)
			return err_set(e, "08P01", BLAST_SESSION,
			    "%s sent a message of impossible length at login", d->where);
		/* all of it was copied as part of a message */
		if (take(d, buf, n, e) != RC_OK)
			return RC_ERR;
	}
}

static enum rc
run_login(const struct dial *d, struct login *l, struct err *e)
{
	struct reader r;
	struct read_msg m;
	char buf[8192], gone[8192];
	size_t used = 0;
	enum rc rc = RC_AGAIN;

	reader_init(&r, NULL);
	while (rc == RC_AGAIN) {
		if (l->out.len > 0) {
			rc = send_all(d, l->out.data, l->out.len, e);
			login_sent(l);
			if (rc != RC_OK)
				break;
		}
		rc = next_message(d, &r, buf, sizeof buf, &m, &used, e);
		if (rc == RC_OK)
			rc = login_step(l, &m, e);
		if (rc != RC_ERR && take(d, gone, used, e) != RC_OK)
			rc = RC_ERR;
	}
	OPENSSL_cleanse(buf, sizeof buf);
	OPENSSL_cleanse(gone, sizeof gone);
	reader_fini(&r);
	return rc;
}

static void
hand_over(struct dial *d, struct login *l, struct login_result *out)
{
	memset(out, 0, sizeof *out);
	out->fd = d->fd;
	out->ssl = d->ssl;
	d->fd = -1;
	d->ssl = NULL;
	out->address = *d->address;
	snprintf(out->address_text, sizeof out->address_text, "%s", d->where);
	out->proto = l->proto;
	out->pid = l->pid;
	out->key_len = l->key_len;
	memcpy(out->key, l->key, l->key_len);
	out->arena = l->arena;
	arena_init(&l->arena);
	out->params = l->params;
	out->n_params = l->n_params;
	out->notices = l->notices;
}

/* One connection from socket to ReadyForQuery. *old: the server may only know
 * protocol 3.0. */
static enum rc
try_login(struct dial *d, const struct login_ask *ask, bool tls, bool must, bool *old,
    struct login_result *out, struct err *e)
{
	unsigned char cbind[TLS_END_POINT_MAX];
	struct login l;
	size_t n = 0;
	enum rc rc = open_connection(d, tls, must, e);
	uint32_t asked = ask->proto != 0 ? ask->proto : PROTO_3_2;

	if (rc != RC_OK)
		return rc;
	if (d->ssl != NULL)
		n = tls_end_point_peer(d->ssl, cbind);
	rc = login_init(&l, ask, d->ssl != NULL, is_local(d->target),
	    (struct slice){(const char *)cbind, n}, e);
	if (rc == RC_OK)
		rc = run_login(d, &l, e);
	if (rc == RC_OK)
		hand_over(d, &l, out);
	else if (l.server_error) {
		bool early = l.bytes < 4096 && l.n_params == 0;

		*old = early && asked > PROTO_3_0 && !l.negotiated &&
		    (strcmp(e->sqlstate, "0A000") == 0 ||
			strcmp(e->sqlstate, "08P01") == 0);
		/* "no pg_hba.conf entry … no encryption" */
		d->again_other_tls = early && strcmp(e->sqlstate, "28000") == 0 &&
		    (tls ? d->ssl != NULL && !must : d->target->sslmode == SSLMODE_ALLOW);
		d->final = true;
	}
	login_fini(&l);
	return rc;
}

static enum rc
try_versions(struct dial *d, bool tls, bool must, struct login_result *out, struct err *e)
{
	struct login_ask ask = d->target->ask;
	bool old = false;
	enum rc rc = try_login(d, &ask, tls, must, &old, out, e);

	if (rc == RC_OK || !old)
		return rc;
	dial_close(d);
	ask.proto = PROTO_3_0;
	return try_login(d, &ask, tls, must, &old, out, e);
}

/* With TLS and without, in the order that sslmode wants. Of two failures the first is
 * told. */
static enum rc
try_address(struct dial *d, struct login_result *out, struct err *e)
{
	enum sslmode mode = is_local(d->target) ? SSLMODE_DISABLE : d->target->sslmode;
	bool tls = mode >= SSLMODE_PREFER, must = mode >= SSLMODE_REQUIRE;
	struct err second;
	enum rc rc;

	if (d->target->tls == NULL && mode != SSLMODE_DISABLE)
		return err_set(
		    e, "F0000", BLAST_SESSION, "TLS is not set up for this server");
	rc = try_versions(d, tls, must, out, e);
	if (rc == RC_ERR && d->again_other_tls && mode != SSLMODE_DISABLE) {
		dial_close(d);
		/* The second try of `allow` is for TLS only: without it has been tried.
		 */
		rc = try_versions(d, !tls, mode == SSLMODE_ALLOW, out, &second);
	}
	if (rc == RC_ERR)
		dial_close(d);
	return rc;
}

/* ---- addresses ---- */

static enum rc
local_address(const struct login_target *t, struct login_address *a, struct err *e)
{
	int n = snprintf(
	    a->un.sun_path, sizeof a->un.sun_path, "%s/.s.PGSQL.%s", t->host, t->port);

	if (n < 0 || (size_t)n >= sizeof a->un.sun_path)
		return err_set(e, "08001", BLAST_SESSION,
		    "path of the Unix socket in \"%.100s\" is too long", t->host);
	a->un.sun_family = AF_UNIX;
	a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n);
	if (t->host[0] == '@')
		a->un.sun_path[0] = '\0'; /* Linux's abstract names */
	else
		a->len++;
	return RC_OK;
}

static void
address_text(
    const struct login_target *t, const struct login_address *a, char *out, size_t size)
{
	char host[64] = "?", port[16] = "?";

	if (a->any.sa_family == AF_UNIX) {
		snprintf(out, size, "unix:%.90s/.s.PGSQL.%.6s", t->host, t->port);
		return;
	}
	(void)getnameinfo(&a->any, a->len, host, sizeof host, port, sizeof port,
	    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(
	    out, size, a->any.sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

enum rc
login_look_up(const struct login_target *t,
    struct login_address list[LOGIN_ADDRESSES_MAX], int *n, struct err *e)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM},
			*found;
	bool numeric = t->hostaddr != NULL && t->hostaddr[0] != '\0';
	const char *host = numeric ? t->hostaddr : t->host;
	int rc;

	memset(list, 0, sizeof *list * LOGIN_ADDRESSES_MAX);
	*n = 0;
	if (is_local(t)) {
		*n = 1;
		return local_address(t, list, e);
	}
	hints.ai_flags = AI_NUMERICSERV | (numeric ? AI_NUMERICHOST : 0);
	rc = getaddrinfo(host, t->port, &hints, &found);
	if (rc != 0)
		return err_set(e, "08001", BLAST_SESSION,
		    "could not translate host name \"%.100s\" to address: %s",
		    host == NULL ? "" : host, gai_strerror(rc));
	for (struct addrinfo *a = found; a != NULL && *n < LOGIN_ADDRESSES_MAX;
	     a = a->ai_next) {
		if (a->ai_addrlen > sizeof list->in6)
			continue;
		memcpy(&list[*n].any, a->ai_addr, a->ai_addrlen);
		list[(*n)++].len = a->ai_addrlen;
	}
	freeaddrinfo(found);
	return *n > 0
	    ? RC_OK
	    : err_set(e, "08001", BLAST_SESSION, "host \"%.100s\" has no address", host);
}

static void
dial_init(struct dial *d, const struct login_target *t, const struct login_address *a)
{
	memset(d, 0, sizeof *d);
	d->fd = -1;
	d->target = t;
	d->address = a;
	address_text(t, a, d->where, sizeof d->where);
}

enum rc
login_connect(const struct login_target *t, int deadline_ms, struct login_result *out,
    struct err *e)
{
	int64_t deadline = now_ms() + deadline_ms;
	struct login_address list[LOGIN_ADDRESSES_MAX];
	int n;

	memset(out, 0, sizeof *out);
	out->fd = -1;
	arena_init(&out->arena);
	if (login_look_up(t, list, &n, e) != RC_OK)
		return RC_ERR;
	for (int i = 0; i < n; i++) {
		struct dial d;
		int64_t now = now_ms();

		dial_init(&d, t, &list[i]);
		/* An address that swallows everything must leave time for the others. */
		d.deadline_ms = now + (deadline - now) / (n - i);
		if (try_address(&d, out, e) == RC_OK)
			return RC_OK;
		if (d.final)
			break;
	}
	return RC_ERR;
}

void
login_result_fini(struct login_result *r)
{
	SSL_free(r->ssl);
	r->ssl = NULL;
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	arena_reset(&r->arena);
	r->params = NULL;
	r->n_params = 0;
	OPENSSL_cleanse(r->key, sizeof r->key);
	r->key_len = 0;
}

/* ---- cancel ---- */

/* The server closes once it has sent the signal; only then may the connection that was
 * meant be used for other work. */
static enum rc
await_close(const struct dial *d, struct err *e)
{
	char gone[512];

	for (;;) {
		ssize_t n = recv(d->fd, gone, sizeof gone, 0);

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return RC_OK;
		if (n > 0 || errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return lost(d, "at cancel", errno, e);
		if (wait_for(d, POLLIN, "waiting for the end of a cancel request", e) !=
		    RC_OK)
			return RC_ERR;
	}
}

enum rc
login_cancel(const struct login_target *t, const struct login_address *a, bool tls,
    uint32_t pid, struct slice key, int deadline_ms, struct err *e)
{
	struct dial d;
	struct msgbuf b;
	enum rc rc;

	if (tls && t->tls == NULL)
		return err_set(
		    e, "F0000", BLAST_SESSION, "TLS is not set up for this server");
	dial_init(&d, t, a);
	d.deadline_ms = now_ms() + deadline_ms;
	rc = open_connection(&d, tls, tls, e);
	if (rc == RC_OK) {
		msgbuf_init(&b);
		msg_cancel(&b, pid, key);
		rc = send_all(&d, b.data, b.len, e);
		OPENSSL_cleanse(b.data, b.len);
		msgbuf_fini(&b);
	}
	if (rc == RC_OK)
		rc = await_close(&d, e);
	dial_close(&d);
	return rc;
}
