/* PAUSE and the other commands that change something. What is a worker's is done in its own thread, in a round; what
 * only the control thread may do goes there by way of a dialer thread, which may block.
 *
 * A command that waits (PAUSE, WAIT_CLOSE, SUSPEND) makes a round every few milliseconds until it finds what it waits
 * for. If its client goes away meanwhile, what it began stays in force: RESUME ends it. */
#include "base/log.h"
#include "router/admin/console.h"
#include "router/session/proc.h"

#define CLOSED_WAIT_US \
	3000000 /* for servers to close their end, once nothing is left here */

enum { N_SERVERS, N_MARKED, N_OUTPUT, N_FOUND }; /* of part->n */

static void
say(struct call *call)
{
	char arg[64];

	snprintf(arg, sizeof arg, "%.*s",
	    (int)(call->line->arg.len > 63 ? 63 : call->line->arg.len),
	    call->line->arg.ptr);
	log_line(LOG_NOTICE, "admin command", "command",
	    admin_commands[call->line->id].words, "argument", arg[0] == '\0' ? NULL : arg,
	    "user", session_user(call->session), NULL);
}

static uint64_t
count(const struct round *r, int what)
{
	uint64_t n = 0;

	for (int i = 0; i < r->n_parts; i++)
		n += r->parts[i].n[what];
	return n;
}

static enum rc
nothing_more(struct round *r, struct msgbuf *out, struct err *e)
{
	(void)r;
	(void)out;
	(void)e;
	return RC_OK;
}

/* ---- the switch of a database ---- */

struct turn {
	const char *database;
	bool paused;
};

static void
turn_cluster(struct cluster *c, void *arg)
{
	const struct turn *t = arg;

	atomic_store(&c->paused, t->paused);
	for (int i = 0; i < c->n_shards; i++)
		for (int j = 0; j < c->shards[i].n; j++)
			atomic_store(&c->shards[i].backends[j]->paused, t->paused);
}

/* Sessions from before a reload may still use backends that the snapshot does not have. */
static void
turn_pool(struct pool *p, void *arg)
{
	const struct turn *t = arg;

	if (t->database == NULL || strcmp(pool_backend(p)->database, t->database) == 0)
		atomic_store(&pool_backend(p)->paused, t->paused);
}

static void
turn(struct part *p, const char *database, bool paused)
{
	struct turn t = {database, paused};

	console_each_cluster(p->w, database, turn_cluster, &t);
	pools_each(p->w->pools, turn_pool, &t);
}

/* ---- looking at server connections ---- */

static void
count_server(struct server *sv, void *arg)
{
	struct part *p = arg;

	p->n[N_MARKED] += sv->close_needed;
}

static void
count_pool(struct pool *pool, void *arg)
{
	struct part *p = arg;
	const char *database = p->round->database;
	struct pool_stats st;

	if (database != NULL && strcmp(pool_backend(pool)->database, database) != 0)
		return;
	pool_stats(pool, &st);
	p->n[N_SERVERS] += (uint64_t)(st.active + st.idle + st.resetting + st.connecting);
	pool_each_server(pool, count_server, p);
}

struct look {
	bool all_paused;
	int connections;
};

static void
look_at(struct cluster *c, void *arg)
{
	struct look *l = arg;

	l->all_paused = l->all_paused && atomic_load(&c->paused);
	for (int i = 0; i < c->n_shards; i++)
		for (int j = 0; j < c->shards[i].n; j++)
			l->connections +=
			    atomic_load(&c->shards[i].backends[j]->connections);
}

/* ---- PAUSE, RESUME ---- */

/* Connections at rest are closed; those in use are marked, and close when they come to rest. */
static void
pause_visit(struct round *r, struct part *p)
{
	if (r->passes == 0)
		turn(p, r->database, true);
	pools_reconnect(p->w->pools, r->database);
	pools_each(p->w->pools, count_pool, p);
}

