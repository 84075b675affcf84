/* What vl2_compare found: distances, and their accumulation and summary. */
#include "engine/compare.h"
#include "engine/numbers.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------- distances */

static void update_error(vl2_deviation *deviation)
{
    deviation->error =
        deviation->rows > 0 ? sqrt(deviation->squares / (double)deviation->rows) : 0;
}

/* |b - a|^2 / |a|^2. Where A is zero all over, another B is as far off as it is large: 1. */
static double row_deviation(const float *a, const float *b, size_t width)
{
    double size = 0, distance = 0;
    for (size_t i = 0; i < width; i++) {
        double difference = (double)b[i] - (double)a[i];
        size += (double)a[i] * (double)a[i];
        distance += difference * difference;
    }
    return distance == 0 ? 0 : size == 0 ? 1 : distance / size;
}

void deviation_add(vl2_deviation *deviation, const float *a, const float *b, size_t count,
                   size_t width)
{
    for (size_t row = 0; row < count; row++) {
        deviation->squares += row_deviation(a + row * width, b + row * width, width);
    }
    deviation->rows += count;
    update_error(deviation);
}

/* A softmax in double: log p(i) = logits[i] - shift. */
typedef struct distribution {
    double shift;
    int32_t best; /* the first of the largest */
} distribution;

static distribution distribution_of(const float *logits, size_t count)
{
    size_t best = 0;
    double sum = 0;
    for (size_t i = 1; i < count; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    for (size_t i = 0; i < count; i++) {
        sum += exp((double)logits[i] - (double)logits[best]);
    }
    return (distribution){(double)logits[best] + log(sum), (int32_t)best};
}

void compare_logits(const float *a, const float *b, size_t count, vl2_compared_token *token)
{
    distribution of_a = distribution_of(a, count), of_b = distribution_of(b, count);
    double divergence = 0;
    for (size_t i = 0; i < count; i++) {
        double log_a = (double)a[i] - of_a.shift, log_b = (double)b[i] - of_b.shift;
        double p = exp(log_a);
        divergence += p != 0 ? p * (log_a - log_b) : 0;
    }
    if (token->token < 0) {
        token->token = of_a.best;
    }
    token->best_a = of_a.best;
    token->best_b = of_b.best;
    token->log_a = (double)a[token->token] - of_a.shift;
    token->log_b = (double)b[token->token] - of_b.shift;
    token->divergence = divergence < 0 ? 0 : divergence; /* below zero by rounding only */
}

/* ------------------------------------------------------------------------------- accumulating */

void vl2_comparison_clear(vl2_comparison *comparison)
{
    base_free(comparison->tokens);
    base_free(comparison->layers);
    memset(comparison, 0, sizeof(*comparison));
}

static void deviation_merge(vl2_deviation *to, const vl2_deviation *from)
{
    to->rows += from->rows;
    to->squares += from->squares;
    update_error(to);
}

vl2_status comparison_append(vl2_comparison *to, const vl2_comparison *one, vl2_error *error)
{
    if (to->layer_count != 0 && to->layer_count != one->layer_count) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "comparison: found one of models with %zu layers, expected %zu",
                        to->layer_count, one->layer_count);
    }
    if (to->layer_count == 0) {
        to->layers = base_calloc(one->layer_count, sizeof(*to->layers));
        if (to->layers == NULL) {
            return vl2_fail_memory(error, "a comparison", one->layer_count * sizeof(*to->layers));
        }
        to->layer_count = one->layer_count;
    }
    vl2_compared_token *tokens =
        base_realloc(to->tokens, to->token_count + one->token_count, sizeof(*tokens));
    if (tokens == NULL) {
        return vl2_fail_memory(error, "a comparison",
                               (to->token_count + one->token_count) * sizeof(*tokens));
    }
    to->tokens = tokens;
    for (size_t i = 0; i < one->token_count; i++) {
        tokens[to->token_count] = one->tokens[i];
        tokens[to->token_count++].conversation = to->conversations;
    }
    for (size_t i = 0; i < one->layer_count; i++) {
        deviation_merge(&to->layers[i].hidden, &one->layers[i].hidden);
        to->layers[i].choices += one->layers[i].choices;
        to->layers[i].equal += one->layers[i].equal;
    }
    deviation_merge(&to->vision, &one->vision);
    deviation_merge(&to->projector, &one->projector);
    deviation_merge(&to->embedding, &one->embedding);
    to->conversations++;
    return VL2_OK;
}

/* ------------------------------------------------------------------------------- summary */

/* What is not a number counts as the largest. */
static bool belongs(const vl2_compared_token *token, vl2_compared_part part)
{
    return part == VL2_COMPARED_ALL || token->answer == (part == VL2_COMPARED_ANSWER);
}

vl2_status vl2_comparison_summarize(const vl2_comparison *comparison, vl2_compared_part part,
                                    vl2_comparison_summary *summary, vl2_error *error)
{
    double *sorted = base_malloc(comparison->token_count, sizeof(*sorted));
    if (sorted == NULL) {
        return vl2_fail_memory(error, "a summary", comparison->token_count * sizeof(*sorted));
    }
    size_t count = 0, agreed = 0;
    double sum = 0, sum_a = 0, sum_b = 0;
    for (size_t i = 0; i < comparison->token_count; i++) {
        const vl2_compared_token *token = &comparison->tokens[i];
        if (belongs(token, part)) {
            sorted[count++] = token->divergence;
            sum += token->divergence;
            sum_a += token->log_a;
            sum_b += token->log_b;
            agreed += token->best_a == token->best_b;
        }
    }
    *summary = (vl2_comparison_summary){.tokens = count};
    if (count > 0) {
        double all = (double)count;
        numbers_sort(sorted, count);
        summary->mean = sum / all;
        summary->median = numbers_median(sorted, count);
        summary->p99 = numbers_percentile(sorted, count, 99);
        summary->max = sorted[count - 1];
        summary->agreement = (double)agreed / all;
        summary->perplexity_a = exp(-sum_a / all);
        summary->perplexity_b = exp(-sum_b / all);
    }
    base_free(sorted);
    return VL2_OK;
}
