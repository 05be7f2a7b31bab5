/* router/admin/console.h: what the files of router/admin share: the handlers of commands.def, and look-ups.
 * A handler runs in its session's worker. RC_OK: its rows are in call->out. RC_AGAIN: round_run() or round_dial() took
 * the command over. */
#ifndef WEIR_ROUTER_ADMIN_CONSOLE_H
#define WEIR_ROUTER_ADMIN_CONSOLE_H

#include "router/admin/admin.h"
#include "router/admin/round.h"

#define COMMAND(id, words, syntax, who, arg, columns, help) \
	enum rc admin_##id(struct call *, struct err *) WARN_UNUSED;
#include "router/admin/commands.def"
#undef COMMAND

/* CommandComplete. */
void console_complete(enum admin_command_id, struct msgbuf *out);

/* A cluster that is there already; a name that only the wildcard would take is none. With a reference. */
struct cluster *console_cluster(struct snapshot *, const char *name);
/* 3D000 when there is no such database; NULL is fine. */
enum rc console_check_database(struct call *, struct err *) WARN_UNUSED;
/* Calls fn for each cluster of this worker's snapshot (that is called `name`, unless NULL). */
void console_each_cluster(struct worker *, const char *name,
    void (*fn)(struct cluster *, void *arg), void *arg);
/* Wall clock of a loop's time, microseconds; 0 stays 0. */
uint64_t console_wall_us(const struct worker *, uint64_t loop_us);

uint64_t console_resident_bytes(void);

/* The console is suspended (SUSPEND … RESUME). */
extern atomic_bool console_suspended;
/* NULL before main.c has set it. */
extern const struct admin_control *console_control;

/* The text of an SQL statement with its constants as `?`, at most `max` bytes. */
const char *console_mask(struct slice sql, size_t max, struct arena *);

#endif
