#include "router/session/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

#define SOCKETS_MAX 64

struct place {
	struct listeners *all;
	struct listener *listener;
	int fd;
	bool is_unix;
};

struct listeners {
	void (*accepted)(void *arg, int fd, bool unix_socket);
	void *arg;
	struct settings
	    set; /* texts are the configuration's; only numbers are used later */
	char path[sizeof((struct sockaddr_un *)0)->sun_path];
	int n;
	struct place v[SOCKETS_MAX];
};

static void
tune(struct listeners *l, int fd)
{
	int on = 1, n;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (l->set.tcp_keepalive)
		(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	if ((n = (int)(l->set.tcp_keepidle_us / 1000000)) > 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &n, sizeof n);
	if ((n = (int)(l->set.tcp_keepintvl_us / 1000000)) > 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &n, sizeof n);
	if ((n = l->set.tcp_keepcnt) > 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &n, sizeof n);
	if ((n = (int)(l->set.tcp_user_timeout_us / 1000)) > 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &n, sizeof n);
}

static void
accepted(void *arg, int fd)
{
	struct place *p = arg;

	if (!p->is_unix)
		tune(p->all, fd);
	p->all->accepted(p->all->arg, fd, p->is_unix);
}

static enum rc
add(struct listeners *l, struct loop *loop, int fd, bool is_unix, struct err *e)
{
	struct place *p = &l->v[l->n];

	if (l->n == SOCKETS_MAX) {
		close(fd);
		return err_set(e, "F0000", BLAST_SESSION,
		    "more than %d addresses to listen on", SOCKETS_MAX);
	}
	*p = (struct place){l, NULL, fd, is_unix};
	p->listener = listener_create(loop, fd, accepted, p);
	l->n++;
	return RC_OK;
}

static enum rc
listen_on(struct listeners *l, struct loop *loop, const struct addrinfo *a,
    const char *name, struct err *e)
{
	int on = 1,
	    fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 && errno == EAFNOSUPPORT)
		return RC_OK;
	if (fd < 0)
		return err_set(e, "58000", BLAST_SESSION, "cannot make a socket: %s",
		    strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (a->ai_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 ||
	    listen(fd, l->set.listen_backlog) != 0) {
		(void)err_set(e, "58000", BLAST_SESSION,
		    "cannot listen on %s port %d: %s", name, l->set.listen_port,
		    strerror(errno));
		err_hint(
		    e, "Is another process there already? Choose another listen.port.");
		close(fd);
		return RC_ERR;
	}
	log_line(LOG_NOTICE, "listening", "address", name, "port",
	    LOG_NUM(l->set.listen_port), NULL);
	return add(l, loop, fd, false, e);
}

static enum rc
listen_tcp(struct listeners *l, struct loop *loop, const char *name, struct err *e)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE},
			*found;
	char port[8];
	enum rc rc = RC_OK;
	int gai;

	snprintf(port, sizeof port, "%d", l->set.listen_port);
	gai = getaddrinfo(strcmp(name, "*") == 0 ? NULL : name, port, &hints, &found);
	if (gai != 0)
		return err_set(e, "58000", BLAST_SESSION, "listen.address \"%s\": %s",
		    name, gai_strerror(gai));
	for (struct addrinfo *a = found; a != NULL && rc == RC_OK; a = a->ai_next)
		rc = listen_on(l, loop, a, name, e);
	freeaddrinfo(found);
	return rc;
}

/* A socket file that nobody listens on any more is left over from a crash. */
static void
remove_stale(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)addr, sizeof *addr) != 0 &&
	    errno == ECONNREFUSED)
		unlink(addr->sun_path);
	if (fd >= 0)
		close(fd);
}

static enum rc
listen_unix(struct listeners *l, struct loop *loop, const char *dir, struct err *e)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd,
	    n = snprintf(addr.sun_path, sizeof addr.sun_path, "%s/.s.PGSQL.%d", dir,
		l->set.listen_port);

	if (n < 0 || (size_t)n >= sizeof addr.sun_path)
		return err_set(e, "F0000", BLAST_SESSION,
		    "listen.unix_socket_dir \"%s\" is too long for a Unix socket", dir);
	remove_stale(&addr);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0 ||
	    chmod(addr.sun_path, 0777) != 0 || listen(fd, l->set.listen_backlog) != 0) {
		(void)err_set(e, "58000", BLAST_SESSION, "cannot listen on %s: %s",
		    addr.sun_path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return RC_ERR;
	}
	memcpy(l->path, addr.sun_path, sizeof l->path);
	log_line(LOG_NOTICE, "listening", "socket", l->path, NULL);
	return add(l, loop, fd, true, e);
}

enum rc
listeners_create(struct listeners **out, struct loop *loop, const struct settings *set,
    void (*fn)(void *arg, int fd, bool unix_socket), void *arg, struct err *e)
{
	struct listeners *l = calloc(1, sizeof *l);
	enum rc rc = RC_OK;

	if (l == NULL)
		abort();
	l->accepted = fn;
	l->arg = arg;
	l->set = *set;
	for (int i = 0; i < set->listen_address.n && rc == RC_OK && set->listen_port > 0;
	     i++)
		rc = listen_tcp(l, loop, set->listen_address.items[i], e);
	if (rc == RC_OK && set->unix_socket_dir[0] != '\0')
		rc = listen_unix(l, loop, set->unix_socket_dir, e);
	if (rc == RC_OK && l->n == 0)
		rc = err_set(e, "F0000", BLAST_SESSION,
		    "nothing to listen on: listen.address and listen.unix_socket_dir are empty");
	if (rc != RC_OK) {
		listeners_destroy(l);
		return RC_ERR;
	}
	*out = l;
	return RC_OK;
}

void
listeners_destroy(struct listeners *l)
{
	if (l == NULL)
		return;
	for (int i = 0; i < l->n; i++) {
		listener_destroy(l->v[i].listener);
		close(l->v[i].fd);
	}
	if (l->path[0] != '\0')
		unlink(l->path);
	free(l);
}
