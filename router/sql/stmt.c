#include "router/sql/stmt.h"

#include <stdlib.h>

#include "router/sql/analyze_int.h"

const char *
stmt_kind_name(enum stmt_kind k)
{
	static const char *const names[] = {
#define X(name, text) [STMT_##name] = text,
	    STMT_KINDS(X)
#undef X
	};

	return (unsigned)k < STMT_KIND_COUNT ? names[k] : "unknown";
}

struct sql_stmts *
sql_stmts_create(void)
{
	struct sql_stmts *s = calloc(1, sizeof *s);

	if (s == NULL)
		abort();
	arena_init(&s->arena);
	return s;
}

void
sql_stmts_free(struct sql_stmts *s)
{
	if (s == NULL)
		return;
	arena_reset(&s->arena);
	free(s);
}
