#include "router/session/proc.h"

#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "pool/health.h"
#include "router/session/listen.h"
#include "router/session/schema_load.h"
#include "router/session/session.h"
#include "wire/tls.h"

struct control {
	struct proc *proc;
	struct loop *loop;
	char *file;
	struct listeners *listeners;
	pthread_t signals;
	struct timer deadline, poll;
	enum stop_mode mode;
	bool stopping;
	SSL_CTX *previous_tls;
};

/* ---- news for the workers ---- */

static void
wake_workers(void *arg)
{
	struct proc *p = arg;

	for (int i = 0; i < p->n_workers; i++) {
		struct worker *w = &p->workers[i];

		if (atomic_load(&w->n_parked) > 0 &&
		    !atomic_exchange(&w->changed_posted, true))
			loop_post(w->loop, &w->changed);
	}
}

static void
schema_changed(struct proc *p)
{
	wake_workers(p);
}

struct publish_mail {
	struct mail mail;
	struct worker *w;
	struct snapshot *snap;
};

static void
take_snapshot(struct mail *m)
{
	struct publish_mail *p = LIST_ENTRY(m, struct publish_mail, mail);

	snapshot_unref(p->w->snap);
	p->w->snap = p->snap;
	free(p);
}

static void
retire_missing(struct snapshot *before, struct snapshot *after)
{
	int n, m;
	struct backend **old = snapshot_backends(before, false, &n),
		       **new = snapshot_backends(after, false, &m);

	for (int i = 0; i < n; i++) {
		bool kept = false;

		for (int j = 0; j < m && !kept; j++)
			kept = old[i] == new[j];
		if (!kept)
			atomic_store(&old[i]->retired, true);
	}
	free(old);
	free(new);
}

static void
watch(struct proc *p, struct snapshot *snap)
{
	int n;
	struct backend **v = snapshot_backends(snap, true, &n);

	health_watch(p->health, v, n);
	free(v);
}

struct watch_mail {
	struct mail mail;
	struct proc *proc;
};

static void
watch_again(struct mail *m)
{
	struct proc *p = LIST_ENTRY(m, struct watch_mail, mail)->proc;

	watch(p, atomic_load(&p->snap));
	free(m);
}

/* In the control thread: there the snapshot is the latest, and stays. */
static void
want_probes(struct proc *p)
{
	struct control *c = p->control;
	struct watch_mail *m = calloc(1, sizeof *m);

	if (m == NULL)
		abort();
	*m = (struct watch_mail){{NULL, watch_again}, p};
	loop_post(c->loop, &m->mail);
}

/* ---- TLS, log ---- */

static enum rc
make_tls(const struct settings *set, SSL_CTX **out, struct err *e)
{
	*out = NULL;
	if (set->listen_tls_mode == TLS_MODE_OFF)
		return RC_OK;
	return tls_server_create(set->listen_tls_cert, set->listen_tls_key,
	    set->listen_tls_ca, set->listen_tls_mode >= TLS_MODE_VERIFY_CA, out, e);
}

static enum rc
set_log(const struct settings *set, struct err *e)
{
	log_setup(set->log_format, set->log_level, (unsigned)set->log_rate);
	if (!log_open(set->log_file[0] == '\0' ? NULL : set->log_file))
		return err_set(e, "58030", BLAST_SESSION, "cannot open log.file \"%s\"",
		    set->log_file);
	return RC_OK;
}

static void
set_tcp(struct proc *p, const struct settings *set)
{
	struct dialer_tcp tcp = {(int)(set->tcp_keepidle_us / 1000000),
	    (int)(set->tcp_keepintvl_us / 1000000), set->tcp_keepcnt,
	    (int)(set->tcp_user_timeout_us / 1000)};

	dialer_set_tcp(p->dialer, &tcp);
}

/* ---- publishing a configuration ---- */

