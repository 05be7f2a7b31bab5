#include "router/sql/tree.h"

#include <pg_query.h>
#include <stdlib.h>

#define NODE(x) PG_QUERY__NODE__NODE_##x

/* ---- memory: protobuf-c takes from the arena and gives nothing back ---- */

static void *
take(void *arena, size_t size)
{
	return arena_alloc(arena, size);
}

static void
keep(void *arena, void *ptr)
{
	(void)arena;
	(void)ptr;
}

void *
tree_copy(struct arena *a, const void *message)
{
	ProtobufCAllocator al = {take, keep, a};
	const ProtobufCMessage *m = message;
	size_t n;
	uint8_t *buf;
	void *copy;

	if (m == NULL)
		return NULL;
	n = protobuf_c_message_get_packed_size(m);
	buf = malloc(n + 1);
	if (buf == NULL)
		abort();
	protobuf_c_message_pack(m, buf);
	copy = protobuf_c_message_unpack(m->descriptor, &al, n, buf);
	free(buf);
	if (copy == NULL)
		abort();
	return copy;
}

/* ---- text to tree ---- */

enum rc
tree_parse(struct arena *a, struct slice text, PgQuery__ParseResult **out, struct err *e)
{
	ProtobufCAllocator al = {take, keep, a};
	char *copy = strndup(text.len > 0 ? text.ptr : "", text.len);
	PgQueryProtobufParseResult r;

	if (copy == NULL)
		abort();
	r = pg_query_parse_protobuf(copy);
	free(copy);
	if (r.error != NULL) {
		err_set(e, "42601", BLAST_STMT, "%s", r.error->message);
		e->position = r.error->cursorpos;
		pg_query_free_protobuf_parse_result(r);
		return RC_ERR;
	}
	*out = pg_query__parse_result__unpack(
	    &al, r.parse_tree.len, (const uint8_t *)r.parse_tree.data);
	pg_query_free_protobuf_parse_result(r);
	return *out != NULL ? RC_OK
			    : err_set(e, "54001", BLAST_STMT, "statement is too complex");
}

/* ---- walking ---- */

/* A field's messages: their number, and where their addresses are. */
static size_t
messages_of(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
    ProtobufCMessage *const **v)
{
	const char *member = (const char *)m + f->offset;
	const char *quantifier = (const char *)m + f->quantifier_offset;

	*v = (ProtobufCMessage *const *)(const void *)member;
	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		*v = *(ProtobufCMessage *const *const *)(const void *)member;
		return *(const size_t *)(const void *)quantifier;
	}
	if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
	    *(const uint32_t *)(const void *)quantifier != f->id)
		return 0;
	return **v != NULL;
}

bool
tree_walk(void *message, tree_fn *fn, void *arg)
{
	ProtobufCMessage *m = message, *const * v;

	if (m == NULL)
		return false;
	switch (fn(arg, m)) {
	case WALK_END:
		return true;
	case WALK_SKIP:
		return false;
	case WALK_ON:
		break;
	}
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		size_t n;

		if (f->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		n = messages_of(m, f, &v);
		for (size_t k = 0; k < n; k++)
			if (tree_walk(v[k], fn, arg))
				return true;
	}
	return false;
}

/* ---- comparing ---- */

static bool
is_position(const ProtobufCFieldDescriptor *f)
{
	return strcmp(f->name, "location") == 0 ||
	    strcmp(f->name, "stmt_location") == 0 || strcmp(f->name, "stmt_len") == 0;
}

static bool
same_scalar(const ProtobufCFieldDescriptor *f, const char *a, const char *b)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING: {
		const char *s = *(const char *const *)(const void *)a;
		const char *t = *(const char *const *)(const void *)b;

		return strcmp(s == NULL ? "" : s, t == NULL ? "" : t) == 0;
	}
	case PROTOBUF_C_TYPE_BOOL:
		return memcmp(a, b, sizeof(protobuf_c_boolean)) == 0;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return memcmp(a, b, 8) == 0;
	case PROTOBUF_C_TYPE_BYTES:
		return false; /* none in a parse tree */
	default:
		return memcmp(a, b, 4) == 0;
	}
}

