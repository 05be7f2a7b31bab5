/* Writes over shards: in a transaction block of Weir's own where the client has none, so that all shards commit or none does. */
#include <stdio.h>
#include <stdlib.h>

#include "router/session/scatter.h"

static bool
writes_on(const struct multi_fragment *f, int shard)
{
	return (f->shards[shard / 64] >> (shard % 64)) & 1;
}

/* Fragment by fragment, the shards ascending: the merger's inputs. False: a shard has two. */
bool
scatter_write_inputs(struct scatter *sc)
{
	int n = 0;

	for (int i = 0; i < sc->n_shards; i++)
		sc->shards[i].branch->index = -1;
	for (int f = 0; f < sc->multi.n_fragments; f++)
		for (int i = 0; i < sc->n_shards; i++) {
			struct branch *b = sc->shards[i].branch;

			if (!writes_on(&sc->multi.fragments[f], b->shard))
				continue;
			if (b->index >= 0)
				return false;
			b->index = n++;
			sc->shards[i].fragment = f;
		}
	return true;
}

/* "INSERT 0 5", "UPDATE 5": the number at the end. */
static uint64_t
count_of(struct slice tag)
{
	const char *space = memrchr(tag.ptr, ' ', tag.len);

	return space == NULL ? 0 : strtoull(space + 1, NULL, 10);
}

/* One shard's tag; its body ends with a zero. */
void
scatter_write_tag(struct scatter *sc, struct branch *b, struct slice body)
{
	uint64_t n = count_of(body);
	const char *space = memrchr(body.ptr, ' ', body.len);
	struct err e;

	if (sc->tags++ == 0) {
		sc->count = n;
		snprintf(sc->tag, sizeof sc->tag, "%.*s",
		    (int)(space == NULL ? (size_t)0 : (size_t)(space - body.ptr)),
		    body.ptr);
	} else if (!sc->multi.same_count) {
		sc->count += n;
	} else if (sc->count != n) {
		(void)err_set(&e, "XX000", BLAST_TXN,
		    "the copies of a reference table differ: shard %s wrote %llu rows, another %llu",
		    sc->session->db->cluster->shards[b->shard].name,
		    (unsigned long long)n, (unsigned long long)sc->count);
		err_hint(&e,
		    "Nothing is changed. Make the copies equal, with SET weir.shard for each.");
		scatter_fail(sc, &e);
	}
}

void
scatter_write_whole_tag(struct scatter *sc, char *out, size_t size)
{
	snprintf(out, size, "%s %llu", sc->tag, (unsigned long long)sc->count);
}

/* ---- a block of Weir's own ---- */

void
scatter_own_block(struct scatter *sc)
{
	struct exec *x = sc->session->x;

	sc->own_block = true;
	x->begin = strdup("BEGIN");
	if (x->begin == NULL)
		abort();
	x->begun = false;
	x->log_done = 0;
}

static void
committed(struct session *s)
{
	struct scatter *sc = s->x->scatter;
	const char *tag;
	struct err e;

	sc->own_block = false;
	if (ending_result(s, &tag, &e) == RC_OK) {
		scatter_finish(sc, sc->tag);
		return;
	}
	sc->error = e;
	scatter_report(sc);
}

static void
rolled_back(struct session *s)
{
	struct scatter *sc = s->x->scatter;
	const char *tag;
	struct err e;

	sc->own_block = false;
	(void)!ending_result(s, &tag, &e);
	scatter_report(sc);
}

/* The last step of a statement that has its own block. */
void
scatter_end_block(struct scatter *sc, bool commit)
{
	struct session *s = sc->session;

	if (!list_empty(&s->x->branches)) {
		ending_begin(s, commit, commit ? committed : rolled_back);
		return;
	}
	effects_transaction_over(s, false);
	sc->own_block = false;
	scatter_report(sc);
}
