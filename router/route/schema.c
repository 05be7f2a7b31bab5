#include "router/route/schema.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* One declaration of a function or operator. */
struct routine {
	const char *schema, *name;
	int least, most; /* arguments; most INT32_MAX: variadic */
	char volatility;
	struct routine *next;
};

struct schema {
	atomic_uint refs;
	uint64_t id;
	struct arena arena;
	size_t n_tables, n_routines, n_buckets;
	struct schema_table **tables; /* n_buckets chains each */
	struct routine **funcs, **ops;
	const char **namespaces;
	int n_namespaces;
};

/* While it is built, tables, functions and operators stand in growing chains of the
 * schema itself. */
struct schema_builder {
	struct schema *s;
	struct schema_table *latest;
};

static uint64_t
hash_name(const char *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	return h ^ h >> 29;
}

/* ---- look-ups ---- */

static struct schema_table *
find_table(const struct schema *s, const char *schema, const char *name)
{
	struct schema_table *t = s->tables[hash_name(name) % s->n_buckets];

	while (
	    t != NULL && (strcmp(t->name, name) != 0 || strcmp(t->schema, schema) != 0))
		t = t->next;
	return t;
}

const struct schema_table *
schema_table(const struct schema *s, const char *schema, const char *name)
{
	return find_table(s, schema, name);
}

int
schema_column(const struct schema_table *t, const char *name)
{
	for (int i = 0; i < t->n_columns; i++)
		if (strcmp(t->columns[i].name, name) == 0)
			return i;
	return -1;
}

static struct schema_func
worst_of(const struct routine *r, const char *schema, const char *name, int n_args)
{
	struct schema_func f = {false, SCHEMA_IMMUTABLE};

	for (; r != NULL; r = r->next) {
		enum schema_volatility v = r->volatility == 'i' ? SCHEMA_IMMUTABLE
		    : r->volatility == 's'                      ? SCHEMA_STABLE
								: SCHEMA_VOLATILE;

		if (n_args < r->least || n_args > r->most || strcmp(r->name, name) != 0 ||
		    (schema != NULL && strcmp(r->schema, schema) != 0))
			continue;
		f.found = true;
		if (v > f.volatility)
			f.volatility = v;
	}
	return f;
}

struct schema_func
schema_func(const struct schema *s, const char *schema, const char *name, int n_args)
{
	return worst_of(s->funcs[hash_name(name) % s->n_buckets], schema, name, n_args);
}

struct schema_func
schema_operator(const struct schema *s, const char *schema, const char *name)
{
	return worst_of(s->ops[hash_name(name) % s->n_buckets], schema, name, 2);
}

bool
schema_has_namespace(const struct schema *s, const char *name)
{
	for (int i = 0; i < s->n_namespaces; i++)
		if (strcmp(s->namespaces[i], name) == 0)
			return true;
	return false;
}

void
schema_each_table(
    const struct schema *s, void (*fn)(const struct schema_table *, void *arg), void *arg)
{
	for (size_t i = 0; i < s->n_buckets; i++)
		for (const struct schema_table *t = s->tables[i]; t != NULL; t = t->next)
			fn(t, arg);
}

size_t
schema_bytes(const struct schema *s)
{
	return sizeof *s + s->arena.used + s->n_buckets * 3 * sizeof(void *);
}

/* ---- life ---- */

static void *
zeroed(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (p == NULL)
		abort();
	return p;
}

uint64_t
schema_id(const struct schema *s)
{
	return s == NULL ? 0 : s->id;
}

