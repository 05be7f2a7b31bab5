/* DDL and maintenance: the tables that a statement is about, or else how far it reaches.
 */
#include "router/sql/analyze_int.h"

#define NODE(x) PG_QUERY__NODE__NODE_##x
#define OBJ(x)  PG_QUERY__OBJECT_TYPE__OBJECT_##x

static void
scope(struct analysis *an, enum stmt_kind kind, enum utility_scope s)
{
	an->stmt->kind = kind;
	an->stmt->query->scope = s;
}

static void
table(struct analysis *an, const PgQuery__RangeVar *v)
{
	if (v == NULL)
		return;
	if (v->schemaname != NULL && strcmp(v->schemaname, "pg_temp") == 0)
		an->stmt->temp_object = true;
	an_add_table(an, an->stmt->query, v);
}

static bool
may_be_temp(const char *schema)
{
	return schema == NULL || schema[0] == '\0' || strcmp(schema, "pg_temp") == 0;
}

void
an_makes(struct analysis *an, const PgQuery__RangeVar *v)
{
	bool in_schema = v->schemaname != NULL && v->schemaname[0] != '\0';

	if (!may_be_temp(v->schemaname))
		return;
	an->stmt->makes = arena_strdup(an->arena, v->relname);
	an->stmt->makes_in_schema = in_schema;
}

static void
creates(struct analysis *an, const PgQuery__RangeVar *v)
{
	table(an, v);
	if (v == NULL)
		return;
	an_makes(an, v);
	an->stmt->query->creates_rel = true;
	if (v->relpersistence != NULL && v->relpersistence[0] == 't')
		an->stmt->temp_object = true;
	if (an->stmt->temp_object)
		an->stmt->pins |= PIN_TEMP;
}

/* A table as a list of names; `behind` names follow that are not its own (a column, a
 * trigger). */
static void
table_of_names(struct analysis *an, const PgQuery__Node *object, size_t behind)
{
	const PgQuery__List *l =
	    object != NULL && object->node_case == NODE(LIST) ? object->list : NULL;
	PgQuery__RangeVar v = PG_QUERY__RANGE_VAR__INIT;
	size_t n;

	if (l == NULL || l->n_items <= behind)
		return;
	n = l->n_items - behind;
	v.relname = (char *)(uintptr_t)an_string(l->items[n - 1]);
	v.schemaname = n >= 2 ? (char *)(uintptr_t)an_string(l->items[n - 2]) : NULL;
	if (v.relname != NULL)
		table(an, &v);
}

static void
tables_of(struct analysis *an, size_t n, PgQuery__Node *const *list)
{
	for (size_t i = 0; i < n; i++)
		if (list[i]->node_case == NODE(RANGE_VAR))
			table(an, list[i]->range_var);
}

/* -1: an object of that type is no table, nor part of one; else how many of its names
 * follow the table's. */
static int
names_behind(PgQuery__ObjectType t)
{
	switch (t) {
	case OBJ(TABLE):
	case OBJ(VIEW):
	case OBJ(MATVIEW):
	case OBJ(INDEX):
	case OBJ(SEQUENCE):
	case OBJ(FOREIGN_TABLE):
		return 0;
	case OBJ(COLUMN):
	case OBJ(TABCONSTRAINT):
	case OBJ(TRIGGER):
	case OBJ(RULE):
	case OBJ(POLICY):
		return 1;
	default:
		return -1;
	}
}

/* Objects that are not tables. */
static void
object_scope(struct analysis *an, PgQuery__ObjectType t)
{
	if (t == OBJ(ROLE))
		scope(an, STMT_CLUSTER_DDL, UTILITY_EVERYWHERE);
	else if (t == OBJ(DATABASE) || t == OBJ(TABLESPACE))
		scope(an, STMT_CLUSTER_DDL, UTILITY_SINGLE);
	else
		scope(an, STMT_DDL, UTILITY_EVERYWHERE);
}

static void
object(struct analysis *an, PgQuery__ObjectType t, const PgQuery__RangeVar *rel,
    const PgQuery__Node *name)
{
	int behind = names_behind(t);

	if (rel != NULL && rel->relname != NULL && rel->relname[0] != '\0' &&
	    t != OBJ(TYPE) && t != OBJ(ATTRIBUTE))
		table(an, rel);
	else if (behind >= 0)
		table_of_names(an, name, (size_t)behind);
	else
		object_scope(an, t);
}

