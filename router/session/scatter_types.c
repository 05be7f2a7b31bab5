/* The types of parameters that the client left open, as a server infers them from the client's own text. */
#include "router/session/scatter.h"

static void
types(struct scatter *sc, struct slice body)
{
	struct msgread r = msgread_of(body);
	int n = (uint16_t)read_int16(&r);

	for (int i = 0; i < n && i < sc->n_params; i++) {
		uint32_t oid = (uint32_t)read_int32(&r);

		if (sc->oids[i] == 0 && !r.bad)
			sc->oids[i] = oid;
	}
}

static void
message(struct branch *b, const struct read_msg *m, struct buf *in)
{
	struct scatter *sc = b->owner;

	(void)in;
	if (m->type == 't') {
		types(sc, m->body);
	} else if (m->type == 'E') {
		scatter_server_error(sc, b, m->body);
	} else if (m->type == 'Z') {
		scatter_hold(sc);
		scatter_rested(sc, b);
		if (sc->phase == SCATTER_RUNNING)
			sc->types_then(sc);
		scatter_let_go(sc);
	}
}

static void
drained(struct branch *b)
{
	(void)b;
}

static void
lost(struct branch *b)
{
	struct scatter *sc = b->owner;
	struct err e;

	(void)branch_failed(b, &e);
	scatter_fail(sc, &e);
	scatter_rested(sc, b);
}

static const struct branch_ops ops = {
    .message = message, .drained = drained, .lost = lost};

void
scatter_types(struct scatter *sc, struct branch *b, void (*then)(struct scatter *))
{
	struct msgbuf out;

	sc->types_then = then;
	branch_listen(b, &ops, sc);
	msgbuf_init(&out);
	msg_begin(&out, 'P');
	msg_str(&out, "");
	msg_slice_str(&out, sc->client.sql);
	msg_int16(&out, (int16_t)sc->n_params);
	for (int i = 0; i < sc->n_params; i++)
		msg_int32(&out, (int32_t)sc->oids[i]);
	msg_end(&out);
	msg_begin(&out, 'D');
	msg_byte(&out, 'S');
	msg_str(&out, "");
	msg_end(&out);
	msg_begin(&out, 'S');
	msg_end(&out);
	stream_write(&b->server->stream, out.data, out.len);
	msgbuf_fini(&out);
	sc->busy++;
}
