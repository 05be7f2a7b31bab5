/* Cancel requests behind a load balancer: a client's request may reach another Weir process than its session. The process id that the client
 * was told has the peer_id in its upper 14 bits, so the request is passed on, unchanged, to the peer of that number. The lower 17 bits are
 * the session's, its worker among them; several sessions may share them: the key, all of it secret, says which one is meant. */
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "router/session/session.h"
#include "wire/startup.h"

#define PEER_TIMEOUT_MS 60000 /* where cancel_wait_timeout is 0 */
#define SESSION_BITS    17

struct peer_job {
	struct job job;
	char *host;
	uint16_t port;
	int timeout_ms;
	struct msgbuf packet;
};

static int
connect_unix(const struct peer_job *p)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int n = snprintf(
	    addr.sun_path, sizeof addr.sun_path, "%s/.s.PGSQL.%u", p->host, p->port);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (n > 0 && (size_t)n < sizeof addr.sun_path && fd >= 0 &&
	    connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int
connect_tcp(const struct peer_job *p)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	struct timeval limit = {p->timeout_ms / 1000, p->timeout_ms % 1000 * 1000};
	char port[8];
	int fd = -1;

	snprintf(port, sizeof port, "%u", p->port);
	if (getaddrinfo(p->host, port, &hints, &found) != 0)
		return -1;
	for (struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (fd < 0)
			continue;
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit,
		    sizeof limit); /* counts for connect() too */
		if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(found);
	return fd;
}

/* Sends it and waits until the peer closes, as a client would. */
static void
run(struct job *job)
{
	struct peer_job *p = LIST_ENTRY(job, struct peer_job, job);
	int fd = p->host[0] == '/' ? connect_unix(p) : connect_tcp(p);
	struct pollfd poller = {fd, POLLIN, 0};

	if (fd < 0) {
		log_line(LOG_WARNING, "cannot reach a peer with a cancel request", "host",
		    p->host, "port", LOG_NUM(p->port), NULL);
		return;
	}
	if (send(fd, p->packet.data, p->packet.len, MSG_NOSIGNAL) ==
	    (ssize_t)p->packet.len)
		(void)poll(&poller, 1, p->timeout_ms);
	close(fd);
}

static void
done(struct job *job)
{
	struct peer_job *p = LIST_ENTRY(job, struct peer_job, job);

	msgbuf_fini(&p->packet);
	free(p->host);
	free(p);
}

uint32_t
peer_told_pid(const struct proc *proc, uint64_t session)
{
	uint32_t mask = (1u << SESSION_BITS) - 1;

	return proc->peer_id == 0
	    ? (uint32_t)session
	    : (uint32_t)proc->peer_id << SESSION_BITS | ((uint32_t)session & mask);
}

bool
peer_pass_on(struct worker *w, uint32_t pid, struct slice key)
{
	const struct config *config = w->snap->config;
	int id = (int)(pid >> SESSION_BITS);
	uint64_t limit = config->settings.cancel_wait_timeout_us;
	struct peer_job *p;

	if (w->proc->peer_id == 0 || id == w->proc->peer_id)
		return false;
	for (int i = 0; i < config->n_peers; i++) {
		if (config->peers[i].id != id)
			continue;
		p = calloc(1, sizeof *p);
		if (p == NULL)
			abort();
		p->host = strdup(config->peers[i].host);
		p->port = config->peers[i].port;
		p->timeout_ms = limit == 0 ? PEER_TIMEOUT_MS : (int)(limit / 1000) + 1;
		msgbuf_init(&p->packet);
		msg_cancel(&p->packet, pid, key);
		p->job.loop = w->loop;
		p->job.urgent = true;
		p->job.run = run;
		p->job.done = done;
		dialer_run(w->proc->dialer, &p->job);
		return true;
	}
	return true; /* nobody's */
}
