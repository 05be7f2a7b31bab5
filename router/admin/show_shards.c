/* SHOW SHARDS, REPLICAS, MAP, TABLES: from the snapshot and the backends' atomics. */
#include <stdio.h>

#include "router/admin/console.h"
#include "router/route/directory.h"
#include "router/route/key.h"
#include "router/route/map.h"
#include "router/route/map_print.h"

#define ENTRIES_MAX 1000 /* of a directory, in SHOW MAP */

struct to {
	struct call *call;
	struct rows rows;
};

/* ---- SHARDS ---- */

static const char *
role_name(const struct backend *b)
{
	enum backend_role role = backend_role(b);

	return role == ROLE_PRIMARY ? "primary"
	    : role == ROLE_REPLICA  ? "replica"
				    : "unknown";
}

static const char *
state_name(const struct backend *b)
{
	switch ((enum breaker_state)atomic_load(&b->breaker)) {
	case BREAKER_OPEN:
		return "down";
	case BREAKER_HALF_OPEN:
		return "trying";
	case BREAKER_CLOSED:
		break;
	}
	if (atomic_load(&b->paused))
		return "paused";
	return atomic_load(&b->disabled) ? "disabled" : "up";
}

static int
idle_of(const struct backend *b)
{
	int n = 0;

	for (int i = 0; i < backend_workers(); i++)
		n += atomic_load_explicit(&b->worker[i].idle, memory_order_relaxed);
	return n;
}

static void
row_host(struct rows *rows, const struct backend *b)
{
	row_text(rows, b->target.host != NULL ? b->target.host : b->target.hostaddr);
	row_text(rows, b->target.port);
}

static void
row_age(struct rows *rows, uint64_t since_us, uint64_t now_us)
{
	if (since_us == 0)
		row_null(rows);
	else
		row_seconds(rows, now_us > since_us ? now_us - since_us : 0);
}

static void
row_lag(struct rows *rows, const struct backend *b)
{
	if (backend_role(b) == ROLE_REPLICA && atomic_load(&b->probed_us) != 0)
		row_seconds(rows, atomic_load(&b->lag_us));
	else
		row_null(rows);
}

static void
shard_row(struct to *to, struct backend *b)
{
	struct rows *rows = &to->rows;
	uint64_t now = loop_now_us(to->call->w->loop), error_us;
	char error[200];

	error_us = backend_last_error(b, error, sizeof error);
	row_text(rows, b->database);
	row_text(rows, b->shard);
	row_int(rows, b->position);
	row_text(rows, role_name(b));
	row_host(rows, b);
	row_text(rows, state_name(b));
	row_int(rows, backend_active(b));
	row_int(rows, idle_of(b));
	row_int(rows, atomic_load(&b->connections));
	row_int(rows, atomic_load(&b->waiting));
	row_int(rows, atomic_load(&b->limits.pool_size));
	row_int(rows, atomic_load(&b->limits.reserve_pool_size));
	row_lag(rows, b);
	row_lsn(rows, atomic_load(&b->lsn));
	row_uint(rows, atomic_load(&b->timeline));
	row_age(rows, atomic_load(&b->probed_us), now);
	row_seconds(rows, atomic_load(&b->latency_us));
	row_int(rows, atomic_load(&b->failures));
	row_uint(rows, atomic_load(&b->n_connects));
	row_uint(rows, atomic_load(&b->n_connect_failures));
	row_text(rows, error_us == 0 ? NULL : error);
	row_time(rows, error_us);
	row_end(rows);
}

static void
shard_rows(struct cluster *c, void *arg)
{
	for (int i = 0; i < c->n_shards; i++)
		for (int j = 0; j < c->shards[i].n; j++)
			shard_row(arg, c->shards[i].backends[j]);
}

static enum rc
show(struct call *call, enum table_id table, void (*rows_of)(struct cluster *, void *arg),
    struct err *e)
{
	struct to to = {.call = call};
	struct arena arena;
	const char *name;

	if (console_check_database(call, e) != RC_OK)
		return RC_ERR;
	arena_init(&arena);
	name = call->line->arg.len == 0
	    ? NULL
	    : arena_strndup(&arena, call->line->arg.ptr, call->line->arg.len);
	rows_init(&to.rows, table, call->out);
	console_each_cluster(call->w, name, rows_of, &to);
	rows_fini(&to.rows);
	arena_reset(&arena);
	return RC_OK;
}

enum rc
admin_show_shards(struct call *call, struct err *e)
{
	return show(call, TABLE_shards, shard_rows, e);
}

/* ---- REPLICAS ---- */

/* NULL: it takes reads (as far as a session's own writes allow). The order of choose_replica()'s conditions. */
static const char *
why_no_reads(const struct backend *b, uint64_t now_us)
{
	uint64_t most = atomic_load(&b->limits.max_replica_lag_us);

	if (backend_role(b) == ROLE_UNKNOWN)
		return "its role is not known";
	if (!backend_would_be_usable(b, now_us))
		return "its circuit breaker is open";
	if (b->weight == 0)
		return "weight 0";
	if (most > 0 && atomic_load(&b->lag_us) > most)
		return "lag above max_replica_lag";
	return NULL;
}

static void
replica_row(struct to *to, const struct backend *b, uint64_t primary_lsn)
{
	struct rows *rows = &to->rows;
	uint64_t now = loop_now_us(to->call->w->loop), lsn = atomic_load(&b->lsn);
	const char *why_not = why_no_reads(b, now);

	row_text(rows, b->database);
	row_text(rows, b->shard);
	row_int(rows, b->position);
	row_host(rows, b);
	row_text(rows, why_not == NULL ? "yes" : "no");
	row_text(rows, why_not);
	row_int(rows, b->weight);
	row_int(rows, backend_active(b));
	row_lag(rows, b);
	row_seconds(rows, atomic_load(&b->limits.max_replica_lag_us));
	row_lsn(rows, lsn);
	if (lsn == 0 || primary_lsn == 0)
		row_null(rows);
	else
		row_uint(rows, primary_lsn > lsn ? primary_lsn - lsn : 0);
	row_uint(rows, atomic_load(&b->timeline));
	row_age(rows, atomic_load(&b->probed_us), now);
	row_end(rows);
}

