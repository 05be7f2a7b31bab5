/* Whether this kernel's io_uring, as far as this process is allowed to use it, does what
 * loop_uring.c needs. */
#include "base/loop_impl.h"

#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define FEATURES                                                                  \
	(IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_FAST_POLL | \
	    IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP)

int
loop_uring_register(struct io_uring *ring, struct io_uring_buf_ring *br, unsigned entries)
{
	struct io_uring_buf_reg reg = {
	    .ring_addr = (uint64_t)(uintptr_t)br,
	    .ring_entries = entries,
	    .bgid = LOOP_URING_GROUP,
	};

	io_uring_buf_ring_init(br);
	return io_uring_register_buf_ring(ring, &reg, 0);
}

/* The next completion with this user_data, within a second; others are passed over. */
static bool
probe_await(struct io_uring *ring, uint64_t data, struct io_uring_cqe *out)
{
	struct __kernel_timespec ts = {.tv_sec = 1};
	struct io_uring_cqe *cqe;

	for (int i = 0; i < 8; i++) {
		if (io_uring_submit_and_wait_timeout(ring, &cqe, 1, &ts, NULL) < 0 ||
		    io_uring_peek_cqe(ring, &cqe) != 0)
			return false;
		*out = *cqe;
		io_uring_cqe_seen(ring, cqe);
		if (out->user_data == data)
			return true;
	}
	return false;
}

static void
prep_quiet(struct io_uring *ring, int fd, const void *from, size_t len, uint64_t data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_send(sqe, fd, from, len, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_WAITALL);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = data;
}

/* A send that says nothing when all was taken, and at once how much when it was not. */
static bool
probe_quiet_send(struct io_uring *ring, int fd)
{
	static const char zeros[1 << 20];
	int size = 4096;
	struct io_uring_cqe *cqe;
	bool ok;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) < 0)
		return false;
	prep_quiet(ring, fd, "x", 1, 5);
	prep_quiet(ring, fd, zeros, sizeof zeros, 6);
	if (io_uring_submit(ring) != 2 || io_uring_cq_ready(ring) != 1 ||
	    io_uring_peek_cqe(ring, &cqe) != 0)
		return false;
	ok = cqe->user_data == 6 && cqe->res > 0 && cqe->res < (int)sizeof zeros;
	io_uring_cqe_seen(ring, cqe);
	return ok;
}

/* Carries each operation out once, since a kernel may know the flags and still lack the
 * thing. Returns what is missing, or NULL. */
static const char *
probe_ops(struct io_uring *ring, struct io_uring_buf_ring *br, unsigned char *page,
    const int fds[2])
{
	struct io_uring_cqe cqe;
	struct io_uring_sqe *sqe;

	io_uring_buf_ring_add(br, page, 64, 0, 1, 0);
	io_uring_buf_ring_advance(br, 1);
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_recv_multishot(sqe, fds[0], NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = LOOP_URING_GROUP;
	sqe->user_data = 1;
	if (io_uring_submit(ring) != 1)
		return "submission";
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_send(sqe, fds[1], "x", 1, MSG_NOSIGNAL);
	sqe->user_data = 2;
	if (!probe_await(ring, 2, &cqe) || cqe.res != 1)
		return "send";
	if (!probe_await(ring, 1, &cqe) || cqe.res != 1 || page[0] != 'x' ||
	    !(cqe.flags & IORING_CQE_F_BUFFER) || !(cqe.flags & IORING_CQE_F_MORE))
		return "multishot receive";
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_cancel64(sqe, 1, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = 3;
	if (!probe_await(ring, 1, &cqe) || cqe.res != -ECANCELED)
		return "cancelling";
	if (!probe_quiet_send(ring, fds[1]))
		return "quiet send";
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_poll_multishot(sqe, fds[0], POLLERR | POLLHUP);
	sqe->user_data = 4;
	(void)shutdown(fds[1], SHUT_RDWR);
	if (!probe_await(ring, 4, &cqe) || !(cqe.res & POLLHUP))
		return "poll";
	return NULL;
}

enum rc
loop_uring_probe(struct err *e)
{
	struct io_uring_params params = {.flags = LOOP_URING_FLAGS};
	struct io_uring ring;
	const char *missing = NULL;
	unsigned char *page;
	int fds[2] = {-1, -1};
	int rc = io_uring_queue_init_params(8, &ring, &params);

	if (rc < 0)
		return err_set(
		    e, "0A000", BLAST_SESSION, "io_uring_setup: %s", strerror(-rc));
	page =
	    mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		abort();
	if ((params.features & FEATURES) != FEATURES)
		missing = "features (of Linux 5.17)";
	else if (loop_uring_register(&ring, (struct io_uring_buf_ring *)(void *)page, 2) <
	    0)
		missing = "ring of provided buffers (Linux 5.19)";
	else if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) <
	    0)
		missing = "socket pair";
	else
		missing = probe_ops(
		    &ring, (struct io_uring_buf_ring *)(void *)page, page + 4096, fds);
	io_uring_queue_exit(&ring);
	if (fds[0] >= 0) {
		(void)close(fds[0]);
		(void)close(fds[1]);
	}
	(void)munmap(page, 8192);
	if (missing != NULL)
		return err_set(
		    e, "0A000", BLAST_SESSION, "io_uring without working %s", missing);
	return RC_OK;
}
