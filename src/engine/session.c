/* vl2_session: opening, and preparing and reading a prompt. */
#include "engine/session.h"

#include "engine/paging.h"
#include "engine/plan.h"

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "model/linear.h"

#include <stdio.h>
#include <string.h>

#define MOST_POSITIONS (1 << 24)
#define MOST_CHUNK     (1 << 16)
#define MOST_THREADS   1024

void vl2_session_options_defaults(vl2_session_options *options)
{
    *options = (vl2_session_options){.context = 0, .chunk = 1024, .threads = 0};
}

double session_begin_stage(vl2_session *session)
{
    session->stage_paging = paging_now(session->model);
    return clock_seconds();
}

void session_report(const vl2_session *session, vl2_stage stage, uint64_t done, uint64_t total,
                    double began)
{
    if (session->options.progress != NULL) {
        bool decodes = stage == VL2_STAGE_PREFILL || stage == VL2_STAGE_GENERATE;
        vl2_paging paging = paging_since(session->model, &session->stage_paging);
        vl2_progress progress = {.stage = stage,
                                 .done = done,
                                 .total = total,
                                 .seconds = clock_seconds() - began,
                                 .paging = decodes && paging.uses > 0 ? &paging : NULL};
        session->options.progress(&progress, session->options.progress_user);
    }
}

static vl2_status check_option(const char *name, int value, int most, vl2_error *error)
{
    if (value < 0 || value > most) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT, "%s: found %d, expected 0 to %d", name, value,
                        most);
    }
    return VL2_OK;
}

static vl2_status check_options(const vl2_model *model, vl2_session_options *options,
                                vl2_error *error)
{
    vl2_status status = check_option("context", options->context, MOST_POSITIONS, error);
    if (status == VL2_OK) {
        status = check_option("chunk", options->chunk, MOST_CHUNK, error);
    }
    if (status == VL2_OK) {
        status = check_option("threads", options->threads, MOST_THREADS, error);
    }
    if (status == VL2_OK) {
        status = check_option("kv_type", (int)options->kv_type, VL2_KV_INT8, error);
    }
    if (options->context == 0) {
        options->context = model->config.language.positions;
    }
    if (options->chunk == 0) {
        options->chunk = 1024;
    }
    if (options->chunk > options->context) {
        options->chunk = options->context;
    }
    if (options->threads == 0) {
        options->threads = team_processors();
    }
    return status;
}

static vl2_status open_parts(vl2_session *session, vl2_error *error)
{
    const vl2_model *model = session->model;
    size_t positions = (size_t)session->options.context, chunk = (size_t)session->options.chunk;
    size_t hidden = (size_t)model->config.language.hidden;
    vl2_status status =
        compute_open(&model->kernels, session->options.threads, &session->compute, error);
    if (status == VL2_OK) {
        status = decoder_open(&model->config.language, model->weights, &session->compute, chunk,
                              positions, session->options.kv_type, &session->decoder, error);
    }
    if (status != VL2_OK) {
        return status;
    }
    /* A paged model takes a prompt through each layer as a whole. */
    session->row_count = session->whole_prompt ? positions : chunk;
    session->rows = base_alloc_aligned(session->row_count * hidden, sizeof(float));
    session->decoder.moe.cancelled = &session->cancelled;
    session->normed = base_alloc_aligned(hidden, sizeof(float));
    session->logits =
        base_alloc_aligned((size_t)model->config.language.vocabulary, sizeof(float));
    session->keys = base_malloc(positions, sizeof(*session->keys));
    if (session->rows == NULL || session->normed == NULL || session->logits == NULL ||
        session->keys == NULL) {
        return vl2_fail_memory(error, "a session", chunk * hidden * sizeof(float));
    }
    return VL2_OK;
}

static vl2_status open_session(vl2_model *model, const vl2_session_options *options, bool paged,
                               vl2_session **session, vl2_error *error)
{
    vl2_session *opened = base_calloc(1, sizeof(*opened));
    if (opened == NULL) {
        return vl2_fail_memory(error, "a session", sizeof(*opened));
    }
    opened->model = model;
    opened->whole_prompt = paged;
    atomic_init(&opened->cancelled, 0);
    vl2_session_options_defaults(&opened->options);
    if (options != NULL) {
        opened->options = *options;
    }
    vl2_status status = check_options(model, &opened->options, error);
    if (status == VL2_OK) {
        status = open_parts(opened, error);
    }
    if (status != VL2_OK) {
        vl2_session_close(opened);
        return status;
    }
    *session = opened;
    return VL2_OK;
}

