/* base/fault.h: bad conditions for tests: a place in the code asks whether it shall fail now.
 *   WEIR_FAULTS="NAME=EVERY[*TIMES],…": each EVERY-th time that NAME is asked for, TIMES in all (else without end).
 * Thread:  any. Memory: none.
 * Builds:  with -DWEIR_FAULTS (asan, tsan) only; in others FAULT() is `false` and costs nothing.
 * Names:   send.short, send.eintr, wait.eintr, recv.eintr (epoll), recv.enobufs (io_uring), ring.setup, ring.buffers, accept.emfile,
 *          accept.enfile, tls.write, dial.connect, reply.lost. The first hit of each is logged. */
#ifndef WEIR_BASE_FAULT_H
#define WEIR_BASE_FAULT_H

#include <stdbool.h>

#ifdef WEIR_FAULTS
bool fault_now(const char *name);
#define FAULT(name) fault_now(name)
#else
#define FAULT(name) false
#endif

#endif
