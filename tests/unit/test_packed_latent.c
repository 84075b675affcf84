/* Latent attention with packed weights: in a long chunk keys and values are made of latents in
 * int8; with few positions the queries move into the space of the latents, and results are made of
 * what was mixed of these, in int8. Both are the same but for this rounding, and no division of the
 * prompt into long chunks changes a bit. */
#include "test_model_data.h"

#include "engine/session.h"

#include <math.h>
#include <string.h>

#define TOKENS_LEAST 520 /* of the prompt: more than two rounds of 256 positions */
#define SHORT_CHUNK  4   /* below ATTENTION_EXPAND */

static int set_up(void **state)
{
    static char folder[FOLDER_SIZE];
    synth_shape shape;
    folder_make(folder);
    miniature(&shape);
    shape.language.n_routed_experts = shape.language.n_shared_experts = 0; /* none to choose */
    shape.language.kv_lora_rank = 144; /* a run of activations and a part of one */
    shape.language.qk_nope_head_dim = 32;
    shape.language.qk_rope_head_dim = 6;
    shape.language.v_head_dim = 16;
    shape.language.max_position_embeddings = 1024;
    miniature_write(&shape, 3, 0, folder);
    *state = folder;
    return 0;
}

static int tear_down(void **state)
{
    folder_remove(*state);
    return 0;
}

/* The logits behind a long prompt, [count] (free). */
static float *logits_of(vl2_model *model, vl2_kv_type type, int chunk, size_t *count)
{
    char text[700] = "";
    vl2_session_options options;
    vl2_session *session;
    vl2_answer answer;
    vl2_generate_options generate;
    vl2_error error = {VL2_OK, ""};
    vl2_session_options_defaults(&options);
    options.context = 1000;
    options.chunk = chunk;
    options.threads = 2;
    options.kv_type = type;
    if (vl2_session_open(model, &options, &session, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    for (size_t i = 0; i + 1 < sizeof(text); i++) {
        text[i] = (char)('a' + i * i % 23);
    }
    vl2_conversation *conversation = conversation_of(text, NULL, 0);
    vl2_generate_options_defaults(&generate);
    generate.max_tokens = 1;
    if (vl2_session_generate(session, conversation, &generate, NULL, NULL, &answer, &error) !=
        VL2_OK) {
        fail_msg("%s", error.message);
    }
    assert_true(answer.prompt_tokens >= TOKENS_LEAST);
    *count = (size_t)model->config.language.vocabulary;
    float *logits = malloc(*count * sizeof(float));
    assert_non_null(logits);
    memcpy(logits, session->logits, *count * sizeof(float));
    vl2_answer_clear(&answer);
    vl2_conversation_close(conversation);
    vl2_session_close(session);
    return logits;
}

static double relative_error(const float *found, const float *expected, size_t count)
{
    double error = 0, all = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = (double)found[i] - (double)expected[i];
        error += difference * difference;
        all += (double)expected[i] * (double)expected[i];
    }
    return sqrt(error / all);
}

static void check_kind(vl2_model *model, vl2_kv_type type, bool packed, double least, double most)
{
    size_t count;
    float *absorbed = logits_of(model, type, SHORT_CHUNK, &count);
    float *expanded = logits_of(model, type, 1024, &count);
    float *divided = logits_of(model, type, 200, &count);
    double error = relative_error(expanded, absorbed, count);
    print_message("  kv type %d: %.2e\n", (int)type, error);
    assert_true(error >= least && error <= most);
    if (packed) {
        assert_memory_equal(expanded, divided, count * sizeof(float));
    } else { /* where OpenBLAS multiplies, sums depend on the number of rows */
        assert_true(relative_error(divided, expanded, count) <= most);
    }
    free(absorbed);
    free(expanded);
    free(divided);
}

/* Weights as they are: floats all the way. */
static void test_plain(void **state)
{
    vl2_model *model = model_open_or_fail(*state);
    check_kind(model, VL2_KV_F32, false, 0, 1e-5);
    vl2_model_close(model);
}

/* int8 multiplies few and many rows with the same bits: what differs is attention. */
static void test_packed(void **state)
{
    char path[FOLDER_SIZE + 32];
    snprintf(path, sizeof(path), "%s/packed.vl2", (const char *)*state);
    pack_or_fail(*state, path, "int8", 2);
    vl2_model *model = model_open_or_fail(path);
    check_kind(model, VL2_KV_F32, true, 1e-5, 0.03);
    check_kind(model, VL2_KV_BF16, true, 1e-5, 0.03);
    check_kind(model, VL2_KV_INT8, true, 1e-5, 0.03);
    vl2_model_close(model);
    remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain), cmocka_unit_test(test_packed)};
    return cmocka_run_group_tests_name("latent attention", tests, set_up, tear_down);
}
