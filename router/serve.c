/* weir serve, check, version, demo, config-docs. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "router/admin/admin.h"
#include "router/commands.h"
#include "router/config/check.h"
#include "router/config/docs.h"
#include "router/recovery/service.h"
#include "router/session/proc.h"

bool
command_help(int argc, char **argv, const char *text)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			fputs(text, stdout);
			return true;
		}
	return false;
}

/* ---- serve ---- */

static const char serve_help[] =
    "Usage: weir serve -c FILE\n\n"
    "Runs the proxy in the foreground with the configuration FILE.\n\n"
    "  -c, --config FILE   the configuration (docs/configuration.md)\n\n"
    "Signals: SIGHUP reads the configuration again (a bad one changes nothing), SIGTERM lets transactions end\n"
    "(shutdown_timeout) and stops, SIGINT stops at once.\n"
    "Environment: WEIR_EVENT_LOOP=epoll|io_uring overrides the setting event_loop.\n";

static const char *
config_option(int argc, char **argv)
{
	static const struct option options[] = {
	    {"config", required_argument, NULL, 'c'}, {NULL, 0, NULL, 0}};
	const char *file = NULL;
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (c == 'c')
			file = optarg;
		else
			return NULL;
	}
	return optind == argc ? file : NULL;
}

struct config *
command_load(const char *file)
{
	struct config_report report;
	struct config *config = NULL;
	struct err e;

	config_report_init(&report);
	if (config_load(file, &config, &report, &e) != RC_OK) {
		config_report_print(&report, stderr);
		if (report.n == 0)
			fprintf(stderr, "weir: %s\n", e.msg);
		config = NULL;
	} else {
		config_report_print(&report, stderr);
	}
	config_report_fini(&report);
	return config;
}

static enum rc
admin_reload(struct proc *p, struct err *e)
{
	return proc_control(
	    p, CONTROL_RELOAD, (struct slice){0}, (struct slice){0}, 0, e);
}

static void
admin_shutdown(struct proc *p, int mode)
{
	struct err e;

	if (proc_control(p, CONTROL_SHUTDOWN, (struct slice){0}, (struct slice){0}, mode,
		&e) != RC_OK)
		log_line(LOG_ERROR, "shutdown refused", "error", e.msg, NULL);
}

static enum rc
admin_set(struct proc *p, struct slice key, struct slice value, struct err *e)
{
	return proc_control(p, CONTROL_SET, key, value, 0, e);
}

static const struct admin_control control = {admin_reload, admin_shutdown, admin_set};

static void
override_loop(struct config *config)
{
	const char *name = getenv("WEIR_EVENT_LOOP");

	if (name != NULL && strcmp(name, "epoll") == 0)
		config->settings.event_loop = LOOP_EPOLL;
	if (name != NULL && strcmp(name, "io_uring") == 0)
		config->settings.event_loop = LOOP_URING;
}

int
command_serve(int argc, char **argv)
{
	static struct proc proc;
	const char *file;
	struct config *config;
	struct err e;

	if (command_help(argc, argv, serve_help))
		return 0;
	file = config_option(argc, argv);
	if (file == NULL) {
		fputs(serve_help, stderr);
		return 2;
	}
	config = command_load(file);
	if (config == NULL)
		return 1;
	override_loop(config);
	proc.admin = &admin_ops;
	admin_set_control(&control);
	if (proc_start(&proc, config, file, &e) != RC_OK) {
		log_line(LOG_FATAL, "cannot start", "error", e.msg, "hint",
		    e.hint[0] == '\0' ? NULL : e.hint, NULL);
		_exit(1); /* threads may run already; nothing is theirs to finish */
	}
	if (metrics_start(&proc,
		atomic_load(&proc.snap)->config->settings.metrics_address,
		atomic_load(&proc.snap)->config->settings.metrics_port, &e) != RC_OK) {
		log_line(LOG_FATAL, "cannot start", "error", e.msg, NULL);
		_exit(1);
	}
	if (recovery_start(&proc, &e) != RC_OK) {
		log_line(LOG_FATAL, "cannot start", "error", e.msg, NULL);
		_exit(1);
	}
	log_line(
	    LOG_NOTICE, "ready", "version", WEIR_VERSION, "pid", LOG_NUM(getpid()), NULL);
	proc_run(&proc);
	metrics_stop();
	recovery_stop();
	proc_stop(&proc);
	return 0;
}

/* ---- check ---- */

int
command_check(int argc, char **argv)
{
	return config_check_main(argc, argv);
}

/* ---- small ones ---- */

int
command_version(int argc, char **argv)
{
	if (command_help(argc, argv, "Usage: weir version\n\nPrints the version.\n"))
		return 0;
	printf("weir %s\n", WEIR_VERSION);
	return 0;
}

int
command_config_docs(int argc, char **argv)
{
	if (command_help(
		argc, argv, "Usage: weir config-docs\n\nPrints docs/configuration.md.\n"))
		return 0;
	config_docs(stdout);
	return 0;
}

static const char demo_help[] =
    "Usage: weir demo start|stop|status\n\n"
    "Starts (or stops) a local fleet under .demo/ of the source folder: two shards, each with a replica, a shop's data, and Weir on\n"
    "port 6432 or the next free one. The same as `make demo` without the installing of packages.\n";

int
command_demo(int argc, char **argv)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 32);
	char *cut;

	if (command_help(argc, argv, demo_help))
		return 0;
	if (argc != 2 || n < 0) {
		fputs(demo_help, stderr);
		return 2;
	}
	path[n] = '\0';
	for (int up = 0; up < 4; up++) { /* build/release/weir, or weir */
		cut = strrchr(path, '/');
		if (cut == NULL)
			break;
		strcpy(cut, "/tools/demo");
		if (access(path, X_OK) == 0) {
			execl(path, path, argv[1], (char *)NULL);
			break;
		}
		*cut = '\0';
	}
	fputs(
	    "weir demo: tools/demo is not beside this program; run it from the source folder\n",
	    stderr);
	return 1;
}