static void
create_table(struct analysis *an, const PgQuery__CreateStmt *c)
{
	creates(an, c->relation);
	an->stmt->on_commit_drop =
	    c->oncommit == PG_QUERY__ON_COMMIT_ACTION__ONCOMMIT_DROP;
	tables_of(an, c->n_inh_relations, c->inh_relations);
}

static void
create_as(struct analysis *an, const PgQuery__CreateTableAsStmt *c)
{
	if (c->into != NULL) {
		creates(an, c->into->rel);
		an->stmt->on_commit_drop =
		    c->into->on_commit == PG_QUERY__ON_COMMIT_ACTION__ONCOMMIT_DROP;
	}
	an->stmt->query->source =
	    an_query(an, c->query, an->stmt->query, PLACE_SOURCE, NULL);
}

static void
create_view(struct analysis *an, const PgQuery__ViewStmt *v)
{
	creates(an, v->view);
	an->stmt->makes_view = true;
	an->stmt->query->creates_view = true;
	an->stmt->query->source =
	    an_query(an, v->query, an->stmt->query, PLACE_SOURCE, NULL);
}

static void
alter_table(struct analysis *an, const PgQuery__AlterTableStmt *a)
{
	if (a->objtype == OBJ(TYPE)) {
		scope(an, STMT_DDL, UTILITY_EVERYWHERE);
		return;
	}
	table(an, a->relation);
	for (size_t i = 0; i < a->n_cmds; i++) {
		const PgQuery__AlterTableCmd *c =
		    a->cmds[i]->node_case == NODE(ALTER_TABLE_CMD)
		    ? a->cmds[i]->alter_table_cmd
		    : NULL;

		/* ATTACH PARTITION, DETACH PARTITION */
		if (c != NULL && c->def != NULL &&
		    c->def->node_case == NODE(PARTITION_CMD)) {
			table(an, c->def->partition_cmd->name);
			if (c->def->partition_cmd->concurrent)
				an->stmt->if_needed_alone = true;
		}
	}
}

/* The names of what is dropped, where it may be temporary. */
static void
dropped_names(struct analysis *an, const PgQuery__DropStmt *d)
{
	const char **names = ARENA_NEW_N(an->arena, const char *, d->n_objects);
	int n = 0;

	for (size_t i = 0; i < d->n_objects; i++) {
		const PgQuery__List *l =
		    d->objects[i]->node_case == NODE(LIST) ? d->objects[i]->list : NULL;

		if (l == NULL || l->n_items == 0 || l->n_items > 2 ||
		    (l->n_items == 2 && !may_be_temp(an_string(l->items[0]))))
			continue;
		names[n] = arena_strdup(an->arena, an_string(l->items[l->n_items - 1]));
		n++;
	}
	an->stmt->drops = names;
	an->stmt->n_drops = n;
	an->stmt->cascade = d->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE;
}

static void
drop(struct analysis *an, const PgQuery__DropStmt *d)
{
	int behind = names_behind(d->remove_type);

	if (behind == 0)
		dropped_names(an, d);

	an->stmt->if_needed_alone = d->concurrent;
	if (behind < 0)
		object_scope(an, d->remove_type);
	for (size_t i = 0; i < d->n_objects && behind >= 0; i++)
		table_of_names(an, d->objects[i], (size_t)behind);
}

static void
rename_object(struct analysis *an, const PgQuery__RenameStmt *r)
{
	object(an, r->rename_type, r->relation, r->object);
	if (names_behind(r->rename_type) != 0 || r->relation == NULL ||
	    !may_be_temp(r->relation->schemaname))
		return;
	an->stmt->renames = arena_strdup(an->arena, r->relation->relname);
	an->stmt->new_name = arena_strdup(an->arena, r->newname);
}

static void
grant(struct analysis *an, const PgQuery__GrantStmt *g)
{
	if (g->targtype == PG_QUERY__GRANT_TARGET_TYPE__ACL_TARGET_OBJECT &&
	    (g->objtype == OBJ(TABLE) || g->objtype == OBJ(SEQUENCE)))
		tables_of(an, g->n_objects, g->objects);
	else
		object_scope(an, g->objtype == OBJ(ROLE) ? OBJ(TYPE) : g->objtype);
}

static bool
has_option(size_t n, PgQuery__Node *const *opts, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (opts[i]->node_case == NODE(DEF_ELEM) &&
		    strcmp(opts[i]->def_elem->defname, name) == 0)
			return true;
	return false;
}

static void
reindex(struct analysis *an, const PgQuery__ReindexStmt *r)
{
	an->stmt->kind = STMT_MAINTENANCE;
	an->stmt->if_needed_alone = has_option(r->n_params, r->params, "concurrently");
	if (r->relation != NULL) {
		table(an, r->relation);
		return;
	}
	an->stmt->if_needed_alone = true;
	an->stmt->query->scope = UTILITY_EVERYWHERE;
}

