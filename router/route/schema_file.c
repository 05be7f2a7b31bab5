/* Schema knowledge out of CREATE statements, as pg_dump -s writes them: for `weir explain
 * --schema FILE` and tests. */
#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>
#include <stdlib.h>

#include "router/route/schema.h"

#define NODE(x)  PG_QUERY__NODE__NODE_##x
#define OBJ(x)   PG_QUERY__OBJECT_TYPE__OBJECT_##x
#define ALTER(x) PG_QUERY__ALTER_TABLE_TYPE__AT_##x

struct reader {
	struct schema_builder *b;
	struct schema *s; /* what has been built so far: borrowed from the builder, for
			     LIKE and INHERITS */
	struct arena arena;
	const char *text;
	const char *default_schema; /* the first of search_path */
	const char **loose;         /* collations that are not deterministic */
	int n_loose;
};

static const char *
str(const PgQuery__Node *n)
{
	return n != NULL && n->node_case == NODE(STRING) ? n->string->sval : "";
}

static const char *
schema_of(const struct reader *r, const char *written)
{
	return written == NULL || *written == '\0' ? r->default_schema : written;
}

/* ---- types ---- */

static int
typmod_number(const PgQuery__TypeName *t, size_t i)
{
	const PgQuery__Node *n = i < t->n_typmods ? t->typmods[i] : NULL;

	if (n == NULL || n->node_case != NODE(A_CONST) ||
	    n->a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL)
		return 0;
	return n->a_const->ival->ival;
}

/* As pg_attribute.atttypmod has it. */
static int
typmod_of(const PgQuery__TypeName *t, const char *name)
{
	if (t->n_typmods == 0)
		return -1;
	if (strcmp(name, "varchar") == 0 || strcmp(name, "bpchar") == 0)
		return typmod_number(t, 0) + 4;
	if (strcmp(name, "numeric") == 0)
		return ((typmod_number(t, 0) << 16) | (typmod_number(t, 1) & 0x7ff)) + 4;
	return typmod_number(t, 0);
}

static const char *
type_of(struct reader *r, const PgQuery__TypeName *t, int *typmod, bool *serial)
{
	static const struct {
		const char *serial, *type;
	} serials[] = {{"serial", "int4"}, {"serial4", "int4"}, {"bigserial", "int8"},
	    {"serial8", "int8"}, {"smallserial", "int2"}, {"serial2", "int2"}};
	const char *name =
	    t != NULL && t->n_names > 0 ? str(t->names[t->n_names - 1]) : "";

	*serial = false;
	*typmod = -1;
	if (t == NULL)
		return "";
	for (size_t i = 0; i < sizeof serials / sizeof *serials && t->n_names == 1; i++)
		if (strcmp(name, serials[i].serial) == 0) {
			*serial = true;
			return serials[i].type;
		}
	*typmod = typmod_of(t, name);
	return t->n_array_bounds > 0 ? arena_printf(&r->arena, "_%s", name) : name;
}

/* ---- tables ---- */

static bool
loose_collation(const struct reader *r, const PgQuery__CollateClause *c)
{
	if (c == NULL || c->n_collname == 0)
		return false;
	for (int i = 0; i < r->n_loose; i++)
		if (strcmp(r->loose[i], str(c->collname[c->n_collname - 1])) == 0)
			return true;
	return false;
}

static bool
gives_value(const PgQuery__ColumnDef *c)
{
	for (size_t i = 0; i < c->n_constraints; i++) {
		const PgQuery__Node *n = c->constraints[i];

		if (n->node_case != NODE(CONSTRAINT))
			continue;
		switch (n->constraint->contype) {
		case PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT:
		case PG_QUERY__CONSTR_TYPE__CONSTR_IDENTITY:
		case PG_QUERY__CONSTR_TYPE__CONSTR_GENERATED:
			return true;
		default:
			break;
		}
	}
	return false;
}

static void
own_index(struct reader *r, const char *schema, const char *table, const char *index)
{
	if (index == NULL || *index == '\0')
		return;
	schema_builder_table(r->b, schema, index, 'i', false);
	schema_builder_parent(r->b, schema, index, schema, table);
}

static bool
makes_index(const PgQuery__Constraint *c)
{
	return c->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY ||
	    c->contype == PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE ||
	    c->contype == PG_QUERY__CONSTR_TYPE__CONSTR_EXCLUSION;
}

