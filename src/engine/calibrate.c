/* vl2_calibrate: what goes into each weight matrix, as the mean square of each input. */
#include "engine/calibrate.h"
#include "engine/session.h"

#include "base/alloc.h"
#include "text/utf8.h"

#include <string.h>

void vl2_calibrate_options_defaults(vl2_calibrate_options *options)
{
    *options = (vl2_calibrate_options){.tokens = 32};
}

vl2_status vl2_calibration_create(const vl2_model *model, vl2_calibration **calibration,
                                  vl2_error *error)
{
    size_t count = model->weights->bound_count;
    vl2_calibration *made = base_calloc(1, sizeof(*made));
    if (made != NULL) {
        made->model = model;
        made->sums = base_calloc(count, sizeof(*made->sums));
    }
    if (made == NULL || made->sums == NULL) {
        vl2_calibration_close(made);
        return vl2_fail_memory(error, "a calibration", count * sizeof(input_sums));
    }
    *calibration = made;
    return VL2_OK;
}

void vl2_calibration_close(vl2_calibration *calibration)
{
    if (calibration == NULL) {
        return;
    }
    for (size_t i = 0; calibration->sums != NULL && i < calibration->model->weights->bound_count;
         i++) {
        base_free(calibration->sums[i].squares);
    }
    base_free(calibration->sums);
    buffer_free(&calibration->names);
    base_free(calibration);
}

/* ------------------------------------------------------------------------------- collecting */

static size_t inputs_of(weight w)
{
    size_t inputs = 1;
    for (int i = 1; i < w->tensor.rank; i++) {
        inputs *= (size_t)w->tensor.shape[i];
    }
    return inputs;
}

input_sums *calibration_sums(const vl2_calibration *calibration, weight w)
{
    const model_weights *weights = calibration->model->weights;
    size_t low = 0, high = weights->bound_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if ((uintptr_t)weights->bound[middle] <= (uintptr_t)w) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &calibration->sums[low];
}

/* One conversation that is being run. */
typedef struct collecting {
    vl2_calibration *calibration;
    const vl2_session *session;
    vl2_answer answer;
} collecting;

static void add_inputs(void *user, weight w, const float *x, size_t x_stride, size_t rows)
{
    const collecting *run = user;
    vl2_calibration *calibration = run->calibration;
    input_sums *sums = calibration_sums(calibration, w);
    if (sums->squares == NULL) {
        sums->inputs = inputs_of(w);
        sums->squares = base_calloc(sums->inputs, sizeof(*sums->squares));
        if (sums->squares == NULL) {
            calibration->failed = true;
            return;
        }
    }
    for (size_t row = 0; row < rows; row++) {
        const float *from = x + row * x_stride;
        for (size_t i = 0; i < sums->inputs; i++) {
            sums->squares[i] += (double)from[i] * (double)from[i];
        }
    }
    sums->rows += rows;
    sums->answer_rows += run->session->key_count >= run->answer.prompt_tokens ? rows : 0;
}

static void note_conversation(vl2_calibration *calibration, const vl2_session *session,
                              const vl2_answer *answer, const char *name)
{
    buffer *names = &calibration->names;
    if (name != NULL) {
        buffer_append_text(names, names->size > 0 ? "\n" : "");
        utf8_append_lossy(names, name, strlen(name));
        calibration->failed = calibration->failed || names->failed;
    }
    calibration->info.conversations++;
    calibration->info.tokens += session->key_count;
    calibration->info.tiles += answer->tiles_encoded;
}

vl2_status vl2_calibrate(vl2_session *session, const vl2_conversation *conversation,
                         const vl2_calibrate_options *options, vl2_calibration *calibration,
                         vl2_error *error)
{
    vl2_calibrate_options defaults;
    vl2_calibrate_options_defaults(&defaults);
    options = options != NULL ? options : &defaults;
    if (session->model != calibration->model) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "session: found one of %s, expected one of %s, which is calibrated",
                        session->model->path, calibration->model->path);
    }
    vl2_generate_options generate;
    vl2_generate_options_defaults(&generate);
    generate.max_tokens = options->tokens;
    /* Nothing may be left out because it is in the cache. */
    picture_store_free(&session->pictures);
    session->key_count = 0;
    collecting run = {.calibration = calibration, .session = session};
    const product_observer observer = {add_inputs, &run};
    session->compute.observer = &observer;
    vl2_answer *answer = &run.answer;
    vl2_status status =
        vl2_session_generate(session, conversation, &generate, NULL, NULL, answer, error);
    session->compute.observer = NULL;
    if (status == VL2_OK && answer->finish == VL2_FINISH_CANCELLED) {
        status = vl2_fail(error, VL2_ERROR_CANCELLED, "cancelled while calibrating");
    }
    if (status == VL2_OK) {
        note_conversation(calibration, session, answer, options->name);
    }
    vl2_answer_clear(answer);
    return status == VL2_OK && calibration->failed
               ? vl2_fail_memory(error, "the sums of a matrix", 0)
               : status;
}

void vl2_calibration_get_info(const vl2_calibration *calibration, vl2_calibration_info *info)
{
    const model_weights *weights = calibration->model->weights;
    const language_config *config = &calibration->model->config.language;
    *info = calibration->info;
    for (size_t i = 0; i < weights->bound_count; i++) {
        info->matrices += calibration->sums[i].rows > 0;
    }
    for (int layer = 0; layer < config->layers; layer++) {
        for (int e = 0; weights->layers[layer].has_experts && e < config->gate.experts; e++) {
            info->experts++;
            info->experts_used +=
                calibration_sums(calibration, weights->layers[layer].experts[e].gate)->rows > 0;
        }
    }
}
