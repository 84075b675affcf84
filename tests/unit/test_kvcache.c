/* The KV cache by itself: what is read is what was stored, as near as its kind of numbers allows,
 * in every shape; and sessions with each kind. */
#include "test_model_data.h"

#include "engine/session.h"
#include "model/kvcache.h"

#include <math.h>
#include <string.h>

#define POSITIONS ((size_t)150) /* three blocks, the last in part */
#define LAYERS    2

static const vl2_kv_type kinds[] = {VL2_KV_F32, VL2_KV_BF16, VL2_KV_F16, VL2_KV_INT8};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* Sizes at, below and above a run of activations; 576 is the latent and the rotated part of the
 * published models. */
static const struct shape {
    int latent, rope, heads, width; /* latent 0: `heads` heads of `width` */
} shapes[] = {
    {512, 64, 0, 0}, {20, 8, 0, 0}, {128, 128, 0, 0}, {129, 2, 0, 0},
    {0, 0, 3, 12},   {0, 0, 2, 128}, {0, 0, 1, 200},
};

static language_config config_of(const struct shape *shape)
{
    language_config config;
    memset(&config, 0, sizeof(config));
    config.layers = LAYERS;
    config.latent_attention = shape->latent > 0;
    config.latent_rank = shape->latent;
    config.rope_width = shape->rope;
    config.kv_heads = shape->heads;
    config.head_width = shape->width;
    return config;
}

/* The number `i` of a key or value: any size between 2^-12 and 2^4, a few zeros. */
static float number(size_t layer, size_t head, size_t position, size_t i)
{
    uint64_t x = (layer * 7919 + head * 104729 + position * 1299709 + i + 1) * 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 32;
    if (x % 64 == 0) {
        return 0;
    }
    float size = ldexpf(1 + (float)(x >> 8 & 0xffff) / 65536, (int)(x >> 24 & 15) - 12);
    return x >> 40 & 1 ? -size : size;
}

static void fill(float *out, size_t count, size_t layer, size_t head, size_t position, size_t from)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = number(layer, head, position, from + i);
    }
}

/* The most that a number may differ: half a step of the kind; of int8 a step is the largest of its
 * run / 127. */
static float tolerance(vl2_kv_type type, const float *run, size_t count, float x)
{
    float most = 0;
    switch (type) {
    case VL2_KV_BF16:
        return fabsf(x) * 0x1p-8f;
    case VL2_KV_F16:
        return fmaxf(fabsf(x) * 0x1p-11f, 0x1p-25f);
    case VL2_KV_INT8:
        for (size_t i = 0; i < count; i++) {
            most = fmaxf(most, fabsf(run[i]));
        }
        return most / 127 * 0.5001f;
    default:
        return 0;
    }
}

/* `count` numbers, of which runs begin at 0 and again at `latent`. */
static void expect_numbers(vl2_kv_type type, const float *expected, const float *found,
                           size_t stride, size_t count, size_t latent)
{
    for (size_t first = 0; first < count;) {
        size_t limit = first < latent ? latent : count;
        size_t run = limit - first < ACTIVATION_GROUP ? limit - first : ACTIVATION_GROUP;
        for (size_t i = first; i < first + run; i++) {
            float most = tolerance(type, expected + first, run, expected[i]);
            if (!(fabsf(found[i * stride] - expected[i]) <= most)) {
                fail_msg("kind %d, number %zu of %zu: %g, stored was %g", (int)type, i, count,
                         (double)found[i * stride], (double)expected[i]);
            }
        }
        first += run;
    }
}

static void store_all(const kvcache *cache, const kernels *kernels, float *row, float *scratch)
{
    /* backwards, so that no position may depend on the one before */
    for (size_t position = POSITIONS; position-- > 0;) {
        for (size_t layer = 0; layer < LAYERS; layer++) {
            for (size_t head = 0; head < cache->heads; head++) {
                fill(row, cache->depth, layer, head, position, 0);
                fill(row + cache->depth, cache->value_depth, layer, head, position, 5000);
                kvcache_store(cache, kernels, (int)layer, head, position, row,
                              row + cache->depth, scratch);
            }
        }
    }
}

static void expect_position(const kvcache *cache, const kernels *kernels, size_t layer,
                            size_t head, size_t position, float *row, float *scratch)
{
    attention_tile keys, values;
    size_t slot = position % ATTENTION_KEYS;
    kvcache_read(cache, kernels, (int)layer, head, position / ATTENTION_KEYS, scratch, &keys,
                 &values);
    fill(row, cache->depth, layer, head, position, 0);
    expect_numbers(cache->type, row, keys.data + slot * keys.position_stride, keys.depth_stride,
                   cache->depth, cache->latent);
    if (cache->value_depth > 0) {
        fill(row, cache->value_depth, layer, head, position, 5000);
        expect_numbers(cache->type, row, values.data + slot * values.position_stride,
                       values.depth_stride, cache->value_depth, 0);
    } else {
        assert_ptr_equal(values.data, keys.data);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    kernels kernels;
    assert_null(kernels_default(&kernels));
    for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
        language_config config = config_of(&shapes[s]);
        for (size_t k = 0; k < KINDS; k++) {
            kvcache cache;
            assert_int_equal(kvcache_open(&config, kinds[k], POSITIONS, &cache, NULL), VL2_OK);
            float *row = malloc((cache.depth + cache.value_depth) * sizeof(float));
            float *scratch = malloc(kvcache_scratch(&cache) * sizeof(float));
            store_all(&cache, &kernels, row, scratch);
            for (size_t i = 0; i < POSITIONS * cache.heads * LAYERS; i++) {
                expect_position(&cache, &kernels, i % LAYERS, i / LAYERS % cache.heads,
                                i / LAYERS / cache.heads, row, scratch);
            }
            free(row);
            free(scratch);
            kvcache_close(&cache);
        }
    }
}