/* The index of a constraint is called as PostgreSQL calls it when it has no name of its
 * own. */
static void
constraint(struct reader *r, const char *schema, const char *table, const char *column,
    const PgQuery__Constraint *c)
{
	const char *name = c->conname;

	if (!makes_index(c))
		return;
	if (name == NULL || *name == '\0')
		name = c->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY
		    ? arena_printf(&r->arena, "%s_pkey", table)
		    : column != NULL ? arena_printf(&r->arena, "%s_%s_key", table, column)
				     : "";
	own_index(r, schema, table, name);
}

static void
column(
    struct reader *r, const char *schema, const char *table, const PgQuery__ColumnDef *c)
{
	bool serial;
	int typmod;
	const char *type = type_of(r, c->type_name, &typmod, &serial);

	schema_builder_column(r->b, schema, table, c->colname, type, typmod,
	    !loose_collation(r, c->coll_clause), serial || gives_value(c));
	if (serial) {
		const char *seq = arena_printf(&r->arena, "%s_%s_seq", table, c->colname);

		schema_builder_table(r->b, schema, seq, 'S', false);
		schema_builder_parent(r->b, schema, seq, schema, table);
	}
}

static void
copy_columns(struct reader *r, const char *schema, const char *table,
    const PgQuery__RangeVar *from)
{
	const struct schema_table *t =
	    schema_table(r->s, schema_of(r, from->schemaname), from->relname);

	for (int i = 0; t != NULL && i < t->n_columns; i++) {
		struct schema_column c = t->columns[i];

		schema_builder_column(r->b, schema, table, c.name, c.type, c.typmod,
		    c.deterministic, c.has_default);
	}
}

static void
table_elements(
    struct reader *r, const char *schema, const char *name, const PgQuery__CreateStmt *c)
{
	for (size_t i = 0; i < c->n_table_elts; i++) {
		const PgQuery__Node *n = c->table_elts[i];

		if (n->node_case == NODE(COLUMN_DEF) && n->column_def->type_name != NULL)
			column(r, schema, name, n->column_def);
		else if (n->node_case == NODE(TABLE_LIKE_CLAUSE))
			copy_columns(r, schema, name, n->table_like_clause->relation);
	}
	/* indexes after the columns, which are added to the latest table */
	for (size_t i = 0; i < c->n_table_elts; i++) {
		const PgQuery__Node *n = c->table_elts[i];

		if (n->node_case == NODE(CONSTRAINT))
			constraint(r, schema, name, NULL, n->constraint);
		for (size_t k = 0;
		     n->node_case == NODE(COLUMN_DEF) && k < n->column_def->n_constraints;
		     k++)
			if (n->column_def->constraints[k]->node_case == NODE(CONSTRAINT))
				constraint(r, schema, name, n->column_def->colname,
				    n->column_def->constraints[k]->constraint);
	}
}

static void
create_table(struct reader *r, const PgQuery__CreateStmt *c, char kind)
{
	const PgQuery__RangeVar *v = c->relation;
	const char *schema = schema_of(r, v->schemaname);

	schema_builder_table(r->b, schema, v->relname, c->partspec != NULL ? 'p' : kind,
	    v->relpersistence != NULL && v->relpersistence[0] == 'u');
	for (size_t i = 0; i < c->n_inh_relations; i++) {
		const PgQuery__RangeVar *p = c->inh_relations[i]->range_var;

		copy_columns(r, schema, v->relname, p);
		if (i == 0)
			schema_builder_parent(r->b, schema, v->relname,
			    schema_of(r, p->schemaname), p->relname);
	}
	table_elements(r, schema, v->relname, c);
}

static void
alter_command(
    struct reader *r, const PgQuery__RangeVar *v, const PgQuery__AlterTableCmd *c)
{
	const char *schema = schema_of(r, v->schemaname);
	const PgQuery__Node *def = c->def;

