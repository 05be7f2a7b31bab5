/* wire/scram.h: SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 7677), both roles, as
 * steps without I/O. Memory:  a role's state is its caller's; `fini` wipes it. Messages
 * go to a msgbuf as bare SASL data: the caller puts the protocol message around them.
 * Failure: 08P01 malformed, 28P01 wrong password, 28000 channel binding, 0A000 what we do
 * not do; after an error a state is only good for fini. Nothing secret is in an error's
 * text. Cost:    the thousands of hash rounds are in scram_secret_derive() and in the
 * client role when it has a password; everything else costs a few hashes. */
#ifndef WEIR_WIRE_SCRAM_H
#define WEIR_WIRE_SCRAM_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "wire/msg.h"

#define SCRAM_PLAIN          "SCRAM-SHA-256"
#define SCRAM_PLUS           "SCRAM-SHA-256-PLUS"
#define SCRAM_KEY            32
#define SCRAM_SALT_MAX       128
#define SCRAM_CBIND_MAX      64
#define SCRAM_ITERATIONS     4096 /* what PostgreSQL's secrets have, and the mock ones */
#define SCRAM_ITERATIONS_MAX 10000000 /* more is taken for an attack */

/* What a server keeps: pg_authid's `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`.
 */
struct scram_secret {
	uint32_t iterations;
	uint32_t salt_len;
	unsigned char salt[SCRAM_SALT_MAX];
	unsigned char stored_key[SCRAM_KEY], server_key[SCRAM_KEY];
};

/* Enough to log in to any server that keeps the same secret. */
struct scram_keys {
	unsigned char client_key[SCRAM_KEY], server_key[SCRAM_KEY];
};

enum rc scram_secret_parse(struct slice, struct scram_secret *, struct err *) WARN_UNUSED;
/* From a password; salt NULL: 16 random bytes. */
enum rc scram_secret_derive(struct slice password, const unsigned char *salt,
    size_t salt_len, uint32_t iterations, struct scram_secret *,
    struct err *) WARN_UNUSED;
/* For a user that is not there: the same salt each time for a name, as a real user's,
 * unless the process restarts. */
enum rc scram_secret_mock(
    struct slice user, struct scram_secret *, struct err *) WARN_UNUSED;

/* ---- server: who are you? ---- */

struct scram_server {
	struct scram_secret secret;
	bool doomed; /* a mock secret: never lets anybody in */
	char flag;   /* of the gs2 header: n, y or p */
	uint8_t step;
	unsigned char cbind[SCRAM_CBIND_MAX]; /* length 0: PLUS was not offered */
	size_t cbind_len;
	struct msgbuf first;        /* client-first-bare "," server-first */
	size_t nonce_at, nonce_len; /* the whole nonce, in `first` */
};

/* `cbind`: tls-server-end-point data of our certificate when PLUS is offered, else empty.
 */
void scram_server_init(
    struct scram_server *, const struct scram_secret *, bool doomed, struct slice cbind);
void scram_server_fini(struct scram_server *);
/* client-first in, server-first out. `nonce` NULL: a random one (tests give it). */
enum rc scram_server_first(struct scram_server *, struct slice mechanism,
    struct slice message, const char *nonce, struct msgbuf *out,
    struct err *) WARN_UNUSED;
/* client-final in, server-final out. RC_OK: it is them, and *keys are theirs. */
enum rc scram_server_final(struct scram_server *, struct slice message,
    struct scram_keys *keys, struct msgbuf *out, struct err *) WARN_UNUSED;

/* ---- client: this is me ---- */

/* Keys once derived from a password, for the next login with the same salt. */
struct scram_known {
	bool set;
	uint32_t iterations;
	uint32_t salt_len;
	unsigned char salt[SCRAM_SALT_MAX];
	struct scram_keys keys;
};

enum scram_binding {
	SCRAM_BIND_NONE,      /* no TLS */
	SCRAM_BIND_UNOFFERED, /* TLS, but the server did not offer PLUS: it is told so */
	SCRAM_BIND_END_POINT  /* PLUS */
};

struct scram_client {
	const struct scram_keys *keys; /* NULL: password */
	struct slice password;
	struct scram_known *known; /* or NULL */
	enum scram_binding binding;
	uint8_t step;
	unsigned char cbind[SCRAM_CBIND_MAX];
	size_t cbind_len;
	char nonce[64];
	struct msgbuf first; /* client-first-bare */
	struct scram_known used;
	unsigned char signature[SCRAM_KEY]; /* what the server must show */
};

/* Password, keys and known must outlive the state; keys win over the password. *known is
 * used when it fits and filled in when the server has shown that it knows the password
 * too. */
void scram_client_init(struct scram_client *, struct slice password,
    const struct scram_keys *, struct scram_known *, enum scram_binding,
    struct slice cbind);
void scram_client_fini(struct scram_client *);
const char *scram_client_mechanism(const struct scram_client *);
/* `nonce` NULL: a random one; else at most 63 characters. */
enum rc scram_client_first(struct scram_client *, const char *nonce, struct msgbuf *out,
    struct err *) WARN_UNUSED;
enum rc scram_client_next(struct scram_client *, struct slice server_first,
    struct msgbuf *out, struct err *) WARN_UNUSED;
/* Checks the server's signature. */
enum rc scram_client_final(
    struct scram_client *, struct slice server_final, struct err *) WARN_UNUSED;

#endif
