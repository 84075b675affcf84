/* Running from a packed file: the same answers as from the folder, damage found where it is used
 * and reported by name, and everything else still usable. */
#include "test_model_data.h"

#include "engine/session.h"

#include <string.h>

#define SEED 11

typedef struct fixture {
    char folder[FOLDER_SIZE];      /* the checkpoint */
    char packed[FOLDER_SIZE + 32]; /* lossless */
} fixture;

static int set_up(void **state)
{
    static fixture f;
    synth_shape shape;
    folder_make(f.folder);
    miniature(&shape);
    miniature_write(&shape, SEED, 0, f.folder);
    snprintf(f.packed, sizeof(f.packed), "%s/packed.vl2", f.folder);
    pack_or_fail(f.folder, f.packed, "bf16", 1);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    folder_remove(f->folder);
    return 0;
}

/* The answers of a model with one and with three threads are the same; the last logits are copied
 * to *logits (free). */
static void answer_twice(const char *path, int32_t tokens[12], float **logits, size_t *count)
{
    vl2_model *model = model_open_or_fail(path);
    *count = (size_t)model->config.language.vocabulary;
    *logits = malloc(*count * sizeof(float));
    assert_non_null(*logits);
    for (int threads = 1; threads <= 3; threads += 2) {
        vl2_session *session = session_open_or_fail(model, 1000, 64, threads);
        vl2_answer got;
        vl2_error error;
        if (answer_two_pictures(session, 12, &got, &error) != VL2_OK) {
            fail_msg("%s", error.message);
        }
        assert_int_equal(got.token_count, 12);
        if (threads == 1) {
            memcpy(tokens, got.tokens, 12 * sizeof(*tokens));
            memcpy(*logits, session->logits, *count * sizeof(float));
        }
        assert_memory_equal(tokens, got.tokens, 12 * sizeof(*tokens));
        assert_memory_equal(*logits, session->logits, *count * sizeof(float));
        vl2_answer_clear(&got);
        vl2_session_close(session);
    }
    vl2_model_close(model);
}

static void test_lossless(void **state)
{
    const fixture *f = *state;
    int32_t expected[12], found[12];
    float *a, *b;
    size_t count;
    answer_twice(f->folder, expected, &a, &count);
    answer_twice(f->packed, found, &b, &count);
    assert_memory_equal(expected, found, sizeof(expected));
    assert_memory_equal(a, b, count * sizeof(float));
    free(a);
    free(b);
}

/* Every preset runs, with equal bytes for one and three threads. */
static void test_presets(void **state)
{
    static const char *const presets[] = {"int8", "int6", "int4", "mixed"};
    const fixture *f = *state;
    for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++) {
        char path[FOLDER_SIZE + 32];
        int32_t tokens[12];
        float *logits;
        size_t count;
        snprintf(path, sizeof(path), "%s/%s.vl2", f->folder, presets[i]);
        pack_or_fail(f->folder, path, presets[i], 2);
        answer_twice(path, tokens, &logits, &count);
        free(logits);
        remove(path);
    }
}

static void flip(const char *path, uint64_t offset)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)offset, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, (long)offset, SEEK_SET), 0);
    assert_true(byte != EOF && fputc(byte ^ 0x10, file) != EOF);
    assert_int_equal(fclose(file), 0);
}

/* Where a record's first frame lies. */
static uint64_t frame_of(const char *path, const char *tensor)
{
    pack_file *file;
    vl2_error error;
    assert_int_equal(pack_open(path, &file, &error), VL2_OK);
    const pack_tensor *found = pack_find(file, tensor);
    assert_non_null(found);
    uint64_t offset = found->frames[0].offset;
    pack_close(file);
    return offset;
}

static void expect_damage(const char *path, const char *const *words)
{
    vl2_model *model = model_open_or_fail(path);
    vl2_session *session = session_open_or_fail(model, 1000, 64, 2);
    for (int again = 0; again < 2; again++) { /* it stays unusable */
        vl2_answer got;
        vl2_error error;
        assert_int_equal(answer_two_pictures(session, 12, &got, &error), VL2_ERROR_MODEL);
        for (size_t i = 0; words[i] != NULL; i++) {
            if (strstr(error.message, words[i]) == NULL) {
                fail_msg("%s: expected %s", error.message, words[i]);
            }
        }
        assert_int_equal(got.token_count, 0);
        vl2_answer_clear(&got);
    }
    vl2_session_close(session);
    vl2_model_close(model);
}

