#include "weights/residency.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

#define LARGEST_UNIT 1e18 /* counts are scaled down from here */

bool residency_open(size_t layers, size_t experts, residency *residency)
{
    *residency = (struct residency){.layers = layers, .experts = experts, .unit = 1,
                                    .half_life = RESIDENCY_HALF_LIFE,
                                    .prompt = RESIDENCY_PROMPT};
    residency->uses = base_calloc(layers * experts, sizeof(*residency->uses));
    residency->spare = base_calloc(layers * experts, sizeof(*residency->spare));
    return residency->uses != NULL && residency->spare != NULL;
}

void residency_close(residency *residency)
{
    base_free(residency->uses);
    base_free(residency->spare);
    memset(residency, 0, sizeof(*residency));
}

void residency_know(residency *residency, size_t expert, double share)
{
    residency->uses[expert] = (float)(residency->unit * share * RESIDENCY_KNOWN);
}

/* Tokens that a pass counts for. */
static double weight_of(const residency *residency, size_t rows)
{
    return (double)rows < residency->prompt ? (double)rows : residency->prompt;
}

void residency_begin(residency *residency, size_t rows)
{
    double passes = residency->half_life * (double)residency->layers;
    residency->unit *= exp2(weight_of(residency, rows) / passes);
    if (residency->unit < LARGEST_UNIT) {
        return;
    }
    for (size_t i = 0; i < residency->layers * residency->experts; i++) {
        residency->uses[i] = (float)(residency->uses[i] / residency->unit);
    }
    residency->unit = 1;
}

void residency_use(residency *residency, size_t expert, size_t rows, size_t of)
{
    double share = (double)rows / (double)of;
    residency->uses[expert] += (float)(residency->unit * share * weight_of(residency, of));
    residency->spare[expert] = false;
}

void residency_passed(residency *residency, size_t layer, const bool *in_memory, size_t fair,
                      size_t *order)
{
    const float *uses = residency->uses + layer * residency->experts;
    size_t count = 0;
    for (size_t e = 0; e < residency->experts; e++) {
        if (!in_memory[e]) {
            continue;
        }
        size_t at = count++;
        for (; at > 0 && uses[order[at - 1]] < uses[e]; at--) { /* the most used first */
            order[at] = order[at - 1];
        }
        order[at] = e;
    }
    for (size_t i = fair; i < count; i++) {
        residency->spare[layer * residency->experts + order[i]] = true;
    }
}

/* Layers until an expert's layer comes, going round; the one at work comes last. */
static size_t distance(const residency *residency, size_t expert, size_t layer)
{
    return (expert / residency->experts + residency->layers - layer - 1) % residency->layers;
}

bool residency_gives_way(const residency *residency, size_t a, size_t b, size_t layer)
{
    if (residency->spare[a] != residency->spare[b]) {
        return residency->spare[a];
    }
    if (residency->uses[a] != residency->uses[b]) {
        return residency->uses[a] < residency->uses[b];
    }
    return distance(residency, a, layer) > distance(residency, b, layer);
}
