#include "model/vision_attention.h"

#include <math.h>
#include <string.h>

#define QUERY_PARTS 2 /* tasks of a head of a tile: keys are gathered anew for each */

typedef struct vision_attention_job {
    const compute *compute;
    const vision_config *config;
    const float *qkv;
    bool rounded;
    float *out;
} vision_attention_job;

static size_t patches_of(const vision_config *config)
{
    return (size_t)config->grid * (size_t)config->grid;
}

static size_t queries_of_task(const vision_config *config)
{
    size_t part = (patches_of(config) + QUERY_PARTS - 1) / QUERY_PARTS;
    return (part + ATTENTION_QUERIES - 1) / ATTENTION_QUERIES * ATTENTION_QUERIES;
}

size_t vision_attention_scratch(const vision_config *config)
{
    size_t depth = (size_t)config->head_width;
    return 2 * ATTENTION_KEYS * depth +
           attention_state_floats(queries_of_task(config), depth, depth);
}

/* Rows of `depth` numbers, `stride` apart, without gaps: in their place they lie in too few sets of
 * the nearest cache. */
static void gather(const float *from, size_t stride, size_t rows, size_t depth, float *to)
{
    for (size_t row = 0; row < rows; row++) {
        memcpy(to + row * depth, from + row * stride, depth * sizeof(float));
    }
}

/* A part of the queries of one head of one tile. */
static void attention_task(void *context, size_t task, int worker)
{
    const vision_attention_job *job = context;
    const vision_config *config = job->config;
    const kernels *k = job->compute->kernels;
    size_t heads = (size_t)config->heads, depth = (size_t)config->head_width;
    size_t width = (size_t)config->width, patches = patches_of(config);
    size_t part = task % QUERY_PARTS * queries_of_task(config), head = task / QUERY_PARTS % heads;
    if (part >= patches) {
        return;
    }
    size_t rows = patches - part < queries_of_task(config) ? patches - part
                                                           : queries_of_task(config);
    size_t tile = task / QUERY_PARTS / heads * patches;
    const float *query = job->qkv + tile * 3 * width + head * depth;
    float *keys = compute_scratch(job->compute, worker), *values = keys + ATTENTION_KEYS * depth;
    attention_state state = {rows, depth, depth, false, values + ATTENTION_KEYS * depth,
                             job->rounded};
    attention_queries queries = {.q = query + part * 3 * width, .rows = rows, .heads = 1,
                                 .row_stride = 3 * width, .scale = 1.0f / sqrtf((float)depth)};
    k->attention_begin(&state, &queries);
    for (size_t start = 0; start < patches; start += ATTENTION_KEYS) {
        size_t count = patches - start < ATTENTION_KEYS ? patches - start : ATTENTION_KEYS;
        const float *from = query + start * 3 * width;
        gather(from + width, 3 * width, count, depth, keys);
        gather(from + 2 * width, 3 * width, count, depth, values);
        k->attention_step(&state, &(attention_tile){keys, depth, 1, NULL},
                          &(attention_tile){values, depth, 1, NULL}, count, ATTENTION_KEYS, 1);
    }
    k->attention_end(&state, 1, job->out + (tile + part) * width + head * depth, width, 0);
}

void vision_attention_run(const compute *compute, const vision_config *config, const float *qkv,
                          size_t tiles, bool rounded, float *out)
{
    vision_attention_job job = {compute, config, qkv, rounded, out};
    team_run(&compute->team, tiles * (size_t)config->heads * QUERY_PARTS, attention_task, &job);
}