	if (c->subtype == ALTER(AddColumn) && def != NULL &&
	    def->node_case == NODE(COLUMN_DEF))
		column(r, schema, v->relname, def->column_def);
	else if (c->subtype == ALTER(AddConstraint) && def != NULL &&
	    def->node_case == NODE(CONSTRAINT))
		constraint(r, schema, v->relname, NULL, def->constraint);
	else if (c->subtype == ALTER(AttachPartition) && def != NULL &&
	    def->node_case == NODE(PARTITION_CMD)) {
		const PgQuery__RangeVar *p = def->partition_cmd->name;

		/* ALTER INDEX … ATTACH PARTITION too: an index has its table already */
		if (schema_table(r->s, schema_of(r, p->schemaname), p->relname) != NULL &&
		    schema_table(r->s, schema_of(r, p->schemaname), p->relname)->kind !=
			'i')
			schema_builder_parent(r->b, schema_of(r, p->schemaname),
			    p->relname, schema, v->relname);
	}
}

/* Defaults and identities that pg_dump adds later. */
static void
alter_default(
    struct reader *r, const PgQuery__RangeVar *v, const PgQuery__AlterTableCmd *c)
{
	const struct schema_table *t;
	int i;

	if (c->subtype != ALTER(ColumnDefault) && c->subtype != ALTER(AddIdentity))
		return;
	t = schema_table(r->s, schema_of(r, v->schemaname), v->relname);
	i = t == NULL || c->name == NULL ? -1 : schema_column(t, c->name);
	if (i >= 0)
		((struct schema_column *)(uintptr_t)&t->columns[i])->has_default = true;
}

static void
alter_table(struct reader *r, const PgQuery__AlterTableStmt *a)
{
	for (size_t i = 0; i < a->n_cmds && a->relation != NULL; i++)
		if (a->cmds[i]->node_case == NODE(ALTER_TABLE_CMD)) {
			alter_command(r, a->relation, a->cmds[i]->alter_table_cmd);
			alter_default(r, a->relation, a->cmds[i]->alter_table_cmd);
		}
}

/* ---- views ---- */

static void
view_columns(struct reader *r, const char *schema, const char *name, size_t n_aliases,
    PgQuery__Node *const *aliases, const PgQuery__Node *query)
{
	const PgQuery__SelectStmt *s =
	    query != NULL && query->node_case == NODE(SELECT_STMT) ? query->select_stmt
								   : NULL;

	while (s != NULL && s->larg != NULL)
		s = s->larg;
	for (size_t i = 0; s != NULL && i < s->n_target_list; i++) {
		const PgQuery__ResTarget *t = s->target_list[i]->res_target;
		const PgQuery__Node *v = t->val;
		const char *col = i < n_aliases ? str(aliases[i]) : t->name;

		if ((col == NULL || *col == '\0') && v != NULL &&
		    v->node_case == NODE(COLUMN_REF))
			col = str(v->column_ref->fields[v->column_ref->n_fields - 1]);
		schema_builder_column(
		    r->b, schema, name, col == NULL ? "" : col, "", -1, true, false);
	}
}

static void
create_view(struct reader *r, const PgQuery__ViewStmt *v, const PgQuery__RawStmt *raw)
{
	const char *schema = schema_of(r, v->view->schemaname);
	const char *at = r->text + raw->stmt_location;
	size_t len = raw->stmt_len > 0 ? (size_t)raw->stmt_len : strlen(at);

	schema_builder_table(r->b, schema, v->view->relname, 'v', false);
	view_columns(r, schema, v->view->relname, v->n_aliases, v->aliases, v->query);
	schema_builder_view(
	    r->b, schema, v->view->relname, arena_strndup(&r->arena, at, len));
}

static void
create_as(struct reader *r, const PgQuery__CreateTableAsStmt *c)
{
	const PgQuery__RangeVar *v = c->into != NULL ? c->into->rel : NULL;

	if (v == NULL)
		return;
	schema_builder_table(r->b, schema_of(r, v->schemaname), v->relname,
	    c->objtype == OBJ(MATVIEW) ? 'm' : 'r', false);
	view_columns(r, schema_of(r, v->schemaname), v->relname, c->into->n_col_names,
	    c->into->col_names, c->query);
}

/* ---- functions, operators, collations ---- */

static void
names_of(const struct reader *r, size_t n, PgQuery__Node *const *names,
    const char **schema, const char **name)
{
	*name = n > 0 ? str(names[n - 1]) : "";
	*schema = schema_of(r, n > 1 ? str(names[n - 2]) : NULL);
}

static char
volatility_of(size_t n, PgQuery__Node *const *opts)
{
	for (size_t i = 0; i < n; i++)
		if (opts[i]->node_case == NODE(DEF_ELEM) &&
		    strcmp(opts[i]->def_elem->defname, "volatility") == 0)
			return str(opts[i]->def_elem->arg)[0];
	return 'v';
}

