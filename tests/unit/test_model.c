/* The whole network against the oracle, on configurations that the reference data do not have:
 * every hidden state of every position, every gate, the vision tower, the projector and the
 * logits of the prompt and of tokens after it; in chunks of many sizes; with one thread and with
 * three. */
#include "oracle.h"
#include "test_model_data.h"

#include "engine/session.h"

#include <math.h>
#include <string.h>

#define TOLERANCE_FEATURES 2e-5 /* relative L2: vision tower and projector, embedding rows */
#define TOLERANCE_HIDDEN   3e-5 /* relative L2 of each row */
#define TOLERANCE_LOGITS   2e-3 /* absolute */
#define TOLERANCE_ROUTER   1e-5 /* weights, times routed_scaling_factor if that is more than 1 */
#define LEAST_GAP          2e-6 /* of a gate; below, float32 could choose otherwise: another seed */

#define STEPS 4 /* tokens behind the prompt, each as one step */

typedef struct network_case {
    const char *name;
    void (*change)(synth_shape *shape); /* NULL: the miniature as it is */
    const char *patch;                  /* merged into config.json, or NULL */
    size_t text;                        /* characters of the question */
    size_t pictures;
    uint64_t shard_bytes;
} network_case;

/* ---------------------------------------------------------------------------- cases */

static void multi_head(synth_shape *shape)
{
    shape->language.use_mla = false;
    shape->language.q_lora_rank = shape->language.kv_lora_rank = 0;
    shape->language.qk_nope_head_dim = shape->language.qk_rope_head_dim = 0;
    shape->language.v_head_dim = 0;
}

static void gate(synth_shape *shape, const char *scoring, const char *method, int groups,
                 int groups_per_token)
{
    shape->language.scoring_func = scoring;
    shape->language.topk_method = method;
    shape->language.n_group = groups;
    shape->language.topk_group = groups_per_token;
}

static void side(synth_shape *shape, int image, int patch)
{
    for (int i = 0; i < shape->candidate_count; i++) {
        for (int j = 0; j < 2; j++) {
            shape->candidate_resolutions[i][j] =
                shape->candidate_resolutions[i][j] / shape->vision.image_size * image;
        }
    }
    shape->vision.image_size = image;
    shape->vision.patch_size = patch;
}

static void dense_only(synth_shape *shape)
{
    multi_head(shape);
    shape->language.n_routed_experts = shape->language.n_shared_experts = 0;
}

static void grouped_heads(synth_shape *shape)
{
    multi_head(shape);
    shape->language.hidden_size = 48;
    shape->language.num_attention_heads = 6;
    shape->language.num_key_value_heads = 2;
    shape->language.attention_bias = true;
    shape->language.norm_topk_prob = true;
    shape->language.first_k_dense_replace = 0;
}

static void one_kv_head(synth_shape *shape)
{
    multi_head(shape);
    shape->type = DATA_F32;
    shape->language.num_key_value_heads = 1;
}

static void yarn(synth_shape *shape)
{
    shape->language.rope_scaling.factor = 4;
    shape->language.rope_scaling.beta_fast = 32;
    shape->language.rope_scaling.beta_slow = 1;
    shape->language.rope_scaling.mscale = 0.707;
    shape->language.rope_scaling.mscale_all_dim = 0.707;
    shape->language.rope_scaling.original_max_position_embeddings = 64;
}

static void yarn_query_rank(synth_shape *shape)
{
    yarn(shape);
    shape->language.rope_scaling.factor = 40;
    shape->language.rope_scaling.beta_fast = 4;
    shape->language.rope_scaling.mscale = 1;
    shape->language.rope_scaling.mscale_all_dim = 0;
    shape->language.qk_rope_head_dim = 16;
    shape->language.q_lora_rank = 22;
    shape->language.n_routed_experts = 7;
    shape->language.attention_bias = true;
}

static void query_rank(synth_shape *shape)
{
    shape->language.q_lora_rank = 17;
    shape->type = DATA_F16;
}

