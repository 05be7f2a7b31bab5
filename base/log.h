/* base/log.h: structured log lines, logfmt or JSON, one write(2) a line.
 * Thread:  any. Settings are changed by the control thread.
 * Rate:    at most log_rate lines a second (and their like); what was left out is counted and said.
 * Secrets: never pass one. */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING, LOG_ERROR, LOG_FATAL };
enum log_format { LOG_LOGFMT, LOG_JSON };

void log_setup(enum log_format, enum log_level least, unsigned lines_per_second);
/* fd 2 by default; returns false when the file cannot be opened. NULL: standard error. Reopens (for rotation). */
bool log_open(const char *path);
bool log_enabled(enum log_level);

/* Fields are pairs of name and value strings, ended by NULL; a pair whose value is NULL is left out. The message is
 * a constant, so that lines can be counted by it.
 *   log_line(LOG_INFO, "client connected", "user", u, "database", d, NULL); */
void log_line(enum log_level, const char *message, ...) __attribute__((sentinel));

/* A number as text for a field: lives until the end of the full expression. */
#define LOG_NUM(n) log_num_((char[24]){0}, (long long)(n))
const char *log_num_(char *buf24, long long n);

#endif
