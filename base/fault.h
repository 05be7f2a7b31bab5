/* base/fault.h: bad conditions for tests: a place in the code asks whether it shall fail now.
 *   WEIR_FAULTS="NAME=EVERY[*TIMES],…": each EVERY-th time that NAME is asked for, TIMES in all (else without end).
 *   FAULT_AT(STEP, MOMENT) is a place where the process dies or freezes: names kill@STEP.MOMENT (SIGKILL), late@… (killed a few
 *   milliseconds later, so that what this turn of the loop sends is on its way), stop@… (SIGSTOP; the test wakes it).
 * Thread:  any. Memory: none.
 * Builds:  with -DWEIR_FAULTS (asan, tsan) only; in others FAULT() is `false` and costs nothing.
 * Names:   send.short, send.eintr, wait.eintr, recv.eintr (epoll), recv.enobufs (io_uring), ring.setup, ring.buffers, accept.emfile,
 *          accept.enfile, tls.write, dial.connect, reply.lost. The first hit of each is logged.
 *          Places: the states of router/txn/txn_state.def with send and reply, SETTLING.ask, OVER.over (session/ending.c), recovery.step. */
#ifndef WEIR_BASE_FAULT_H
#define WEIR_BASE_FAULT_H

#include <stdbool.h>

#ifdef WEIR_FAULTS
bool fault_now(const char *name);
void fault_at(const char *step, const char *moment);
#define FAULT(name)            fault_now(name)
#define FAULT_AT(step, moment) fault_at(step, moment)
#else
#define FAULT(name)            false
#define FAULT_AT(step, moment) ((void)0)
#endif

#endif
