/* vl2_compare: two forms of one model, side by side over a conversation. */
#include "engine/compare.h"
#include "engine/session.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <string.h>

#define SCORED_AT_ONCE 32 /* positions whose logits are in memory: one product with the head */

/* What A's vision tower and projector made of a tile. */
typedef struct tile_copy {
    uint8_t digest[SHA256_SIZE];
    float *features; /* [patches, vision width], then rows [cells, hidden] */
} tile_copy;

typedef struct comparer {
    vl2_session *a, *b;
    const vl2_conversation *conversation;
    const vl2_compare_options *options;
    prepared_prompt prompt_a, prompt_b; /* the same but for the picture stores that they point to */
    size_t hidden, layers, k, vocabulary;
    size_t chunk, positions; /* of the smaller session */
    size_t answer;           /* where the given answer begins; the prompt's length without one */
    size_t scored_from;      /* no position before is scored */
    float *states;           /* [layers + 1, chunk, hidden] of A: embeddings, then each layer */
    int32_t *choices;        /* [layers, chunk, k] of A */
    tile_copy *tiles;        /* [tile_count] */
    size_t tile_count, tile_capacity;
    float *picked, *normed;      /* [SCORED_AT_ONCE, hidden] */
    float *logits_a, *logits_b;  /* [SCORED_AT_ONCE, vocabulary] */
    vl2_comparison found;
    size_t token_capacity; /* of found.tokens */
    vl2_status status;     /* of the observers */
    vl2_error *error;
} comparer;

void vl2_compare_options_defaults(vl2_compare_options *options)
{
    *options = (vl2_compare_options){.tokens = 32, .positions = 256};
}

/* Cancelling either session cancels both. */
static bool share_cancel(const comparer *c)
{
    bool cancelled = atomic_load_explicit(&c->a->cancelled, memory_order_relaxed) ||
                     atomic_load_explicit(&c->b->cancelled, memory_order_relaxed);
    if (cancelled) {
        vl2_session_cancel(c->a);
        vl2_session_cancel(c->b);
    }
    return cancelled;
}

/* ------------------------------------------------------------------------------- observers */

static size_t feature_floats(const comparer *c)
{
    const vision_config *vision = &c->a->model->config.vision;
    return (size_t)vision->grid * (size_t)vision->grid * (size_t)vision->width;
}

static size_t cells_of(const comparer *c)
{
    return (size_t)c->a->model->config.projector.grid * (size_t)c->a->model->config.projector.grid;
}

static void keep_tile(void *user, const uint8_t digest[SHA256_SIZE], const float *features,
                      const float *rows, const double *stages)
{
    (void)stages;
    comparer *c = user;
    size_t first = feature_floats(c), second = cells_of(c) * c->hidden;
    share_cancel(c);
    float *copy = c->tile_count < c->tile_capacity ? base_malloc(first + second, sizeof(float))
                                                   : NULL;
    if (copy == NULL) {
        c->status = vl2_fail_memory(c->error, "a tile", (first + second) * sizeof(float));
        return;
    }
    memcpy(copy, features, first * sizeof(float));
    memcpy(copy + first, rows, second * sizeof(float));
    tile_copy *tile = &c->tiles[c->tile_count++];
    memcpy(tile->digest, digest, SHA256_SIZE);
    tile->features = copy;
}

static void compare_tile(void *user, const uint8_t digest[SHA256_SIZE], const float *features,
                         const float *rows, const double *stages)
{
    (void)stages;
    comparer *c = user;
    size_t width = (size_t)c->a->model->config.vision.width;
    share_cancel(c);
    for (size_t i = 0; i < c->tile_count; i++) {
        if (memcmp(c->tiles[i].digest, digest, SHA256_SIZE) == 0) {
            const float *kept = c->tiles[i].features;
            deviation_add(&c->found.vision, kept, features, feature_floats(c) / width, width);
            deviation_add(&c->found.projector, kept + feature_floats(c), rows, cells_of(c),
                          c->hidden);
        }
    }
}

