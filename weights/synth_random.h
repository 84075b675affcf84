/* Normally distributed numbers, each computed from its place alone, so that any part of a tensor
 * can be filled by any thread. */
#ifndef WEIGHTS_SYNTH_RANDOM_H
#define WEIGHTS_SYNTH_RANDOM_H

#include "base/tensor.h"

/* A number is the quantile of one of this many equal slices of the normal distribution: 16 random
 * bits, so that 64 bits give four. The outermost are at 4.3 standard deviations. */
#define SYNTH_QUANTILES ((size_t)65536)
#define SYNTH_PER_DRAW  ((size_t)4)

/* Fills quantiles[SYNTH_QUANTILES] of mean 0 and deviation 1, in rising order: a table to
 * share. */
void synth_quantiles(float *quantiles);

/* Converts mean + deviation * quantile to `type`, into table[SYNTH_QUANTILES]. */
void synth_table(const float *quantiles, double mean, double deviation, data_type type,
                 void *table);

/* A tensor's own seed. */
uint64_t synth_key(uint64_t seed, const char *name);

/* Which quantile element `index` of the tensor with this key takes. */
uint16_t synth_pick(uint64_t key, uint64_t index);

/* Elements first to first + count - 1 into out, by the tensor's table. `first` is a multiple of
 * SYNTH_PER_DRAW. */
void synth_fill(uint64_t key, const void *table, data_type type, uint64_t first, size_t count,
                void *out);

/* `count` random bytes, those of draw `first`, first + 1, ... of this key, eight of each. */
void synth_bytes(uint64_t key, uint64_t first, size_t count, void *out);

#endif
