/* Plain streams hand everything through to their io. A TLS stream has an SSL whose BIO
 * reads from the chunk that was just received and writes into the io's output, so an idle
 * one holds nothing but its SSL. All that a chunk holds is decrypted and delivered before
 * the next is looked at. */
#include "wire/stream.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>

#include "base/fault.h"
#include "wire/tls.h"

struct tls_layer {
	struct stream *stream;
	SSL *ssl;
	struct deferred later;   /* read what was there before reading began, or tell of a
				    failed write */
	const unsigned char *in; /* what the BIO reads from */
	size_t in_len;
	unsigned char *early; /* heap: bytes from before the stream was ours */
	size_t early_len;
	bool pending;   /* early bytes, or decrypted ones within the SSL, wait for reading
			   to start */
	bool shaking;   /* the handshake is not over */
	bool failed;    /* OpenSSL must not be called again */
	bool ended;     /* `ended` was called */
	bool closing;   /* no callback but `closed` any more */
	bool detaching; /* the SSL goes to the owner */
	char error[200];
};

static struct stream *
stream_of(struct io *io)
{
	return LIST_ENTRY(io, struct stream, io);
}

/* ---- BIO ---- */

static int
bio_read(BIO *bio, char *out, int n)
{
	struct tls_layer *t = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (n <= 0)
		return 0;
	if (t->in_len == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if ((size_t)n > t->in_len)
		n = (int)t->in_len;
	memcpy(out, t->in, (size_t)n);
	t->in += n;
	t->in_len -= (size_t)n;
	return n;
}

static int
bio_write(BIO *bio, const char *in, int n)
{
	struct tls_layer *t = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (n > 1 && FAULT("tls.write"))
		n /= 2;
	if (n > 0)
		io_write(&t->stream->io, in, (size_t)n);
	return n;
}

static long
bio_ctrl(BIO *bio, int command, long number, void *ptr)
{
	struct tls_layer *t = BIO_get_data(bio);

	(void)number;
	(void)ptr;
	if (command == BIO_CTRL_FLUSH)
		return 1;
	return command == BIO_CTRL_PENDING ? (long)t->in_len : 0;
}

static BIO_METHOD *method;

static void
make_method(void)
{
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir stream");
	if (method == NULL || BIO_meth_set_read(method, bio_read) != 1 ||
	    BIO_meth_set_write(method, bio_write) != 1 ||
	    BIO_meth_set_ctrl(method, bio_ctrl) != 1)
		abort();
}

static void
set_memory_bios(SSL *ssl)
{
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	if (in == NULL || out == NULL)
		abort();
	SSL_set_bio(ssl, in, out);
}

static struct tls_layer *
tls_create(struct stream *s, SSL *ssl, const void *early, size_t len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct tls_layer *t = calloc(1, sizeof *t);
	BIO *bio;

	pthread_once(&once, make_method);
	if (t == NULL)
		abort();
	t->stream = s;
	t->ssl = ssl;
	if (len > 0) {
		t->early = malloc(len);
		if (t->early == NULL)
			abort();
		memcpy(t->early, early, len);
		t->early_len = len;
	}
	bio = BIO_new(method);
	if (bio == NULL)
		abort();
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio); /* frees the old ones */
	return t;
}

/* ---- reading ---- */

static void
end_stream(struct tls_layer *t, int error)
{
	struct stream *s = t->stream;

	if (t->ended || t->closing)
		return;
	t->ended = true;
	io_read_stop(&s->io);
	s->ops->ended(s, error);
}

enum verdict { GO_ON, WANT_MORE, PEER_CLOSED, BROKEN };

/* Of a call that failed just now. The reason is kept at once: callbacks use the thread's
 * error queue too. */
static enum verdict
judge(struct tls_layer *t, int result)
{
	int error = SSL_get_error(t->ssl, result);

	if (error == SSL_ERROR_WANT_READ)
		return WANT_MORE;
	if (error == SSL_ERROR_ZERO_RETURN)
		return PEER_CLOSED;
	tls_reason(t->ssl, t->error, sizeof t->error);
	t->failed = true;
	return BROKEN;
}

