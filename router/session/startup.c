/* A connection's beginning: TLS and the start-up packet; authentication (auth.c) and the rest (login.c) follow. Bytes are collected here, since
 * they come from strangers: a packet at most STARTUP_PACKET_MAX, a password message at most PASSWORD_MAX, nothing beyond. */
#include "router/session/login.h"

#include <stdlib.h>

#include "wire/tls.h"

#define PASSWORD_MAX 65536

/* ---- TLS ---- */

static SSL_CTX *
tls_context(struct session *s)
{
	return s->unix_socket ? NULL : atomic_load(&s->w->proc->tls);
}

static void
begin_tls(struct session *s, const char *early, size_t len)
{
	struct client_login *l = s->login;
	struct err e;
	SSL *ssl;

	if (tls_server_new(tls_context(s), &ssl, &e) != RC_OK) {
		session_fatal(s, &e);
		return;
	}
	l->handshake = true;
	stream_tls_accept(&s->stream, ssl, early, len);
}

static void
protocol_fatal(struct session *s, const char *text)
{
	struct err e;

	(void)err_set(&e, "08P01", BLAST_SESSION, "%s", text);
	session_fatal(s, &e);
}

static void
ssl_request(struct session *s, size_t behind)
{
	struct client_login *l = s->login;
	bool offer = tls_context(s) != NULL && !stream_is_tls(&s->stream);

	if (l->ssl_asked || stream_is_tls(&s->stream)) {
		protocol_fatal(s, "SSLRequest came twice");
		return;
	}
	l->ssl_asked = true;
	stream_write(&s->stream, offer ? "S" : "N", 1);
	if (behind > 0) {
		protocol_fatal(s, "received unencrypted data after SSL request");
		return;
	}
	if (offer)
		begin_tls(s, NULL, 0);
}

static void
gss_request(struct session *s, size_t behind)
{
	struct client_login *l = s->login;

	if (l->gss_asked || l->gss_done || stream_is_tls(&s->stream)) {
		protocol_fatal(s, "GSSENCRequest came twice, or inside TLS");
		return;
	}
	l->gss_asked = true;
	stream_write(&s->stream, "N", 1);
	if (behind > 0)
		protocol_fatal(
		    s, "received unencrypted data after GSSAPI encryption request");
}

/* ---- packets ---- */

static void
drop_packet(struct client_login *l, size_t len)
{
	l->have -= len;
	memmove(l->in, l->in + len, l->have);
}

/* False: more bytes are needed, or it is over. */
static bool
one_packet(struct session *s)
{
	struct client_login *l = s->login;
	struct err e;
	size_t len;
	enum rc rc;

	if (l->have > 0 && l->in[0] == 0x16 && !stream_is_tls(&s->stream) &&
	    tls_context(s) != NULL && !l->ssl_asked) {
		len = l->have;
		l->have = 0;
		l->direct = true;
		begin_tls(s, l->in, len); /* may end the session */
		return false;
	}
	rc = startup_length((struct slice){l->in, l->have}, &len, &e);
	if (rc == RC_AGAIN || (rc == RC_OK && l->have < len))
		return false;
	arena_reset(&l->arena);
	free(l->packet);
	l->packet = rc == RC_OK ? malloc(len) : NULL;
	if (l->packet != NULL)
		memcpy(l->packet, l->in, len);
	if (rc != RC_OK ||
	    startup_parse((struct slice){l->packet, len}, &l->arena, &l->start, &e) !=
		RC_OK) {
		session_fatal(s, &e);
		return false;
	}
	drop_packet(l, len);
	switch (l->start.kind) {
	case STARTUP_SSL:
		ssl_request(s, l->have);
		return s->state == SESSION_STARTUP && !l->handshake;
	case STARTUP_GSSENC:
		gss_request(s, l->have);
		return s->state == SESSION_STARTUP;
	case STARTUP_CANCEL:
		cancel_request(s->w, l->start.pid, l->start.key);
		session_close(s, 0);
		return false;
	case STARTUP_START:
		auth_begin(s);
		return false;
	}
	return false;
}

static void
password_messages(struct session *s)
{
	struct client_login *l;
	struct read_msg m;
	size_t len;
	char *body;

	while (s->state == SESSION_AUTH && (l = s->login) != NULL && l->wants_password &&
	    l->have >= 5) {
		const unsigned char *h = (const unsigned char *)l->in;

		len = 1 +
		    ((size_t)h[1] << 24 | (size_t)h[2] << 16 | (size_t)h[3] << 8 | h[4]);
		if (l->in[0] != 'p' || len < 5 || len > PASSWORD_MAX) {
			protocol_fatal(s, "expected a password response");
			return;
		}
		if (l->have < len)
			return;
		body = malloc(len);
		if (body == NULL)
			abort();
		memcpy(body, l->in + 5, len - 5);
		OPENSSL_cleanse(l->in, len);
		drop_packet(l, len);
		m = (struct read_msg){.type = 'p', .body = {body, len - 5}};
		auth_message(s, &m); /* the login may be over after it */
		OPENSSL_cleanse(body, len);
		free(body);
	}
}

static void
work(struct session *s)
{
	struct client_login *l = s->login;

	while (s->state == SESSION_STARTUP && !l->handshake && one_packet(s))
		;
	if (s->state == SESSION_AUTH)
		password_messages(s);
}

void
session_startup_bytes(struct session *s, struct buf *b, uint32_t off, uint32_t len)
{
	struct client_login *l = s->login;

	if (l == NULL || s->state == SESSION_CLOSING)
		return;
	if (l->have + len > PASSWORD_MAX + STARTUP_PACKET_MAX) {
		protocol_fatal(s, "too much data before the login is done");
		return;
	}
	l->in = realloc(l->in, l->have + len);
	if (l->in == NULL)
		abort();
	memcpy(l->in + l->have, b->data + off, len);
	l->have += len;
	work(s);
}

/* The handshake is done, or the answer of auth_query is there. */
void
session_login_changed(struct session *s)
{
	struct client_login *l = s->login;

	if (l == NULL)
		return;
	if (l->handshake) {
		l->handshake = false;
		l->gss_done = l->gss_asked;
		l->gss_asked = false;
		if (l->direct && !tls_has_alpn(stream_ssl(&s->stream))) {
			protocol_fatal(s, "direct TLS without ALPN protocol postgresql");
			return;
		}
	}
	work(s);
}

void
session_login_begin(struct session *s)
{
	struct client_login *l = calloc(1, sizeof *l);
	uint64_t limit = s->w->snap->config->settings.client_login_timeout_us;

	if (l == NULL)
		abort();
	arena_init(&l->arena);
	s->login = l;
	if (limit > 0)
		timer_start(s->w->loop, &s->timer, limit / 1000);
}

void
session_login_end(struct session *s)
{
	struct client_login *l = s->login;

	if (l == NULL)
		return;
	s->login = NULL;
	auth_end(l);
	if (l->in != NULL)
		OPENSSL_cleanse(l->in, l->have);
	free(l->in);
	free(l->packet);
	arena_reset(&l->arena);
	OPENSSL_cleanse(l, sizeof *l);
	free(l);
}
