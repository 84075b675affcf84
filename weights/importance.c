#include "weights/importance.h"

#include "base/alloc.h"
#include "weights/pack_format.h"
#include "weights/place.h"
#include "weights/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The mean of the experts of one layer, for one part. */
typedef struct expert_mean {
    int layer;
    weight_part part;
    size_t columns, experts;
    double *sums; /* [columns] */
} expert_mean;

struct importance {
    safetensors *file;
    expert_mean *means; /* [mean_count] */
    size_t mean_count;
};

static const tensor_view *find_entry(const importance *importance, const char *name)
{
    for (size_t i = 0; i < safetensors_count(importance->file); i++) {
        const tensor_view *entry = safetensors_get(importance->file, i);
        if (strcmp(entry->name, name) == 0) {
            return entry;
        }
    }
    return NULL;
}

static size_t columns_of(const tensor_view *weight)
{
    uint64_t columns = weight->rank >= 2 ? 1 : 0;
    for (int i = 1; i < weight->rank; i++) {
        columns *= (uint64_t)weight->shape[i];
    }
    return (size_t)columns;
}

static float number_at(const tensor_view *entry, size_t index)
{
    float number;
    memcpy(&number, (const char *)entry->data + index * sizeof(number), sizeof(number));
    return number;
}

static bool is_zero(const tensor_view *entry)
{
    for (size_t i = 0; i < (size_t)entry->shape[0]; i++) {
        if (number_at(entry, i) > 0) {
            return false;
        }
    }
    return true;
}

static vl2_status check_entry(const importance *importance, const tensor_view *entry,
                              const tensor_view *weight, vl2_error *error)
{
    size_t columns = columns_of(weight);
    char shape[128];
    if (entry->type != DATA_F32 || entry->rank != 1 || (uint64_t)entry->shape[0] != columns) {
        return vl2_fail(
            error, VL2_ERROR_MODEL, "%s: %.200s: found %s %s, expected F32 [%zu]",
            safetensors_name(importance->file), entry->name,
            entry->type == DATA_TYPE_COUNT ? "another type" : data_type_name(entry->type),
            tensor_shape_text(entry->shape, entry->rank, shape, sizeof(shape)), columns);
    }
    for (size_t i = 0; i < columns; i++) {
        float number = number_at(entry, i);
        if (!(number >= 0) || isinf(number)) {
            return vl2_fail(error, VL2_ERROR_MODEL,
                            "%s: %.200s: input %zu: found %g, expected a finite number of at "
                            "least 0",
                            safetensors_name(importance->file), entry->name, i, (double)number);
        }
    }
    return VL2_OK;
}

static const expert_mean *find_mean(const importance *importance, const weight_place *place)
{
    for (size_t i = 0; i < importance->mean_count; i++) {
        const expert_mean *mean = &importance->means[i];
        if (mean->layer == place->layer && mean->part == place->part) {
            return mean;
        }
    }
    return NULL;
}

static vl2_status add_to_mean(importance *importance, const tensor_view *entry,
                              const weight_place *place, vl2_error *error)
{
    size_t columns = (size_t)entry->shape[0];
    expert_mean *mean = (expert_mean *)find_mean(importance, place);
    if (mean == NULL) {
        expert_mean *means =
            base_realloc(importance->means, importance->mean_count + 1, sizeof(*means));
        double *sums = base_calloc(columns, sizeof(*sums));
        if (means != NULL) {
            importance->means = means;
        }
        if (means == NULL || sums == NULL) {
            base_free(sums);
            return vl2_fail_memory(error, "the importance of experts", columns * sizeof(*sums));
        }
        mean = &means[importance->mean_count++];
        *mean = (expert_mean){place->layer, place->part, columns, 0, sums};
    }
    for (size_t i = 0; i < columns && columns == mean->columns; i++) {
        mean->sums[i] += (double)number_at(entry, i);
    }
    mean->experts += columns == mean->columns;
    return VL2_OK;
}

/* True for "....gate.answer_counts". */
static bool is_counts(const char *name)
{
    static const char end[] = ".gate.answer_counts";
    size_t length = strlen(name), tail = sizeof(end) - 1;
    return length > tail && strcmp(name + length - tail, end) == 0;
}

#define MOST_USES 1e15f /* fits into an integer */

