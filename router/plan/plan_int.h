/* router/plan/plan_int.h: what the files of the planner share; nobody else includes it.
 * names.c    what the names of tables mean; builtin.c: of functions; scope.c: of columns;
 * outputs.c: what a level gives facts.c    which equalities hold for a row of a table
 * that can matter to the result; pins.c: what follows for its key compile.c  a statement
 * to its program: the pins of all its tables, and what is fixed whatever the values are
 * writes.c   keys that are stored
 * utility.c  the same for DDL, maintenance, COPY and the rest
 * value.c    constants and parameters to keys
 * eval.c     pins to shards
 * plan.c     plan_run: finds or compiles the program, runs it
 *
 * The idea: a statement may go to one shard when each sharded table in it, wherever it
 * occurs, can be narrowed to the rows of that shard without changing the result. Each
 * occurrence is proven by itself ("pinned"); what is not proven is refused. */
#ifndef WEIR_ROUTER_PLAN_PLAN_INT_H
#define WEIR_ROUTER_PLAN_PLAN_INT_H

#include "router/plan/plan.h"
#include "router/route/key.h"
#include "router/route/map.h"
#include "router/route/route.h"
#include "router/route/schema.h"
#include "router/sql/query.h"

#define VIEWS_MAX    256 /* expanded in one statement */
#define RELS_MAX     4096
#define FACTS_BUDGET 20000 /* conditions looked at while one statement is compiled */
#define KEYS_MAX     65536 /* values of one IN list or array that are routed one by one */

/* ---- pins: which rows of a table can matter ---- */

/* A value as the program has it: nothing left to look up by name. */
struct plan_value {
	enum value_kind kind;
	bool negated;
	bool array; /* = ANY(value) */
	uint32_t index;
	uint32_t oid; /* of its cast (an array's: of the element); 0: none */
	struct slice text;
	bool anchor; /* any key of the shard at hand (compile.anchors) */
};

enum pin_kind {
	PIN_ALL,  /* nothing is known */
	PIN_KEYS, /* the key is among the combinations of sets[0] … sets[n_types - 1] */
	PIN_RANGE, /* lo ≤ key ≤ hi; each may be missing */
	PIN_AND,
	PIN_OR
};

struct value_set {
	const struct plan_value *v;
	int n;
};

struct pin {
	enum pin_kind kind;
	int distribution;
	bool stored; /* the keys are stored (INSERT): NULL and keys without a shard are
			errors, typmods count */
	bool moves;  /* … in place of others (UPDATE) */
	struct value_set sets[MAP_KEY_COLUMNS_MAX];
	int typmod[MAP_KEY_COLUMNS_MAX];
	const struct plan_value *lo, *hi;
	bool lo_inclusive, hi_inclusive;
	int n;
	struct pin **args;       /* AND, OR */
	const char *table, *key; /* for messages: "orders", "customer_id" */
};

/* ---- programs ---- */

enum program_kind {
	PROGRAM_QUERY, /* by its pins, or fixed, or any */
	PROGRAM_ALL,   /* on all of `shards` */
	PROGRAM_ERROR
};

struct program {
	struct arena arena;
	/* what it was compiled for */
	const struct shard_map *map;
	uint64_t epoch;
	uint64_t schema_id;
	const char *search_path, *user;
	const char **names; /* unqualified tables, which temporary ones may shadow */
	int n_names;
	uint64_t shadowed; /* those that are */
	/* what it says */
	enum program_kind kind;
	struct err err;
	bool read_only, sharded, uses_params, writes;
	bool temp; /* a temporary table is in it */
	bool locks_only;
	int fixed; /* shard, or SHARD_NONE */
	struct pin **pins;
	int n_pins;
	uint64_t
	    shards[MAP_SHARD_WORDS]; /* ALL: where; QUERY: where all its map tables are */
};

/* ---- names ---- */

enum place_kind {
	TABLE_SHARDED,
	TABLE_REFERENCE,
	TABLE_LOCAL,
	TABLE_CATALOG,
	TABLE_TEMP,
	TABLE_VIEW
};

struct rel_info {
	const struct sql_rel *rel;
	enum place_kind kind;
	const char *schema, *name;     /* resolved */
	const struct map_table *mt;    /* SHARDED, REFERENCE */
	const struct schema_table *st; /* or NULL */
	struct sql_query
	    *view; /* VIEW: its own instance of the query; NULL: cannot be read */
	const struct schema_table *in_view; /* of the view that it stands in, or NULL */
};

