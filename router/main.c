/* weir: the command line. Each command is one function; `serve` wires the process together. */
#include <stdio.h>
#include <string.h>

#include "router/commands.h"

struct command {
	const char *name, *args, *text;
	int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
    {"serve", "-c FILE", "run the proxy", command_serve},
    {"check", "-c FILE [--offline]",
	"find every mistake in a configuration, and try its servers", command_check},
    {"explain", "-c FILE -d DB [--schema FILE] 'SQL'", "show where a statement would run",
	command_explain},
    {"catalog", "init -c FILE [-d DB] [-u USER]",
	"make on the shards what Weir keeps there", command_catalog},
    {"txn", "list|resolve -c FILE [GID|--all]", "transactions in doubt", command_txn},
    {"demo", "start|stop|status", "a local fleet to try Weir on", command_demo},
    {"config-docs", "", "print the configuration reference (Markdown)",
	command_config_docs},
    {"version", "", "print the version", command_version},
};

#define N_COMMANDS (sizeof commands / sizeof commands[0])

static void
usage(FILE *out)
{
	fputs("weir: a sharding and replication proxy for PostgreSQL\n\nUsage:\n", out);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  weir %-11s %-38s %s\n", commands[i].name,
		    commands[i].args, commands[i].text);
	fputs(
	    "\nweir COMMAND --help says more. Signals to `serve`: SIGHUP reloads, SIGTERM drains, SIGINT stops.\n",
	    out);
}

int
main(int argc, char **argv)
{
	if (argc >= 2 &&
	    (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
		strcmp(argv[1], "help") == 0)) {
		usage(stdout);
		return 0;
	}
	if (argc >= 2 &&
	    (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0))
		return command_version(argc - 1, argv + 1);
	for (size_t i = 0; argc >= 2 && i < N_COMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	if (argc >= 2)
		fprintf(stderr, "weir: unknown command \"%s\"\n\n", argv[1]);
	usage(stderr);
	return 2;
}
