/* How much each input of each matrix counts when it is quantized: a safetensors file that has,
 * under the name of a weight [rows, columns], an F32 vector [columns], the mean squared activation
 * of each input, and beside a router's weight, as gate.answer_counts, an F32 vector [experts]: how
 * many tokens of answers chose each expert. vl2 calibrate writes it. */
#ifndef WEIGHTS_IMPORTANCE_H
#define WEIGHTS_IMPORTANCE_H

#include "weights/checkpoint.h"

#include <stdbool.h>

/* Immutable: may be used by several threads at once. */
typedef struct importance importance;

/* Opens a file and compares it with the checkpoint that it is for; names that the checkpoint does
 * not have are skipped. VL2_ERROR_MODEL with a message that names file, weight, found and expected:
 * not a safetensors file, a vector of another type or length, a number below 0 or not finite, no
 * entry that the checkpoint has. VL2_ERROR_MEMORY. */
vl2_status importance_open(const char *path, const checkpoint *checkpoint, importance **opened,
                           vl2_error *error);
void importance_close(importance *importance); /* NULL is allowed */

/* Writes the importance of the inputs of `weight` to out [product of shape[1] ...]. An expert
 * without an entry, or with all 0 because no token reached it, takes the mean of the experts of its
 * layer that have one, for the same part (gate, up, down). False if there is none. */
bool importance_get(const importance *importance, const tensor_view *weight, float *out);

/* Tokens of answers that chose the routed expert to which a weight of this name belongs; 0 if the
 * file does not say. */
uint64_t importance_uses(const importance *importance, const char *name);

#endif