/* What is promised to take the memory: numbers, and for int8 a float for each 128 of them. */
static void test_bytes(void **state)
{
    (void)state;
    language_config latent = config_of(&shapes[0]), heads = config_of(&shapes[6]);
    static const size_t latent_bytes[] = {576 * 4, 576 * 2, 576 * 2, 576 + 5 * 4};
    static const size_t heads_bytes[] = {400 * 4, 400 * 2, 400 * 2, 400 + 4 * 4};
    for (size_t k = 0; k < KINDS; k++) {
        assert_int_equal(kvcache_token_bytes(&latent, kinds[k]), LAYERS * latent_bytes[k]);
        assert_int_equal(kvcache_token_bytes(&heads, kinds[k]), LAYERS * heads_bytes[k]);
        kvcache cache;
        assert_int_equal(kvcache_open(&latent, kinds[k], POSITIONS, &cache, NULL), VL2_OK);
        assert_int_equal(kvcache_memory(&cache), 192 * LAYERS * latent_bytes[k]);
        kvcache_close(&cache);
    }
    assert_int_equal(kvcache_token_bytes(&latent, VL2_KV_DEFAULT), LAYERS * latent_bytes[0]);
}

static vl2_status open_kind(vl2_model *model, vl2_kv_type type, int threads,
                            vl2_session **session, vl2_error *error)
{
    vl2_session_options options;
    vl2_session_options_defaults(&options);
    options.context = 300;
    options.chunk = 32;
    options.threads = threads;
    options.kv_type = type;
    return vl2_session_open(model, &options, session, error);
}

/* The logits behind a prompt of several blocks and 8 tokens. */
static void run_kind(vl2_model *model, vl2_kv_type type, int threads, float *logits)
{
    vl2_error error = {VL2_OK, ""};
    vl2_session *session;
    vl2_generate_options options;
    vl2_answer answer;
    vl2_conversation *conversation = conversation_of(
        "A text of more than one hundred and twenty-eight bytes, each of which is a token of its "
        "own, so that it takes several blocks of the cache and a part of another.", NULL, 0);
    vl2_generate_options_defaults(&options);
    options.max_tokens = 8;
    options.ignore_end = true;
    assert_int_equal(open_kind(model, type, threads, &session, &error), VL2_OK);
    if (vl2_session_generate(session, conversation, &options, NULL, NULL, &answer, &error) !=
        VL2_OK) {
        fail_msg("%s", error.message);
    }
    assert_true(answer.prompt_tokens > 2 * ATTENTION_KEYS);
    memcpy(logits, session->logits, (size_t)model->config.language.vocabulary * sizeof(float));
    vl2_answer_clear(&answer);
    vl2_conversation_close(conversation);
    vl2_session_close(session);
}

static double distance(const float *a, const float *b, size_t count)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm += (double)b[i] * b[i];
    }
    return sqrt(difference / norm);
}

static void multi_head(synth_shape *shape)
{
    shape->language.use_mla = false;
    shape->language.kv_lora_rank = shape->language.qk_nope_head_dim = 0;
    shape->language.qk_rope_head_dim = shape->language.v_head_dim = 0;
}

/* With each kind the same bytes for one and three threads; the default is f32. */
static void test_sessions(void **state)
{
    (void)state;
    char folder[FOLDER_SIZE];
    synth_shape shape;
    folder_make(folder);
    for (int latent = 0; latent < 2; latent++) {
        miniature(&shape);
        if (latent == 0) {
            multi_head(&shape);
        }
        miniature_write(&shape, 5, 0, folder);
        vl2_model *model = model_open_or_fail(folder);
        size_t count = (size_t)model->config.language.vocabulary;
        float *truth = malloc(count * sizeof(float)), *one = malloc(count * sizeof(float));
        float *three = malloc(count * sizeof(float));
        run_kind(model, VL2_KV_DEFAULT, 2, truth);
        for (size_t k = 0; k < KINDS; k++) {
            run_kind(model, kinds[k], 1, one);
            run_kind(model, kinds[k], 3, three);
            assert_memory_equal(one, three, count * sizeof(float));
            double error = distance(one, truth, count);
            assert_true(kinds[k] == VL2_KV_F32 ? error == 0 : error > 0 && error < 0.3);
        }
        free(truth);
        free(one);
        free(three);
        vl2_model_close(model);
    }
    folder_remove(folder);
}

static void test_refused(void **state)
{
    (void)state;
    char folder[FOLDER_SIZE];
    synth_shape shape;
    folder_make(folder);
    miniature(&shape);
    miniature_write(&shape, 5, 0, folder);
    vl2_model *model = model_open_or_fail(folder);
    static const int wrong[] = {-1, VL2_KV_INT8 + 1};
    for (int i = 0; i < 2; i++) {
        vl2_session *session;
        vl2_error error;
        assert_int_equal(open_kind(model, (vl2_kv_type)wrong[i], 1, &session, &error),
                         VL2_ERROR_ARGUMENT);
        assert_non_null(strstr(error.message, "kv_type"));
    }
    vl2_model_close(model);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("kvcache", tests, NULL, NULL);
}