static bool
same_field(const ProtobufCFieldDescriptor *f, const ProtobufCMessage *a,
    const ProtobufCMessage *b)
{
	const char *at = (const char *)a + f->offset, *bt = (const char *)b + f->offset;
	ProtobufCMessage *const *av, *const *bv;
	size_t n;

	if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
		uint32_t ac = *(const uint32_t *)(const void *)((const char *)a +
		    f->quantifier_offset);
		uint32_t bc = *(const uint32_t *)(const void *)((const char *)b +
		    f->quantifier_offset);

		if (ac != bc)
			return false;
		if (ac != f->id)
			return true;
	}
	if (f->type != PROTOBUF_C_TYPE_MESSAGE)
		return f->label == PROTOBUF_C_LABEL_REPEATED ? false
							     : same_scalar(f, at, bt);
	n = messages_of(a, f, &av);
	if (n != messages_of(b, f, &bv))
		return false;
	for (size_t k = 0; k < n; k++)
		if (!tree_equal(av[k], bv[k]))
			return false;
	return true;
}

bool
tree_equal(const void *x, const void *y)
{
	const ProtobufCMessage *a = x, *b = y;

	if (a == NULL || b == NULL)
		return a == b;
	if (a->descriptor != b->descriptor)
		return false;
	for (unsigned i = 0; i < a->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &a->descriptor->fields[i];

		if (!is_position(f) && !same_field(f, a, b))
			return false;
	}
	return true;
}

/* ---- tree to text ---- */

static char *
deparse(PgQuery__Node *stmt)
{
	PgQuery__RawStmt raw = PG_QUERY__RAW_STMT__INIT;
	PgQuery__RawStmt *list[] = {&raw};
	PgQuery__ParseResult all = PG_QUERY__PARSE_RESULT__INIT;
	PgQueryProtobuf packed;
	PgQueryDeparseResult r;
	char *text;

	raw.stmt = stmt;
	all.version = PG_VERSION_NUM;
	all.n_stmts = 1;
	all.stmts = list;
	packed.len = pg_query__parse_result__get_packed_size(&all);
	packed.data = malloc(packed.len + 1);
	if (packed.data == NULL)
		abort();
	pg_query__parse_result__pack(&all, (uint8_t *)packed.data);
	r = pg_query_deparse_protobuf(packed);
	free(packed.data);
	text = r.error == NULL ? strdup(r.query) : NULL;
	pg_query_free_deparse_result(r);
	return text;
}

enum rc
tree_text(struct arena *a, PgQuery__Node *stmt, struct slice *out, struct err *e)
{
	char *text = deparse(stmt);
	PgQuery__ParseResult *again;
	struct err ignored;

	if (text != NULL) {
		*out = slice_of(arena_strdup(a, text));
		free(text);
		if (tree_parse(a, *out, &again, &ignored) == RC_OK &&
		    again->n_stmts == 1 && tree_equal(again->stmts[0]->stmt, stmt))
			return RC_OK;
	}
	err_set(e, "0A000", BLAST_STMT,
	    "this statement cannot be written anew for several shards");
	err_hint(e, "Name the shard with SET weir.shard, or write it more simply.");
	return RC_ERR;
}

/* ---- parameters ---- */

struct numbers {
	uint16_t *v;
	int n;
	bool assign;
};

static enum walk
number(void *arg, ProtobufCMessage *m)
{
	struct numbers *all = arg;
	PgQuery__Node *n = tree_node(m);
	int at = 0;

	if (!NODE_IS(n, PARAM_REF))
		return WALK_ON;
	while (at < all->n && all->v[at] < n->param_ref->number)
		at++;
	if (all->assign) {
		n->param_ref->number = at + 1;
		return WALK_ON;
	}
	if (at < all->n && all->v[at] == n->param_ref->number)
		return WALK_ON;
	memmove(all->v + at + 1, all->v + at, (size_t)(all->n - at) * sizeof *all->v);
	all->v[at] = (uint16_t)n->param_ref->number;
	all->n++;
	return WALK_ON;
}

static enum walk
count_params(void *arg, ProtobufCMessage *m)
{
	*(int *)arg += NODE_IS(tree_node(m), PARAM_REF);
	return WALK_ON;
}

int
tree_renumber(struct arena *a, PgQuery__Node *stmt, const uint16_t **params)
{
	struct numbers all = {.n = 0};
	int n = 0;

	tree_walk(stmt, count_params, &n);
	all.v = ARENA_NEW_N(a, uint16_t, (size_t)n + 1);
	tree_walk(stmt, number, &all);
	all.assign = true;
	tree_walk(stmt, number, &all);
	*params = all.v;
	return all.n;
}