/* Whatever is not the primary now. */
static void
replica_rows(struct cluster *c, void *arg)
{
	for (int i = 0; i < c->n_shards; i++) {
		struct cluster_shard *s = &c->shards[i];
		struct backend *primary = choose_primary(s->backends, s->n);

		for (int j = 0; j < s->n; j++) {
			enum backend_role role = backend_role(s->backends[j]);

			if (role == ROLE_REPLICA || (role == ROLE_UNKNOWN && j > 0))
				replica_row(arg, s->backends[j],
				    primary == NULL ? 0 : atomic_load(&primary->lsn));
		}
	}
}

enum rc
admin_show_replicas(struct call *call, struct err *e)
{
	return show(call, TABLE_replicas, replica_rows, e);
}

/* ---- MAP ---- */

struct pieces {
	struct to *to;
	const struct cluster *c;
	const struct distribution *d;
};

static const char *
kind_name(enum dist_kind k)
{
	static const char *const names[] = {"hash", "range", "directory"};

	return names[k];
}

static void
piece_row(void *arg, struct slice piece, int shard)
{
	struct pieces *p = arg;
	struct rows *rows = &p->to->rows;

	row_text(rows, p->c->name);
	row_text(rows, p->d->name);
	row_text(rows, kind_name(p->d->kind));
	row_slice(rows, piece);
	row_text(
	    rows, shard < 0 || shard >= p->c->n_shards ? NULL : p->c->shards[shard].name);
	row_end(rows);
}

static void
directory_rest(struct pieces *p, struct arena *a)
{
	size_t n = p->d->directory == NULL ? 0 : directory_count(p->d->directory);

	if (n > ENTRIES_MAX)
		piece_row(
		    p, slice_of(arena_printf(a, "and %zu more", n - ENTRIES_MAX)), -1);
	if (p->d->default_shard >= 0)
		piece_row(p, SLICE_LIT("all others"), p->d->default_shard);
	if (p->d->lookup != NULL)
		piece_row(p, SLICE_LIT("all others are looked up"), -1);
}

static void
map_rows(struct cluster *c, void *arg)
{
	const struct shard_map *m = c->conf->map;
	struct arena a;

	arena_init(&a);
	for (int i = 0; i < m->n_distributions; i++) {
		struct pieces p = {arg, c, &m->distributions[i]};

		shard_map_each_piece(m, i, ENTRIES_MAX, &a, piece_row, &p);
		if (p.d->kind == DIST_DIRECTORY)
			directory_rest(&p, &a);
	}
	arena_reset(&a);
}

enum rc
admin_show_map(struct call *call, struct err *e)
{
	return show(call, TABLE_map, map_rows, e);
}

/* ---- TABLES ---- */

static void
row_shards(struct rows *rows, const struct cluster *c, const uint64_t *bits)
{
	char text[2000] = "";
	size_t n = 0;

	for (int i = 0; i < c->n_shards; i++) {
		if (bits == NULL || !((bits[i / 64] >> (i % 64)) & 1))
			continue;
		if (n + strlen(c->shards[i].name) + 8 > sizeof text) {
			n += (size_t)snprintf(text + n, sizeof text - n, ", …");
			break;
		}
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%s",
		    n > 0 ? ", " : "", c->shards[i].name);
	}
	row_slice(rows, slice_of(text));
}

static void
table_row(struct to *to, const struct cluster *c, const struct map_table *t)
{
	const struct shard_map *m = c->conf->map;
	struct rows *rows = &to->rows;
	char key[1000] = "";
	size_t n = 0;

	for (int i = 0; i < t->n_key && n < sizeof key; i++)
		n += (size_t)snprintf(
		    key + n, sizeof key - n, "%s%s", i > 0 ? ", " : "", t->key[i]);
	row_text(rows, c->name);
	row_text(rows, t->schema);
	row_text(rows, t->name);
	row_text(rows, t->reference ? "reference" : "sharded");
	row_text(
	    rows, t->distribution < 0 ? NULL : m->distributions[t->distribution].name);
	row_text(rows, t->n_key == 0 ? NULL : key);
	row_shards(rows, c, t->shards);
	row_end(rows);
}

static void
function_row(struct to *to, const struct cluster *c, const struct map_function *f)
{
	const struct shard_map *m = c->conf->map;
	struct rows *rows = &to->rows;

	row_text(rows, c->name);
	row_text(rows, f->schema);
	row_text(rows, f->name);
	row_text(rows, f->read_only ? "read-only function" : "function");
	row_text(
	    rows, f->distribution < 0 ? NULL : m->distributions[f->distribution].name);
	if (f->distribution < 0)
		row_null(rows);
	else
		row_fmt(rows, "argument %d", f->argument);
	row_shards(rows, c,
	    f->distribution < 0 ? NULL : m->distributions[f->distribution].shards);
	row_end(rows);
}

static void
table_rows(struct cluster *c, void *arg)
{
	const struct shard_map *m = c->conf->map;

	for (int i = 0; i < m->n_tables; i++)
		table_row(arg, c, &m->tables[i]);
	for (int i = 0; i < m->n_functions; i++)
		function_row(arg, c, &m->functions[i]);
}

enum rc
admin_show_tables(struct call *call, struct err *e)
{
	return show(call, TABLE_tables, table_rows, e);
}
