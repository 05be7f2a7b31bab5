/* router/config/load_db.c: databases, their shards and servers, and what stands in files
 * of their own: shard maps, users, access rules. */
#include <stdlib.h>
#include <sys/random.h>

#include "router/config/hba.h"
#include "router/config/load.h"
#include "router/route/map_load.h"
#include "wire/secret.h"

#define SHARD_NAME_MAX 63
#define ONLY_SHARD     "main" /* of a database that names its servers without shards */

static const char *const db_members[] = {
    "name", "shards", "default_shard", "primary", "replicas", "user", "password", NULL};
static const char *const shard_members[] = {"name", "primary", "replicas", NULL};
static const char *const replica_members[] = {"conninfo", "weight", NULL};

/* ---- servers ---- */

static struct server_conf *
server_at(struct loader *l, const config_setting_t *s, const struct settings *tls)
{
	const char *file = config_setting_source_file(s);
	const char *conninfo = config_setting_get_string(s);

	if (conninfo == NULL || conninfo[0] == '\0') {
		load_mistake(l, s,
		    "a conninfo string such as \"host=10.0.0.1 dbname=shop\" is "
		    "expected");
		return NULL;
	}
	return load_server(l, conninfo, file, (int)config_setting_source_line(s), tls);
}

static struct server_conf *
load_replica(struct loader *l, const config_setting_t *s, const struct settings *tls)
{
	static const char *const *const known[] = {replica_members, NULL};
	config_setting_t *weight, *conninfo;
	struct setting_set set = {{0}};
	struct server_conf *server;
	struct settings none;

	if (!config_setting_is_group(s))
		return server_at(l, s, tls);
	load_settings(l, s, 0, known, &none, &set);
	conninfo = config_setting_get_member(s, "conninfo");
	if (conninfo == NULL) {
		load_mistake(l, s, "the replica has no conninfo");
		return NULL;
	}
	server = server_at(l, conninfo, tls);
	weight = config_setting_get_member(s, "weight");
	if (weight == NULL || server == NULL)
		return server;
	server->weight = config_setting_get_int(weight);
	if (config_setting_type(weight) != CONFIG_TYPE_INT || server->weight < 0 ||
	    server->weight > 10000)
		load_mistake(
		    l, weight, "weight: a whole number from 0 to 10000 is expected");
	return server;
}

static void
load_servers(struct loader *l, const config_setting_t *group, struct shard_conf *sh)
{
	config_setting_t *primary = config_setting_get_member(group, "primary");
	const config_setting_t *list;
	int n = load_list(l, group, "replicas", &list);

	if (primary == NULL)
		load_mistake(l, group, "the shard \"%s\" has no primary", sh->name);
	else
		sh->primary = server_at(l, primary, &sh->settings);
	sh->replicas = ARENA_NEW_N(&l->cfg->arena, struct server_conf *, (size_t)n);
	for (int i = 0; i < n; i++) {
		struct server_conf *server = load_replica(
		    l, config_setting_get_elem(list, (unsigned)i), &sh->settings);

		if (server != NULL)
			sh->replicas[sh->n_replicas++] = server;
	}
}

/* ---- shards ---- */

static bool
shard_is_new(const struct db_conf *db, const char *name)
{
	for (int i = 0; i < db->n_shards; i++)
		if (strcmp(db->shards[i].name, name) == 0)
			return false;
	return true;
}

static const char *
shard_name(struct loader *l, const config_setting_t *group, const struct db_conf *db)
{
	const char *name = load_string(l, group, "name");

	if (name == NULL) {
		if (config_setting_get_member(group, "name") == NULL)
			load_mistake(l, group, "the shard has no name");
		return "";
	}
	if (strlen(name) > SHARD_NAME_MAX)
		load_mistake(
		    l, group, "the shard's name is longer than %d bytes", SHARD_NAME_MAX);
	if (!shard_is_new(db, name))
		load_mistake(l, group, "the shard \"%s\" is there twice", name);
	return name;
}

static void
load_shard(struct loader *l, const config_setting_t *group, struct db_conf *db)
{
	static const char *const *const known[] = {shard_members, NULL};
	struct shard_conf *sh = &db->shards[db->n_shards];

	if (!config_setting_is_group(group)) {
		load_mistake(l, group, "shards: each is a group in braces");
		return;
	}
	sh->name = arena_strdup(&l->cfg->arena, shard_name(l, group, db));
	sh->index = db->n_shards++;
	sh->settings = db->settings;
	load_settings(l, group, SCOPE_SHARD, known, &sh->settings, &sh->set);
	load_servers(l, group, sh);
}