/* ---- new nodes ---- */

static PgQuery__Node *
new_node(struct arena *a, PgQuery__Node__NodeCase what)
{
	PgQuery__Node *n = ARENA_NEW(a, PgQuery__Node);

	pg_query__node__init(n);
	n->node_case = what;
	return n;
}

#define NEW(n, a, CASE, field, type)                   \
	PgQuery__Node *n = new_node((a), NODE(CASE));  \
	n->field = arena_alloc((a), sizeof *n->field); \
	pg_query__##type##__init(n->field)

PgQuery__Node *
tree_string(struct arena *a, const char *s)
{
	NEW(n, a, STRING, string, string);
	n->string->sval = arena_strdup(a, s);
	return n;
}

PgQuery__Node *
tree_int(struct arena *a, int64_t v)
{
	NEW(n, a, A_CONST, a_const, a__const);
	if (v >= INT32_MIN && v <= INT32_MAX) {
		n->a_const->val_case = PG_QUERY__A__CONST__VAL_IVAL;
		n->a_const->ival = ARENA_NEW(a, PgQuery__Integer);
		pg_query__integer__init(n->a_const->ival);
		n->a_const->ival->ival = (int32_t)v;
		return n;
	}
	n->a_const->val_case = PG_QUERY__A__CONST__VAL_FVAL;
	n->a_const->fval = ARENA_NEW(a, PgQuery__Float);
	pg_query__float__init(n->a_const->fval);
	n->a_const->fval->fval = arena_printf(a, "%lld", (long long)v);
	return n;
}

void
tree_push(struct arena *a, size_t *n, PgQuery__Node ***list, PgQuery__Node *one)
{
	PgQuery__Node **v = ARENA_NEW_N(a, PgQuery__Node *, *n + 1);

	if (*n > 0)
		memcpy(v, *list, *n * sizeof *v);
	v[(*n)++] = one;
	*list = v;
}

PgQuery__Node *
tree_column(struct arena *a, const char *rel, const char *col)
{
	NEW(n, a, COLUMN_REF, column_ref, column_ref);
	if (rel != NULL)
		tree_push(a, &n->column_ref->n_fields, &n->column_ref->fields,
		    tree_string(a, rel));
	tree_push(
	    a, &n->column_ref->n_fields, &n->column_ref->fields, tree_string(a, col));
	return n;
}

PgQuery__Node *
tree_target(struct arena *a, PgQuery__Node *value, const char *name)
{
	NEW(n, a, RES_TARGET, res_target, res_target);
	n->res_target->val = value;
	if (name != NULL)
		n->res_target->name = arena_strdup(a, name);
	return n;
}

PgQuery__Node *
tree_call(
    struct arena *a, bool catalog, const char *name, PgQuery__Node **args, int n_args)
{
	NEW(n, a, FUNC_CALL, func_call, func_call);
	if (catalog)
		tree_push(a, &n->func_call->n_funcname, &n->func_call->funcname,
		    tree_string(a, "pg_catalog"));
	tree_push(
	    a, &n->func_call->n_funcname, &n->func_call->funcname, tree_string(a, name));
	for (int i = 0; i < n_args; i++)
		tree_push(a, &n->func_call->n_args, &n->func_call->args, args[i]);
	n->func_call->funcformat = PG_QUERY__COERCION_FORM__COERCE_EXPLICIT_CALL;
	return n;
}

PgQuery__Node *
tree_cast(struct arena *a, PgQuery__Node *value, const char *type)
{
	PgQuery__TypeName *t;

	NEW(n, a, TYPE_CAST, type_cast, type_cast);
	n->type_cast->arg = value;
	n->type_cast->type_name = t = ARENA_NEW(a, PgQuery__TypeName);
	pg_query__type_name__init(t);
	tree_push(a, &t->n_names, &t->names, tree_string(a, "pg_catalog"));
	tree_push(a, &t->n_names, &t->names, tree_string(a, type));
	t->typemod = -1;
	return n;
}

