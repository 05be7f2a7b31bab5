/* SHOW POOLS, DATABASES, USERS, LISTS: all from one census of clients and servers. */
#include <stdlib.h>

#include "router/admin/census.h"
#include "router/admin/console.h"
#include "wire/secret.h"

static const char *
pool_mode_name(enum pool_mode m)
{
	static const char *const names[] = {"transaction", "session", "statement"};

	return names[m];
}

/* ---- POOLS ---- */

static const char *
mode_of(struct round *r, const struct tally *t)
{
	const struct config *config = r->home->snap->config;
	const struct db_conf *db = config_database(config, slice_of(t->database));
	const struct user_conf *u = config_user(config, slice_of(t->user));

	if (t->admin || db == NULL)
		return "statement";
	return pool_mode_name(CONFIG_VALUE(u, db, pool_mode));
}

static void
pool_row(struct round *r, struct rows *rows, const struct tally *t)
{
	row_text(rows, t->database);
	row_text(rows, t->user);
	row_uint(rows, t->cl_active);
	row_uint(rows, t->cl_waiting);
	row_int(rows, 0); /* cancel requests hold no connection of a client here */
	row_int(rows, 0);
	row_uint(rows, t->sv_active);
	row_int(rows, 0);
	row_uint(rows, t->sv_canceled);
	row_uint(rows, t->sv_idle);
	row_uint(rows, t->sv_used);
	row_uint(rows, t->sv_tested);
	row_uint(rows, t->sv_login);
	row_uint(rows, t->max_wait_us / 1000000);
	row_uint(rows, t->max_wait_us % 1000000);
	row_text(rows, mode_of(r, t));
	row_null(rows);
	row_end(rows);
}

static enum rc
pools_finish(struct round *r, struct msgbuf *out, struct err *e)
{
	struct rows rows;
	int n;
	struct tally **v = census_merge(r, CENSUS_POOL, &n);

	(void)e;
	rows_init(&rows, TABLE_pools, out);
	for (int i = 0; i < n; i++)
		if (v[i]->database[0] != '\0')
			pool_row(r, &rows, v[i]);
	rows_fini(&rows);
	return RC_OK;
}

enum rc
admin_show_pools(struct call *call, struct err *e)
{
	(void)e;
	return round_run(call, census_take, pools_finish);
}

/* ---- DATABASES ---- */

struct db_rows {
	struct rows rows;
	struct tally **census;
	int n;
};

static uint64_t
clients_of(const struct db_rows *d, const char *database)
{
	const struct tally *t = census_find(d->census, d->n, CENSUS_DATABASE, database);

	return t == NULL ? 0 : t->cl_active + t->cl_waiting;
}

static int
connections_of(const struct cluster *c)
{
	int n = 0;

	for (int i = 0; i < c->n_shards; i++)
		for (int j = 0; j < c->shards[i].n; j++)
			n += atomic_load(&c->shards[i].backends[j]->connections);
	return n;
}

static void
database_row(struct cluster *c, void *arg)
{
	struct db_rows *d = arg;
	struct rows *rows = &d->rows;
	const struct db_conf *conf = c->conf;
	const struct settings *set = &conf->settings;
	int shard = conf->default_shard >= 0 ? conf->default_shard : 0;
	const struct backend_target *t = &c->shards[shard].backends[0]->target;

	row_text(rows, c->name);
	row_text(rows, t->host != NULL ? t->host : t->hostaddr);
	row_text(rows, t->port);
	row_text(rows, t->dbname);
	row_text(rows, conf->user != NULL ? conf->user : t->user);
	row_int(rows, set->pool_size);
	row_int(rows, set->min_pool_size);
	row_int(rows, set->reserve_pool_size);
	row_uint(rows, set->server_lifetime_us / 1000000);
	row_text(rows,
	    setting_set_has(&conf->set, SETTING_ID_pool_mode)
		? pool_mode_name(set->pool_mode)
		: NULL);
	row_null(rows);
	row_int(rows, set->max_db_connections);
	row_int(rows, connections_of(c));
	row_int(rows, set->max_db_client_connections);
	row_uint(rows, clients_of(d, c->name));
	row_int(rows, atomic_load(&c->paused));
	row_int(rows, atomic_load(&c->disabled));
	row_int(rows, c->n_shards);
	row_text(
	    rows, conf->default_shard >= 0 ? c->shards[conf->default_shard].name : NULL);
	row_end(rows);
}

