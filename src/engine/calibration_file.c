/* vl2_calibration_write: a safetensors file with a vector for each matrix. */
#include "engine/calibrate.h"

#include "base/alloc.h"
#include "base/file.h"
#include "weights/safetensors_write.h"

#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A vector of the file: the means of a matrix, or the counts of a layer. */
typedef struct calibration_vector {
    char *name; /* owned */
    const input_sums *sums;
    const layer_weights *layer; /* NULL: the means */
    bool of_answers;            /* the counts of answers alone */
    size_t count;
} calibration_vector;

typedef struct calibration_writer {
    const vl2_calibration *calibration;
    calibration_vector *vectors; /* [count], by name */
    size_t count;
    float *numbers; /* of the longest vector */
    vl2_error *error;
} calibration_writer;

static int compare_vectors(const void *left, const void *right)
{
    const calibration_vector *a = left, *b = right;
    return strcmp(a->name, b->name);
}

/* The name of a router's weight with another end for "weight". */
static char *counts_name(const char *router, const char *end)
{
    size_t front = strlen(router) - strlen("weight"), tail = strlen(end) + 1;
    char *name = base_malloc(front + tail, 1);
    if (name != NULL) {
        memcpy(name, router, front);
        memcpy(name + front, end, tail);
    }
    return name;
}

static bool add_vector(calibration_writer *w, calibration_vector vector)
{
    w->vectors[w->count++] = vector;
    return vector.name != NULL;
}

static bool add_counts(calibration_writer *w, const layer_weights *layer, size_t experts)
{
    const input_sums *sums = calibration_sums(w->calibration, layer->router);
    const char *router = layer->router->tensor.name;
    bool whole =
        sums->rows == 0 ||
        add_vector(w, (calibration_vector){
                          .name = counts_name(router, "counts"), .layer = layer, .count = experts});
    return whole &&
           (sums->answer_rows == 0 ||
            add_vector(w, (calibration_vector){.name = counts_name(router, "answer_counts"),
                                               .layer = layer,
                                               .of_answers = true,
                                               .count = experts}));
}

static vl2_status list_vectors(calibration_writer *w)
{
    const vl2_model *model = w->calibration->model;
    const model_weights *weights = model->weights;
    size_t layers = (size_t)model->config.language.layers;
    size_t experts = (size_t)model->config.language.gate.experts, longest = experts;
    w->vectors = base_calloc(weights->bound_count + 2 * layers, sizeof(*w->vectors));
    bool whole = w->vectors != NULL;
    for (size_t i = 0; whole && i < weights->bound_count; i++) {
        const input_sums *sums = &w->calibration->sums[i];
        const char *name = weights->bound[i]->tensor.name;
        if (sums->rows > 0) {
            longest = sums->inputs > longest ? sums->inputs : longest;
            whole = add_vector(w, (calibration_vector){.name = base_copy_text(name, strlen(name)),
                                                       .sums = sums,
                                                       .count = sums->inputs});
        }
    }
    for (size_t i = 0; whole && i < layers; i++) {
        if (weights->layers[i].has_experts) {
            whole = add_counts(w, &weights->layers[i], experts);
        }
    }
    w->numbers = base_malloc(longest, sizeof(float));
    if (!whole || w->numbers == NULL) {
        return vl2_fail_memory(w->error, "a calibration", longest * sizeof(float));
    }
    qsort(w->vectors, w->count, sizeof(*w->vectors), compare_vectors);
    return VL2_OK;
}

static vl2_status make_header(const calibration_writer *w, safetensors_header *header)
{
    const vl2_calibration *calibration = w->calibration;
    char conversations[24], tokens[24], tiles[24];
    snprintf(conversations, sizeof(conversations), "%" PRIu64, calibration->info.conversations);
    snprintf(tokens, sizeof(tokens), "%" PRIu64, calibration->info.tokens);
    snprintf(tiles, sizeof(tiles), "%" PRIu64, calibration->info.tiles);
    const safetensors_note notes[] = {
        {"format", "vl2 calibration"},
        {"version", PACKAGE_VERSION},
        {"conversations", conversations},
        {"tokens", tokens},
        {"tiles", tiles},
        {"names", calibration->names.data != NULL ? calibration->names.data : ""},
    };
    safetensors_header_begin(header, notes, sizeof(notes) / sizeof(notes[0]));
    for (size_t i = 0; i < w->count; i++) {
        const int64_t shape[] = {(int64_t)w->vectors[i].count};
        safetensors_header_tensor(header, w->vectors[i].name, "F32", shape, 1,
                                  w->vectors[i].count * sizeof(float));
    }
    return safetensors_header_end(header, w->error);
}

static void fill_vector(const calibration_writer *w, const calibration_vector *vector)
{
    for (size_t i = 0; i < vector->count; i++) {
        const input_sums *sums = vector->sums;
        if (vector->layer != NULL) {
            sums = calibration_sums(w->calibration, vector->layer->experts[i].gate);
            w->numbers[i] = (float)(vector->of_answers ? sums->answer_rows : sums->rows);
        } else {
            w->numbers[i] = (float)(sums->squares[i] / (double)sums->rows);
        }
    }
}

static vl2_status write_vectors(const calibration_writer *w, const safetensors_header *header,
                                file_writer *file)
{
    vl2_status status = file_writer_write(file, header->text.data, header->text.size, w->error);
    for (size_t i = 0; status == VL2_OK && i < w->count; i++) {
        fill_vector(w, &w->vectors[i]);
        status = file_writer_write(file, w->numbers, w->vectors[i].count * sizeof(float), w->error);
    }
    return status;
}

vl2_status vl2_calibration_write(const vl2_calibration *calibration, const char *path,
                                 vl2_error *error)
{
    calibration_writer w = {.calibration = calibration, .error = error};
    safetensors_header header = {.offset = 0};
    file_writer file;
    vl2_status status = list_vectors(&w);
    if (status == VL2_OK) {
        status = make_header(&w, &header);
    }
    if (status == VL2_OK) {
        status = file_writer_open(&file, path, error);
    }
    if (status == VL2_OK) {
        status = write_vectors(&w, &header, &file);
        if (status == VL2_OK) {
            status = file_writer_commit(&file, error);
        } else {
            file_writer_abandon(&file);
        }
    }
    safetensors_header_free(&header);
    for (size_t i = 0; i < w.count; i++) {
        base_free(w.vectors[i].name);
    }
    base_free(w.vectors);
    base_free(w.numbers);
    return status;
}
