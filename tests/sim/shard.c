/* A model of PostgreSQL, as far as commits go: what router/recovery/catalog_sql.h makes of schema weir, in C. A statement that
 * must be durable takes effect, and lets go of what waits for it, when it is flushed; a crash before loses it, one after it may
 * still lose the answer. */
#include "tests/sim/sim.h"

#include <stdlib.h>

enum next { GO_ON, WAIT, FAIL };

static uint64_t next_vxid;

void
shard_init(int shard)
{
	struct shard *s = &world.shards[shard];

	s->up = true;
	snprintf(s->identity.hex, sizeof s->identity.hex, "%032x", shard + 1);
	next_vxid = 1;
}

/* ---- what is there ---- */

static struct prepared *
find_prepared(struct shard *s, const char *gid)
{
	for (int i = 0; i < s->n_prepared; i++)
		if (strcmp(s->prepared[i].gid, gid) == 0)
			return &s->prepared[i];
	return NULL;
}

static struct verdict *
find_verdict(struct shard *s, const char *key)
{
	for (int i = 0; i < s->n_verdicts; i++)
		if (strcmp(s->verdicts[i].key, key) == 0)
			return &s->verdicts[i];
	return NULL;
}

static int
gtxn_of(const char *key)
{
	for (int i = 0; i < world.n_txns; i++)
		if (strcmp(world.txns[i].key, key) == 0)
			return i;
	return -1;
}

static struct verdict *
add_verdict(struct shard *s, const char *key, enum txn_verdict v)
{
	struct verdict *row = find_verdict(s, key);

	if (row == NULL) {
		if (s->n_verdicts == ROWS_MAX)
			abort();
		row = &s->verdicts[s->n_verdicts++];
	}
	*row = (struct verdict){.verdict = v, .at = world.now, .flushed = true};
	snprintf(row->key, sizeof row->key, "%s", key);
	row->gtxn = gtxn_of(key);
	return row;
}

static void
remove_verdict(int shard, struct verdict *row)
{
	struct shard *s = &world.shards[shard];

	note("shard %d forgets the verdict of %.12s…", shard, row->key + 38);
	sim_counts[COUNT_REMOVED_COMMIT + (row->verdict == TXN_VERDICT_ABORT)]++;
	check_verdict_removed(shard, row);
	*row = s->verdicts[--s->n_verdicts];
}

/* ---- the backend ---- */

static bool
statement_is(const char *stmt, const char *prefix)
{
	return strncmp(stmt, prefix, strlen(prefix)) == 0;
}

/* The n-th quoted string of a statement. */
static void
argument(const char *stmt, int n, char *out, size_t size)
{
	size_t len = 0;

	while (n-- > 0 && (stmt = strchr(stmt, '\'')) != NULL) {
		stmt++;
		len = strcspn(stmt, "'");
		if (n > 0)
			stmt += len + 1;
	}
	snprintf(
	    out, size, "%.*s", stmt == NULL ? 0 : (int)len, stmt == NULL ? "" : stmt);
}

static char
status_of(const struct conn *c)
{
	return !c->t.open ? 'I' : c->t.failed ? 'E' : 'T';
}

static void run(int conn);

/* Whoever waits for this connection's insert looks again. */
static void
wake_waiters(int conn)
{
	for (int i = 0; i < net_count(); i++) {
		struct conn *c = net_conn(i);

		if (c->waits_for == conn && !c->server_closed) {
			c->waits_for = -1;
			run(i);
		}
	}
}

static void
end_transaction(int conn)
{
	net_conn(conn)->t = (struct stxn){.open = false};
	wake_waiters(conn);
}

static void
leave(int conn)
{
	struct conn *c = net_conn(conn);

	c->server_closed = true;
	c->inserting[0] = '\0';
	end_transaction(conn);
}

static void
answer(int conn, const char *sqlstate)
{
	struct conn *c = net_conn(conn);
	struct reply *r =
	    c->rows != NULL ? c->rows : ARENA_NEW(&world.arena, struct reply);

	c->rows = NULL;
	c->rest = NULL;
	r->tag = c->tag;
	r->sqlstate = sqlstate;
	r->status = status_of(c);
	net_reply(conn, r);
	if (c->server_end_seen)
		leave(conn);
}

