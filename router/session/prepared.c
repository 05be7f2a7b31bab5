#include "router/session/prepared.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "router/session/varset.h"

#define CHAINS 4096

struct preparedset {
	struct shape_cache *shapes;
	struct prepared *chain[CHAINS];
};

static _Atomic uint64_t next_id = 1;

struct preparedset *
preparedset_create(struct shape_cache *shapes)
{
	struct preparedset *set = calloc(1, sizeof *set);

	if (set == NULL)
		abort();
	set->shapes = shapes;
	return set;
}

void
preparedset_destroy(struct preparedset *set)
{
	free(set);
}

static uint64_t
hash_bytes(uint64_t h, const void *ptr, size_t len)
{
	const unsigned char *p = ptr;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

static uint64_t
hash_key(const struct prepared_key *k)
{
	uint64_t h = hash_bytes(0xcbf29ce484222325u, k->text.ptr, k->text.len);

	if (k->n_oids > 0)
		h = hash_bytes(h, k->oids, sizeof k->oids[0] * (size_t)k->n_oids);
	h = hash_bytes(h, k->sql_types.ptr, k->sql_types.len);
	h = hash_bytes(h, &k->ddl, sizeof k->ddl);
	return hash_bytes(h, &k->parse_set, sizeof k->parse_set);
}

static bool
matches(const struct prepared *p, const struct prepared_key *k, uint64_t hash)
{
	return p->hash == hash && p->parse_set == k->parse_set && p->ddl == k->ddl &&
	    p->by_sql == k->by_sql && p->n_oids == k->n_oids &&
	    slice_eq(p->text, k->text) && slice_eq(p->sql_types, k->sql_types) &&
	    (k->n_oids == 0 ||
		memcmp(p->oids, k->oids, sizeof p->oids[0] * (size_t)k->n_oids) == 0);
}

/* The cache's list lasts only until its next look-up. */
static void
keep_consts(struct sql_consts *c)
{
	size_t size = sizeof c->v[0] * c->n;
	struct sql_const *v = c->n == 0 ? NULL : malloc(size);

	if (c->n > 0 && v == NULL)
		abort();
	if (c->n > 0)
		memcpy(v, c->v, size);
	c->v = v;
}

static struct prepared *
create(struct preparedset *set, const struct prepared_key *k, uint64_t hash)
{
	size_t oids = sizeof(uint32_t) * (size_t)k->n_oids;
	struct prepared *p =
	    malloc(sizeof *p + oids + k->text.len + k->sql_types.len + 2);
	char *at;

	if (p == NULL)
		abort();
	memset(p, 0, sizeof *p);
	p->id = atomic_fetch_add(&next_id, 1);
	p->refs = 1;
	p->hash = hash;
	p->home = set;
	p->n_oids = k->n_oids;
	p->by_sql = k->by_sql;
	p->ddl = k->ddl;
	p->parse_set = varset_ref(k->parse_set);
	if (oids > 0)
		memcpy(p->oids, k->oids, oids);
	at = (char *)p->oids + oids;
	memcpy(at, k->text.ptr, k->text.len);
	at[k->text.len] = '\0';
	p->text = (struct slice){at, k->text.len};
	at += k->text.len + 1;
	if (k->sql_types.len > 0)
		memcpy(at, k->sql_types.ptr, k->sql_types.len);
	p->sql_types = (struct slice){at, k->sql_types.len};
	p->shape = shape_get(set->shapes, p->text, &k->env, &p->consts);
	shape_ref(p->shape);
	keep_consts(&p->consts);
	p->next = set->chain[hash % CHAINS];
	set->chain[hash % CHAINS] = p;
	return p;
}

struct prepared *
prepared_get(struct preparedset *set, const struct prepared_key *k)
{
	uint64_t hash = hash_key(k);

	for (struct prepared *p = set->chain[hash % CHAINS]; p != NULL; p = p->next)
		if (matches(p, k, hash))
			return prepared_ref(p);
	return create(set, k, hash);
}

struct prepared *
prepared_ref(struct prepared *p)
{
	p->refs++;
	return p;
}

void
prepared_retire(struct prepared *p)
{
	struct prepared **at = &p->home->chain[p->hash % CHAINS];

	if (p->retired)
		return;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->retired = true;
}

void
prepared_unref(struct prepared *p)
{
	if (p == NULL || --p->refs > 0)
		return;
	prepared_retire(p);
	shape_unref(p->shape);
	prepared_unref(p->below);
	free((void *)p->consts.v);
	varset_unref(p->parse_set);
	free(p);
}

void
prepared_name(uint64_t id, char out[PREPARED_NAME_MAX])
{
	char digits[20];
	int n = 0;

	do
		digits[n++] = (char)('0' + id % 10);
	while ((id /= 10) > 0);
	memcpy(out, "weir_", 5);
	out += 5;
	while (n > 0)
		*out++ = digits[--n];
	*out = '\0';
}

/* ---- names: a small sorted array; clients rarely have more than some hundred ---- */

struct name {
	char *name;
	uint32_t len;
	struct prepared *prepared;
};

struct names {
	int n, cap;
	struct name *v;
};

static int
compare(const struct name *a, struct slice b)
{
	size_t n = a->len < b.len ? a->len : b.len;
	int order = n == 0 ? 0 : memcmp(a->name, b.ptr, n);

	return order != 0 ? order : (a->len > b.len) - (a->len < b.len);
}

/* The place of name, or where it would be inserted. */
static int
find(const struct names *names, struct slice name, bool *there)
{
	int lo = 0, hi = names == NULL ? 0 : names->n;

	*there = false;
	while (lo < hi) {
		int mid = (lo + hi) / 2, order = compare(&names->v[mid], name);

		if (order == 0) {
			*there = true;
			return mid;
		}
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* PostgreSQL keeps 63 bytes of a name. */
static struct slice
clip(struct slice name)
{
	return (struct slice){name.ptr, name.len > 63 ? 63 : name.len};
}

struct prepared *
names_get(const struct names *names, struct slice name)
{
	bool there;
	int at = find(names, clip(name), &there);

	return there ? names->v[at].prepared : NULL;
}

static struct prepared *
take_out(struct names **slot, int at)
{
	struct names *names = *slot;
	struct prepared *old = names->v[at].prepared;

	free(names->v[at].name);
	names->n--;
	memmove(&names->v[at], &names->v[at + 1],
	    sizeof names->v[0] * (size_t)(names->n - at));
	if (names->n == 0) {
		free(names->v);
		free(names);
		*slot = NULL;
	}
	return old;
}

static void
insert(struct names **slot, int at, struct slice name, struct prepared *p)
{
	struct names *names = *slot;

	if (names == NULL)
		*slot = names = calloc(1, sizeof *names);
	if (names == NULL)
		abort();
	if (names->n == names->cap) {
		names->cap = names->cap == 0 ? 4 : names->cap * 2;
		names->v = realloc(names->v, sizeof names->v[0] * (size_t)names->cap);
		if (names->v == NULL)
			abort();
	}
	memmove(&names->v[at + 1], &names->v[at],
	    sizeof names->v[0] * (size_t)(names->n - at));
	names->v[at].name = strndup(name.ptr, name.len);
	names->v[at].len = (uint32_t)name.len;
	names->v[at].prepared = p;
	names->n++;
}

struct prepared *
names_put(struct names **slot, struct slice name, struct prepared *p)
{
	struct prepared *old;
	bool there;
	int at = find(*slot, clip(name), &there);

	if (there && p == NULL)
		return take_out(slot, at);
	if (there) {
		old = (*slot)->v[at].prepared;
		(*slot)->v[at].prepared = p;
		return old;
	}
	if (p != NULL)
		insert(slot, at, clip(name), p);
	return NULL;
}

void
names_clear(struct names **slot)
{
	while (*slot != NULL)
		prepared_unref(take_out(slot, (*slot)->n - 1));
}

void
names_replace(struct names *names, struct prepared *old, struct prepared *now)
{
	for (int i = 0; names != NULL && i < names->n; i++) {
		if (names->v[i].prepared != old)
			continue;
		names->v[i].prepared = prepared_ref(now);
		prepared_unref(old);
	}
}

const char *
names_find_id(const struct names *names, uint64_t id)
{
	for (int i = 0; names != NULL && i < names->n; i++)
		if (names->v[i].prepared->id == id)
			return names->v[i].name;
	return NULL;
}

int
names_count(const struct names *names)
{
	return names == NULL ? 0 : names->n;
}
