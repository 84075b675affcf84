#include "model/attention.h"

#include "base/alloc.h"
#include "model/linear.h"

#include <string.h>

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Floats of each buffer per position of a chunk. */
typedef struct widths {
    size_t query, key, value, bottleneck, heads_out, norm;
    size_t absorbed, mixed; /* per position of a pass */
} widths;

static widths widths_of(const language_config *config)
{
    size_t heads = (size_t)config->heads;
    if (!config->latent_attention) {
        size_t kv = (size_t)config->kv_heads * (size_t)config->head_width;
        return (widths){.query = (size_t)config->hidden, .key = kv, .value = kv,
                        .heads_out = (size_t)config->hidden};
    }
    size_t latent = (size_t)config->latent_rank, rope = (size_t)config->rope_width;
    return (widths){.query = heads * ((size_t)config->nope_width + rope), .key = latent + rope,
                    .bottleneck = (size_t)config->query_rank,
                    .heads_out = heads * (size_t)config->value_width,
                    .norm = larger((size_t)config->query_rank, latent),
                    .absorbed = heads * (latent + rope), .mixed = heads * latent};
}

static size_t pass_of(size_t chunk)
{
    return chunk < ATTENTION_PASS ? chunk : ATTENTION_PASS;
}

/* Heads that share keys, and the width of a value, as the cache's positions are attended to. */
static size_t group_of(const language_config *config)
{
    return (size_t)config->heads /
           (config->latent_attention ? 1 : (size_t)config->kv_heads);
}

static size_t core_value(const language_config *config)
{
    return (size_t)(config->latent_attention ? config->latent_rank : config->head_width);
}

/* Scratch of one worker: the largest of what the tasks need. */
static size_t scratch_of(const language_config *config, const kvcache *cache, size_t chunk)
{
    size_t scratch = attention_core_scratch(cache, group_of(config), core_value(config));
    scratch = larger(scratch, kvcache_scratch(cache) + cache->depth); /* of storing */
    if (config->latent_attention) {
        scratch = larger(scratch, attention_expanded_scratch(cache, config, chunk));
        scratch = larger(scratch, attention_absorbed_scratch(config));
    }
    return scratch;
}

static size_t partial_floats(const language_config *config, const kvcache *cache)
{
    return attention_core_partial(cache, group_of(config), core_value(config));
}

static bool allocate(const widths *w, attention_workspace *workspace)
{
    size_t chunk = workspace->chunk, pass = pass_of(chunk);
    workspace->query = base_alloc_aligned(chunk * w->query, sizeof(float));
    workspace->key = base_alloc_aligned(chunk * w->key, sizeof(float));
    workspace->value = base_alloc_aligned(chunk * w->value, sizeof(float));
    workspace->bottleneck = base_alloc_aligned(chunk * w->bottleneck, sizeof(float));
    workspace->heads_out = base_alloc_aligned(chunk * w->heads_out, sizeof(float));
    workspace->norm_weight = base_alloc_aligned(w->norm, sizeof(float));
    workspace->absorbed = base_alloc_aligned(pass * w->absorbed, sizeof(float));
    workspace->mixed = base_alloc_aligned(pass * w->mixed, sizeof(float));
    workspace->partial = base_alloc_aligned(workspace->partial_floats, sizeof(float));
    return workspace->query != NULL && workspace->key != NULL && workspace->value != NULL &&
           workspace->bottleneck != NULL && workspace->heads_out != NULL &&
           workspace->norm_weight != NULL && workspace->absorbed != NULL &&
           workspace->mixed != NULL && workspace->partial != NULL;
}

vl2_status attention_workspace_open(const language_config *config, const rope_table *rope,
                                    const kvcache *cache, size_t chunk, compute *compute,
                                    attention_workspace *workspace, vl2_error *error)
{
    widths w = widths_of(config);
    *workspace = (attention_workspace){.config = config, .chunk = chunk, .rope = rope,
                                       .partial_floats = partial_floats(config, cache)};
    if (!allocate(&w, workspace)) {
        size_t bytes = attention_workspace_memory(workspace);
        attention_workspace_close(workspace);
        return vl2_fail_memory(error, "attention's work space", bytes);
    }
    size_t inputs = larger(larger((size_t)config->hidden, w.bottleneck), w.heads_out);
    vl2_status status = linear_reserve(compute, chunk, inputs, error);
    if (status == VL2_OK) {
        status = compute_reserve(compute, scratch_of(config, cache, chunk), error);
    }
    if (status == VL2_OK && config->latent_attention) {
        status = attention_expanded_reserve(compute, cache, config, error);
    }
    if (status != VL2_OK) {
        attention_workspace_close(workspace);
    }
    return status;
}

void attention_workspace_close(attention_workspace *workspace)
{
    base_free(workspace->query);
    base_free(workspace->key);
    base_free(workspace->value);
    base_free(workspace->bottleneck);
    base_free(workspace->heads_out);
    base_free(workspace->norm_weight);
    base_free(workspace->absorbed);
    base_free(workspace->mixed);
    base_free(workspace->partial);
    memset(workspace, 0, sizeof(*workspace));
}

size_t attention_workspace_memory(const attention_workspace *workspace)
{
    if (workspace->config == NULL) {
        return 0;
    }
    widths w = widths_of(workspace->config);
    return (workspace->chunk * (w.query + w.key + w.value + w.bottleneck + w.heads_out) + w.norm +
            pass_of(workspace->chunk) * (w.absorbed + w.mixed) + workspace->partial_floats) *
           sizeof(float);
}

void attention_run(const compute *compute, attention_workspace *workspace,
                   const attention_weights *weights, const kvcache *cache, int layer,
                   const float *x, size_t first, size_t count, float *y)
{
    const language_config *config = workspace->config;
    if (config->latent_attention) {
        attention_run_latent(compute, workspace, weights, cache, layer, x, first, count);
    } else {
        attention_run_multi_head(compute, workspace, weights, cache, layer, x, first, count);
    }
    linear_run(compute, &(linear_call){.w = weights->output, .bias = weights->output_bias,
                                       .x = workspace->heads_out,
                                       .x_stride = widths_of(config).heads_out,
                                       .y = y, .y_stride = (size_t)config->hidden, .rows = count,
                                       .add = true});
    stage_mark(compute->stages, STAGE_OUTPUT);
}