vl2_status session_open_trial(vl2_model *model, const vl2_session_options *options,
                              vl2_session **session, uint64_t *encoding, vl2_error *error)
{
    vl2_session *opened;
    vl2_status status = open_session(model, options, true, &opened, error);
    if (status != VL2_OK) {
        return status;
    }
    status = session_measure_encoder(opened, encoding, error);
    if (status != VL2_OK) {
        vl2_session_close(opened);
        return status;
    }
    *session = opened;
    return VL2_OK;
}

vl2_status vl2_session_open(vl2_model *model, const vl2_session_options *options,
                            vl2_session **session, vl2_error *error)
{
    vl2_session *opened;
    if (!model->budget.paged) {
        return open_session(model, options, false, session, error);
    }
    uint64_t encoding;
    vl2_status status = session_open_trial(model, options, &opened, &encoding, error);
    if (status != VL2_OK) {
        return status;
    }
    uint64_t bytes = vl2_session_memory(opened) + plan_pictures(model);
    status = budget_hold(model, bytes, "a session", error);
    if (status != VL2_OK) {
        vl2_session_close(opened);
        return status;
    }
    opened->held = bytes;
    *session = opened;
    return VL2_OK;
}

void vl2_session_close(vl2_session *session)
{
    if (session == NULL) {
        return;
    }
    if (session->held + session->pictures_held > 0) {
        budget_drop(session->model, session->held + session->pictures_held);
    }
    if (session->decoder.config != NULL) {
        decoder_close(&session->decoder);
    }
    compute_close(&session->compute);
    picture_store_free(&session->pictures);
    base_free(session->rows);
    base_free(session->normed);
    base_free(session->logits);
    base_free(session->keys);
    base_free(session);
}

void vl2_session_cancel(vl2_session *session)
{
    atomic_store_explicit(&session->cancelled, 1, memory_order_relaxed);
}

uint64_t session_cache_memory(const vl2_session *session)
{
    return kvcache_memory(&session->decoder.cache);
}

uint64_t vl2_session_memory(const vl2_session *session)
{
    const language_config *config = &session->model->config.language;
    return decoder_memory(&session->decoder) + compute_memory(&session->compute) +
           picture_store_memory(&session->pictures, session->model) +
           ((session->row_count + 1) * (size_t)config->hidden + (size_t)config->vocabulary) *
               sizeof(float) +
           (size_t)session->options.context * sizeof(uint64_t);
}

/* ------------------------------------------------------------------------------- preparing */

vl2_status session_messages(const vl2_conversation *conversation, prompt_message **messages,
                            size_t *count, vl2_error *error)
{
    size_t given = conversation->count;
    if (given == 0) {
        return vl2_fail(error, VL2_ERROR_INPUT, "the conversation is empty");
    }
    prompt_message *list = base_calloc(given + 1, sizeof(*list));
    if (list == NULL) {
        return vl2_fail_memory(error, "messages", (given + 1) * sizeof(*list));
    }
    for (size_t i = 0; i < given; i++) {
        const conversation_message *message = &conversation->messages[i];
        list[i] = (prompt_message){message->role, message->content, message->content_size};
    }
    const char *last = list[given - 1].role;
    if (strcmp(last, "<|User|>") == 0 || strcmp(last, "user") == 0) {
        list[given++] = (prompt_message){"<|Assistant|>", "", 0};
    }
    *messages = list;
    *count = given;
    return VL2_OK;
}

static vl2_status build_prompt(vl2_session *session, const vl2_conversation *conversation,
                               prompt *prompt, vl2_error *error)
{
    const vl2_model *model = session->model;
    size_t pictures = session->pictures.picture_count, count;
    prompt_message *messages;
    vl2_status status = session_messages(conversation, &messages, &count, error);
    if (status != VL2_OK) {
        return status;
    }
    size_t *image_tokens = base_calloc(pictures, sizeof(*image_tokens));
    if (image_tokens == NULL) {
        status = vl2_fail_memory(error, "a prompt", pictures * sizeof(*image_tokens));
    }
    for (size_t i = 0; image_tokens != NULL && i < pictures; i++) {
        image_tokens[i] = picture_rows(&session->pictures.pictures[i]);
    }
    if (status == VL2_OK) {
        status = prompt_build(model->tokenizer.tokenizer, &model->tokens, messages, count,
                              image_tokens, pictures, prompt, error);
    }
    base_free(image_tokens);
    base_free(messages);
    return status;
}

