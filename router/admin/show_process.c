/* SHOW of what concerns the whole process: HELP, CONFIG, MEM, STATE, VERSION, PEERS. */
#include <unistd.h>

#include "router/admin/console.h"

/* ---- HELP, VERSION, SELECT 1 ---- */

enum rc
admin_show_help(struct call *call, struct err *e)
{
	struct rows rows;

	(void)e;
	rows_init(&rows, TABLE_help, call->out);
	for (int i = 0; i < COMMAND_COUNT; i++) {
		const struct admin_command *c = &admin_commands[i];

		row_fmt(&rows, "%s%s%s", c->words, c->syntax[0] == '\0' ? "" : " ",
		    c->syntax);
		row_text(&rows,
		    c->who == WHO_ADMIN || i == COMMAND_set ? "admin_users"
							    : "admin_users, stats_users");
		row_text(&rows, c->help);
		row_end(&rows);
	}
	rows_fini(&rows);
	return RC_OK;
}

static enum rc
one_value(struct call *call, enum table_id table, const char *value)
{
	struct rows rows;

	rows_init(&rows, table, call->out);
	row_text(&rows, value);
	row_end(&rows);
	rows_fini(&rows);
	return RC_OK;
}

enum rc
admin_show_version(struct call *call, struct err *e)
{
	(void)e;
	return one_value(call, TABLE_version, "Weir " WEIR_VERSION);
}

enum rc
admin_select_one(struct call *call, struct err *e)
{
	(void)e;
	return one_value(call, TABLE_select_one, "1");
}

/* ---- CONFIG ---- */

static void
config_row(const char *name, const char *value, const char *default_value,
    bool changeable, void *arg)
{
	struct rows *rows = arg;

	row_text(rows, name);
	row_text(rows, value);
	row_text(rows, default_value);
	row_text(rows, changeable ? "yes" : "no");
	row_end(rows);
}

enum rc
admin_show_config(struct call *call, struct err *e)
{
	struct rows rows;

	(void)e;
	rows_init(&rows, TABLE_config, call->out);
	config_show(call->w->snap->config, config_row, &rows);
	rows_fini(&rows);
	return RC_OK;
}

/* ---- MEM: sums over the workers ---- */

enum { MEM_CLIENTS, MEM_BUSY_CLIENTS, MEM_SHAPES, MEM_BUFFERS, MEM_KINDS };

struct mem {
	uint64_t size, used, free, total;
};

static void
add_slab(struct mem *m, const struct slab *s)
{
	uint64_t room = (uint64_t)s->chunks * SLAB_CHUNK;

	m->size = s->stride;
	m->used += s->live;
	m->free += room > s->live ? room - s->live : 0;
	m->total = m->size * (m->used + m->free);
}

static void
mem_visit(struct round *r, struct part *p)
{
	struct mem *m = ARENA_NEW_N(&p->arena, struct mem, MEM_KINDS);
	struct shape_stats shapes;
	struct loop_stats loop;

	(void)r;
	add_slab(&m[MEM_CLIENTS], &p->w->session_slab);
	add_slab(&m[MEM_BUSY_CLIENTS], &p->w->exec_slab);
	shape_cache_stats(p->w->shapes, &shapes);
	m[MEM_SHAPES] =
	    (struct mem){shapes.shapes == 0 ? 0 : shapes.bytes / shapes.shapes,
		shapes.shapes, 0, shapes.bytes};
	loop_stats(p->w->loop, &loop);
	m[MEM_BUFFERS] = (struct mem){4096, loop.bufs_live, loop.bufs_free,
	    4096 * ((uint64_t)loop.bufs_live + loop.bufs_free)};
	p->records = m;
}

static void
mem_row(struct rows *rows, const char *name, const struct mem *m)
{
	row_text(rows, name);
	row_uint(rows, m->size);
	row_uint(rows, m->used);
	row_uint(rows, m->free);
	row_uint(rows, m->total);
	row_end(rows);
}

static enum rc
mem_finish(struct round *r, struct msgbuf *out, struct err *e)
{
	static const char *const names[MEM_KINDS] = {
	    "client_cache", "busy_client_cache", "shape_cache", "iobuf_cache"};
	uint64_t resident = console_resident_bytes();
	struct rows rows;

	(void)e;
	rows_init(&rows, TABLE_mem, out);
	for (int k = 0; k < MEM_KINDS; k++) {
		struct mem sum = {0};

		for (int i = 0; i < r->n_parts; i++) {
			const struct mem *m = (const struct mem *)r->parts[i].records + k;

			sum.size = m->size > sum.size ? m->size : sum.size;
			sum.used += m->used;
			sum.free += m->free;
			sum.total += m->total;
		}
		mem_row(&rows, names[k], &sum);
	}
	mem_row(&rows, "process", &(struct mem){resident, 1, 0, resident});
	rows_fini(&rows);
	return RC_OK;
}