static void
vacuum(struct analysis *an, const PgQuery__VacuumStmt *v)
{
	an->stmt->kind = STMT_MAINTENANCE;
	an->stmt->if_needed_alone = v->is_vacuumcmd;
	for (size_t i = 0; i < v->n_rels; i++)
		if (v->rels[i]->node_case == NODE(VACUUM_RELATION))
			table(an, v->rels[i]->vacuum_relation->relation);
	if (v->n_rels == 0)
		an->stmt->query->scope = UTILITY_EVERYWHERE;
}

static void
cluster(struct analysis *an, const PgQuery__ClusterStmt *c)
{
	an->stmt->kind = STMT_MAINTENANCE;
	if (c->relation != NULL) {
		table(an, c->relation);
		return;
	}
	an->stmt->if_needed_alone = true;
	an->stmt->query->scope = UTILITY_EVERYWHERE;
}

/* CREATE and ALTER SEQUENCE … OWNED BY table.column go where the table is. */
static void
sequence(struct analysis *an, const PgQuery__RangeVar *seq, size_t n,
    PgQuery__Node *const *opts, bool create)
{
	if (create)
		creates(an, seq);
	else
		table(an, seq);
	for (size_t i = 0; i < n; i++)
		if (opts[i]->node_case == NODE(DEF_ELEM) &&
		    strcmp(opts[i]->def_elem->defname, "owned_by") == 0)
			table_of_names(an, opts[i]->def_elem->arg, 1);
}

static void
publication(struct analysis *an, size_t n, PgQuery__Node *const *objs)
{
	int tables = 0;

	for (size_t i = 0; i < n; i++)
		if (objs[i]->node_case == NODE(PUBLICATION_OBJ_SPEC) &&
		    objs[i]->publication_obj_spec->pubtable != NULL) {
			table(an, objs[i]->publication_obj_spec->pubtable->relation);
			tables++;
		}
	if (tables == 0)
		an->stmt->query->scope = UTILITY_EVERYWHERE;
}

/* Statements about one table each. */
static const PgQuery__RangeVar *
its_table(const PgQuery__Node *n)
{
	switch (n->node_case) {
	case NODE(INDEX_STMT):
		return n->index_stmt->relation;
	case NODE(CREATE_TRIG_STMT):
		return n->create_trig_stmt->relation;
	case NODE(RULE_STMT):
		return n->rule_stmt->relation;
	case NODE(CREATE_POLICY_STMT):
		return n->create_policy_stmt->table;
	case NODE(ALTER_POLICY_STMT):
		return n->alter_policy_stmt->table;
	case NODE(REFRESH_MAT_VIEW_STMT):
		return n->refresh_mat_view_stmt->relation;
	default:
		return NULL;
	}
}

/* Things of the whole server. */
static bool
cluster_ddl(struct analysis *an, const PgQuery__Node *n)
{
	switch (n->node_case) {
	case NODE(CREATE_ROLE_STMT):
	case NODE(ALTER_ROLE_STMT):
	case NODE(ALTER_ROLE_SET_STMT):
	case NODE(DROP_ROLE_STMT):
	case NODE(GRANT_ROLE_STMT):
		scope(an, STMT_CLUSTER_DDL, UTILITY_EVERYWHERE);
		return true;
	case NODE(CREATEDB_STMT):
	case NODE(DROPDB_STMT):
	case NODE(CREATE_TABLE_SPACE_STMT):
	case NODE(DROP_TABLE_SPACE_STMT):
	case NODE(ALTER_SYSTEM_STMT):
	case NODE(CREATE_SUBSCRIPTION_STMT):
	case NODE(DROP_SUBSCRIPTION_STMT):
		an->stmt->if_needed_alone = true;
		/* fall through */
	case NODE(ALTER_DATABASE_STMT):
	case NODE(ALTER_DATABASE_SET_STMT):
	case NODE(ALTER_DATABASE_REFRESH_COLL_STMT):
	case NODE(ALTER_TABLE_SPACE_OPTIONS_STMT):
	case NODE(ALTER_TABLE_MOVE_ALL_STMT):
	case NODE(ALTER_SUBSCRIPTION_STMT):
	case NODE(CHECK_POINT_STMT):
		scope(an, STMT_CLUSTER_DDL, UTILITY_SINGLE);
		return true;
	default:
		return false;
	}
}