void
proc_publish(struct proc *p, struct config *config)
{
	struct snapshot *before = atomic_load(&p->snap);
	struct snapshot *after = snapshot_create(config, before);

	config_unref(config);
	for (int i = 0; i < p->n_workers; i++) {
		struct publish_mail *m = calloc(1, sizeof *m);

		if (m == NULL)
			abort();
		*m = (struct publish_mail){
		    {NULL, take_snapshot}, &p->workers[i], snapshot_ref(after)};
		loop_post(p->workers[i].loop, &m->mail);
	}
	watch(p, after);
	set_tcp(p, &config->settings);
	retire_missing(before, after);
	atomic_store(&p->snap, after);
	schema_loader_wake(p, NULL);
	proc_let_go(p, before);
}

static void
say_restart(const char *name, void *arg)
{
	(void)arg;
	log_line(LOG_WARNING, "setting changed, takes effect after a restart", "setting",
	    name, NULL);
}

enum rc
proc_reload(struct proc *p, struct err *e)
{
	struct control *c = p->control;
	struct config_report report;
	struct config *config;
	SSL_CTX *tls;
	enum rc rc;

	config_report_init(&report);
	rc = config_load(c->file, &config, &report, e);
	for (int i = 0; i < report.n; i++)
		log_line(report.items[i].warning ? LOG_WARNING : LOG_ERROR,
		    "configuration", "file", report.items[i].file, "line",
		    LOG_NUM(report.items[i].line), "mistake", report.items[i].text, NULL);
	config_report_fini(&report);
	if (rc == RC_OK && make_tls(&config->settings, &tls, e) != RC_OK) {
		config_unref(config);
		rc = RC_ERR;
	}
	if (rc != RC_OK) {
		log_line(LOG_ERROR, "reload refused, nothing has changed", "error",
		    e->msg, NULL);
		return RC_ERR;
	}
	(void)set_log(&config->settings, e);
	config_restart_needed(atomic_load(&p->snap)->config, config, say_restart, NULL);
	SSL_CTX_free(c->previous_tls);
	c->previous_tls =
	    atomic_exchange(&p->tls, tls); /* a handshake may be about to use it */
	proc_publish(p, config);
	log_line(LOG_NOTICE, "configuration reloaded", "file", c->file, NULL);
	return RC_OK;
}

/* ---- stopping ---- */

struct drain_mail {
	struct mail mail;
	struct worker *w;
};

static void
drain(struct mail *m)
{
	struct worker *w = LIST_ENTRY(m, struct drain_mail, mail)->w;

	free(m);
	atomic_store(&w->draining, true);
	LIST_FOREACH_SAFE(it, &w->sessions) {
		struct session *s = LIST_ENTRY(it, struct session, node);
		bool quiet = s->state == SESSION_IDLE || s->login != NULL ||
		    (s->state == SESSION_ACTIVE && s->tx == 'I' &&
			s->x->blocked == BLOCK_NOT && s->x->chunk == NULL);

		if (s->state != SESSION_CLOSING && (quiet || w->proc->stop_now))
			session_kill(s, "57P01",
			    "terminating connection due to administrator command");
	}
}

static void
drain_workers(struct proc *p)
{
	for (int i = 0; i < p->n_workers; i++) {
		struct drain_mail *m = calloc(1, sizeof *m);

		if (m == NULL)
			abort();
		*m = (struct drain_mail){{NULL, drain}, &p->workers[i]};
		loop_post(p->workers[i].loop, &m->mail);
	}
}

static void
look_again(struct timer *t)
{
	struct control *c = LIST_ENTRY(t, struct control, poll);

	if (atomic_load(&c->proc->clients) == 0)
		loop_stop(c->loop);
	else
		timer_start(c->loop, &c->poll, 20);
}

static void
deadline(struct timer *t)
{
	struct control *c = LIST_ENTRY(t, struct control, deadline);

	if (c->proc->stop_now) {
		loop_stop(c->loop);
		return;
	}
	log_line(LOG_WARNING, "shutdown_timeout is over, closing what is left", "clients",
	    LOG_NUM(atomic_load(&c->proc->clients)), NULL);
	c->proc->stop_now = true;
	drain_workers(c->proc);
	timer_start(c->loop, &c->deadline, 1000);
}