static void
create_function(struct reader *r, const PgQuery__CreateFunctionStmt *f)
{
	const char *schema, *name;
	int n_args = 0, n_defaults = 0;
	bool variadic = false;

	names_of(r, f->n_funcname, f->funcname, &schema, &name);
	for (size_t i = 0; i < f->n_parameters; i++) {
		const PgQuery__FunctionParameter *p =
		    f->parameters[i]->function_parameter;

		if (p->mode == PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_TABLE ||
		    (p->mode == PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_OUT &&
			!f->is_procedure))
			continue;
		n_args++;
		n_defaults += p->defexpr != NULL;
		variadic |=
		    p->mode == PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_VARIADIC;
	}
	schema_builder_func(r->b, schema, name, n_args, n_defaults, variadic,
	    volatility_of(f->n_options, f->options));
}

static const PgQuery__Node *
option(const PgQuery__DefineStmt *d, const char *name)
{
	for (size_t i = 0; i < d->n_definition; i++)
		if (d->definition[i]->node_case == NODE(DEF_ELEM) &&
		    strcmp(d->definition[i]->def_elem->defname, name) == 0)
			return d->definition[i]->def_elem->arg;
	return NULL;
}

/* An operator is as volatile as its function, which pg_dump writes before it. */
static char
operator_volatility(const struct reader *r, const PgQuery__DefineStmt *d)
{
	const PgQuery__Node *f = option(d, "function") != NULL ? option(d, "function")
							       : option(d, "procedure");
	const char *schema, *name;
	struct schema_func found;

	if (f == NULL || f->node_case != NODE(TYPE_NAME))
		return 'v';
	names_of(r, f->type_name->n_names, f->type_name->names, &schema, &name);
	found = schema_func(r->s, schema, name, 2);
	return !found.found                        ? 'v'
	    : found.volatility == SCHEMA_IMMUTABLE ? 'i'
	    : found.volatility == SCHEMA_STABLE    ? 's'
						   : 'v';
}

static void
define(struct reader *r, const PgQuery__DefineStmt *d)
{
	const char *schema, *name;
	const PgQuery__Node *v;

	names_of(r, d->n_defnames, d->defnames, &schema, &name);
	if (d->kind == OBJ(AGGREGATE)) {
		schema_builder_func(r->b, schema, name, 1, 1, true, 'i');
	} else if (d->kind == OBJ(OPERATOR)) {
		schema_builder_operator(r->b, schema, name, operator_volatility(r, d));
	} else if (d->kind == OBJ(COLLATION) &&
	    (v = option(d, "deterministic")) != NULL &&
	    (strcmp(str(v), "false") == 0 || strcmp(str(v), "off") == 0)) {
		const char **loose =
		    ARENA_NEW_N(&r->arena, const char *, (size_t)r->n_loose + 1);

		if (r->n_loose > 0)
			memcpy(loose, r->loose, (size_t)r->n_loose * sizeof *loose);
		loose[r->n_loose++] = arena_strdup(&r->arena, name);
		r->loose = loose;
	}
}

/* ---- sequences, indexes, settings ---- */

static void
owned_by(
    struct reader *r, const PgQuery__RangeVar *seq, size_t n, PgQuery__Node *const *opts)
{
	for (size_t i = 0; i < n; i++) {
		const PgQuery__DefElem *d =
		    opts[i]->node_case == NODE(DEF_ELEM) ? opts[i]->def_elem : NULL;
		const PgQuery__List *l;
		const char *schema, *table;

		if (d == NULL || strcmp(d->defname, "owned_by") != 0 || d->arg == NULL ||
		    d->arg->node_case != NODE(LIST))
			continue;
		l = d->arg->list;
		if (l->n_items < 2)
			continue;
		names_of(r, l->n_items - 1, l->items, &schema, &table);
		schema_builder_parent(
		    r->b, schema_of(r, seq->schemaname), seq->relname, schema, table);
	}
}

