/* router/admin/parse.h: the text of a command becomes its entry in commands.def and its arguments.
 * Pure. Memory: arguments point into the text or the arena.
 * Failure: 42601. */
#ifndef WEIR_ROUTER_ADMIN_PARSE_H
#define WEIR_ROUTER_ADMIN_PARSE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "router/admin/table.h"

enum admin_who { WHO_STATS, WHO_ADMIN };
enum admin_arg { ARG_NONE, ARG_DB, ARG_MAYBE_DB, ARG_ID, ARG_MODE, ARG_SET, ARG_REST };

enum admin_command_id {
#define COMMAND(id, words, syntax, who, arg, columns, help) COMMAND_##id,
#include "router/admin/commands.def"
#undef COMMAND
	COMMAND_COUNT
};

struct admin_command {
	const char *words, *syntax;
	enum admin_who who;
	enum admin_arg arg;
	enum table_id table;
	const char *help;
};

extern const struct admin_command admin_commands[COMMAND_COUNT];

struct admin_line {
	bool empty; /* nothing but space, comments and semicolons */
	enum admin_command_id id;
	struct slice arg;        /* DB, ID, MODE; empty when there is none */
	uint64_t client;         /* ID */
	struct slice key, value; /* SET; key in lower case */
};

enum rc admin_parse(
    struct slice sql, struct arena *, struct admin_line *, struct err *) WARN_UNUSED;
/* The command's first word, for CommandComplete. */
void admin_tag(enum admin_command_id, char *buf, size_t size);
/* Settings of PostgreSQL that drivers set on every connection. */
bool admin_ignores_setting(struct slice key);

#endif