/* Statements that name their object by type and name. */
static bool
object_ddl(struct analysis *an, const PgQuery__Node *n)
{
	switch (n->node_case) {
	case NODE(COMMENT_STMT):
		object(an, n->comment_stmt->objtype, NULL, n->comment_stmt->object);
		return true;
	case NODE(SEC_LABEL_STMT):
		object(an, n->sec_label_stmt->objtype, NULL, n->sec_label_stmt->object);
		return true;
	case NODE(RENAME_STMT):
		rename_object(an, n->rename_stmt);
		return true;
	case NODE(ALTER_OBJECT_SCHEMA_STMT):
		object(an, n->alter_object_schema_stmt->object_type,
		    n->alter_object_schema_stmt->relation,
		    n->alter_object_schema_stmt->object);
		return true;
	case NODE(ALTER_OWNER_STMT):
		object(an, n->alter_owner_stmt->object_type,
		    n->alter_owner_stmt->relation, n->alter_owner_stmt->object);
		return true;
	case NODE(ALTER_OBJECT_DEPENDS_STMT):
		object(an, n->alter_object_depends_stmt->object_type,
		    n->alter_object_depends_stmt->relation, NULL);
		return true;
	case NODE(DROP_STMT):
		drop(an, n->drop_stmt);
		return true;
	case NODE(GRANT_STMT):
		grant(an, n->grant_stmt);
		return true;
	default:
		return false;
	}
}

static bool
table_ddl(struct analysis *an, const PgQuery__Node *n)
{
	switch (n->node_case) {
	case NODE(CREATE_STMT):
		create_table(an, n->create_stmt);
		return true;
	case NODE(CREATE_FOREIGN_TABLE_STMT):
		create_table(an, n->create_foreign_table_stmt->base_stmt);
		return true;
	case NODE(CREATE_TABLE_AS_STMT):
		create_as(an, n->create_table_as_stmt);
		return true;
	case NODE(VIEW_STMT):
		create_view(an, n->view_stmt);
		return true;
	case NODE(ALTER_TABLE_STMT):
		alter_table(an, n->alter_table_stmt);
		return true;
	case NODE(CREATE_SEQ_STMT):
		sequence(an, n->create_seq_stmt->sequence, n->create_seq_stmt->n_options,
		    n->create_seq_stmt->options, true);
		return true;
	case NODE(ALTER_SEQ_STMT):
		sequence(an, n->alter_seq_stmt->sequence, n->alter_seq_stmt->n_options,
		    n->alter_seq_stmt->options, false);
		return true;
	case NODE(CREATE_STATS_STMT):
		tables_of(an, n->create_stats_stmt->n_relations,
		    n->create_stats_stmt->relations);
		return true;
	case NODE(CREATE_PUBLICATION_STMT):
		publication(an, n->create_publication_stmt->n_pubobjects,
		    n->create_publication_stmt->pubobjects);
		return true;
	case NODE(ALTER_PUBLICATION_STMT):
		publication(an, n->alter_publication_stmt->n_pubobjects,
		    n->alter_publication_stmt->pubobjects);
		return true;
	default:
		return false;
	}
}

void
an_ddl(struct analysis *an, const PgQuery__Node *n)
{
	struct sql_stmt *st = an->stmt;

	st->query = an_level(an, Q_UTILITY, NULL, PLACE_ROOT, NULL);
	st->kind = STMT_DDL;
	if (table_ddl(an, n) || object_ddl(an, n) || cluster_ddl(an, n))
		return;
	switch (n->node_case) {
	case NODE(INDEX_STMT):
		st->if_needed_alone = n->index_stmt->concurrent;
		break;
	case NODE(REFRESH_MAT_VIEW_STMT):
		st->kind = STMT_MAINTENANCE;
		break;
	case NODE(VACUUM_STMT):
		vacuum(an, n->vacuum_stmt);
		return;
	case NODE(CLUSTER_STMT):
		cluster(an, n->cluster_stmt);
		return;
	case NODE(REINDEX_STMT):
		reindex(an, n->reindex_stmt);
		return;
	case NODE(IMPORT_FOREIGN_SCHEMA_STMT):
		st->query->scope = UTILITY_DEFAULT;
		return;
	case NODE(CREATE_SCHEMA_STMT):
		/* with tables in it, it is several statements in one */
		st->query->scope = n->create_schema_stmt->n_schema_elts > 0
		    ? UTILITY_SINGLE
		    : UTILITY_EVERYWHERE;
		return;
	default:
		break;
	}
	if (its_table(n) != NULL)
		table(an, its_table(n));
	else
		st->query->scope = UTILITY_EVERYWHERE;
}