enum rc
admin_show_mem(struct call *call, struct err *e)
{
	(void)e;
	return round_run(call, mem_visit, mem_finish);
}

/* ---- STATE ---- */

static void
count_paused(struct cluster *c, void *arg)
{
	int *n = arg;

	n[0]++;
	n[1] += atomic_load(&c->paused);
}

static void
key(struct rows *rows, const char *name, const char *value)
{
	row_text(rows, name);
	row_text(rows, value);
	row_end(rows);
}

static void
key_number(struct rows *rows, const char *name, uint64_t value)
{
	row_text(rows, name);
	row_uint(rows, value);
	row_end(rows);
}

enum rc
admin_show_state(struct call *call, struct err *e)
{
	const struct proc *p = call->w->proc;
	uint64_t now = loop_now_us(call->w->loop);
	int dialer[3], n[2] = {0, 0};
	struct rows rows;
	bool paused, suspended = atomic_load(&console_suspended);

	(void)e;
	console_each_cluster(call->w, NULL, count_paused, n);
	paused = n[0] > 0 && n[0] == n[1] && !suspended;
	dialer_stats(p->dialer, &dialer[0], &dialer[1], &dialer[2]);
	rows_init(&rows, TABLE_state, call->out);
	key(&rows, "active", paused || suspended ? "no" : "yes");
	key(&rows, "paused", paused ? "yes" : "no");
	key(&rows, "suspended", suspended ? "yes" : "no");
	key(&rows, "shutting_down", atomic_load(&p->shutting_down) ? "yes" : "no");
	key_number(&rows, "databases_paused", (uint64_t)n[1]);
	key(&rows, "version", WEIR_VERSION);
	key_number(&rows, "pid", (uint64_t)getpid());
	key_number(&rows, "uptime_seconds",
	    now > p->started_us ? (now - p->started_us) / 1000000 : 0);
	key_number(&rows, "workers", (uint64_t)p->n_workers);
	key(&rows, "event_loop",
	    loop_kind(call->w->loop) == LOOP_URING ? "io_uring" : "epoll");
	key(&rows, "event_loop_reason", loop_kind_reason(call->w->loop));
	key_number(&rows, "clients", (uint64_t)atomic_load(&p->clients));
	key_number(&rows, "dials_queued", (uint64_t)dialer[0]);
	key_number(&rows, "dials_running", (uint64_t)dialer[1]);
	key_number(&rows, "dialer_threads", (uint64_t)dialer[2]);
	key_number(&rows, "config_generation", call->w->snap->gen);
	rows_fini(&rows);
	return RC_OK;
}

/* ---- PEERS, and what there is nothing of ---- */

enum rc
admin_show_peers(struct call *call, struct err *e)
{
	const struct config *config = call->w->snap->config;
	struct rows rows;

	(void)e;
	rows_init(&rows, TABLE_peers, call->out);
	for (int i = 0; i < config->n_peers; i++) {
		row_int(&rows, config->peers[i].id);
		row_text(&rows, config->peers[i].host);
		row_int(&rows, config->peers[i].port);
		row_null(&rows);
		row_end(&rows);
	}
	rows_fini(&rows);
	return RC_OK;
}

/* A cancel request for a peer has a connection of its own, which no pool keeps. */
enum rc
admin_show_peer_pools(struct call *call, struct err *e)
{
	const struct config *config = call->w->snap->config;
	struct rows rows;

	(void)e;
	rows_init(&rows, TABLE_peer_pools, call->out);
	for (int i = 0; i < config->n_peers; i++) {
		row_int(&rows, config->peers[i].id);
		for (int j = 0; j < 4; j++)
			row_int(&rows, 0);
		row_end(&rows);
	}
	rows_fini(&rows);
	return RC_OK;
}

enum rc
admin_show_fds(struct call *call, struct err *e)
{
	(void)call;
	(void)err_set(e, "0A000", BLAST_STMT, "SHOW FDS is not supported");
	err_hint(e,
	    "Weir does not hand its descriptors over; SHOW SOCKETS lists the connections.");
	return RC_ERR;
}

enum rc
admin_show_dns_hosts(struct call *call, struct err *e)
{
	(void)call;
	(void)e;
	return RC_OK;
}

enum rc
admin_show_dns_zones(struct call *call, struct err *e)
{
	(void)call;
	(void)e;
	return RC_OK;
}

enum rc
admin_ignore_reset(struct call *call, struct err *e)
{
	(void)call;
	(void)e;
	return RC_OK;
}

enum rc
admin_ignore_discard(struct call *call, struct err *e)
{
	(void)call;
	(void)e;
	return RC_OK;
}

enum rc
admin_ignore_deallocate(struct call *call, struct err *e)
{
	(void)call;
	(void)e;
	return RC_OK;
}
