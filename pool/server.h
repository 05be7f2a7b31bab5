/* pool/server.h: one connection to a backend, logged in.
 * Thread:  its worker's. States below; one setter (server_set_state); the session that holds it receives its bytes.
 * Memory:  the pool's slab; freed after the stream is closed. */
#ifndef WEIR_POOL_SERVER_H
#define WEIR_POOL_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "wire/reader.h"
#include "wire/stream.h"

struct pool;

/*  IDLE in the pool's list -> ACTIVE lent to an owner -> RESETTING (the pool's own reset query or check runs) -> IDLE
 *  any -> CLOSING. MOVING: on its way to another worker. */
enum server_state { SERVER_IDLE, SERVER_ACTIVE, SERVER_RESETTING, SERVER_MOVING, SERVER_CLOSING };

#define CANCEL_KEY_MAX 256

/* What the owner (a session) hears. The pool has its own owner for connections at rest. */
struct server;
struct server_owner_ops {
	void (*received)(struct server *, struct buf *b, uint32_t off, uint32_t len);
	void (*drained)(struct server *);
	/* The connection is dead (closed by the pool right after this returns): the owner forgets it. error: an errno or 0. */
	void (*lost)(struct server *, int error);
};

struct server {
	struct stream stream;
	struct reader reader;            /* the owner's, at a message boundary when lent and released */
	struct pool *pool;
	const struct server_owner_ops *owner_ops;
	void *owner;                     /* the session */
	struct list node;                /* the pool's idle or active list */
	enum server_state state;
	bool close_needed;               /* retire at release: lifetime, RECONNECT, a DISCARD that failed … */
	bool replication;
	uint8_t protocol_minor;
	int cancels;                     /* cancel requests under way: not reusable before they are done */
	uint32_t backend_pid;
	uint16_t key_len;
	unsigned char key[CANCEL_KEY_MAX];
	uint64_t connected_us, idle_since_us, requested_us;
	uint64_t id;
	char **params;  /* ParameterStatus at login: n_params pairs of name and value; heap, the server's */
	int n_params;
	/* ---- the session layer's, opaque to pool (freed by its hook) ---- */
	void *link;                      /* struct link: replies, prepared statements, applied settings; see session/link.h */
};

#endif
