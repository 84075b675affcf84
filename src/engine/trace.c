/* vl2_session_trace: every stage of one request, written to files that a script can compare with
 * the reference's. */
#include "engine/routing_log.h"
#include "engine/session.h"

#include "base/alloc.h"
#include "base/file.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TOKENS 24

/* Sums of one tile that was encoded. */
typedef struct tile_trace {
    uint8_t digest[SHA256_SIZE];
    double vision_mean, vision_l2, projector_mean, projector_l2;
    double *stages; /* [2 + vision layers] */
} tile_trace;

typedef struct tracer {
    vl2_session *session;
    const char *out;
    prepared_prompt prepared;
    size_t positions, hidden, layers, expert_layers, experts, k;
    float *embeddings;    /* [positions, hidden] */
    float *hidden_last;   /* [layers + 2, hidden] */
    float *layer_l2;      /* [layers + 1, positions] */
    int32_t *router_ids;  /* [expert_layers, positions, k] */
    float *router_scores; /* [expert_layers, experts], last position */
    float *router_weights; /* [expert_layers, k], last position */
    int *router_layers;   /* [expert_layers]: which layer it is */
    tile_trace *tiles;
    size_t tile_count;
    uint8_t chosen[SHA256_SIZE];       /* the tile whose rows are written */
    float *vision_out, *projector_out; /* of that tile */
    json_t *arrays;
    routing_log *routing; /* NULL: not asked for */
    vl2_status status; /* of writing */
    vl2_error *error;
} tracer;

static void sums(const float *x, size_t count, double *mean, double *l2)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        sum += x[i];
        squares += (double)x[i] * x[i];
    }
    *mean = sum / (double)count;
    *l2 = sqrt(squares);
}

static size_t vision_floats(const vl2_model *model)
{
    size_t grid = (size_t)model->config.vision.grid;
    return grid * grid * (size_t)model->config.vision.width;
}

static void trace_tile(void *user, const uint8_t digest[SHA256_SIZE], const float *features,
                       const float *rows, const double *stages)
{
    tracer *t = user;
    const vl2_model *model = t->session->model;
    tile_trace *tile = &t->tiles[t->tile_count++];
    size_t count = 2 + (size_t)model->config.vision.layers;
    memcpy(tile->digest, digest, SHA256_SIZE);
    sums(features, vision_floats(model), &tile->vision_mean, &tile->vision_l2);
    sums(rows, tile_row_floats(model), &tile->projector_mean, &tile->projector_l2);
    memcpy(tile->stages, stages, count * sizeof(*stages));
    if (memcmp(digest, t->chosen, SHA256_SIZE) == 0) {
        memcpy(t->vision_out, features, vision_floats(model) * sizeof(float));
        memcpy(t->projector_out, rows, tile_row_floats(model) * sizeof(float));
    }
}

static void trace_layer(void *user, int layer, const float *rows, size_t first, size_t count)
{
    tracer *t = user;
    float *l2 = t->layer_l2 + (size_t)(layer + 1) * t->positions;
    for (size_t i = 0; i < count; i++) {
        double mean, norm;
        sums(rows + i * t->hidden, t->hidden, &mean, &norm);
        l2[first + i] = (float)norm;
    }
    if (layer < 0) {
        memcpy(t->embeddings + first * t->hidden, rows, count * t->hidden * sizeof(float));
    }
    if (first + count == t->positions) {
        memcpy(t->hidden_last + (size_t)(layer + 1) * t->hidden, rows + (count - 1) * t->hidden,
               t->hidden * sizeof(float));
    }
}