void
proc_shutdown(struct proc *p, enum stop_mode mode)
{
	struct control *c = p->control;

	if (c->stopping && mode != STOP_NOW)
		return;
	log_line(LOG_NOTICE, "shutting down", "mode",
	    mode == STOP_NOW         ? "now"
		: mode == STOP_DRAIN ? "drain"
				     : "wait for clients",
	    NULL);
	if (!c->stopping) {
		listeners_destroy(c->listeners);
		c->listeners = NULL;
	}
	c->stopping = true;
	if (mode != STOP_WAIT_CLIENTS) {
		atomic_store(&p->shutting_down, true);
		p->stop_now = mode == STOP_NOW;
		drain_workers(p);
		timer_start(c->loop, &c->deadline,
		    mode == STOP_NOW
			? 1000
			: atomic_load(&p->snap)->config->settings.shutdown_timeout_us /
			    1000);
	}
	timer_start(c->loop, &c->poll, 1);
}

/* ---- signals: a thread waits for them and tells the control loop ---- */

struct signal_mail {
	struct mail mail;
	struct proc *proc;
	int sig;
};

static void
on_signal(struct mail *m)
{
	struct signal_mail *s = LIST_ENTRY(m, struct signal_mail, mail);
	struct err e;

	if (s->sig != SIGHUP)
		proc_shutdown(s->proc, s->sig == SIGTERM ? STOP_DRAIN : STOP_NOW);
	else if (proc_reload(s->proc, &e) != RC_OK)
		log_line(LOG_WARNING, "still on the configuration before", NULL);
	free(s);
}

static void
block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void *
wait_for_signals(void *arg)
{
	struct control *c = arg;
	sigset_t set;
	int sig;

	block_signals(&set);
	while (sigwait(&set, &sig) == 0 && sig != SIGUSR1) {
		struct signal_mail *m = calloc(1, sizeof *m);

		if (m == NULL)
			abort();
		*m = (struct signal_mail){{NULL, on_signal}, c->proc, sig};
		loop_post(c->loop, &m->mail);
	}
	return NULL;
}

/* ---- commands of the admin console ---- */

struct order {
	struct mail mail;
	struct proc *proc;
	enum control_verb verb;
	struct slice key, value;
	int mode;
	enum rc rc;
	struct err *e;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
};

static enum rc
change_setting(struct proc *p, struct slice key, struct slice value, struct err *e)
{
	struct config *config;

	if (config_with(atomic_load(&p->snap)->config, key, value, &config, e) != RC_OK)
		return RC_ERR;
	(void)set_log(&config->settings, e);
	proc_publish(p, config);
	return RC_OK;
}

static void
carry_out(struct mail *m)
{
	struct order *o = LIST_ENTRY(m, struct order, mail);

	o->rc = RC_OK;
	if (o->verb == CONTROL_RELOAD)
		o->rc = proc_reload(o->proc, o->e);
	else if (o->verb == CONTROL_SET)
		o->rc = change_setting(o->proc, o->key, o->value, o->e);
	else
		proc_shutdown(o->proc, (enum stop_mode)o->mode);
	pthread_mutex_lock(&o->lock);
	o->done = true;
	pthread_cond_signal(&o->cond);
	pthread_mutex_unlock(&o->lock);
}

enum rc
proc_control(struct proc *p, enum control_verb verb, struct slice key, struct slice value,
    int mode, struct err *e)
{
	struct order o = {{NULL, carry_out}, p, verb, key, value, mode, RC_OK, e,
	    PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};

	loop_post(((struct control *)p->control)->loop, &o.mail);
	pthread_mutex_lock(&o.lock);
	while (!o.done)
		pthread_cond_wait(&o.cond, &o.lock);
	pthread_mutex_unlock(&o.lock);
	return o.rc;
}

/* ---- clients: to the worker with the fewest ---- */

static void
client_accepted(void *arg, int fd, bool unix_socket)
{
	struct proc *p = arg;
	struct worker *best = &p->workers[0];

	for (int i = 1; i < p->n_workers; i++)
		if (atomic_load(&p->workers[i].n_sessions) <
		    atomic_load(&best->n_sessions))
			best = &p->workers[i];
	worker_give_client(best, fd, unix_socket);
}

