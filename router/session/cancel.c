/* Cancel requests: they come on a connection of their own, perhaps to another worker; the process id says whose session it may be. */
#include "router/session/scatter.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#define KEY_MAX 64

struct cancel {
	struct mail mail;
	struct worker *w;
	uint32_t pid;
	size_t key_len;
	unsigned char key[KEY_MAX];
};

static bool
key_fits(const struct session *s, const struct cancel *c)
{
	unsigned char key[KEY_MAX] = {0};
	size_t len = s->protocol_minor >= 2 ? 32 : 4;

	session_cancel_key(s, key, len);
	return c->key_len == len && CRYPTO_memcmp(key, c->key, len) == 0;
}

/* Is it Weir that keeps the client waiting? */
static bool
waits(enum block why)
{
	return why == BLOCK_SERVER || why == BLOCK_PRIMARY || why == BLOCK_TOKEN ||
	    why == BLOCK_ADMIN || why == BLOCK_LOOKUP || why == BLOCK_LSN;
}

static void
cancel_waiting(struct session *s)
{
	struct err e;

	if (s->x->lookup != NULL)
		lookup_forget(s->x->lookup);
	s->x->lookup = NULL;
	pool_cancel_wait(&s->x->waiter);
	session_unpark(s);
	s->x->resume = NULL;
	s->x->blocked = BLOCK_NOT;
	(void)err_set(&e, "57014", BLAST_TXN, "canceling statement due to user request");
	session_error(s, &e);
	if (s->state == SESSION_ACTIVE && s->x != NULL)
		session_run(s);
}

static struct session *
find(const struct cancel *c)
{
	LIST_FOREACH(it, &c->w->sessions) {
		struct session *s = LIST_ENTRY(it, struct session, node);

		if (session_pid(s) == c->pid && key_fits(s, c))
			return s;
	}
	return NULL;
}

static void
deliver(struct mail *m)
{
	struct cancel *c = LIST_ENTRY(m, struct cancel, mail);
	struct session *s = find(c);

	if (s != NULL && s->state == SESSION_ACTIVE && s->x != NULL) {
		if (waits(s->x->blocked))
			cancel_waiting(s);
		else if (s->x->blocked == BLOCK_SCATTER)
			scatter_cancel(s, "user request");
		else if (s->x->blocked == BLOCK_ENDING)
			ending_cancel(s);
		else if (s->server != NULL && !link_quiet(link_of(s->server)) &&
		    s->x->blocked != BLOCK_REPLAY)
			pool_cancel_query(s->server);
	}
	free(c);
}

void
cancel_request(struct worker *w, uint32_t pid, struct slice key)
{
	struct proc *proc = w->proc;
	int index = (int)(pid % WORKERS_MAX);
	struct cancel *c;

	if (peer_pass_on(w, pid, key))
		return;
	if (index >= proc->n_workers || key.len > KEY_MAX)
		return;
	c = calloc(1, sizeof *c);
	if (c == NULL)
		return;
	c->w = &proc->workers[index];
	c->pid = pid;
	c->key_len = key.len;
	memcpy(c->key, key.ptr, key.len);
	c->mail.deliver = deliver;
	loop_post(c->w->loop, &c->mail);
}
