#include "model/router.h"

#include <math.h>
#include <string.h>

static void score(gate_scoring scoring, float *x, int count)
{
    if (scoring == GATE_SIGMOID) {
        for (int i = 0; i < count; i++) {
            x[i] = 1.0f / (1.0f + expf(-x[i]));
        }
        return;
    }
    float largest = x[0], sum = 0;
    for (int i = 1; i < count; i++) {
        largest = x[i] > largest ? x[i] : largest;
    }
    for (int i = 0; i < count; i++) {
        x[i] = expf(x[i] - largest);
        sum += x[i];
    }
    for (int i = 0; i < count; i++) {
        x[i] /= sum;
    }
}

/* The index of the largest value that is not taken yet, and that value; taken ones are NAN. Never
 * fails: without any number left (a broken model) it is the first. */
static int take_best(float *values, int count, float *value)
{
    int best = -1;
    for (int i = 0; i < count; i++) {
        if (!isnan(values[i]) && (best < 0 || values[i] > values[best])) {
            best = i;
        }
    }
    best = best < 0 ? 0 : best;
    *value = values[best];
    values[best] = NAN;
    return best;
}

static float group_score(const gate_config *gate, const float *choice, int group)
{
    int size = gate->experts / gate->groups;
    const float *scores = choice + group * size;
    float best = -INFINITY, second = -INFINITY;
    for (int i = 0; i < size; i++) {
        if (scores[i] > best) {
            second = best;
            best = scores[i];
        } else if (scores[i] > second) {
            second = scores[i];
        }
    }
    return gate->method == GATE_NOAUX_TC ? best + second : best;
}

/* Sets the scores of all groups but the best groups_per_token to 0. */
static void mask_groups(const gate_config *gate, float *choice, float *group_scores)
{
    int size = gate->experts / gate->groups;
    for (int i = 0; i < gate->groups; i++) {
        group_scores[i] = group_score(gate, choice, i);
    }
    for (int i = 0; i < gate->groups_per_token; i++) {
        float best;
        take_best(group_scores, gate->groups, &best);
    }
    for (int i = 0; i < gate->groups; i++) {
        if (!isnan(group_scores[i])) {
            memset(choice + i * size, 0, (size_t)size * sizeof(float));
        }
    }
}

void router_choose(const gate_config *gate, float *logits, const float *bias, float *space,
                   int32_t *ids, float *weights)
{
    int experts = gate->experts;
    float *choice = space, *group_scores = space + experts;
    score(gate->scoring, logits, experts);
    for (int i = 0; i < experts; i++) {
        choice[i] = logits[i] + (bias != NULL ? bias[i] : 0.0f);
    }
    if (gate->method != GATE_GREEDY) {
        mask_groups(gate, choice, group_scores);
    }
    float sum = 0;
    for (int i = 0; i < gate->experts_per_token; i++) {
        float weight;
        int32_t id = take_best(choice, experts, &weight);
        if (gate->method == GATE_NOAUX_TC) {
            weight = logits[id]; /* without the bias, and also where the group is masked */
        }
        sum += weight;
        /* With a bias the order of choice is not that of the weights. */
        int at = i;
        for (; at > 0 && weights[at - 1] < weight; at--) {
            ids[at] = ids[at - 1];
            weights[at] = weights[at - 1];
        }
        ids[at] = id;
        weights[at] = weight;
    }
    for (int i = 0; i < gate->experts_per_token; i++) {
        if (gate->experts_per_token > 1 && gate->normalize) {
            weights[i] = weights[i] / (sum + 1e-20f);
        }
        weights[i] *= gate->scaling;
    }
}
