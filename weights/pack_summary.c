#include "weights/pack_summary.h"

#include "base/alloc.h"
#include "weights/pack_index_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NO_LAYER (-2)

void pack_tally_begin(pack_tally *tally, vl2_pack_summary *summary)
{
    memset(tally, 0, sizeof(*tally));
    memset(summary, 0, sizeof(*summary));
    tally->summary = summary;
    tally->layer = NO_LAYER;
}

/* The row of a group; rows stay in the order of the groups' numbers. */
static size_t row_of(pack_tally *tally, uint32_t group)
{
    vl2_pack_summary *summary = tally->summary;
    size_t row = 0;
    while (row < summary->group_count && tally->groups[row].group < group) {
        row++;
    }
    if (row < summary->group_count && tally->groups[row].group == group) {
        return row;
    }
    if (summary->group_count == VL2_PACK_GROUPS) {
        return VL2_PACK_GROUPS - 1;
    }
    size_t behind = summary->group_count++ - row;
    memmove(&tally->groups[row + 1], &tally->groups[row], behind * sizeof(tally->groups[0]));
    memmove(&summary->groups[row + 1], &summary->groups[row], behind * sizeof(summary->groups[0]));
    memset(&tally->groups[row], 0, sizeof(tally->groups[row]));
    memset(&summary->groups[row], 0, sizeof(summary->groups[row]));
    tally->groups[row].group = group;
    const char *name = weight_group_name(group);
    if (name != NULL) {
        snprintf(summary->groups[row].name, sizeof(summary->groups[row].name), "%s", name);
    } else {
        snprintf(summary->groups[row].name, sizeof(summary->groups[row].name), "%" PRIu32, group);
    }
    return row;
}

static void add_layout(pack_tally *tally, size_t row, uint32_t layout, uint64_t bytes)
{
    size_t i = 0;
    while (i < tally->groups[row].count && tally->groups[row].layouts[i] != layout) {
        i++;
    }
    if (i == tally->groups[row].count && i < PACK_TALLY_LAYOUTS) {
        tally->groups[row].layouts[tally->groups[row].count++] = layout;
    }
    if (i < PACK_TALLY_LAYOUTS) {
        tally->groups[row].bytes[i] += bytes;
    }
}

static void add_expert(pack_tally *tally, const pack_tally_tensor *tensor)
{
    if (tensor->layer != tally->layer) {
        tally->layer = tensor->layer;
        tally->layer_bytes = 0;
    }
    tally->layer_bytes += tensor->content;
    tally->expert_bytes += tensor->content;
    if (tally->layer_bytes > tally->largest_layer) {
        tally->largest_layer = tally->layer_bytes;
    }
}

void pack_tally_add(pack_tally *tally, const pack_tally_tensor *tensor)
{
    vl2_pack_summary *summary = tally->summary;
    size_t row = row_of(tally, tensor->group);
    vl2_pack_group *group = &summary->groups[row];
    group->tensors++;
    group->parameters += tensor->elements;
    group->bytes += tensor->stored;
    add_layout(tally, row, tensor->layout, tensor->stored);
    summary->tensors++;
    summary->parameters += tensor->elements;
    summary->weight_bytes += tensor->stored;
    summary->source_bytes += tensor->elements * data_type_size(tensor->source);
    if (tensor->group != WEIGHT_UNUSED) {
        group->memory += tensor->content;
        summary->memory_resident += tensor->content;
    }
    if (tensor->group == WEIGHT_EXPERTS) {
        add_expert(tally, tensor);
    }
}

/* "int8-group128, f32, bf16": the largest share first. */
static void name_types(pack_tally *tally, size_t row)
{
    char *text = tally->summary->groups[row].types;
    size_t size = sizeof(tally->summary->groups[row].types), used = 0;
    bool named[PACK_TALLY_LAYOUTS] = {false};
    for (size_t n = 0; n < tally->groups[row].count && used < size; n++) {
        size_t best = PACK_TALLY_LAYOUTS;
        for (size_t i = 0; i < tally->groups[row].count; i++) {
            if (!named[i] && (best == PACK_TALLY_LAYOUTS ||
                              tally->groups[row].bytes[i] > tally->groups[row].bytes[best])) {
                best = i;
            }
        }
        named[best] = true;
        uint32_t layout = tally->groups[row].layouts[best];
        const char *name = layout_find(layout) != NULL ? pack_layout_name(layout)
                                                       : pack_type_name(pack_layout_type(layout));
        used += (size_t)snprintf(text + used, size - used, "%s%s", n > 0 ? ", " : "",
                                 name != NULL ? name : "?");
    }
}