static void grouped_noaux(synth_shape *shape)
{
    gate(shape, "sigmoid", "noaux_tc", 4, 2);
    shape->language.n_routed_experts = 12;
    shape->language.norm_topk_prob = true;
    shape->language.routed_scaling_factor = 2.5;
}

static void softmax_noaux(synth_shape *shape)
{
    gate(shape, "softmax", "noaux_tc", 2, 1);
}

static void group_limited(synth_shape *shape)
{
    gate(shape, "softmax", "group_limited_greedy", 4, 2);
    shape->language.routed_scaling_factor = 16;
}

/* More choices than the chosen groups have experts: the rest come from masked groups, weighing
 * 0. */
static void group_exhausted(synth_shape *shape)
{
    gate(shape, "softmax", "group_limited_greedy", 4, 1);
    shape->language.norm_topk_prob = true;
}

static void sigmoid_greedy(synth_shape *shape)
{
    gate(shape, "sigmoid", "greedy", 1, 1);
    shape->language.n_shared_experts = 3;
}

static void sigmoid_group_limited(synth_shape *shape)
{
    gate(shape, "sigmoid", "group_limited_greedy", 2, 1);
    shape->language.norm_topk_prob = true;
}

static void every_second_layer(synth_shape *shape)
{
    shape->language.num_hidden_layers = 5;
    shape->language.moe_layer_freq = 2;
    shape->language.first_k_dense_replace = 0;
}

static void two_dense_layers(synth_shape *shape)
{
    multi_head(shape);
    shape->language.num_hidden_layers = 4;
    shape->language.first_k_dense_replace = 2;
}

static void third_layer_only(synth_shape *shape)
{
    shape->language.num_hidden_layers = 5;
    shape->language.first_k_dense_replace = 2;
    shape->language.moe_layer_freq = 3;
}

static void no_shared(synth_shape *shape)
{
    shape->type = DATA_F16;
    shape->language.n_shared_experts = 0;
}

static void one_expert(synth_shape *shape)
{
    shape->language.num_experts_per_tok = 1;
    shape->language.norm_topk_prob = true;
}

static void all_experts(synth_shape *shape)
{
    shape->language.num_experts_per_tok = shape->language.n_routed_experts;
    shape->language.norm_topk_prob = true;
    shape->type = DATA_F32;
}

static void tail(synth_shape *shape)
{
    shape->global_view_pos = "tail";
}

static void deep_projector(synth_shape *shape)
{
    side(shape, 36, 7); /* a grid of 5, padded to 6; one column of pixels unused */
    shape->projector.depth = 3;
    shape->projector.mlp_ratio = 2;
    shape->projector.downsample_ratio = 3;
}

static void no_downsampling(synth_shape *shape)
{
    side(shape, 24, 8);
    shape->projector.downsample_ratio = 1;
    shape->global_view_pos = "tail";
}

static void patches_of_16(synth_shape *shape)
{
    side(shape, 224, 16);
    shape->vision.mlp_ratio = 3.7362;
    shape->vision.width = 28;
    shape->vision.heads = 2;
}

static void other_numbers(synth_shape *shape)
{
    shape->language.rope_theta = 1000000;
    shape->language.rms_norm_eps = 1e-3;
    shape->language.vocab_size = 401;
    shape->tokenizer.kind = SYNTH_VOCABULARY_128K;
    shape->tokenizer.tokens = 300;
    shape->vision.attn_pool = true;
}

#define LINEAR_ROPE(more) \
    "{\"language_config\": {\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.5" more "}}}"

