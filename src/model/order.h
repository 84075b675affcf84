/* Ids by falling number: what qsort does, for a whole vocabulary at every token. */
#ifndef MODEL_ORDER_H
#define MODEL_ORDER_H

#include <stddef.h>
#include <stdint.h>

/* ids [count], rising, become ordered by falling numbers[id], a tie by id; no number is NaN. space
 * [count]. */
void order_falling(const float *numbers, int32_t *ids, int32_t *space, size_t count);

#endif
