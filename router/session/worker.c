#include "router/session/worker.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "router/route/schema.h"
#include "router/session/session.h"

/* ---- clients ---- */

struct client_mail {
	struct mail mail;
	struct worker *w;
	int fd;
	bool unix_socket;
};

static void
client_arrived(struct mail *m)
{
	struct client_mail *c = LIST_ENTRY(m, struct client_mail, mail);

	session_create(c->w, c->fd, c->unix_socket);
	free(c);
}

void
worker_give_client(struct worker *w, int fd, bool unix_socket)
{
	struct client_mail *c = calloc(1, sizeof *c);

	if (c == NULL) {
		close(fd);
		return;
	}
	atomic_fetch_add(&w->n_sessions, 1);
	atomic_fetch_add(&w->proc->clients, 1);
	*c = (struct client_mail){{NULL, client_arrived}, w, fd, unix_socket};
	loop_post(w->loop, &c->mail);
}

/* ---- statistics: found by the database's name, kept for ever ---- */

static struct dbstats *
stats_for(struct worker *w, const char *database)
{
	struct dbstats *st;

	for (st = atomic_load(&w->stats); st != NULL; st = st->next)
		if (strcmp(st->database, database) == 0)
			return st;
	st = calloc(1, sizeof *st);
	if (st == NULL)
		abort();
	snprintf(st->database, sizeof st->database, "%s", database);
	st->query_hist = calloc(1, sizeof *st->query_hist);
	st->wait_hist = calloc(1, sizeof *st->wait_hist);
	if (st->query_hist == NULL || st->wait_hist == NULL)
		abort();
	st->next = atomic_load(&w->stats);
	atomic_store(&w->stats, st);
	return st;
}

/* ---- views of databases ---- */

struct dbview *
worker_view_of(struct worker *w, struct cluster *c)
{
	struct dbview *v;

	LIST_FOREACH(it, &w->views) {
		v = LIST_ENTRY(it, struct dbview, node);
		if (v->cluster == c) {
			v->refs++;
			return v;
		}
	}
	v = calloc(1, sizeof *v);
	if (v == NULL)
		abort();
	v->refs = 1;
	v->cluster = cluster_ref(c);
	v->stats = stats_for(w, c->name);
	list_push_back(&w->views, &v->node);
	return v;
}

struct dbview *
worker_view(struct worker *w, struct slice database)
{
	struct cluster *c = snapshot_cluster(w->snap, database);
	struct dbview *v;

	if (c == NULL)
		return NULL;
	v = worker_view_of(w, c);
	cluster_unref(c);
	return v;
}

void
worker_view_unref(struct dbview *v)
{
	if (--v->refs > 0)
		return;
	list_remove(&v->node);
	if (v->schema != NULL)
		schema_unref(v->schema);
	cluster_unref(v->cluster);
	free(v);
}

const struct schema *
dbview_schema(struct dbview *v)
{
	unsigned gen =
	    atomic_load_explicit(&v->cluster->schema_gen, memory_order_acquire);

	if (gen == v->schema_gen)
		return v->schema;
	pthread_mutex_lock(&v->cluster->lock);
	if (v->schema != NULL)
		schema_unref(v->schema);
	v->schema = v->cluster->schema;
	if (v->schema != NULL)
		schema_ref(v->schema);
	v->schema_gen = atomic_load(&v->cluster->schema_gen);
	pthread_mutex_unlock(&v->cluster->lock);
	return v->schema;
}

struct dbview *
worker_admin_view(struct worker *w)
{
	struct config *config = w->snap->config;
	struct db_conf *conf;
	struct cluster *c;
	struct dbview *v;

	LIST_FOREACH(it, &w->views) {
		v = LIST_ENTRY(it, struct dbview, node);
		if (v->cluster->n_shards == 0 && v->cluster->config == config) {
			v->refs++;
			return v;
		}
	}
	c = calloc(1, sizeof *c);
	conf = calloc(1, sizeof *conf);
	if (c == NULL || conf == NULL)
		abort();
	conf->name = "weir";
	conf->default_shard = -1;
	conf->settings = config->settings;
	conf->users = config->user_secrets;
	conf->hba = config->hba;
	atomic_init(&c->refs, 1);
	pthread_mutex_init(&c->lock, NULL);
	list_init(&c->logins);
	c->config = config_ref(config);
	c->conf = c->own_conf = conf;
	c->name = strdup("weir");
	v = worker_view_of(w, c);
	cluster_unref(c);
	return v;
}

