/* A PostgreSQL server of a test's own: made, started and stopped by it. */
#ifndef WEIR_TESTS_POSTGRES_H
#define WEIR_TESTS_POSTGRES_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEST_PG_BIN "/usr/lib/postgresql/15/bin"

struct test_pg {
	char dir[64], data[80], port[8];
	pid_t pid;
};

static inline void
test_pg_become(void)
{
	struct passwd *p = getpwnam("postgres");

	if (geteuid() != 0)
		return;
	if (p == NULL || initgroups("postgres", p->pw_gid) != 0 ||
	    setgid(p->pw_gid) != 0 || setuid(p->pw_uid) != 0)
		_exit(126);
}

/* Starts a program as the servers' user; its output goes to DIR/log. */
static inline pid_t
test_pg_spawn(const struct test_pg *pg, const char *const *argv)
{
	char log[100];
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	snprintf(log, sizeof log, "%s/log", pg->dir);
	test_pg_become();
	/* A test that is killed must not leave its server behind. (Changing the user
	 * forgets this, so it comes after.) */
	if (prctl(PR_SET_PDEATHSIG, SIGQUIT) != 0)
		_exit(126);
	if (chdir(pg->dir) != 0 || freopen(log, "a", stdout) == NULL || dup2(1, 2) < 0)
		_exit(126);
	unsetenv("LD_PRELOAD");
	execv(argv[0], (char *const *)(size_t)argv);
	_exit(127);
}

static inline bool
test_pg_run(const struct test_pg *pg, const char *const *argv)
{
	int status;
	pid_t pid = test_pg_spawn(pg, argv);

	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static inline bool
test_pg_sql(const struct test_pg *pg, const char *sql)
{
	const char *const argv[] = {TEST_PG_BIN "/psql", "-XqAt", "-v", "ON_ERROR_STOP=1",
	    "-h", pg->dir, "-p", pg->port, "-U", "postgres", "-c", sql, "postgres", NULL};

	return test_pg_run(pg, argv);
}

static inline void
test_pg_append(
    const struct test_pg *pg, const char *file, const char *mode, const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", pg->data, file);
	f = fopen(path, mode);
	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
}

static inline void
test_pg_free_port(char port[8])
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) != 0)
		abort();
	close(fd);
	snprintf(port, 8, "%d", ntohs(a.sin_port));
}

/* A new cluster, not started; false: there is no PostgreSQL here. Superuser postgres. */
static inline bool
test_pg_init(struct test_pg *pg)
{
	const char *const argv[] = {TEST_PG_BIN "/initdb", "-D", pg->data, "-A", "trust",
	    "-U", "postgres", "--no-sync", "--locale=C", "-E", "UTF8", NULL};
	struct passwd *p = getpwnam("postgres");

	memset(pg, 0, sizeof *pg);
	if (access(TEST_PG_BIN "/postgres", X_OK) != 0 || (geteuid() == 0 && p == NULL))
		return false;
	strcpy(pg->dir, "/tmp/weir-wire-XXXXXX");
	if (mkdtemp(pg->dir) == NULL)
		abort();
	if (geteuid() == 0 && chown(pg->dir, p->pw_uid, p->pw_gid) != 0)
		abort();
	snprintf(pg->data, sizeof pg->data, "%s/data", pg->dir);
	test_pg_free_port(pg->port);
	return test_pg_run(pg, argv);
}

static inline bool
test_pg_start(struct test_pg *pg)
{
	const char *const argv[] = {TEST_PG_BIN "/postgres", "-D", pg->data, "-h",
	    "127.0.0.1,::1", "-p", pg->port, "-k", pg->dir, "-F", "-c",
	    "max_connections=30", "-c", "shared_buffers=16MB", NULL};

	pg->pid = test_pg_spawn(pg, argv);
	for (int i = 0; i < 200; i++) {
		if (test_pg_sql(pg, "SELECT 1"))
			return true;
		usleep(50000);
	}
	return false;
}

static inline void
test_pg_stop(struct test_pg *pg)
{
	const char *const argv[] = {"/bin/rm", "-rf", pg->dir, NULL};
	int status;

	if (pg->pid > 0) {
		kill(pg->pid, SIGQUIT);
		waitpid(pg->pid, &status, 0);
	}
	pid_t pid = fork();

	if (pid == 0) {
		execv(argv[0], (char *const *)(size_t)argv);
		_exit(127);
	}
	waitpid(pid, &status, 0);
}

#endif