/* "; picture 1 takes 421 tokens (1 x 1 tiles), ..." */
static void describe_pictures(const vl2_session *session, buffer *text)
{
    for (size_t i = 0; i < session->pictures.picture_count && i < 8; i++) {
        const picture *picture = &session->pictures.pictures[i];
        char line[96];
        snprintf(line, sizeof(line), "%s picture %zu takes %zu (%d x %d tiles)", i > 0 ? "," : ";",
                 i + 1, picture_rows(picture), picture->set.columns, picture->set.rows);
        buffer_append_text(text, line);
    }
}

static vl2_status check_length(const vl2_session *session, size_t length, vl2_error *error)
{
    if (length < session->decoder.positions) {
        return VL2_OK;
    }
    buffer text = {NULL, 0, 0, false};
    describe_pictures(session, &text);
    vl2_status status = vl2_fail(
        error, VL2_ERROR_CONTEXT,
        "the prompt has %zu tokens, expected fewer than the context of %zu%s; a larger context "
        "(-c) or fewer pictures would help", length, session->decoder.positions,
        text.data != NULL ? text.data : "");
    buffer_free(&text);
    return status;
}

/* Where each position's embedding row comes from. */
static vl2_status map_positions(const vl2_session *session, prepared_prompt *prepared,
                                vl2_error *error)
{
    size_t count = prepared->prompt.ids.count;
    prepared->keys = base_calloc(count, sizeof(*prepared->keys));
    prepared->picture = base_calloc(count, sizeof(*prepared->picture));
    prepared->row = base_calloc(count, sizeof(*prepared->row));
    if (prepared->keys == NULL || prepared->picture == NULL || prepared->row == NULL) {
        return vl2_fail_memory(error, "a prompt", count * 3 * sizeof(size_t));
    }
    for (size_t i = 0; i < count; i++) {
        prepared->keys[i] = (uint64_t)(uint32_t)prepared->prompt.ids.ids[i];
        prepared->picture[i] = SIZE_MAX;
    }
    for (size_t run = 0; run < prepared->prompt.run_count; run++) {
        size_t start = prepared->prompt.runs[run][0], length = prepared->prompt.runs[run][1];
        for (size_t i = 0; i < length; i++) {
            /* The high bit keeps pictures apart from token ids. */
            prepared->keys[start + i] =
                (session->pictures.pictures[run].key + i * 0x9e3779b97f4a7c15u) | 1ull << 63;
            prepared->picture[start + i] = run;
            prepared->row[start + i] = i;
        }
        prepared->image_tokens += length;
    }
    return VL2_OK;
}

/* Takes memory for pictures beyond what every session has. */
static vl2_status hold_pictures(vl2_session *session, vl2_error *error)
{
    uint64_t most = picture_store_most(&session->pictures, session->model);
    uint64_t planned = plan_pictures(session->model);
    uint64_t bytes = most > planned ? most - planned : 0;
    budget_drop(session->model, session->pictures_held);
    session->pictures_held = 0;
    vl2_status status = budget_hold(session->model, bytes, "a conversation with these pictures",
                                    error);
    session->pictures_held = status == VL2_OK ? bytes : 0;
    return status;
}

vl2_status session_prepare(vl2_session *session, const vl2_conversation *conversation,
                           prepared_prompt *prepared, vl2_error *error)
{
    memset(prepared, 0, sizeof(*prepared));
    vl2_status status = picture_store_set(&session->pictures, session->model, conversation->images,
                                          conversation->image_count, error);
    if (status == VL2_OK) {
        status = hold_pictures(session, error);
    }
    if (status == VL2_OK) {
        status = build_prompt(session, conversation, &prepared->prompt, error);
    }
    if (status == VL2_OK) {
        status = check_length(session, prepared->prompt.ids.count, error);
    }
    if (status == VL2_OK) {
        status = map_positions(session, prepared, error);
    }
    if (status != VL2_OK) {
        prepared_prompt_free(prepared);
    }
    return status;
}

void prepared_prompt_free(prepared_prompt *prepared)
{
    prompt_free(&prepared->prompt);
    base_free(prepared->keys);
    base_free(prepared->picture);
    base_free(prepared->row);
    memset(prepared, 0, sizeof(*prepared));
}

