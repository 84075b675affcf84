#include "model/sampler.h"

#include "base/alloc.h"
#include "model/order.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

vl2_status sampler_check(const vl2_sampling *options, vl2_error *error)
{
    const struct {
        const char *name;
        double value, minimum, maximum;
    } ranges[] = {
        {"temperature", options->temperature, 0, 1000},
        {"top_k", options->top_k, 0, INT32_MAX},
        {"top_p", options->top_p, 0, 1},
        {"min_p", options->min_p, 0, 1},
        {"repetition_penalty", options->repetition_penalty, 1e-3, 1000},
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        if (!(ranges[i].value >= ranges[i].minimum && ranges[i].value <= ranges[i].maximum)) {
            return vl2_fail(error, VL2_ERROR_ARGUMENT, "%s: found %g, expected %g to %g",
                            ranges[i].name, ranges[i].value, ranges[i].minimum, ranges[i].maximum);
        }
    }
    return VL2_OK;
}

vl2_status sampler_open(const vl2_sampling *options, size_t vocabulary, sampler *sampler,
                        vl2_error *error)
{
    vl2_status status = sampler_check(options, error);
    if (status != VL2_OK) {
        return status;
    }
    *sampler = (struct sampler){.options = *options, .vocabulary = vocabulary,
                                .random = options->seed};
    sampler->seen = base_calloc(vocabulary, 1);
    sampler->logits = base_malloc(vocabulary, sizeof(float));
    sampler->order = base_malloc(vocabulary, sizeof(int32_t));
    sampler->space = base_malloc(vocabulary, sizeof(int32_t));
    sampler->probabilities = base_malloc(vocabulary, sizeof(float));
    if (sampler->seen == NULL || sampler->logits == NULL || sampler->order == NULL ||
        sampler->space == NULL || sampler->probabilities == NULL) {
        sampler_close(sampler);
        return vl2_fail_memory(error, "the sampler", vocabulary * 17);
    }
    return VL2_OK;
}

void sampler_close(sampler *sampler)
{
    base_free(sampler->seen);
    base_free(sampler->logits);
    base_free(sampler->order);
    base_free(sampler->space);
    base_free(sampler->probabilities);
    memset(sampler, 0, sizeof(*sampler));
}

void sampler_note(sampler *sampler, int32_t id)
{
    if (id >= 0 && (size_t)id < sampler->vocabulary) {
        sampler->seen[id] = 1;
    }
}

/* A copy of the logits with the penalty; a NaN (a broken model) counts as impossible. */
static void penalize(sampler *sampler, const float *logits)
{
    float penalty = (float)sampler->options.repetition_penalty;
    for (size_t i = 0; i < sampler->vocabulary; i++) {
        float x = isnan(logits[i]) ? -INFINITY : logits[i];
        if (sampler->seen[i] && penalty != 1.0f) {
            x = x < 0 ? x * penalty : x / penalty;
        }
        sampler->logits[i] = x;
    }
}

/* The first one if there are several, or none but NaN and -infinity. */
static size_t best_token(const float *logits, size_t count)
{
    size_t best = 0;
    float largest = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        if (logits[i] > largest) {
            largest = logits[i];
            best = i;
        }
    }
    return best;
}

static int compare_falling(const void *a, const void *b)
{
    float left = *(const float *)a, right = *(const float *)b;
    return left > right ? -1 : left < right;
}

/* The k-th largest logit: what top-k keeps is not below it. probabilities serves as space. */
static float threshold(sampler *sampler, size_t k)
{
    float *space = sampler->probabilities;
    memcpy(space, sampler->logits, sampler->vocabulary * sizeof(float));
    size_t low = 0, high = sampler->vocabulary;
    /* Quickselect, falling, with the middle as pivot; small ranges are sorted. */
    while (high - low > 64) {
        float pivot = space[low + (high - low) / 2];
        size_t i = low, j = high - 1;
        while (i <= j) {
            while (space[i] > pivot) {
                i++;
            }
            while (space[j] < pivot) {
                j--;
            }
            if (i <= j) {
                float swap = space[i];
                space[i++] = space[j];
                space[j] = swap;
                if (j == 0) {
                    break;
                }
                j--;
            }
        }
        if (k - 1 <= j) {
            high = j + 1;
        } else if (k - 1 >= i) {
            low = i;
        } else {
            return space[k - 1];
        }
    }
    qsort(space + low, high - low, sizeof(float), compare_falling);
    return space[k - 1];
}

