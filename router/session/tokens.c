/* Read your writes. After a commit a session owes itself that its reads see it: per shard it keeps either the time of the commit (any LSN that
 * the primary reports in a probe sent later covers it) or an LSN that was given to it. Nothing is fetched for a session that
 * does not read from replicas. */
#include "router/session/session.h"

#include <stdio.h>
#include <stdlib.h>

static struct read_token *
slot(struct session *s, int shard)
{
	struct tokens *t = s->tokens;

	for (int i = 0; t != NULL && i < t->n; i++)
		if (t->v[i].shard == shard)
			return &t->v[i].token;
	return NULL;
}

static struct read_token *
slot_make(struct session *s, int shard)
{
	struct read_token *found = slot(s, shard);
	struct tokens *t = s->tokens;

	if (found != NULL)
		return found;
	if (t == NULL || t->n == t->cap) {
		int cap = t == NULL ? 1 : t->cap * 2;

		t = realloc(t, sizeof *t + sizeof t->v[0] * (size_t)cap);
		if (t == NULL)
			abort();
		if (s->tokens == NULL)
			t->n = 0;
		t->cap = cap;
		s->tokens = t;
	}
	memset(&t->v[t->n], 0, sizeof t->v[0]);
	t->v[t->n].shard = shard;
	return &t->v[t->n++].token;
}

void
tokens_wrote(struct session *s, int shard)
{
	if (shard < 0 || s->db->cluster->shards[shard].n < 2 ||
	    !CONFIG_VALUE(s->identity->conf, s->db->cluster->conf, read_your_writes))
		return;
	slot_make(s, shard)->written_us = loop_now_us(s->w->loop);
}

const struct read_token *
tokens_get(struct session *s, int shard)
{
	return slot(s, shard);
}

static struct backend *
primary_of(struct session *s, int shard)
{
	struct cluster_shard *c = &s->db->cluster->shards[shard];

	return choose_primary(c->backends, c->n);
}

/* Turns "written at" into an LSN where a later probe of the primary has one. */
static bool
settle(struct session *s, struct shard_token *t)
{
	struct backend *primary;
	uint64_t lsn;

	if (t->token.written_us == 0)
		return true;
	primary = primary_of(s, t->shard);
	if (primary == NULL || atomic_load(&primary->probed_us) <= t->token.written_us)
		return false;
	lsn = atomic_load(&primary->lsn);
	if (lsn > t->token.lsn)
		t->token.lsn = lsn;
	t->token.timeline = atomic_load(&primary->timeline);
	t->token.written_us = 0;
	return true;
}

enum rc
tokens_print(struct session *s, struct arena *a, const char **text, struct err *e)
{
	struct tokens *t = s->tokens;

	*text = "";
	for (int i = 0; t != NULL && i < t->n; i++) {
		struct read_token *k = &t->v[i].token;

		if (!settle(s, &t->v[i]))
			return s->x->gave_up
			    ? err_set(e, "08001", BLAST_STMT,
				  "the primary of shard %s does not say where its log is",
				  s->db->cluster->shards[t->v[i].shard].name)
			    : RC_AGAIN;
		*text = arena_printf(a, "%s%s%s:%X/%X@%u", *text, i > 0 ? "," : "",
		    s->db->cluster->shards[t->v[i].shard].name, (unsigned)(k->lsn >> 32),
		    (unsigned)k->lsn, k->timeline);
	}
	return RC_OK;
}

/* The primaries are probed now; the session is woken by the results. */
void
tokens_wait(struct session *s, void (*again)(struct session *))
{
	uint64_t until = loop_now_us(s->w->loop) + 2000000;

	for (int i = 0; i < s->tokens->n; i++)
		for (int j = 0; j < s->db->cluster->shards[s->tokens->v[i].shard].n; j++)
			health_hurry(s->w->proc->health,
			    s->db->cluster->shards[s->tokens->v[i].shard].backends[j],
			    until);
	s->x->resume = again;
	session_park(s, BLOCK_LSN, 2000000);
}

static enum rc
parse_one(struct session *s, char *item, struct err *e)
{
	struct cluster *c = s->db->cluster;
	char *colon = strrchr(item, ':');
	unsigned hi, lo, timeline;
	struct read_token *t;
	char rest;

	if (colon != NULL &&
	    sscanf(colon + 1, "%8X/%8X@%u%c", &hi, &lo, &timeline, &rest) == 3) {
		*colon = '\0';
		for (int i = 0; i < c->n_shards; i++)
			if (strcmp(c->shards[i].name, item) == 0) {
				t = slot_make(s, i);
				if (((uint64_t)hi << 32 | lo) > t->lsn)
					t->lsn = (uint64_t)hi << 32 | lo;
				t->timeline = timeline;
				return RC_OK;
			}
		return err_set(e, "22023", BLAST_TXN,
		    "weir.read_after names shard \"%s\", which database %s does not have",
		    item, c->name);
	}
	(void)err_set(e, "22023", BLAST_TXN,
	    "invalid value for parameter \"weir.read_after\": \"%s\"", item);
	err_hint(e,
	    "It is what SHOW weir.lsn printed: shard:LSN@timeline, separated by commas.");
	return RC_ERR;
}

enum rc
tokens_parse(struct session *s, struct slice text, struct err *e)
{
	char *copy = strndup(text.ptr, text.len), *save = NULL;
	enum rc rc = RC_OK;

	if (text.len == 0) { /* RESET */
		free(s->tokens);
		s->tokens = NULL;
	}
	for (char *item = strtok_r(copy, ", ", &save); item != NULL && rc == RC_OK;
	     item = strtok_r(NULL, ", ", &save))
		rc = parse_one(s, item, e);
	free(copy);
	return rc;
}