static enum verdict
shake(struct tls_layer *t)
{
	struct stream *s = t->stream;
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(t->ssl);
	if (rc != 1)
		return judge(t, rc);
	t->shaking = false;
	if (s->ops->secured != NULL)
		s->ops->secured(s);
	return GO_ON;
}

/* Fills a buffer, many small records together. */
static enum verdict
decrypt(struct tls_layer *t, struct buf *b, uint32_t *len)
{
	ERR_clear_error();
	for (*len = 0; *len < b->cap;) {
		size_t n;
		int rc = SSL_read_ex(t->ssl, b->data + *len, b->cap - *len, &n);

		if (rc != 1)
			return judge(t, rc);
		*len += (uint32_t)n;
	}
	return GO_ON;
}

static enum verdict
deliver(struct tls_layer *t)
{
	struct stream *s = t->stream;
	struct buf *b = buf_create(s->io.loop, 0);
	uint32_t len;
	enum verdict v = decrypt(t, b, &len);

	if (len > 0)
		s->ops->received(s, b, 0, len);
	buf_unref(b);
	return v;
}

/* Takes everything out of the SSL that can be had. */
static void
pump(struct tls_layer *t)
{
	enum verdict v = GO_ON;

	while (v == GO_ON && !t->closing && !t->ended && !t->failed)
		v = t->shaking ? shake(t) : deliver(t);
	if (v == PEER_CLOSED)
		end_stream(t, 0);
	else if (v == BROKEN)
		end_stream(t, EPROTO);
}

static void
feed(struct tls_layer *t, const unsigned char *p, size_t n)
{
	t->in = p;
	t->in_len = n;
	pump(t);
	t->in_len = 0;
}

static void
feed_early(struct tls_layer *t)
{
	unsigned char *early = t->early;
	size_t n = t->early_len;

	t->pending = false;
	t->early = NULL;
	t->early_len = 0;
	feed(t, early, n);
	free(early);
}

static void
run_later(struct deferred *d)
{
	struct tls_layer *t = LIST_ENTRY(d, struct tls_layer, later);

	if (t->failed)
		end_stream(t, EPROTO);
	else if (t->pending && io_reading(&t->stream->io))
		feed_early(t);
}

/* ---- what the io says ---- */

static void
on_received(struct io *io, struct buf *b, uint32_t off, uint32_t len)
{
	struct stream *s = stream_of(io);
	struct tls_layer *t = s->tls;

	if (t == NULL) {
		s->ops->received(s, b, off, len);
		return;
	}
	if (t->pending)
		feed_early(t);
	feed(t, b->data + off, len);
}

static void
on_drained(struct io *io)
{
	struct stream *s = stream_of(io);

	if (s->ops->drained != NULL)
		s->ops->drained(s);
}

static void
on_ended(struct io *io, int error)
{
	struct stream *s = stream_of(io);
	struct tls_layer *t = s->tls;

	if (t == NULL) {
		s->ops->ended(s, error);
		return;
	}
	if (t->pending)
		feed_early(t);
	/* An end without close_notify is an end: the messages within have their own
	 * lengths, and many clients just go. */
	if (t->shaking && !t->failed)
		snprintf(
		    t->error, sizeof t->error, "the peer went away in the handshake");
	end_stream(t, error);
}

static void
tls_destroy(struct tls_layer *t)
{
	if (!t->detaching)
		SSL_free(t->ssl);
	free(t->early);
	free(t);
}

static void
on_closed(struct io *io)
{
	struct stream *s = stream_of(io);
	struct tls_layer *t = s->tls;

	if (t != NULL) {
		deferred_cancel(&t->later);
		if (t->detaching) {
			set_memory_bios(t->ssl);
			if (t->early_len > 0)
				BIO_write(
				    SSL_get_rbio(t->ssl), t->early, (int)t->early_len);
		} else {
			s->tls = NULL;
		}
	}
	/* The stream's memory is the owner's from here on, even another thread's. */
	s->ops->closed(s);
	if (t != NULL)
		tls_destroy(t);
}