static void trace_router(void *user, int layer, const int32_t *ids, const float *weights,
                         const float *scores, size_t first, size_t count)
{
    tracer *t = user;
    size_t index = 0;
    for (int i = 0; i < layer; i++) {
        index += language_config_has_experts(&t->session->model->config.language, i);
    }
    t->router_layers[index] = layer;
    if (t->routing != NULL) {
        routing_log_add(t->routing, layer, ids, count);
    }
    if (first >= t->positions) { /* of the answer */
        return;
    }
    memcpy(t->router_ids + (index * t->positions + first) * t->k, ids,
           count * t->k * sizeof(*ids));
    if (first + count == t->positions) {
        memcpy(t->router_scores + index * t->experts, scores + (count - 1) * t->experts,
               t->experts * sizeof(float));
        memcpy(t->router_weights + index * t->k, weights + (count - 1) * t->k,
               t->k * sizeof(float));
    }
}

static void ignore_layer(void *user, int layer, const float *rows, size_t first, size_t count)
{
    (void)user;
    (void)layer;
    (void)rows;
    (void)first;
    (void)count;
}

static vl2_status tracer_allocate(tracer *t)
{
    const vl2_model *model = t->session->model;
    size_t stages = 2 + (size_t)model->config.vision.layers;
    size_t tiles = t->session->pictures.tile_count;
    t->embeddings = base_malloc(t->positions * t->hidden, sizeof(float));
    t->hidden_last = base_malloc((t->layers + 2) * t->hidden, sizeof(float));
    t->layer_l2 = base_malloc((t->layers + 1) * t->positions, sizeof(float));
    t->router_ids = base_malloc(t->expert_layers * t->positions * t->k, sizeof(int32_t));
    t->router_scores = base_malloc(t->expert_layers * t->experts, sizeof(float));
    t->router_weights = base_malloc(t->expert_layers * t->k, sizeof(float));
    t->router_layers = base_calloc(t->expert_layers, sizeof(int));
    t->vision_out = base_malloc(vision_floats(model), sizeof(float));
    t->projector_out = base_malloc(tile_row_floats(model), sizeof(float));
    t->tiles = base_calloc(tiles, sizeof(*t->tiles));
    double *all_stages = base_calloc(tiles * stages, sizeof(double));
    if (t->tiles != NULL && all_stages != NULL) {
        t->tiles[0].stages = all_stages; /* tracer_free finds it here */
        for (size_t i = 0; i < tiles; i++) {
            t->tiles[i].stages = all_stages + i * stages;
        }
    }
    if (t->embeddings == NULL || t->hidden_last == NULL || t->layer_l2 == NULL ||
        t->router_ids == NULL || t->router_scores == NULL || t->router_weights == NULL ||
        t->router_layers == NULL || t->vision_out == NULL || t->projector_out == NULL ||
        t->tiles == NULL || all_stages == NULL) {
        return vl2_fail_memory(t->error, "a trace", t->positions * t->hidden * sizeof(float));
    }
    return VL2_OK;
}

static void tracer_free(tracer *t)
{
    if (t->tiles != NULL) {
        base_free(t->tiles[0].stages);
    }
    base_free(t->tiles);
    base_free(t->embeddings);
    base_free(t->hidden_last);
    base_free(t->layer_l2);
    base_free(t->router_ids);
    base_free(t->router_scores);
    base_free(t->router_weights);
    base_free(t->router_layers);
    base_free(t->vision_out);
    base_free(t->projector_out);
    prepared_prompt_free(&t->prepared);
    json_decref(t->arrays);
}

static void write_file(tracer *t, const char *name, const void *bytes, size_t size)
{
    char *path = path_join(t->out, name);
    if (t->status == VL2_OK && path == NULL) {
        t->status = vl2_fail_memory(t->error, name, size);
    }
    if (t->status == VL2_OK) {
        t->status = file_write(path, bytes, size, t->error);
    }
    base_free(path);
}

/* Writes NAME.f32 or NAME.i32 and its entry under "arrays". Sizes of unused dimensions are 0. */
static void write_array(tracer *t, const char *name, const char *type, const void *data,
                        size_t rows, size_t columns, size_t depth)
{
    char file[64];
    bool integer = strcmp(type, "int32") == 0;
    snprintf(file, sizeof(file), "%s.%s", name, integer ? "i32" : "f32");
    json_t *shape = json_array();
    size_t sizes[3] = {rows, columns, depth}, count = 1;
    for (int i = 0; i < 3 && sizes[i] > 0; i++) {
        json_array_append_new(shape, json_integer((json_int_t)sizes[i]));
        count *= sizes[i];
    }
    write_file(t, file, data, count * 4);
    json_object_set_new(t->arrays, name,
                        json_pack("{s:s, s:s, s:o}", "file", file, "dtype", type, "shape", shape));
}