size_t session_reusable(const vl2_session *session, const prepared_prompt *prepared)
{
    size_t count = prepared->prompt.ids.count, same = 0;
    while (same < session->key_count && same + 1 < count &&
           session->keys[same] == prepared->keys[same]) {
        same++;
    }
    return same;
}

/* ------------------------------------------------------------------------------- reading */

void session_embed(const vl2_session *session, const prepared_prompt *prepared, size_t position,
                   float *row)
{
    const vl2_model *model = session->model;
    size_t hidden = (size_t)model->config.language.hidden;
    if (prepared->picture[position] == SIZE_MAX) {
        decoder_embed(&session->decoder, prepared->prompt.ids.ids[position], row);
        return;
    }
    const picture *picture = &session->pictures.pictures[prepared->picture[position]];
    joining_row from = joining_at(&picture->layout, prepared->row[position]);
    switch (from.source) {
    case JOINING_NEWLINE:
        weight_widen(&model->kernels, model->weights->image_newline, 0, hidden, row);
        break;
    case JOINING_SEPARATOR:
        weight_widen(&model->kernels, model->weights->view_separator, 0, hidden, row);
        break;
    default:
        memcpy(row,
               session->pictures.tiles[picture->tiles[from.tile]].rows + from.cell * hidden,
               hidden * sizeof(float));
        break;
    }
}

vl2_status session_read(vl2_session *session, const prepared_prompt *prepared, size_t first,
                        size_t count, const decoder_observer *observer, vl2_error *error)
{
    size_t hidden = (size_t)session->model->config.language.hidden;
    for (size_t i = 0; i < count; i++) {
        session_embed(session, prepared, first + i, session->rows + i * hidden);
    }
    stage_mark(session->compute.stages, STAGE_EMBEDDING);
    vl2_status status = decoder_run(&session->decoder, session->rows, first, count,
                                    &session->cancelled, observer, error);
    if (status == VL2_OK) {
        memcpy(session->keys + first, prepared->keys + first, count * sizeof(*session->keys));
        session->key_count = first + count;
    }
    return status;
}

/* Progress of a prompt that goes through each layer as a whole: tokens that all work so far would
 * have been enough for. */
typedef struct whole_progress {
    const vl2_session *session;
    size_t count;
    double began;
} whole_progress;

static void report_layer(void *user, int layers)
{
    const whole_progress *progress = user;
    int all = progress->session->model->config.language.layers;
    session_report(progress->session, VL2_STAGE_PREFILL,
                   progress->count * (size_t)layers / (size_t)all, progress->count,
                   progress->began);
}

vl2_status session_prefill(vl2_session *session, const prepared_prompt *prepared, size_t first,
                           const decoder_observer *observer, vl2_error *error)
{
    size_t count = prepared->prompt.ids.count;
    bool whole = session->whole_prompt && observer == NULL;
    size_t chunk = whole ? session->row_count : session->decoder.chunk;
    size_t hidden = (size_t)session->model->config.language.hidden;
    double began = session_begin_stage(session);
    whole_progress progress = {session, count - first, began};
    session->key_count = first;
    const model_weights *weights = session->model->weights;
    vl2_status status = model_weights_acquire(weights, &weights->language_records,
                                              &session->compute.team, error);
    session->decoder.user = &progress;
    session->decoder.layer_done = whole ? report_layer : NULL;
    for (size_t at = first; status == VL2_OK && at < count;) {
        size_t now = count - at < chunk ? count - at : chunk;
        status = session_read(session, prepared, at, now, observer, error);
        if (status != VL2_OK) {
            break;
        }
        at += now;
        session_report(session, VL2_STAGE_PREFILL, at - first, count - first, began);
        if (at == count) {
            decoder_logits(&session->decoder, session->rows + (now - 1) * hidden, 1,
                           session->normed, session->logits);
        }
    }
    session->decoder.layer_done = NULL;
    return status;
}

vl2_status session_step(vl2_session *session, int32_t token, const decoder_observer *observer,
                        vl2_error *error)
{
    decoder_embed(&session->decoder, token, session->rows);
    stage_mark(session->compute.stages, STAGE_EMBEDDING);
    vl2_status status = decoder_run(&session->decoder, session->rows, session->key_count, 1, NULL,
                                    observer, error);
    if (status == VL2_OK) {
        session->keys[session->key_count++] = (uint64_t)(uint32_t)token;
        decoder_logits(&session->decoder, session->rows, 1, session->normed, session->logits);
    }
    return status;
}
