/* The HTTP endpoint. Its thread asks the workers for what is theirs by a round of mail, and waits for that no longer
 * than ANSWER_MS; all else it reads from atomics. */
#include <errno.h>
#include <dirent.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "router/admin/console.h"
#include "router/admin/metrics_text.h"

#define ANSWER_MS 1000

static struct MHD_Daemon *server;
static struct proc *process;
static uint64_t started_wall_us;

/* ---- what the workers know ---- */

/* Freed by whoever comes last: the endpoint that gave up, or the last worker. */
struct question {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct round *round;
	bool answered, forgotten;
};

static void
question_free(struct question *q)
{
	round_free(q->round);
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->cond);
	free(q);
}

static void
answered(struct round *r)
{
	struct question *q = r->arg;
	bool forgotten;

	pthread_mutex_lock(&q->lock);
	q->answered = true;
	forgotten = q->forgotten;
	pthread_cond_signal(&q->cond);
	pthread_mutex_unlock(&q->lock);
	if (forgotten)
		question_free(q);
}

struct answer {
	struct worker_numbers numbers;
	struct tally *census;
};

static void
visit(struct round *r, struct part *p)
{
	struct answer *a = ARENA_NEW(&p->arena, struct answer);

	census_take(r, p);
	a->census = p->records;
	a->numbers.index = p->w->index;
	a->numbers.sessions = (uint64_t)atomic_load(&p->w->n_sessions);
	a->numbers.parked = (uint64_t)atomic_load(&p->w->n_parked);
	shape_cache_stats(p->w->shapes, &a->numbers.shapes);
	loop_stats(p->w->loop, &a->numbers.loop);
	p->records = a;
}

/* NULL: not all have answered in time. */
static struct question *
ask(struct proc *p)
{
	struct question *q = calloc(1, sizeof *q);
	pthread_condattr_t attr;
	struct timespec until;
	bool done;

	if (q == NULL)
		abort();
	pthread_mutex_init(&q->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->cond, &attr);
	pthread_condattr_destroy(&attr);
	q->round = round_create(p, NULL, 0, answered);
	q->round->arg = q;
	q->round->visit = visit;
	round_start(q->round);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ANSWER_MS / 1000;
	pthread_mutex_lock(&q->lock);
	while (!q->answered &&
	    pthread_cond_timedwait(&q->cond, &q->lock, &until) != ETIMEDOUT)
		;
	done = q->answered;
	q->forgotten = !done;
	pthread_mutex_unlock(&q->lock);
	return done ? q : NULL;
}

static void
use_answers(struct scrape *m, struct question *q)
{
	struct round *r = q->round;
	struct tally **v;

	m->workers = ARENA_NEW_N(&r->arena, struct worker_numbers, (size_t)r->n_parts);
	m->n_workers = r->n_parts;
	for (int i = 0; i < r->n_parts; i++) {
		struct answer *a = r->parts[i].records;

		m->workers[i] = a->numbers;
		r->parts[i].records = a->census;
	}
	v = census_merge(r, CENSUS_DATABASE, &m->n_clients);
	m->clients = ARENA_NEW_N(&r->arena, struct db_clients, (size_t)m->n_clients + 1);
	for (int i = 0; i < m->n_clients; i++)
		m->clients[i] = (struct db_clients){
		    v[i]->database, v[i]->cl_active, v[i]->cl_waiting, v[i]->max_wait_us};
}

/* ---- the process ---- */

static uint64_t
clock_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int
open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = -3; /* ".", "..", and d itself */

	if (d == NULL)
		return 0;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void
scrape(struct text *t)
{
	struct scrape m = {.proc = process,
	    .now_us = clock_us(CLOCK_MONOTONIC),
	    .start_us = started_wall_us};
	struct question *q = ask(process);
	struct rusage use;

	m.snap = snapshot_ref(atomic_load(&process->snap));
	m.event_loop =
	    loop_kind(process->workers[0].loop) == LOOP_URING ? "io_uring" : "epoll";
	m.resident = console_resident_bytes();
	m.fds = open_descriptors();
	if (getrusage(RUSAGE_SELF, &use) == 0)
		m.cpu_us =
		    (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 +
		    (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
	m.sums = stats_sums(process, &m.n_sums);
	if (q != NULL)
		use_answers(&m, q);
	m.absent = q == NULL;
	metrics_text(&m, t);
	free(m.sums);
	snapshot_unref(m.snap);
	if (q != NULL)
		question_free(q);
}

/* ---- HTTP ---- */

static enum MHD_Result
reply(struct MHD_Connection *c, unsigned status, const char *type, char *body, size_t len,
    enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(len, body, mode);
	enum MHD_Result result;

	if (r == NULL) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free(body);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, "Cache-Control", "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result
say(struct MHD_Connection *c, unsigned status, const char *text)
{
	return reply(c, status, "text/plain; charset=utf-8", (char *)(uintptr_t)text,
	    strlen(text), MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result
handle(void *arg, struct MHD_Connection *c, const char *url, const char *method,
    const char *version, const char *data, size_t *size, void **state)
{
	struct text t = {NULL, 0, 0};

	(void)arg;
	(void)version;
	(void)data;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
	    strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
		if (*state ==
		    NULL) { /* the answer is given once the body has been read */
			*state = &server;
			return MHD_YES;
		}
		if (*size > 0) {
			*size = 0;
			return MHD_YES;
		}
		return say(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
	}
	if (strcmp(url, "/health") == 0)
		return say(c, MHD_HTTP_OK, "ok\n");
	if (strcmp(url, "/metrics") == 0) {
		scrape(&t);
		return reply(c, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
		    t.p, t.len, MHD_RESPMEM_MUST_FREE);
	}
	if (strcmp(url, "/") == 0)
		return say(c, MHD_HTTP_OK, "Weir " WEIR_VERSION ": /metrics, /health\n");
	return say(c, MHD_HTTP_NOT_FOUND, "not found; try /metrics\n");
}

/* ---- start, stop ---- */

static enum rc
listen_on(const char *address, int port, struct err *e)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE},
			*found;
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD;
	char service[12];
	int rc;

	snprintf(service, sizeof service, "%d", port);
	rc = getaddrinfo(address[0] == '\0' || strcmp(address, "*") == 0 ? NULL : address,
	    service, &hints, &found);
	if (rc != 0)
		return err_set(e, "58030", BLAST_SESSION, "metrics.address \"%s\": %s",
		    address, gai_strerror(rc));
	if (found->ai_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	server = MHD_start_daemon(flags, (uint16_t)port, NULL, NULL, handle, NULL,
	    MHD_OPTION_SOCK_ADDR, found->ai_addr, MHD_OPTION_CONNECTION_LIMIT, 32u,
	    MHD_OPTION_CONNECTION_TIMEOUT, 10u, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)32768, MHD_OPTION_END);
	rc = errno;
	freeaddrinfo(found);
	if (server == NULL)
		return err_set(e, "58030", BLAST_SESSION,
		    "cannot listen on metrics.address %s, metrics.port %d: %s", address,
		    port, strerror(rc));
	return RC_OK;
}

enum rc
metrics_start(struct proc *p, const char *address, int port, struct err *e)
{
	process = p;
	started_wall_us = clock_us(CLOCK_REALTIME);
	stats_start(p);
	return port == 0 ? RC_OK : listen_on(address, port, e);
}

void
metrics_stop(void)
{
	if (server != NULL)
		MHD_stop_daemon(server);
	server = NULL;
	rounds_stop();
}