static void write_arrays(tracer *t)
{
    const vl2_model *model = t->session->model;
    size_t grid = (size_t)model->config.vision.grid, cells = (size_t)model->config.projector.grid;
    write_array(t, "logits_last", "float32", t->session->logits,
                (size_t)model->config.language.vocabulary, 0, 0);
    write_array(t, "hidden_last", "float32", t->hidden_last, t->layers + 2, t->hidden, 0);
    write_array(t, "layer_l2", "float32", t->layer_l2, t->layers + 1, t->positions, 0);
    write_array(t, "embeds", "float32", t->embeddings, t->positions, t->hidden, 0);
    if (t->expert_layers > 0) {
        write_array(t, "router_ids", "int32", t->router_ids, t->expert_layers, t->positions, t->k);
        write_array(t, "router_scores_last", "float32", t->router_scores, t->expert_layers,
                    t->experts, 0);
    }
    if (t->tile_count > 0) {
        write_array(t, "vision_out", "float32", t->vision_out, grid * grid,
                    (size_t)model->config.vision.width, 0);
        write_array(t, "projector_out", "float32", t->projector_out, cells * cells, t->hidden, 0);
    }
}

static json_t *describe_tiles(const tracer *t)
{
    json_t *list = json_array();
    size_t stages = 2 + (size_t)t->session->model->config.vision.layers;
    for (size_t p = 0; p < t->session->pictures.picture_count; p++) {
        const picture *picture = &t->session->pictures.pictures[p];
        for (size_t i = 0; i < (size_t)picture->set.count; i++) {
            const tile_trace *tile = t->tiles;
            while (memcmp(tile->digest, picture->digests[i], SHA256_SIZE) != 0) {
                tile++; /* every tile of every picture has been encoded */
            }
            char digest[SHA256_HEX_SIZE];
            sha256_hex(tile->digest, digest);
            json_t *norms = json_array();
            for (size_t s = 0; s < stages; s++) {
                json_array_append_new(norms, json_real(tile->stages[s]));
            }
            json_array_append_new(
                list, json_pack("{s:s, s:f, s:f, s:o, s:f, s:f}", "sha256", digest, "vision_mean",
                                tile->vision_mean, "vision_l2", tile->vision_l2, "vit_l2", norms,
                                "projector_mean", tile->projector_mean, "projector_l2",
                                tile->projector_l2));
        }
    }
    return list;
}

static json_t *describe_router(const tracer *t)
{
    json_t *list = json_array();
    for (size_t layer = 0; layer < t->expert_layers; layer++) {
        json_t *ids = json_array(), *weights = json_array();
        const int32_t *last = t->router_ids + ((layer + 1) * t->positions - 1) * t->k;
        for (size_t i = 0; i < t->k; i++) {
            json_array_append_new(ids, json_integer(last[i]));
            json_array_append_new(weights, json_real(t->router_weights[layer * t->k + i]));
        }
        json_array_append_new(list, json_pack("{s:i, s:o, s:o}", "layer", t->router_layers[layer],
                                              "last_ids", ids, "last_weights", weights));
    }
    return list;
}

