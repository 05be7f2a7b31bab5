/* Load for several proxies in turn, for a noisy machine. Each peer's connections are opened
 * once; then every peer has short slices of the load, again and again, so that whatever
 * else the machine does meets all of them. A connection has one query under way at a time.
 *   load [-m simple|extended|prepared] [-c clients] [-n rounds] [-t slice_ms] [-s scale]
 *        [-j threads] [-w warm_up_ms] [-d database] [-u user] name:port:pid ...
 * pid 0: no process whose CPU counts. A line of JSON a peer: transactions, transactions per
 * second, sleeps (voluntary context switches) per transaction, latency in microseconds, and
 * the CPU per transaction in microseconds, slice by slice. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PEERS_MAX   16
#define THREADS_MAX 8
#define IN_MAX      4096
#define TEXT        "SELECT abalance FROM pgbench_accounts WHERE aid = "

enum mode { SIMPLE, EXTENDED, PREPARED };

struct conn {
	int fd;
	unsigned have; /* bytes of `in` */
	uint64_t sent_ns;
	unsigned char in[IN_MAX];
};

struct peer {
	const char *name;
	int port, pid;
	struct conn *conns;
	int epoll[THREADS_MAX]; /* of each thread's share of them */
	double *cpu_us;         /* a slice each */
	uint64_t n, sleeps;
	double seconds;
	uint32_t *latency_us;
	size_t n_latency, cap_latency;
};

struct thread {
	pthread_t id;
	int index;
	uint64_t random, n;
	uint32_t *latency_us;
	size_t n_latency, cap_latency;
};

static struct peer peers[PEERS_MAX];
static struct thread threads[THREADS_MAX];
static int n_peers, n_threads = 2, n_clients = 16, rounds = 20, slice_ms = 200,
		    scale = 10;
/* meanwhile servers' connections are opened, their caches filled */
static int warm_ms = 1500;
static const char *database = "bench", *user = "trust_user";
static enum mode mode;
static pthread_barrier_t barrier;
static struct peer *turn; /* whose slice it is; NULL: the end */
static uint64_t turn_end_ns;

static void
die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t
next_random(struct thread *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->random;
}

/* ---- messages ---- */

static unsigned char *
put32(unsigned char *p, uint32_t v)
{
	v = htonl(v);
	memcpy(p, &v, 4);
	return p + 4;
}

/* A message's body follows at +5. */
static unsigned char *
message(unsigned char *p, char type, const void *body, size_t len)
{
	*p++ = (unsigned char)type;
	p = put32(p, (uint32_t)len + 4);
	memcpy(p, body, len);
	return p + len;
}

static unsigned char *
parse_message(unsigned char *p, const char *name)
{
	char body[200];
	size_t n = strlen(name) + 1;

	memcpy(body, name, n);
	n += (size_t)sprintf(body + n, TEXT "$1") + 1;
	memset(body + n, 0, 2);
	return message(p, 'P', body, n + 2);
}

static unsigned char *
bind_and_execute(unsigned char *p, const char *name, unsigned aid)
{
	unsigned char body[200], *b = body;
	char digits[16];
	int len = sprintf(digits, "%u", aid);

	*b++ = 0; /* the unnamed portal */
	memcpy(b, name, strlen(name) + 1);
	b += strlen(name) + 1;
	memcpy(b, "\0\0\0\1", 4); /* all formats text; one parameter */
	b = put32(b + 4, (uint32_t)len);
	memcpy(b, digits, (size_t)len);
	b += len;
	memcpy(b, "\0\0", 2);
	p = message(p, 'B', body, (size_t)(b + 2 - body));
	p = message(p, 'D', "P", 2);
	p = message(p, 'E', "\0\0\0\0", 5);
	return message(p, 'S', "", 0);
}

static void
send_query(struct thread *t, struct conn *c)
{
	unsigned char out[600], *p = out;
	unsigned aid = (unsigned)(next_random(t) % (uint64_t)(scale * 100000)) + 1;
	char sql[100];

	if (mode == SIMPLE)
		p = message(p, 'Q', sql, (size_t)sprintf(sql, TEXT "%u;", aid) + 1);
	if (mode == EXTENDED)
		p = parse_message(p, "");
	if (mode != SIMPLE)
		p = bind_and_execute(p, mode == PREPARED ? "P_0" : "", aid);
	c->sent_ns = now_ns();
	if (send(c->fd, out, (size_t)(p - out), MSG_NOSIGNAL) != p - out)
		die("send");
}