PgQuery__Node *
tree_and(struct arena *a, PgQuery__Node *const *args, int n_args)
{
	if (n_args <= 1)
		return n_args == 1 ? args[0] : NULL;
	NEW(n, a, BOOL_EXPR, bool_expr, bool_expr);
	n->bool_expr->boolop = PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR;
	for (int i = 0; i < n_args; i++)
		tree_push(a, &n->bool_expr->n_args, &n->bool_expr->args, args[i]);
	return n;
}

static PgQuery__Node *
new_expr(struct arena *a, PgQuery__AExprKind kind, const char *op, PgQuery__Node *left,
    PgQuery__Node *right)
{
	NEW(n, a, A_EXPR, a_expr, a__expr);
	n->a_expr->kind = kind;
	tree_push(a, &n->a_expr->n_name, &n->a_expr->name, tree_string(a, op));
	n->a_expr->lexpr = left;
	n->a_expr->rexpr = right;
	return n;
}

PgQuery__Node *
tree_operator(struct arena *a, const char *op, PgQuery__Node *left, PgQuery__Node *right)
{
	return new_expr(a, PG_QUERY__A__EXPR__KIND__AEXPR_OP, op, left, right);
}

PgQuery__Node *
tree_nullif(struct arena *a, PgQuery__Node *left, PgQuery__Node *right)
{
	return new_expr(a, PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF, "=", left, right);
}

PgQuery__Node *
tree_coalesce(struct arena *a, PgQuery__Node *left, PgQuery__Node *right)
{
	NEW(n, a, COALESCE_EXPR, coalesce_expr, coalesce_expr);
	tree_push(a, &n->coalesce_expr->n_args, &n->coalesce_expr->args, left);
	tree_push(a, &n->coalesce_expr->n_args, &n->coalesce_expr->args, right);
	return n;
}

PgQuery__Node *
tree_collate(struct arena *a, PgQuery__Node *value, const char *collation)
{
	NEW(n, a, COLLATE_CLAUSE, collate_clause, collate_clause);
	n->collate_clause->arg = value;
	tree_push(a, &n->collate_clause->n_collname, &n->collate_clause->collname,
	    tree_string(a, "pg_catalog"));
	tree_push(a, &n->collate_clause->n_collname, &n->collate_clause->collname,
	    tree_string(a, collation));
	return n;
}

PgQuery__Node *
tree_sort(struct arena *a, PgQuery__Node *value, bool desc, bool nulls_first)
{
	NEW(n, a, SORT_BY, sort_by, sort_by);
	n->sort_by->node = value;
	n->sort_by->sortby_dir = desc ? PG_QUERY__SORT_BY_DIR__SORTBY_DESC
				      : PG_QUERY__SORT_BY_DIR__SORTBY_DEFAULT;
	n->sort_by->sortby_nulls = nulls_first == desc
	    ? PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_DEFAULT
	    : nulls_first ? PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST
			  : PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST;
	return n;
}

PgQuery__Node *
tree_table(struct arena *a, const char *schema, const char *name, const char *alias)
{
	PgQuery__RangeVar *r;

	NEW(n, a, RANGE_VAR, range_var, range_var);
	r = n->range_var;
	if (schema != NULL)
		r->schemaname = arena_strdup(a, schema);
	r->relname = arena_strdup(a, name);
	r->inh = true;
	r->relpersistence = arena_strdup(a, "p");
	if (alias == NULL)
		return n;
	r->alias = ARENA_NEW(a, PgQuery__Alias);
	pg_query__alias__init(r->alias);
	r->alias->aliasname = arena_strdup(a, alias);
	return n;
}

PgQuery__Node *
tree_subselect(struct arena *a, PgQuery__Node *query, const char *alias)
{
	NEW(n, a, RANGE_SUBSELECT, range_subselect, range_subselect);
	n->range_subselect->subquery = query;
	n->range_subselect->alias = ARENA_NEW(a, PgQuery__Alias);
	pg_query__alias__init(n->range_subselect->alias);
	n->range_subselect->alias->aliasname = arena_strdup(a, alias);
	return n;
}

PgQuery__Node *
tree_select(struct arena *a, PgQuery__SelectStmt **out)
{
	NEW(n, a, SELECT_STMT, select_stmt, select_stmt);
	n->select_stmt->limit_option = PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_DEFAULT;
	n->select_stmt->op = PG_QUERY__SET_OPERATION__SETOP_NONE;
	*out = n->select_stmt;
	return n;
}
