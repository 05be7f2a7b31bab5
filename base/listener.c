/* Listening sockets: several clients are accepted a turn, then others get their turn.
 * When descriptors or memory run out, accepting pauses: the waiting connection would wake
 * the loop without end otherwise. */
#include "base/loop_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fault.h"
#include "base/log.h"

#define ACCEPT_PER_TURN 16
#define ACCEPT_PAUSE_MS 100

struct listener {
	struct watch watch;
	struct list dead; /* loop->dead_listeners */
	struct loop *loop;
	void (*accepted)(void *arg, int fd);
	void *arg;
	struct timer pause;
	bool paused, destroyed, said;
};

static void
apply(struct listener *l)
{
	bool on = !l->paused && !l->destroyed && !timer_armed(&l->pause);

	l->loop->backend->watch_set(l->loop, &l->watch, on);
}

static void
pause_is_over(struct timer *t)
{
	apply(LIST_ENTRY(t, struct listener, pause));
}

/* An error of ours, that would come again at once; any other is that of one connection
 * (ECONNABORTED, the network's), and the next one may be had. */
static bool
is_lasting(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM ||
	    error == ENOBUFS || error == EBADF || error == EINVAL || error == ENOTSOCK ||
	    error == EOPNOTSUPP;
}

static void
run_short(struct listener *l, int error)
{
	if (!l->said)
		log_line(LOG_ERROR, "cannot accept connections, pausing", "error",
		    strerror(error), NULL);
	l->said = true;
	timer_start(l->loop, &l->pause, ACCEPT_PAUSE_MS);
	apply(l);
}

static int
accept_one(int fd)
{
	if (FAULT("accept.emfile")) {
		errno = EMFILE;
		return -1;
	}
	if (FAULT("accept.enfile")) {
		errno = ENFILE;
		return -1;
	}
	return accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void
listener_ready(struct watch *w)
{
	struct listener *l = LIST_ENTRY(w, struct listener, watch);

	for (int i = 0; i < ACCEPT_PER_TURN && !l->paused && !l->destroyed; i++) {
		int fd = accept_one(l->watch.fd);

		if (fd >= 0) {
			l->said = false;
			l->accepted(l->arg, fd);
		} else if (is_lasting(errno)) {
			run_short(l, errno);
			return;
		} else if (errno == EAGAIN) {
			return;
		}
	}
}

struct listener *
listener_create(struct loop *loop, int fd, void (*accepted)(void *arg, int fd), void *arg)
{
	struct listener *l = calloc(1, sizeof *l);

	if (l == NULL)
		abort();
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	l->watch.fd = fd;
	l->watch.ready = listener_ready;
	list_init(&l->dead);
	l->loop = loop;
	l->accepted = accepted;
	l->arg = arg;
	timer_init(&l->pause, pause_is_over);
	apply(l);
	return l;
}

void
listener_pause(struct listener *l, bool paused)
{
	l->paused = paused;
	apply(l);
}

void
listener_destroy(struct listener *l)
{
	l->destroyed = true;
	timer_stop(&l->pause);
	apply(l);
	list_push_back(&l->loop->dead_listeners, &l->dead);
}

/* Frees those that no event can name any more. */
void
loop_listeners_reap(struct loop *loop, bool all)
{
	LIST_FOREACH_SAFE(n, &loop->dead_listeners) {
		struct listener *l = LIST_ENTRY(n, struct listener, dead);

		if (!all && l->watch.armed)
			continue;
		list_remove(n);
		free(l);
	}
}