struct compile {
	const struct plan_ctx *ctx;
	const struct shard_map *map;
	const struct schema *schema;
	struct program *p;
	struct arena *arena;  /* the program's */
	struct arena scratch; /* until the end of the compilation */
	struct rel_info *rels;
	int n_rels, rels_cap;
	const char **path; /* search_path taken apart */
	int n_path;
	struct sql_stmts **views;
	int n_views;
	int budget;
	struct err *err;
	bool failed;
	bool plain;        /* one shard: only read_only matters */
	bool primary;      /* something in it belongs on the primary */
	bool temp;         /* a temporary table is in it */
	bool written_view; /* inside of a view that is written to */
	/* Tables whose keys are taken to be those of one shard, whichever (spread.c) */
	const struct sql_rel *const *anchors;
	int n_anchors;
	const struct sql_query *top; /* looked at by itself: nothing around it counts */
	struct arena
	    *trees; /* views are analysed with their parse trees in here, or NULL */
};

enum found { FOUND_NO, FOUND_MAYBE, FOUND_YES };

/* A column of a table of the statement, by the name that it has there. */
struct col {
	const struct sql_rel *rel;
	const char *name;
};

void names_init(struct compile *);
struct rel_info *rel_info(struct compile *, const struct sql_rel *);
/* The view that a level stands in, or NULL. */
const struct schema_table *view_around(struct compile *, const struct sql_query *);
/* The query that a subquery, CTE or view stands for; NULL: none, or not known. */
struct sql_query *rel_query(struct compile *, const struct sql_rel *);
/* Columns of a table by its own names, before the alias's are put over them; NULL, -1 or
 * FOUND_MAYBE: not known. */
const struct schema_table *columns_of(struct compile *, const struct sql_rel *);
const char *own_name_at(struct compile *, const struct sql_rel *, int pos);
int own_position(struct compile *, const struct sql_rel *, const char *name);
const char *visible_at(struct compile *, const struct sql_rel *, int pos);
enum found has_column(struct compile *, const struct sql_rel *, const char *visible);
/* All the tables that an expression sees at one level: up to `n` items of the FROM list
 * and one tree. */
struct scope {
	struct sql_from *const *items;
	int n;
	const struct sql_from *tree; /* or NULL */
};
enum found look_up(
    struct compile *, const struct scope *, const char *name, struct col *);
enum found look_up_qualified(
    struct compile *, const struct scope *, const struct sql_expr *, struct col *);
bool names_rel(struct compile *, const struct sql_rel *, const struct sql_expr *);
/* Where a condition of a level stands: above its joins (on NULL) or in the ON of one. */
bool resolve_col(struct compile *, const struct sql_query *, const struct sql_from *on,
    const struct sql_expr *, struct col *);
/* The schema in which an unqualified CREATE makes its table. */
const char *creation_schema(struct compile *, const char *name);
/* The search path itself says that what is made is temporary. */
bool creates_temp(const struct compile *, const struct sql_rel *);
/* A table's own name of a column that is called so in the statement, and the reverse;
 * NULL: not known. */
const char *real_name(struct compile *, const struct sql_rel *, const char *visible);
const char *visible_name(struct compile *, const struct sql_rel *, const char *real);
/* A level's output by name or position: the expression, or the column that a star stands
 * for (*expr NULL). */
bool output_by_name(struct compile *, const struct sql_query *, const char *name,
    const struct sql_expr **, struct col *);
bool output_by_pos(struct compile *, const struct sql_query *, int pos,
    const struct sql_expr **, struct col *);
/* How many; -1: not known. */
int output_count(struct compile *, const struct sql_query *);
const char *output_name_at(struct compile *, const struct sql_query *, int pos);
int output_position(struct compile *, const struct sql_query *, const char *name);
/* The expression behind a column of a subquery, CTE or view, in its query or (of a set
 * operation) one branch of it. */
bool inner_of(struct compile *, struct col, const struct sql_query *level,
    const struct sql_expr **, struct col *);
/* Families of types within which `=` is transitive and keeps the hash. */
enum family {
	FAMILY_NONE,
	FAMILY_INT,
	FAMILY_TEXT,
	FAMILY_UUID,
	FAMILY_DATE,
	FAMILY_TIMESTAMP,
	FAMILY_TIMESTAMPTZ,
	FAMILY_NUMERIC
};
enum family col_family(struct compile *, struct col);
enum family output_family(struct compile *, const struct sql_query *, int pos);
enum family key_family(enum key_type);
enum family type_family(const char *pg_type);
/* Whether a map table's key column has a type of the catalog that the map does not say.
 */