/* ---- start ---- */

static void
raise_descriptor_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
}

static enum rc
make_worker(
    struct proc *p, int i, enum loop_kind kind, const struct settings *set, struct err *e)
{
	struct worker *w = &p->workers[i];

	w->index = i;
	w->proc = p;
	if (loop_create(&w->loop, kind, e) != RC_OK)
		return RC_ERR;
	worker_init(w);
	w->pools = pools_create(w->loop, i, p->dialer);
	pools_set_link_free(w->pools, link_free);
	pools_set_param_changed(w->pools, link_param_changed);
	w->shapes = shape_cache_create(set->shape_cache_size_bytes);
	w->prepared = preparedset_create(w->shapes);
	w->snap = snapshot_ref(atomic_load(&p->snap));
	return RC_OK;
}

static enum rc
make_workers(struct proc *p, const struct settings *set, struct err *e)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	p->n_workers = set->workers > 0 ? set->workers : cpus > 0 ? (int)cpus : 1;
	if (p->n_workers > WORKERS_MAX)
		p->n_workers = WORKERS_MAX;
	backend_set_workers(p->n_workers);
	p->workers =
	    aligned_alloc(64, (sizeof *p->workers * (size_t)p->n_workers + 63) / 64 * 64);
	if (p->workers == NULL)
		abort();
	memset(p->workers, 0, sizeof *p->workers * (size_t)p->n_workers);
	for (int i = 0; i < p->n_workers; i++) {
		if (make_worker(p, i, set->event_loop, set, e) != RC_OK)
			return RC_ERR;
		p->pools[i] = p->workers[i].pools;
	}
	pools_set_peers(p->pools, p->n_workers);
	for (int i = 1; i < p->n_workers; i++)
		if (loop_kind(p->workers[i].loop) != loop_kind(p->workers[0].loop))
			log_line(LOG_WARNING, "a worker has another event loop", "worker",
			    LOG_NUM(i), "reason", loop_kind_reason(p->workers[i].loop),
			    NULL);
	log_line(LOG_NOTICE, "workers made", "workers", LOG_NUM(p->n_workers),
	    "event_loop",
	    loop_kind(p->workers[0].loop) == LOOP_URING ? "io_uring" : "epoll", "reason",
	    loop_kind_reason(p->workers[0].loop), NULL);
	return RC_OK;
}

static enum rc
write_pid(const char *file, struct err *e)
{
	FILE *f;

	if (file[0] == '\0')
		return RC_OK;
	f = fopen(file, "w");
	if (f == NULL)
		return err_set(
		    e, "58030", BLAST_SESSION, "cannot write pid_file \"%s\"", file);
	fprintf(f, "%d\n", (int)getpid());
	fclose(f);
	return RC_OK;
}

/* A short wait, so that the first statements find the schema known and the roles probed. */
static void
settle(struct proc *p)
{
	struct snapshot *snap = atomic_load(&p->snap);

	for (int waited = 0; waited < 2000; waited += 10) {
		bool ready = true;

		for (int i = 0; i < snap->n && ready; i++)
			ready = atomic_load(&snap->clusters[i]->schema_gen) > 0 ||
			    (snap->clusters[i]->n_shards == 1 &&
				snap->clusters[i]->shards[0].n == 1) ||
			    atomic_load(&snap->clusters[i]->schema_failed);
		if (ready)
			return;
		usleep(10000);
	}
}