/* Takes effect once it is flushed. */
static enum next
flush(int conn, enum op op)
{
	struct conn *c = net_conn(conn);

	c->op = op;
	/* a commit may wait for its standby */
	at(world.now +
		(maybe(world.p_late) ? between(10 * MS, 10 * SECOND)
				     : between(200, 3 * MS)),
	    EV_FLUSHED, conn, ++c->op_stage, NULL);
	return WAIT;
}

static enum next
fail(int conn, const char *sqlstate)
{
	struct conn *c = net_conn(conn);

	if (c->t.open) {
		world.txns[c->t.gtxn].failed[c->t.part] = true;
		c->t.failed = true;
	}
	answer(conn, sqlstate);
	return FAIL;
}

/* An error that ends the transaction: at COMMIT, at PREPARE. */
static enum next
fail_at_end(int conn, const char *sqlstate)
{
	struct conn *c = net_conn(conn);

	world.txns[c->t.gtxn].failed[c->t.part] = true;
	c->t = (struct stxn){.open = false};
	answer(conn, sqlstate);
	wake_waiters(conn);
	return FAIL;
}

/* The connection whose uncommitted insert of this key stands in the way; -1. */
static int
inserter(int shard, const char *key, int but)
{
	for (int i = 0; i < net_count(); i++) {
		struct conn *c = net_conn(i);

		if (i == but || c->shard != shard || c->server_closed)
			continue;
		if (strcmp(c->t.inserted, key) == 0 || strcmp(c->inserting, key) == 0)
			return i;
	}
	return -1;
}

static enum next
wait_for(int conn, int other, bool limited)
{
	struct conn *c = net_conn(conn);

	note("connection %d waits for the insert of %d", conn, other);
	sim_counts[COUNT_WAITED]++;
	c->waits_for = other;
	c->wait_no++;
	if (limited)
		at(world.now + world.lock_timeout_us, EV_LOCK_TIMEOUT, conn, c->wait_no,
		    NULL);
	return WAIT;
}

/* ---- statements of a transaction ---- */

static enum next
do_begin(int conn, const char *stmt)
{
	struct conn *c = net_conn(conn);
	int g = 0, part = 0;

	sscanf(stmt, "BEGIN %d %d", &g, &part);
	c->t = (struct stxn){.open = true, .gtxn = g, .part = part};
	c->t.deed = world.txns[g].deed[part];
	c->t.flags = world.txns[g].flags[part];
	c->t.no_sync = c->t.flags & NO_SYNC;
	c->t.failed = c->t.flags & FAIL_SILENT;
	c->t.vxid = next_vxid++;
	if (c->t.failed)
		world.txns[g].failed[part] = true;
	c->tag = "BEGIN";
	return GO_ON;
}

static bool
right_token(const struct shard *s, const char *key, const char *token)
{
	char expected[TXN_KEY_SIZE];

	txn_key(&s->identity, token, expected);
	return strcmp(expected, key) == 0;
}

/* Recovery has decided first. */
static enum next
late(int conn)
{
	sim_counts[COUNT_ABORT_FIRST]++;
	return fail(conn, "40001");
}

static enum next
do_decide(int conn, const char *stmt)
{
	struct conn *c = net_conn(conn);
	struct shard *s = &world.shards[c->shard];
	char key[TXN_KEY_SIZE], token[TXN_TOKEN_LEN + 1];
	int other;

	if (!c->t.open)
		check_fail("a verdict is written outside its transaction");
	argument(stmt, 1, key, sizeof key);
	argument(stmt, 2, token, sizeof token);
	if (!right_token(s, key, token))
		return fail(conn, "42501");
	if (c->t.flags & READ_ONLY)
		return fail(conn, "25006");
	if (find_verdict(s, key) != NULL && !MUTANT(ABORT_REPLACED))
		return late(conn);
	other = inserter(c->shard, key, conn);
	if (other >= 0)
		return wait_for(conn, other, false);
	snprintf(c->t.inserted, sizeof c->t.inserted, "%s", key);
	argument(stmt, 3, c->t.participants, sizeof c->t.participants);
	if (!MUTANT(NO_FLUSH))
		c->t.no_sync = false;
	c->tag = "SELECT 1";
	return GO_ON;
}

