/* weights/store_random: the weights that vl2 bench makes up. Every tensor of the shape with the
 * type that vl2 pack would give it, numbers of the right size and within the layout's ranges, the
 * same bytes for any number of threads; and a model of them runs. */
#include "test_model_data.h"

#include "engine/session.h"
#include "simd/kernels.h"
#include "weights/store_random.h"
#include "weights/synth_tensors.h"

#include <math.h>
#include <string.h>

/* The last is no preset: mixed with experts in a layout that has zeros. */
static const char *const presets[] = {"bf16", "int8", "int6", "int4", "mixed", "asymmetric"};

#define PRESETS (sizeof(presets) / sizeof(presets[0]))

static pack_types types_of(const char *preset)
{
    static const char *const rules[] = {"experts=int4-asymmetric"};
    bool zeros = strcmp(preset, "asymmetric") == 0;
    pack_types types;
    vl2_error error;
    assert_int_equal(pack_types_read(zeros ? "mixed" : preset, rules, zeros, &types, &error),
                     VL2_OK);
    return types;
}

static weight_store *open_store(const synth_shape *shape, const char *preset, uint64_t seed,
                                int threads)
{
    pack_types types = types_of(preset);
    weight_store *store;
    vl2_error error;
    random_weights_options options = {.shape = shape, .types = &types, .seed = seed,
                                      .team = &(team){.threads = threads}};
    if (weight_store_open_random(&options, &store, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    pack_types_clear(&types);
    return store;
}

static bool is_packed(const weight_view *view)
{
    return view->packed.layout != 0;
}

static layout_sizes sizes_of(const weight_view *view)
{
    layout_sizes sizes;
    assert_true(layout_measure(view->packed.layout, view->packed.rows, view->packed.columns,
                               &sizes));
    return sizes;
}

static size_t plain_bytes(const weight_view *view)
{
    return (size_t)tensor_elements(&view->tensor) * data_type_size(view->tensor.type);
}

/* ------------------------------------------------------------------------------- shapes */

/* The layout that a packed file would have for it. */
static uint32_t packed_layout(const synth_shape *shape, const pack_types *types,
                              const synth_tensor *tensor)
{
    tensor_view view = {.name = tensor->name, .type = shape->type, .rank = tensor->rank};
    memcpy(view.shape, tensor->shape, sizeof(view.shape));
    return pack_types_choose(types, &view, weight_place_of(tensor->name).group, NULL);
}

static void expect_view(const synth_tensor *tensor, uint32_t layout, const weight_view *view)
{
    assert_int_equal(view->record, WEIGHT_NO_RECORD);
    assert_int_equal(view->tensor.rank, tensor->rank);
    assert_memory_equal(view->tensor.shape, tensor->shape,
                        (size_t)tensor->rank * sizeof(tensor->shape[0]));
    if (layout_find(layout) != NULL) {
        assert_int_equal(view->packed.layout, layout);
        assert_int_equal(view->packed.rows, tensor->shape[0]);
        assert_int_equal(view->packed.columns * (uint64_t)tensor->shape[0], tensor->elements);
        assert_null(view->tensor.data);
        layout_sizes sizes = sizes_of(view);
        for (int i = 0; i < LAYOUT_PLANES; i++) {
            assert_int_equal(view->packed.plane[i] != NULL, sizes.plane[i] > 0);
        }
        return;
    }
    assert_int_equal(view->packed.layout, 0);
    assert_non_null(view->tensor.data);
    assert_int_equal(view->tensor.type, layout == PACK_PLAIN_F32 ? DATA_F32 : DATA_BF16);
}

static void test_shapes(void **state)
{
    (void)state;
    static const char *const sizes[] = {"tiny-dev", "small-dev", "base-dev"};
    for (size_t s = 0; s < 3; s++) {
        synth_shape shape;
        synth_tensors list = {0};
        assert_int_equal(synth_shape_named(sizes[s], &shape), VL2_OK);
        assert_int_equal(synth_list_tensors(&shape, &list, NULL), VL2_OK);
        for (size_t p = 0; p < PRESETS; p++) {
            pack_types types = types_of(presets[p]);
            weight_store *store = open_store(&shape, presets[p], 1, 2);
            size_t used = 0;
            for (size_t i = 0; i < list.count; i++) {
                const synth_tensor *tensor = &list.items[i];
                const weight_view *view = weight_store_find(store, tensor->name);
                bool wanted = weight_place_of(tensor->name).group != WEIGHT_UNUSED;
                assert_int_equal(view != NULL, wanted);
                if (wanted) {
                    expect_view(tensor, packed_layout(&shape, &types, tensor), view);
                    used++;
                }
            }
            assert_int_equal(weight_store_count(store), used);
            weight_store_close(store);
            pack_types_clear(&types);
        }
        synth_free_tensors(&list);
    }
}

/* ------------------------------------------------------------------------------- numbers */

/* Mean and deviation of the first `random` numbers of a tensor; all others must be 0. */
static void measure(const weight_view *view, const kernels *kernels, uint64_t random, double *mean,
                    double *deviation)
{
    size_t count = (size_t)tensor_elements(&view->tensor);
    float *numbers = malloc(count * sizeof(float));
    assert_non_null(numbers);
    if (is_packed(view)) {
        kernels->packed_decode_rows(&view->packed, 0, view->packed.rows, numbers,
                                    view->packed.columns);
    } else {
        numbers_widen(view->tensor.data, view->tensor.type, count, numbers);
    }
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(isfinite(numbers[i]));
        assert_true(i < random || numbers[i] == 0);
        sum += numbers[i];
        squares += (double)numbers[i] * numbers[i];
    }
    *mean = sum / (double)random;
    *deviation = sqrt(fmax(0, squares / (double)random - *mean * *mean));
    free(numbers);
}

/* Every tensor has the mean and the deviation that vl2 synth gives it, as near as so many numbers
 * can say: five standard errors, and 2 % for scales that are drawn by groups. */
static void test_numbers(void **state)
{
    (void)state;
    synth_shape shape;
    synth_tensors list = {0};
    kernels kernels;
    assert_null(kernels_default(&kernels));
    assert_int_equal(synth_shape_named("small-dev", &shape), VL2_OK);
    assert_int_equal(synth_list_tensors(&shape, &list, NULL), VL2_OK);
    for (size_t p = 0; p < PRESETS; p++) {
        weight_store *store = open_store(&shape, presets[p], 3, 2);
        for (size_t i = 0; i < list.count; i++) {
            const synth_tensor *from = &list.items[i];
            const weight_view *view = weight_store_find(store, from->name);
            if (view == NULL || from->random < 4096) {
                continue;
            }
            /* zeros are drawn once for a group */
            const layout_info *info = layout_find(view->packed.layout);
            size_t shared = info != NULL && info->zeros ? info->group : 1;
            double mean, deviation, error = 5 / sqrt((double)(from->random / shared));
            measure(view, &kernels, from->random, &mean, &deviation);
            if (fabs(mean - from->mean) > (error + 0.01) * from->deviation ||
                fabs(deviation - from->deviation) > (error + 0.02) * from->deviation) {
                fail_msg("%s of %s: mean %g, expected %g; deviation %g, expected %g", from->name,
                         presets[p], mean, from->mean, deviation, from->deviation);
            }
        }
        weight_store_close(store);
    }
    synth_free_tensors(&list);
}

/* ------------------------------------------------------------------------------- bytes */

static bool same_bytes(const weight_view *a, const weight_view *b)
{
    if (!is_packed(a)) {
        return memcmp(a->tensor.data, b->tensor.data, plain_bytes(a)) == 0;
    }
    layout_sizes sizes = sizes_of(a);
    bool same = true;
    for (int i = 0; i < LAYOUT_PLANES; i++) {
        same = same && (sizes.plane[i] == 0 ||
                        memcmp(a->packed.plane[i], b->packed.plane[i], sizes.plane[i]) == 0);
    }
    return same;
}

static void test_same_bytes(void **state)
{
    (void)state;
    synth_shape shape;
    assert_int_equal(synth_shape_named("base-dev", &shape), VL2_OK);
    for (size_t p = 0; p < PRESETS; p++) {
        weight_store *one = open_store(&shape, presets[p], 7, 1);
        weight_store *two = open_store(&shape, presets[p], 7, 2);
        weight_store *other = open_store(&shape, presets[p], 8, 2);
        for (size_t i = 0; i < weight_store_count(one); i++) {
            const weight_view *view = weight_store_get(one, i);
            if (!same_bytes(view, weight_store_get(two, i))) {
                fail_msg("%s: %s depends on the number of threads", presets[p], view->tensor.name);
            }
            if (same_bytes(view, weight_store_get(other, i))) {
                fail_msg("%s: %s does not depend on the seed", presets[p], view->tensor.name);
            }
        }
        weight_store_close(one);
        weight_store_close(two);
        weight_store_close(other);
    }
}

/* ------------------------------------------------------------------------------- padding */

/* Rows and columns behind the matrix decode to 0: the kernels multiply them. */
static void test_padding(void **state)
{
    (void)state;
    synth_shape shape;
    kernels kernels;
    assert_null(kernels_default(&kernels));
    miniature(&shape); /* sizes that are no multiples of anything */
    for (size_t p = 1; p < PRESETS; p++) {
        weight_store *store = open_store(&shape, presets[p], 3, 2);
        size_t padded = 0;
        for (size_t i = 0; i < weight_store_count(store); i++) {
            packed_matrix matrix = weight_store_get(store, i)->packed;
            if (matrix.layout == 0) {
                continue;
            }
            layout_sizes sizes = sizes_of(weight_store_get(store, i));
            size_t rows = matrix.rows, columns = matrix.columns;
            float *numbers = malloc(sizes.rows * sizes.columns * sizeof(float));
            assert_non_null(numbers);
            matrix.columns = sizes.columns; /* the same planes, padding shown */
            kernels.packed_decode_rows(&matrix, 0, sizes.rows, numbers, sizes.columns);
            for (size_t at = 0; at < sizes.rows * sizes.columns; at++) {
                bool inside = at / sizes.columns < rows && at % sizes.columns < columns;
                assert_true(inside || numbers[at] == 0);
                padded += !inside;
            }
            free(numbers);
        }
        assert_true(padded > 0);
        weight_store_close(store);
    }
}

/* ------------------------------------------------------------------------------- a model */

static void answer_random(const synth_shape *shape, const char *preset, int threads,
                          int32_t tokens[8])
{
    pack_types types = types_of(preset);
    vl2_model *model;
    vl2_error error;
    random_weights_options options = {.shape = shape, .types = &types, .seed = 9,
                                      .team = &(team){.threads = threads}};
    if (engine_open_random("random", &options, &model, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    vl2_session *session = session_open_or_fail(model, 1000, 64, threads);
    vl2_image *image = picture_make(70, 40, 5);
    vl2_conversation *conversation = conversation_of("<image>What?", &image, 1);
    vl2_generate_options generate;
    vl2_generate_options_defaults(&generate);
    generate.max_tokens = 8;
    generate.ignore_end = true;
    vl2_answer answer;
    if (vl2_session_generate(session, conversation, &generate, NULL, NULL, &answer, &error) !=
        VL2_OK) {
        fail_msg("%s: %s", preset, error.message);
    }
    assert_int_equal(answer.token_count, 8);
    assert_true(answer.tiles_encoded > 0);
    for (int i = 0; i < model->config.language.vocabulary; i++) {
        assert_true(isfinite(session->logits[i]));
    }
    memcpy(tokens, answer.tokens, 8 * sizeof(*tokens));
    vl2_answer_clear(&answer);
    vl2_conversation_close(conversation);
    vl2_image_release(image);
    vl2_session_close(session);
    vl2_model_close(model);
    pack_types_clear(&types);
}

static void test_model(void **state)
{
    (void)state;
    synth_shape shape;
    miniature(&shape);
    for (size_t p = 0; p < PRESETS; p++) {
        int32_t one[8], two[8];
        answer_random(&shape, presets[p], 1, one);
        answer_random(&shape, presets[p], 2, two);
        assert_memory_equal(one, two, sizeof(one));
    }
}

/* ------------------------------------------------------------------------------- refusals */

static bool yes(void *user)
{
    (void)user;
    return true;
}

static void note_progress(const vl2_progress *progress, void *user)
{
    vl2_progress *last = user;
    assert_int_equal(progress->stage, VL2_STAGE_WEIGHTS);
    assert_true(progress->done >= last->done && progress->done <= progress->total);
    *last = *progress;
}

static void test_refusals(void **state)
{
    (void)state;
    synth_shape shape;
    vl2_progress last = {0};
    vl2_error error;
    weight_store *store = NULL;
    pack_types types = types_of("mixed");
    miniature(&shape);
    random_weights_options options = {.shape = &shape, .types = &types,
                                      .team = &(team){.threads = 1},
                                      .progress = note_progress, .progress_user = &last};
    assert_int_equal(weight_store_open_random(&options, &store, &error), VL2_OK);
    assert_true(last.total > 0 && last.done == last.total);
    weight_store_close(store);
    options.cancelled = yes;
    store = NULL;
    assert_int_equal(weight_store_open_random(&options, &store, &error), VL2_ERROR_CANCELLED);
    options.cancelled = NULL;
    shape.language.hidden_size = 0;
    assert_int_equal(weight_store_open_random(&options, &store, &error), VL2_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "hidden_size"));
    assert_null(store);
    pack_types_clear(&types);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),  cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_same_bytes), cmocka_unit_test(test_padding),
        cmocka_unit_test(test_model),   cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests_name("random weights", tests, NULL, NULL);
}