static void describe_prompt(const tracer *t, json_t *trace)
{
    json_t *ids = json_array(), *runs = json_array(), *crops = json_array(), *counts = json_array();
    for (size_t i = 0; i < t->positions; i++) {
        json_array_append_new(ids, json_integer(t->prepared.prompt.ids.ids[i]));
    }
    for (size_t i = 0; i < t->prepared.prompt.run_count; i++) {
        const picture *picture = &t->session->pictures.pictures[i];
        json_array_append_new(runs, json_pack("[I, I]", (json_int_t)t->prepared.prompt.runs[i][0],
                                              (json_int_t)t->prepared.prompt.runs[i][1]));
        json_array_append_new(crops, json_pack("[i, i]", picture->set.columns, picture->set.rows));
        json_array_append_new(counts, json_integer((json_int_t)picture_rows(picture)));
    }
    json_object_set_new(trace, "num_tokens", json_integer((json_int_t)t->positions));
    json_object_set_new(trace, "input_ids", ids);
    json_object_set_new(trace, "images_seq_mask_runs", runs);
    json_object_set_new(trace, "images_spatial_crop_wh", crops);
    json_object_set_new(trace, "num_image_tokens", counts);
}

static vl2_status describe_display(tracer *t, const vl2_conversation *conversation, json_t *trace)
{
    prompt_message *messages;
    size_t count;
    buffer text = {NULL, 0, 0, false};
    vl2_status status = session_messages(conversation, &messages, &count, t->error);
    if (status != VL2_OK) {
        return status;
    }
    status = prompt_display(messages, count, &text, t->error);
    base_free(messages);
    if (status == VL2_OK) {
        json_object_set_new(trace, "sft_format",
                            json_stringn(text.data != NULL ? text.data : "", text.size));
    }
    buffer_free(&text);
    return status;
}

/* The best token and how far its logit is above the second. */
static int32_t greedy_token(const float *logits, size_t count, double *margin)
{
    size_t best = 0;
    float second = -INFINITY;
    for (size_t i = 1; i < count; i++) {
        if (logits[i] > logits[best]) {
            second = logits[best];
            best = i;
        } else if (logits[i] > second) {
            second = logits[i];
        }
    }
    *margin = (double)logits[best] - (double)second;
    return (int32_t)best;
}

/* Generates greedily, on past the end token, as the reference data does. */
static vl2_status trace_greedy(tracer *t, int count, json_t *trace)
{
    vl2_session *session = t->session;
    size_t vocabulary = (size_t)session->model->config.language.vocabulary;
    json_t *tokens = json_array(), *margins = json_array();
    json_t *greedy = json_pack("{s:o, s:o}", "tokens", tokens, "margins", margins);
    json_object_set_new(trace, "greedy", greedy);
    buffer text = {NULL, 0, 0, false};
    token_stream stream;
    token_stream_init(&stream, session->model->tokenizer.tokenizer, false);
    const decoder_observer routing = {ignore_layer, trace_router, t};
    vl2_status status = VL2_OK;
    for (int i = 0; i < count; i++) {
        double margin;
        int32_t token = greedy_token(session->logits, vocabulary, &margin);
        json_array_append_new(tokens, json_integer(token));
        json_array_append_new(margins, json_real(margin));
        status = token_stream_push(&stream, token, &text, t->error);
        if (status != VL2_OK || i + 1 == count ||
            session->key_count >= session->decoder.positions) {
            break;
        }
        status = session_step(session, token, t->routing != NULL ? &routing : NULL, t->error);
    }
    if (status == VL2_OK) {
        status = token_stream_finish(&stream, &text, t->error);
    }
    if (status == VL2_OK) {
        json_object_set_new(greedy, "text",
                            json_stringn(text.data != NULL ? text.data : "", text.size));
    }
    buffer_free(&text);
    return status;
}

void vl2_trace_options_defaults(vl2_trace_options *options)
{
    *options = (vl2_trace_options){.tokens = DEFAULT_TOKENS};
}

/* The digest of tile `index` over all pictures. */
static vl2_status choose_tile(tracer *t, size_t index)
{
    const picture_store *store = &t->session->pictures;
    size_t left = index;
    for (size_t p = 0; p < store->picture_count; p++) {
        size_t count = (size_t)store->pictures[p].set.count;
        if (left < count) {
            memcpy(t->chosen, store->pictures[p].digests[left], SHA256_SIZE);
            return VL2_OK;
        }
        left -= count;
    }
    if (store->picture_count == 0 && index == 0) {
        return VL2_OK;
    }
    return vl2_fail(t->error, VL2_ERROR_ARGUMENT, "tile: found %zu, expected less than %zu", index,
                    index - left);
}

