#include "router/session/varset.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "router/sql/encoding.h"

#define TABLE_SIZE 4096

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct varset *table[TABLE_SIZE];

static const char *const parse_names[] = {"backslash_quote", "datestyle", "intervalstyle",
    "role", "search_path", "session_authorization", "standard_conforming_strings",
    "timezone"};

static bool
changes_parsing(const char *name)
{
	for (size_t i = 0; i < sizeof parse_names / sizeof parse_names[0]; i++)
		if (strcmp(name, parse_names[i]) == 0)
			return true;
	return false;
}

static uint64_t
hash_text(uint64_t h, const char *s)
{
	do
		h = (h ^ (unsigned char)*s) * 0x100000001b3u; /* FNV-1a */
	while (*s++ != '\0');
	return h;
}

static uint64_t
hash_vars(const struct var *v, int n)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (int i = 0; i < n; i++)
		h = hash_text(hash_text(h, v[i].name), v[i].value);
	return h;
}

static bool
same_vars(const struct varset *s, const struct var *v, int n)
{
	if (s->n != n)
		return false;
	for (int i = 0; i < n; i++)
		if (strcmp(s->v[i].name, v[i].name) != 0 ||
		    strcmp(s->v[i].value, v[i].value) != 0)
			return false;
	return true;
}

static struct varset *intern_locked(const struct var *v, int n);

static struct varset *
parse_subset(const struct var *v, int n)
{
	struct var some[sizeof parse_names / sizeof parse_names[0]];
	int m = 0;

	for (int i = 0; i < n; i++)
		if (changes_parsing(v[i].name))
			some[m++] = v[i];
	return m == n ? NULL : intern_locked(some, m);
}

static const struct var_known nothing_known = {
    .client_encoding = "UTF8",
    .server_encoding = "UTF8",
    .date_style = "ISO, MDY",
    .time_zone = "UTC",
    .env = {.encoding = ENC_UTF8, .standard_strings = true},
};

static void
get_known(const struct varset *s, const char *name, const char **to)
{
	const char *value = varset_get(s, name);

	if (value != NULL)
		*to = value;
}

static void
fill_known(struct varset *s)
{
	struct var_known *k = &s->known;
	const char *strings = varset_get(s, "standard_conforming_strings");
	enum sql_encoding encoding;

	*k = nothing_known;
	get_known(s, "client_encoding", &k->client_encoding);
	get_known(s, "server_encoding", &k->server_encoding);
	get_known(s, "DateStyle", &k->date_style);
	get_known(s, "TimeZone", &k->time_zone);
	if (sql_encoding_parse(k->client_encoding, &encoding))
		k->env.encoding = (uint8_t)encoding;
	k->env.standard_strings = strings == NULL || strcmp(strings, "off") != 0;
}

const struct var_known *
varset_known(const struct varset *s)
{
	return s == NULL ? &nothing_known : &s->known;
}

static struct varset *
create(const struct var *v, int n, uint64_t hash)
{
	size_t text = 0;
	struct varset *s;
	char *at;

	for (int i = 0; i < n; i++)
		text += strlen(v[i].name) + strlen(v[i].value) + 2;
	s = malloc(sizeof *s + sizeof s->v[0] * (size_t)n + text);
	if (s == NULL)
		abort();
	atomic_init(&s->refs, 1);
	s->n = n;
	s->hash = hash;
	at = (char *)&s->v[n];
	for (int i = 0; i < n; i++) {
		s->v[i].name = at;
		at = stpcpy(at, v[i].name) + 1;
		s->v[i].value = at;
		at = stpcpy(at, v[i].value) + 1;
	}
	fill_known(s);
	return s;
}

static struct varset *
intern_locked(const struct var *v, int n)
{
	uint64_t hash = hash_vars(v, n);
	struct varset **bucket = &table[hash % TABLE_SIZE];
	struct varset *s;
	bool all_parse = true;

	if (n == 0)
		return NULL;
	for (s = *bucket; s != NULL; s = s->next)
		if (s->hash == hash && same_vars(s, v, n)) {
			atomic_fetch_add(&s->refs, 1);
			return s;
		}
	s = create(v, n, hash);
	for (int i = 0; i < n; i++)
		all_parse = all_parse && changes_parsing(v[i].name);
	s->parse_set = all_parse ? s : parse_subset(v, n);
	s->next = *bucket;
	*bucket = s;
	return s;
}

struct varset *
varset_ref(struct varset *s)
{
	if (s != NULL)
		atomic_fetch_add(&s->refs, 1);
	return s;
}

static void
unref_locked(struct varset *s)
{
	struct varset **at = &table[s->hash % TABLE_SIZE];

	if (atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	if (s->parse_set != NULL && s->parse_set != s)
		unref_locked(s->parse_set);
	free(s);
}

void
varset_unref(struct varset *s)
{
	int refs;

	if (s == NULL)
		return;
	refs = atomic_load(&s->refs);
	while (refs > 1)
		if (atomic_compare_exchange_weak(&s->refs, &refs, refs - 1))
			return;
	pthread_mutex_lock(&table_lock);
	unref_locked(s);
	pthread_mutex_unlock(&table_lock);
}

struct varset *
varset_with(const struct varset *set, const char *name, const char *value)
{
	int n = set == NULL ? 0 : set->n, m = 0;
	struct var *v = malloc(sizeof *v * (size_t)(n + 1));
	struct varset *result;
	bool placed = value == NULL;

	if (v == NULL)
		abort();
	for (int i = 0; i < n; i++) {
		int order = strcasecmp(set->v[i].name, name);

		if (order >= 0 && !placed) {
			v[m++] = (struct var){name, value};
			placed = true;
		}
		if (order != 0)
			v[m++] = set->v[i];
	}
	if (!placed)
		v[m++] = (struct var){name, value};
	pthread_mutex_lock(&table_lock);
	result = intern_locked(v, m);
	pthread_mutex_unlock(&table_lock);
	free(v);
	return result;
}

const char *
varset_get(const struct varset *s, const char *name)
{
	int lo = 0, hi = s == NULL ? 0 : s->n;

	while (lo < hi) {
		int mid = (lo + hi) / 2, order = strcasecmp(s->v[mid].name, name);

		if (order == 0)
			return s->v[mid].value;
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

void
varset_assign(struct varset **slot, struct varset *set)
{
	struct varset *old = *slot;

	*slot = set;
	varset_unref(old);
}
