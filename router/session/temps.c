#include "router/session/temps.h"

#include <stdlib.h>

#include "router/session/session.h"

struct temp {
	char *name; /* behind the set, in its allocation */
	bool view;
	bool drops; /* at the transaction's end: ON COMMIT DROP */
};

struct temps {
	unsigned refs;
	int n;
	struct temp v[];
};

struct temps *
temps_ref(struct temps *t)
{
	if (t != NULL)
		t->refs++;
	return t;
}

void
temps_unref(struct temps *t)
{
	if (t != NULL && --t->refs == 0)
		free(t);
}

static void
assign(struct temps **slot, struct temps *t)
{
	temps_unref(*slot);
	*slot = t;
}

/* A set of these, in one allocation. */
static struct temps *
make(const struct temp *v, int n)
{
	size_t size = sizeof(struct temps) + sizeof(struct temp) * (size_t)n;
	struct temps *t;
	char *at;

	if (n == 0)
		return NULL;
	for (int i = 0; i < n; i++)
		size += strlen(v[i].name) + 1;
	t = malloc(size);
	if (t == NULL)
		abort();
	t->refs = 1;
	t->n = n;
	at = (char *)&t->v[n];
	for (int i = 0; i < n; i++) {
		t->v[i] = v[i];
		t->v[i].name = at;
		at = stpcpy(at, v[i].name) + 1;
	}
	return t;
}

static int
find(const struct temps *t, const char *name)
{
	for (int i = 0; t != NULL && i < t->n; i++)
		if (strcmp(t->v[i].name, name) == 0)
			return i;
	return -1;
}

/* The set of the session without those that `goes` names, and with `add` (name NULL: none). */
static void
change(struct temps **slot, bool (*goes)(const struct temp *, const void *),
    const void *arg, struct temp add)
{
	const struct temps *old = *slot;
	int had = old == NULL ? 0 : old->n, n = 0;
	struct temp *v = malloc(sizeof *v * ((size_t)had + 1));

	if (v == NULL)
		abort();
	for (int i = 0; i < had; i++)
		if (!goes(&old->v[i], arg))
			v[n++] = old->v[i];
	if (add.name != NULL)
		v[n++] = add;
	assign(slot, make(v, n));
	free(v);
}

static bool
is_named(const struct temp *t, const void *name)
{
	return strcmp(t->name, name) == 0;
}

static bool
drops(const struct temp *t, const void *unused)
{
	(void)unused;
	return t->drops;
}

const char *const *
temps_names(const struct temps *t, struct arena *arena)
{
	const char **names;

	if (t == NULL)
		return NULL;
	names = ARENA_NEW_N(arena, const char *, t->n + 1);
	for (int i = 0; i < t->n; i++)
		names[i] = t->v[i].name;
	names[t->n] = NULL;
	return names;
}

/* ---- statements ---- */

static bool
path_begins_with_temp(struct session *s)
{
	const char *path = session_search_path(s);

	path += strspn(path, " \"");
	return strncmp(path, "pg_temp", 7) == 0 && strchr(" \",", path[7]) != NULL;
}

bool
temps_made_by(struct session *s, const struct sql_stmt *stmt)
{
	return stmt->makes != NULL &&
	    (stmt->temp_object || (!stmt->makes_in_schema && path_begins_with_temp(s)));
}

static const struct sql_stmt *
really_run(const struct sql_stmt *stmt)
{
	return stmt->kind == STMT_EXPLAIN && stmt->analyze && stmt->inner != NULL
	    ? stmt->inner
	    : stmt;
}

