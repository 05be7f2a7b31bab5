/* The end of a transaction over shards. Every participant has its own small state (struct txn_part), the whole has txn_state.def's;
 * what a participant's answer means depends on both. Nothing is decided but by one statement: the anchor's COMMIT in decide(). Before
 * it was sent, this process alone may roll everything back; after it, only the verdict counts. */
#include "router/txn/commit_int.h"

#include <assert.h>
#include <stdio.h>

static const char *const state_names[] = {
#define STATE(id, doc) [TXN_STATE_##id] = #id,
#include "router/txn/txn_state.def"
};
static const bool moves[TXN_STATES][TXN_STATES] = {
#define MOVE(from, to, by) [TXN_STATE_##from][TXN_STATE_##to] = true,
#include "router/txn/txn_state.def"
};

const char *
txn_state_name(enum txn_state s)
{
	return state_names[s];
}

static void
txn_set_state(struct txn *t, enum txn_state to)
{
	assert(moves[t->state][to]);
	t->state = to;
}

/* ---- actions ---- */

static void
txn_act(struct txn *t, enum txn_action_kind kind, int part, const char *sql)
{
	if (t->n_actions == t->cap_actions) {
		int cap = t->cap_actions == 0 ? 4 * t->n + 8 : 2 * t->cap_actions;
		struct txn_action *v =
		    ARENA_NEW_N(t->arena, struct txn_action, (size_t)cap);

		if (t->n_actions > 0)
			memcpy(v, t->actions, (size_t)t->n_actions * sizeof *v);
		t->actions = v;
		t->cap_actions = cap;
	}
	t->actions[t->n_actions++] = (struct txn_action){kind, part, sql};
}

const struct txn_action *
txn_next(struct txn *t)
{
	if (t->next_action < t->n_actions)
		return &t->actions[t->next_action++];
	t->next_action = t->n_actions = 0;
	return NULL;
}

void
txn_send(struct txn *t, int part, enum txn_part_state state, const char *sql)
{
	t->parts[part].state = state;
	txn_act(t, TXN_SEND, part, sql);
}

void
txn_release(struct txn *t, int part)
{
	t->parts[part].state = TXN_PART_OVER;
	txn_act(t, TXN_RELEASE, part, NULL);
}

static const char *
gid_of(struct txn *t, int part)
{
	char gid[GID_MAX];

	gid_print(t->key, part, gid);
	return arena_strdup(t->arena, gid);
}

/* Its prepared transaction, if there is one, is recovery's from now on. */
void
txn_hand_over(struct txn *t, int part)
{
	if (!t->parts[part].prepared)
		return;
	t->parts[part].prepared = false;
	t->answer.late = true;
	txn_act(t, TXN_HANDOVER, part, gid_of(t, part));
}

void
txn_discard(struct txn *t, int part)
{
	t->parts[part].state = TXN_PART_OVER;
	txn_act(t, TXN_DISCARD, part, NULL);
	txn_hand_over(t, part);
}

/* ---- the statements ---- */

/* A standby that is promoted must know what was prepared, as well as what was decided, whatever the application has set. */
#define RAISE_SYNC                                                                              \
	"SELECT pg_catalog.set_config('synchronous_commit', 'on', true) WHERE "                 \
	"pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.~) '^(off|local|" \
	"remote_write)$'; "

static void
prepare(struct txn *t, int part)
{
	t->shielded = true;
	t->parts[part].prepared = true;
	txn_send(t, part, TXN_PART_PREPARING,
	    arena_printf(
		t->arena, RAISE_SYNC "PREPARE TRANSACTION '%s'", gid_of(t, part)));
}

/* As an array: index and identity of each that is prepared. The verdict is kept until none of them is left. */
static const char *
participants(struct txn *t)
{
	char *out = arena_alloc(t->arena, (size_t)t->n * (TXN_IDENTITY_LEN + 8) + 3);
	size_t n = 0;

	out[n++] = '{';
	for (int i = 0; i < t->n; i++)
		if (t->parts[i].state == TXN_PART_PREPARED)
			n += (size_t)sprintf(out + n, "%s%d:%s", n > 1 ? "," : "", i,
			    t->parts[i].identity.hex);
	out[n++] = '}';
	out[n] = '\0';
	return out;
}