static const network_case cases[] = {
    {"dense layers only", dense_only, NULL, 40, 1, 0},
    {"tied embeddings", dense_only, "{\"language_config\": {\"tie_word_embeddings\": true}}", 20, 0,
     0},
    {"grouped heads with biases", grouped_heads, NULL, 70, 1, 0},
    {"one key/value head, linear rope", one_kv_head, LINEAR_ROPE(""), 150, 0, 0},
    {"yarn", yarn, NULL, 260, 0, 0},
    {"yarn, query rank, biases", yarn_query_rank, NULL, 190, 1, 0},
    {"linear rope with mscale_all_dim", NULL, LINEAR_ROPE(", \"mscale_all_dim\": 1.0"), 90, 0, 0},
    {"query rank", query_rank, NULL, 70, 0, 0},
    {"noaux_tc in groups", grouped_noaux, NULL, 70, 1, 0},
    {"noaux_tc on softmax", softmax_noaux, NULL, 70, 0, 0},
    {"group_limited_greedy", group_limited, NULL, 70, 0, 0},
    {"group_limited_greedy, groups exhausted", group_exhausted, NULL, 70, 0, 0},
    {"group_limited_greedy on sigmoid", sigmoid_group_limited, NULL, 70, 0, 0},
    {"sigmoid, greedy, three shared experts", sigmoid_greedy, NULL, 70, 0, 0},
    {"experts in every second layer", every_second_layer, NULL, 50, 0, 0},
    {"two dense layers first", two_dense_layers, NULL, 50, 0, 0},
    {"experts in layer 3 only", third_layer_only, NULL, 50, 0, 0},
    {"no shared experts", no_shared, NULL, 50, 0, 0},
    {"one expert per token", one_expert, NULL, 50, 0, 0},
    {"all experts", all_experts, NULL, 50, 1, 0},
    {"global view at the tail", tail, NULL, 30, 2, 0},
    {"three projector layers, three to one", deep_projector, NULL, 30, 1, 0},
    {"no downsampling", no_downsampling, NULL, 30, 1, 0},
    {"224 pixels in patches of 16", patches_of_16, NULL, 10, 1, 0},
    {"shards, three pictures", NULL, NULL, 30, 3, 20000},
    {"other numbers", other_numbers, NULL, 50, 1, 0},
};

/* ---------------------------------------------------------------------------- truth */

typedef struct true_tile {
    uint8_t digest[SHA256_SIZE];
    double *features, *rows;
    size_t feature_count, row_count;
} true_tile;

typedef struct truth {
    const network_case *c;
    oracle oracle;
    true_tile *tiles;
    size_t tile_count, tiles_seen;
    oracle_sequence *sequence; /* the prompt and STEPS tokens */
    size_t prompt;
} truth;

/* The tokens that follow the prompt; any will do. */
static int32_t next_token(size_t step)
{
    return (int32_t)(40 + 37 * step % 200);
}

static void true_picture(truth *t, const picture *picture, double **all, size_t *count)
{
    size_t cells = 0, rows, hidden, tiles = (size_t)picture->set.count;
    size_t bytes = 3 * (size_t)picture->set.side * (size_t)picture->set.side;
    double **made = calloc(tiles, sizeof(*made));
    free(oracle_tensor(&t->oracle, &hidden, "image_newline"));
    for (size_t i = 0; i < tiles; i++) {
        true_tile *tile = &t->tiles[t->tile_count++];
        memcpy(tile->digest, picture->digests[i], SHA256_SIZE);
        tile->features = oracle_vision(&t->oracle, picture->set.pixels + i * bytes);
        tile->rows = made[i] = oracle_project(&t->oracle, tile->features, &cells);
        size_t grid = (size_t)oracle_integer(t->oracle.vision, "image_size", 384) /
                      (size_t)oracle_integer(t->oracle.vision, "patch_size", 16);
        tile->feature_count = grid * grid * (size_t)oracle_integer(t->oracle.vision, "width", 1024);
        tile->row_count = cells * cells * hidden;
    }
    double *joined = oracle_join(&t->oracle, made, cells, (size_t)picture->set.columns,
                                 (size_t)picture->set.rows, &rows);
    *all = realloc(*all, (*count + rows) * hidden * sizeof(double));
    memcpy(*all + *count * hidden, joined, rows * hidden * sizeof(double));
    *count += rows;
    free(joined);
    free(made);
}

