/* wire/stream.h: a connection's bytes, plain or through TLS; a struct io with an optional TLS layer.
 * Thread:  its loop's.
 * Memory:  embedded in its owner; `closed` as with struct io. Plain streams forward by reference (no copy); TLS goes
 *          through memory BIOs with one copy. An idle plain stream holds no heap memory.
 * Failure: a TLS error ends the stream (`ended` with EPROTO); stream_tls_error() says why. */
#ifndef WEIR_WIRE_STREAM_H
#define WEIR_WIRE_STREAM_H

#include <openssl/ssl.h>

#include "base/loop.h"

struct stream;

struct stream_ops {
	/* Decrypted bytes; as io_ops.received. */
	void (*received)(struct stream *, struct buf *b, uint32_t off, uint32_t len);
	void (*drained)(struct stream *);
	void (*ended)(struct stream *, int error);
	void (*closed)(struct stream *);
	/* A handshake begun by stream_tls_accept() is done. NULL where the owner never accepts TLS. */
	void (*secured)(struct stream *);
};

struct tls_layer;

struct stream {
	struct io io;
	const struct stream_ops *ops;
	struct tls_layer *tls; /* NULL: plain */
};

/* Takes over a connected non-blocking socket, and `ssl` when TLS is already established on it (by the dialer; its BIOs
 * must be memory BIOs) or NULL. Reading starts with stream_read_start(). */
void stream_open(
    struct stream *, struct loop *, int fd, const struct stream_ops *, SSL *ssl);
/* Server side of a handshake, after 'S' was answered (or on direct TLS). `early` are bytes already received that
 * belong to the handshake (direct TLS only; else pass len 0). Takes the SSL over. Reading must be on. What is written
 * before `secured` is dropped. */
void stream_tls_accept(struct stream *, SSL *ssl, const void *early, size_t len);
bool stream_is_tls(const struct stream *);
/* NULL when plain. For channel binding, SHOW and certificates. */
SSL *stream_ssl(const struct stream *);
const char *stream_tls_error(const struct stream *);

void stream_read_start(struct stream *);
/* Plain: as io_read_stop(). TLS: decrypted bytes already at hand may still be delivered in this turn. */
void stream_read_stop(struct stream *);
void stream_write_buf(struct stream *, struct buf *b, uint32_t off, uint32_t len);
void stream_write(struct stream *, const void *ptr, size_t len);
static inline uint32_t
stream_queued(const struct stream *s)
{
	return io_queued(&s->io);
}
/* As io_close(); a TLS close_notify is sent where possible. */
void stream_close(struct stream *, unsigned linger_ms);
/* As io_detach(): in `closed`, the descriptor and the SSL (stream_ssl(), then it is the caller's) are whole. */
void stream_detach(struct stream *);

#endif