/* No connection is left here, and the servers have closed their ends too (or do not bother to). */
static bool
all_closed(struct round *r, int connections)
{
	uint64_t now = loop_now_us(r->home->loop);

	if (count(r, N_SERVERS) > 0) {
		r->quiet_us = 0;
		return false;
	}
	if (r->quiet_us == 0)
		r->quiet_us = now;
	return connections == 0 || now - r->quiet_us > CLOSED_WAIT_US;
}

static enum rc
pause_finish(struct round *r, struct msgbuf *out, struct err *e)
{
	struct look l = {true, 0};

	(void)out;
	console_each_cluster(r->home, r->database, look_at, &l);
	if (!l.all_paused)
		return err_set(e, "55000", BLAST_STMT, "%s was ended by RESUME",
		    admin_commands[r->line.id].words);
	return all_closed(r, l.connections) ? RC_OK : RC_AGAIN;
}

enum rc
admin_pause(struct call *call, struct err *e)
{
	if (console_check_database(call, e) != RC_OK)
		return RC_ERR;
	say(call);
	return round_run(call, pause_visit, pause_finish);
}

static void
resume_visit(struct round *r, struct part *p)
{
	turn(p, r->database, false);
	pools_resume(p->w->pools, r->database);
}

enum rc
admin_resume(struct call *call, struct err *e)
{
	if (console_check_database(call, e) != RC_OK)
		return RC_ERR;
	say(call);
	if (call->line->arg.len == 0)
		atomic_store(&console_suspended, false);
	return round_run(call, resume_visit, nothing_more);
}

/* ---- SUSPEND: PAUSE that does not wait for ever, and for clients' output too ---- */

static void
force(struct part *p)
{
	EACH_SESSION(p->w, s)
	if (!s->admin && (s->server != NULL || stream_queued(&s->stream) > 0))
		session_kill(s, "57P01",
		    "terminating connection due to administrator command (SUSPEND)");
	pools_kill(p->w->pools, NULL);
}

static void
suspend_visit(struct round *r, struct part *p)
{
	pause_visit(r, p);
	EACH_SESSION(p->w, s)
	p->n[N_OUTPUT] +=
	    !s->admin && s->state != SESSION_CLOSING && stream_queued(&s->stream) > 0;
	if (r->force)
		force(p);
}

static enum rc
suspend_finish(struct round *r, struct msgbuf *out, struct err *e)
{
	uint64_t limit = r->home->snap->config->settings.suspend_timeout_us;
	enum rc rc = pause_finish(r, out, e);

	if (rc == RC_ERR || (rc == RC_OK && count(r, N_OUTPUT) == 0))
		return rc;
	r->force = loop_now_us(r->home->loop) - r->started_us > limit;
	return RC_AGAIN;
}

enum rc
admin_suspend(struct call *call, struct err *e)
{
	(void)e;
	say(call);
	atomic_store(&console_suspended, true);
	return round_run(call, suspend_visit, suspend_finish);
}

/* ---- DISABLE, ENABLE ---- */

static void
switch_cluster(struct cluster *c, void *arg)
{
	atomic_store(&c->disabled, *(bool *)arg);
}

static void
switch_visit(struct round *r, struct part *p)
{
	bool disabled = r->line.id == COMMAND_disable;

	console_each_cluster(p->w, r->database, switch_cluster, &disabled);
}

enum rc
admin_disable(struct call *call, struct err *e)
{
	if (console_check_database(call, e) != RC_OK)
		return RC_ERR;
	say(call);
	return round_run(call, switch_visit, nothing_more);
}

enum rc
admin_enable(struct call *call, struct err *e)
{
	return admin_disable(call, e);
}

/* ---- KILL ---- */

static void
kill_visit(struct round *r, struct part *p)
{
	turn(p, r->database, true);
	EACH_SESSION(p->w, s)
	{
		const char *database = session_database(s);

		if (s->admin || database == NULL ||
		    (r->database != NULL && strcmp(database, r->database) != 0))
			continue;
		session_kill(s, "57P01",
		    "terminating connection due to administrator command (KILL)");
	}
	pools_kill(p->w->pools, r->database);
}

