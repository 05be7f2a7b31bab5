/* base/suggest.h: "did you mean": the nearest of many words by edit distance.
 * Memory: none; the words must outlive the struct. Words beyond 63 bytes are never near.
 */
#ifndef WEIR_BASE_SUGGEST_H
#define WEIR_BASE_SUGGEST_H

struct suggest {
	const char *word;
	const char *best; /* NULL: none is near */
	int distance;     /* of best; or the first that is too far */
};

void suggest_init(struct suggest *, const char *word);
void suggest_consider(struct suggest *, const char *candidate);

#endif
