/* Intermediate results: each fragment's rows are loaded into a temporary table of one server, where the final query runs and answers the
 * client. Rows travel in binary: a DataRow is a CopyData but for its type byte, so that they pass by reference. All happens in one
 * transaction of that server, which is rolled back at the end. */
#include <stdio.h>
#include <stdlib.h>

#include "router/session/scatter.h"

static void next(struct scatter *);
static void load(struct scatter *);
static const struct branch_ops final_ops, source_ops;

static const struct multi_fragment *
fragment(const struct scatter *sc)
{
	return &sc->multi.fragments[sc->fragment];
}

static bool
comes_from(const struct multi_fragment *f, int shard)
{
	return (f->shards[shard / 64] >> (shard % 64)) & 1;
}

static int
fragments_of(const struct scatter *sc, int shard)
{
	int n = 0;

	for (int i = 0; i < sc->multi.n_fragments; i++)
		n += comes_from(&sc->multi.fragments[i], shard);
	return n;
}

/* ---- statements whose rows nobody wants ---- */

static void
fail_of(struct scatter *sc, struct branch *b)
{
	struct err e;

	if (sc->phase == SCATTER_RUNNING && branch_failed(b, &e))
		scatter_fail(sc, &e);
}

static void
queried(struct branch *b)
{
	struct scatter *sc = b->owner;

	scatter_hold(sc);
	fail_of(sc, b);
	scatter_rested(sc, b);
	if (sc->phase == SCATTER_RUNNING && sc->busy == 0)
		next(sc);
	scatter_let_go(sc);
}

static void
query(struct scatter *sc, struct branch *b, const char *sql)
{
	b->owner = sc;
	sc->busy++;
	branch_query(b, sql, queried);
}

static void
run_text(struct scatter *sc, const struct multi_text *t)
{
	branch_listen(sc->final, &final_ops, sc);
	scatter_send(sc, sc->final, t, NULL, 0);
}

/* ---- the steps ---- */

