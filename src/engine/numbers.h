/* Numbers in order: medians and percentiles. */
#ifndef ENGINE_NUMBERS_H
#define ENGINE_NUMBERS_H

#include <stddef.h>

/* The smallest first, what is no number last. */
void numbers_sort(double *numbers, size_t count);

/* Of sorted numbers, count at least 1: the one in the middle, or the mean of the two there. */
double numbers_median(const double *sorted, size_t count);
/* The nearest rank: the least of them that `percent` % do not exceed, 1 to 100. */
double numbers_percentile(const double *sorted, size_t count, size_t percent);

#endif