/* True once the answer is whole. */
static bool
answered(struct conn *c)
{
	unsigned at = 0;
	bool ready = false;

	while (c->have - at >= 5) {
		unsigned char *m = c->in + at;
		unsigned len = ((unsigned)m[1] << 24 | (unsigned)m[2] << 16 |
				   (unsigned)m[3] << 8 | m[4]) +
		    1;

		if (c->have - at < len)
			break;
		if (m[0] == 'E') {
			fprintf(
			    stderr, "load: the server says: %.*s\n", (int)len - 5, m + 5);
			exit(1);
		}
		ready = m[0] == 'Z';
		at += len;
	}
	c->have -= at;
	memmove(c->in, c->in + at, c->have);
	return ready;
}

static bool
receive(struct conn *c)
{
	ssize_t n = recv(c->fd, c->in + c->have, IN_MAX - c->have, 0);

	if (n <= 0)
		die("the connection was closed");
	c->have += (unsigned)n;
	return answered(c);
}

/* ---- a slice ---- */

static void
keep_latency(struct thread *t, uint64_t ns)
{
	if (t->n_latency == t->cap_latency) {
		t->cap_latency = t->cap_latency == 0 ? 4096 : t->cap_latency * 2;
		t->latency_us =
		    realloc(t->latency_us, t->cap_latency * sizeof *t->latency_us);
	}
	t->latency_us[t->n_latency++] = (uint32_t)(ns / 1000);
}

static void
slice(struct thread *t, struct peer *p)
{
	struct epoll_event events[64];
	int open = 0;

	for (int i = t->index; i < n_clients; i += n_threads, open++)
		send_query(t, &p->conns[i]);
	while (open > 0) {
		int n = epoll_wait(p->epoll[t->index], events, 64, -1);

		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;
			uint64_t now;

			if (!receive(c))
				continue;
			now = now_ns();
			t->n++;
			keep_latency(t, now - c->sent_ns);
			if (now < turn_end_ns)
				send_query(t, c);
			else
				open--;
		}
	}
}

static void *
work(void *arg)
{
	struct thread *t = arg;

	for (;;) {
		pthread_barrier_wait(&barrier);
		if (turn == NULL)
			return NULL;
		slice(t, turn);
		pthread_barrier_wait(&barrier);
	}
}

/* ---- the peer's process ---- */

static uint64_t
file_number(const char *path, const char *after)
{
	char text[4096], *at = text;
	FILE *f = fopen(path, "r");
	size_t n;

	if (f == NULL)
		return 0;
	n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = '\0';
	if (after != NULL && (at = strstr(text, after)) != NULL)
		at += strlen(after);
	return at == NULL ? 0 : strtoull(at, NULL, 10);
}

/* Nanoseconds on a processor, and how often it went to sleep; of all its threads. */
static void
usage(int pid, uint64_t *ns, uint64_t *sleeps)
{
	char path[300];
	struct dirent *e;
	DIR *d;

	*ns = *sleeps = 0;
	snprintf(path, sizeof path, "/proc/%d/task", pid);
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, e->d_name);
		*ns += file_number(path, NULL);
		snprintf(path, sizeof path, "/proc/%d/task/%s/status", pid, e->d_name);
		*sleeps += file_number(path, "\nvoluntary_ctxt_switches:");
	}
	if (d != NULL)
		closedir(d);
}

static void
take_turn(struct peer *p, int round, int ms)
{
	uint64_t ns, ns2, sleeps, sleeps2, n = 0, start = now_ns();

	usage(p->pid, &ns, &sleeps);
	turn = p;
	turn_end_ns = start + (uint64_t)ms * 1000000;
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	p->seconds += (double)(now_ns() - start) / 1e9;
	usage(p->pid, &ns2, &sleeps2);
	for (int i = 0; i < n_threads; i++) {
		struct thread *t = &threads[i];

		n += t->n;
		t->n = 0;
		while (p->cap_latency - p->n_latency < t->n_latency) {
			p->cap_latency = p->cap_latency == 0 ? 65536 : p->cap_latency * 2;
			p->latency_us = realloc(
			    p->latency_us, p->cap_latency * sizeof *p->latency_us);
		}
		memcpy(p->latency_us + p->n_latency, t->latency_us,
		    t->n_latency * sizeof *t->latency_us);
		p->n_latency += t->n_latency;
		t->n_latency = 0;
	}
	p->cpu_us[round] = (double)(ns2 - ns) / 1e3 / (double)n;
	p->sleeps += sleeps2 - sleeps;
	p->n += n;
}

/* ---- opening ---- */

