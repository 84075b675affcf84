#include "weights/pack_plan.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------ order */

/* The parts of the file, one after the other. */
typedef enum stage {
    STAGE_EMBEDDING,
    STAGE_VISION,
    STAGE_PROJECTOR,
    STAGE_LAYERS,
    STAGE_NORM,
    STAGE_HEAD,
    STAGE_UNUSED
} stage;

/* Within a layer or block. */
typedef enum section {
    SECTION_ATTENTION,
    SECTION_SMALL, /* the tensors that share a record */
    SECTION_MATRICES,
    SECTION_SHARED,
    SECTION_EXPERTS
} section;

static stage stage_of(const weight_place *place)
{
    switch (place->group) {
    case WEIGHT_EMBEDDING:
        return STAGE_EMBEDDING;
    case WEIGHT_VISION:
        return STAGE_VISION;
    case WEIGHT_PROJECTOR:
        return STAGE_PROJECTOR;
    case WEIGHT_HEAD:
        return STAGE_HEAD;
    case WEIGHT_UNUSED:
        return STAGE_UNUSED;
    default:
        return place->layer >= 0 ? STAGE_LAYERS : STAGE_NORM;
    }
}

static bool is_small(const pack_planned_tensor *tensor)
{
    return tensor->source->rank <= 1 || tensor->place.group == WEIGHT_ROUTER ||
           tensor->source_bytes < PACK_SMALL_BYTES;
}

static section section_of(const pack_planned_tensor *tensor)
{
    if (tensor->place.group == WEIGHT_EXPERTS) {
        return SECTION_EXPERTS;
    }
    if (is_small(tensor)) {
        return SECTION_SMALL;
    }
    switch (tensor->place.group) {
    case WEIGHT_ATTENTION:
    case WEIGHT_LATENT:
        return SECTION_ATTENTION;
    case WEIGHT_SHARED:
        return SECTION_SHARED;
    default:
        return SECTION_MATRICES;
    }
}

static int compare_numbers(int a, int b)
{
    return a < b ? -1 : a > b;
}

static int compare_tensors(const void *left, const void *right)
{
    const pack_planned_tensor *a = left, *b = right;
    const int pairs[][2] = {
        {(int)stage_of(&a->place), (int)stage_of(&b->place)},
        {a->place.layer, b->place.layer},
        {(int)section_of(a), (int)section_of(b)},
        {a->place.expert, b->place.expert},
        {(int)a->place.part, (int)b->place.part},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (pairs[i][0] != pairs[i][1]) {
            return compare_numbers(pairs[i][0], pairs[i][1]);
        }
    }
    return strcmp(a->source->name, b->source->name);
}

/* Tensors that follow one another in the file and share a record. */
static bool share_record(const pack_planned_tensor *a, const pack_planned_tensor *b)
{
    section section = section_of(a);
    bool together = section == SECTION_EXPERTS ||
                    (section == SECTION_SMALL && a->place.group != WEIGHT_UNUSED);
    return together && section == section_of(b) && stage_of(&a->place) == stage_of(&b->place) &&
           a->place.layer == b->place.layer && a->place.expert == b->place.expert;
}

/* ------------------------------------------------------------------------------------ tensors */

static vl2_status plan_tensor(const checkpoint *checkpoint, const tensor_view *source,
                              pack_planned_tensor *planned, vl2_error *error)
{
    planned->source = source;
    planned->elements = tensor_elements(source);
    planned->source_bytes = planned->elements * data_type_size(source->type);
    for (int i = 0; i < PACK_MAX_RANK; i++) {
        planned->shape[i] = i < source->rank ? (uint64_t)source->shape[i] : 1;
    }
    planned->frame_count = pack_planes(planned->layout, source->rank, planned->shape,
                                       planned->plane, planned->content);
    for (int i = 0; i < planned->frame_count; i++) {
        if (__builtin_add_overflow(planned->content_bytes, planned->content[i],
                                   &planned->content_bytes)) {
            planned->frame_count = 0;
        }
    }
    if (planned->frame_count == 0) {
        char shape[128];
        return vl2_fail(error, VL2_ERROR_MODEL,
                        "%s: %.200s: found shape %s, expected one that layout %s can hold",
                        checkpoint_file_of(checkpoint, source), source->name,
                        tensor_shape_text(source->shape, source->rank, shape, sizeof(shape)),
                        pack_layout_name(planned->layout));
    }
    return VL2_OK;
}

static uint64_t bytes_of(const tensor_view *tensor)
{
    return tensor->type == DATA_TYPE_COUNT ? 0
                                           : tensor_elements(tensor) * data_type_size(tensor->type);
}

/* A rule that takes nothing is a misspelling. */
static vl2_status check_rules(const pack_types *types, const bool *took, vl2_error *error)
{
    for (size_t i = 0; i < types->rule_count; i++) {
        if (!took[i]) {
            return vl2_fail(error, VL2_ERROR_ARGUMENT,
                            "type: \"%.200s\": found no tensor that it can be applied to, expected "
                            "a group (%s, %s, ...) or a pattern of names, and integers for "
                            "matrices only",
                            types->rules[i].text, weight_group_name(WEIGHT_EXPERTS),
                            weight_group_name(WEIGHT_ATTENTION));
        }
    }
    return VL2_OK;
}

