/* docs/configuration.md is what the table of settings says. WEIR_UPDATE_DOCS=1 writes it.
 */
#include "router/config/docs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGE "docs/configuration.md"

static char *
generated(size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	assert_non_null(f);
	config_docs(f);
	fclose(f);
	return text;
}

static void
page_is_current(void **state)
{
	size_t len, n;
	char *text = generated(&len), *found = malloc(len + 2);
	bool update = getenv("WEIR_UPDATE_DOCS") != NULL;
	FILE *f = fopen(PAGE, update ? "w" : "r");

	(void)state;
	assert_non_null(f);
	if (update) {
		fwrite(text, 1, len, f);
	} else {
		n = fread(found, 1, len + 1, f);
		if (n != len || memcmp(text, found, len) != 0)
			fail_msg(PAGE " is old: run this test with WEIR_UPDATE_DOCS=1");
	}
	fclose(f);
	free(found);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(page_is_current)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
