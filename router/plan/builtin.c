/* Functions: which are built in, which a user's may be meant, and where a call of it may
 * run. */
#include <stdlib.h>

#include "router/plan/plan_int.h"

static const struct builtin builtins[] = {
#define IMMUTABLE                        SCHEMA_IMMUTABLE
#define STABLE                           SCHEMA_STABLE
#define VOLATILE                         SCHEMA_VOLATILE
#define ANYWHERE                         false, false
#define PRIMARY                          true, false
#define TABLES                           true, true
#define BUILTIN(name, volatility, where) {name, volatility, where},
#include "router/plan/builtin_func.def"
#undef BUILTIN
};

static int
by_name(const void *name, const void *row)
{
	return strcmp(name, ((const struct builtin *)row)->name);
}

const struct builtin *
builtin_func(const char *name)
{
	return bsearch(name, builtins, sizeof builtins / sizeof *builtins,
	    sizeof *builtins, by_name);
}

static void
add_user(struct compile *c, const char *schema, const char *name, int n_args,
    struct func_info *out)
{
	struct schema_func f;

	/* what the schema knows of pg_catalog is add_builtin()'s */
	if (c->schema == NULL || strcmp(schema, "pg_catalog") == 0)
		return;
	f = schema_func(c->schema, schema, name, n_args);
	if (!f.found)
		return;
	out->user = true;
	if (f.volatility > out->volatility)
		out->volatility = f.volatility;
	out->primary |= f.volatility == SCHEMA_VOLATILE;
}

/* A server newer than the table may have volatile functions that are not in it. */
static bool
add_builtin(struct compile *c, const char *name, int n_args, struct func_info *out)
{
	const struct builtin *b = builtin_func(name);
	struct schema_func f = {false, SCHEMA_IMMUTABLE};

	if (b != NULL) {
		out->primary |= b->primary;
		out->tables |= b->tables;
		/* what is volatile in name only (random) may go anywhere */
		if (b->volatility > out->volatility &&
		    (b->primary || b->volatility != SCHEMA_VOLATILE))
			out->volatility = b->volatility;
		return true;
	}
	if (c->schema != NULL)
		f = schema_func(c->schema, "pg_catalog", name, n_args);
	if (f.found) {
		out->primary = true;
		out->volatility = SCHEMA_VOLATILE;
	}
	return f.found;
}

struct func_info
func_info(struct compile *c, const char *schema, const char *name, int n_args,
    const struct schema_table *in_view)
{
	struct func_info out = {.user = false};
	bool builtin;

	if (schema != NULL &&
	    (strcmp(schema, "pg_catalog") == 0 ||
		strcmp(schema, "information_schema") == 0)) {
		out.unknown = !add_builtin(c, name, n_args, &out) &&
		    strcmp(schema, "pg_catalog") == 0 && c->schema == NULL;
		out.primary |= out.unknown;
		return out;
	}
	out.mf = shard_map_function(c->map, schema, name);
	if (schema != NULL) {
		add_user(c, schema, name, n_args, &out);
		out.unknown = !out.user;
		return out;
	}
	for (int i = 0; in_view == NULL && i < c->n_path; i++)
		add_user(c, c->path[i], name, n_args, &out);
	if (in_view != NULL) {
		add_user(c, in_view->schema, name, n_args, &out);
		add_user(c, "public", name, n_args, &out);
	}
	builtin = add_builtin(c, name, n_args, &out);
	out.unknown = !builtin && !out.user;
	return out;
}
