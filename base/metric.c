#include "base/metric.h"

/* Values below 4 have a bucket each. Above, the position of the highest bit and the two
 * bits behind it choose. */
unsigned
histogram_bucket_of(uint64_t us)
{
	unsigned octave, bucket;

	if (us < 4)
		return (unsigned)us;
	octave = 63 - (unsigned)__builtin_clzll(us);
	bucket = (octave - 1) * 4 + (unsigned)((us >> (octave - 2)) & 3);
	return bucket < HISTOGRAM_BUCKETS - 1 ? bucket : HISTOGRAM_BUCKETS - 1;
}

static uint64_t
lower_us(unsigned bucket)
{
	if (bucket < 4)
		return bucket;
	return (uint64_t)(4 + bucket % 4) << (bucket / 4 - 1);
}

uint64_t
histogram_upper_us(unsigned bucket)
{
	return bucket >= HISTOGRAM_BUCKETS - 1 ? UINT64_MAX : lower_us(bucket + 1) - 1;
}

void
histogram_record(struct histogram *h, uint64_t us)
{
	counter_add(&h->bucket[histogram_bucket_of(us)], 1);
	counter_add(&h->sum_us, us);
}

void
histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		counter_add(&into->bucket[i], counter_get(&from->bucket[i]));
	counter_add(&into->sum_us, counter_get(&from->sum_us));
}

uint64_t
histogram_count(const struct histogram *h)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		n += counter_get(&h->bucket[i]);
	return n;
}

uint64_t
histogram_sum_us(const struct histogram *h)
{
	return counter_get(&h->sum_us);
}

double
histogram_quantile(const struct histogram *h, double q)
{
	uint64_t n[HISTOGRAM_BUCKETS], total = 0;
	double rank, below = 0;
	unsigned last = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		n[i] = counter_get(&h->bucket[i]);
		total += n[i];
		if (n[i] > 0)
			last = i;
	}
	if (total == 0)
		return 0;
	rank = (q < 0 ? 0 : q > 1 ? 1 : q) * (double)total;
	for (unsigned i = 0; i < last; i++) {
		if (n[i] > 0 && below + (double)n[i] >= rank) {
			double width = (double)(histogram_upper_us(i) - lower_us(i));

			return (double)lower_us(i) +
			    width * (rank - below) / (double)n[i];
		}
		below += (double)n[i];
	}
	if (last == HISTOGRAM_BUCKETS - 1)
		return (double)lower_us(last);
	return (double)lower_us(last) +
	    (double)(histogram_upper_us(last) - lower_us(last)) * (rank - below) /
	    (double)n[last];
}
