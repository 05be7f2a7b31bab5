/* router/config/load.h: what the files of this folder share while they load. Private.
 * Failure: a mistake is reported and loading goes on, so that all are found; the caller
 *          looks at report->n_errors at the end. */
#ifndef WEIR_ROUTER_CONFIG_LOAD_H
#define WEIR_ROUTER_CONFIG_LOAD_H

#include <libconfig.h>

#include "router/config/config.h"

/* ---- what a configuration must free, besides its arena ---- */

enum owned_kind { OWNED_MAP, OWNED_SECRETS, OWNED_HBA };

struct conf_owned {
	struct conf_owned *next;
	enum owned_kind kind;
	const char *path; /* so that a file named twice is read once */
	union {
		struct shard_map *map;
		struct secret_file *secrets;
		struct hba *hba;
	};
};

struct conf_owned *config_own(struct config *, enum owned_kind, const char *path);

/* With defaults and one reference. */
struct config *config_create(const char *file);
/* Once all databases and users are there. */
void config_index(struct config *);
/* Relative paths are relative to the folder of the main file. */
const char *config_path(const struct config *, const char *path, struct arena *);

/* ---- loading ---- */

struct loader {
	struct config *cfg;
	struct config_report *report;
};

/* At the place of a libconfig setting. */
void load_mistake(struct loader *, const config_setting_t *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void load_warning(struct loader *, const config_setting_t *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A member that is a string that is not empty; NULL when it is missing, or wrong (and
 * reported). */
const char *load_string(
    struct loader *, const config_setting_t *group, const char *member);
/* A member that is a list or an array; its length; 0 when it is missing or wrong (and
 * reported). */
int load_list(struct loader *, const config_setting_t *group, const char *member,
    const config_setting_t **list);

/* Every member of `group` that is a setting of this scope goes into `values`; `known`
 * (NULL-ended lists, themselves ended by NULL) are members that others read; all else is
 * a mistake. */
void load_settings(struct loader *, const config_setting_t *group, unsigned scope,
    const char *const *const *known, struct settings *values, struct setting_set *set);

void load_databases(struct loader *, const config_setting_t *root);

/* From text: NULL when it is wrong (and reported). tls: settings of the database it
 * belongs to. */
struct server_conf *load_server(struct loader *, const char *conninfo, const char *file,
    int line, const struct settings *tls);

/* A file named twice is read once. "" is none: NULL, as when it is wrong (and reported).
 */
const struct secret_file *load_secrets(struct loader *, const char *path);
const struct hba *load_hba(struct loader *, const char *path, const char *ident_path);

/* Looks through a file and those it includes for what libconfig would get wrong without a
 * word: integers that do not fit, and for includes that it cannot or must not open. */
void scan_file(struct config_report *, const char *file);

/* Mistakes that only show once all is read. */
void load_check(struct loader *, const config_setting_t *root);

#endif