void
temps_apply(struct session *s, const struct sql_stmt *stmt)
{
	struct exec *x = s->x;

	stmt = really_run(stmt);
	if (temps_made_by(s, stmt))
		change(&x->temps, is_named, stmt->makes,
		    (struct temp){(char *)(uintptr_t)stmt->makes, stmt->makes_view,
			stmt->on_commit_drop});
	if (x->temps == NULL)
		return;
	if (stmt->kind == STMT_DISCARD_ALL ||
	    (stmt->kind == STMT_DISCARD && stmt->name != NULL &&
		strcmp(stmt->name, "temp") == 0))
		assign(&x->temps, NULL);
	for (int i = 0; i < stmt->n_drops && x->temps != NULL; i++)
		if (find(x->temps, stmt->drops[i]) >= 0)
			change(&x->temps, is_named, stmt->drops[i], (struct temp){NULL});
	if (stmt->renames != NULL && find(x->temps, stmt->renames) >= 0) {
		struct temp t = x->temps->v[find(x->temps, stmt->renames)];

		t.name = (char *)(uintptr_t)stmt->new_name;
		change(&x->temps, is_named, stmt->renames, t);
	}
}

bool
temps_may_change(struct session *s, const struct sql_stmts *stmts)
{
	const struct sql_stmt *stmt =
	    stmts == NULL || stmts->n == 0 ? NULL : really_run(&stmts->v[0]);

	if (stmt == NULL)
		return false;
	if (temps_made_by(s, stmt))
		return true;
	if (s->x->temps == NULL)
		return false;
	return stmt->n_drops > 0 || stmt->renames != NULL || stmt->kind == STMT_DISCARD ||
	    stmt->kind == STMT_DISCARD_ALL || stmt->kind == STMT_COMMIT ||
	    stmt->kind == STMT_ROLLBACK || stmt->kind == STMT_ROLLBACK_TO;
}

void
temps_transaction_over(struct exec *x, bool committed)
{
	if (!committed)
		assign(&x->temps, temps_ref(x->tx_temps));
	else if (x->temps != NULL)
		change(&x->temps, drops, NULL, (struct temp){NULL});
	assign(&x->tx_temps, temps_ref(x->temps));
}

/* ---- plans ---- */

static enum rc
elsewhere(struct session *s, struct err *e)
{
	(void)err_set(e, "0A000", BLAST_STMT,
	    "a statement with a temporary table of shard %s and tables of other shards",
	    s->db->cluster->shards[s->x->pin_shard].name);
	err_hint(e,
	    "A temporary table is on one shard; copy its rows, or name the shard "
	    "before it is made with SET weir.shard.");
	return RC_ERR;
}

/* Which views go with the tables is the server's secret. */
static enum rc
check_cascade(struct session *s, const struct sql_stmt *stmt, struct err *e)
{
	const struct temps *t = s->x->temps;
	bool drops_one = false, views = false;

	for (int i = 0; stmt->cascade && i < stmt->n_drops; i++)
		drops_one = drops_one || find(t, stmt->drops[i]) >= 0;
	for (int i = 0; drops_one && i < t->n; i++)
		views = views || t->v[i].view;
	if (!views)
		return RC_OK;
	(void)err_set(e, "0A000", BLAST_STMT,
	    "DROP … CASCADE of a temporary table while there are temporary views");
	err_hint(e, "Drop the views first.");
	return RC_ERR;
}

enum rc
temps_place(
    struct session *s, const struct sql_stmt *stmt, struct plan *plan, struct err *e)
{
	const struct exec *x = s->x;

	if (s->pins == 0 || x == NULL || x->pin_shard == SHARD_NONE ||
	    session_one_shard(s))
		return RC_OK;
	if (stmt != NULL && stmt->n_drops > 0 && check_cascade(s, stmt, e) != RC_OK)
		return RC_ERR;
	if (!plan->temp && !(stmt != NULL && temps_made_by(s, stmt)))
		return RC_OK;
	if (plan->kind == PLAN_LOOKUP)
		return RC_OK;
	if (plan->kind != PLAN_ANY &&
	    (plan->kind != PLAN_ONE || plan->shard != x->pin_shard))
		return elsewhere(s, e);
	plan->kind = PLAN_ONE;
	plan->shard = x->pin_shard;
	plan->read_only = false;
	return RC_OK;
}