static void truth_open(const network_case *c, const char *folder, vl2_session *session,
                       const vl2_conversation *conversation, truth *t)
{
    memset(t, 0, sizeof(*t));
    t->c = c;
    oracle_open(folder, &t->oracle);
    prepared_prompt prepared;
    vl2_error error = {VL2_OK, ""};
    if (session_prepare(session, conversation, &prepared, &error) != VL2_OK) {
        fail_msg("%s: %s", c->name, error.message);
    }
    t->prompt = prepared.prompt.ids.count;
    size_t rows = 0, tiles = 0;
    double *pictures = NULL;
    for (size_t i = 0; i < session->pictures.picture_count; i++) {
        tiles += (size_t)session->pictures.pictures[i].set.count;
    }
    t->tiles = calloc(tiles + 1, sizeof(*t->tiles));
    for (size_t i = 0; i < session->pictures.picture_count; i++) {
        true_picture(t, &session->pictures.pictures[i], &pictures, &rows);
    }
    int32_t *ids = calloc(t->prompt + STEPS, sizeof(*ids));
    memcpy(ids, prepared.prompt.ids.ids, t->prompt * sizeof(*ids));
    for (size_t i = 0; i < STEPS; i++) {
        ids[t->prompt + i] = next_token(i);
    }
    assert_int_equal(rows, prepared.image_tokens);
    double *embeddings = oracle_embed(&t->oracle, ids, t->prompt + STEPS,
                                      session->model->tokens.image, pictures);
    t->sequence = oracle_decode(&t->oracle, embeddings, t->prompt + STEPS);
    if (t->sequence->least_gap < LEAST_GAP) {
        fail_msg("%s: a gate's gap is %g; the case needs another seed", c->name,
                 t->sequence->least_gap);
    }
    free(ids);
    free(pictures);
    prepared_prompt_free(&prepared);
}

static void truth_close(truth *t)
{
    for (size_t i = 0; i < t->tile_count; i++) {
        free(t->tiles[i].features);
        free(t->tiles[i].rows);
    }
    free(t->tiles);
    oracle_sequence_free(t->sequence);
    oracle_close(&t->oracle);
}

/* ---------------------------------------------------------------------------- found */

static double distance(const float *found, const double *expected, size_t count)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        double d = (double)found[i] - expected[i];
        difference += d * d;
        norm += expected[i] * expected[i];
    }
    return sqrt(difference) / sqrt(norm > 0 ? norm : 1);
}

/* `not` catches NaN too. */
static void expect_close(const truth *t, const char *what, size_t index, double found,
                         double tolerance)
{
    if (!(found <= tolerance)) {
        fail_msg("%s: %s %zu is off by %g, expected at most %g", t->c->name, what, index, found,
                 tolerance);
    }
}

static void check_tile(void *user, const uint8_t digest[SHA256_SIZE], const float *features,
                       const float *rows, const double *stages)
{
    (void)stages;
    truth *t = user;
    for (size_t i = 0; i < t->tile_count; i++) {
        const true_tile *tile = &t->tiles[i];
        if (memcmp(tile->digest, digest, SHA256_SIZE) == 0) {
            expect_close(t, "vision output of tile", i,
                         distance(features, tile->features, tile->feature_count),
                         TOLERANCE_FEATURES);
            expect_close(t, "projector output of tile", i,
                         distance(rows, tile->rows, tile->row_count), TOLERANCE_FEATURES);
            t->tiles_seen++;
            return;
        }
    }
    fail_msg("%s: a tile was encoded that no picture has", t->c->name);
}