void
schema_ref(struct schema *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

void
schema_unref(struct schema *s)
{
	if (s == NULL ||
	    atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	free(s->tables);
	free(s->funcs);
	free(s->ops);
	free(s->namespaces);
	arena_reset(&s->arena);
	free(s);
}

/* ---- building ---- */

struct schema_builder *
schema_builder_create(void)
{
	struct schema_builder *b = zeroed(1, sizeof *b);
	struct schema *s = zeroed(1, sizeof *s);
	static atomic_uint_fast64_t ids;

	atomic_init(&s->refs, 1);
	s->id = atomic_fetch_add_explicit(&ids, 1, memory_order_relaxed) + 1;
	arena_init(&s->arena);
	s->n_buckets = 256;
	s->tables = zeroed(s->n_buckets, sizeof(void *));
	s->funcs = zeroed(s->n_buckets, sizeof(void *));
	s->ops = zeroed(s->n_buckets, sizeof(void *));
	b->s = s;
	schema_builder_namespace(b, "public");
	return b;
}

static void
move_routines(struct routine **from, size_t n_from, struct routine **to, size_t n_to)
{
	for (size_t i = 0; i < n_from; i++)
		while (from[i] != NULL) {
			struct routine *r = from[i],
				       **at = &to[hash_name(r->name) % n_to];

			from[i] = r->next;
			r->next = *at;
			*at = r;
		}
}

static void
move_tables(
    struct schema_table **from, size_t n_from, struct schema_table **to, size_t n_to)
{
	for (size_t i = 0; i < n_from; i++)
		while (from[i] != NULL) {
			struct schema_table *t = from[i],
					    **at = &to[hash_name(t->name) % n_to];

			from[i] = t->next;
			t->next = *at;
			*at = t;
		}
}

static void
make_room(struct schema *s)
{
	size_t n = s->n_buckets * 4;
	struct schema_table **tables;
	struct routine **funcs, **ops;

	if (s->n_tables + s->n_routines < s->n_buckets)
		return;
	tables = zeroed(n, sizeof *tables);
	funcs = zeroed(n, sizeof *funcs);
	ops = zeroed(n, sizeof *ops);
	move_tables(s->tables, s->n_buckets, tables, n);
	move_routines(s->funcs, s->n_buckets, funcs, n);
	move_routines(s->ops, s->n_buckets, ops, n);
	free(s->tables);
	free(s->funcs);
	free(s->ops);
	s->tables = tables;
	s->funcs = funcs;
	s->ops = ops;
	s->n_buckets = n;
}

void
schema_builder_namespace(struct schema_builder *b, const char *name)
{
	struct schema *s = b->s;

	if (schema_has_namespace(s, name))
		return;
	s->namespaces =
	    realloc(s->namespaces, ((size_t)s->n_namespaces + 1) * sizeof *s->namespaces);
	if (s->namespaces == NULL)
		abort();
	s->namespaces[s->n_namespaces++] = arena_strdup(&s->arena, name);
}

void
schema_builder_table(struct schema_builder *b, const char *schema, const char *name,
    char kind, bool unlogged)
{
	struct schema *s = b->s;
	struct schema_table *t = find_table(s, schema, name), **at;

	make_room(s);
	if (t == NULL) {
		t = ARENA_NEW(&s->arena, struct schema_table);
		t->schema = arena_strdup(&s->arena, schema);
		t->name = arena_strdup(&s->arena, name);
		at = &s->tables[hash_name(name) % s->n_buckets];
		t->next = *at;
		*at = t;
		s->n_tables++;
	}
	t->kind = kind;
	t->unlogged = unlogged;
	t->n_columns = 0;
	b->latest = t;
	schema_builder_namespace(b, schema);
}

static struct schema_table *
table_of(struct schema_builder *b, const char *schema, const char *name)
{
	struct schema_table *t = b->latest;

	if (t == NULL || strcmp(t->name, name) != 0 || strcmp(t->schema, schema) != 0)
		t = find_table(b->s, schema, name);
	if (t != NULL)
		b->latest = t;
	return t;
}

void
schema_builder_parent(struct schema_builder *b, const char *schema, const char *name,
    const char *parent_schema, const char *parent)
{
	struct schema_table *t = table_of(b, schema, name);

	if (t == NULL)
		return;
	t->parent_schema = arena_strdup(&b->s->arena, parent_schema);
	t->parent = arena_strdup(&b->s->arena, parent);
}

void
schema_builder_column(struct schema_builder *b, const char *schema, const char *table,
    const char *column, const char *type, int typmod, bool deterministic,
    bool has_default)
{
	struct schema_table *t = table_of(b, schema, table);
	struct schema_column *c;
	int n;

	if (t == NULL)
		return;
	n = t->n_columns;
	/* room in powers of two: what is left behind lies in the arena */
	if ((n & (n - 1)) == 0) {
		c = ARENA_NEW_N(
		    &b->s->arena, struct schema_column, n == 0 ? 1 : (size_t)n * 2);
		if (n > 0)
			memcpy(c, t->columns, (size_t)n * sizeof *c);
		t->columns = c;
	}
	c = (struct schema_column *)(uintptr_t)&t->columns[n];
	c->name = arena_strdup(&b->s->arena, column);
	c->type = arena_strdup(&b->s->arena, type);
	c->typmod = typmod;
	c->deterministic = deterministic;
	c->has_default = has_default;
	t->n_columns++;
}

void
schema_builder_view(
    struct schema_builder *b, const char *schema, const char *name, const char *sql)
{
	struct schema_table *t = table_of(b, schema, name);

	if (t != NULL)
		t->view_sql = arena_strdup(&b->s->arena, sql);
}

static void
add_routine(struct schema *s, bool op, struct routine v)
{
	struct routine *r, **at;

	make_room(s);
	r = ARENA_NEW(&s->arena, struct routine);
	*r = v;
	r->schema = arena_strdup(&s->arena, v.schema);
	r->name = arena_strdup(&s->arena, v.name);
	at = &(op ? s->ops : s->funcs)[hash_name(v.name) % s->n_buckets];
	r->next = *at;
	*at = r;
	s->n_routines++;
}

void
schema_builder_func(struct schema_builder *b, const char *schema, const char *name,
    int n_args, int n_defaults, bool variadic, char volatility)
{
	/* a VARIADIC parameter takes none to many: at least the others */
	int least = n_args - n_defaults - (variadic && n_defaults == 0);

	add_routine(b->s, false,
	    (struct routine){schema, name, least < 0 ? 0 : least,
		variadic ? INT32_MAX : n_args, volatility, NULL});
}

void
schema_builder_operator(
    struct schema_builder *b, const char *schema, const char *name, char volatility)
{
	add_routine(b->s, true, (struct routine){schema, name, 0, 2, volatility, NULL});
}

struct schema *
schema_builder_so_far(struct schema_builder *b)
{
	return b->s;
}

struct schema *
schema_builder_finish(struct schema_builder *b)
{
	struct schema *s = b->s;

	free(b);
	return s;
}

void
schema_builder_abandon(struct schema_builder *b)
{
	schema_unref(b->s);
	free(b);
}
