/* router/session/prepared.h: prepared statements, shared by all sessions of a worker that prepared the same text.
 * A statement's name on the servers is made of its id ("weir_7"), so any server connection can hold it once for everyone.
 * Thread:  a registry belongs to one worker. Ids are unique in the process and never used again, so a server connection that moves to another
 *          worker keeps what it has.
 * Key:     text, parameter OIDs (or the types written in SQL), and the settings that change parsing. */
#ifndef WEIR_ROUTER_SESSION_PREPARED_H
#define WEIR_ROUTER_SESSION_PREPARED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "router/sql/shape.h"

struct varset;
struct preparedset;

struct prepared {
	uint64_t id;
	uint32_t refs;
	int n_oids;
	uint64_t hash;
	struct preparedset *home;
	struct prepared *next; /* in the registry's chain */
	struct shape *shape;
	struct varset *parse_set;
	struct slice text; /* followed by a zero */
	struct slice
	    sql_types; /* PREPARE x (types) AS: as written with its parentheses; else empty */
	bool by_sql;  /* made by SQL's PREPARE */
	bool retired; /* its rows have changed: who prepares the same text gets another */
	uint64_t ddl;
	struct sql_consts consts; /* of its text */
	struct prepared *
	    below; /* PREPARE, EXECUTE: the statement that it makes or runs; a reference */
	uint32_t oids[];
};

struct preparedset *preparedset_create(struct shape_cache *);
void preparedset_destroy(struct preparedset *);

struct prepared_key {
	struct slice text;
	const uint32_t *oids;
	int n_oids;
	struct slice sql_types;
	bool by_sql;
	struct varset *parse_set;
	uint64_t ddl; /* DDL that went through until now */
	struct sql_env env;
};

/* Finds or makes it; the caller owns a reference. */
struct prepared *prepared_get(struct preparedset *, const struct prepared_key *);
struct prepared *prepared_ref(struct prepared *);
void prepared_unref(struct prepared *);
/* Nobody gets it any more. */
void prepared_retire(struct prepared *);
/* The name on the servers: "weir_…", at most 24 bytes with its zero. */
#define PREPARED_NAME_MAX 28
void prepared_name(uint64_t id, char out[PREPARED_NAME_MAX]);

/* ---- a client's own names for them ---- */

struct names; /* NULL: none */

/* NULL when it is not there. No reference is taken. */
struct prepared *names_get(const struct names *, struct slice name);
/* Replaces what was there; takes over the reference. prepared NULL: removes. Returns the old one with its reference, or NULL. */
struct prepared *names_put(struct names **, struct slice name, struct prepared *);
void names_clear(struct names **);
/* What stands for `old` stands for `now`. */
void names_replace(struct names *, struct prepared *old, struct prepared *now);
/* The client's name of it; NULL: it has none. */
const char *names_find_id(const struct names *, uint64_t id);
int names_count(const struct names *);

#endif
