#include "router/recovery/pass.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"

void
pass_init(struct pass *p, struct site *s)
{
	*p = (struct pass){.site = s};
	arena_init(&p->arena);
}

void
pass_fini(struct pass *p)
{
	free(p->found);
	arena_reset(&p->arena);
}

/* ---- finding ---- */

static struct found *
add(struct pass *p)
{
	if (p->n == p->cap) {
		p->cap = p->cap == 0 ? 16 : 2 * p->cap;
		p->found = realloc(p->found, (size_t)p->cap * sizeof *p->found);
		if (p->found == NULL)
			abort();
	}
	p->found[p->n] = (struct found){.anchor_index = -1};
	p->found[p->n].verdict = TXN_VERDICT_UNKNOWN;
	return &p->found[p->n++];
}

/* What only begins like one of ours is left alone. */
static void
add_row(struct pass *p, int shard, const PGresult *r, int row)
{
	const struct db_conf *db = p->site->cluster->conf;
	struct found *f;
	struct gid g;

	if (!gid_parse(slice_of(PQgetvalue(r, row, 0)), &g))
		return;
	f = add(p);
	gid_print(g.key, g.part, f->gid);
	memcpy(f->key, g.key, sizeof f->key);
	snprintf(f->owner, sizeof f->owner, "%s", PQgetvalue(r, row, 1));
	f->shard_index = shard;
	f->shard = p->site->shards[shard].name;
	f->anchor_index = site_shard_of(p->site, &g.anchor);
	f->anchor = f->anchor_index < 0 ? NULL : p->site->shards[f->anchor_index].name;
	f->age_s = strtod(PQgetvalue(r, row, 2), NULL);
	f->foreign_database = PQgetvalue(r, row, 3)[0] != 't';
	f->active = txn_is_active(f->key);
	f->young = f->age_s * 1e6 < (double)db->settings.recovery_grace_us;
}

void
pass_list(struct pass *p)
{
	for (int i = 0; i < p->site->n; i++) {
		PGresult *r = site_run(p->site, i, NULL, RECOVER_SQL_LIST);

		if (PQresultStatus(r) != PGRES_TUPLES_OK)
			p->unreachable++;
		for (int row = 0; row < PQntuples(r); row++)
			add_row(p, i, r, row);
		PQclear(r);
	}
}

void
pass_look(struct pass *p, struct found *f)
{
	struct recover_reply reply;
	char sql[200];
	PGresult *r;

	if (f->anchor_index < 0)
		return;
	snprintf(sql, sizeof sql, "SELECT weir.txn_verdict('%s')", f->key);
	r = site_run(p->site, f->anchor_index, NULL, sql);
	reply = site_reply(r);
	f->verdict = recover_verdict(&reply);
	PQclear(r);
}

/* ---- finishing ---- */

static void
keep_error(struct found *f, const PGresult *r)
{
	const char *m = r == NULL ? NULL : PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	snprintf(f->error, sizeof f->error, "%s", m == NULL ? "" : m);
}

static PGresult *
carry_out(
    struct pass *p, struct found *f, const struct recover *r, enum recover_where where)
{
	FAULT_AT("recovery", "step");
	if (where == RECOVER_ON_ANCHOR)
		return site_run(p->site, f->anchor_index, NULL, r->sql);
	return site_run(p->site, f->shard_index, f->owner, r->sql);
}

void
pass_recover(struct pass *p, struct found *f)
{
	struct recover r;
	struct gid g;
	enum recover_where where;

	f->tried = true;
	if (f->foreign_database || !gid_parse(slice_of(f->gid), &g)) {
		f->result = RECOVER_FAILED;
		snprintf(f->error, sizeof f->error, "it is of another database");
		return;
	}
	if (f->anchor_index < 0) {
		f->result =
		    site_incomplete(p->site) ? RECOVER_ANCHOR_DOWN : RECOVER_NO_ANCHOR;
		return;
	}
	for (where = recover_begin(&r, &g); where != RECOVER_END;) {
		PGresult *result = carry_out(p, f, &r, where);
		struct recover_reply reply = site_reply(result);

		where = recover_reply(&r, &reply);
		keep_error(f, result);
		PQclear(result);
	}
	f->verdict = r.verdict;
	f->result = r.result;
}