static void
load_only_shard(struct loader *l, const config_setting_t *group, struct db_conf *db)
{
	struct shard_conf *sh;

	db->shards = sh = ARENA_NEW(&l->cfg->arena, struct shard_conf);
	db->n_shards = 1;
	sh->name = ONLY_SHARD;
	sh->settings = db->settings;
	load_servers(l, group, sh);
}

static void
load_shards(struct loader *l, const config_setting_t *group, struct db_conf *db)
{
	bool direct = config_setting_get_member(group, "primary") != NULL;
	const config_setting_t *list;
	int n = load_list(l, group, "shards", &list);

	if (list == NULL && !direct) {
		load_mistake(l, group,
		    "the database \"%s\" has no servers: give it a primary, or shards",
		    db->name);
		return;
	}
	if (list != NULL &&
	    (direct || config_setting_get_member(group, "replicas") != NULL)) {
		load_mistake(l, group,
		    "the database \"%s\" has shards, and a primary or replicas beside "
		    "them",
		    db->name);
		return;
	}
	if (list == NULL) {
		load_only_shard(l, group, db);
		return;
	}
	if (n == 0 && (config_setting_is_list(list) || config_setting_is_array(list)))
		load_mistake(l, list, "shards: the list is empty");
	if (n > MAP_SHARDS_MAX) {
		load_mistake(l, list, "a database has at most %d shards", MAP_SHARDS_MAX);
		return;
	}
	db->shards = ARENA_NEW_N(&l->cfg->arena, struct shard_conf, (size_t)n);
	for (int i = 0; i < n; i++)
		load_shard(l, config_setting_get_elem(list, (unsigned)i), db);
}

/* ---- the shard map ---- */

static uint64_t
random_seed(void)
{
	uint64_t seed = 0;

	if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
		abort();
	return seed;
}

static void
find_default_shard(struct loader *l, const config_setting_t *group, struct db_conf *db)
{
	const char *name = load_string(l, group, "default_shard");

	db->default_shard = db->n_shards == 1 ? 0 : -1;
	if (name == NULL)
		return;
	for (int i = 0; i < db->n_shards; i++)
		if (strcmp(db->shards[i].name, name) == 0) {
			db->default_shard = i;
			return;
		}
	load_mistake(l, config_setting_get_member(group, "default_shard"),
	    "the database \"%s\" has no shard \"%.100s\"", db->name, name);
}

static void
tell_problems(struct loader *l, const struct map_builder *b)
{
	const struct map_problem *p;

	for (int i = 0; (p = map_builder_problem(b, i)) != NULL; i++)
		config_report_add(l->report, p->warning,
		    p->loc.file != NULL ? p->loc.file : l->cfg->file, p->loc.line, "%s",
		    p->text);
}

/* Never used twice in a process: compiled plans are told apart by it. */
static _Atomic uint64_t next_epoch = 1;

static void
load_map(struct loader *l, const config_setting_t *group, struct db_conf *db)
{
	const char **names;
	struct map_builder *b;
	struct shard_map *map;

	if (db->n_shards == 0)
		return;
	names = ARENA_NEW_N(&l->cfg->arena, const char *, (size_t)db->n_shards);
	for (int i = 0; i < db->n_shards; i++)
		names[i] = db->shards[i].name;
	b = map_builder_create(names, db->n_shards,
	    db->default_shard >= 0 ? names[db->default_shard] : NULL, random_seed());
	map_load(b, group);
	map = map_builder_finish(b, atomic_fetch_add(&next_epoch, 1));
	tell_problems(l, b);
	if (map != NULL)
		config_own(l->cfg, OWNED_MAP, NULL)->map = map;
	db->map = map;
	map_builder_destroy(b);
}

/* ---- users and access rules ---- */

static struct conf_owned *
already_read(const struct config *c, enum owned_kind kind, const char *path)
{
	for (struct conf_owned *o = c->owned; o != NULL; o = o->next)
		if (o->kind == kind && strcmp(o->path, path) == 0)
			return o;
	return NULL;
}

const struct secret_file *
load_secrets(struct loader *l, const char *path)
{
	struct conf_owned *o;
	struct err err;

	if (path[0] == '\0')
		return NULL;
	o = already_read(l->cfg, OWNED_SECRETS, path);
	if (o != NULL)
		return o->secrets;
	o = config_own(l->cfg, OWNED_SECRETS, path);
	if (secret_file_load(path, &o->secrets, &err) != RC_OK) {
		o->secrets = NULL;
		config_report_add(l->report, false, NULL, 0, "%s", err.msg);
	}
	return o->secrets;
}

const struct hba *
load_hba(struct loader *l, const char *path, const char *ident_path)
{
	struct conf_owned *o;
	const char *key;

	if (path[0] == '\0')
		return NULL;
	key = arena_printf(&l->cfg->arena, "%s\n%s", path, ident_path);
	o = already_read(l->cfg, OWNED_HBA, key);
	if (o != NULL)
		return o->hba;
	o = config_own(l->cfg, OWNED_HBA, key);
	o->hba = hba_read(path, ident_path[0] != '\0' ? ident_path : NULL, l->report);
	return o->hba;
}

