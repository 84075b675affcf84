#include "model/attention.h"

#include "base/alloc.h"
#include "model/linear.h"

#include <cblas.h>

#include <string.h>

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Floats of each buffer per position of a chunk. */
typedef struct widths {
    size_t query, key, value, bottleneck, heads_out, norm;
} widths;

static widths widths_of(const language_config *config)
{
    size_t heads = (size_t)config->heads;
    if (!config->latent_attention) {
        size_t kv = (size_t)config->kv_heads * (size_t)config->head_width;
        return (widths){(size_t)config->hidden, kv, kv, 0, (size_t)config->hidden, 0};
    }
    size_t latent = (size_t)config->latent_rank, rope = (size_t)config->rope_width;
    return (widths){heads * ((size_t)config->nope_width + rope), latent + rope, 0,
                    (size_t)config->query_rank, heads * (size_t)config->value_width,
                    larger((size_t)config->query_rank, latent)};
}

/* Scratch of one worker for one head; see the tasks in attention_latent.c and
 * attention_multi_head.c. */
static size_t head_scratch(const language_config *config, size_t positions)
{
    size_t scores = ATTENTION_BLOCK * positions;
    if (!config->latent_attention) {
        return scores;
    }
    size_t latent = (size_t)config->latent_rank;
    size_t key = (size_t)(config->nope_width + config->rope_width);
    size_t head_rows = (size_t)(config->nope_width + config->value_width);
    size_t expanded = positions * (key + (size_t)config->value_width);
    return scores + expanded + head_rows * latent + 2 * latent;
}

vl2_status attention_workspace_open(const language_config *config, const rope_table *rope,
                                    size_t chunk, size_t positions, compute *compute,
                                    attention_workspace *workspace, vl2_error *error)
{
    widths w = widths_of(config);
    *workspace = (attention_workspace){.config = config, .chunk = chunk, .rope = rope};
    workspace->query = base_alloc_aligned(chunk * w.query, sizeof(float));
    workspace->key = base_alloc_aligned(chunk * w.key, sizeof(float));
    workspace->value = base_alloc_aligned(chunk * w.value, sizeof(float));
    workspace->bottleneck = base_alloc_aligned(chunk * w.bottleneck, sizeof(float));
    workspace->heads_out = base_alloc_aligned(chunk * w.heads_out, sizeof(float));
    workspace->norm_weight = base_alloc_aligned(w.norm, sizeof(float));
    if (workspace->query == NULL || workspace->key == NULL || workspace->value == NULL ||
        workspace->bottleneck == NULL || workspace->heads_out == NULL ||
        workspace->norm_weight == NULL) {
        size_t bytes = attention_workspace_memory(workspace);
        attention_workspace_close(workspace);
        return vl2_fail_memory(error, "attention's work space", bytes);
    }
    size_t inputs = larger(larger((size_t)config->hidden, w.bottleneck), w.heads_out);
    vl2_status status = linear_reserve(compute, chunk, inputs, error);
    if (status == VL2_OK) {
        status = compute_reserve(compute, head_scratch(config, positions), error);
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
    memset(workspace, 0, sizeof(*workspace));
}

size_t attention_workspace_memory(const attention_workspace *workspace)
{
    if (workspace->config == NULL) {
        return 0;
    }
    widths w = widths_of(workspace->config);
    return (workspace->chunk * (w.query + w.key + w.value + w.bottleneck + w.heads_out) + w.norm) *
           sizeof(float);
}

/* One query: products with vectors, which sgemm is slow at. */
static void single_query(const kernels *kernels, const attention_head *head)
{
    size_t seen = head->first + 1;
    kernels->matvec_f32(head->k, head->k_stride, seen, head->depth, head->q, head->scores);
    kernels->softmax(head->scores, seen, head->scale);
    memset(head->out, 0, head->value_depth * sizeof(float));
    for (size_t i = 0; i < seen; i++) {
        kernels->axpy_f32(head->scores[i], head->v + i * head->v_stride, head->out,
                          head->value_depth);
    }
}

void attention_head_run(const kernels *kernels, const attention_head *head)
{
    if (head->rows == 1) {
        single_query(kernels, head);
        return;
    }
    for (size_t start = 0; start < head->rows; start += ATTENTION_BLOCK) {
        size_t rows =
            head->rows - start < ATTENTION_BLOCK ? head->rows - start : ATTENTION_BLOCK;
        /* The last query of the block sees this many positions; earlier ones see fewer. */
        size_t seen = head->first + start + rows;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)seen, (int)head->depth,
                    head->scale, head->q + start * head->q_stride, (int)head->q_stride, head->k,
                    (int)head->k_stride, 0.0f, head->scores, (int)seen);
        for (size_t row = 0; row < rows; row++) {
            float *scores = head->scores + row * seen;
            size_t visible = head->first + start + row + 1;
            kernels->softmax(scores, visible, 1.0f);
            memset(scores + visible, 0, (seen - visible) * sizeof(float));
        }
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)head->value_depth,
                    (int)seen, 1.0f, head->scores, (int)seen, head->v, (int)head->v_stride, 0.0f,
                    head->out + start * head->out_stride, (int)head->out_stride);
    }
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
