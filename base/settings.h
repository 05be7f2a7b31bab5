/* base/settings.h: tables of settings. One table (a .def file of SETTING lines) makes the
 * parser, the plain C struct that holds the values, SHOW CONFIG and its page of the docs.
 * Values:  a struct of the caller's, with fields at setting->offset: bool, int, an enum,
 *          uint64_t (microseconds; bytes), const char *, struct setting_list.
 * Memory:  strings live in the arena that was given.
 * Thread:  the tables are constant; values belong to whoever holds the struct.
 * Failure: 22023 (a value that does not fit). Nothing is written then. */
#ifndef WEIR_BASE_SETTINGS_H
#define WEIR_BASE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

enum setting_kind {
	SETTING_BOOL,     /* bool */
	SETTING_INT,      /* int */
	SETTING_DURATION, /* uint64_t, microseconds; numbers are seconds, strings may have
			     a unit (us ms s min h d) */
	SETTING_SIZE, /* uint64_t, bytes; strings may have a unit (B kB MB GB TB, steps of
			 1024) */
	SETTING_ENUM, /* an enum, as int; one of ->choices */
	SETTING_STRING, /* const char *, never NULL */
	SETTING_FILE,   /* const char *, never NULL: a path, relative ones from the
			   configuration's folder */
	SETTING_LIST    /* struct setting_list; as text: parts between commas */
};

/* Where it may be set; bits of setting->scopes. */
enum { SCOPE_GLOBAL = 1, SCOPE_DATABASE = 2, SCOPE_USER = 4, SCOPE_SHARD = 8 };

struct setting_list {
	const char *const *items;
	int n;
};

struct setting {
	const char *name; /* "pool_size", or with its groups: "listen.tls.mode" */
	enum setting_kind kind;
	size_t offset;
	const char *default_text;
	int64_t min, max; /* in units of the value as stored; min == max: no limits */
	const char *const
	    *choices; /* ENUM: text per value, "name|alias|…"; NULL-ended; a gap is "" */
	unsigned scopes;
	bool reloadable; /* else it takes a restart */
	const char *doc; /* one sentence or a few; Markdown */
};

struct setting_alias {
	const char *alias, *name;
};

struct setting_section {
	const char *title;
	int first; /* index of its first setting */
};

struct setting_table {
	const struct setting *settings;
	int n;
	const struct setting_section *sections;
	int n_sections;
	size_t values_size;
	const struct setting_alias *aliases;
	int n_aliases;
};

/* Which settings were given rather than left at a default. */
#define SETTINGS_MAX 256
struct setting_set {
	uint64_t bits[SETTINGS_MAX / 64];
};

static inline bool
setting_set_has(const struct setting_set *s, int id)
{
	return (s->bits[id / 64] >> (id % 64)) & 1;
}

static inline void
setting_set_add(struct setting_set *s, int id)
{
	s->bits[id / 64] |= UINT64_C(1) << (id % 64);
}

/* Index in the table, by name or alias; -1: no such setting. */
int setting_find(const struct setting_table *, struct slice name);
/* All defaults. A default that does not parse aborts: the table is wrong, and the unit
 * test finds it. */
void settings_defaults(const struct setting_table *, void *values, struct arena *);
/* From text, as in a quoted string of the file or SET of the admin console. */
enum rc setting_parse(const struct setting *, void *values, struct slice text,
    struct arena *, struct err *) WARN_UNUSED;
/* From a number or a truth value of the file. A whole number is given exactly. */
enum rc setting_put_int(
    const struct setting *, void *values, int64_t, struct err *) WARN_UNUSED;
enum rc setting_put_float(
    const struct setting *, void *values, double, struct err *) WARN_UNUSED;
enum rc setting_put_bool(
    const struct setting *, void *values, bool, struct err *) WARN_UNUSED;
enum rc setting_put_list(const struct setting *, void *values, const char *const *items,
    int n, struct arena *, struct err *) WARN_UNUSED;
/* Copies one value from a struct of values to another (strings are shared). */
void setting_copy(const struct setting *, void *to, const void *from);
bool setting_equal(const struct setting *, const void *a, const void *b);
/* As text that setting_parse() reads back to the same value. Durations are in seconds, as
 * PgBouncer shows them. */
const char *setting_text(const struct setting *, const void *values, struct arena *);

/* Durations and sizes by themselves; all of the text must be read. */
enum rc parse_duration(struct slice text, uint64_t *us, struct err *) WARN_UNUSED;
enum rc parse_size(struct slice text, uint64_t *bytes, struct err *) WARN_UNUSED;

/* "seconds", "bytes", "true or false", "one of a, b, c" …, for docs and messages. */
const char *setting_unit(const struct setting *, struct arena *);
/* A limit (setting->min, ->max) with its unit. */
const char *setting_limit_text(const struct setting *, int64_t limit, struct arena *);
/* Markdown: a heading a section, an entry a setting, in the table's order. */
void settings_docs(const struct setting_table *, FILE *);

#endif
