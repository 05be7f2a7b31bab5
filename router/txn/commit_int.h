/* router/txn/commit_int.h: what commit.c (states, beginning, end) and commit_event.c (answers, losses) share. */
#ifndef WEIR_ROUTER_TXN_COMMIT_INT_H
#define WEIR_ROUTER_TXN_COMMIT_INT_H

#include "router/txn/commit.h"

#ifndef MUTANT /* tests/sim makes the algorithm wrong, to see that it would be noticed */
#define MUTANT(name) false
#endif

/* actions */
void txn_send(struct txn *t, int part, enum txn_part_state state, const char *sql);
void txn_release(struct txn *t, int part);
void txn_hand_over(struct txn *t, int part);
void txn_discard(struct txn *t, int part);
/* The first failure is what the client is told; true: this was it. */
bool txn_fail(struct txn *t, enum txn_outcome outcome, int part);
void txn_fail_lost(struct txn *t, int part);
void txn_unknown(struct txn *t, int part);
/* An answer is outstanding. */
bool txn_owes(const struct txn_part *p);
void txn_over(struct txn *t);
void txn_over_when_quiet(struct txn *t);
/* Sends what it needs to roll back, unless it owes an answer. */
void txn_abort_part(struct txn *t, int part);
void txn_start_aborting(struct txn *t);
void txn_start_finishing(struct txn *t);
void txn_start_settling(struct txn *t);
void txn_give_up(struct txn *t);
void txn_next_each(struct txn *t);
bool txn_any_committed(const struct txn *t);
/* Out of PREPARING, once all have answered. */
void txn_advance(struct txn *t);

#endif
