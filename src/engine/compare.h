/* The parts of vl2_compare: are the models comparable, and what was found. */
#ifndef ENGINE_COMPARE_H
#define ENGINE_COMPARE_H

#include "engine/model.h"

/* Refuses models that do not compute the same function of the same tokens and tiles but for their
 * weights: VL2_ERROR_ARGUMENT names the first field of the configuration, or token, that
 * differs. */
vl2_status compare_models(const vl2_model *a, const vl2_model *b, vl2_error *error);

/* Adds rows [count, width] of both; updates the error. */
void deviation_add(vl2_deviation *deviation, const float *a, const float *b, size_t count,
                   size_t width);

/* Fills best and logarithms of a token from the logits [count] of both, and the divergence. If
 * token->token is negative it becomes A's best. */
void compare_logits(const float *a, const float *b, size_t count, vl2_compared_token *token);

/* Adds a comparison of one conversation to others. VL2_ERROR_ARGUMENT if it is of another number of
 * layers, VL2_ERROR_MEMORY; `to` is untouched then. */
vl2_status comparison_append(vl2_comparison *to, const vl2_comparison *one, vl2_error *error);

#endif
