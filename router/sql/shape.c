/* The cache: a table of chains over a list in the order of use. What a shape weighs is
 * its analysis' arena (in whole blocks), its sample and itself; the planner's `route` is
 * not counted. A shape too heavy for the cache (more than a sixteenth of it) is analysed
 * each time and lives until the next shape_get(). The text of a shape is not kept: keys
 * are equal when their 128 bits are, which nobody can bring about without the process'
 * secret (siphash.h). */
#include "router/sql/shape.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/list.h"
#include "router/sql/lexer.h"
#include "router/sql/shape_scan.h"
#include "router/sql/stmt.h"

#define SAMPLE_MAX    200
#define BUCKETS_FIRST 256
#define ARENA_BLOCK   2048  /* as base/arena.c takes them */
#define KEEP_CONSTS   16384 /* a longer list of constants is given back after use */

struct entry {
	struct shape shape; /* first, so that one is the other */
	struct list used;   /* in cache->used */
	struct entry *next; /* in its bucket */
	size_t bytes;
};

struct shape_cache {
	size_t max_bytes;
	struct entry **buckets;
	size_t n_buckets;      /* a power of two */
	struct list used;      /* the latest first */
	struct entry *passing; /* the latest shape, when it is not kept */
	struct shape_scan scan;
	struct sip_key key;
	struct shape_stats stats;
};

/* ---- the process' secret ---- */

static struct sip_key process_key;

static void
make_key(void)
{
	if (getentropy(&process_key, sizeof process_key) != 0)
		abort(); /* a guessable key would let a client choose another's plan */
}

/* ---- shapes ---- */

static void
entry_free(struct entry *e)
{
	struct shape *s = &e->shape;

	if (s->route_free != NULL)
		s->route_free(s->route);
	if (s->stmts != NULL)
		sql_stmts_free(s->stmts);
	free(s->err);
	free((char *)s->sample);
	free(e);
}

void
shape_ref(struct shape *s)
{
	s->refs++;
}

void
shape_unref(struct shape *s)
{
	if (--s->refs == 0)
		entry_free((struct entry *)s);
}

static void *
must(void *p)
{
	if (p == NULL)
		abort(); /* as arenas do */
	return p;
}

static char *
sample_of(struct slice text, enum sql_encoding encoding)
{
	return must(strndup(text.len == 0 ? "" : text.ptr,
	    sql_char_clip(encoding, text.ptr, text.len, SAMPLE_MAX)));
}

/* ---- the analysis ---- */

/* The parser takes standard_conforming_strings for on. Where it is off, 'a\'b' becomes
 * E'a\'b', with a blank before it lest the E join a word; constants that follow move by
 * two. */
struct rewritten {
	char *text;
	size_t len;
	struct sql_const *consts;
};

static bool
needs_e(const struct token *t)
{
	return t->kind == TOK_ESTRING && *t->start == '\'' &&
	    memchr(t->start, '\\', (size_t)(t->end - t->start)) != NULL;
}

static size_t
count_marks(struct slice text, const struct sql_env *env)
{
	struct lexer lx;
	struct token t;
	size_t n = 0;

	lexer_init(&lx, text, env->encoding, env->standard_strings);
	while (lexer_next(&lx, &t) > TOK_ERROR)
		n += needs_e(&t);
	return n;
}

static void
rewrite(struct rewritten *r, struct slice text, const struct sql_env *env,
    const struct shape_scan *scan)
{
	const char *done = text.ptr;
	char *at, *end = r->text;
	struct lexer lx;
	struct token t;
	uint32_t c = 0;

	lexer_init(&lx, text, env->encoding, env->standard_strings);
	for (; lexer_next(&lx, &t) > TOK_ERROR; done = t.end) {
		at = end = mempcpy(end, done, (size_t)(t.start - done));
		if (needs_e(&t)) {
			*at++ = ' ';
			at[0] = 'E';
			end = at + 1;
		}
		end = mempcpy(end, t.start, (size_t)(t.end - t.start));
		if (c < scan->n && scan->v[c].raw.ptr == t.start) {
			r->consts[c] = scan->v[c];
			r->consts[c++].raw = (struct slice){at, (size_t)(end - at)};
		}
	}
	r->len = (size_t)(end - r->text);
}

static struct sql_stmts *
analyze_rewritten(struct slice text, const struct sql_env *env,
    const struct shape_scan *scan, size_t marks)
{
	struct rewritten r = {
	    .text = must(malloc(text.len + 2 * marks + 1)),
	    .consts = must(malloc((scan->n + 1) * sizeof *r.consts)),
	};
	struct sql_stmts *stmts;

	rewrite(&r, text, env, scan);
	stmts = sql_analyze((struct slice){r.text, r.len}, r.consts, scan->n);
	free(r.text);
	free(r.consts);
	return stmts;
}

static struct sql_stmts *
analyze(struct slice text, const struct sql_env *env, const struct shape_scan *scan)
{
	size_t marks = 0;

	if (!env->standard_strings && memchr(text.ptr, '\\', text.len) != NULL)
		marks = count_marks(text, env);
	if (marks > 0)
		return analyze_rewritten(text, env, scan, marks);
	return sql_analyze(text, scan->v, scan->n);
}

