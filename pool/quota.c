/* Connections of a database and of a user, counted over servers and workers.
 *
 * No wake-up is lost: who queues does so before it looks for resting connections to
 * close, and tells the other workers to look; who lets a connection rest shows that
 * before looking whether anybody lacks one; who leaves tells as many of the queue as
 * there is room for, and one that was told and does not come takes itself out, which
 * tells the next. */
#include "pool/pool_impl.h"

#include <stdlib.h>
#include <string.h>

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list table = {&table, &table};

static struct quota *
create(enum quota_kind kind, const char *name)
{
	size_t size = (sizeof(struct quota) + strlen(name) + 1 + 63) & ~(size_t)63;
	struct quota *q = aligned_alloc(64, size);

	if (q == NULL)
		abort();
	memset(q, 0, size);
	q->kind = kind;
	(void)pthread_mutex_init(&q->lock, NULL);
	list_init(&q->queue);
	strcpy(q->name, name);
	list_push_back(&table, &q->node);
	return q;
}

struct quota *
quota_get(enum quota_kind kind, const char *name)
{
	struct quota *found = NULL;

	pthread_mutex_lock(&table_lock);
	LIST_FOREACH(n, &table) {
		struct quota *q = LIST_ENTRY(n, struct quota, node);

		if (q->kind == kind && strcmp(q->name, name) == 0) {
			found = q;
			break;
		}
	}
	if (found == NULL)
		found = create(kind, name);
	found->refs++;
	pthread_mutex_unlock(&table_lock);
	return found;
}

void
quota_unref(struct quota *q)
{
	pthread_mutex_lock(&table_lock);
	if (--q->refs > 0) {
		pthread_mutex_unlock(&table_lock);
		return;
	}
	list_remove(&q->node);
	pthread_mutex_unlock(&table_lock);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

/* ---- under the lock ---- */

static int
room(const struct quota *q)
{
	int limit = atomic_load(&q->limit);

	return limit == 0 ? INT32_MAX : limit - atomic_load(&q->connections);
}

static struct quota_need *
need_of(struct list *node)
{
	return LIST_ENTRY(node, struct quota_need, node);
}

/* As many of the first as there is room for look again. */
static void
tell(struct quota *q)
{
	int n = room(q);

	LIST_FOREACH(it, &q->queue) {
		struct quota_need *need = need_of(it);

		if (n-- <= 0)
			return;
		if (!need->told)
			wake_pool(need->pool);
		need->told = true;
	}
}

static void
take_out(struct quota *q, struct quota_need *need)
{
	list_remove(&need->node);
	need->quota = NULL;
	need->told = false;
	atomic_fetch_sub(&q->lacking, 1);
}

/* The queue's order. Those that came at the same time need one, too: else each would
 * let the other go first. need NULL: behind all. */
static bool
precedes(const struct quota_need *a, const struct quota_need *need, uint64_t since_us)
{
	return need == NULL || a->since_us < since_us ||
	    (a->since_us == since_us && (uintptr_t)a < (uintptr_t)need);
}

static void
put_in(struct quota *q, struct quota_need *need, uint64_t since_us)
{
	struct list *at = q->queue.prev;

	while (at != &q->queue && !precedes(need_of(at), need, since_us))
		at = at->prev;
	/* behind `at` */
	list_push_front(at, &need->node);
	need->quota = q;
	need->since_us = since_us;
	need->told = false;
	atomic_fetch_add(&q->lacking, 1);
}

/* How many came before it. */
static int
before(const struct quota *q, const struct quota_need *need, uint64_t since_us)
{
	int n = 0;

	for (struct list *it = q->queue.next;
	     it != &q->queue && precedes(need_of(it), need, since_us); it = it->next)
		n++;
	return n;
}

/* ---- from outside ---- */

void
quota_set_limit(struct quota *q, int limit)
{
	if (atomic_load_explicit(&q->limit, memory_order_relaxed) == limit)
		return;
	pthread_mutex_lock(&q->lock);
	atomic_store(&q->limit, limit);
	tell(q);
	pthread_mutex_unlock(&q->lock);
}

bool
quota_enter(struct quota *q, struct quota_need *need, uint64_t since_us)
{
	bool good;

	if (need != NULL && need->quota != NULL && need->quota != q)
		quota_forget(need);
	pthread_mutex_lock(&q->lock);
	if (need != NULL && need->quota != NULL)
		take_out(q, need);
	else if (need != NULL)
		need->asked = false;
	good = room(q) > before(q, need, since_us);
	if (good)
		atomic_fetch_add(&q->connections, 1);
	else if (need != NULL)
		put_in(q, need, since_us);
	tell(q); /* it may have stood before others, with room kept for it */
	pthread_mutex_unlock(&q->lock);
	return good;
}

void
quota_leave(struct quota *q)
{
	pthread_mutex_lock(&q->lock);
	atomic_fetch_sub(&q->connections, 1);
	tell(q);
	pthread_mutex_unlock(&q->lock);
}

void
quota_forget(struct quota_need *need)
{
	struct quota *q = need->quota;

	if (q == NULL)
		return;
	pthread_mutex_lock(&q->lock);
	take_out(q, need);
	tell(q);
	pthread_mutex_unlock(&q->lock);
}

bool
quota_claim(struct quota *q)
{
	int wanted;
	bool good;

	if (!quota_presses(q))
		return false;
	pthread_mutex_lock(&q->lock);
	wanted = atomic_load(&q->lacking);
	good = wanted - q->n_evicting > room(q);
	q->n_evicting += good;
	pthread_mutex_unlock(&q->lock);
	return good;
}

void
quota_evicted(struct quota *q)
{
	pthread_mutex_lock(&q->lock);
	q->n_evicting--;
	pthread_mutex_unlock(&q->lock);
}

uint64_t
quota_oldest(struct quota *q)
{
	uint64_t since;

	if (atomic_load(&q->lacking) == 0)
		return 0;
	pthread_mutex_lock(&q->lock);
	since = list_empty(&q->queue) ? 0 : need_of(q->queue.next)->since_us;
	pthread_mutex_unlock(&q->lock);
	return since;
}