static void test_damage(void **state)
{
    const fixture *f = *state;
    static const struct {
        const char *tensor, *words[6];
    } cases[] = {
        {"language.model.embed_tokens.weight", {"embed_tokens", "offset", "checksum", NULL}},
        {"vision.blocks.0.attn.qkv.weight", {"vision.blocks.0.attn.qkv", "offset", NULL}},
        {"language.model.layers.1.self_attn.o_proj.weight", {"layer 1", "o_proj", NULL}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t offset = frame_of(f->packed, cases[i].tensor);
        flip(f->packed, offset);
        expect_damage(f->packed, cases[i].words);
        flip(f->packed, offset);
    }
}

/* A flipped bit in each expert of layer 1 in turn: the damage is reported if and only if the expert
 * is used. */
static void test_damaged_expert(void **state)
{
    const fixture *f = *state;
    vl2_model *model = model_open_or_fail(f->packed);
    int experts = model->config.language.gate.experts, used = 0;
    vl2_model_close(model);
    for (int e = 0; e < experts; e++) {
        char name[96], expert[32], offset_text[32];
        snprintf(name, sizeof(name), "language.model.layers.1.mlp.experts.%d.up_proj.weight", e);
        uint64_t offset = frame_of(f->packed, name);
        flip(f->packed, offset + 3);
        model = model_open_or_fail(f->packed);
        vl2_session *session = session_open_or_fail(model, 1000, 64, 2);
        vl2_answer got;
        vl2_error error;
        vl2_status status = answer_two_pictures(session, 12, &got, &error);
        vl2_answer_clear(&got);
        vl2_session_close(session);
        vl2_model_close(model);
        if (status != VL2_OK) {
            snprintf(expert, sizeof(expert), "expert %d,", e);
            snprintf(offset_text, sizeof(offset_text), "%llu", (unsigned long long)offset);
            assert_int_equal(status, VL2_ERROR_MODEL);
            assert_non_null(strstr(error.message, "layer 1"));
            assert_non_null(strstr(error.message, expert));
            assert_non_null(strstr(error.message, offset_text));
            used++;
        }
        flip(f->packed, offset + 3);
    }
    assert_true(used > 0);
}

/* A session goes on after it met a damaged record that the next request does not need. */
static void test_goes_on(void **state)
{
    const fixture *f = *state;
    uint64_t offset = frame_of(f->packed, "vision.blocks.1.mlp.fc1.weight");
    flip(f->packed, offset);
    vl2_model *model = model_open_or_fail(f->packed);
    vl2_session *session = session_open_or_fail(model, 1000, 64, 2);
    vl2_answer got;
    vl2_error error;
    assert_int_equal(answer_two_pictures(session, 12, &got, &error), VL2_ERROR_MODEL);
    vl2_answer_clear(&got);
    vl2_conversation *conversation = conversation_of("no picture this time", NULL, 0);
    assert_int_equal(vl2_session_generate(session, conversation, NULL, NULL, NULL, &got, &error),
                     VL2_OK);
    assert_true(got.token_count > 0);
    vl2_answer_clear(&got);
    vl2_conversation_close(conversation);
    vl2_session_close(session);
    vl2_model_close(model);
    flip(f->packed, offset);
}

static void test_verify(void **state)
{
    const fixture *f = *state;
    uint64_t offset = frame_of(f->packed, "language.lm_head.weight");
    vl2_model_options options;
    vl2_model_options_defaults(&options);
    vl2_model *model;
    vl2_error error;
    options.verify = VL2_VERIFY_ALL;
    assert_int_equal(vl2_model_open(f->packed, &options, &model, &error), VL2_OK);
    vl2_model_close(model);
    flip(f->packed, offset);
    assert_int_equal(vl2_model_open(f->packed, &options, &model, &error), VL2_ERROR_MODEL);
    assert_non_null(strstr(error.message, "language.lm_head.weight"));
    options.verify = VL2_VERIFY_OFF; /* the user's own choice: a wrong number somewhere */
    assert_int_equal(vl2_model_open(f->packed, &options, &model, &error), VL2_OK);
    vl2_session *session = session_open_or_fail(model, 1000, 64, 2);
    vl2_answer got;
    assert_int_equal(answer_two_pictures(session, 12, &got, &error), VL2_OK);
    vl2_answer_clear(&got);
    vl2_session_close(session);
    vl2_model_close(model);
    flip(f->packed, offset);
}

/* Tokenizer and tiles come from the file alone, too. */
static void test_parts(void **state)
{
    const fixture *f = *state;
    vl2_tokenizer *tokenizers[2];
    vl2_tiles *tiles[2];
    vl2_image *image = picture_make(90, 50, 9);
    const char *const paths[2] = {f->folder, f->packed};
    int32_t *ids[2];
    size_t counts[2];
    for (int i = 0; i < 2; i++) {
        static const char text[] = "<|ref|>two \xc3\xa9t\xc3\xa9s<|/ref|>";
        assert_int_equal(vl2_tokenizer_open(paths[i], &tokenizers[i], NULL), VL2_OK);
        assert_int_equal(vl2_tokenizer_encode(tokenizers[i], text, sizeof(text) - 1, &ids[i],
                                              &counts[i], NULL), VL2_OK);
        assert_int_equal(vl2_tiles_create(paths[i], image, true, &tiles[i], NULL), VL2_OK);
    }
    assert_int_equal(counts[0], counts[1]);
    assert_memory_equal(ids[0], ids[1], counts[0] * sizeof(int32_t));
    assert_int_equal(vl2_tiles_count(tiles[0]), vl2_tiles_count(tiles[1]));
    assert_string_equal(vl2_tiles_sha256(tiles[0], 0), vl2_tiles_sha256(tiles[1], 0));
    for (int i = 0; i < 2; i++) {
        vl2_free(ids[i]);
        vl2_tokenizer_close(tokenizers[i]);
        vl2_tiles_close(tiles[i]);
    }
    vl2_image_release(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lossless), cmocka_unit_test(test_presets),
        cmocka_unit_test(test_damage),   cmocka_unit_test(test_damaged_expert),
        cmocka_unit_test(test_goes_on),  cmocka_unit_test(test_verify),
        cmocka_unit_test(test_parts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
