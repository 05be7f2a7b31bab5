/* router/config/config.h: the configuration as one immutable snapshot: settings,
 * databases, shards, servers, users.
 * Thread:  any may read; references are counted atomically. The control thread loads.
 * Memory:  all that a struct config points at lives while a reference to it is held.
 * Order:   a user's value wins over the database's, that over the global: CONFIG_VALUE().
 * Failure: config_load() yields a whole configuration or none, and reports all mistakes.
 * Secrets: server_conf.password, .passes and .params, db_conf.password: never print them;
 *          server_conf.raw has them masked. */
#ifndef WEIR_ROUTER_CONFIG_CONFIG_H
#define WEIR_ROUTER_CONFIG_CONFIG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/settings.h"
#include "base/slice.h"
#include "pool/health.h"

struct shard_map;   /* router/route/map.h */
struct secret_file; /* wire/secret.h */
struct hba;         /* router/config/hba.h */

/* ---- made from settings.def ---- */

/* clang-format off */

#define ENUM(name)             enum name {
#define CHOICE(constant, text) constant,
#define END_ENUM               };
#include "router/config/settings.def"

/* Durations end in _us (microseconds), sizes in _bytes. */
struct settings {
#define SETTING(kind, type, field, name, def, min, max, choices, scopes, when, doc) type field;
#include "router/config/settings.def"
};

enum setting_id {
#define SETTING(kind, type, field, name, def, min, max, choices, scopes, when, doc) SETTING_ID_##field,
#define SECTION(id, title) SECTION_##id, SECTION_##id##_BACK = SECTION_##id - 1,
#include "router/config/settings.def"
	SETTING_COUNT
};

/* clang-format on */

extern const struct setting_table config_settings;

/* ---- servers, shards, databases ---- */

struct host_conf {
	const char
	    *host; /* name, address, folder of a Unix socket; NULL: hostaddr is given */
	const char *hostaddr; /* numeric address, so that no name is looked up; or NULL */
	uint16_t port;
	const char *password; /* secret: the server's, or the passfile's for this host */
};

struct conf_param {
	const char *name, *value;
};

struct conf_pass {
	const char *host, *port, *dbname, *user, *password; /* "*": any; NULL for that */
};

/* One conninfo string, taken apart. What it does not say is NULL. */
struct server_conf {
	const char *raw; /* as written, the password masked */
	const char *file;
	int line;
	struct host_conf *hosts; /* at least one */
	int n_hosts;
	const char *dbname;   /* NULL: the name the client asked for */
	const char *user;     /* NULL: the client's */
	const char *password; /* secret */
	const char *passfile;
	struct conf_pass *passes; /* what the passfile says */
	int n_passes;
	enum tls_mode
	    tls_mode; /* the conninfo's sslmode, else server_tls.mode of the database */
	const char *sslrootcert, *sslcert,
	    *sslkey; /* the conninfo's, else server_tls of the database; "" is none */
	bool sslsni;
	const char *options;          /* as in the start-up packet */
	const char *application_name; /* only where the client has none */
	uint64_t connect_timeout_us;  /* 0: server_connect_timeout */
	struct conf_param
	    *params; /* everything the string says, by libpq's keywords; secrets too */
	int n_params;
	int weight; /* of a replica, 1 by default; 0: takes no reads */
};

struct shard_conf {
	const char *name;
	int index; /* in db->shards; the same as in db->map->shards */
	struct server_conf *primary;
	struct server_conf **replicas;
	int n_replicas;
	struct settings settings; /* resolved: shard's over database's over global */
	struct setting_set set;   /* given for this shard */
};

struct db_conf {
	const char *name; /* "*": for every name that has no entry of its own */
	bool wildcard;
	const char *file;
	int line;
	struct shard_conf *shards; /* at least one */
	int n_shards;
	int default_shard;           /* -1: none (several shards and none named) */
	const char *user, *password; /* login that is forced on its servers, or NULL */
	struct settings settings;    /* resolved: database's over global */
	struct setting_set set;      /* given for this database */
	const struct shard_map *map; /* never NULL */
	const struct secret_file *users; /* of auth.users_file; NULL: none */
	const struct hba *hba;           /* of auth.hba_file; NULL: none */
};