static void
decide(struct txn *t)
{
	txn_send(t, t->anchor, TXN_PART_DECIDING,
	    arena_printf(t->arena, "SELECT weir.txn_commit('%s', '%s', '%s'); COMMIT",
		t->key, t->token, participants(t)));
}

static void
finish_prepared(struct txn *t, int part, const char *verb)
{
	txn_send(t, part, TXN_PART_CLOSING,
	    arena_printf(t->arena, "%s PREPARED '%s'", verb, gid_of(t, part)));
}

/* ---- failing ---- */

/* The first failure is what the client is told. */
bool
txn_fail(struct txn *t, enum txn_outcome outcome, int part)
{
	if (t->failed)
		return false;
	t->failed = true;
	t->answer.outcome = outcome;
	t->answer.part = part;
	return true;
}

void
txn_fail_lost(struct txn *t, int part)
{
	if (txn_fail(t, TXN_FAILED, part))
		(void)err_set(&t->answer.err, "08006", BLAST_TXN,
		    "the connection to shard \"%s\" was lost before the transaction was "
		    "committed; it is rolled back on all shards",
		    t->parts[part].shard);
}

void
txn_unknown(struct txn *t, int part)
{
	if (!txn_fail(t, TXN_UNKNOWN, part))
		return;
	(void)err_set(&t->answer.err, "08007", BLAST_TXN,
	    "the connection to shard \"%s\" was lost during COMMIT; whether the "
	    "transaction is committed is not known yet",
	    t->parts[part].shard);
	if (t->two_phase)
		err_hint(&t->answer.err,
		    "It will be committed on all its shards or on none: \"weir txn list\" "
		    "shows %s until then, and weir.txn on \"%s\" keeps the verdict.",
		    t->key, t->parts[part].shard);
	else
		err_hint(&t->answer.err, "Read what it wrote to find out.");
}

/* ---- the end ---- */

bool
txn_owes(const struct txn_part *p)
{
	switch (p->state) {
	case TXN_PART_ENDING:
	case TXN_PART_CHECKING:
	case TXN_PART_PREPARING:
	case TXN_PART_DECIDING:
	case TXN_PART_CLOSING:
		return true;
	default:
		return false;
	}
}

static bool
any_owes(const struct txn *t)
{
	for (int i = 0; i < t->n; i++)
		if (txn_owes(&t->parts[i]))
			return true;
	return false;
}

void
txn_over(struct txn *t)
{
	txn_set_state(t, TXN_STATE_OVER);
	if (!t->failed)
		t->answer.outcome = t->rollback ? TXN_ROLLED_BACK : TXN_COMMITTED;
	if (t->answer.outcome != TXN_COMMITTED)
		t->answer.late = false;
	txn_act(t, TXN_OVER, -1, NULL);
}

void
txn_over_when_quiet(struct txn *t)
{
	if (!any_owes(t))
		txn_over(t);
}

/* What a participant needs to roll back; those that owe an answer are seen to when it comes. */
void
txn_abort_part(struct txn *t, int part)
{
	switch (t->parts[part].state) {
	case TXN_PART_OPEN:
	case TXN_PART_CHECKED:
		txn_send(t, part, TXN_PART_CLOSING, "ROLLBACK");
		break;
	case TXN_PART_PREPARED:
		finish_prepared(t, part, "ROLLBACK");
		break;
	default:
		break;
	}
}

void
txn_start_aborting(struct txn *t)
{
	txn_set_state(t, TXN_STATE_ABORTING);
	txn_act(t, TXN_TIMER, -1, NULL);
	for (int i = 0; i < t->n; i++)
		txn_abort_part(t, i);
	txn_over_when_quiet(t);
}

void
txn_start_finishing(struct txn *t)
{
	txn_set_state(t, TXN_STATE_FINISHING);
	txn_act(t, TXN_TIMER, -1, NULL);
	for (int i = 0; i < t->n; i++) {
		if (t->parts[i].state == TXN_PART_PREPARED)
			finish_prepared(t, i, "COMMIT");
		else if (t->parts[i].state == TXN_PART_CHECKED)
			txn_send(t, i, TXN_PART_CLOSING, "COMMIT");
	}
	txn_over_when_quiet(t);
}