static void keep_layer(void *user, int layer, const float *rows, size_t first, size_t count)
{
    (void)first;
    comparer *c = user;
    share_cancel(c);
    memcpy(c->states + (size_t)(layer + 1) * c->chunk * c->hidden, rows,
           count * c->hidden * sizeof(float));
}

static void compare_layer(void *user, int layer, const float *rows, size_t first, size_t count)
{
    (void)first;
    comparer *c = user;
    share_cancel(c);
    deviation_add(layer < 0 ? &c->found.embedding : &c->found.layers[layer].hidden,
                  c->states + (size_t)(layer + 1) * c->chunk * c->hidden, rows, count, c->hidden);
}

static void keep_router(void *user, int layer, const int32_t *ids, const float *weights,
                        const float *scores, size_t first, size_t count)
{
    (void)weights;
    (void)scores;
    (void)first;
    comparer *c = user;
    memcpy(c->choices + (size_t)layer * c->chunk * c->k, ids, count * c->k * sizeof(*ids));
}

static void compare_router(void *user, int layer, const int32_t *ids, const float *weights,
                           const float *scores, size_t first, size_t count)
{
    (void)weights;
    (void)scores;
    (void)first;
    comparer *c = user;
    vl2_compared_layer *found = &c->found.layers[layer];
    const int32_t *kept = c->choices + (size_t)layer * c->chunk * c->k;
    for (size_t i = 0; i < count * c->k; i++) {
        const int32_t *row = ids + i / c->k * c->k;
        for (size_t j = 0; j < c->k; j++) {
            found->equal += row[j] == kept[i];
        }
    }
    found->choices += count * c->k;
}

/* ------------------------------------------------------------------------------- next tokens */

typedef struct score_job {
    const float *a, *b;
    size_t vocabulary;
    vl2_compared_token *tokens;
} score_job;

static void score_task(void *context, size_t task, int worker)
{
    (void)worker;
    const score_job *job = context;
    compare_logits(job->a + task * job->vocabulary, job->b + task * job->vocabulary,
                   job->vocabulary, &job->tokens[task]);
}

/* Adds `count` tokens, of which position and what is known of the next one are filled in. */
static vl2_status score(comparer *c, const float *logits_a, const float *logits_b,
                        const vl2_compared_token *tokens, size_t count)
{
    vl2_comparison *found = &c->found;
    if (c->token_capacity - found->token_count < count) {
        size_t capacity = 2 * c->token_capacity + count;
        vl2_compared_token *grown = base_realloc(found->tokens, capacity, sizeof(*grown));
        if (grown == NULL) {
            return vl2_fail_memory(c->error, "a comparison", capacity * sizeof(*grown));
        }
        found->tokens = grown;
        c->token_capacity = capacity;
    }
    vl2_compared_token *added = found->tokens + found->token_count;
    memcpy(added, tokens, count * sizeof(*tokens));
    found->token_count += count;
    score_job job = {logits_a, logits_b, c->vocabulary, added};
    team_run(&c->a->compute.team, count, score_task, &job);
    return VL2_OK;
}

/* The prompt's next token is known, and neither it nor the position belongs to a picture. */
static bool has_next(const comparer *c, size_t position)
{
    const prepared_prompt *prompt = &c->prompt_a;
    return position + 1 < prompt->prompt.ids.count && prompt->picture[position] == SIZE_MAX &&
           prompt->picture[position + 1] == SIZE_MAX;
}

/* Logits of some rows of the chunk that a session has just read. */
static void pick_logits(comparer *c, vl2_session *session, const vl2_compared_token *tokens,
                        size_t count, size_t first, float *logits)
{
    for (size_t i = 0; i < count; i++) {
        memcpy(c->picked + i * c->hidden, session->rows + (tokens[i].position - first) * c->hidden,
               c->hidden * sizeof(float));
    }
    decoder_logits(&session->decoder, c->picked, count, c->normed, logits);
}

/* Scores the positions first .. first + count - 1, which both have read last. Behind the prompt's
 * last position comes what A would say, if no answer is given. */