struct user_conf {
	const char *name;
	struct settings settings; /* only what `set` names is this user's */
	struct setting_set set;
};

/* The password to log in with: the conninfo's, else the passfile's first that matches,
 * else NULL. */
const char *server_password(const struct server_conf *, const struct host_conf *,
    const char *dbname, const char *user);

/* Another Weir process behind the same load balancer; cancel requests for its clients are
 * passed on to it. */
struct peer_conf {
	int id;
	const char *host; /* name, address or folder of a Unix socket */
	uint16_t port;
};

struct config {
	_Atomic uint32_t refs;
	struct arena arena;
	struct config *base; /* whose memory one made by config_with() shares */
	const char *file;
	struct settings settings;
	struct setting_set set;    /* given in the file or by SET */
	struct db_conf *databases; /* in the file's order */
	int n_databases;
	struct db_conf *wildcard; /* NULL: none */
	struct user_conf *users;
	int n_users;
	struct peer_conf *peers;
	int n_peers;
	const struct secret_file
	    *user_secrets;        /* of the global auth.users_file, or NULL */
	const struct hba *hba;    /* of the global auth.hba_file, or NULL */
	struct conf_index *index; /* look-up by name; private */
	struct conf_owned *owned; /* maps, secrets and rules to free; private */
};

/* ---- loading ---- */

struct config_mistake {
	const char *file; /* NULL: of no place */
	int line;         /* 0: of the whole file */
	bool warning;     /* told, but does not hinder */
	const char *text;
};

struct config_report {
	struct arena arena;
	struct config_mistake *items;
	int n, cap, n_errors;
};

void config_report_init(struct config_report *);
void config_report_fini(struct config_report *);
void config_report_add(struct config_report *, bool warning, const char *file, int line,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* "FILE:LINE: text" a mistake, one a line. */
void config_report_print(const struct config_report *, FILE *);

/* *err names the first mistake (F0000); the report has them all, in the files' order.
 * Warnings may be there with RC_OK. The caller holds the one reference. */
enum rc config_load(
    const char *file, struct config **, struct config_report *, struct err *) WARN_UNUSED;
struct config *config_ref(struct config *);
/* The last one frees it. NULL is fine. */
void config_unref(struct config *);

/* A copy with one global setting changed, as SET of the admin console does; databases and
 * users that have a value of their own keep it. Refused (55P02) for what needs a restart.
 * A reload forgets it. */
enum rc config_with(struct config *, struct slice name, struct slice value,
    struct config **, struct err *) WARN_UNUSED;

/* ---- reading ---- */

/* Its own entry, else the wildcard's, else NULL. */
const struct db_conf *config_database(const struct config *, struct slice name);
/* NULL: nothing is said about that user. */
const struct user_conf *config_user(const struct config *, struct slice name);
bool setting_list_has(const struct setting_list *, struct slice item);

/* The value that counts for this user (or NULL) in this database (or shard):
 * CONFIG_VALUE(user, db, query_timeout_us). */
#define CONFIG_VALUE(user, db, field)                                        \
	((user) != NULL && setting_set_has(&(user)->set, SETTING_ID_##field) \
		? (user)->settings.field                                     \
		: (db)->settings.field)

/* Every global setting, in the table's order, secrets masked. */
void config_show(const struct config *,
    void (*row)(const char *name, const char *value, const char *default_value,
	bool changeable, void *arg),
    void *arg);
/* Names of settings that differ and need a restart, for the log after a reload: calls for
 * each. */
void config_restart_needed(const struct config *before, const struct config *after,
    void (*each)(const char *name, void *arg), void *arg);

#endif
