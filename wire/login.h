/* wire/login.h: logging in to a PostgreSQL server: a step function without I/O, and a
 * blocking driver for dialer threads. Thread:  the step function its caller's; the driver
 * may block up to its deadline (name look-up even beyond). Memory:  struct login_ask and
 * all it points at must outlive the login. A result is its caller's: login_result_fini().
 * Limits:  1 MB from the server until ReadyForQuery.
 * Failure: the server's own SQLSTATE, text and hint, where it sent an ErrorResponse;
 * 08P01 for nonsense, 08001 for no connection or no TLS (also when time is up), 08006 for
 * a lost one, 28000 for what we refuse to do. */
#ifndef WEIR_WIRE_LOGIN_H
#define WEIR_WIRE_LOGIN_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <openssl/ssl.h>

#include "base/arena.h"
#include "base/err.h"
#include "wire/reader.h"
#include "wire/scram.h"
#include "wire/startup.h"
#include "wire/tls.h"

#define LOGIN_BYTES_MAX (1 << 20)

struct login_ask {
	const char *user,
	    *database; /* database NULL: the user's name, as servers have it */
	/* More start-up parameters: name, value, …, NULL. May be NULL. */
	const char *const *params;
	/* Credentials: whatever the server asks for is answered with the first that can.
	 * All may be NULL. */
	const char *password;
	const char *md5;               /* "md5…" as the server keeps it: only for md5 */
	const struct scram_keys *keys; /* only for SCRAM */
	struct scram_known *known; /* with a password: used and filled in, see scram.h */
	bool allow_cleartext;      /* a password in clear may be sent without TLS */
	uint32_t proto;            /* to ask for; 0: PROTO_3_2 */
};

/*  start-up sent --R--> [answers] --R 0--> OK sent --K, S, N--> --Z--> DONE; E or
 * nonsense from anywhere --> FAILED */
enum login_state {
	LOGIN_ASKED,
	LOGIN_SASL,
	LOGIN_SASL_FINAL,
	LOGIN_ANSWERED,
	LOGIN_WELCOME,
	LOGIN_DONE,
	LOGIN_FAILED
};

struct login {
	const struct login_ask *ask;
	enum login_state state;
	bool secure;       /* TLS or a Unix socket */
	bool server_error; /* it was the server that said no */
	bool negotiated;   /* NegotiateProtocolVersion came */
	unsigned char cbind[TLS_END_POINT_MAX];
	size_t cbind_len;
	struct scram_client scram;
	struct msgbuf out; /* to be sent; the caller empties it (login_sent()) */
	size_t bytes;      /* received */
	/* valid in LOGIN_DONE */
	uint32_t proto, pid;
	size_t key_len; /* 0: the server gave none */
	unsigned char key[CANCEL_KEY_MAX];
	struct arena arena;
	struct startup_param *params; /* ParameterStatus, the last of each name;
					 zero-terminated in the arena */
	size_t n_params, cap_params;
	unsigned notices;
};

/* The start-up packet is in `out` afterwards. `tls`: the connection is; `cbind`: the
 * peer's end-point data, or empty. `local`: a Unix socket. RC_ERR: the parameters do not
 * fit a start-up packet. */
enum rc login_init(struct login *, const struct login_ask *, bool tls, bool local,
    struct slice cbind, struct err *) WARN_UNUSED;
void login_fini(struct login *);
/* Empties `out` and wipes it. */
void login_sent(struct login *);
/* RC_AGAIN: send what is in `out`, feed the next message. RC_OK: LOGIN_DONE. RC_ERR:
 * LOGIN_FAILED. */
enum rc login_step(struct login *, const struct read_msg *, struct err *) WARN_UNUSED;

/* ---- the driver ---- */

struct login_address {
	socklen_t len;
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	};
};

struct login_target {
	const char
	    *host; /* name, address, or folder of a Unix socket (begins with / or @) */
	const char *hostaddr; /* numeric; or NULL */
	const char *port;
	enum sslmode sslmode; /* not looked at on Unix sockets */
	SSL_CTX *tls; /* from tls_client_create(); NULL only with SSLMODE_DISABLE */
	int keepalive_idle_s, keepalive_interval_s, keepalive_count; /* 0: the system's */
	int user_timeout_ms; /* TCP_USER_TIMEOUT; 0: the system's */
	struct login_ask ask;
};

struct login_result {
	int fd;   /* non-blocking, close-on-exec */
	SSL *ssl; /* NULL: plain. Its memory BIOs may hold bytes that came behind
		     ReadyForQuery */
	struct login_address address;
	char address_text[120]; /* "192.0.2.1:5432", "[::1]:5432",
				   "unix:/run/postgresql/.s.PGSQL.5432" */
	uint32_t proto, pid;
	size_t key_len;
	unsigned char key[CANCEL_KEY_MAX];
	struct arena arena;
	struct startup_param *params;
	size_t n_params;
	unsigned notices;
};

#define LOGIN_ADDRESSES_MAX 16
/* The addresses of a target, as its name resolves now. Blocks. */
enum rc login_look_up(const struct login_target *,
    struct login_address list[LOGIN_ADDRESSES_MAX], int *n, struct err *) WARN_UNUSED;
/* Tries each address in turn. deadline_ms is counted from now, for all of them. */
enum rc login_connect(const struct login_target *, int deadline_ms, struct login_result *,
    struct err *) WARN_UNUSED;
/* Closes and frees what is still in it: set fd to -1 and ssl to NULL when they were taken
 * over. */
void login_result_fini(struct login_result *);
/* Sends a cancel request to where a connection went, over TLS when `tls`, and waits until
 * the server closes. */
enum rc login_cancel(const struct login_target *, const struct login_address *, bool tls,
    uint32_t pid, struct slice key, int deadline_ms, struct err *) WARN_UNUSED;

#endif