static void
console_row(struct db_rows *d, const struct settings *set)
{
	struct rows *rows = &d->rows;

	row_text(rows, "weir");
	row_null(rows);
	row_int(rows, set->listen_port);
	row_text(rows, "weir");
	row_text(rows, "weir");
	for (int i = 0; i < 4; i++)
		row_int(rows, 0);
	row_text(rows, "statement");
	row_null(rows);
	row_int(rows, 0);
	row_int(rows, 0);
	row_int(rows, 0);
	row_uint(rows, clients_of(d, "weir"));
	row_int(rows, 0);
	row_int(rows, 0);
	row_int(rows, 0);
	row_null(rows);
	row_end(rows);
}

static enum rc
databases_finish(struct round *r, struct msgbuf *out, struct err *e)
{
	struct db_rows d;

	(void)e;
	d.census = census_merge(r, CENSUS_DATABASE, &d.n);
	rows_init(&d.rows, TABLE_databases, out);
	console_each_cluster(r->home, NULL, database_row, &d);
	console_row(&d, &r->home->snap->config->settings);
	rows_fini(&d.rows);
	return RC_OK;
}

enum rc
admin_show_databases(struct call *call, struct err *e)
{
	(void)e;
	return round_run(call, census_take, databases_finish);
}

/* ---- USERS: those of the configuration, of the users files, and whoever is connected ---- */

struct names {
	struct arena *arena;
	const char **v;
	size_t n, cap;
};

static void
add_name(struct names *names, const char *name)
{
	if (names->n == names->cap) {
		names->cap = names->cap == 0 ? 64 : names->cap * 2;
		names->v = realloc(names->v, sizeof *names->v * names->cap);
		if (names->v == NULL)
			abort();
	}
	names->v[names->n++] = name;
}