enum rc
admin_kill(struct call *call, struct err *e)
{
	if (console_check_database(call, e) != RC_OK)
		return RC_ERR;
	say(call);
	return round_run(call, kill_visit, nothing_more);
}

static void
kill_client_visit(struct round *r, struct part *p)
{
	struct session *s = worker_find_session(p->w, r->line.client);

	if (s == NULL || s->state == SESSION_CLOSING)
		return;
	p->n[N_FOUND]++;
	session_kill(s, "57P01",
	    "terminating connection due to administrator command (KILL_CLIENT)");
}

static enum rc
kill_client_finish(struct round *r, struct msgbuf *out, struct err *e)
{
	(void)out;
	if (count(r, N_FOUND) == 0)
		return err_set(
		    e, "42704", BLAST_STMT, "no such client: %s", r->line.arg.ptr);
	return RC_OK;
}

enum rc
admin_kill_client(struct call *call, struct err *e)
{
	(void)e;
	say(call);
	return round_run(call, kill_client_visit, kill_client_finish);
}

/* ---- RECONNECT, WAIT_CLOSE ---- */

static void
reconnect_visit(struct round *r, struct part *p)
{
	pools_reconnect(p->w->pools, r->database);
}

enum rc
admin_reconnect(struct call *call, struct err *e)
{
	if (console_check_database(call, e) != RC_OK)
		return RC_ERR;
	say(call);
	return round_run(call, reconnect_visit, nothing_more);
}

static void
wait_close_visit(struct round *r, struct part *p)
{
	(void)r;
	pools_each(p->w->pools, count_pool, p);
}

static enum rc
wait_close_finish(struct round *r, struct msgbuf *out, struct err *e)
{
	(void)out;
	(void)e;
	return count(r, N_MARKED) == 0 ? RC_OK : RC_AGAIN;
}

enum rc
admin_wait_close(struct call *call, struct err *e)
{
	if (console_check_database(call, e) != RC_OK)
		return RC_ERR;
	return round_run(call, wait_close_visit, wait_close_finish);
}

/* ---- what the control thread does ---- */

static enum rc
no_control(struct err *e)
{
	return err_set(e, "0A000", BLAST_STMT, "this process takes no such command");
}

static void
run_reload(struct round *r)
{
	r->rc = console_control->reload(r->proc, &r->err);
	r->err.blast = BLAST_STMT; /* the console's session goes on */
}

enum rc
admin_reload(struct call *call, struct err *e)
{
	if (console_control == NULL)
		return no_control(e);
	say(call);
	return round_dial(call, run_reload);
}

static void
run_set(struct round *r)
{
	r->rc = console_control->set(r->proc, r->line.key, r->line.value, &r->err);
	r->err.blast = BLAST_STMT;
}

enum rc
admin_set(struct call *call, struct err *e)
{
	struct slice key = call->line->key;

	if (setting_find(&config_settings, key) < 0) {
		if (admin_ignores_setting(key))
			return RC_OK;
		return err_set(e, "42704", BLAST_STMT,
		    "unrecognized configuration parameter \"%.*s\"",
		    (int)(key.len > 100 ? 100 : key.len), key.ptr);
	}
	if (console_control == NULL)
		return no_control(e);
	log_line(LOG_NOTICE, "admin command", "command", "SET", "argument",
	    config_settings.settings[setting_find(&config_settings, key)].name, "user",
	    session_user(call->session), NULL);
	return round_dial(call, run_set);
}

static void
run_shutdown(struct round *r)
{
	enum stop_mode mode = r->database == NULL           ? STOP_NOW
	    : slice_eq_str(r->line.arg, "wait_for_clients") ? STOP_WAIT_CLIENTS
							    : STOP_DRAIN;

	console_control->shutdown(r->proc, mode);
}

/* Answered before it is carried out: nobody may be there to answer later. */
enum rc
admin_shutdown(struct call *call, struct err *e)
{
	if (console_control == NULL)
		return no_control(e);
	say(call);
	(void)round_dial(call, run_shutdown);
	return RC_OK;
}