static void
apply_commit(int conn, bool flushed)
{
	struct conn *c = net_conn(conn);
	struct gtxn *g = &world.txns[c->t.gtxn];
	struct verdict *v;

	if (c->t.deed == TXN_WROTE) {
		g->committed[c->shard] = true;
		if (c->t.inserted[0] != '\0' || g->writers == 1)
			g->decided = true;
	}
	if (c->t.inserted[0] != '\0') {
		sim_counts[COUNT_DECIDED]++;
		g->decided = true;
		v = add_verdict(
		    &world.shards[c->shard], c->t.inserted, TXN_VERDICT_COMMIT);
		v->flushed = flushed;
		snprintf(
		    v->participants, sizeof v->participants, "%s", c->t.participants);
	}
	end_transaction(conn);
}

static enum next
do_commit(int conn)
{
	struct conn *c = net_conn(conn);

	c->tag = "COMMIT";
	if (!c->t.open)
		return GO_ON;
	if (c->t.failed) {
		c->tag = "ROLLBACK";
		end_transaction(conn);
		return GO_ON;
	}
	if (c->t.deed == TXN_LOCKED && c->t.inserted[0] == '\0')
		check_locks_given_up(&c->t);
	if (c->t.flags & FAIL_PREPARE)
		return fail_at_end(conn, c->t.deed == TXN_WROTE ? "23503" : "40001");
	if (c->t.deed != TXN_WROTE && c->t.inserted[0] == '\0') {
		end_transaction(conn);
		return GO_ON;
	}
	if (!c->t.no_sync)
		return flush(conn, OP_COMMIT);
	apply_commit(conn, false);
	return GO_ON;
}

static enum next
do_prepare(int conn, const char *stmt)
{
	struct conn *c = net_conn(conn);
	char gid[GID_MAX];

	if (!c->t.open || c->t.failed) {
		c->tag = "ROLLBACK";
		end_transaction(conn);
		return GO_ON;
	}
	if (c->t.flags & FAIL_PREPARE)
		return fail_at_end(conn, "23503");
	argument(stmt, 1, gid, sizeof gid);
	if (find_prepared(&world.shards[c->shard], gid) != NULL)
		check_fail("gid %s is prepared twice", gid);
	c->rest = stmt;
	return flush(conn, OP_PREPARE);
}

static void
apply_prepare(int conn)
{
	struct conn *c = net_conn(conn);
	struct shard *s = &world.shards[c->shard];
	struct prepared *p;

	if (s->n_prepared == ROWS_MAX)
		abort();
	p = &s->prepared[s->n_prepared++];
	*p = (struct prepared){.gtxn = c->t.gtxn, .part = c->t.part, .at = world.now};
	p->busy = -1;
	argument(c->rest, 1, p->gid, sizeof p->gid);
	c->tag = "PREPARE TRANSACTION";
	end_transaction(conn);
}

/* COMMIT PREPARED, ROLLBACK PREPARED. */
static enum next
do_finish(int conn, const char *stmt)
{
	struct conn *c = net_conn(conn);
	struct shard *s = &world.shards[c->shard];
	struct prepared *p;
	char gid[GID_MAX];

	argument(stmt, 1, gid, sizeof gid);
	p = find_prepared(s, gid);
	if (p == NULL)
		return fail(conn, "42704");
	if (p->busy >= 0)
		return fail(conn, "55000");
	if (maybe(world.p_disk_full))
		return fail(conn, "53100");
	p->busy = conn;
	c->rest = stmt;
	return flush(conn, OP_FINISH);
}

static void
apply_finish(int conn)
{
	struct conn *c = net_conn(conn);
	struct shard *s = &world.shards[c->shard];
	bool commit = statement_is(c->rest, "COMMIT");
	struct prepared *p;
	char gid[GID_MAX];

	argument(c->rest, 1, gid, sizeof gid);
	p = find_prepared(s, gid);
	if (p == NULL)
		return; /* cannot be: it is busy */
	if (commit && world.txns[p->gtxn].deed[p->part] == TXN_WROTE)
		world.txns[p->gtxn].committed[c->shard] = true;
	s->undone = *p;
	s->undone.busy = -1;
	s->undone_committed = commit;
	s->undone_at = world.now;
	*p = s->prepared[--s->n_prepared];
	c->tag = commit ? "COMMIT PREPARED" : "ROLLBACK PREPARED";
}

