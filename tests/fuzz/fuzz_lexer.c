/* The lexer against PostgreSQL's (where that can read the text), and the shape cache over
 * any bytes: a shape is found again, its constants lie in the text in order, their values
 * can be decoded. The first byte of the input chooses the encoding and
 * standard_conforming_strings. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "router/sql/shape.h"
#include "router/sql/stmt.h"
#include "tests/unit/router/sql/pin_check.h"
#include "tests/unit/router/sql/scan_compare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must_hold(int holds)
{
	if (!holds)
		abort();
}

/* Tokens follow each other, and nothing but white space is between them. */
static void
check_lexer(struct slice text, const struct sql_env *env)
{
	const char *at = text.ptr;
	struct lexer lx;
	struct token t;

	lexer_init(&lx, text, env->encoding, env->standard_strings);
	while (lexer_next(&lx, &t) > TOK_ERROR) {
		must_hold(
		    t.start >= at && t.end > t.start && t.end <= text.ptr + text.len);
		for (; at < t.start; at++)
			must_hold(strchr(" \t\n\r\f", *at) != NULL);
		at = t.end;
	}
}

static void
check_consts(struct slice text, const struct sql_consts *k)
{
	const char *at = text.ptr;
	struct arena a;
	struct slice value;
	struct err err;

	arena_init(&a);
	for (uint32_t i = 0; i < k->n; i++) {
		must_hold(k->v[i].raw.ptr >= at);
		at = k->v[i].raw.ptr + k->v[i].raw.len;
		must_hold(at <= text.ptr + text.len);
		must_hold(sql_const_decode(&a, &k->v[i], &value, &err) == RC_OK ||
		    k->v[i].class == CONST_BITS);
	}
	arena_reset(&a);
}

/* Other constants of the same classes in the places of those that are not pinned. */
static struct slice
other_constants(struct slice text, const struct sql_consts *k)
{
	static const char *const other[] = {[CONST_INT4] = " 1 ",
	    [CONST_STRING] = " $z$z$z$ ",
	    [CONST_ESTRING] = " E'z' "};
	char *out = malloc(text.len + k->n * 12 + 1), *p = out;
	const char *at = text.ptr;

	for (uint32_t i = 0; i < k->n; i++) {
		enum const_class class = k->v[i].class;
		const char *value =
		    class < sizeof other / sizeof *other ? other[class] : NULL;

		if (value == NULL)
			continue;
		p = mempcpy(p, at, (size_t)(k->v[i].raw.ptr - at));
		p = mempcpy(p, value, strlen(value));
		at = k->v[i].raw.ptr + k->v[i].raw.len;
	}
	p = mempcpy(p, at, (size_t)(text.ptr + text.len - at));
	return (struct slice){out, (size_t)(p - out)};
}

/* Texts of one shape must mean the same to the analysis. */
static void
check_analysis(const struct shape *s, struct slice text, const struct sql_env *env,
    const struct sql_consts *k)
{
	struct slice other = other_constants(text, k);
	struct shape_cache *fresh = shape_cache_create(1 << 20);
	struct sql_consts k2;
	struct shape *t = shape_get(fresh, other, env, &k2);

	must_hold(t->hash[0] == s->hash[0] && t->hash[1] == s->hash[1]);
	must_hold(k2.n == s->n_consts && (t->err == NULL) == (s->err == NULL));
	if (s->stmts != NULL) {
		must_hold(t->stmts->n == s->stmts->n);
		for (int i = 0; i < s->stmts->n; i++) {
			must_hold(t->stmts->v[i].kind == s->stmts->v[i].kind);
			must_hold(t->stmts->v[i].n_funcs == s->stmts->v[i].n_funcs);
			must_hold(t->stmts->v[i].n_sets == s->stmts->v[i].n_sets);
			must_hold(t->stmts->v[i].pins == s->stmts->v[i].pins);
		}
	}
	shape_cache_destroy(fresh);
	free((char *)other.ptr);
}

static void
check_shape(struct slice text, const struct sql_env *env)
{
	static struct shape_cache *cache;
	struct sql_consts k;
	struct shape *s, *again;
	uint32_t n;

	if (cache == NULL)
		cache = shape_cache_create(1 << 20);
	s = shape_get(cache, text, env, &k);
	must_hold((s->err == NULL) == (s->stmts != NULL));
	must_hold(s->n_consts == k.n);
	check_consts(text, &k);
	shape_ref(s);
	n = k.n;
	again = shape_get(cache, text, env, &k);
	must_hold(
	    again->hash[0] == s->hash[0] && again->hash[1] == s->hash[1] && k.n == n);
	check_analysis(s, text, env, &k);
	shape_unref(s);
}

/* What libpg_query can be asked about: text in UTF-8 with standard strings. */
static void
check_with_postgres(const char *text)
{
	struct sql_env env = {ENC_UTF8, true};
	struct shape_cache *c = shape_cache_create(1 << 20);
	struct sql_consts k;

	must_hold(same_as_postgres(text));
	if (shape_get(c, slice_of(text), &env, &k)->err == NULL)
		must_hold(pins_enough(text, &k));
	shape_cache_destroy(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sql_env env = {ENC_UTF8, true};
	char *text;

	if (size == 0 || size > 4096)
		return 0;
	env.encoding = (data[0] >> 1) < ENC_COUNT ? data[0] >> 1 : ENC_UTF8;
	env.standard_strings = !(data[0] & 1);
	size--;
	text = malloc(size + 1);
	memcpy(text, data + 1, size);
	text[size] = '\0';
	if (strlen(text) == size)
		check_with_postgres(text);
	free(text);
	text = malloc(size == 0 ? 1 : size); /* no zero byte behind it */
	memcpy(text, data + 1, size);
	check_lexer((struct slice){text, size}, &env);
	check_shape((struct slice){text, size}, &env);
	free(text);
	return 0;
}
