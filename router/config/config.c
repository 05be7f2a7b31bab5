/* router/config/config.c: the life of a configuration: references, look-up, SHOW CONFIG,
 * one changed value. */
#include "router/config/load.h"

#include <stdlib.h>

#include "router/config/hba.h"
#include "router/route/map.h"
#include "wire/secret.h"

/* ---- the table ---- */

/* clang-format off */
#define ENUM(name)              static const char *const name##_choices[] = {
#define CHOICE(constant, text)  [constant] = text,
#define END_ENUM                NULL };
#define XENUM(name)             ENUM(name)
#define XCHOICE(constant, text) CHOICE(constant, text)
#define END_XENUM               END_ENUM
#include "router/config/settings.def"

#define G       SCOPE_GLOBAL
#define D       SCOPE_DATABASE
#define U       SCOPE_USER
#define S       SCOPE_SHARD
#define RELOAD  true
#define RESTART false
static const struct setting table[] = {
#define SETTING(kind_, type, field, name_, def, min_, max_, choices_, scopes_, when, doc_) \
	{.name = name_, .kind = SETTING_##kind_, .offset = offsetof(struct settings, field), \
	    .default_text = def, .min = min_, .max = max_, .choices = choices_,              \
	    .scopes = scopes_, .reloadable = when, .doc = doc_},
#include "router/config/settings.def"
};
/* clang-format on */

static const struct setting_alias aliases[] = {
#define ALIAS(alias, name) {alias, name},
#include "router/config/settings.def"
};

static const struct setting_section sections[] = {
#define SECTION(id, title) {title, SECTION_##id},
#include "router/config/settings.def"
};

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

const struct setting_table config_settings = {table, COUNT(table), sections,
    COUNT(sections), sizeof(struct settings), aliases, COUNT(aliases)};

_Static_assert(COUNT(table) == SETTING_COUNT, "one entry a setting");
_Static_assert(SETTING_COUNT <= SETTINGS_MAX, "struct setting_set is large enough");

/* ---- life ---- */

struct config *
config_create(const char *file)
{
	struct config *c = calloc(1, sizeof *c);

	if (c == NULL)
		abort();
	atomic_init(&c->refs, 1);
	arena_init(&c->arena);
	c->file = arena_strdup(&c->arena, file);
	settings_defaults(&config_settings, &c->settings, &c->arena);
	return c;
}

struct config *
config_ref(struct config *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

static void
free_owned(struct conf_owned *o)
{
	switch (o->kind) {
	case OWNED_MAP:
		shard_map_destroy(o->map);
		break;
	case OWNED_SECRETS:
		secret_file_destroy(o->secrets);
		break;
	case OWNED_HBA:
		hba_destroy(o->hba);
		break;
	}
}

void
config_unref(struct config *c)
{
	while (c != NULL) {
		struct config *base = c->base;

		if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
			return;
		for (struct conf_owned *o = c->owned; o != NULL; o = o->next)
			free_owned(o);
		arena_reset(&c->arena);
		free(c);
		c = base;
	}
}

struct conf_owned *
config_own(struct config *c, enum owned_kind kind, const char *path)
{
	struct conf_owned *o = ARENA_NEW(&c->arena, struct conf_owned);

	o->kind = kind;
	o->path = path;
	o->next = c->owned;
	c->owned = o;
	return o;
}

/* ---- look-up: databases and users by hash of the name, as there may be many of either
 * ---- */

struct conf_index {
	size_t mask;
	uint32_t *databases, *users; /* index + 1; 0: free */
};

static size_t
hash_name(struct slice name)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < name.len; i++)
		h = (h ^ (unsigned char)name.ptr[i]) * UINT64_C(1099511628211);
	return (size_t)(h ^ (h >> 29));
}

static void
index_add(uint32_t *slots, size_t mask, const char *name, int i)
{
	size_t at = hash_name(slice_of(name)) & mask;

	while (slots[at] != 0)
		at = (at + 1) & mask;
	slots[at] = (uint32_t)i + 1;
}

void
config_index(struct config *c)
{
	struct conf_index *x = ARENA_NEW(&c->arena, struct conf_index);
	size_t n = 8,
	       most = (size_t)(c->n_databases > c->n_users ? c->n_databases : c->n_users);

	while (n < 2 * most)
		n *= 2;
	x->mask = n - 1;
	x->databases = ARENA_NEW_N(&c->arena, uint32_t, n);
	x->users = ARENA_NEW_N(&c->arena, uint32_t, n);
	for (int i = 0; i < c->n_databases; i++)
		index_add(x->databases, x->mask, c->databases[i].name, i);
	for (int i = 0; i < c->n_users; i++)
		index_add(x->users, x->mask, c->users[i].name, i);
	c->index = x;
}

const struct db_conf *
config_database(const struct config *c, struct slice name)
{
	const struct conf_index *x = c->index;

	for (size_t at = hash_name(name) & x->mask; x->databases[at] != 0;
	     at = (at + 1) & x->mask) {
		const struct db_conf *db = &c->databases[x->databases[at] - 1];

		if (!db->wildcard && slice_eq_str(name, db->name))
			return db;
	}
	return c->wildcard;
}

