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

struct var {
	const char *name; /* lower case */
	const char *value;
};

struct varset {
	atomic_int refs;
	int n;
	uint64_t hash;
	struct varset *next; /* in the intern table */
	struct varset *
	    parse_set; /* those that change how a text is parsed (search_path …); NULL: none */
	struct var v[]; /* sorted by name */
};

/* The empty set is NULL. */
struct varset *varset_ref(struct varset *);
void varset_unref(struct varset *);
/* set plus name = value; value NULL takes name out. `set` keeps its own reference. */
struct varset *varset_with(const struct varset *set, const char *name, const char *value);
/* NULL when it is not in it. Names compare without regard to ASCII case. */
const char *varset_get(const struct varset *, const char *name);
/* Releases the reference in *slot and puts the set there (whose reference it takes). */
void varset_assign(struct varset **slot, struct varset *set);

#endif
