#include "base/suggest.h"

#include <string.h>
#include <strings.h>

#define WORD_MAX 63

static int
min3(int a, int b, int c)
{
	int m = a < b ? a : b;

	return m < c ? m : c;
}

/* Insertions, deletions, replacements and swaps of neighbours cost one each. */
static int
edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int rows[3][WORD_MAX + 1];
	int *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_len; j++)
		last[j] = (int)j;
	for (size_t i = 1; i <= a_len; i++) {
		int *spare = before;

		row[0] = (int)i;
		for (size_t j = 1; j <= b_len; j++) {
			int cost = a[i - 1] != b[j - 1];

			row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		before = last;
		last = row;
		row = spare;
	}
	return last[b_len];
}

void
suggest_init(struct suggest *s, const char *word)
{
	size_t len = strlen(word);

	s->word = word;
	s->best = NULL;
	s->distance = len < 4 ? 2 : len < 9 ? 3 : 4;
}

void
suggest_consider(struct suggest *s, const char *candidate)
{
	size_t a_len = strlen(s->word), b_len = strlen(candidate);
	int d;

	if (a_len > WORD_MAX || b_len > WORD_MAX)
		return;
	d = strcasecmp(s->word, candidate) == 0
	    ? 0
	    : edit_distance(s->word, a_len, candidate, b_len);
	if (d < s->distance) {
		s->distance = d;
		s->best = candidate;
	}
}
