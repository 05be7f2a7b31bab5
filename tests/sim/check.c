/* What must be true. */
#include "tests/sim/sim.h"

#include <stdarg.h>

void
check_fail(const char *fmt, ...)
{
	va_list ap;

	if (world.failure[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(world.failure, sizeof world.failure, fmt, ap);
	va_end(ap);
	note("WRONG: %s", world.failure);
}

static int
count_committed(const struct gtxn *g)
{
	int n = 0;

	for (int i = 0; i < g->n; i++)
		n += g->deed[i] == TXN_WROTE && g->committed[g->shard[i]];
	return n;
}

void
check_verdict_removed(int shard, const struct verdict *v)
{
	for (int s = 0; s < world.n_shards; s++)
		for (int i = 0; i < world.shards[s].n_prepared; i++)
			if (v->verdict == TXN_VERDICT_COMMIT &&
			    world.shards[s].prepared[i].gtxn == v->gtxn)
				check_fail(
				    "'commit' of %d is removed while shard %d has it prepared",
				    v->gtxn, s);
	for (int i = 0; i < net_count(); i++) {
		const struct conn *c = net_conn(i);

		if (v->verdict == TXN_VERDICT_ABORT && c->shard == shard &&
		    !c->server_closed && c->t.open && !c->t.failed &&
		    c->t.gtxn == v->gtxn)
			check_fail(
			    "'abort' of %d is removed while its transaction is open",
			    v->gtxn);
	}
}

/* A participant that holds locks is told to commit: is the decision made? */
void
check_locks_given_up(const struct stxn *t)
{
	const struct gtxn *g = &world.txns[t->gtxn];

	if (g->writers > 0 && !g->best_effort && !g->decided)
		check_fail("%d gives up its locks before the decision", t->gtxn);
}

bool
check_settled(void)
{
	for (int s = 0; s < world.n_shards; s++)
		if (world.shards[s].n_prepared > 0 || world.shards[s].n_verdicts > 0)
			return false;
	return true;
}

static void
check_ended(void)
{
	for (int s = 0; s < world.n_shards; s++) {
		const struct shard *sh = &world.shards[s];

		if (sh->n_prepared > 0)
			check_fail(
			    "shard %d has %s prepared for ever", s, sh->prepared[0].gid);
		if (sh->n_verdicts > 0)
			check_fail("shard %d never forgets %s", s, sh->verdicts[0].key);
	}
	if (!proxies_quiet())
		check_fail("a client is never answered");
}

/* One shard alone, which a crash may lose what it was told not to flush: the application's own wish. */
static bool
may_be_lost(const struct gtxn *g)
{
	for (int i = 0; i < g->n; i++)
		if (g->key[0] == '\0' && g->deed[i] == TXN_WROTE && g->flags[i] & NO_SYNC)
			return true;
	return false;
}

static void
check_txn(int i)
{
	const struct gtxn *g = &world.txns[i];
	int n = count_committed(g);

	if (n > 0 && n < g->writers && !g->best_effort)
		check_fail("%d is committed on %d of %d shards", i, n, g->writers);
	/* a plain reader's end says nothing about the rest */
	for (int p = 0; p < g->n; p++)
		if (g->failed[p] && n > 0 && !g->best_effort &&
		    (g->deed[p] != TXN_READ || g->serializable))
			check_fail(
			    "%d is committed, though participant %d had failed", i, p);
	if (!g->told || may_be_lost(g))
		return;
	if (g->outcome == TXN_COMMITTED && n < g->writers)
		check_fail("the client of %d was told that it is committed", i);
	if (n > 0 && g->outcome != TXN_COMMITTED && g->outcome != TXN_UNKNOWN)
		check_fail("the client of %d was told that it is not committed", i);
}

void
check_end(void)
{
	check_ended();
	for (int i = 0; i < world.n_txns; i++)
		check_txn(i);
}
