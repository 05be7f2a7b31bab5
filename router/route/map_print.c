#include "router/route/map_print.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "router/route/directory.h"
#include "router/route/range.h"

/* ---- growing text ---- */

struct text {
	char *p;
	size_t len, cap;
};

static void
add_bytes(struct text *t, struct slice s)
{
	if (t->cap - t->len < s.len + 1) {
		t->cap = (t->len + s.len + 1) * 2;
		t->p = realloc(t->p, t->cap);
		if (t->p == NULL)
			abort();
	}
	if (s.len > 0)
		memcpy(t->p + t->len, s.ptr, s.len);
	t->len += s.len;
}

static void
add(struct text *t, const char *s)
{
	add_bytes(t, slice_of(s));
}

static void
add_number(struct text *t, uint64_t n)
{
	char buf[24];

	snprintf(buf, sizeof buf, "%llu", (unsigned long long)n);
	add(t, buf);
}

static struct slice
finished(struct text *t, struct arena *a)
{
	struct slice s = {arena_strndup(a, t->len > 0 ? t->p : "", t->len), t->len};

	free(t->p);
	return s;
}

/* ---- pieces ---- */

static void
add_key(struct text *t, const struct key *k, struct arena *a)
{
	add_bytes(t, key_to_text(k, a));
}

static struct slice
range_piece(const struct range *r, struct arena *a)
{
	struct text t = {0};

	add(&t, r->has_lo ? "[" : "(");
	if (r->has_lo)
		add_key(&t, &r->lo, a);
	add(&t, ", ");
	if (r->has_hi)
		add_key(&t, &r->hi, a);
	add(&t, ")");
	return finished(&t, a);
}

struct entries {
	const struct distribution *d;
	struct arena *a;
	size_t left;
	void (*fn)(void *, struct slice, int);
	void *arg;
};

/* The bytes of a directory back to the text of their type. */
static struct slice
entry_piece(const struct distribution *d, struct slice bytes, struct arena *a)
{
	struct key k = {.type = d->types[0]};

	if (k.type == KEY_UUID)
		memcpy(k.uuid, bytes.ptr, sizeof k.uuid);
	else if (k.type == KEY_TEXT || k.type == KEY_VARCHAR || k.type == KEY_NUMERIC)
		k.text = bytes;
	else
		memcpy(&k.i, bytes.ptr, sizeof k.i);
	return key_to_text(&k, a);
}

static bool
entry(void *arg, struct slice bytes, int shard)
{
	struct entries *e = arg;

	e->fn(e->arg, entry_piece(e->d, bytes, e->a), shard);
	return --e->left > 0;
}

static void
each_bucket_run(const struct distribution *d, struct arena *a,
    void (*fn)(void *, struct slice, int), void *arg)
{
	for (uint32_t i = 0; i < d->buckets; i++) {
		uint32_t first = i;

		while (i + 1 < d->buckets &&
		    d->bucket_shard[i + 1] == d->bucket_shard[first])
			i++;
		fn(arg,
		    slice_of(first == i ? arena_printf(a, "%u", first)
					: arena_printf(a, "%u-%u", first, i)),
		    d->bucket_shard[first]);
	}
}

void
shard_map_each_piece(const struct shard_map *m, int distribution, size_t entries_max,
    struct arena *a, void (*fn)(void *, struct slice, int), void *arg)
{
	const struct distribution *d = &m->distributions[distribution];
	struct entries e = {d, a, entries_max, fn, arg};

	switch (d->kind) {
	case DIST_HASH:
		each_bucket_run(d, a, fn, arg);
		break;
	case DIST_RANGE:
		for (int i = 0; i < d->ranges->n; i++)
			fn(arg, range_piece(&d->ranges->v[i], a), d->ranges->v[i].shard);
		break;
	case DIST_DIRECTORY:
		if (entries_max > 0)
			directory_each(d->directory, entry, &e);
		break;
	}
}

/* ---- lines ---- */

static void
add_types(struct text *t, const struct distribution *d)
{
	for (int i = 0; i < d->n_types; i++) {
		add(t, i > 0 ? ", " : "");
		add(t, key_type_name(d->types[i]));
	}
}

