/* router/route/key_in.h: the readers and printers that key_type.def names; private to
 * key*.c. A reader finds key->type set, fills the value, and says what the server would
 * say of bad input. */
#ifndef WEIR_ROUTER_ROUTE_KEY_IN_H
#define WEIR_ROUTER_ROUTE_KEY_IN_H

#include "router/route/key.h"

typedef enum rc key_reader(
    struct slice, const struct key_env *, struct arena *, struct key *, struct err *);
typedef struct slice key_printer(const struct key *, struct arena *);

/* key_time.c */
key_reader date_in, date_recv, timestamp_in, timestamp_recv;
key_printer date_out, timestamp_out;
/* Of a date to a timestamp and back, and between the two timestamps: exact or refused. */
enum rc time_convert(
    enum key_type to, const struct key_env *, struct key *, struct err *) WARN_UNUSED;
/* The fixed offset that a TimeZone setting means; false: a named zone. */
bool time_zone_fixed(const char *time_zone, int32_t *seconds_east);

/* key_numeric.c */
key_reader numeric_in, numeric_recv;
int numeric_compare(struct slice a, struct slice b); /* canonical digits */

/* key_text.c */
key_reader text_in;

/* 22P02 as the server words it, with the value cut to what fits. */
enum rc key_bad_syntax(struct err *, const char *sqlstate, enum key_type, struct slice);
/* 0A000: a form that the server may read but Weir does not. */
enum rc key_unproven(struct err *, enum key_type, struct slice, const char *hint);

static inline bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline struct slice
slice_trim(struct slice s)
{
	while (s.len > 0 && is_space(s.ptr[0]))
		s.ptr++, s.len--;
	while (s.len > 0 && is_space(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

static inline uint64_t
load_be(const char *p, int n)
{
	uint64_t v = 0;

	for (int i = 0; i < n; i++)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

#endif
