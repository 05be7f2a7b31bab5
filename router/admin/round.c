#include "router/admin/round.h"

#include <stdlib.h>

#include "router/admin/console.h"

#define AGAIN_MS 20

static struct list all = {&all, &all};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t last_number;
static atomic_bool stopped;

/* ---- life ---- */

struct round *
round_create(struct proc *p, struct worker *home, uint64_t session,
    void (*complete)(struct round *))
{
	struct round *r =
	    calloc(1, sizeof *r + sizeof r->parts[0] * (size_t)p->n_workers);

	if (r == NULL)
		abort();
	r->proc = p;
	r->home = home;
	r->session = session;
	r->complete = complete;
	r->n_parts = p->n_workers;
	arena_init(&r->arena);
	for (int i = 0; i < r->n_parts; i++) {
		r->parts[i].round = r;
		r->parts[i].w = &p->workers[i];
		arena_init(&r->parts[i].arena);
		msgbuf_init(&r->parts[i].rows);
	}
	pthread_mutex_lock(&lock);
	r->number = ++last_number;
	list_push_back(&all, &r->node);
	pthread_mutex_unlock(&lock);
	return r;
}

void
round_free(struct round *r)
{
	pthread_mutex_lock(&lock);
	list_remove(&r->node);
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < r->n_parts; i++) {
		arena_reset(&r->parts[i].arena);
		msgbuf_fini(&r->parts[i].rows);
	}
	arena_reset(&r->arena);
	free(r);
}

void
rounds_stop(void)
{
	atomic_store(&stopped, true);
}

/* ---- the way round ---- */

static void
visit(struct mail *m)
{
	struct part *p = LIST_ENTRY(m, struct part, mail);
	struct round *r = p->round;

	if (atomic_load(&stopped))
		return;
	r->visit(r, p);
	if (atomic_fetch_sub(&r->left, 1) == 1)
		r->complete(r);
}

void
round_start(struct round *r)
{
	atomic_store(&r->left, r->n_parts);
	for (int i = 0, n = r->n_parts; i < n; i++) {
		r->parts[i].mail.deliver = visit;
		loop_post(r->proc->workers[i].loop, &r->parts[i].mail);
	}
}

static void
go_again(struct timer *t)
{
	struct round *r = LIST_ENTRY(t, struct round, again);

	if (!atomic_load(&stopped))
		round_start(r);
}

/* ---- home ---- */

/* It still waits, and for this round: a cancelled command's round may come home behind a later one's start. */
static struct session *
asker(struct round *r)
{
	struct session *s = worker_find_session(r->home, r->session);
	bool latest = true;

	if (s == NULL || s->state != SESSION_ACTIVE || s->x == NULL ||
	    s->x->blocked != BLOCK_ADMIN)
		return NULL;
	pthread_mutex_lock(&lock);
	LIST_FOREACH(it, &all) {
		struct round *other = LIST_ENTRY(it, struct round, node);

		latest = latest &&
		    (other->home != r->home || other->session != r->session ||
			other->number <= r->number);
	}
	pthread_mutex_unlock(&lock);
	return latest ? s : NULL;
}

static void
next_pass(struct round *r)
{
	for (int i = 0; i < r->n_parts; i++) {
		arena_reset(&r->parts[i].arena);
		msgbuf_clear(&r->parts[i].rows);
		r->parts[i].records = NULL;
		memset(r->parts[i].n, 0, sizeof r->parts[i].n);
	}
	timer_start(r->home->loop, &r->again, AGAIN_MS);
}

static void
answer(struct round *r)
{
	struct session *s = asker(r);
	struct msgbuf out;
	struct err e;
	enum rc rc;

	if (s == NULL) {
		round_free(r);
		return;
	}
	msgbuf_init(&out);
	if (r->with_columns && admin_commands[r->line.id].table != TABLE_none)
		table_describe(admin_commands[r->line.id].table, &out);
	rc = r->finish(r, &out, &e);
	if (rc == RC_AGAIN) {
		next_pass(r);
	} else {
		if (rc == RC_OK)
			console_complete(r->line.id, &out);
		round_free(r);
		session_admin_done(s, &out, rc == RC_OK ? NULL : &e);
	}
	msgbuf_fini(&out);
}

static void
came_home(struct mail *m)
{
	struct round *r = LIST_ENTRY(m, struct round, homeward);

	if (atomic_load(&stopped))
		return;
	r->passes++;
	answer(r);
}

static void
go_home(struct round *r)
{
	r->homeward.deliver = came_home;
	loop_post(r->home->loop, &r->homeward);
}

/* ---- for commands ---- */

static struct round *
round_of(struct call *call)
{
	struct round *r =
	    round_create(call->w->proc, call->w, call->session->id, go_home);
	const struct admin_line *line = call->line;

	r->with_columns = call->with_columns;
	r->started_us = loop_now_us(call->w->loop);
	r->line = *line;
	r->line.arg = (struct slice){
	    arena_strndup(&r->arena, line->arg.ptr, line->arg.len), line->arg.len};
	r->line.key = (struct slice){
	    arena_strndup(&r->arena, line->key.ptr, line->key.len), line->key.len};
	r->line.value = (struct slice){
	    arena_strndup(&r->arena, line->value.ptr, line->value.len), line->value.len};
	r->database = line->arg.len == 0 ? NULL : r->line.arg.ptr;
	timer_init(&r->again, go_again);
	return r;
}

enum rc
round_run(struct call *call, void (*visitor)(struct round *, struct part *),
    enum rc (*finish)(struct round *, struct msgbuf *out, struct err *))
{
	struct round *r = round_of(call);

	r->visit = visitor;
	r->finish = finish;
	round_start(r);
	return RC_AGAIN;
}

static void
job_run(struct job *j)
{
	struct round *r = LIST_ENTRY(j, struct round, job);

	r->rc = RC_OK;
	r->run(r);
}

static void
job_done(struct job *j)
{
	if (!atomic_load(&stopped))
		answer(LIST_ENTRY(j, struct round, job));
}

static enum rc
job_finish(struct round *r, struct msgbuf *out, struct err *e)
{
	(void)out;
	if (r->rc != RC_OK)
		*e = r->err;
	return r->rc;
}

enum rc
round_dial(struct call *call, void (*run)(struct round *))
{
	struct round *r = round_of(call);

	r->finish = job_finish;
	r->run = run;
	r->job.loop = call->w->loop;
	r->job.urgent = true;
	r->job.run = job_run;
	r->job.done = job_done;
	list_init(&r->job.node);
	dialer_run(call->w->proc->dialer, &r->job);
	return RC_AGAIN;
}
