/* pool/server.h: one connection to a backend, logged in.
 * Thread:  its worker's. States below; one setter (server_set_state); the session that
 *          holds it receives its bytes.
 * Memory:  the pool's slab; freed after the stream is closed. */
#ifndef WEIR_POOL_SERVER_H
#define WEIR_POOL_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "wire/login.h"
#include "wire/reader.h"
#include "wire/stream.h"

struct pool;

/*  IDLE in the pool's list --lent--> ACTIVE --released--> IDLE
 *  ACTIVE, IDLE --reset query or check--> RESETTING --it worked--> IDLE
 *  IDLE --> MOVING to another worker; any but MOVING --> CLOSING */
enum server_state {
	SERVER_IDLE,
	SERVER_ACTIVE,
	SERVER_RESETTING,
	SERVER_MOVING,
	SERVER_CLOSING
};

/* What RESETTING is for. */
enum server_test {
	TEST_NONE,
	TEST_CHECK,
	TEST_RESET,
	TEST_HOLD /* cancel requests are under way */
};

/* What the owner (a session) hears. At rest the pool itself listens. */
struct server;
struct server_owner_ops {
	void (*received)(struct server *, struct buf *b, uint32_t off, uint32_t len);
	void (*drained)(struct server *);
	/* The connection is dead (closed by the pool right after this returns): the owner
	 * forgets it. error: an errno or 0. A connection may have died at rest just
	 * before it was lent: an owner that has sent nothing on it yet acquires again
	 * instead of failing its client. */
	void (*lost)(struct server *, int error);
};

struct server {
	struct stream stream;
	struct reader reader; /* the owner's; at a message boundary when released */
	struct pool *pool;
	const struct server_owner_ops *owner_ops;
	void *owner;      /* the session */
	struct list node; /* the pool's idle or active list */
	enum server_state state;
	bool close_needed; /* retire at release: RECONNECT, a DISCARD that failed … */
	bool replication;
	uint8_t protocol_minor;
	int cancels; /* cancel requests under way: not reusable before they are done */
	uint32_t backend_pid;
	uint16_t key_len;
	unsigned char key[CANCEL_KEY_MAX];
	uint64_t connected_us, idle_since_us, requested_us;
	uint64_t id;
	/* ParameterStatus as last heard of at rest: n_params pairs name, value, … */
	char **params;
	int n_params;
	char address[120]; /* as connected to: "10.0.0.1:5432", "unix:/run/…" */
	struct login_address remote; /* the same, for cancel requests */
	/* ---- the session layer's, opaque to pool (freed by its hook) ---- */
	void *link; /* struct link of session/link.h */
	/* ---- pool's own ---- */
	struct list rest;   /* IDLE: the site's idle list */
	struct timer timer; /* RESETTING, CLOSING: how long */
	enum server_test test;
	bool test_failed;
	bool ended;    /* the peer's end has come, or nonsense while MOVING */
	bool gone;     /* the stream is closed; kept for the cancels under way */
	int heir;      /* whose worker gets the place; -1: who waits longest */
	bool expected; /* closed so that this worker gets its place */
	bool promised; /* closed for its heir, where its place is counted as coming */
	struct quota *evicted_for; /* closed for who lacks room in it */
	struct ask *ask;           /* MOVING, CLOSING: the request that it answers */
	uint16_t jitter;           /* of its lifetime, in 1/65536 of a tenth */
	uint64_t tested_us;
};

/* A value as the server reported it, or NULL. */
const char *server_param(const struct server *, const char *name);
/* An owner that reads a ParameterStatus may keep the list true with it. */
void server_set_param(struct server *, const char *name, const char *value);
const char *server_state_name(enum server_state);

#endif