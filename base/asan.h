/* base/asan.h: WEIR_ASAN is defined in a build under AddressSanitizer, by gcc or clang.
 * Memory that is kept for reuse elsewhere is then given back at once, so that a use after
 * its end is seen; what stays ours is poisoned by hand. */
#ifndef WEIR_BASE_ASAN_H
#define WEIR_BASE_ASAN_H

#if defined(__SANITIZE_ADDRESS__)
#define WEIR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_ASAN 1
#endif
#endif

#if defined(WEIR_ASAN)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#endif
