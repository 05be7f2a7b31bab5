/* The reader: the first byte says how the rest is cut into chunks; however it is cut, the
 * same messages come out. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "wire/msg.h"
#include "wire/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define MAX_WHOLE 200

static void
cut(const uint8_t *data, size_t n, size_t step, const bool *in_pieces, struct msgbuf *out)
{
	struct reader r;
	struct read_msg m;
	enum read_kind k = READ_MORE;

	reader_init(&r, in_pieces);
	for (size_t at = 0; at < n && k != READ_BAD; at += step) {
		size_t len = n - at < step ? n - at : step;
		uint8_t *own = malloc(len);

		memcpy(own, data + at, len);
		reader_feed(&r, own, len);
		while (
		    (k = reader_next(&r, MAX_WHOLE, &m)) != READ_MORE && k != READ_BAD) {
			if (k == READ_BIG) {
				reader_pass(&r);
				continue;
			}
			if (k == READ_MSG) {
				(void)msg_error_field(m.body, 'C');
				assert(m.raw.len == m.len);
			}
			msg_bytes(out, m.raw.ptr, m.raw.len);
		}
		free(own);
	}
	reader_fini(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const bool flags[256] = {
	    ['d'] = true, ['D'] = true, ['Q'] = true, [0] = true};
	struct msgbuf whole, pieces;

	if (n < 2)
		return 0;
	msgbuf_init(&whole);
	msgbuf_init(&pieces);
	cut(data + 1, n - 1, n, NULL, &whole);
	cut(data + 1, n - 1, (size_t)(data[0] % 40) + 1, data[0] >= 128 ? flags : NULL,
	    &pieces);
	/* A message that is handed out in pieces comes even if its end does not. */
	assert(data[0] >= 128 ? whole.len <= pieces.len : whole.len == pieces.len);
	assert(whole.len == 0 || memcmp(whole.data, pieces.data, whole.len) == 0);
	msgbuf_fini(&whole);
	msgbuf_fini(&pieces);
	return 0;
}
