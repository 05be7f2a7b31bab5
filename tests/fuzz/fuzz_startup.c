/* Start-up packets: whatever parses can be built again and parses to the same. */
#include <assert.h>
#include <stdlib.h>

#include "wire/startup.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
built_again_is_the_same(const struct startup *s, struct arena *a)
{
	struct startup again;
	struct startup_param *p = ARENA_NEW_N(a, struct startup_param, s->n_params + 2);
	struct msgbuf b;
	struct err e;

	p[0] = (struct startup_param){{"user", 4}, s->user};
	p[1] = (struct startup_param){{"database", 8}, s->database};
	for (size_t i = 0; i < s->n_params; i++)
		p[i + 2] = s->params[i];
	msgbuf_init(&b);
	msg_startup(&b, s->asked, p, s->n_params + 2);
	msg_negotiate(&b, s);
	msgbuf_clear(&b);
	msg_startup(&b, s->asked, p, s->n_params + 2);
	if (b.len <= STARTUP_PACKET_MAX &&
	    startup_parse((struct slice){b.data, b.len}, a, &again, &e) == RC_OK) {
		assert(slice_eq(s->user, again.user));
		assert(again.proto == s->proto);
	}
	msgbuf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice packet = {(const char *)data, n};
	struct arena a;
	struct startup s;
	struct err e;
	size_t len;

	arena_init(&a);
	if (startup_length(packet, &len, &e) == RC_OK && len <= n) {
		packet.len = len;
		if (startup_parse(packet, &a, &s, &e) == RC_OK &&
		    s.kind == STARTUP_START) {
			assert(s.user.len > 0 && s.database.len > 0);
			built_again_is_the_same(&s, &a);
		}
	}
	arena_reset(&a);
	return 0;
}
