/* From logits to the next token, in the order of the reference's generate (transformers 4.38.2):
 * repetition penalty, temperature, top-k, top-p, then min-p. */
#ifndef MODEL_SAMPLER_H
#define MODEL_SAMPLER_H

#include "base/error.h"

typedef struct sampler {
    vl2_sampling options;
    size_t vocabulary;
    uint64_t random;   /* state of the generator */
    uint8_t *seen;     /* [vocabulary]: 1 if the penalty covers this id */
    float *logits;     /* [vocabulary] */
    int32_t *order;    /* [vocabulary]: ids that may come, most probable first */
    int32_t *space;    /* [vocabulary] */
    float *probabilities; /* [vocabulary], beside order */
} sampler;

vl2_status sampler_open(const vl2_sampling *options, size_t vocabulary, sampler *sampler,
                        vl2_error *error);
void sampler_close(sampler *sampler);

/* VL2_ERROR_ARGUMENT names the option that is out of its range. */
vl2_status sampler_check(const vl2_sampling *options, vl2_error *error);

/* The repetition penalty covers this id from now on, once however often it comes. Ids outside the
 * vocabulary are ignored. */
void sampler_note(sampler *sampler, int32_t id);

/* Applies the filters to logits [vocabulary] (left as they are). The survivors stand in
 * sampler->order and sampler->probabilities, by falling probability, a tie by id; returns how many,
 * at least 1. Under greedy sampling it is the best one. */
size_t sampler_filter(sampler *sampler, const float *logits);

/* The next token: filters, then draws. */
int32_t sampler_next(sampler *sampler, const float *logits);

#endif
