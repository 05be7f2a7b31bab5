/* wire/tls.h: TLS set-up for both sides; who reads and writes is not its matter (memory
 * BIOs). Thread:  an SSL_CTX any; an SSL its connection's. Rules:   TLS 1.2 at least, no
 * renegotiation, no session tickets, no compression, ALPN `postgresql`. Failure: RC_ERR
 * with F0000 for files, 08006 and the like for connections; texts hold OpenSSL's reason.
 */
#ifndef WEIR_WIRE_TLS_H
#define WEIR_WIRE_TLS_H

#include <openssl/ssl.h>

#include "base/err.h"
#include "base/slice.h"

#define TLS_END_POINT_MAX 64

/* As libpq's. Where a CA file is given, `require` and below verify by it too. */
enum sslmode {
	SSLMODE_DISABLE,
	SSLMODE_ALLOW,
	SSLMODE_PREFER,
	SSLMODE_REQUIRE,
	SSLMODE_VERIFY_CA,
	SSLMODE_VERIFY_FULL
};

/* libpq's words, and `off`. */
enum rc sslmode_parse(const char *, enum sslmode *, struct err *) WARN_UNUSED;

/* ---- we are the server ---- */

/* Files are PEM. `ca` NULL or "": client certificates are not asked for; else asked for
 * and verified when shown, and `must_show` refuses clients that show none. Free by
 * SSL_CTX_free(). */
enum rc tls_server_create(const char *cert, const char *key, const char *ca,
    bool must_show, SSL_CTX **, struct err *) WARN_UNUSED;
/* With memory BIOs, ready for stream_tls_accept(). */
enum rc tls_server_new(SSL_CTX *, SSL **, struct err *) WARN_UNUSED;
/* On direct TLS (no SSLRequest) the client must have asked for ALPN `postgresql`. */
bool tls_has_alpn(const SSL *);

/* ---- we are the client ---- */

struct tls_client_conf {
	enum sslmode mode;
	const char *ca;         /* NULL or "": none ("system": OpenSSL's own place) */
	const char *cert, *key; /* NULL or "": none */
};

enum rc tls_client_create(
    const struct tls_client_conf *, SSL_CTX **, struct err *) WARN_UNUSED;
/* With memory BIOs. `host` is what the certificate must name under verify-full; and the
 * server name indication, unless it is an address. */
enum rc tls_client_new(
    SSL_CTX *, enum sslmode, const char *host, SSL **, struct err *) WARN_UNUSED;

/* ---- what was agreed ---- */

/* tls-server-end-point data (RFC 5929) of our own certificate, of the peer's. 0: there is
 * none. */
size_t tls_end_point_own(SSL *, unsigned char out[TLS_END_POINT_MAX]);
size_t tls_end_point_peer(SSL *, unsigned char out[TLS_END_POINT_MAX]);
/* Common name of the peer's verified certificate; false: none, more than one, or not fit
 * to be a name. */
bool tls_peer_cn(SSL *, char *out, size_t size);
/* The reason of the last failure of this thread's OpenSSL, "TLS error" when there is
 * none; empties the error queue. */
void tls_reason(const SSL *, char *out, size_t size);

#endif