static const struct io_ops io_ops = {
    .received = on_received,
    .drained = on_drained,
    .ended = on_ended,
    .closed = on_closed,
};

/* ---- what the owner says ---- */

void
stream_open(
    struct stream *s, struct loop *loop, int fd, const struct stream_ops *ops, SSL *ssl)
{
	s->ops = ops;
	s->tls = NULL;
	io_open(&s->io, loop, fd, &io_ops);
	if (ssl != NULL) {
		char *left, *unsent;
		long n = BIO_get_mem_data(SSL_get_rbio(ssl), &left);
		long m = BIO_get_mem_data(SSL_get_wbio(ssl), &unsent);

		if (m > 0)
			io_write(&s->io, unsent, (size_t)m);
		s->tls = tls_create(s, ssl, left, n > 0 ? (size_t)n : 0);
		s->tls->pending = n > 0 || SSL_has_pending(ssl);
		deferred_init(&s->tls->later, run_later);
	}
}

void
stream_tls_accept(struct stream *s, SSL *ssl, const void *early, size_t len)
{
	s->tls = tls_create(s, ssl, early, len);
	s->tls->shaking = true;
	deferred_init(&s->tls->later, run_later);
	if (len > 0) {
		s->tls->pending = true;
		loop_defer(s->io.loop, &s->tls->later);
	}
}

bool
stream_is_tls(const struct stream *s)
{
	return s->tls != NULL;
}

SSL *
stream_ssl(const struct stream *s)
{
	return s->tls == NULL ? NULL : s->tls->ssl;
}

const char *
stream_tls_error(const struct stream *s)
{
	return s->tls == NULL ? "" : s->tls->error;
}

void
stream_read_start(struct stream *s)
{
	if (s->tls != NULL && (s->tls->ended || s->tls->closing))
		return;
	io_read_start(&s->io);
	if (s->tls != NULL && s->tls->pending)
		loop_defer(s->io.loop, &s->tls->later);
}

void
stream_read_stop(struct stream *s)
{
	io_read_stop(&s->io);
}

void
stream_write(struct stream *s, const void *ptr, size_t len)
{
	struct tls_layer *t = s->tls;
	const char *from = ptr;

	if (t == NULL) {
		io_write(&s->io, ptr, len);
		return;
	}
	if (t->shaking || t->failed || t->closing)
		return;
	ERR_clear_error();
	while (len > 0) {
		size_t n;
		int rc = SSL_write_ex(t->ssl, from, len, &n);

		if (rc != 1) {
			/* The BIO takes everything, so this is no matter of waiting. */
			tls_reason(t->ssl, t->error, sizeof t->error);
			t->failed = true;
			loop_defer(s->io.loop, &t->later);
			return;
		}
		from += n;
		len -= n;
	}
}

void
stream_write_buf(struct stream *s, struct buf *b, uint32_t off, uint32_t len)
{
	if (s->tls == NULL)
		io_write_buf(&s->io, b, off, len);
	else
		stream_write(s, b->data + off, len);
}

void
stream_close(struct stream *s, unsigned linger_ms)
{
	struct tls_layer *t = s->tls;

	if (t != NULL && !t->closing) {
		t->closing = true;
		deferred_cancel(&t->later);
		if (!t->shaking && !t->failed) {
			ERR_clear_error();
			(void)SSL_shutdown(
			    t->ssl); /* close_notify; the peer's is not waited for */
			ERR_clear_error();
		}
	}
	io_close(&s->io, linger_ms);
}

void
stream_detach(struct stream *s)
{
	if (s->tls != NULL)
		s->tls->detaching = true;
	io_detach(&s->io);
}