static void
begin(struct scatter *sc)
{
	for (int i = 0; i < sc->n_shards; i++) {
		struct branch *b = sc->shards[i].branch;

		if (b == sc->final)
			query(sc, b, "BEGIN ISOLATION LEVEL REPEATABLE READ");
		else if (fragments_of(sc, b->shard) > 1)
			query(sc, b, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
	}
}

/* What stands on the final query's own shard need not be moved. */
static void
load_own(struct scatter *sc)
{
	const struct multi_fragment *f = fragment(sc);
	struct multi_text t = f->query;

	if (!comes_from(f, sc->final->shard)) {
		next(sc);
		return;
	}
	t.sql = slice_of(arena_printf(&sc->arena, "INSERT INTO pg_temp.%s %.*s", f->table,
	    (int)f->query.sql.len, f->query.sql.ptr));
	run_text(sc, &t);
}

static void
copy(struct scatter *sc)
{
	const struct multi_fragment *f = fragment(sc);
	struct msgbuf out;
	bool others = false;

	for (int i = 0; i < sc->n_shards; i++)
		others |= sc->shards[i].branch != sc->final &&
		    comes_from(f, sc->shards[i].shard);
	if (!others) {
		next(sc);
		return;
	}
	branch_listen(sc->final, &final_ops, sc);
	msgbuf_init(&out);
	msg_query(&out, arena_strndup(&sc->arena, f->copy.ptr, f->copy.len));
	stream_write(&sc->final->server->stream, out.data, out.len);
	msgbuf_fini(&out);
	sc->busy++;
}

static void
after(struct scatter *sc)
{
	const struct multi_fragment *f = fragment(sc);

	if (f->after.len == 0)
		next(sc);
	else
		query(
		    sc, sc->final, arena_strndup(&sc->arena, f->after.ptr, f->after.len));
}

static void
final_query(struct scatter *sc)
{
	sc->fetch = sc->max_rows > 0 && sc->max_rows < INT32_MAX ? sc->max_rows + 1 : 0;
	branch_listen(sc->final, &final_ops, sc);
	scatter_send(sc, sc->final, &sc->multi.final, sc->formats, sc->n_formats);
}

static void
end(struct scatter *sc)
{
	for (int i = 0; i < sc->n_shards; i++) {
		struct branch *b = sc->shards[i].branch;

		if (b != NULL && link_of(b->server)->tx_status != 'I')
			query(sc, b, "ROLLBACK");
	}
	if (sc->busy == 0)
		next(sc);
}

static void
next(struct scatter *sc)
{
	static void (*const steps[])(struct scatter *) = {
	    [STEP_LOAD_OWN] = load_own, [STEP_COPY] = copy, [STEP_AFTER] = after};

	switch (sc->step) {
	case STEP_BEGIN:
	case STEP_AFTER:
		sc->fragment += sc->step == STEP_AFTER;
		if (sc->fragment < sc->multi.n_fragments) {
			sc->step = STEP_CREATE;
			run_text(sc, &fragment(sc)->create);
		} else {
			sc->step = STEP_FINAL;
			final_query(sc);
		}
		break;
	case STEP_CREATE:
	case STEP_LOAD_OWN:
	case STEP_COPY:
		sc->step++;
		steps[sc->step](sc);
		break;
	case STEP_FINAL:
		sc->step = STEP_END;
		end(sc);
		break;
	case STEP_END:
		scatter_finish(sc, sc->tag);
		break;
	}
}

/* ---- the rows of a fragment ---- */

static void
load(struct scatter *sc)
{
	static const char header[] = MULTI_COPY_HEADER;
	static const int16_t binary[] = {1};
	const struct multi_fragment *f = fragment(sc);
	struct msgbuf out;

	sc->copying = true;
	msgbuf_init(&out);
	msg_begin(&out, 'd');
	msg_bytes(&out, header, MULTI_COPY_HEADER_LEN);
	msg_end(&out);
	stream_write(&sc->final->server->stream, out.data, out.len);
	msgbuf_fini(&out);
	for (int i = 0; i < sc->n_shards; i++) {
		struct branch *b = sc->shards[i].branch;

		if (b == sc->final || !comes_from(f, b->shard))
			continue;
		branch_listen(b, &source_ops, sc);
		scatter_send(sc, b, &f->query, binary, 1);
	}
}

static void
end_copy(struct scatter *sc, char type, const char *text, size_t len)
{
	struct msgbuf out;

	sc->copying = false;
	msgbuf_init(&out);
	if (type == 'c') {
		msg_begin(&out, 'd');
		msg_bytes(&out, MULTI_COPY_TRAILER, 2);
		msg_end(&out);
	}
	msg_begin(&out, type);
	msg_bytes(&out, text, len);
	msg_end(&out);
	stream_write(&sc->final->server->stream, out.data, out.len);
	msgbuf_fini(&out);
}

void
scatter_tables_failing(struct scatter *sc)
{
	static const char why[] = "a shard failed";

	if (sc->copying && sc->final != NULL && sc->final->server != NULL)
		end_copy(sc, 'f', why, sizeof why);
}

static void
source_row(struct scatter *sc, struct branch *b, const struct read_msg *m, struct buf *in)
{
	struct stream *to = &sc->final->server->stream;
	uint64_t max =
	    sc->session->db->cluster->conf->settings.max_intermediate_result_bytes;
	struct err e;

	sc->bytes += m->raw.len;
	if (max > 0 && sc->bytes > max) {
		(void)err_set(&e, "54000", BLAST_TXN,
		    "the intermediate results of this statement are larger than max_intermediate_result (%llu bytes)",
		    (unsigned long long)max);
		err_hint(&e,
		    "Narrow the statement's conditions, or raise the setting; EXPLAIN shows what it fetches.");
		scatter_fail(sc, &e);
		return;
	}
	if (in != NULL) {
		unsigned char *at =
		    in->data + ((const unsigned char *)m->raw.ptr - in->data);

		at[0] = 'd';
		stream_write_buf(to, in, (uint32_t)(at - in->data), (uint32_t)m->raw.len);
	} else {
		stream_write(to, "d", 1);
		stream_write(to, m->raw.ptr + 1, m->raw.len - 1);
	}
	if (stream_queued(to) > OUTPUT_HIGH)
		branch_pause(b);
}

static void
source_message(struct branch *b, const struct read_msg *m, struct buf *in)
{
	struct scatter *sc = b->owner;

	if (m->type == 'Z') {
		scatter_hold(sc);
		scatter_rested(sc, b);
		if (sc->phase == SCATTER_RUNNING &&
		    sc->busy == 1) /* but for the COPY itself */
			end_copy(sc, 'c', NULL, 0);
		scatter_let_go(sc);
	} else if (sc->phase != SCATTER_RUNNING) {
		return;
	} else if (m->type == 'D') {
		source_row(sc, b, m, in);
	} else if (m->type == 'E') {
		scatter_server_error(sc, b, m->body);
	}
}

/* ---- the final query's server ---- */

static void
pass_on(struct scatter *sc, struct branch *b, const struct read_msg *m, struct buf *in)
{
	struct stream *to = &sc->session->stream;

	if (in != NULL)
		stream_write_buf(to, in,
		    (uint32_t)((const unsigned char *)m->raw.ptr - in->data),
		    (uint32_t)m->raw.len);
	else
		stream_write(to, m->raw.ptr, m->raw.len);
	sc->session->x->sent_to_client = true;
	if (stream_queued(to) > OUTPUT_HIGH)
		branch_pause(b);
}

static void
answer(struct scatter *sc, struct branch *b, const struct read_msg *m, struct buf *in)
{
	if (m->type == 'D' && scatter_enough(sc))
		return;
	sc->rows += m->type == 'D';
	if (m->type == 'D' || (m->type == 'T' && sc->describe))
		pass_on(sc, b, m, in);
	else if (m->type == 'C')
		snprintf(sc->tag, sizeof sc->tag, "%.*s", (int)m->body.len, m->body.ptr);
}

/* A column that cannot stand in a table: PostgreSQL would have had no need of one. */
static void
final_error(struct scatter *sc, struct branch *b, struct slice body)
{
	struct slice state = msg_error_field(body, 'C');
	struct err e;

	if (sc->step != STEP_CREATE ||
	    !(slice_eq_str(state, "42P16") || slice_eq_str(state, "42P22"))) {
		scatter_server_error(sc, b, body);
		return;
	}
	(void)err_set(&e, "0A000", BLAST_TXN,
	    "an intermediate result that cannot stand in a table: %.*s",
	    (int)msg_error_field(body, 'M').len, msg_error_field(body, 'M').ptr);
	err_hint(&e, "Give the column a type or a collation with a cast, or COLLATE.");
	scatter_fail(sc, &e);
}

static void
final_message(struct branch *b, const struct read_msg *m, struct buf *in)
{
	struct scatter *sc = b->owner;

	if (m->type == 'Z') {
		scatter_hold(sc);
		scatter_rested(sc, b);
		if (sc->phase == SCATTER_RUNNING && sc->busy == 0)
			next(sc);
		scatter_let_go(sc);
	} else if (m->type == 'E') {
		if (sc->step == STEP_COPY)
			sc->copying = false;
		final_error(sc, b, m->body);
	} else if (sc->phase != SCATTER_RUNNING) {
		return;
	} else if (m->type == 'G') {
		load(sc);
	} else if (sc->step == STEP_FINAL) {
		answer(sc, b, m, in);
	}
}

static void
resume_sources(struct scatter *sc)
{
	scatter_hold(sc);
	for (int i = 0; sc->phase == SCATTER_RUNNING && i < sc->n_shards; i++)
		if (sc->shards[i].branch != NULL && sc->shards[i].branch->paused)
			branch_resume(sc->shards[i].branch);
	scatter_let_go(sc);
}

static void
final_drained(struct branch *b)
{
	resume_sources(b->owner);
}

void
scatter_tables_drained(struct scatter *sc)
{
	resume_sources(sc);
}

static void
source_drained(struct branch *b)
{
	(void)b;
}

static void
lost(struct branch *b)
{
	struct scatter *sc = b->owner;
	struct err e;

	(void)branch_failed(b, &e);
	if (b == sc->final)
		sc->copying = false;
	scatter_fail(sc, &e);
	scatter_rested(sc, b);
}

static const struct branch_ops final_ops = {
    .message = final_message, .drained = final_drained, .lost = lost};
static const struct branch_ops source_ops = {
    .message = source_message, .drained = source_drained, .lost = lost};

/* ---- the beginning, and a bad end ---- */

static void
undone(struct branch *b)
{
	struct scatter *sc = b->owner;

	scatter_rested(sc, b);
}

/* The servers leave their transactions before they go back. */
static void
undo(struct scatter *sc)
{
	sc->at_rest = scatter_report;
	for (int i = 0; i < sc->n_shards; i++) {
		struct branch *b = sc->shards[i].branch;

		if (b == NULL || link_of(b->server)->tx_status == 'I')
			continue;
		b->owner = sc;
		sc->busy++;
		branch_query(b, "ROLLBACK", undone);
	}
	if (sc->busy == 0)
		scatter_report(sc);
}

void
scatter_tables_begin(struct scatter *sc)
{
	sc->final = scatter_branch(sc, sc->final_shard);
	sc->at_rest = undo;
	sc->step = STEP_BEGIN;
	begin(sc);
}