static vl2_status trace_prompt(tracer *t)
{
    size_t encoded;
    const tile_observer tiles = {trace_tile, t};
    const decoder_observer layers = {trace_layer, trace_router, t};
    vl2_status status = tracer_allocate(t);
    if (status == VL2_OK) {
        status = session_encode(t->session, &t->prepared, 0, &encoded, &tiles, t->error);
    }
    if (status == VL2_OK) {
        status = session_prefill(t->session, &t->prepared, 0, &layers, t->error);
    }
    if (status == VL2_OK) {
        memcpy(t->hidden_last + (t->layers + 1) * t->hidden, t->session->normed,
               t->hidden * sizeof(float));
    }
    return status;
}

static vl2_status write_trace(tracer *t, const vl2_conversation *conversation, int tokens)
{
    json_t *trace = json_object();
    vl2_status status = describe_display(t, conversation, trace);
    if (status == VL2_OK) {
        describe_prompt(t, trace);
        json_object_set_new(trace, "tiles", describe_tiles(t));
        json_object_set_new(trace, "router", describe_router(t));
        write_arrays(t);
        json_object_set(trace, "arrays", t->arrays);
        status = t->status;
    }
    if (status == VL2_OK) {
        status = trace_greedy(t, tokens, trace);
    }
    if (status == VL2_OK) {
        char *text = json_dumps(trace, JSON_ENSURE_ASCII);
        if (text == NULL) {
            status = vl2_fail_memory(t->error, "a trace", 0);
        } else {
            write_file(t, "trace.json", text, strlen(text));
            status = t->status;
        }
        free(text);
    }
    json_decref(trace);
    return status;
}

/* All that computes, as one phase of the session's team. */
typedef struct trace_run {
    tracer *t;
    const vl2_conversation *conversation;
    int tokens;
    vl2_status status;
} trace_run;

static void run_trace(void *context)
{
    trace_run *run = context;
    run->status = trace_prompt(run->t);
    if (run->status == VL2_OK) {
        run->status = write_trace(run->t, run->conversation, run->tokens);
    }
}

vl2_status vl2_session_trace(vl2_session *session, const vl2_conversation *conversation,
                             const vl2_trace_options *options, const char *out, vl2_error *error)
{
    const language_config *config = &session->model->config.language;
    vl2_trace_options defaults;
    vl2_trace_options_defaults(&defaults);
    options = options != NULL ? options : &defaults;
    tracer t = {.session = session, .out = out, .error = error, .arrays = json_object(),
                .hidden = (size_t)config->hidden, .layers = (size_t)config->layers,
                .experts = (size_t)config->gate.experts,
                .k = (size_t)config->gate.experts_per_token};
    for (int i = 0; i < config->layers; i++) {
        t.expert_layers += language_config_has_experts(config, i);
    }
    atomic_store_explicit(&session->cancelled, 0, memory_order_relaxed);
    picture_store_free(&session->pictures); /* every tile is to be encoded, and seen */
    session->key_count = 0;
    vl2_status status = folder_create(out, error);
    if (status == VL2_OK) {
        status = session_prepare(session, conversation, &t.prepared, error);
    }
    if (status == VL2_OK) {
        t.positions = t.prepared.prompt.ids.count;
        status = choose_tile(&t, options->tile);
    }
    routing_log routing;
    if (status == VL2_OK && options->routing != NULL) {
        status = routing_log_open(options->routing, config, &routing, error);
        t.routing = status == VL2_OK ? &routing : NULL;
    }
    if (status == VL2_OK) {
        trace_run run = {.t = &t, .conversation = conversation, .tokens = options->tokens};
        team_enter(&session->compute.team, run_trace, &run);
        status = run.status;
    }
    if (t.routing != NULL) {
        status = routing_log_close(t.routing, status);
    }
    tracer_free(&t);
    return status;
}