/* ---- passwords that stand elsewhere ---- */

static const char *
password_in_file(const struct secret_file *users, const char *user)
{
	const struct secret *s =
	    users != NULL ? secret_file_find(users, slice_of(user)) : NULL;

	return s != NULL && s->kind == SECRET_PLAIN ? s->password : NULL;
}

static void
find_password(const struct db_conf *db, struct server_conf *s)
{
	const char *dbname = db->wildcard ? "" : db->name;

	if (s == NULL)
		return;
	for (int i = 0; i < s->n_hosts; i++) {
		struct host_conf *h = &s->hosts[i];

		h->password = s->password;
		if (s->user == NULL || h->password != NULL)
			continue;
		h->password = server_password(
		    s, h, s->dbname != NULL ? s->dbname : dbname, s->user);
		if (h->password == NULL)
			h->password = password_in_file(db->users, s->user);
	}
	s->password = s->hosts[0].password;
}

/* Where a login is fixed and its password is not said: the passfile has it, or the users
 * file. */
static void
find_passwords(struct db_conf *db)
{
	if (db->user != NULL && db->password == NULL)
		db->password = password_in_file(db->users, db->user);
	for (int i = 0; i < db->n_shards; i++) {
		find_password(db, db->shards[i].primary);
		for (int j = 0; j < db->shards[i].n_replicas; j++)
			find_password(db, db->shards[i].replicas[j]);
	}
}

/* ---- databases ---- */

static bool
database_is_new(const struct config *c, const char *name)
{
	for (int i = 0; i < c->n_databases; i++)
		if (strcmp(c->databases[i].name, name) == 0)
			return false;
	return true;
}

static const char *
database_name(struct loader *l, const config_setting_t *group)
{
	const char *name = load_string(l, group, "name");

	if (name == NULL) {
		if (config_setting_get_member(group, "name") == NULL)
			load_mistake(l, group, "the database has no name");
		return "";
	}
	if (strcmp(name, "weir") == 0 || strcmp(name, "pgbouncer") == 0)
		load_mistake(
		    l, group, "the name \"%s\" is that of the admin console", name);
	else if (!database_is_new(l->cfg, name))
		load_mistake(l, group, "the database \"%.100s\" is there twice", name);
	return name;
}

static void
load_login(struct loader *l, const config_setting_t *group, struct db_conf *db)
{
	struct arena *a = &l->cfg->arena;
	const char *user = load_string(l, group, "user");
	const char *password = load_string(l, group, "password");

	if (user != NULL)
		db->user = arena_strdup(a, user);
	if (password != NULL)
		db->password = arena_strdup(a, password);
	if (password != NULL && user == NULL)
		load_mistake(l, config_setting_get_member(group, "password"),
		    "the database \"%s\" has a password and no user", db->name);
}

static void
load_database(struct loader *l, const config_setting_t *group)
{
	static const char *const *const known[] = {db_members, map_load_members, NULL};
	struct config *c = l->cfg;
	struct db_conf *db = &c->databases[c->n_databases];
	const char *file;

	if (!config_setting_is_group(group)) {
		load_mistake(l, group, "databases: each is a group in braces");
		return;
	}
	file = config_setting_source_file(group);
	db->name = arena_strdup(&c->arena, database_name(l, group));
	db->wildcard = strcmp(db->name, "*") == 0;
	db->file = file != NULL ? arena_strdup(&c->arena, file) : c->file;
	db->line = (int)config_setting_source_line(group);
	db->settings = c->settings;
	load_settings(l, group, SCOPE_DATABASE, known, &db->settings, &db->set);
	load_login(l, group, db);
	load_shards(l, group, db);
	find_default_shard(l, group, db);
	load_map(l, group, db);
	db->users = load_secrets(l, db->settings.users_file);
	db->hba = load_hba(l, db->settings.hba_file, db->settings.ident_file);
	find_passwords(db);
	c->n_databases++;
	if (db->wildcard)
		c->wildcard = db;
}

void
load_databases(struct loader *l, const config_setting_t *root)
{
	struct config *c = l->cfg;
	const config_setting_t *list;
	int n = load_list(l, root, "databases", &list);

	c->user_secrets = load_secrets(l, c->settings.users_file);
	c->hba = load_hba(l, c->settings.hba_file, c->settings.ident_file);
	c->databases = ARENA_NEW_N(&c->arena, struct db_conf, (size_t)n);
	for (int i = 0; i < n; i++)
		load_database(l, config_setting_get_elem(list, (unsigned)i));
}
