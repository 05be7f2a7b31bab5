#include "base/fault.h"

#ifdef WEIR_FAULTS

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "base/log.h"

#define FAULTS_MAX 16

static struct fault {
	const char *name;
	unsigned long every, times;
	atomic_ulong asked, hit;
} faults[FAULTS_MAX];
static int n_faults;

/* A malformed entry never fails. The environment is read once, its copy is never freed. */
static void
read_faults(void)
{
	const char *env = getenv("WEIR_FAULTS");
	static char copy[1000];
	char *save, *at;

	if (env == NULL || strlen(env) >= sizeof copy)
		return;
	strcpy(copy, env);
	for (at = strtok_r(copy, ",", &save); at != NULL && n_faults < FAULTS_MAX;
	     at = strtok_r(NULL, ",", &save)) {
		struct fault *f = &faults[n_faults];
		char *value = strchr(at, '='), *times;

		if (value == NULL)
			continue;
		*value++ = '\0';
		f->name = at;
		f->every = strtoul(value, &times, 10);
		f->times = *times == '*' ? strtoul(times + 1, NULL, 10) : ULONG_MAX;
		n_faults += f->every > 0;
	}
}

bool
fault_now(const char *name)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, read_faults);
	for (int i = 0; i < n_faults; i++) {
		struct fault *f = &faults[i];
		unsigned long hit;

		if (strcmp(f->name, name) != 0 ||
		    (atomic_fetch_add(&f->asked, 1) + 1) % f->every != 0)
			continue;
		hit = atomic_fetch_add(&f->hit, 1);
		if (hit == 0)
			log_line(LOG_NOTICE, "fault", "name", name, NULL);
		return hit < f->times;
	}
	return false;
}

static bool
at(const char *how, const char *step, const char *moment)
{
	char name[100];

	snprintf(name, sizeof name, "%s@%s.%s", how, step, moment);
	return fault_now(name);
}

void
fault_at(const char *step, const char *moment)
{
	/* SIGALRM's own effect is the end, as sudden as SIGKILL */
	const struct itimerval soon = {.it_value = {.tv_usec = 3000}};

	if (at("kill", step, moment))
		raise(SIGKILL);
	if (at("late", step, moment))
		setitimer(ITIMER_REAL, &soon, NULL);
	if (at("stop", step, moment))
		raise(SIGSTOP);
}

#else
typedef int fault_is_not_built_in; /* an empty file is none */
#endif