static vl2_status score_chunk(comparer *c, size_t first, size_t count)
{
    const id_list *ids = &c->prompt_a.prompt.ids;
    bool answering = c->answer == ids->count && c->options->tokens > 0;
    vl2_status status = VL2_OK;
    for (size_t at = first; status == VL2_OK && at < first + count;) {
        vl2_compared_token tokens[SCORED_AT_ONCE];
        size_t picked = 0;
        for (; at < first + count && picked < SCORED_AT_ONCE; at++) {
            bool known = at >= c->scored_from && has_next(c, at);
            if (known || (answering && at + 1 == ids->count)) {
                tokens[picked++] =
                    (vl2_compared_token){.position = at, .answer = at + 1 >= c->answer,
                                         .token = known ? ids->ids[at + 1] : -1};
            }
        }
        if (picked > 0) {
            pick_logits(c, c->a, tokens, picked, first, c->logits_a);
            pick_logits(c, c->b, tokens, picked, first, c->logits_b);
            status = score(c, c->logits_a, c->logits_b, tokens, picked);
        }
    }
    return status;
}

/* ------------------------------------------------------------------------------- preparing */

/* Where the text of a last message of the assistant begins: without it the prompt ends there. */
static vl2_status find_answer(comparer *c)
{
    const vl2_conversation *given = c->conversation;
    const id_list *ids = &c->prompt_a.prompt.ids;
    c->answer = ids->count;
    if (strcmp(given->messages[given->count - 1].role, "assistant") != 0 &&
        strcmp(given->messages[given->count - 1].role, "<|Assistant|>") != 0) {
        return VL2_OK;
    }
    vl2_conversation front = *given;
    front.messages = base_malloc(given->count, sizeof(*front.messages));
    if (front.messages == NULL) {
        return vl2_fail_memory(c->error, "messages", given->count * sizeof(*front.messages));
    }
    memcpy(front.messages, given->messages, given->count * sizeof(*front.messages));
    front.messages[given->count - 1].content_size = 0;
    prepared_prompt prepared;
    vl2_status status = session_prepare(c->a, &front, &prepared, c->error);
    if (status == VL2_OK) {
        c->answer = prepared.prompt.ids.count;
        prepared_prompt_free(&prepared);
    }
    base_free(front.messages);
    return status;
}

/* The first of the last `positions` prompt positions that can be scored. */
static size_t first_scored(const comparer *c)
{
    size_t at = c->answer > 0 ? c->answer - 1 : 0;
    for (int left = c->options->positions; left > 0 && at > 0;) {
        left -= has_next(c, --at);
    }
    return at;
}

/* The tokenizers have the same tokens; but what they make of a text may differ all the same. */
static vl2_status check_prompts(const comparer *c)
{
    const id_list *a = &c->prompt_a.prompt.ids, *b = &c->prompt_b.prompt.ids;
    size_t same = 0;
    while (same < a->count && same < b->count && a->ids[same] == b->ids[same]) {
        same++;
    }
    if (same == a->count && same == b->count) {
        return VL2_OK;
    }
    return vl2_fail(c->error, VL2_ERROR_ARGUMENT,
                    "%s: the tokenizer reads the conversation otherwise than that of %s does: "
                    "found token %d at position %zu, expected %d", c->b->model->path,
                    c->a->model->path, same < b->count ? b->ids[same] : -1, same,
                    same < a->count ? a->ids[same] : -1);
}

/* Forgets the session's past, so that every tile is encoded and every position read. */
static vl2_status prepare(comparer *c, vl2_session *session, prepared_prompt *prompt)
{
    picture_store_free(&session->pictures);
    session->key_count = 0;
    return session_prepare(session, c->conversation, prompt, c->error);
}