/* ---- statements of recovery ---- */

static struct row *
add_row(struct conn *c)
{
	struct reply *r = c->rows;

	if (r == NULL) {
		r = c->rows = ARENA_NEW(&world.arena, struct reply);
		r->rows = ARENA_NEW_N(&world.arena, struct row, ROWS_MAX);
	}
	return &r->rows[r->n_rows++];
}

static void
add_value(struct conn *c, const char *text)
{
	struct row *r = add_row(c);

	snprintf(r->a, sizeof r->a, "%s", text);
}

static enum next
do_abort(int conn, const char *stmt)
{
	struct conn *c = net_conn(conn);
	struct shard *s = &world.shards[c->shard];
	struct verdict *v;
	struct gid g;
	char key[TXN_KEY_SIZE];
	int other;

	argument(stmt, 1, key, sizeof key);
	if (!txn_key_parse(slice_of(key), &g) ||
	    !txn_identity_eq(&g.anchor, &s->identity))
		return fail(conn, "55000");
	c->tag = "SELECT 1";
	v = find_verdict(s, key);
	if (v != NULL && !MUTANT(OVERWRITE)) {
		add_value(c, v->verdict == TXN_VERDICT_COMMIT ? "commit" : "abort");
		return GO_ON;
	}
	if (MUTANT(ASK_ONLY)) {
		add_value(c, "abort");
		return GO_ON;
	}
	other = inserter(c->shard, key, conn);
	if (other >= 0)
		return wait_for(conn, other, true);
	snprintf(c->inserting, sizeof c->inserting, "%s", key);
	return flush(conn, OP_ABORT);
}

static void
apply_abort(int conn)
{
	struct conn *c = net_conn(conn);
	struct verdict *v =
	    add_verdict(&world.shards[c->shard], c->inserting, TXN_VERDICT_ABORT);

	for (int i = 0; i < net_count() && v->n_vxids < 64; i++) {
		const struct conn *o = net_conn(i);

		if (o->shard == c->shard && !o->server_closed && o->t.open &&
		    !o->t.failed)
			v->vxids[v->n_vxids++] = o->t.vxid;
	}
	c->inserting[0] = '\0';
	add_value(c, "abort");
	wake_waiters(conn);
}

static bool
vxid_open(int shard, uint64_t vxid)
{
	for (int i = 0; i < net_count(); i++) {
		const struct conn *c = net_conn(i);

		if (c->shard == shard && !c->server_closed && c->t.open && !c->t.failed &&
		    c->t.vxid == vxid)
			return true;
	}
	return false;
}

static enum next
do_forget_aborts(int conn)
{
	struct conn *c = net_conn(conn);
	struct shard *s = &world.shards[c->shard];

	for (int i = s->n_verdicts - 1; i >= 0; i--) {
		struct verdict *v = &s->verdicts[i];
		bool open = v->verdict == TXN_VERDICT_COMMIT;

		for (int j = 0; j < v->n_vxids && !MUTANT(FORGET_ABORT_EARLY); j++)
			open = open || vxid_open(c->shard, v->vxids[j]);
		if (!open)
			remove_verdict(c->shard, v);
	}
	c->tag = "SELECT 1";
	return GO_ON;
}

static bool
old_enough(const struct verdict *v)
{
	return v->verdict == TXN_VERDICT_COMMIT &&
	    v->at + world.retention_us <= world.now;
}

static enum next
do_old(int conn)
{
	struct conn *c = net_conn(conn);
	struct shard *s = &world.shards[c->shard];

	for (int i = 0; i < s->n_verdicts; i++) {
		struct row *r;

		if (!old_enough(&s->verdicts[i]))
			continue;
		r = add_row(c);
		snprintf(r->a, sizeof r->a, "%s", s->verdicts[i].key);
		snprintf(r->b, sizeof r->b, "%s", s->verdicts[i].participants);
	}
	c->tag = "SELECT 1";
	return GO_ON;
}