/* ---- identities ---- */

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
same_login(const struct pool_login *a, const struct pool_login *b)
{
	return same_text(a->user, b->user) && same_text(a->database, b->database) &&
	    same_text(a->password, b->password) && same_text(a->md5, b->md5) &&
	    a->replication == b->replication && a->startup == NULL &&
	    b->startup == NULL && a->has_scram_keys == b->has_scram_keys &&
	    (!a->has_scram_keys ||
		(memcmp(a->client_key, b->client_key, sizeof a->client_key) == 0 &&
		    memcmp(a->server_key, b->server_key, sizeof a->server_key) == 0));
}

static char *
copy(const char *s)
{
	return s == NULL ? NULL : strdup(s);
}

/* Those of the login, which is not the client's where the database names another. */
static void
set_limits(struct pool_login *login, const struct config *config)
{
	const struct user_conf *u = config_user(config, slice_of(login->user));

	login->max_connections =
	    u != NULL && setting_set_has(&u->set, SETTING_ID_pool_size)
	    ? u->settings.pool_size
	    : 0;
	login->max_user_connections = CONFIG_VALUE(u, config, max_user_connections);
}

struct identity *
worker_identity(struct worker *w, struct dbview *db, struct slice user,
    const struct pool_login *login)
{
	struct identity *id;

	LIST_FOREACH(it, &w->identities) {
		id = LIST_ENTRY(it, struct identity, node);
		if (id->db == db && slice_eq_str(user, id->user) &&
		    same_login(&id->login, login)) {
			id->refs++;
			return id;
		}
	}
	id = calloc(1, sizeof *id);
	if (id == NULL)
		abort();
	id->refs = 1;
	id->user = strndup(user.ptr, user.len);
	id->login = *login;
	id->login.user = copy(login->user);
	id->login.database = copy(login->database);
	id->login.password = copy(login->password);
	id->login.md5 = copy(login->md5);
	id->db = db;
	id->conf = config_user(db->cluster->config, user);
	set_limits(&id->login, db->cluster->config);
	list_push_back(&w->identities, &id->node);
	if (cluster_wants_probes(db->cluster))
		w->proc->want_probes(w->proc);
	return id;
}

static void
wipe(const char *s)
{
	if (s == NULL)
		return;
	OPENSSL_cleanse((char *)(uintptr_t)s, strlen(s));
	free((char *)(uintptr_t)s);
}

void
identity_unref(struct identity *id)
{
	if (--id->refs > 0)
		return;
	list_remove(&id->node);
	free((char *)(uintptr_t)id->login.user);
	free((char *)(uintptr_t)id->login.database);
	wipe(id->login.password);
	wipe(id->login.md5);
	OPENSSL_cleanse(&id->login, sizeof id->login);
	free(id->user);
	free(id);
}

uint64_t
worker_random(struct worker *w)
{
	w->rnd ^= w->rnd << 13;
	w->rnd ^= w->rnd >> 7;
	w->rnd ^= w->rnd << 17;
	return w->rnd;
}

/* ---- health ---- */

static void
health_news(struct mail *m)
{
	struct worker *w = LIST_ENTRY(m, struct worker, changed);

	atomic_store(&w->changed_posted, false);
	LIST_FOREACH_SAFE(it, &w->parked) {
		struct exec *x = LIST_ENTRY(it, struct exec, parked);

		session_health_changed(x->session);
	}
}

/* ---- the thread ---- */

static void *
run(void *arg)
{
	struct worker *w = arg;
	char name[16];

	snprintf(name, sizeof name, "weir-worker-%d", w->index);
	prctl(PR_SET_NAME, name);
	loop_run(w->loop);
	return NULL;
}

void
worker_init(struct worker *w)
{
	list_init(&w->sessions);
	list_init(&w->parked);
	list_init(&w->views);
	list_init(&w->identities);
	slab_init(&w->session_slab, sizeof(struct session));
	slab_init(&w->exec_slab, sizeof(struct exec));
	w->changed.deliver = health_news;
	w->rnd = 0x9e3779b97f4a7c15u ^ ((uint64_t)w->index + 1) ^ (uint64_t)(uintptr_t)w;
}

void
worker_start(struct worker *w)
{
	if (pthread_create(&w->thread, NULL, run, w) != 0) {
		log_line(LOG_FATAL, "cannot start a worker", NULL);
		exit(1);
	}
}