const struct user_conf *
config_user(const struct config *c, struct slice name)
{
	const struct conf_index *x = c->index;

	for (size_t at = hash_name(name) & x->mask; x->users[at] != 0;
	     at = (at + 1) & x->mask) {
		const struct user_conf *u = &c->users[x->users[at] - 1];

		if (slice_eq_str(name, u->name))
			return u;
	}
	return NULL;
}

bool
setting_list_has(const struct setting_list *l, struct slice item)
{
	for (int i = 0; i < l->n; i++)
		if (slice_eq_str(item, l->items[i]))
			return true;
	return false;
}

/* ---- SHOW and SET ---- */

void
config_show(const struct config *c,
    void (*row)(const char *name, const char *value, const char *default_value,
	bool changeable, void *arg),
    void *arg)
{
	struct arena a;
	struct settings defaults;

	arena_init(&a);
	settings_defaults(&config_settings, &defaults, &a);
	for (int i = 0; i < SETTING_COUNT; i++)
		row(table[i].name, setting_text(&table[i], &c->settings, &a),
		    setting_text(&table[i], &defaults, &a), table[i].reloadable, arg);
	arena_reset(&a);
}

void
config_restart_needed(const struct config *before, const struct config *after,
    void (*each)(const char *name, void *arg), void *arg)
{
	for (int i = 0; i < SETTING_COUNT; i++)
		if (!table[i].reloadable &&
		    !setting_equal(&table[i], &before->settings, &after->settings))
			each(table[i].name, arg);
}

const char *
config_path(const struct config *c, const char *path, struct arena *a)
{
	const char *slash = strrchr(c->file, '/');

	if (path[0] == '/' || path[0] == '\0' || slash == NULL)
		return path;
	return arena_printf(a, "%.*s/%s", (int)(slash - c->file), c->file, path);
}

/* Writes the new value wherever the global one was in force. */
static void
spread(struct config *c, int id)
{
	for (int i = 0; i < c->n_databases; i++) {
		struct db_conf *db = &c->databases[i];

		if (!setting_set_has(&db->set, id))
			setting_copy(&table[id], &db->settings, &c->settings);
		for (int j = 0; j < db->n_shards; j++)
			if (!setting_set_has(&db->shards[j].set, id))
				setting_copy(
				    &table[id], &db->shards[j].settings, &db->settings);
	}
}

static struct config *
copy_config(struct config *from)
{
	struct config *c = calloc(1, sizeof *c);

	if (c == NULL)
		abort();
	arena_init(&c->arena);
	c->base = config_ref(from);
	c->file = from->file;
	c->settings = from->settings;
	c->set = from->set;
	c->n_databases = from->n_databases;
	c->databases = arena_dup(&c->arena, from->databases,
	    (size_t)from->n_databases * sizeof *from->databases);
	for (int i = 0; i < c->n_databases; i++) {
		struct db_conf *db = &c->databases[i];

		db->shards = arena_dup(
		    &c->arena, db->shards, (size_t)db->n_shards * sizeof *db->shards);
		if (db->wildcard)
			c->wildcard = db;
	}
	c->users = from->users;
	c->n_users = from->n_users;
	c->peers = from->peers;
	c->n_peers = from->n_peers;
	c->user_secrets = from->user_secrets;
	c->hba = from->hba;
	c->index = from->index;
	atomic_init(&c->refs, 1);
	return c;
}

/* Values that stand for the content of a file. */
static bool
is_read_at_load(int id)
{
	return id == SETTING_ID_users_file || id == SETTING_ID_hba_file ||
	    id == SETTING_ID_ident_file;
}

enum rc
config_with(struct config *from, struct slice name, struct slice value,
    struct config **result, struct err *err)
{
	int id = setting_find(&config_settings, name);
	const struct setting *s = id < 0 ? NULL : &table[id];
	struct config *c;

	if (s == NULL || !(s->scopes & SCOPE_GLOBAL))
		return err_set(err, "42704", BLAST_STMT, "unrecognized setting \"%.*s\"",
		    (int)(name.len < 100 ? name.len : 100), name.ptr);
	if (!s->reloadable || is_read_at_load(id))
		return err_set(err, "55P02", BLAST_STMT,
		    "setting \"%s\" cannot be changed by SET; change the file, then %s",
		    s->name, s->reloadable ? "RELOAD" : "restart");
	c = copy_config(from);
	if (setting_parse(s, &c->settings, value, &c->arena, err) != RC_OK) {
		config_unref(c);
		return RC_ERR;
	}
	if (s->kind == SETTING_FILE) {
		const char **path =
		    (const char **)(void *)((char *)&c->settings + s->offset);

		*path = config_path(c, *path, &c->arena);
	}
	setting_set_add(&c->set, id);
	spread(c, id);
	*result = c;
	return RC_OK;
}
