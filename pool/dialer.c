/* A queue and threads that take from it. */
#include "pool/dialer.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IDLE_S     5
#define STACK_SIZE (512 * 1024) /* getaddrinfo() and OpenSSL are deep */

struct dialer {
	pthread_mutex_t lock;
	pthread_cond_t work, ended;
	struct list queue; /* urgent ones first */
	int keep, threads, idle, queued, running;
	bool stopping;
	struct dialer_tcp tcp;
	/* Running jobs by backend, for the limit. */
	struct backend *busy[DIALER_THREADS_MAX];
};

static int
busy_with(const struct dialer *d, const struct backend *b)
{
	int n = 0;

	for (int i = 0; i < DIALER_THREADS_MAX; i++)
		n += d->busy[i] == b;
	return n;
}

static struct job *
next_job(struct dialer *d)
{
	LIST_FOREACH(n, &d->queue) {
		struct job *j = LIST_ENTRY(n, struct job, node);

		if (j->urgent || j->backend == NULL ||
		    busy_with(d, j->backend) < DIALER_PER_BACKEND) {
			list_remove(n);
			d->queued--;
			return j;
		}
	}
	return NULL;
}

static void
set_busy(struct dialer *d, const struct backend *from, struct backend *to)
{
	for (int i = 0; i < DIALER_THREADS_MAX; i++) {
		if (d->busy[i] == from) {
			d->busy[i] = to;
			return;
		}
	}
}

static void
run_job(struct dialer *d, struct job *j)
{
	struct backend *limited = j->urgent ? NULL : j->backend;

	d->running++;
	if (limited != NULL)
		set_busy(d, NULL, limited);
	pthread_mutex_unlock(&d->lock);
	j->run(j);
	pthread_mutex_lock(&d->lock);
	d->running--;
	if (limited != NULL) {
		set_busy(d, limited, NULL);
		pthread_cond_signal(&d->work); /* one that the limit held back */
	}
	loop_post(
	    j->loop, &j->mail); /* under the lock: after dialer_destroy() none comes */
}

/* False when nothing came for IDLE_S. */
static bool
wait_for_work(struct dialer *d)
{
	struct timespec until;
	int e;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_S;
	d->idle++;
	e = pthread_cond_timedwait(&d->work, &d->lock, &until);
	d->idle--;
	return e == 0;
}

static void *
dialer_thread(void *arg)
{
	struct dialer *d = arg;
	struct job *j;

	pthread_mutex_lock(&d->lock);
	while (!d->stopping) {
		if ((j = next_job(d)) != NULL)
			run_job(d, j);
		else if (!wait_for_work(d) && d->threads > d->keep)
			break;
	}
	OPENSSL_thread_stop(); /* its errors' memory, before the process counts its leaks */
	d->threads--;
	pthread_cond_signal(&d->ended);
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* Under the lock. False: there can be no more. */
static bool
start_thread(struct dialer *d)
{
	pthread_attr_t attr;
	pthread_t t;
	int e;

	if (d->threads == DIALER_THREADS_MAX || pthread_attr_init(&attr) != 0)
		return false;
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	e = pthread_create(&t, &attr, dialer_thread, d);
	(void)pthread_attr_destroy(&attr);
	if (e == 0)
		d->threads++;
	return e == 0;
}

enum rc
dialer_create(struct dialer **out, int threads, struct err *e)
{
	struct dialer *d = calloc(1, sizeof *d);
	pthread_condattr_t attr;

	if (d == NULL)
		abort();
	d->keep = threads < 1              ? 1
	    : threads > DIALER_THREADS_MAX ? DIALER_THREADS_MAX
					   : threads;
	list_init(&d->queue);
	(void)pthread_mutex_init(&d->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&d->work, &attr);
	(void)pthread_cond_init(&d->ended, &attr);
	(void)pthread_condattr_destroy(&attr);
	pthread_mutex_lock(&d->lock);
	if (!start_thread(d)) {
		pthread_mutex_unlock(&d->lock);
		dialer_destroy(d);
		return err_set(e, "53000", BLAST_SESSION, "cannot start a dialer thread");
	}
	pthread_mutex_unlock(&d->lock);
	*out = d;
	return RC_OK;
}

void
dialer_destroy(struct dialer *d)
{
	if (d == NULL)
		return;
	pthread_mutex_lock(&d->lock);
	d->stopping = true;
	pthread_cond_broadcast(&d->work);
	while (d->threads > 0)
		pthread_cond_wait(&d->ended, &d->lock);
	pthread_mutex_unlock(&d->lock);
	pthread_cond_destroy(&d->work);
	pthread_cond_destroy(&d->ended);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

void
dialer_set_tcp(struct dialer *d, const struct dialer_tcp *tcp)
{
	pthread_mutex_lock(&d->lock);
	d->tcp = *tcp;
	pthread_mutex_unlock(&d->lock);
}

void
dialer_tcp(struct dialer *d, struct dialer_tcp *tcp)
{
	pthread_mutex_lock(&d->lock);
	*tcp = d->tcp;
	pthread_mutex_unlock(&d->lock);
}

static void
deliver(struct mail *m)
{
	struct job *j = (struct job *)(void *)((char *)m - offsetof(struct job, mail));

	j->done(j);
}

/* Would another thread help it, or does its backend's limit hold it back? */
static bool
could_run(const struct dialer *d, const struct job *j)
{
	int n = 0;

	if (j->urgent || j->backend == NULL)
		return true;
	LIST_FOREACH(q, &d->queue)
		n += LIST_ENTRY(q, struct job, node)->backend == j->backend;
	return busy_with(d, j->backend) + n <= DIALER_PER_BACKEND;
}

void
dialer_run(struct dialer *d, struct job *j)
{
	j->mail.deliver = deliver;
	pthread_mutex_lock(&d->lock);
	if (j->urgent)
		list_push_front(&d->queue, &j->node);
	else
		list_push_back(&d->queue, &j->node);
	d->queued++;
	/* A thread that cannot be had is no failure while one lives: the job waits. */
	if (d->idle < d->queued && could_run(d, j))
		(void)start_thread(d);
	pthread_cond_signal(&d->work);
	pthread_mutex_unlock(&d->lock);
}

void
dialer_stats(struct dialer *d, int *queued, int *running, int *threads)
{
	pthread_mutex_lock(&d->lock);
	*queued = d->queued;
	*running = d->running;
	*threads = d->threads;
	pthread_mutex_unlock(&d->lock);
}