/* The client is told that nobody knows; what is prepared waits for recovery. */
void
txn_give_up(struct txn *t)
{
	for (int i = 0; i < t->n; i++) {
		if (t->parts[i].state == TXN_PART_PREPARED) {
			txn_hand_over(t, i);
			txn_release(t, i);
		} else if (t->parts[i].state != TXN_PART_OVER) {
			txn_discard(t, i);
		}
	}
	txn_over(t);
}

void
txn_start_settling(struct txn *t)
{
	txn_set_state(t, TXN_STATE_SETTLING);
	txn_act(t, TXN_TIMER, -1, NULL);
	txn_act(t, TXN_SETTLE, t->anchor, t->key);
}

/* ---- going on ---- */

static int
next_writer(const struct txn *t)
{
	for (int i = 0; i < t->n; i++)
		if (t->parts[i].state == TXN_PART_OPEN)
			return i;
	return -1;
}

bool
txn_any_committed(const struct txn *t)
{
	for (int i = 0; i < t->n; i++)
		if (t->parts[i].committed)
			return true;
	return false;
}

/* best_effort: what stands where, once it is known to differ. */
static void
tell_differing(struct txn *t, int part)
{
	char *list = arena_alloc(t->arena, 300);
	size_t n = 0;

	list[0] = '\0';
	for (int i = 0; i < t->n && n < 200; i++)
		if (t->parts[i].committed)
			n += (size_t)snprintf(list + n, 300 - n, "%s\"%.60s\"",
			    n > 0 ? ", " : "", t->parts[i].shard);
	(void)txn_fail(t, TXN_UNKNOWN, part);
	(void)err_set(&t->answer.err, "08007", BLAST_TXN,
	    "the transaction is committed on shard %s, but not (or not surely) on \"%s\"",
	    list, t->parts[part].shard);
	err_hint(&t->answer.err,
	    "multi_shard_commit is \"best_effort\", which commits shard by shard. "
	    "\"two_phase\" commits on all or none.");
}

void
txn_next_each(struct txn *t)
{
	int part = next_writer(t);

	if (part >= 0) {
		txn_send(t, part, TXN_PART_DECIDING, "COMMIT");
		return;
	}
	for (int i = 0; i < t->n; i++)
		if (t->parts[i].deed == TXN_WROTE && !t->parts[i].committed) {
			tell_differing(t, i);
			break;
		}
	txn_start_finishing(t);
}

static bool
cancelled(struct txn *t)
{
	if (t->cancelled && txn_fail(t, TXN_FAILED, -1))
		(void)err_set(&t->answer.err, "57014", BLAST_TXN,
		    "canceling statement due to user request");
	return t->cancelled;
}

/* Once all that PREPARING asked for is there. */
void
txn_advance(struct txn *t)
{
	if (any_owes(t) && !MUTANT(DECIDE_EARLY))
		return;
	if (t->anchor < 0 && next_writer(t) < 0) {
		txn_start_finishing(t);
	} else if (cancelled(t)) {
		txn_start_aborting(t);
	} else if (t->best_effort && t->anchor < 0) {
		txn_set_state(t, TXN_STATE_EACH);
		txn_act(t, TXN_TIMER, -1, NULL);
		txn_next_each(t);
	} else {
		txn_set_state(t, TXN_STATE_DECIDING);
		if (t->two_phase) {
			txn_act(t, TXN_TIMER, -1, NULL);
			decide(t);
			for (int i = 0; i < t->n && MUTANT(FINISH_EARLY); i++)
				if (t->parts[i].state == TXN_PART_PREPARED)
					finish_prepared(t, i, "COMMIT");
		} else {
			txn_send(t, t->anchor, TXN_PART_DECIDING, "COMMIT");
		}
	}
}

/* ---- the beginning ---- */

static int
count_writers(const struct txn_part *parts, int n)
{
	int writers = 0;

	for (int i = 0; i < n; i++)
		writers += parts[i].deed == TXN_WROTE;
	return writers;
}

/* Does it take part in the decision? Under SERIALIZABLE a reader's COMMIT may fail as well as a writer's. */
static bool
takes_part(const struct txn_part *p)
{
	return p->deed == TXN_WROTE || p->serializable;
}

bool
txn_needs_two_phase(const struct txn_part *parts, int n)
{
	int involved = 0;

	for (int i = 0; i < n; i++)
		involved += takes_part(&parts[i]);
	return involved > 1 && count_writers(parts, n) > 0;
}

