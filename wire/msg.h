/* wire/msg.h: builds and reads protocol v3 messages.
 * Memory:  struct msgbuf grows on the heap (msgbuf_fini); readers point into the message.
 * Failure: a reader that runs past its end turns `bad` and yields zeros and empty strings; check once at the end. */
#ifndef WEIR_WIRE_MSG_H
#define WEIR_WIRE_MSG_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

#define PROTO_3_0          0x00030000u
#define PROTO_3_2          0x00030002u
#define PROTO_SSL          80877103u
#define PROTO_GSSENC       80877104u
#define PROTO_CANCEL       80877102u
#define PROTO_MAJOR(v)     ((v) >> 16)
#define PROTO_MINOR(v)     ((v)&0xffffu)
#define STARTUP_PACKET_MAX 10000 /* bytes, PostgreSQL's own limit */

/* ---- building ---- */

struct msgbuf {
	char *data;
	size_t len, cap;
	size_t start; /* of the message being built */
};

void msgbuf_init(struct msgbuf *);
void msgbuf_fini(struct msgbuf *);
/* Empties, keeps memory. */
void msgbuf_clear(struct msgbuf *);
/* type 0: no type byte (start-up, cancel). */
void msg_begin(struct msgbuf *, char type);
void msg_byte(struct msgbuf *, unsigned char);
void msg_int16(struct msgbuf *, int16_t);
void msg_int32(struct msgbuf *, int32_t);
void msg_bytes(struct msgbuf *, const void *, size_t);
void msg_str(struct msgbuf *, const char *); /* with its zero */
void msg_slice_str(
    struct msgbuf *, struct slice); /* the same; the slice must hold no zero */
void msg_end(struct msgbuf *);      /* fills the length in */

/* Whole messages. */
void msg_ready(struct msgbuf *, char status);                /* Z */
void msg_command_complete(struct msgbuf *, const char *tag); /* C */
void msg_parameter_status(struct msgbuf *, const char *name, const char *value);
void msg_error(
    struct msgbuf *, const char *severity, const struct err *); /* E: S, V, C, M, H, P */
void msg_notice(struct msgbuf *, const char *severity, const char *sqlstate,
    const char *text, const char *hint);
void msg_query(struct msgbuf *, const char *sql); /* Q */
/* T with text columns only (for SHOW and the admin console); type OIDs 25, 20 … as given. */
struct msg_column {
	const char *name;
	uint32_t type_oid;
	int16_t type_len;
};
void msg_row_description(struct msgbuf *, const struct msg_column *, int n);
/* values[i] NULL: SQL NULL. */
void msg_data_row(struct msgbuf *, const char *const *values, int n);

/* ---- reading ---- */

struct msgread {
	const char *at, *end;
	bool bad;
};

struct msgread msgread_of(struct slice body);
unsigned char read_byte(struct msgread *);
int16_t read_int16(struct msgread *);
int32_t read_int32(struct msgread *);
struct slice read_bytes(struct msgread *, size_t n);
struct slice read_str(struct msgread *); /* up to a zero, which is skipped */
static inline size_t
read_left(const struct msgread *r)
{
	return (size_t)(r->end - r->at);
}

/* A field of an ErrorResponse or NoticeResponse body ('C' SQLSTATE, 'M' text, …); empty when absent. */
struct slice msg_error_field(struct slice body, char field);

#endif
