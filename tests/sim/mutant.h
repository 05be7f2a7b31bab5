/* tests/sim/mutant.h: included ahead of router/txn's files when they are built for the simulator. */
#ifndef WEIR_TESTS_SIM_MUTANT_H
#define WEIR_TESTS_SIM_MUTANT_H

enum sim_mutant {
	MUTANT_NONE,
#define MUTANT_OF(id, doc) MUTANT_##id,
#include "tests/sim/mutants.def"
	MUTANTS
};

extern enum sim_mutant sim_mutant;

#define MUTANT(name) (sim_mutant == MUTANT_##name)

#endif
