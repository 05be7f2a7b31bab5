/* What a transaction's end makes of answers, losses, time limits and verdicts. */
#include "router/txn/commit_int.h"

/* ---- answers ---- */

struct answer {
	const char *tag, *sqlstate;
	char status;
};

static bool
succeeded(const struct answer *a, const char *tag)
{
	return a->sqlstate == NULL && a->tag != NULL &&
	    (strcmp(a->tag, tag) == 0 || MUTANT(TAG_IGNORED));
}

/* A transaction that the server has given up, or that is to be. */
static void
after_failure(struct txn *t, int part, const struct answer *a)
{
	t->parts[part].prepared = false;
	if (a->status == 'I')
		txn_release(t, part);
	else
		txn_send(t, part, TXN_PART_CLOSING, "ROLLBACK");
}

static void
tell_failure(struct txn *t, int part, const struct answer *a)
{
	if (a->sqlstate != NULL) {
		(void)txn_fail(t, TXN_SERVER_ERROR, part);
		return;
	}
	if (txn_fail(t, TXN_FAILED, part))
		(void)err_set(&t->answer.err, "40000", BLAST_TXN,
		    "shard \"%s\" had rolled the transaction back; it is rolled back on all",
		    t->parts[part].shard);
}

/* The anchor has refused to commit. */
static void
tell_refusal(struct txn *t, int part, const struct answer *a)
{
	if (t->two_phase && a->sqlstate != NULL && strcmp(a->sqlstate, "25006") == 0) {
		(void)txn_fail(t, TXN_FAILED, part);
		(void)err_set(&t->answer.err, "25006", BLAST_TXN,
		    "a transaction that wrote on several shards was set to READ ONLY, so "
		    "that its commit cannot be recorded; it is rolled back");
		err_hint(&t->answer.err,
		    "Set READ ONLY before the first write, or not at all.");
		return;
	}
	tell_failure(t, part, a);
}

static void
preparing_failed(struct txn *t)
{
	if (t->state == TXN_STATE_PREPARING)
		txn_start_aborting(t);
}

static void
on_preparing(struct txn *t, int part, const struct answer *a)
{
	struct txn_part *p = &t->parts[part];
	bool asked = p->state == TXN_PART_CHECKING;
	bool ok = succeeded(a,
	    asked                             ? "SELECT 1"
		: p->state == TXN_PART_ENDING ? "COMMIT"
					      : "PREPARE TRANSACTION");

	if (!ok) {
		tell_failure(t, part, a);
		after_failure(t, part, a);
		preparing_failed(t);
	} else if (p->state == TXN_PART_ENDING) {
		txn_release(t, part);
	} else {
		p->state = asked ? TXN_PART_CHECKED : TXN_PART_PREPARED;
	}
	if (t->state == TXN_STATE_PREPARING)
		txn_advance(t);
	else if (t->state == TXN_STATE_ABORTING)
		txn_abort_part(t, part);
}

static void
on_decided(struct txn *t, int part, const struct answer *a)
{
	if (succeeded(a, "COMMIT") && a->status == 'I') {
		txn_release(t, part);
		txn_start_finishing(t);
		return;
	}
	tell_refusal(t, part, a);
	after_failure(t, part, a);
	txn_start_aborting(t);
}

static void
on_each(struct txn *t, int part, const struct answer *a)
{
	if (succeeded(a, "COMMIT")) {
		t->parts[part].committed = true;
		txn_release(t, part);
	} else {
		if (!txn_any_committed(t))
			tell_failure(t, part, a);
		after_failure(t, part, a);
	}
	if (txn_any_committed(t))
		txn_next_each(t);
	else
		txn_start_aborting(t);
}

static void
on_closed(struct txn *t, int part, const struct answer *a)
{
	struct txn_part *p = &t->parts[part];
	bool gone = a->sqlstate != NULL && strcmp(a->sqlstate, "42704") == 0;

	/* 42704: recovery was there before us, and did what the verdict says */
	if (p->prepared && (a->sqlstate == NULL || gone))
		p->prepared = false;
	if (a->status == 'I') {
		txn_hand_over(t, part);
		txn_release(t, part);
	} else {
		txn_discard(t, part);
	}
}

void
txn_reply(struct txn *t, int part, const char *tag, const char *sqlstate, char status)
{
	struct answer a = {tag, sqlstate, status};

	switch (t->parts[part].state) {
	case TXN_PART_ENDING:
	case TXN_PART_CHECKING:
	case TXN_PART_PREPARING:
		on_preparing(t, part, &a);
		break;
	case TXN_PART_DECIDING:
		if (t->state == TXN_STATE_EACH)
			on_each(t, part, &a);
		else
			on_decided(t, part, &a);
		break;
	case TXN_PART_CLOSING:
		on_closed(t, part, &a);
		break;
	default:
		return;
	}
	if (t->state == TXN_STATE_FINISHING || t->state == TXN_STATE_ABORTING)
		txn_over_when_quiet(t);
}