static void
add_directory(struct text *t, const struct shard_map *m, const struct distribution *d)
{
	add(t, ", ");
	add_number(t, directory_count(d->directory));
	add(t, " entries");
	if (d->default_shard >= 0) {
		add(t, ", default ");
		add(t, m->shards[d->default_shard]);
	}
	if (d->lookup != NULL) {
		add(t, ", lookup ");
		add(t, d->lookup);
	}
}

static void
add_distribution(struct text *t, const struct shard_map *m, const struct distribution *d)
{
	static const char *const kinds[] = {"hash", "range", "directory"};

	add(t, d->name);
	add(t, ": ");
	add(t, kinds[d->kind]);
	add(t, " (");
	add_types(t, d);
	add(t, ")");
	if (d->kind == DIST_HASH) {
		add(t, ", ");
		add_number(t, d->buckets);
		add(t, " buckets");
	} else if (d->kind == DIST_RANGE) {
		add(t, ", ");
		add_number(t, (uint64_t)d->ranges->n);
		add(t, " ranges");
	} else {
		add_directory(t, m, d);
	}
}

static void
add_table(struct text *t, const struct shard_map *m, const struct map_table *table)
{
	add(t, table->schema);
	add(t, ".");
	add(t, table->name);
	if (table->reference) {
		add(t, ": reference");
		return;
	}
	add(t, ": ");
	add(t, m->distributions[table->distribution].name);
	add(t, " (");
	for (int i = 0; i < table->n_key; i++) {
		add(t, i > 0 ? ", " : "");
		add(t, table->key[i]);
	}
	add(t, ")");
}

static void
add_function(struct text *t, const struct shard_map *m, const struct map_function *f)
{
	if (f->schema != NULL) {
		add(t, f->schema);
		add(t, ".");
	}
	add(t, f->name);
	if (f->distribution < 0) {
		add(t, "(): any shard");
	} else {
		add(t, "(): ");
		add(t, m->distributions[f->distribution].name);
		add(t, " by argument ");
		add_number(t, (uint64_t)f->argument);
	}
	if (f->read_only)
		add(t, ", read only");
}

struct slice
shard_map_print_distribution(const struct shard_map *m, int distribution, struct arena *a)
{
	struct text t = {0};

	add_distribution(&t, m, &m->distributions[distribution]);
	return finished(&t, a);
}

struct slice
shard_map_print_table(const struct shard_map *m, int table, struct arena *a)
{
	struct text t = {0};

	add_table(&t, m, &m->tables[table]);
	return finished(&t, a);
}

struct pieces {
	struct text *t;
	const struct shard_map *m;
};

static void
piece_line(void *arg, struct slice piece, int shard)
{
	struct pieces *p = arg;

	add(p->t, "  ");
	add_bytes(p->t, piece);
	add(p->t, " -> ");
	add(p->t, p->m->shards[shard]);
	add(p->t, "\n");
}

struct slice
shard_map_print(const struct shard_map *m, size_t entries_max, struct arena *a)
{
	struct text t = {0};
	struct pieces p = {&t, m};

	add(&t, "shards:");
	for (int i = 0; i < m->n_shards; i++) {
		add(&t, " ");
		add(&t, m->shards[i]);
		add(&t, i == m->default_shard ? " (default)" : "");
	}
	add(&t, "\n");
	for (int i = 0; i < m->n_distributions; i++) {
		const struct distribution *d = &m->distributions[i];

		add(&t, "distribution ");
		add_distribution(&t, m, d);
		add(&t, "\n");
		shard_map_each_piece(m, i, entries_max, a, piece_line, &p);
		if (d->kind == DIST_DIRECTORY &&
		    directory_count(d->directory) > entries_max)
			add(&t, "  ...\n");
	}
	for (int i = 0; i < m->n_tables; i++) {
		add(&t, "table ");
		add_table(&t, m, &m->tables[i]);
		add(&t, "\n");
	}
	for (int i = 0; i < m->n_functions; i++) {
		add(&t, "function ");
		add_function(&t, m, &m->functions[i]);
		add(&t, "\n");
	}
	return finished(&t, a);
}