/* Writes the ids that top-k keeps (ties with the last included, as the reference does) into order,
 * by falling logit. */
static size_t keep_top_k(sampler *sampler)
{
    size_t k = (size_t)sampler->options.top_k, count = 0;
    float least = -INFINITY;
    if (k > 0 && k < sampler->vocabulary) {
        least = threshold(sampler, k);
    }
    for (size_t i = 0; i < sampler->vocabulary; i++) {
        if (sampler->logits[i] >= least && sampler->logits[i] > -INFINITY) {
            sampler->order[count++] = (int32_t)i;
        }
    }
    order_falling(sampler->logits, sampler->order, sampler->space, count);
    return count;
}

static void softmax_candidates(sampler *sampler, size_t count)
{
    double sum = 0;
    float largest = sampler->logits[sampler->order[0]];
    for (size_t i = 0; i < count; i++) {
        sampler->probabilities[i] = expf(sampler->logits[sampler->order[i]] - largest);
        sum += sampler->probabilities[i];
    }
    for (size_t i = 0; i < count; i++) {
        sampler->probabilities[i] = (float)(sampler->probabilities[i] / sum);
    }
}

/* Drops from the improbable end while what would be left out stays within 1 - top_p. */
static size_t keep_top_p(const sampler *sampler, size_t count)
{
    double left_out = 0;
    while (count > 1) {
        left_out += sampler->probabilities[count - 1];
        if (left_out > 1.0 - sampler->options.top_p) {
            break;
        }
        count--;
    }
    return count;
}

static size_t keep_one(sampler *sampler, size_t id)
{
    sampler->order[0] = (int32_t)id;
    sampler->probabilities[0] = 1;
    return 1;
}

size_t sampler_filter(sampler *sampler, const float *logits)
{
    float temperature = (float)sampler->options.temperature;
    if (!(temperature > 0) && sampler->options.repetition_penalty == 1) {
        return keep_one(sampler, best_token(logits, sampler->vocabulary));
    }
    penalize(sampler, logits);
    size_t best = best_token(sampler->logits, sampler->vocabulary);
    /* Too cold for float32, or without any finite logit: nothing but the best can be told apart. */
    if (!(temperature > 0) || !isfinite(sampler->logits[best] / temperature)) {
        return keep_one(sampler, best);
    }
    for (size_t i = 0; i < sampler->vocabulary; i++) {
        sampler->logits[i] /= temperature;
    }
    size_t count = keep_top_k(sampler);
    softmax_candidates(sampler, count);
    if (sampler->options.top_p < 1) {
        count = keep_top_p(sampler, count);
        softmax_candidates(sampler, count);
    }
    if (sampler->options.min_p > 0) {
        float least = (float)sampler->options.min_p * sampler->probabilities[0];
        while (count > 1 && sampler->probabilities[count - 1] < least) {
            count--;
        }
        softmax_candidates(sampler, count);
    }
    return count;
}

/* SplitMix64 (Steele, Lea, Flood 2014): uniform in [0, 1). */
static double draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

int32_t sampler_next(sampler *sampler, const float *logits)
{
    size_t count = sampler_filter(sampler, logits);
    if (count == 1) {
        return sampler->order[0];
    }
    double at = draw(&sampler->random);
    for (size_t i = 0; i + 1 < count; i++) {
        at -= sampler->probabilities[i];
        if (at < 0) {
            return sampler->order[i];
        }
    }
    return sampler->order[count - 1];
}