static vl2_status check_counts(const importance *importance, const tensor_view *entry,
                               vl2_error *error)
{
    if (entry->type != DATA_F32 || entry->rank != 1) {
        return vl2_fail(error, VL2_ERROR_MODEL, "%s: %.200s: found rank %d, expected F32 [experts]",
                        safetensors_name(importance->file), entry->name, entry->rank);
    }
    for (size_t i = 0; i < (size_t)entry->shape[0]; i++) {
        float number = number_at(entry, i);
        if (!(number >= 0) || number > MOST_USES) {
            return vl2_fail(error, VL2_ERROR_MODEL,
                            "%s: %.200s: expert %zu: found %g, expected a number of tokens",
                            safetensors_name(importance->file), entry->name, i, (double)number);
        }
    }
    return VL2_OK;
}

static vl2_status read_entries(importance *importance, const checkpoint *checkpoint,
                               vl2_error *error)
{
    size_t known = 0, count = safetensors_count(importance->file);
    vl2_status status = VL2_OK;
    for (size_t i = 0; status == VL2_OK && i < count; i++) {
        const tensor_view *entry = safetensors_get(importance->file, i);
        const tensor_view *weight = checkpoint_find(checkpoint, entry->name);
        if (weight == NULL && is_counts(entry->name)) {
            status = check_counts(importance, entry, error);
        }
        if (weight == NULL || weight->rank < 2) {
            continue;
        }
        known++;
        status = check_entry(importance, entry, weight, error);
        weight_place place = weight_place_of(entry->name);
        if (status == VL2_OK && place.group == WEIGHT_EXPERTS && !is_zero(entry)) {
            status = add_to_mean(importance, entry, &place, error);
        }
    }
    if (status == VL2_OK && known == 0) {
        status = vl2_fail(error, VL2_ERROR_MODEL,
                          "%s: found %zu entries and none of a weight of this model, expected the "
                          "importance of its inputs",
                          safetensors_name(importance->file), count);
    }
    return status;
}

vl2_status importance_open(const char *path, const checkpoint *checkpoint, importance **opened,
                           vl2_error *error)
{
    importance *made = base_calloc(1, sizeof(*made));
    if (made == NULL) {
        return vl2_fail_memory(error, path, sizeof(*made));
    }
    vl2_status status = safetensors_open(path, &made->file, error);
    if (status == VL2_OK) {
        status = read_entries(made, checkpoint, error);
    }
    if (status != VL2_OK) {
        importance_close(made);
        return status;
    }
    *opened = made;
    return VL2_OK;
}

void importance_close(importance *importance)
{
    if (importance == NULL) {
        return;
    }
    for (size_t i = 0; i < importance->mean_count; i++) {
        base_free(importance->means[i].sums);
    }
    base_free(importance->means);
    safetensors_close(importance->file);
    base_free(importance);
}

bool importance_get(const importance *importance, const tensor_view *weight, float *out)
{
    const tensor_view *entry = find_entry(importance, weight->name);
    size_t columns = columns_of(weight);
    bool known = entry != NULL && !is_zero(entry);
    if (known) {
        memcpy(out, entry->data, columns * sizeof(*out));
        return true;
    }
    weight_place place = weight_place_of(weight->name);
    const expert_mean *mean = place.group == WEIGHT_EXPERTS ? find_mean(importance, &place) : NULL;
    if (mean == NULL || mean->columns != columns) {
        return false;
    }
    for (size_t i = 0; i < columns; i++) {
        out[i] = (float)(mean->sums[i] / (double)mean->experts);
    }
    return true;
}

uint64_t importance_uses(const importance *importance, const char *name)
{
    weight_place place = weight_place_of(name);
    const char *part = strstr(name, ".experts.");
    char counts[PACK_MAX_NAME + sizeof(".gate.answer_counts")];
    if (place.group != WEIGHT_EXPERTS || part == NULL || (size_t)(part - name) > PACK_MAX_NAME) {
        return 0;
    }
    snprintf(counts, sizeof(counts), "%.*s.gate.answer_counts", (int)(part - name), name);
    const tensor_view *entry = find_entry(importance, counts);
    if (entry == NULL || place.expert < 0 || (int64_t)place.expert >= entry->shape[0]) {
        return 0;
    }
    return (uint64_t)number_at(entry, (size_t)place.expert);
}