/* The one that cannot be prepared, else the first writer. -1: two cannot be prepared. */
static int
choose_anchor(const struct txn_part *parts, int n, int *second)
{
	int writer = -1, fixed = -1;

	for (int i = 0; i < n; i++) {
		const struct txn_part *p = &parts[i];

		if (p->deed == TXN_WROTE && (writer < 0 || p->first))
			writer = i;
		if (!takes_part(p) || !p->unpreparable)
			continue;
		if (fixed >= 0) {
			*second = i;
			return -1;
		}
		fixed = i;
	}
	return fixed >= 0 ? fixed : writer;
}

void
txn_init(struct txn *t, struct arena *arena, struct txn_part *parts, int n,
    bool best_effort, const uint8_t random[TXN_RANDOM_BYTES])
{
	*t = (struct txn){.arena = arena, .parts = parts, .n = n, .anchor = -1};
	t->best_effort = best_effort;
	txn_token(random, t->token);
	for (int i = 0; i < n; i++) {
		parts[i].state = TXN_PART_OPEN;
		parts[i].prepared = parts[i].committed = false;
	}
}

static enum rc
refuse_unpreparable(struct txn *t, int second)
{
	(void)txn_fail(t, TXN_FAILED, second);
	(void)err_set(&t->answer.err, "0A000", BLAST_TXN,
	    "a transaction over several shards can use temporary tables, NOTIFY, LISTEN, "
	    "exported snapshots or cursors WITH HOLD on one of them only");
	err_hint(&t->answer.err,
	    "PostgreSQL cannot prepare such a transaction; shard \"%s\" is the second.",
	    t->parts[second].shard);
	return RC_ERR;
}

static enum rc
refuse_unknown_shard(struct txn *t, int part)
{
	(void)txn_fail(t, TXN_FAILED, part);
	(void)err_set(&t->answer.err, "55000", BLAST_TXN,
	    "shard \"%s\" has no catalog of Weir's, which a commit over several shards needs",
	    t->parts[part].shard);
	err_hint(&t->answer.err, "Run \"weir catalog init\".");
	return RC_ERR;
}

static enum rc
plan_two_phase(struct txn *t)
{
	int second = -1;

	t->anchor = choose_anchor(t->parts, t->n, &second);
	if (t->anchor < 0)
		return refuse_unpreparable(t, second);
	for (int i = 0; i < t->n; i++)
		if (takes_part(&t->parts[i]) &&
		    !txn_identity_known(&t->parts[i].identity))
			return refuse_unknown_shard(t, i);
	t->two_phase = true;
	txn_key(&t->parts[t->anchor].identity, t->token, t->key);
	return RC_OK;
}

static enum rc
plan(struct txn *t)
{
	int writers = count_writers(t->parts, t->n);

	if (t->best_effort && writers > 1)
		return RC_OK;
	if (!t->best_effort && txn_needs_two_phase(t->parts, t->n))
		return plan_two_phase(t);
	if (writers > 0)
		for (int i = 0; i < t->n; i++)
			if (t->parts[i].deed == TXN_WROTE)
				t->anchor = i;
	return RC_OK;
}

static void
begin_part(struct txn *t, int i, bool writers)
{
	struct txn_part *p = &t->parts[i];

	if (i == t->anchor)
		return;
	if (t->two_phase && takes_part(p))
		prepare(t, i);
	else if (p->deed == TXN_LOCKED && writers && !MUTANT(LOCKS_EARLY))
		txn_send(t, i, TXN_PART_CHECKING, "SELECT 1");
	else if (p->deed != TXN_WROTE)
		txn_send(t, i, TXN_PART_ENDING, "COMMIT");
}

void
txn_begin(struct txn *t, bool commit)
{
	bool writers = count_writers(t->parts, t->n) > 0;

	t->rollback = !commit;
	if (!commit || plan(t) != RC_OK) {
		txn_start_aborting(t);
		return;
	}
	txn_set_state(t, TXN_STATE_PREPARING);
	if (t->n > 1)
		txn_act(t, TXN_TIMER, -1, NULL);
	for (int i = 0; i < t->n; i++)
		begin_part(t, i, writers);
	txn_advance(t);
}