static enum next
do_forget(int conn, const char *stmt)
{
	struct conn *c = net_conn(conn);
	struct verdict *v;
	char key[TXN_KEY_SIZE];

	argument(stmt, 1, key, sizeof key);
	v = find_verdict(&world.shards[c->shard], key);
	if (v != NULL && old_enough(v))
		remove_verdict(c->shard, v);
	c->tag = "SELECT 1";
	return GO_ON;
}

static enum next
do_list(int conn)
{
	struct conn *c = net_conn(conn);
	struct shard *s = &world.shards[c->shard];

	for (int i = 0; i < s->n_prepared; i++) {
		struct row *r = add_row(c);

		snprintf(r->a, sizeof r->a, "%s", s->prepared[i].gid);
		r->age_s = (double)(world.now - s->prepared[i].at) / 1e6;
	}
	c->tag = "SELECT 1";
	return GO_ON;
}

static enum next
do_is_prepared(int conn, const char *stmt)
{
	struct conn *c = net_conn(conn);
	char gid[GID_MAX];

	argument(stmt, 1, gid, sizeof gid);
	if (find_prepared(&world.shards[c->shard], gid) != NULL)
		add_value(c, "1");
	c->tag = "SELECT 1";
	return GO_ON;
}

/* ---- dispatch ---- */

static enum next
execute(int conn, const char *stmt)
{
	struct conn *c = net_conn(conn);

	if (statement_is(stmt, "BEGIN"))
		return do_begin(conn, stmt);
	if (statement_is(stmt, "COMMIT PREPARED") ||
	    statement_is(stmt, "ROLLBACK PREPARED"))
		return do_finish(conn, stmt);
	if (statement_is(stmt, "COMMIT"))
		return do_commit(conn);
	if (statement_is(stmt, "PREPARE TRANSACTION"))
		return do_prepare(conn, stmt);
	if (statement_is(stmt, "ROLLBACK")) {
		c->tag = "ROLLBACK";
		end_transaction(conn);
		return GO_ON;
	}
	if (c->t.open && c->t.failed)
		return fail(conn, "25P02");
	if (statement_is(stmt, "SELECT weir.txn_commit("))
		return do_decide(conn, stmt);
	if (statement_is(stmt, "SELECT weir.txn_abort("))
		return do_abort(conn, stmt);
	if (statement_is(stmt, "SELECT weir.txn_forget_aborts("))
		return do_forget_aborts(conn);
	if (statement_is(stmt, "SELECT weir.txn_forget("))
		return do_forget(conn, stmt);
	if (statement_is(stmt, "SELECT gid, participants"))
		return do_old(conn);
	if (statement_is(stmt, "SELECT gid, owner"))
		return do_list(conn);
	if (statement_is(stmt, "SELECT 1 FROM pg_catalog.pg_prepared_xacts"))
		return do_is_prepared(conn, stmt);
	if (statement_is(stmt, "SELECT pg_catalog.set_config("))
		c->t.no_sync = false;
	else if (strcmp(stmt, "SELECT 1") != 0)
		check_fail("what is this? %s", stmt);
	c->tag = "SELECT 1";
	return GO_ON;
}

/* Up to the next "; ", which no argument holds. */
static char *
first_statement(const char *rest, const char **after)
{
	const char *end = strstr(rest, "; ");

	*after = end == NULL ? "" : end + 2;
	return end == NULL ? arena_strdup(&world.arena, rest)
			   : arena_strndup(&world.arena, rest, (size_t)(end - rest));
}

static void
run(int conn)
{
	while (net_conn(conn)->rest != NULL && *net_conn(conn)->rest != '\0') {
		const char *rest = net_conn(conn)->rest, *after;
		char *stmt = first_statement(rest, &after);

		switch (execute(conn, stmt)) {
		case WAIT:
			return;
		case FAIL:
			return;
		case GO_ON:
			net_conn(conn)->rest = after;
		}
	}
	answer(conn, NULL);
}