static void check_layer(void *user, int layer, const float *rows, size_t first, size_t count)
{
    const truth *t = user;
    const oracle_sequence *s = t->sequence;
    char what[64];
    snprintf(what, sizeof(what), layer < 0 ? "embedding row" : "output of layer %d, position",
             layer);
    for (size_t i = 0; i < count; i++) {
        expect_close(t, what, first + i,
                     distance(rows + i * s->hidden,
                              s->outputs[layer + 1] + (first + i) * s->hidden, s->hidden),
                     layer < 0 ? TOLERANCE_FEATURES : TOLERANCE_HIDDEN);
    }
}

static void check_router(void *user, int layer, const int32_t *ids, const float *weights,
                         const float *scores, size_t first, size_t count)
{
    const truth *t = user;
    const oracle_sequence *s = t->sequence;
    if (s->router_ids[layer] == NULL) {
        fail_msg("%s: layer %d has experts, expected a dense one", t->c->name, layer);
    }
    double scale = oracle_number(t->oracle.language, "routed_scaling_factor", 1);
    for (size_t i = 0; i < count; i++) {
        size_t at = first + i;
        expect_close(t, "gate scores of position", at,
                     distance(scores + i * s->experts, s->router_scores[layer] + at * s->experts,
                              s->experts),
                     TOLERANCE_HIDDEN);
        for (size_t j = 0; j < s->k; j++) {
            double found = NAN; /* weight of the oracle's choice j */
            for (size_t n = 0; n < s->k; n++) {
                if (ids[i * s->k + n] == s->router_ids[layer][at * s->k + j]) {
                    found = (double)weights[i * s->k + n];
                }
            }
            double expected = s->router_weights[layer][at * s->k + j];
            /* Of equal zeros behind exhausted groups any may be chosen. */
            if (expected != 0) {
                expect_close(t, "gate weight of position", at, fabs(found - expected),
                             TOLERANCE_ROUTER * fmax(1, scale));
            }
            if (j > 0 && weights[i * s->k + j] > weights[i * s->k + j - 1]) {
                fail_msg("%s: gate weights of position %zu are not falling", t->c->name, at);
            }
        }
    }
}

static void check_logits(const truth *t, const vl2_session *session, size_t position)
{
    const oracle_sequence *s = t->sequence;
    expect_close(t, "final norm of position", position,
                 distance(session->normed, s->normed + position * s->hidden, s->hidden),
                 TOLERANCE_HIDDEN);
    for (size_t i = 0; i < s->vocabulary; i++) {
        expect_close(t, "a logit of position", position,
                     fabs((double)session->logits[i] - s->logits[position * s->vocabulary + i]),
                     TOLERANCE_LOGITS);
    }
}

/* Reads the prompt and STEPS tokens, comparing everything. logits [1 + STEPS, vocabulary]
 * receives what came out. */
static void run(truth *t, vl2_model *model, const vl2_conversation *conversation, int chunk,
                int threads, float *logits)
{
    vl2_error error = {VL2_OK, ""};
    vl2_session *session = session_open_or_fail(model, (int)t->prompt + STEPS, chunk, threads);
    prepared_prompt prepared;
    size_t encoded = 0, row = t->sequence->vocabulary;
    assert_int_equal(session_prepare(session, conversation, &prepared, &error), VL2_OK);
    t->tiles_seen = 0;
    assert_int_equal(session_encode(session, &prepared, 0, &encoded,
                                    &(tile_observer){check_tile, t}, &error), VL2_OK);
    assert_int_equal(encoded, t->tiles_seen);
    assert_int_equal(session_prefill(session, &prepared, 0,
                                     &(decoder_observer){check_layer, check_router, t}, &error),
                     VL2_OK);
    check_logits(t, session, t->prompt - 1);
    memcpy(logits, session->logits, row * sizeof(float));
    for (size_t i = 0; i < STEPS; i++) {
        assert_int_equal(session_step(session, next_token(i), NULL, &error), VL2_OK);
        check_logits(t, session, t->prompt + i);
        memcpy(logits + (i + 1) * row, session->logits, row * sizeof(float));
    }
    prepared_prompt_free(&prepared);
    vl2_session_close(session);
}