static vl2_status allocate(comparer *c)
{
    size_t logits = SCORED_AT_ONCE * c->vocabulary, rows = SCORED_AT_ONCE * c->hidden;
    size_t states = (c->layers + 1) * c->chunk;
    c->tile_capacity = c->a->pictures.tile_count;
    c->states = base_alloc_aligned(states, c->hidden * sizeof(float));
    c->choices = base_malloc(c->layers * c->chunk, c->k * sizeof(int32_t));
    c->tiles = base_calloc(c->tile_capacity, sizeof(*c->tiles));
    c->picked = base_alloc_aligned(rows, sizeof(float));
    c->normed = base_alloc_aligned(rows, sizeof(float));
    c->logits_a = base_alloc_aligned(logits, sizeof(float));
    c->logits_b = base_alloc_aligned(logits, sizeof(float));
    c->found.layers = base_calloc(c->layers, sizeof(*c->found.layers));
    c->found.layer_count = c->layers;
    if (c->states == NULL || c->choices == NULL || c->tiles == NULL || c->picked == NULL ||
        c->normed == NULL || c->logits_a == NULL || c->logits_b == NULL ||
        c->found.layers == NULL) {
        return vl2_fail_memory(c->error, "a comparison",
                               (states * c->hidden + 2 * logits) * sizeof(float));
    }
    return VL2_OK;
}

static void comparer_free(comparer *c)
{
    for (size_t i = 0; i < c->tile_count; i++) {
        base_free(c->tiles[i].features);
    }
    base_free(c->tiles);
    base_free(c->states);
    base_free(c->choices);
    base_free(c->picked);
    base_free(c->normed);
    base_free(c->logits_a);
    base_free(c->logits_b);
    vl2_comparison_clear(&c->found);
    prepared_prompt_free(&c->prompt_a);
    prepared_prompt_free(&c->prompt_b);
}

/* ------------------------------------------------------------------------------- running */

/* One session's part, as a phase of its team: the tiles, a chunk of the prompt, or a token. */
typedef struct part {
    comparer *c;
    vl2_session *session;
    enum { PART_TILES, PART_CHUNK, PART_TOKEN } kind;
    size_t first, count; /* of a chunk */
    int32_t token;
    vl2_status status;
} part;

static vl2_status encode_tiles(const part *part, const prepared_prompt *prompt)
{
    comparer *c = part->c;
    size_t encoded;
    bool is_a = part->session == c->a;
    const tile_observer observer = {is_a ? keep_tile : compare_tile, c};
    vl2_status status = session_encode(part->session, prompt, 0, &encoded, &observer, c->error);
    const model_weights *weights = part->session->model->weights;
    return status != VL2_OK ? status
                            : model_weights_acquire(weights, &weights->language_records,
                                                    &part->session->compute.team, c->error);
}

static void run_part(void *context)
{
    part *part = context;
    comparer *c = part->c;
    bool is_a = part->session == c->a;
    const prepared_prompt *prompt = is_a ? &c->prompt_a : &c->prompt_b;
    const decoder_observer observer = {is_a ? keep_layer : compare_layer,
                                       is_a ? keep_router : compare_router, c};
    switch (part->kind) {
    case PART_TILES:
        part->status = encode_tiles(part, prompt);
        break;
    case PART_CHUNK:
        part->status = session_read(part->session, prompt, part->first, part->count, &observer,
                                    c->error);
        break;
    case PART_TOKEN:
        part->status = session_step(part->session, part->token, &observer, c->error);
        break;
    }
}

/* The same for A, then for B. */
static vl2_status run_both(comparer *c, part part)
{
    vl2_session *const sessions[] = {c->a, c->b};
    for (int i = 0; i < 2; i++) {
        if (share_cancel(c)) {
            return vl2_fail(c->error, VL2_ERROR_CANCELLED, "cancelled while comparing");
        }
        part.c = c;
        part.session = sessions[i];
        team_enter(&sessions[i]->compute.team, run_part, &part);
        if (part.status != VL2_OK || c->status != VL2_OK) {
            return part.status != VL2_OK ? part.status : c->status;
        }
    }
    return VL2_OK;
}