/* ---- losses, time limits ---- */

static void
lost_decision(struct txn *t, int part)
{
	if (t->two_phase && !MUTANT(ANSWER_ON_LOST)) {
		txn_start_settling(t);
		return;
	}
	if (MUTANT(ANSWER_ON_LOST)) {
		txn_fail_lost(t, part);
		txn_start_aborting(t);
		return;
	}
	txn_unknown(t, part);
	txn_give_up(t);
}

static void
lost_each(struct txn *t, int part)
{
	if (txn_any_committed(t)) {
		txn_next_each(t);
	} else {
		txn_unknown(t, part);
		txn_start_aborting(t);
	}
}

/* A reader's end does not matter, but under SERIALIZABLE, where it may fail. */
static bool
may_be_missed(const struct txn_part *p)
{
	if (MUTANT(LOST_IS_PREPARED) && p->state == TXN_PART_PREPARING)
		return true;
	return p->state == TXN_PART_ENDING && !p->serializable;
}

/* A participant is gone, and its connection discarded already. `deciding`: its COMMIT was the decision. */
static void
go_on_without(struct txn *t, int part, bool deciding, bool missed)
{
	switch (t->state) {
	case TXN_STATE_PREPARING:
		if (missed) {
			txn_advance(t);
			break;
		}
		txn_fail_lost(t, part);
		txn_start_aborting(t);
		break;
	case TXN_STATE_DECIDING:
		if (deciding)
			lost_decision(t, part);
		break;
	case TXN_STATE_EACH:
		if (deciding)
			lost_each(t, part);
		break;
	case TXN_STATE_FINISHING:
	case TXN_STATE_ABORTING:
		txn_over_when_quiet(t);
		break;
	default:
		break;
	}
}

void
txn_lost(struct txn *t, int part)
{
	struct txn_part *p = &t->parts[part];
	bool deciding = p->state == TXN_PART_DECIDING, missed = may_be_missed(p);

	if (p->state == TXN_PART_OVER || t->state == TXN_STATE_OVER)
		return;
	txn_discard(t, part);
	go_on_without(t, part, deciding, missed);
}

static void
discard_owing(struct txn *t)
{
	for (int i = 0; i < t->n; i++)
		if (txn_owes(&t->parts[i]))
			txn_discard(t, i);
}

static int
first_owing(const struct txn *t)
{
	for (int i = 0; i < t->n; i++)
		if (txn_owes(&t->parts[i]))
			return i;
	return 0;
}

void
txn_timeout(struct txn *t)
{
	switch (t->state) {
	case TXN_STATE_PREPARING:
		if (txn_fail(t, TXN_FAILED, -1))
			(void)err_set(&t->answer.err, "57014", BLAST_TXN,
			    "canceling COMMIT: shard \"%s\" did not answer within "
			    "commit_timeout; the transaction is rolled back on all shards",
			    t->parts[first_owing(t)].shard);
		discard_owing(t);
		txn_start_aborting(t);
		break;
	case TXN_STATE_DECIDING: /* a plain COMMIT takes the time that it takes */
		if (t->two_phase)
			txn_lost(t, t->anchor);
		break;
	case TXN_STATE_SETTLING:
		txn_unknown(t, t->anchor);
		txn_give_up(t);
		break;
	case TXN_STATE_EACH:
		txn_lost(t, first_owing(t));
		break;
	case TXN_STATE_FINISHING:
	case TXN_STATE_ABORTING:
		discard_owing(t);
		txn_over(t);
		break;
	default:
		break;
	}
}

void
txn_cancel(struct txn *t)
{
	if (t->state == TXN_STATE_PREPARING)
		t->cancelled = true;
}

bool
txn_forwards_cancel(const struct txn *t)
{
	return !t->shielded &&
	    (t->state == TXN_STATE_PREPARING || t->state == TXN_STATE_DECIDING);
}

void
txn_verdict(struct txn *t, enum txn_verdict v)
{
	if (t->state != TXN_STATE_SETTLING)
		return;
	if (v == TXN_VERDICT_COMMIT) {
		txn_start_finishing(t);
	} else if (v == TXN_VERDICT_ABORT) {
		if (txn_fail(t, TXN_FAILED, t->anchor))
			(void)err_set(&t->answer.err, "40001", BLAST_TXN,
			    "the connection to shard \"%s\" was lost during COMMIT, and the "
			    "transaction is rolled back on all shards",
			    t->parts[t->anchor].shard);
		txn_start_aborting(t);
	} else {
		txn_unknown(t, t->anchor);
		txn_give_up(t);
	}
}