enum rc
proc_start(struct proc *p, struct config *config, const char *file, struct err *e)
{
	struct control *c = calloc(1, sizeof *c);
	const struct settings *set = &config->settings;
	sigset_t signals;
	SSL_CTX *tls;

	if (c == NULL)
		abort();
	p->control = c;
	p->want_probes = want_probes;
	c->proc = p;
	c->file = strdup(file);
	raise_descriptor_limit();
	block_signals(&signals);
	atomic_init(&p->next_session, 1);
	if (RAND_bytes(p->secret, sizeof p->secret) != 1)
		return err_set(e, "58000", BLAST_SESSION, "no random numbers");
	if (set_log(set, e) != RC_OK || make_tls(set, &tls, e) != RC_OK ||
	    loop_create(&c->loop, LOOP_EPOLL, e) != RC_OK ||
	    dialer_create(&p->dialer, set->dialers, e) != RC_OK ||
	    health_create(&p->health, wake_workers, p, e) != RC_OK)
		return RC_ERR;
	atomic_store(&p->tls, tls);
	timer_init(&c->deadline, deadline);
	timer_init(&c->poll, look_again);
	p->peer_id = set->peer_id;
	p->started_us = loop_now_us(c->loop);
	atomic_store(&p->snap, snapshot_create(config, NULL));
	config_unref(config);
	set_tcp(p, set);
	if (make_workers(p, set, e) != RC_OK)
		return RC_ERR;
	watch(p, atomic_load(&p->snap));
	if (schema_loader_start(p, schema_changed, e) != RC_OK)
		return RC_ERR;
	for (int i = 0; i < p->n_workers; i++)
		worker_start(&p->workers[i]);
	settle(p);
	if (pthread_create(&c->signals, NULL, wait_for_signals, c) != 0)
		return err_set(
		    e, "53000", BLAST_SESSION, "cannot start the signal thread");
	if (write_pid(set->pid_file, e) != RC_OK)
		return RC_ERR;
	return listeners_create(&c->listeners, c->loop, set, client_accepted, p, e);
}

void
proc_run(struct proc *p)
{
	loop_run(((struct control *)p->control)->loop);
}

/* A snapshot that was replaced is not freed at once: another thread may be about to take a reference to it. */
void
proc_let_go(struct proc *p, struct snapshot *snap)
{
	snapshot_unref(p->previous);
	p->previous = snap;
}

static void
free_worker(struct worker *w)
{
	struct dbstats *st = atomic_load(&w->stats);

	preparedset_destroy(w->prepared);
	shape_cache_destroy(w->shapes);
	snapshot_unref(w->snap);
	while (st != NULL) {
		struct dbstats *next = st->next;

		free(st->query_hist);
		free(st->wait_hist);
		free(st);
		st = next;
	}
	loop_destroy(w->loop);
}

static void
end_pools_here(struct mail *m)
{
	pools_end(LIST_ENTRY(m, struct worker, end)->pools);
}

/* Server connections are closed by their own workers; a second is plenty. */
static void
end_pools(struct proc *p)
{
	for (int i = 0; i < p->n_workers; i++) {
		p->workers[i].end.deliver = end_pools_here;
		loop_post(p->workers[i].loop, &p->workers[i].end);
	}
	for (int waited = 0; waited < 1000; waited++) {
		bool ended = true;

		for (int i = 0; i < p->n_workers; i++)
			ended = ended && pools_ended(p->workers[i].pools);
		if (ended)
			return;
		usleep(1000);
	}
}

void
proc_stop(struct proc *p)
{
	struct control *c = p->control;
	const char *pid_file = atomic_load(&p->snap)->config->settings.pid_file;

	pthread_kill(c->signals, SIGUSR1);
	pthread_join(c->signals, NULL);
	schema_loader_stop(p);
	health_destroy(p->health);
	end_pools(p);
	for (int i = 0; i < p->n_workers; i++) {
		loop_stop(p->workers[i].loop);
		pthread_join(p->workers[i].thread, NULL);
	}
	dialer_destroy(p->dialer);
	for (int i = 0; i < p->n_workers; i++)
		pools_destroy(p->workers[i].pools);
	for (int i = 0; i < p->n_workers; i++)
		free_worker(&p->workers[i]);
	if (pid_file[0] != '\0')
		unlink(pid_file);
	listeners_destroy(c->listeners);
	loop_destroy(c->loop);
	snapshot_unref(p->previous);
	snapshot_unref(atomic_load(&p->snap));
	SSL_CTX_free(atomic_load(&p->tls));
	SSL_CTX_free(c->previous_tls);
	free(p->workers);
	free(c->file);
	free(c);
	log_line(LOG_NOTICE, "stopped", NULL);
}
