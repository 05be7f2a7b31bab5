/* wire/startup.h: what may stand at the beginning of a connection: SSLRequest,
 * GSSENCRequest, CancelRequest, and the start-up packet itself. Pure; says nothing about
 * which of them is welcome. Memory:  struct startup has slices into the packet and, for
 * `options`, into the arena; its lists are in the arena. Failure: *e has PostgreSQL's
 * SQLSTATE and text: 08P01 malformed, 28000 no user, 0A000 unknown version, 42601 bad
 *          `options`, 22023 bad replication. The connection dies of each. */
#ifndef WEIR_WIRE_STARTUP_H
#define WEIR_WIRE_STARTUP_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "wire/msg.h"

#define PROTO_LATEST   PROTO_3_2
#define CANCEL_KEY_MAX 256
#define CANCEL_KEY_MIN 4

enum startup_kind { STARTUP_SSL, STARTUP_GSSENC, STARTUP_CANCEL, STARTUP_START };
enum startup_replication { REPLICATION_NONE, REPLICATION_PHYSICAL, REPLICATION_DATABASE };

struct startup_param {
	struct slice name, value;
};

struct startup {
	enum startup_kind kind;
	/* STARTUP_CANCEL */
	uint32_t pid;
	struct slice key;
	/* STARTUP_START */
	uint32_t asked; /* protocol version as the client wrote it */
	uint32_t proto; /* what is spoken: at most PROTO_LATEST */
	bool negotiate; /* NegotiateProtocolVersion must be sent (msg_negotiate()) */
	struct slice user, database; /* database: the user's name where none was given */
	enum startup_replication replication;
	/* Settings: first those of `options` in their order, then the packet's own; of
	 * equal names the last counts. Names are as written; they compare without case.
	 */
	struct startup_param *params;
	size_t n_params;
	struct slice *unknown; /* `_pq_.` options */
	size_t n_unknown;
};

/* Reads the length a packet begins with. RC_AGAIN: fewer than 4 bytes. RC_OK: *len is the
 * whole packet's, with the length itself: 8 to STARTUP_PACKET_MAX. */
enum rc startup_length(struct slice have, size_t *len, struct err *) WARN_UNUSED;
/* `packet` is whole, from its length on. */
enum rc startup_parse(
    struct slice packet, struct arena *, struct startup *, struct err *) WARN_UNUSED;
/* The setting's value, the last one given; NULL if there is none. */
const struct slice *startup_param(const struct startup *, const char *name);

/* ---- building ---- */

void msg_negotiate(struct msgbuf *, const struct startup *); /* v */
/* A start-up packet; names and values must hold no zero byte. */
void msg_startup(
    struct msgbuf *, uint32_t version, const struct startup_param *, size_t n);
void msg_request(struct msgbuf *, uint32_t code); /* PROTO_SSL or PROTO_GSSENC */
void msg_cancel(struct msgbuf *, uint32_t pid, struct slice key);

#endif
