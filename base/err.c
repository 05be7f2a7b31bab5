#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

#undef err_set

enum rc
err_set(struct err *e, const char *sqlstate, enum blast blast, const char *fmt, ...)
{
	va_list ap;

	snprintf(e->sqlstate, sizeof e->sqlstate, "%s", sqlstate);
	e->blast = blast;
	e->hint[0] = '\0';
	e->position = 0;
	e->raw = (struct slice){NULL, 0};
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof e->msg, fmt, ap);
	va_end(ap);
	return RC_ERR;
}

void
err_hint(struct err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->hint, sizeof e->hint, fmt, ap);
	va_end(ap);
}