static void
set_path(struct reader *r, const PgQuery__VariableSetStmt *s)
{
	if (s->name == NULL || strcmp(s->name, "search_path") != 0)
		return;
	r->default_schema = "public";
	if (s->n_args > 0 && s->args[0]->node_case == NODE(A_CONST) &&
	    s->args[0]->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL &&
	    s->args[0]->a_const->sval->sval[0] != '\0' &&
	    s->args[0]->a_const->sval->sval[0] != '$')
		r->default_schema =
		    arena_strdup(&r->arena, s->args[0]->a_const->sval->sval);
}

static void
statement(struct reader *r, const PgQuery__RawStmt *raw)
{
	const PgQuery__Node *n = raw->stmt;

	switch (n == NULL ? NODE(_NOT_SET) : n->node_case) {
	case NODE(CREATE_STMT):
		create_table(r, n->create_stmt, 'r');
		break;
	case NODE(CREATE_FOREIGN_TABLE_STMT):
		create_table(r, n->create_foreign_table_stmt->base_stmt, 'f');
		break;
	case NODE(ALTER_TABLE_STMT):
		alter_table(r, n->alter_table_stmt);
		break;
	case NODE(VIEW_STMT):
		create_view(r, n->view_stmt, raw);
		break;
	case NODE(CREATE_TABLE_AS_STMT):
		create_as(r, n->create_table_as_stmt);
		break;
	case NODE(CREATE_FUNCTION_STMT):
		create_function(r, n->create_function_stmt);
		break;
	case NODE(DEFINE_STMT):
		define(r, n->define_stmt);
		break;
	case NODE(CREATE_SEQ_STMT):
		schema_builder_table(r->b,
		    schema_of(r, n->create_seq_stmt->sequence->schemaname),
		    n->create_seq_stmt->sequence->relname, 'S', false);
		owned_by(r, n->create_seq_stmt->sequence, n->create_seq_stmt->n_options,
		    n->create_seq_stmt->options);
		break;
	case NODE(ALTER_SEQ_STMT):
		owned_by(r, n->alter_seq_stmt->sequence, n->alter_seq_stmt->n_options,
		    n->alter_seq_stmt->options);
		break;
	case NODE(INDEX_STMT):
		own_index(r, schema_of(r, n->index_stmt->relation->schemaname),
		    n->index_stmt->relation->relname, n->index_stmt->idxname);
		break;
	case NODE(CREATE_SCHEMA_STMT):
		if (n->create_schema_stmt->schemaname != NULL &&
		    n->create_schema_stmt->schemaname[0] != '\0')
			schema_builder_namespace(r->b, n->create_schema_stmt->schemaname);
		break;
	case NODE(VARIABLE_SET_STMT):
		set_path(r, n->variable_set_stmt);
		break;
	default:
		break;
	}
}

/* psql's own lines (\connect, \restrict) are blanked, so that positions stay. */
static char *
without_meta_commands(struct slice text)
{
	char *copy = malloc(text.len + 1), *p;

	if (copy == NULL)
		abort();
	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	for (p = copy; p != NULL && *p != '\0';) {
		char *end = strchr(p, '\n');

		if (*p == '\\')
			memset(p, ' ', end == NULL ? strlen(p) : (size_t)(end - p));
		p = end == NULL ? NULL : end + 1;
	}
	return copy;
}

enum rc
schema_from_sql(struct slice text, struct schema **out, struct err *e)
{
	struct reader r = {.default_schema = "public"};
	char *copy = without_meta_commands(text);
	PgQueryProtobufParseResult p = pg_query_parse_protobuf(copy);
	PgQuery__ParseResult *tree;

	*out = NULL;
	if (p.error != NULL) {
		err_set(e, "42601", BLAST_STMT, "%s", p.error->message);
		e->position = p.error->cursorpos;
		pg_query_free_protobuf_parse_result(p);
		free(copy);
		return RC_ERR;
	}
	tree = pg_query__parse_result__unpack(
	    NULL, p.parse_tree.len, (const uint8_t *)p.parse_tree.data);
	pg_query_free_protobuf_parse_result(p);
	if (tree == NULL)
		abort();
	arena_init(&r.arena);
	r.text = copy;
	r.b = schema_builder_create();
	r.s = schema_builder_so_far(r.b);
	for (size_t i = 0; i < tree->n_stmts; i++)
		statement(&r, tree->stmts[i]);
	*out = schema_builder_finish(r.b);
	pg_query__parse_result__free_unpacked(tree, NULL);
	arena_reset(&r.arena);
	free(copy);
	return RC_OK;
}
