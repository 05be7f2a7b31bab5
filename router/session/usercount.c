/* How many clients each user has, in the whole process: asked at login and at the end only, so a lock and a list will do. */
#include "router/session/usercount.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct count {
	struct count *next;
	int n;
	char user[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct count *counts;

static struct count **
find(const char *user)
{
	struct count **at = &counts;

	while (*at != NULL && strcmp((*at)->user, user) != 0)
		at = &(*at)->next;
	return at;
}

int
usercount_add(const char *user)
{
	struct count **at, *c;
	int n;

	pthread_mutex_lock(&lock);
	at = find(user);
	if (*at == NULL) {
		c = calloc(1, sizeof *c + strlen(user) + 1);
		if (c == NULL)
			abort();
		strcpy(c->user, user);
		*at = c;
	}
	n = ++(*at)->n;
	pthread_mutex_unlock(&lock);
	return n;
}

void
usercount_remove(const char *user)
{
	struct count **at, *c;

	pthread_mutex_lock(&lock);
	at = find(user);
	c = *at;
	if (c != NULL && --c->n == 0) {
		*at = c->next;
		free(c);
	}
	pthread_mutex_unlock(&lock);
}
