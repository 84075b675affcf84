/* The gate of a mixture-of-experts layer (modeling_deepseek.py, MoEGate), in float32 throughout. */
#ifndef MODEL_ROUTER_H
#define MODEL_ROUTER_H

#include "model/config.h"

#include <stddef.h>
#include <stdint.h>

/* logits [experts] of one token become scores in place (softmax or sigmoid, without the bias). Then
 * the experts_per_token best are chosen, a tie going to the lower id: ids and weights
 * [experts_per_token], by falling weight; the weights are final, normalized and scaled.
 * bias [experts] is e_score_correction_bias, NULL unless noaux_tc. space: [2 * experts] floats.
 * Groups: a group's score is its best score, or for noaux_tc the sum of its two best biased scores;
 * experts of groups that were not chosen compete with a score of 0, as in the reference; where one
 * of them wins under group_limited_greedy, 0 is its weight as well. */
void router_choose(const gate_config *gate, float *logits, const float *bias, float *space,
                   int32_t *ids, float *weights);

#endif