static void
add_file(struct names *names, const struct secret_file *f)
{
	for (size_t i = 0, n = f == NULL ? 0 : secret_file_count(f); i < n; i++)
		add_name(names, secret_file_user(f, i));
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, each once. */
static void
collect_users(struct round *r, struct names *names)
{
	const struct config *config = r->home->snap->config;
	size_t kept = 0;
	int n;
	struct tally **v = census_merge(r, CENSUS_CLIENT, &n);

	for (int i = 0; i < config->n_users; i++)
		add_name(names, config->users[i].name);
	add_file(names, config->user_secrets);
	for (int i = 0; i < config->n_databases; i++)
		if (config->databases[i].users != config->user_secrets)
			add_file(names, config->databases[i].users);
	for (int i = 0; i < n; i++)
		if (v[i]->client[0] != '\0')
			add_name(names, v[i]->client);
	if (names->n > 1)
		qsort(names->v, names->n, sizeof *names->v, by_text);
	for (size_t i = 0; i < names->n; i++)
		if (kept == 0 || strcmp(names->v[kept - 1], names->v[i]) != 0)
			names->v[kept++] = names->v[i];
	names->n = kept;
}

struct user_rows {
	struct rows rows;
	const struct config *config;
	struct tally **clients, **servers;
	int n_clients, n_servers;
};

static void
user_row(struct user_rows *u, const char *name)
{
	const struct user_conf *conf = config_user(u->config, slice_of(name));
	const struct settings *set = &u->config->settings;
	const struct tally *clients =
	    census_find(u->clients, u->n_clients, CENSUS_CLIENT, name);
	const struct tally *servers =
	    census_find(u->servers, u->n_servers, CENSUS_USER, name);
	bool own_size = conf != NULL && setting_set_has(&conf->set, SETTING_ID_pool_size);
	bool own_mode = conf != NULL && setting_set_has(&conf->set, SETTING_ID_pool_mode);
	struct rows *rows = &u->rows;

	row_text(rows, name);
	if (own_size)
		row_int(rows, conf->settings.pool_size);
	else
		row_null(rows);
	row_null(rows);
	row_text(rows, own_mode ? pool_mode_name(conf->settings.pool_mode) : NULL);
	row_int(rows,
	    conf != NULL && setting_set_has(&conf->set, SETTING_ID_max_user_connections)
		? conf->settings.max_user_connections
		: set->max_user_connections);
	row_uint(rows, servers == NULL ? 0 : tally_servers(servers));
	row_int(rows,
	    conf != NULL &&
		    setting_set_has(&conf->set, SETTING_ID_max_user_client_connections)
		? conf->settings.max_user_client_connections
		: set->max_user_client_connections);
	row_uint(rows, clients == NULL ? 0 : clients->cl_active + clients->cl_waiting);
	row_end(rows);
}

static enum rc
users_finish(struct round *r, struct msgbuf *out, struct err *e)
{
	struct names names = {.arena = &r->arena};
	struct user_rows u;

	(void)e;
	u.config = r->home->snap->config;
	u.clients = census_merge(r, CENSUS_CLIENT, &u.n_clients);
	u.servers = census_merge(r, CENSUS_USER, &u.n_servers);
	collect_users(r, &names);
	rows_init(&u.rows, TABLE_users, out);
	for (size_t i = 0; i < names.n; i++)
		user_row(&u, names.v[i]);
	rows_fini(&u.rows);
	free(names.v);
	return RC_OK;
}

enum rc
admin_show_users(struct call *call, struct err *e)
{
	(void)e;
	return round_run(call, census_take, users_finish);
}

/* ---- LISTS ---- */

static void
item(struct rows *rows, const char *list, uint64_t items)
{
	row_text(rows, list);
	row_uint(rows, items);
	row_end(rows);
}

static enum rc
lists_finish(struct round *r, struct msgbuf *out, struct err *e)
{
	const struct config *config = r->home->snap->config;
	uint64_t clients = 0, login = 0, servers = 0;
	struct names names = {.arena = &r->arena};
	struct rows rows;
	int n, n_pools = 0;
	struct tally **v = census_merge(r, CENSUS_POOL, &n);

	(void)e;
	for (int i = 0; i < n; i++) {
		n_pools += v[i]->database[0] != '\0';
		clients += v[i]->cl_active + v[i]->cl_waiting;
		login += v[i]->cl_login;
		servers += tally_servers(v[i]);
	}
	collect_users(r, &names);
	rows_init(&rows, TABLE_lists, out);
	item(&rows, "databases", (uint64_t)r->home->snap->n + 1);
	item(&rows, "users", names.n);
	item(&rows, "peers", (uint64_t)config->n_peers);
	item(&rows, "pools", (uint64_t)n_pools);
	item(&rows, "peer_pools", (uint64_t)config->n_peers);
	item(&rows, "free_clients", 0);
	item(&rows, "used_clients", clients);
	item(&rows, "login_clients", login);
	item(&rows, "free_servers", 0);
	item(&rows, "used_servers", servers);
	item(&rows, "dns_names", 0);
	item(&rows, "dns_zones", 0);
	item(&rows, "dns_queries", 0);
	item(&rows, "dns_pending", 0);
	item(&rows, "workers", (uint64_t)r->n_parts);
	rows_fini(&rows);
	free(names.v);
	return RC_OK;
}

enum rc
admin_show_lists(struct call *call, struct err *e)
{
	(void)e;
	return round_run(call, census_take, lists_finish);
}
