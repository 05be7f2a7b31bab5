#include "router/txn/recover.h"

#include <stdio.h>
#include <stdlib.h>

#ifndef MUTANT /* tests/sim */
#define MUTANT(name) false
#endif

static const struct {
	const char *name, *text;
	bool done;
} results[] = {
#define RESULT(id, name, done, doc) [RECOVER_##id] = {name, doc, done},
#include "router/txn/recover_result.def"
};

const char *
recover_result_name(enum recover_result r)
{
	return results[r].name;
}

const char *
recover_result_text(enum recover_result r)
{
	return results[r].text;
}

bool
recover_result_done(enum recover_result r)
{
	return results[r].done;
}

/* ---- one prepared transaction ---- */

void
recover_verdict_sql(const char *key, char *out, size_t size)
{
	snprintf(out, size, "SELECT weir.txn_abort('%s')", key);
}

enum txn_verdict
recover_verdict(const struct recover_reply *r)
{
	if (r->lost || r->sqlstate != NULL || r->value == NULL)
		return TXN_VERDICT_UNKNOWN;
	if (strcmp(r->value, "commit") == 0)
		return TXN_VERDICT_COMMIT;
	return strcmp(r->value, "abort") == 0 ? TXN_VERDICT_ABORT : TXN_VERDICT_UNKNOWN;
}

enum txn_verdict
recover_believe(enum txn_verdict v, uint64_t age_us, uint64_t retention_us)
{
	if (v == TXN_VERDICT_ABORT && age_us > retention_us / 2 && !MUTANT(BELIEVE_LATE))
		return TXN_VERDICT_UNKNOWN;
	return v;
}

static enum recover_where
end(struct recover *r, enum recover_result result)
{
	r->state = RECOVER_DONE;
	r->result = result;
	return RECOVER_END;
}

static enum recover_where
finish(struct recover *r, enum txn_verdict verdict)
{
	r->state = RECOVER_FINISHING;
	r->verdict = verdict;
	snprintf(r->sql, sizeof r->sql, "%s PREPARED '%s'",
	    verdict == TXN_VERDICT_COMMIT ? "COMMIT" : "ROLLBACK", r->name);
	return RECOVER_ON_HOLDER;
}

enum recover_where
recover_begin(struct recover *r, const struct gid *g)
{
	*r = (struct recover){.gid = *g, .state = RECOVER_ASKING};
	r->verdict = TXN_VERDICT_UNKNOWN;
	gid_print(g->key, g->part, r->name);
	if (MUTANT(PRESUME_ABORT))
		return finish(r, TXN_VERDICT_ABORT);
	recover_verdict_sql(g->key, r->sql, sizeof r->sql);
	return RECOVER_ON_ANCHOR;
}

static bool
is(const struct recover_reply *reply, const char *sqlstate)
{
	return reply->sqlstate != NULL && strcmp(reply->sqlstate, sqlstate) == 0;
}

static enum recover_result
why_no_verdict(const struct recover_reply *reply)
{
	if (reply->lost)
		return RECOVER_ANCHOR_DOWN;
	if (is(reply, "55P03") || is(reply, "40001") || is(reply, "57014"))
		return RECOVER_ANCHOR_BUSY;
	if (is(reply,
		"55000")) /* weir.txn_abort(): another shard's identity is in the name */
		return RECOVER_NO_ANCHOR;
	if (is(reply, "42501") || is(reply, "3F000") || is(reply, "42883") ||
	    is(reply, "42P01"))
		return RECOVER_NO_CATALOG;
	return RECOVER_FAILED;
}

static enum recover_result
how_finished(const struct recover *r, const struct recover_reply *reply)
{
	if (reply->lost)
		return RECOVER_HOLDER_DOWN;
	if (reply->sqlstate == NULL)
		return r->verdict == TXN_VERDICT_COMMIT ? RECOVER_COMMITTED
							: RECOVER_ROLLED_BACK;
	if (is(reply, "42704"))
		return RECOVER_GONE;
	if (is(reply, "42501"))
		return RECOVER_DENIED;
	return is(reply, "55000") ? RECOVER_BUSY : RECOVER_FAILED;
}

enum recover_where
recover_reply(struct recover *r, const struct recover_reply *reply)
{
	enum txn_verdict v;

	if (r->state == RECOVER_FINISHING)
		return end(r, how_finished(r, reply));
	v = recover_verdict(reply);
	if (v == TXN_VERDICT_UNKNOWN)
		return end(r, why_no_verdict(reply));
	return finish(r, v);
}

/* ---- removal of a 'commit' ---- */

static unsigned long long
milliseconds(uint64_t us)
{
	return (unsigned long long)(us / 1000);
}

void
sweep_old_sql(uint64_t retention_us, char *out, size_t size)
{
	snprintf(out, size,
	    "SELECT gid, participants::text FROM weir.txn_old('%llu milliseconds')",
	    milliseconds(retention_us));
}

static enum sweep_where
sweep_end(struct sweep *s, enum sweep_result result)
{
	s->result = result;
	return SWEEP_END;
}

static enum sweep_where
sweep_delete(struct sweep *s)
{
	s->deleting = true;
	snprintf(s->sql, sizeof s->sql,
	    "SELECT weir.txn_forget('%s', '%llu milliseconds')", s->key,
	    milliseconds(s->retention_us));
	return SWEEP_ON_ANCHOR;
}

/* Asks the next participant; without any left the verdict may go. */
static enum sweep_where
sweep_next(struct sweep *s)
{
	char *end;
	long part;
	char gid[GID_MAX];

	if (MUTANT(REMOVE_EARLY))
		return sweep_delete(s);
	if (*s->rest == '}' && s->rest[1] == '\0')
		return sweep_delete(s);
	if (*s->rest == ',')
		s->rest++;
	part = strtol(s->rest, &end, 10);
	if (end == s->rest || *end != ':' || part < 0 || part >= TXN_PARTS_MAX ||
	    strlen(end + 1) < TXN_IDENTITY_LEN ||
	    !txn_identity_parse(
		(struct slice){end + 1, TXN_IDENTITY_LEN}, &s->participant))
		return sweep_end(s, SWEEP_BAD);
	s->rest = end + 1 + TXN_IDENTITY_LEN;
	gid_print(s->key, (int)part, gid);
	snprintf(s->sql, sizeof s->sql,
	    "SELECT 1 FROM pg_catalog.pg_prepared_xacts WHERE gid OPERATOR(pg_catalog.=) '%s'",
	    gid);
	return SWEEP_ON_PARTICIPANT;
}

enum sweep_where
sweep_begin(
    struct sweep *s, struct slice key, const char *participants, uint64_t retention_us)
{
	struct gid g;

	*s = (struct sweep){.retention_us = retention_us};
	if (!txn_key_parse(key, &g) || *participants != '{')
		return sweep_end(s, SWEEP_BAD);
	memcpy(s->key, g.key, sizeof s->key);
	s->rest = participants + 1;
	return sweep_next(s);
}

enum sweep_where
sweep_reply(struct sweep *s, const struct recover_reply *reply)
{
	if (reply->lost || reply->sqlstate != NULL)
		return sweep_end(s, SWEEP_UNREACHABLE);
	if (s->deleting)
		return sweep_end(s, SWEEP_REMOVED);
	if (reply->value != NULL)
		return sweep_end(s, SWEEP_PREPARED);
	return sweep_next(s);
}
