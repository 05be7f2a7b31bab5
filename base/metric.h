/* base/metric.h: counters and latency histograms that are written without locks and read
 * while they are written. Thread:  one writer each (but *_shared), any reader. A reader
 * may see one event in a sum and not yet in a count. Memory:  embedded in their owner;
 * all zero is a valid start. Buckets: microseconds, four to an octave (exact below 8), up
 * to 134 s; the last takes all that is longer. */
#ifndef WEIR_BASE_METRIC_H
#define WEIR_BASE_METRIC_H

#include <stdatomic.h>
#include <stdint.h>

struct counter {
	_Atomic uint64_t n;
};

/* By the only writer: no locked instruction. */
static inline void
counter_add(struct counter *c, uint64_t n)
{
	uint64_t now = atomic_load_explicit(&c->n, memory_order_relaxed);

	atomic_store_explicit(&c->n, now + n, memory_order_relaxed);
}

/* By any of several writers. */
static inline void
counter_add_shared(struct counter *c, uint64_t n)
{
	atomic_fetch_add_explicit(&c->n, n, memory_order_relaxed);
}

static inline uint64_t
counter_get(const struct counter *c)
{
	return atomic_load_explicit(&c->n, memory_order_relaxed);
}

#define HISTOGRAM_BUCKETS 105

struct histogram {
	struct counter bucket[HISTOGRAM_BUCKETS];
	struct counter sum_us;
};

void histogram_record(struct histogram *, uint64_t us);
/* `into` is the caller's own (a scratch copy of a reader). */
void histogram_merge(struct histogram *into, const struct histogram *from);
uint64_t histogram_count(const struct histogram *);
uint64_t histogram_sum_us(const struct histogram *);
/* The largest value of a bucket, inclusive; UINT64_MAX for the last. */
uint64_t histogram_upper_us(unsigned bucket);
unsigned histogram_bucket_of(uint64_t us);
/* q in [0, 1]; interpolated inside the bucket, so at most an eighth off the middle of it.
 * 0 when it is empty. */
double histogram_quantile(const struct histogram *, double q);

#endif