void
pass_force(struct pass *p, struct found *f, enum txn_verdict v)
{
	char sql[GID_MAX + 40];
	struct recover_reply reply;
	PGresult *r;

	snprintf(sql, sizeof sql, "%s PREPARED '%s'",
	    v == TXN_VERDICT_COMMIT ? "COMMIT" : "ROLLBACK", f->gid);
	r = site_run(p->site, f->shard_index, f->owner, sql);
	reply = site_reply(r);
	keep_error(f, r);
	f->tried = true;
	f->verdict = v;
	f->result = reply.lost        ? RECOVER_HOLDER_DOWN
	    : reply.sqlstate != NULL  ? RECOVER_FAILED
	    : v == TXN_VERDICT_COMMIT ? RECOVER_COMMITTED
				      : RECOVER_ROLLED_BACK;
	PQclear(r);
}

void
pass_recover_all(struct pass *p)
{
	for (int i = 0; i < p->n; i++) {
		struct found *f = &p->found[i];

		if (!f->foreign_database && !f->active && !f->young)
			pass_recover(p, f);
	}
}

enum txn_verdict
pass_settle(struct site *s, const char *key)
{
	char sql[200];
	struct recover_reply reply;
	enum txn_verdict v;
	struct gid g;
	PGresult *r;
	int anchor;

	if (!txn_key_parse(slice_of(key), &g) ||
	    (anchor = site_shard_of(s, &g.anchor)) < 0)
		return TXN_VERDICT_UNKNOWN;
	recover_verdict_sql(key, sql, sizeof sql);
	r = site_run(s, anchor, NULL, sql);
	reply = site_reply(r);
	v = recover_verdict(&reply);
	PQclear(r);
	return v;
}

/* ---- verdicts that can go ---- */

static void
sweep_one(struct pass *p, int anchor, struct slice key, const char *participants)
{
	uint64_t retention_us = p->site->cluster->conf->settings.txn_retention_us;
	struct sweep s;
	enum sweep_where where = sweep_begin(&s, key, participants, retention_us);

	while (where != SWEEP_END) {
		int shard = where == SWEEP_ON_ANCHOR
		    ? anchor
		    : site_shard_of(p->site, &s.participant);
		PGresult *r = shard < 0 ? NULL : site_run(p->site, shard, NULL, s.sql);
		struct recover_reply reply = site_reply(r);

		where = sweep_reply(&s, &reply);
		PQclear(r);
	}
	p->removed_commits += s.result == SWEEP_REMOVED;
}

static void
sweep_shard(struct pass *p, int shard)
{
	char sql[200];
	PGresult *r = site_run(p->site, shard, NULL, RECOVER_SQL_FORGET_ABORTS);
	struct recover_reply reply = site_reply(r);

	if (reply.value != NULL)
		p->removed_aborts += strtoull(reply.value, NULL, 10);
	PQclear(r);
	sweep_old_sql(p->site->cluster->conf->settings.txn_retention_us, sql, sizeof sql);
	r = site_run(p->site, shard, NULL, sql);
	for (int i = 0; PQresultStatus(r) == PGRES_TUPLES_OK && i < PQntuples(r); i++)
		sweep_one(p, shard, slice_of(PQgetvalue(r, i, 0)), PQgetvalue(r, i, 1));
	PQclear(r);
}

void
pass_sweep(struct pass *p)
{
	for (int i = 0; i < p->site->n; i++)
		if (txn_identity_known(&p->site->shards[i].identity))
			sweep_shard(p, i);
}
