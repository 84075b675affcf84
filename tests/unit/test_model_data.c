#include "test_model_data.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

void folder_make(char folder[FOLDER_SIZE])
{
    snprintf(folder, FOLDER_SIZE, "/tmp/vl2-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

void folder_remove(const char *folder)
{
    char command[FOLDER_SIZE + 16];
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

void miniature(synth_shape *shape)
{
    assert_int_equal(synth_shape_named("small-dev", shape), VL2_OK);
    const int side = 28;
    static const int grids[][2] = {{1, 1}, {1, 2}, {2, 1}, {2, 2}};
    shape->candidate_count = 4;
    for (int i = 0; i < 4; i++) {
        shape->candidate_resolutions[i][0] = grids[i][0] * side;
        shape->candidate_resolutions[i][1] = grids[i][1] * side;
    }
    shape->vision.image_size = side;
    shape->vision.patch_size = 7;
    shape->vision.width = 24;
    shape->vision.layers = 2;
    shape->vision.heads = 3;
    shape->vision.attn_pool = false;
    shape->language.vocab_size = 288;
    shape->language.hidden_size = 36;
    shape->language.intermediate_size = 52;
    shape->language.moe_intermediate_size = 20;
    shape->language.num_hidden_layers = 3;
    shape->language.num_attention_heads = 3;
    shape->language.num_key_value_heads = 3;
    shape->language.n_routed_experts = 8;
    shape->language.n_shared_experts = 1;
    shape->language.num_experts_per_tok = 3;
    shape->language.kv_lora_rank = 20;
    shape->language.qk_nope_head_dim = 12;
    shape->language.qk_rope_head_dim = 8;
    shape->language.v_head_dim = 10;
    shape->language.max_position_embeddings = 512;
    shape->tokenizer.kind = SYNTH_VOCABULARY_100K;
    shape->tokenizer.tokens = 280;
}

void miniature_write(const synth_shape *shape, uint64_t seed, uint64_t shard_bytes,
                     const char *folder)
{
    vl2_error error = {VL2_OK, ""};
    vl2_synth_options options;
    vl2_synth_options_defaults(&options);
    options.out = folder;
    options.seed = seed;
    options.shard_bytes = shard_bytes;
    options.overwrite = true;
    if (synth_write_team(shape, &options, &(team){.threads = 1}, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
}

void json_patch(const char *folder, const char *file, const char *patch)
{
    char path[4200];
    if (patch == NULL) {
        return;
    }
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    json_t *root = json_load_file(path, 0, NULL);
    json_t *changes = json_loads(patch, 0, NULL);
    assert_non_null(root);
    assert_non_null(changes);
    assert_int_equal(json_object_update_recursive(root, changes), 0);
    assert_int_equal(json_dump_file(root, path, JSON_INDENT(1)), 0);
    json_decref(root);
    json_decref(changes);
}

static vl2_image *picture_from(const uint8_t *pixels, int width, int height)
{
    vl2_image *image;
    assert_int_equal(
        vl2_image_from_rgb(pixels, width, height, 3 * (size_t)width, &image, NULL), VL2_OK);
    return image;
}

vl2_image *picture_make(int width, int height, uint32_t seed)
{
    size_t count = 3 * (size_t)width * (size_t)height;
    uint8_t *pixels = malloc(count);
    assert_non_null(pixels);
    uint32_t state = seed * 2654435761u + 1;
    for (size_t i = 0; i < count; i++) {
        double x = (double)(i / 3 % (size_t)width), y = (double)(i / 3 / (size_t)width);
        state = state * 1664525u + 1013904223u;
        double wave = sin(0.11 * x + seed) + cos(0.07 * y * (double)(1 + i % 3));
        pixels[i] = (uint8_t)(128 + 45 * wave + (double)(state >> 28));
    }
    vl2_image *image = picture_from(pixels, width, height);
    free(pixels);
    return image;
}

vl2_image *picture_plain(int width, int height, uint8_t value)
{
    size_t count = 3 * (size_t)width * (size_t)height;
    uint8_t *pixels = malloc(count);
    assert_non_null(pixels);
    memset(pixels, value, count);
    vl2_image *image = picture_from(pixels, width, height);
    free(pixels);
    return image;
}

vl2_model *model_open_or_fail(const char *folder)
{
    vl2_error error = {VL2_OK, ""};
    vl2_model *model = NULL;
    if (vl2_model_open(folder, NULL, &model, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return model;
}

vl2_session *session_open_or_fail(vl2_model *model, int context, int chunk, int threads)
{
    vl2_error error = {VL2_OK, ""};
    vl2_session *session = NULL;
    vl2_session_options options;
    vl2_session_options_defaults(&options);
    options.context = context;
    options.chunk = chunk;
    options.threads = threads;
    if (vl2_session_open(model, &options, &session, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return session;
}

void conversation_add(vl2_conversation *conversation, const char *role, const char *content,
                      vl2_image *const *images, size_t count)
{
    vl2_error error = {VL2_OK, ""};
    if (vl2_conversation_add(conversation, role, content, strlen(content), images, count,
                             &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
}

vl2_conversation *conversation_of(const char *content, vl2_image *const *images, size_t count)
{
    vl2_conversation *conversation;
    assert_int_equal(vl2_conversation_create(&conversation, NULL), VL2_OK);
    conversation_add(conversation, "user", content, images, count);
    return conversation;
}

void pack_or_fail(const char *folder, const char *out, const char *quant, int threads)
{
    vl2_pack_options options;
    vl2_error error;
    vl2_pack_options_defaults(&options);
    options.model = folder;
    options.out = out;
    options.quant = quant;
    options.threads = threads;
    options.overwrite = true;
    if (vl2_pack(&options, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
}

vl2_status answer_two_pictures(vl2_session *session, int tokens, vl2_answer *answer,
                               vl2_error *error)
{
    vl2_image *images[2] = {picture_make(70, 40, 5), picture_make(30, 90, 6)};
    vl2_conversation *conversation = conversation_of("<image> and <image>: what?", images, 2);
    vl2_generate_options options;
    vl2_generate_options_defaults(&options);
    options.max_tokens = tokens;
    options.ignore_end = true;
    vl2_status status =
        vl2_session_generate(session, conversation, &options, NULL, NULL, answer, error);
    vl2_conversation_close(conversation);
    vl2_image_release(images[0]);
    vl2_image_release(images[1]);
    return status;
}