static int
connect_to(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

static void
open_conn(struct conn *c, int port)
{
	unsigned char out[300], *p = put32(out + 4, 196608);

	p += sprintf((char *)p, "user%c%s%cdatabase%c%s", 0, user, 0, 0, database) + 1;
	*p++ = 0;
	put32(out, (uint32_t)(p - out));
	c->fd = connect_to(port);
	if (send(c->fd, out, (size_t)(p - out), MSG_NOSIGNAL) != p - out)
		die("send");
	while (!receive(c))
		;
	if (mode != PREPARED)
		return;
	p = message(parse_message(out, "P_0"), 'S', "", 0);
	if (send(c->fd, out, (size_t)(p - out), MSG_NOSIGNAL) != p - out)
		die("send");
	while (!receive(c))
		;
}

static void
open_peer(struct peer *p, char *spec)
{
	char *port = strchr(spec, ':'),
	     *pid = port == NULL ? NULL : strchr(port + 1, ':');

	if (pid == NULL) {
		fprintf(stderr, "load: name:port:pid is wanted, not %s\n", spec);
		exit(1);
	}
	*port = '\0';
	p->name = spec;
	p->port = atoi(port + 1);
	p->pid = atoi(pid + 1);
	p->conns = calloc((size_t)n_clients, sizeof *p->conns);
	p->cpu_us = calloc((size_t)rounds + 1, sizeof *p->cpu_us);
	for (int i = 0; i < n_threads; i++)
		p->epoll[i] = epoll_create1(EPOLL_CLOEXEC);
	for (int i = 0; i < n_clients; i++) {
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &p->conns[i]};

		open_conn(&p->conns[i], p->port);
		if (epoll_ctl(
			p->epoll[i % n_threads], EPOLL_CTL_ADD, p->conns[i].fd, &ev) < 0)
			die("epoll_ctl");
	}
}

/* ---- report ---- */

static int
by_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void
report(struct peer *p)
{
	size_t n = p->n_latency;

	qsort(p->latency_us, n, sizeof *p->latency_us, by_u32);
	printf("{\"name\": \"%s\", \"n\": %llu, \"tps\": %.1f, \"sleeps\": %.4f, ",
	    p->name, (unsigned long long)p->n, (double)p->n / p->seconds,
	    (double)p->sleeps / (double)p->n);
	printf("\"p50\": %u, \"p99\": %u, \"max\": %u, \"cpu_us\": [",
	    p->latency_us[n / 2], p->latency_us[n * 99 / 100], p->latency_us[n - 1]);
	for (int i = 0; i < rounds; i++)
		printf("%s%.3f", i == 0 ? "" : ", ", p->cpu_us[i]);
	printf("]}\n");
}

static void
options(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "m:c:n:t:s:j:w:d:u:")) != -1) {
		switch (o) {
		case 'm':
			mode = *optarg == 's' ? SIMPLE
			    : *optarg == 'e'  ? EXTENDED
					      : PREPARED;
			break;
		case 'c':
			n_clients = atoi(optarg);
			break;
		case 'n':
			rounds = atoi(optarg);
			break;
		case 't':
			slice_ms = atoi(optarg);
			break;
		case 's':
			scale = atoi(optarg);
			break;
		case 'w':
			warm_ms = atoi(optarg);
			break;
		case 'j':
			n_threads = atoi(optarg);
			break;
		case 'd':
			database = optarg;
			break;
		case 'u':
			user = optarg;
			break;
		default:
			exit(2);
		}
	}
	if (n_threads > n_clients)
		n_threads = n_clients;
	if (n_clients < 1 || n_threads < 1 || n_threads > THREADS_MAX || rounds < 1 ||
	    argc - optind < 1 || argc - optind > PEERS_MAX) {
		fprintf(stderr, "usage: see the top of tests/bench/load.c\n");
		exit(2);
	}
}

int
main(int argc, char **argv)
{
	options(argc, argv);
	for (int i = optind; i < argc; i++)
		open_peer(&peers[n_peers++], argv[i]);
	pthread_barrier_init(&barrier, NULL, (unsigned)n_threads + 1);
	for (int i = 0; i < n_threads; i++) {
		threads[i] = (struct thread){
		    .index = i, .random = 88172645463325252ull + (uint64_t)i};
		pthread_create(&threads[i].id, NULL, work, &threads[i]);
	}
	for (int p = 0; p < n_peers; p++) { /* warms up */
		take_turn(&peers[p], 0, warm_ms);
		peers[p].n = peers[p].sleeps = peers[p].n_latency = 0;
		peers[p].seconds = 0;
	}
	for (int r = 0; r < rounds; r++)
		for (int p = 0; p < n_peers; p++)
			take_turn(&peers[r % 2 == 0 ? p : n_peers - 1 - p], r, slice_ms);
	turn = NULL;
	pthread_barrier_wait(&barrier);
	for (int p = 0; p < n_peers; p++)
		report(&peers[p]);
	return 0;
}