bool key_type_differs(const struct shard_map *, const struct rel_info *, int key);

/* Functions: where a call may run. */
struct func_info {
	bool user; /* a user's function may be meant */
	enum schema_volatility volatility;
	bool primary, tables, unknown;
	const struct map_function *mf;
};
struct func_info func_info(struct compile *, const char *schema, const char *name,
    int n_args, const struct schema_table *in_view);
struct builtin {
	const char *name;
	enum schema_volatility volatility;
	bool primary, tables;
};
const struct builtin *builtin_func(const char *name);

/* ---- facts ---- */

/* What is known of the rows of `rel` that matter. */
struct pin *pin_of_table(
    struct compile *, const struct sql_rel *, const struct map_table *);
/* The values that a level's output can have; NULL: any. */
struct value_set *output_values(struct compile *, const struct sql_query *, int pos);
/* … that a column can have in a level, above its joins (`where` false: without its
 * WHERE). */
struct value_set *column_values(
    struct compile *, const struct sql_query *, const struct sql_expr *, bool where);
/* … and that it is never NULL, beside what a constant or parameter may be. */
bool output_never_null(struct compile *, const struct sql_query *, int pos);
bool column_never_null(
    struct compile *, const struct sql_query *, const struct sql_expr *, bool where);
struct plan_value compile_value(struct compile *, const struct sql_value *, bool array);
bool compile_values(struct compile *, const struct sql_expr *, int n, struct value_set *);

/* ---- compiling ---- */

/* For as long as `views` (VIEWS_MAX of them) lives. */
void compile_init(struct compile *, struct program *, const struct plan_ctx *,
    struct sql_stmts **views);
void compile_fini(struct compile *);
struct program *compile_stmt(
    const struct sql_stmts *, const struct sql_stmt *, const struct plan_ctx *);
void program_free(struct program *);
void compile_utility(struct compile *, const struct sql_stmt *);
void compile_query(struct compile *, const struct sql_stmt *);
/* For utility.c: */
void visit_query(struct compile *, const struct sql_query *);
void add_pin(struct compile *, struct pin *);
/* The catalog agrees with the map on the key's type; else it fails. */
bool good_key(struct compile *, const struct rel_info *);
/* writes.c: what a data-modifying level does to its target, beside reading it. */
void add_write(struct compile *, const struct sql_query *);
void visit_calls(struct compile *, const struct sql_query *);
/* The only shard of a table; SHARD_NONE: it has several. */
int only_shard(const struct map_table *);
void hold(struct compile *, const struct map_table *);
/* A table that is created: temporary, or on the default shard. */
void add_created(struct compile *, const struct sql_rel *, bool temp);
#define HINT_SHARD                                                              \
	"Name the shard with SET weir.shard, or /* weir: shard=NAME */ in the " \
	"statement."
void fail(struct compile *, const char *sqlstate, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void fail_hint(struct compile *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void go_default(struct compile *, const char *table);

/* ---- values and evaluation ---- */

struct eval {
	const struct plan_ctx *ctx;
	const struct shard_map *map;
	struct key_env env;
	bool env_ready;
	struct err unproven; /* the latest 0A000 of a value; sqlstate empty: none */
};

enum value_result { VALUE_IS_KEY, VALUE_IS_NULL, VALUE_IS_UNKNOWN, VALUE_IS_ERROR };
enum value_result value_key(
    struct eval *, const struct plan_value *, enum key_type, struct key *, struct err *);
/* The type that it is cast to or declared as; 0: neither. */
uint32_t value_oid(const struct eval *, const struct plan_value *);
/* Calls fn for each element; UNKNOWN: cannot be taken apart. */
enum value_result value_array(struct eval *, const struct plan_value *, enum key_type,
    enum value_result (*fn)(
	void *arg, enum value_result, const struct key *, struct err *),
    void *arg, struct err *);
bool key_fits_typmod(const struct key *, int typmod);

struct shard_set {
	uint64_t bits[MAP_SHARD_WORDS];
};
int shard_set_count(const struct shard_set *);
int shard_set_first(const struct shard_set *);
/* RC_AGAIN: *plan asks for a look-up. */
enum rc eval_pin(
    struct eval *, const struct pin *, struct shard_set *, struct plan *, struct err *);

struct program *plan_program(struct shape *, int i, const struct plan_ctx *);

#endif