void
shard_receive(int conn, const char *text)
{
	struct conn *c = net_conn(conn);
	struct shard *s = &world.shards[c->shard];

	if (c->rest != NULL)
		check_fail("a statement is sent before the last was answered");
	if (s->messages++ == world.crash_shard_at && world.now < world.calm_at &&
	    pick(2)) {
		shard_crash(c->shard);
		return;
	}
	c->rest = text;
	run(conn);
}

void
shard_flushed(int conn, int stage)
{
	struct conn *c = net_conn(conn);
	enum op op = c->op;
	const char *after;

	if (c->server_closed || stage != c->op_stage || op == OP_NONE)
		return;
	c->op = OP_NONE;
	(void)first_statement(c->rest, &after);
	if (op == OP_COMMIT)
		apply_commit(conn, true);
	else if (op == OP_PREPARE)
		apply_prepare(conn);
	else if (op == OP_FINISH)
		apply_finish(conn);
	else
		apply_abort(conn);
	c = net_conn(conn);
	c->rest = after;
	/* crash between the flush and the answer */
	if (world.shards[c->shard].messages == world.crash_shard_at &&
	    world.now < world.calm_at) {
		world.crash_shard_at = -1;
		shard_crash(c->shard);
		return;
	}
	run(conn);
}

void
shard_lock_timeout(int conn, int no)
{
	struct conn *c = net_conn(conn);

	if (c->server_closed || c->waits_for < 0 || c->wait_no != no)
		return;
	c->waits_for = -1;
	(void)fail(conn, "55P03");
}

/* A backend reads the end of its connection once it is idle: answer(). */
void
shard_client_gone(int conn)
{
	struct conn *c = net_conn(conn);

	c->server_end_seen = true;
	if (c->rest == NULL)
		leave(conn);
}

/* ---- crashes ---- */

/* A replica takes over that has not seen the last COMMIT or ROLLBACK PREPARED: it has the transaction prepared again. */
static void
fail_over(int shard)
{
	struct shard *s = &world.shards[shard];
	struct prepared *u = &s->undone;
	struct verdict *v = NULL;

	if (u->gid[0] == '\0' || s->undone_at + SECOND < world.now)
		return;
	for (int i = 0; i < world.n_shards && v == NULL; i++)
		v = find_verdict(&world.shards[i], world.txns[u->gtxn].key);
	/* what txn_retention is for: the verdict is there, and stays for longer than recovery takes */
	if (s->undone_committed &&
	    (v == NULL || world.retention_us < 20 * SECOND ||
		v->at + world.retention_us / 2 < world.now))
		return;
	sim_counts[COUNT_FAILED_OVER]++;
	note("shard %d fails over; %s is prepared again", shard, u->gid + 38);
	if (s->undone_committed)
		world.txns[u->gtxn].committed[shard] = false;
	s->prepared[s->n_prepared++] = *u;
	u->gid[0] = '\0';
}

void
shard_crash(int shard)
{
	struct shard *s = &world.shards[shard];

	note("shard %d crashes", shard);
	s->up = false;
	s->epoch++;
	for (int i = 0; i < net_count(); i++) {
		struct conn *c = net_conn(i);

		if (c->shard != shard || c->server_closed)
			continue;
		c->t = (struct stxn){.open = false};
		c->inserting[0] = '\0';
		c->waits_for = -1;
	}
	net_server_died(shard);
	for (int i = 0; i < s->n_prepared; i++)
		s->prepared[i].busy = -1;
	for (int i = s->n_verdicts - 1; i >= 0; i--)
		if (!s->verdicts[i].flushed && s->verdicts[i].at + 600 * MS > world.now) {
			struct gtxn *g = &world.txns[s->verdicts[i].gtxn];

			/* the anchor's own rows are in the same commit */
			g->committed[shard] = false;
			s->verdicts[i] = s->verdicts[--s->n_verdicts];
		}
	if (pick(3) == 0)
		fail_over(shard);
	at(world.now +
		(pick(4) == 0 ? between(SECOND, 90 * SECOND) : between(MS, SECOND)),
	    EV_START_SHARD, shard, 0, NULL);
}

void
shard_start(int shard)
{
	note("shard %d starts", shard);
	world.shards[shard].up = true;
}
