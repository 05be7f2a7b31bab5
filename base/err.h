/* base/err.h: the one error type. Its blast radius says what dies of it.
 * The last argument of a function that can fail is always `struct err *`, never NULL.
 * Only router/session turns an error into an ErrorResponse, once. */
#ifndef WEIR_BASE_ERR_H
#define WEIR_BASE_ERR_H

#include "base/slice.h"

enum rc { RC_OK, RC_AGAIN, RC_ERR };

enum blast { BLAST_STMT, BLAST_TXN, BLAST_SESSION };

struct err {
	char sqlstate[6];
	enum blast blast;
	char msg[400];
	char hint[300];
	int position; /* 1-based character in the statement; 0: unknown */
	struct slice
	    raw; /* a server's ErrorResponse (its body), passed on in place of the above; borrowed */
};

#define WARN_UNUSED __attribute__((warn_unused_result))

/* Fills *e (all else emptied) and returns RC_ERR, so `return err_set(...)` reads well. */
enum rc err_set(struct err *e, const char *sqlstate, enum blast blast, const char *fmt,
    ...) __attribute__((format(printf, 4, 5)));
#ifdef __clang_analyzer__ /* which does not see across files that it always fails */
#define err_set(...) (err_set(__VA_ARGS__), RC_ERR)
#endif
/* Adds what to do about it. */
void err_hint(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
