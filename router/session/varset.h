/* router/session/varset.h: an immutable, interned set of settings (name -> text). Two equal sets are one pointer, so that "does this server
 * have what this session wants" costs one comparison.
 * Used twice: for what a session set (value: the SQL that sets it), and for what a server reported (value: the value).
 * Thread:  any; interning takes a process-wide lock, comparing takes none.
 * Memory:  reference-counted; each varset_* call that returns a set hands out a reference. */
#ifndef WEIR_ROUTER_SESSION_VARSET_H
#define WEIR_ROUTER_SESSION_VARSET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "router/sql/shape.h"

struct var {
	const char *name; /* lower case */
	const char *value;
};

/* What every statement asks of what a server reported; taken from the set once, when it is made. */
struct var_known {
	const char *client_encoding, *server_encoding, *date_style, *time_zone;
	struct sql_env env;
};

struct varset {
	atomic_int refs;
	int n;
	uint64_t hash;
	struct varset *next; /* in the intern table */
	struct varset *
	    parse_set; /* those that change how a text is parsed (search_path …); NULL: none */
	struct var_known known;
	struct var v[]; /* sorted by name */
};

/* The empty set is NULL. */
struct varset *varset_ref(struct varset *);
void varset_unref(struct varset *);
/* set plus name = value; value NULL takes name out. `set` keeps its own reference. */
struct varset *varset_with(const struct varset *set, const char *name, const char *value);
/* NULL when it is not in it. Names compare without regard to ASCII case. */
const char *varset_get(const struct varset *, const char *name);
/* PostgreSQL's own defaults stand for what is not in it. */
const struct var_known *varset_known(const struct varset *);
/* Releases the reference in *slot and puts the set there (whose reference it takes). */
void varset_assign(struct varset **slot, struct varset *set);

#endif
