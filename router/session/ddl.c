/* DDL and maintenance over shards, outside a transaction: one shard after the other, in their order. The answer of the last one goes to the
 * client; a failure ends it and says where it is done and where not. The server that a session is pinned to is put aside meanwhile, and runs
 * its own shard's part. */
#include "router/session/session.h"

#include <stdio.h>

static void run_next(struct session *s);

static bool
wanted(const struct exec *x, int shard)
{
	return (x->ddl_plan.shards[shard / 64] >> (shard % 64)) & 1;
}

/* The first wanted shard behind `after`, or SHARD_NONE. */
static int
next_shard(const struct session *s, int after)
{
	for (int i = after + 1; i < s->db->cluster->n_shards; i++)
		if (wanted(s->x, i))
			return i;
	return SHARD_NONE;
}

static void
on_server(struct session *s)
{
	struct exec *x = s->x;
	bool last = next_shard(s, x->ddl_shard) == SHARD_NONE;
	struct reply *r = link_push(link_of(s->server), REPLY_QUERY);

	stream_write(&s->server->stream, x->msg.raw.ptr, x->msg.raw.len);
	session_sent(s, &x->plan, x->shape->stmts);
	if (last) {
		session_block(s, BLOCK_REPLIES);
		return;
	}
	r->swallow = r->check = true;
	x->schema_changed = true;
	x->replays = 1;
	x->resume = run_next;
	session_block(s, BLOCK_REPLAY);
}

/* What is done on it counts; a pinned one waits for the end. */
static void
leave_server(struct session *s)
{
	struct exec *x = s->x;
	struct err e;

	if (x->wrote)
		tokens_wrote(s, x->shard);
	x->wrote = false;
	if (s->pins != 0 && x->shard == x->pin_shard)
		(void)branch_stash(s, &e);
	else
		session_release_server(s);
}

static void
run(struct session *s)
{
	struct exec *x = s->x;
	struct plan plan = {.kind = PLAN_ONE, .shard = x->ddl_shard, .sharded = true};
	struct err e;

	if (s->server != NULL && x->shard != x->ddl_shard)
		leave_server(s);

	switch (session_need_server(s, &plan, on_server, &e)) {
	case RC_OK:
		on_server(s);
		break;
	case RC_AGAIN:
		break;
	case RC_ERR:
		ddl_failed(s, &e);
		session_error(s, &e);
		break;
	}
}

static void
run_next(struct session *s)
{
	leave_server(s);
	s->x->ddl_shard = next_shard(s, s->x->ddl_shard);
	run(s);
}

void
ddl_start(struct session *s)
{
	struct exec *x = s->x;
	struct err e;

	if (s->tx != 'I' || (s->server != NULL && s->pins == 0)) {
		(void)err_set(&e, "0A000", BLAST_TXN,
		    "this statement runs on several shards, which %s cannot do yet",
		    s->tx != 'I' ? "a transaction" : "pool_mode = \"session\"");
		err_hint(&e, "%s, or on one shard with SET weir.shard.",
		    s->tx != 'I' ? "Run it outside a transaction"
				 : "Run it by a user with pool_mode = \"transaction\"");
		session_error(s, &e);
		return;
	}
	x->ddl_plan = x->plan;
	x->ddl_shard = next_shard(s, -1);
	if (x->ddl_shard == SHARD_NONE)
		x->ddl_shard = 0;
	run(s);
}

bool
ddl_answers(const struct exec *x)
{
	return x->resume == run_next;
}

void
ddl_over(struct session *s)
{
	struct exec *x = s->x;
	struct branch *pinned =
	    s->pins == 0 || s->tx != 'I' ? NULL : branch_of_shard(s, x->pin_shard);

	if (pinned == NULL)
		return;
	if (s->server != NULL)
		session_release_server(s);
	branch_take(pinned);
}

/* Adds to an error where the statement has run already. */
void
ddl_failed(struct session *s, struct err *e)
{
	struct cluster *c = s->db->cluster;
	char text[sizeof e->msg + 80];
	size_t n = 0;

	snprintf(
	    text, sizeof text, "shard %s: %s", c->shards[s->x->ddl_shard].name, e->msg);
	memcpy(e->msg, text, sizeof e->msg - 1);
	e->msg[sizeof e->msg - 1] = '\0';
	for (int i = next_shard(s, -1);
	     i != SHARD_NONE && i < s->x->ddl_shard && n < sizeof e->hint - 80;
	     i = next_shard(s, i))
		n += (size_t)snprintf(e->hint + n, sizeof e->hint - n, "%s%s",
		    n == 0 ? "It is done on: " : ", ", c->shards[i].name);
	snprintf(e->hint + n, sizeof e->hint - n, "%s",
	    n == 0
		? "Nothing was changed on any shard."
		: "; not on the others. Mend the cause and run it there with SET weir.shard.");
}
