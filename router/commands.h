/* router/commands.h: the commands of the program `weir`. Each gets its own arguments (argv[0] is its name), prints its help for --help, and
 * returns the exit code: 0 done, 1 failed, 2 wrong usage. */
#ifndef WEIR_ROUTER_COMMANDS_H
#define WEIR_ROUTER_COMMANDS_H

#include <stdbool.h>

struct config;

int command_serve(int argc, char **argv);
int command_check(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_demo(int argc, char **argv);
int command_config_docs(int argc, char **argv);
int command_catalog(int argc, char **argv);
int command_txn(int argc, char **argv);
int command_version(int argc, char **argv);

/* A configuration, with its mistakes told on standard error; NULL: it has some. */
struct config *command_load(const char *file);
/* --help or -h anywhere: prints the text. */
bool command_help(int argc, char **argv, const char *text);

#endif