static vl2_status choose_layouts(const checkpoint *checkpoint, const pack_types *types,
                                 pack_used *used, const void *user, bool *took, pack_plan *plan,
                                 vl2_error *error)
{
    for (size_t i = 0; i < checkpoint_count(checkpoint); i++) {
        const tensor_view *source = checkpoint_tensor(checkpoint, i);
        pack_planned_tensor *planned = &plan->tensors[plan->tensor_count];
        planned->place = weight_place_of(source->name);
        if (used != NULL && !used(source->name, user)) {
            planned->place = (weight_place){WEIGHT_UNUSED, -1, -1, WEIGHT_OTHER};
        }
        planned->layout = pack_types_choose(types, source, planned->place.group, took);
        if (planned->layout == PACK_LEFT_OUT) {
            plan->left_out[plan->left_out_count++] = source;
            plan->left_out_bytes += bytes_of(source);
            continue;
        }
        vl2_status status = plan_tensor(checkpoint, source, planned, error);
        if (status != VL2_OK) {
            return status;
        }
        plan->source_bytes += planned->source_bytes;
        plan->tensor_count++;
    }
    return check_rules(types, took, error);
}

/* ------------------------------------------------------------------------------------ records */

static vl2_status check_expert(const pack_plan *plan, const pack_planned_record *record,
                               vl2_error *error)
{
    const pack_planned_tensor *tensors = &plan->tensors[record->first_tensor];
    bool whole = record->tensor_count == 3;
    for (size_t i = 0; whole && i < 3; i++) {
        whole = tensors[i].place.part == (weight_part)i;
    }
    if (whole) {
        return VL2_OK;
    }
    return vl2_fail(error, VL2_ERROR_MODEL,
                    "layer %d, expert %d: found %zu matrices, expected gate_proj, up_proj and "
                    "down_proj",
                    record->layer, record->expert, record->tensor_count);
}

static vl2_status cut_records(pack_plan *plan, vl2_error *error)
{
    for (size_t i = 0; i < plan->tensor_count; i++) {
        const pack_planned_tensor *tensor = &plan->tensors[i];
        if (i == 0 || !share_record(&plan->tensors[i - 1], tensor)) {
            bool decoder = stage_of(&tensor->place) == STAGE_LAYERS;
            plan->records[plan->record_count++] = (pack_planned_record){
                .first_tensor = i,
                .first_frame = plan->frame_count,
                .layer = decoder ? tensor->place.layer : -1,
                .expert = tensor->place.expert,
            };
        }
        pack_planned_record *record = &plan->records[plan->record_count - 1];
        record->tensor_count++;
        record->frame_count += (size_t)tensor->frame_count;
        record->source_bytes += tensor->source_bytes;
        record->content_bytes += tensor->content_bytes;
        plan->frame_count += (size_t)tensor->frame_count;
    }
    vl2_status status = VL2_OK;
    for (size_t i = 0; status == VL2_OK && i < plan->record_count; i++) {
        if (plan->records[i].expert >= 0) {
            status = check_expert(plan, &plan->records[i], error);
        }
    }
    return status;
}

vl2_status pack_plan_make(const checkpoint *checkpoint, const pack_types *types, pack_used *used,
                          const void *user, pack_plan *plan, vl2_error *error)
{
    size_t count = checkpoint_count(checkpoint);
    *plan = (pack_plan){0};
    plan->tensors = base_calloc(count, sizeof(*plan->tensors));
    plan->records = base_calloc(count, sizeof(*plan->records));
    plan->left_out = base_calloc(count, sizeof(*plan->left_out));
    bool *took = base_calloc(types->rule_count, sizeof(*took));
    vl2_status status = VL2_OK;
    if (plan->tensors == NULL || plan->records == NULL || plan->left_out == NULL || took == NULL) {
        status = vl2_fail_memory(error, "the plan of the packed file",
                                 count * sizeof(*plan->tensors));
    }
    if (status == VL2_OK) {
        status = choose_layouts(checkpoint, types, used, user, took, plan, error);
    }
    if (status == VL2_OK && plan->tensor_count == 0) {
        status = vl2_fail(error, VL2_ERROR_MODEL,
                          "the checkpoint: found no tensor to store, expected those of a model");
    }
    if (status == VL2_OK) {
        qsort(plan->tensors, plan->tensor_count, sizeof(*plan->tensors), compare_tensors);
        status = cut_records(plan, error);
    }
    base_free(took);
    if (status != VL2_OK) {
        pack_plan_clear(plan);
    }
    return status;
}

void pack_plan_clear(pack_plan *plan)
{
    base_free(plan->tensors);
    base_free(plan->records);
    base_free(plan->left_out);
    *plan = (pack_plan){0};
}