static vl2_conversation *question(const network_case *c)
{
    static const int sizes[][2] = {{60, 28}, {20, 90}, {33, 35}};
    static const char letters[] = "What is in these pictures, and where? ";
    vl2_image *images[3];
    char text[512] = "";
    for (size_t i = 0; i < c->pictures; i++) {
        images[i] = picture_make(sizes[i][0], sizes[i][1], (uint32_t)i + 1);
        strcat(text, "<image>");
    }
    size_t used = strlen(text);
    for (size_t i = 0; i < c->text; i++) {
        text[used + i] = letters[i * (i / 38 + 1) % 38];
    }
    text[used + c->text] = '?';
    vl2_conversation *conversation = conversation_of(text, images, c->pictures);
    for (size_t i = 0; i < c->pictures; i++) {
        vl2_image_release(images[i]);
    }
    return conversation;
}

static void test_case(void **state)
{
    const network_case *c = *state;
    static const int chunks[] = {1, 2, 7, 31, 33, 64};
    char folder[FOLDER_SIZE];
    synth_shape shape;
    truth t;
    folder_make(folder);
    miniature(&shape);
    if (c->change != NULL) {
        c->change(&shape);
    }
    miniature_write(&shape, 5, c->shard_bytes, folder);
    json_patch(folder, "config.json", c->patch);
    vl2_model *model = model_open_or_fail(folder);
    vl2_conversation *conversation = question(c);
    vl2_session *session = session_open_or_fail(model, 0, 0, 1);
    truth_open(c, folder, session, conversation, &t);
    vl2_session_close(session);
    size_t bytes = (1 + STEPS) * t.sequence->vocabulary * sizeof(float);
    float *one = malloc(bytes), *three = malloc(bytes);
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        run(&t, model, conversation, chunks[i], 1, one);
    }
    run(&t, model, conversation, 40, 1, one);
    run(&t, model, conversation, 40, 3, three);
    assert_memory_equal(one, three, bytes);
    run(&t, model, conversation, 0, 1, one);
    run(&t, model, conversation, 0, 3, three);
    assert_memory_equal(one, three, bytes);
    free(one);
    free(three);
    truth_close(&t);
    vl2_conversation_close(conversation);
    vl2_model_close(model);
    folder_remove(folder);
}

/* ---------------------------------------------------------------------------- broken models */

/* Weights with NaN or infinity must not lead anywhere outside of memory. */
static void test_not_a_number(void **state)
{
    (void)state;
    char folder[FOLDER_SIZE];
    synth_shape shape;
    folder_make(folder);
    miniature(&shape);
    grouped_noaux(&shape);
    miniature_write(&shape, 5, 0, folder);
    vl2_model *model = model_open_or_fail(folder);
    vl2_session *session = session_open_or_fail(model, 64, 64, 2);
    size_t hidden = (size_t)shape.language.hidden_size;
    for (size_t count = 1; count < 64; count += 37) {
        for (size_t i = 0; i < count * hidden; i++) {
            session->rows[i] = i % 3 == 0 ? NAN : INFINITY;
        }
        assert_int_equal(
            decoder_run(&session->decoder, session->rows, 0, count, NULL, NULL, NULL), VL2_OK);
        decoder_logits(&session->decoder, session->rows, 1, session->normed, session->logits);
        assert_true(isnan(session->logits[0]));
    }
    vl2_session_close(session);
    vl2_model_close(model);
    folder_remove(folder);
}

int main(void)
{
    enum { CASES = sizeof(cases) / sizeof(cases[0]) };
    struct CMUnitTest tests[CASES + 1];
    for (size_t i = 0; i < CASES; i++) {
        tests[i] = (struct CMUnitTest){cases[i].name, test_case, NULL, NULL, (void *)&cases[i]};
    }
    tests[CASES] = (struct CMUnitTest)cmocka_unit_test(test_not_a_number);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
