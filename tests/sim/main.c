/* The simulator's command line. */
#include "tests/sim/sim.h"

#include <getopt.h>
#include <stdlib.h>

enum sim_mutant sim_mutant;
uint64_t sim_counts[COUNTS];

static const struct {
	const char *name, *doc;
} mutants[] = {
    {"none", ""},
#define MUTANT_OF(id, doc) {#id, doc},
#include "tests/sim/mutants.def"
};

static int
usage(FILE *f, int code)
{
	fputs(
	    "Usage: sim [--seeds N] [--first SEED] [--mutant NAME] [--trace] [--counts]\n"
	    "       sim --mutants [--seeds N]\n\n"
	    "Runs N seeds (default 1000) from SEED (default 1) on; the first that goes wrong ends it.\n"
	    "--trace tells what happens, --counts how often it has. --mutants makes the algorithm wrong in each of the ways of\n"
	    "tests/sim/mutants.def, and fails if N seeds do not find one of them.\n",
	    f);
	return code;
}

/* The seed that went wrong; 0: none. */
static uint64_t
run(uint64_t first, uint64_t n, bool trace)
{
	for (uint64_t seed = first; seed < first + n; seed++)
		if (!world_run(seed, trace))
			return seed;
	return 0;
}

static void
print_counts(void)
{
	static const char *const names[] = {"told: committed", "told: rolled back",
	    "told: a server's error", "told: failed", "told: unknown",
	    "decided by an anchor", "settled: commit", "settled: abort",
	    "settled: unknown", "recovery was first", "an insert waited", "failed over",
	    "removed: commit", "removed: abort"};

	for (int i = 0; i < COUNTS; i++)
		printf("%10llu  %s%s\n", (unsigned long long)sim_counts[i],
		    i < COUNT_RECOVERED ? "" : "recovery: ",
		    i < COUNT_RECOVERED ? names[i]
					: recover_result_name((enum recover_result)(
					      i - COUNT_RECOVERED)));
}

static int
run_mutants(uint64_t n)
{
	int missed = 0;

	for (int m = 1; m < MUTANTS; m++) {
		uint64_t seed;

		sim_mutant = (enum sim_mutant)m;
		seed = run(1, n, false);
		if (seed == 0)
			printf("%-20s NOT FOUND in %llu seeds: %s\n", mutants[m].name,
			    (unsigned long long)n, mutants[m].doc);
		else
			printf("%-20s seed %-6llu %s\n", mutants[m].name,
			    (unsigned long long)seed, world.failure);
		fflush(stdout);
		missed += seed == 0;
	}
	return missed == 0 ? 0 : 1;
}

static bool
choose_mutant(const char *name)
{
	for (int m = 1; m < MUTANTS; m++)
		if (strcmp(mutants[m].name, name) == 0) {
			sim_mutant = (enum sim_mutant)m;
			return true;
		}
	return false;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {{"seeds", required_argument, NULL, 'n'},
	    {"first", required_argument, NULL, 'f'},
	    {"mutant", required_argument, NULL, 'm'}, {"mutants", no_argument, NULL, 'M'},
	    {"trace", no_argument, NULL, 't'}, {"counts", no_argument, NULL, 'c'},
	    {NULL, 0, NULL, 0}};
	uint64_t n = 1000, first = 1, seed;
	bool all = false, trace = false, counts = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'n')
			n = strtoull(optarg, NULL, 10);
		else if (c == 'f')
			first = strtoull(optarg, NULL, 10);
		else if (c == 'M')
			all = true;
		else if (c == 't')
			trace = true;
		else if (c == 'c')
			counts = true;
		else if (c != 'm' || !choose_mutant(optarg))
			return usage(stderr, 2);
	}
	if (all)
		return run_mutants(n);
	seed = run(first, n, trace);
	if (counts)
		print_counts();
	if (seed == 0) {
		printf("%llu seeds, nothing wrong\n", (unsigned long long)n);
		return 0;
	}
	printf("seed %llu: %s\n", (unsigned long long)seed, world.failure);
	printf("    sim --first %llu --seeds 1 --trace\n", (unsigned long long)seed);
	return 1;
}