static struct entry *
entry_create(struct slice text, const struct sql_env *env, const struct shape_scan *scan)
{
	struct entry *e = must(calloc(1, sizeof *e));
	struct shape *s = &e->shape;

	s->hash[0] = scan->hash[0];
	s->hash[1] = scan->hash[1];
	s->refs = 1;
	s->n_consts = scan->n;
	s->sample = sample_of(text, env->encoding);
	e->bytes = sizeof *e + SAMPLE_MAX;
	list_init(&e->used);
	if (scan->failed) {
		s->err = must(malloc(sizeof *s->err));
		*s->err = scan->err;
		e->bytes += sizeof *s->err;
	} else {
		s->stmts = analyze(text.ptr == NULL ? SLICE_LIT("") : text, env, scan);
		e->bytes += s->stmts->arena.used + s->stmts->arena.used / 8 + ARENA_BLOCK;
	}
	return e;
}

/* ---- the table ---- */

static struct entry **
bucket(const struct shape_cache *c, const uint64_t hash[2])
{
	return &c->buckets[hash[0] & (c->n_buckets - 1)];
}

static struct entry *
find(const struct shape_cache *c, const uint64_t hash[2])
{
	struct entry *e = *bucket(c, hash);

	while (e != NULL && (e->shape.hash[0] != hash[0] || e->shape.hash[1] != hash[1]))
		e = e->next;
	return e;
}

static void
grow_table(struct shape_cache *c)
{
	free(c->buckets);
	c->n_buckets *= 2;
	c->buckets = must(calloc(c->n_buckets, sizeof *c->buckets));
	LIST_FOREACH(it, &c->used) {
		struct entry *e = LIST_ENTRY(it, struct entry, used);
		struct entry **b = bucket(c, e->shape.hash);

		e->next = *b;
		*b = e;
	}
}

static void
forget(struct shape_cache *c, struct entry *e)
{
	struct entry **b = bucket(c, e->shape.hash);

	while (*b != e)
		b = &(*b)->next;
	*b = e->next;
	list_remove(&e->used);
	c->stats.bytes -= e->bytes;
	c->stats.shapes--;
	shape_unref(&e->shape);
}

static void
keep(struct shape_cache *c, struct entry *e)
{
	struct entry **b;

	while (c->stats.bytes + e->bytes > c->max_bytes && !list_empty(&c->used)) {
		c->stats.evictions++;
		forget(c, LIST_ENTRY(c->used.prev, struct entry, used));
	}
	if (c->stats.shapes >= c->n_buckets)
		grow_table(c);
	b = bucket(c, e->shape.hash);
	e->next = *b;
	*b = e;
	list_push_front(&c->used, &e->used);
	c->stats.bytes += e->bytes;
	c->stats.shapes++;
}

/* ---- the interface ---- */

struct shape_cache *
shape_cache_create(size_t max_bytes)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct shape_cache *c = must(calloc(1, sizeof *c));

	pthread_once(&once, make_key);
	c->key = process_key;
	c->max_bytes = max_bytes;
	c->n_buckets = BUCKETS_FIRST;
	c->buckets = must(calloc(c->n_buckets, sizeof *c->buckets));
	list_init(&c->used);
	shape_scan_init(&c->scan);
	return c;
}

static void
let_pass(struct shape_cache *c)
{
	if (c->passing != NULL)
		shape_unref(&c->passing->shape);
	c->passing = NULL;
	if (c->scan.cap > KEEP_CONSTS)
		shape_scan_fini(&c->scan);
}

void
shape_cache_destroy(struct shape_cache *c)
{
	let_pass(c);
	while (!list_empty(&c->used))
		forget(c, LIST_ENTRY(c->used.next, struct entry, used));
	shape_scan_fini(&c->scan);
	free(c->buckets);
	free(c);
}

static struct shape *
miss(struct shape_cache *c, struct slice text, const struct sql_env *env)
{
	struct entry *e = entry_create(text, env, &c->scan);

	c->stats.misses++;
	if (e->bytes <= c->max_bytes / 16)
		keep(c, e);
	else
		c->passing = e;
	return &e->shape;
}

struct shape *
shape_get(struct shape_cache *c, struct slice text, const struct sql_env *env,
    struct sql_consts *out)
{
	struct entry *e;

	let_pass(c);
	shape_scan_text(&c->scan, &c->key, text, env);
	out->v = c->scan.v;
	out->n = c->scan.n;
	e = find(c, c->scan.hash);
	if (e == NULL)
		return miss(c, text, env);
	c->stats.hits++;
	e->shape.hits++;
	if (c->used.next != &e->used) {
		list_remove(&e->used);
		list_push_front(&c->used, &e->used);
	}
	return &e->shape;
}

void
shape_cache_stats(const struct shape_cache *c, struct shape_stats *out)
{
	*out = c->stats;
}

void
shape_cache_each(
    struct shape_cache *c, void (*fn)(const struct shape *, void *), void *arg)
{
	LIST_FOREACH(it, &c->used)
		fn(&LIST_ENTRY(it, struct entry, used)->shape, arg);
}
