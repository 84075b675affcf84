#include "model/decoder.h"

#include "base/alloc.h"
#include "model/linear.h"

#include <string.h>

#define NORM_ROWS 16 /* rows per task */

static vl2_status open_parts(decoder *decoder, vl2_kv_type kv_type, vl2_error *error)
{
    const language_config *config = decoder->config;
    size_t width = (size_t)(config->latent_attention ? config->rope_width : config->head_width);
    vl2_status status =
        rope_table_open(&config->rope, width, decoder->positions, &decoder->rope, error);
    if (status == VL2_OK) {
        status = kvcache_open(config, kv_type, decoder->positions, &decoder->cache, error);
    }
    if (status == VL2_OK) {
        status = attention_workspace_open(config, &decoder->rope, &decoder->cache,
                                          decoder->chunk, decoder->compute, &decoder->attention,
                                          error);
    }
    if (status == VL2_OK) {
        status = moe_workspace_open(config, decoder->weights->store, decoder->chunk,
                                    decoder->compute, &decoder->moe, error);
    }
    return status;
}

vl2_status decoder_open(const language_config *config, const model_weights *weights,
                        compute *compute, size_t chunk, size_t positions, vl2_kv_type kv_type,
                        decoder *decoder, vl2_error *error)
{
    *decoder = (struct decoder){.config = config, .weights = weights, .compute = compute,
                                .chunk = chunk, .positions = positions};
    size_t hidden = (size_t)config->hidden;
    decoder->norm = base_alloc_aligned(chunk * hidden, sizeof(float));
    decoder->vector = base_alloc_aligned(hidden, sizeof(float));
    vl2_status status;
    if (decoder->norm == NULL || decoder->vector == NULL) {
        status = vl2_fail_memory(error, "the decoder's work space",
                                 chunk * hidden * sizeof(float));
    } else {
        status = open_parts(decoder, kv_type, error);
    }
    if (status != VL2_OK) {
        decoder_close(decoder);
    }
    return status;
}

void decoder_close(decoder *decoder)
{
    rope_table_close(&decoder->rope);
    kvcache_close(&decoder->cache);
    attention_workspace_close(&decoder->attention);
    moe_workspace_close(&decoder->moe);
    base_free(decoder->norm);
    base_free(decoder->vector);
    memset(decoder, 0, sizeof(*decoder));
}

size_t decoder_memory(const decoder *decoder)
{
    return (decoder->chunk + 1) * (size_t)decoder->config->hidden * sizeof(float) +
           2 * decoder->rope.positions * decoder->rope.half * sizeof(float) +
           kvcache_memory(&decoder->cache) + attention_workspace_memory(&decoder->attention) +
           moe_workspace_memory(&decoder->moe);
}

typedef struct norm_job {
    const decoder *decoder;
    const float *rows;
    float *out;
    size_t count;
} norm_job;

static void norm_task(void *context, size_t task, int worker)
{
    (void)worker;
    const norm_job *job = context;
    size_t hidden = (size_t)job->decoder->config->hidden;
    size_t end = (task + 1) * NORM_ROWS < job->count ? (task + 1) * NORM_ROWS : job->count;
    for (size_t row = task * NORM_ROWS; row < end; row++) {
        job->decoder->compute->kernels->rms_norm(job->rows + row * hidden, job->decoder->vector,
                                                 job->decoder->config->rms_epsilon, hidden,
                                                 job->out + row * hidden);
    }
}

static void normalize(decoder *decoder, weight scale, const float *rows, size_t count, float *out)
{
    norm_job job = {decoder, rows, out, count};
    weight_widen(decoder->compute->kernels, scale, 0, (size_t)decoder->config->hidden,
                 decoder->vector);
    team_run(&decoder->compute->team, (count + NORM_ROWS - 1) / NORM_ROWS, norm_task, &job);
}

static vl2_status run_layer(decoder *decoder, int index, float *rows, size_t first, size_t count,
                            vl2_error *error)
{
    const layer_weights *layer = &decoder->weights->layers[index], *next = layer + 1;
    const moe_ahead ahead = {next, rows};
    bool sees_next = index + 1 < decoder->config->layers && next->has_experts;
    normalize(decoder, layer->input_norm, rows, count, decoder->norm);
    stage_mark(decoder->compute->stages, STAGE_NORMS);
    attention_run(decoder->compute, &decoder->attention, &layer->attention, &decoder->cache, index,
                  decoder->norm, first, count, rows);
    normalize(decoder, layer->post_attention_norm, rows, count, decoder->norm);
    stage_mark(decoder->compute->stages, STAGE_NORMS);
    return moe_run(decoder->compute, &decoder->moe, layer, decoder->norm, count,
                   sees_next ? &ahead : NULL, rows, error);
}

static void observe(const decoder *decoder, const decoder_observer *observer, int index,
                    const float *rows, size_t first, size_t count)
{
    if (index >= 0 && decoder->weights->layers[index].has_experts) {
        observer->router(observer->user, index, decoder->moe.ids, decoder->moe.weights,
                         decoder->moe.scores, first, count);
    }
    observer->layer(observer->user, index, rows, first, count);
}

/* One chunk through one layer. */
static vl2_status run_chunk(decoder *decoder, int index, float *rows, size_t first, size_t count,
                            const atomic_int *cancelled, const decoder_observer *observer,
                            vl2_error *error)
{
    if (cancelled != NULL && atomic_load_explicit(cancelled, memory_order_relaxed)) {
        return vl2_fail(error, VL2_ERROR_CANCELLED, "cancelled while reading the prompt");
    }
    vl2_status status = run_layer(decoder, index, rows, first, count, error);
    if (status == VL2_OK && observer != NULL) {
        observe(decoder, observer, index, rows, first, count);
    }
    return status;
}

vl2_status decoder_run(decoder *decoder, float *rows, size_t first, size_t count,
                       const atomic_int *cancelled, const decoder_observer *observer,
                       vl2_error *error)
{
    size_t hidden = (size_t)decoder->config->hidden;
    vl2_status status = VL2_OK;
    if (observer != NULL) {
        observe(decoder, observer, -1, rows, first, count);
    }
    for (int i = 0; i < decoder->config->layers && status == VL2_OK; i++) {
        for (size_t at = 0; at < count && status == VL2_OK; at += decoder->chunk) {
            size_t now = count - at < decoder->chunk ? count - at : decoder->chunk;
            status = run_chunk(decoder, i, rows + at * hidden, first + at, now, cancelled,
                               observer, error);
        }
        if (decoder->layer_done != NULL) {
            decoder->layer_done(decoder->user, i + 1);
        }
    }
    return status;
}

void decoder_logits(decoder *decoder, const float *rows, size_t count, float *normed, float *logits)
{
    size_t hidden = (size_t)decoder->config->hidden;
    normalize(decoder, decoder->weights->norm, rows, count, normed);
    stage_mark(decoder->compute->stages, STAGE_NORMS);
    linear_run(decoder->compute, &(linear_call){.w = decoder->weights->head, .x = normed,
                                                .x_stride = hidden, .y = logits,
                                                .y_stride = (size_t)decoder->config->vocabulary,
                                                .rows = count});
    stage_mark(decoder->compute->stages, STAGE_HEAD);
}

void decoder_embed(const decoder *decoder, int32_t id, float *row)
{
    size_t hidden = (size_t)decoder->config->hidden;
    weight_widen(decoder->compute->kernels, decoder->weights->embedding, (size_t)id * hidden,
                 hidden, row);
}