void pack_tally_end(pack_tally *tally)
{
    vl2_pack_summary *summary = tally->summary;
    for (size_t i = 0; i < summary->group_count; i++) {
        name_types(tally, i);
    }
    summary->memory_paged =
        summary->memory_resident - tally->expert_bytes + tally->largest_layer;
}

/* ------------------------------------------------------------------------------------ estimates */

#define SAMPLE_ELEMENTS ((uint64_t)64 << 10)
#define SAMPLES         3
#define SAMPLED_TENSORS 4 /* of each group and layout */
#define SAMPLED_LEAST   4096 /* numbers of a tensor that says something about its group */

/* How well the high bytes of the tensors of a group compress. */
typedef struct shares {
    double sum[WEIGHT_GROUP_END][2];
    int tensors[WEIGHT_GROUP_END][2];
} shares;

/* The high bytes of three pieces of a tensor. */
static size_t gather_high(const pack_planned_tensor *tensor, uint8_t *out)
{
    const uint8_t *data = tensor->source->data;
    uint64_t piece = tensor->elements < SAMPLE_ELEMENTS ? tensor->elements : SAMPLE_ELEMENTS;
    size_t count = 0;
    for (uint64_t s = 0; s < SAMPLES; s++) {
        uint64_t first = (tensor->elements - piece) / (SAMPLES - 1) * s;
        for (uint64_t i = 0; i < piece; i++) {
            out[count++] = data[2 * (first + i) + 1];
        }
    }
    return count;
}

static double high_share(shares *shares, const pack_planned_tensor *tensor, uint8_t *work,
                         const pack_compression *compression)
{
    int group = tensor->place.group, kind = tensor->layout == PACK_SPLIT_F16;
    double *sum = &shares->sum[group][kind];
    int *tensors = &shares->tensors[group][kind];
    if (work != NULL && *tensors < SAMPLED_TENSORS && tensor->elements >= SAMPLED_LEAST) {
        size_t count = gather_high(tensor, work);
        *sum += pack_compressed_share(work, count, compression);
        (*tensors)++;
    }
    return *tensors > 0 ? *sum / *tensors : 1;
}

void pack_plan_summarise(const pack_plan *plan, const pack_compression *compression,
                         uint64_t blob_bytes, uint64_t index_size, vl2_pack_summary *summary)
{
    pack_tally tally;
    shares shares = {0};
    uint8_t *work = base_malloc(SAMPLES * SAMPLE_ELEMENTS, 1); /* without it: not compressed */
    pack_tally_begin(&tally, summary);
    uint64_t position = pack_align(PACK_PAGE + index_size, PACK_PAGE) + blob_bytes;
    for (size_t i = 0; i < plan->record_count; i++) {
        const pack_planned_record *record = &plan->records[i];
        position = pack_align(position, PACK_PAGE);
        for (size_t j = 0; j < record->tensor_count; j++) {
            const pack_planned_tensor *tensor = &plan->tensors[record->first_tensor + j];
            uint64_t stored = tensor->content_bytes;
            if (pack_layout_is_split(tensor->layout)) {
                double share = high_share(&shares, tensor, work, compression);
                stored = tensor->elements + (uint64_t)((double)tensor->elements * share);
            }
            pack_tally_add(&tally, &(pack_tally_tensor){
                                       tensor->place.group, tensor->layout, tensor->source->type,
                                       record->layer, record->expert, tensor->elements,
                                       tensor->content_bytes, stored});
            position += stored + PACK_ALIGNMENT / 2 * (uint64_t)(tensor->frame_count - 1);
        }
    }
    pack_tally_end(&tally);
    base_free(work);
    summary->file_bytes = position;
    summary->records = plan->record_count;
    summary->left_out_tensors = plan->left_out_count;
    summary->left_out_bytes = plan->left_out_bytes;
    summary->estimated = true;
}