static vl2_status read_prompt(comparer *c)
{
    size_t count = c->prompt_a.prompt.ids.count;
    double began = session_begin_stage(c->a);
    vl2_status status = VL2_OK;
    for (size_t at = 0; status == VL2_OK && at < count;) {
        size_t now = count - at < c->chunk ? count - at : c->chunk;
        status = run_both(c, (part){.kind = PART_CHUNK, .first = at, .count = now});
        if (status == VL2_OK) {
            status = score_chunk(c, at, now);
        }
        at += now;
        session_report(c->a, VL2_STAGE_PREFILL, at, count, began);
    }
    return status;
}

/* A's greedy answer, forced upon both. Its first token has been scored with the prompt. */
static vl2_status read_answer(comparer *c)
{
    size_t most = (size_t)c->options->tokens;
    double began = session_begin_stage(c->a);
    vl2_status status = VL2_OK;
    for (size_t said = 1; status == VL2_OK; said++) {
        int32_t token = c->found.tokens[c->found.token_count - 1].token;
        size_t position = c->a->key_count;
        if (said == most || position == c->positions || token == c->a->model->tokens.eos) {
            break;
        }
        status = run_both(c, (part){.kind = PART_TOKEN, .token = token});
        if (status == VL2_OK) {
            vl2_compared_token next = {.position = position, .answer = true, .token = -1};
            status = score(c, c->a->logits, c->b->logits, &next, 1);
            session_report(c->a, VL2_STAGE_GENERATE, said + 1, most, began);
        }
    }
    return status;
}

static vl2_status run(comparer *c)
{
    vl2_status status = prepare(c, c->a, &c->prompt_a);
    if (status == VL2_OK) {
        status = prepare(c, c->b, &c->prompt_b);
    }
    if (status == VL2_OK) {
        status = check_prompts(c);
    }
    if (status == VL2_OK) {
        status = find_answer(c);
    }
    if (status == VL2_OK) {
        status = allocate(c);
    }
    if (status == VL2_OK) {
        c->scored_from = first_scored(c);
        status = run_both(c, (part){.kind = PART_TILES});
    }
    if (status == VL2_OK) {
        status = read_prompt(c);
    }
    if (status == VL2_OK && c->answer == c->prompt_a.prompt.ids.count && c->options->tokens > 0) {
        status = read_answer(c);
    }
    return status;
}

static vl2_status check_options(const vl2_session *a, const vl2_session *b,
                                const vl2_compare_options *options, vl2_error *error)
{
    if (a == b) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "sessions: found the same one twice, expected two");
    }
    if (options->tokens < 0 || options->positions < 0) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT, "%s: found %d, expected 0 or more",
                        options->tokens < 0 ? "tokens" : "positions",
                        options->tokens < 0 ? options->tokens : options->positions);
    }
    return compare_models(a->model, b->model, error);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

vl2_status vl2_compare(vl2_session *a, vl2_session *b, const vl2_conversation *conversation,
                       const vl2_compare_options *options, vl2_comparison *comparison,
                       vl2_error *error)
{
    vl2_compare_options defaults;
    vl2_compare_options_defaults(&defaults);
    options = options != NULL ? options : &defaults;
    vl2_status status = check_options(a, b, options, error);
    if (status != VL2_OK) {
        return status;
    }
    atomic_store_explicit(&a->cancelled, 0, memory_order_relaxed);
    atomic_store_explicit(&b->cancelled, 0, memory_order_relaxed);
    const language_config *config = &a->model->config.language;
    comparer c = {.a = a, .b = b, .conversation = conversation, .options = options,
                  .hidden = (size_t)config->hidden, .layers = (size_t)config->layers,
                  .k = (size_t)config->gate.experts_per_token,
                  .vocabulary = (size_t)config->vocabulary,
                  .chunk = smaller(a->decoder.chunk, b->decoder.chunk),
                  .positions = smaller(a->decoder.positions, b->decoder.positions),
                  .error = error};
    status = run(&c);
    if (status == VL2_OK) {
        status = comparison_append(comparison, &c.found, error);
    }
    comparer_free(&c);
    return status;
}
