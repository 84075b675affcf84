#include "weights/store_random.h"

#include "base/alloc.h"
#include "weights/place.h"
#include "weights/store_internal.h"
#include "weights/synth_random.h"
#include "weights/synth_tensors.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define PART_BYTES  ((size_t)1 << 20) /* of one task, about */
#define PARTS       ((size_t)64)      /* filled between two looks at `cancelled` */
#define NARROW_MOST ((size_t)256)     /* numbers that are rounded together */

/* One tensor that is stored. */
typedef struct random_tensor {
    const synth_tensor *from;
    uint32_t layout;
    layout_sizes sizes; /* of a packed matrix */
    size_t bytes, offset;
    size_t units, part; /* panels or numbers; how many of them one task fills */
    uint64_t key;
    float row_scale;
} random_tensor;

struct random_weights {
    synth_tensors list;
    data_type type; /* of tensors that are not packed */
    random_tensor *tensors; /* [count] */
    size_t *first;          /* [count + 1]: first task of each tensor */
    size_t count;
    uint8_t *memory;
    size_t bytes;
    float *quantiles; /* while it is being filled */
};

/* A codebook as weights/quantize_codebook.c makes them: the first entry is 0. */
static const int8_t codebook[LAYOUT_CODEBOOK] = {0,  -113, -84, -65, -49, -35, -22, -11,
                                                 10, 21,   33,  46,  60,  76,  95,  122};

/* ------------------------------------------------------------------------------- planning */

/* Root of the mean square of value(code) for codes as they are drawn. */
static double value_size(const layout_info *info)
{
    double sum = 0;
    int count = 1 << info->bits;
    for (int code = 0; code < count; code++) {
        double value = code - count / 2;
        if (info->codebook) {
            value = codebook[code];
        } else if (info->bits == 8 && code == 0) {
            value = 0; /* -128 becomes 0 */
        }
        sum += value * value;
    }
    double mean = sum / count;
    return sqrt(info->zeros ? 2 * (mean - 0.25) : mean); /* code and zero are drawn both */
}

#define SCALE_LEAST 64 /* scales are this to 127, of both signs */

static double scale_size(const layout_info *info)
{
    double sum = 0;
    for (int scale = SCALE_LEAST; scale <= INT8_MAX; scale++) {
        sum += (double)scale * scale;
    }
    return info->group != 0 ? sqrt(sum / (INT8_MAX + 1 - SCALE_LEAST)) : 1;
}

static size_t columns_of(const synth_tensor *tensor)
{
    return tensor->rank > 1 ? (size_t)(tensor->elements / (uint64_t)tensor->shape[0]) : 1;
}

static data_type stored_type(const struct random_weights *random, const random_tensor *tensor)
{
    return tensor->layout == PACK_PLAIN_F32 ? DATA_F32 : random->type;
}

/* False if a size overflows. */
static bool plan_tensor(const struct random_weights *random, random_tensor *tensor)
{
    const synth_tensor *from = tensor->from;
    const layout_info *info = layout_find(tensor->layout);
    if (info == NULL) {
        size_t size = data_type_size(stored_type(random, tensor));
        tensor->units = (size_t)from->elements;
        tensor->part = PART_BYTES / size;
        return base_multiply(tensor->units, size, &tensor->bytes);
    }
    if (!layout_measure(tensor->layout, (size_t)from->shape[0], columns_of(from),
                        &tensor->sizes)) {
        return false;
    }
    for (int i = 0; i < LAYOUT_PLANES; i++) {
        tensor->bytes += (tensor->sizes.plane[i] + 63) & ~(size_t)63;
    }
    tensor->units = tensor->sizes.rows / LAYOUT_ROWS;
    size_t panel = tensor->bytes / tensor->units;
    tensor->part = panel < PART_BYTES ? PART_BYTES / panel : 1;
    tensor->row_scale = (float)(from->deviation / (value_size(info) * scale_size(info)));
    return true;
}

static uint32_t layout_of(const random_weights_options *options, const synth_tensor *from)
{
    weight_group group = weight_place_of(from->name).group;
    tensor_view view = {.name = from->name, .type = options->shape->type, .rank = from->rank};
    memcpy(view.shape, from->shape, sizeof(from->shape));
    return group == WEIGHT_UNUSED ? PACK_LEFT_OUT
                                  : pack_types_choose(options->types, &view, group, NULL);
}

/* Lists the tensors that are stored, with their places in memory and the tasks that fill them. */
static vl2_status plan(const random_weights_options *options, struct random_weights *random,
                       vl2_error *error)
{
    vl2_status status = synth_list_tensors(options->shape, &random->list, error);
    if (status != VL2_OK) {
        return status;
    }
    random->type = options->shape->type;
    random->tensors = base_calloc(random->list.count, sizeof(*random->tensors));
    random->first = base_calloc(random->list.count + 1, sizeof(*random->first));
    if (random->tensors == NULL || random->first == NULL) {
        return vl2_fail_memory(error, "the list of tensors",
                               random->list.count * sizeof(*random->tensors));
    }
    for (size_t i = 0; i < random->list.count; i++) {
        random_tensor *tensor = &random->tensors[random->count];
        *tensor = (random_tensor){.from = &random->list.items[i],
                                  .layout = layout_of(options, &random->list.items[i]),
                                  .offset = random->bytes};
        if (tensor->layout == PACK_LEFT_OUT) {
            continue;
        }
        if (!plan_tensor(random, tensor) ||
            __builtin_add_overflow(random->bytes, (tensor->bytes + 63) & ~(size_t)63,
                                   &random->bytes)) {
            return vl2_fail_memory(error, tensor->from->name, SIZE_MAX);
        }
        tensor->key = synth_key(options->seed, tensor->from->name);
        random->count++;
        random->first[random->count] = random->first[random->count - 1] +
                                       (tensor->units + tensor->part - 1) / tensor->part;
    }
    return VL2_OK;
}

/* ------------------------------------------------------------------------------- packed */

static uint8_t *plane_of(const struct random_weights *random, const random_tensor *tensor,
                         layout_plane plane)
{
    uint8_t *at = random->memory + tensor->offset;
    for (int i = 0; i < (int)plane; i++) {
        at += (tensor->sizes.plane[i] + 63) & ~(size_t)63;
    }
    return at;
}

static void set_bits(uint8_t *byte, int shift, int bits, unsigned value)
{
    unsigned mask = ((1u << bits) - 1) << shift;
    *byte = (uint8_t)((*byte & ~mask) | (value << shift & mask));
}

/* Sets one code, in two's complement where it has a sign. */
static void set_code(const struct random_weights *random, const random_tensor *tensor,
                     const layout_info *info, size_t row, size_t column, unsigned code)
{
    size_t place = layout_place(tensor->sizes.columns, row, column);
    size_t unit = place / 64, within = place % 64;
    uint8_t *codes = plane_of(random, tensor, LAYOUT_CODES);
    if (info->bits == 8) {
        codes[place] = (uint8_t)code;
        return;
    }
    set_bits(codes + unit / 2 * 64 + within, (int)(unit % 2) * 4, 4, code);
    if (info->bits == 6) {
        set_bits(plane_of(random, tensor, LAYOUT_HIGH) + unit / 4 * 64 + within,
                 (int)(unit % 4) * 2, 2, code >> 4);
    }
}

/* What a padded input's code is: one that decodes to 0. */
static unsigned neutral_code(const struct random_weights *random, const random_tensor *tensor,
                             const layout_info *info, size_t row, size_t column)
{
    if (!info->zeros) {
        return 0;
    }
    size_t place = layout_zero_place(tensor->sizes.groups, row, column / info->group);
    uint8_t zeros = plane_of(random, tensor, LAYOUT_ZEROS)[place];
    return row % LAYOUT_ROWS < LAYOUT_ROWS / 2 ? zeros & 15u : zeros >> 4;
}

static void clear_row(const struct random_weights *random, const random_tensor *tensor,
                      const layout_info *info, size_t row)
{
    for (size_t group = 0; group < tensor->sizes.groups; group++) {
        size_t place = layout_scale_place(tensor->sizes.groups, row, group);
        plane_of(random, tensor, LAYOUT_SCALES)[place] = 0;
        if (info->zeros) {
            set_bits(plane_of(random, tensor, LAYOUT_ZEROS) +
                         layout_zero_place(tensor->sizes.groups, row, group),
                     row % LAYOUT_ROWS < LAYOUT_ROWS / 2 ? 0 : 4, 4, 0);
        }
    }
    for (size_t column = 0; column < tensor->sizes.columns; column++) {
        set_code(random, tensor, info, row, column, 0);
    }
}

/* The row scales of a panel, and its padding. */
static void finish_panel(const struct random_weights *random, const random_tensor *tensor,
                         const layout_info *info, size_t panel)
{
    size_t rows = (size_t)tensor->from->shape[0], columns = columns_of(tensor->from);
    size_t drawn = (size_t)tensor->from->random / columns;
    uint8_t *scales = plane_of(random, tensor, LAYOUT_ROW_SCALES);
    for (size_t row = panel * LAYOUT_ROWS; row < (panel + 1) * LAYOUT_ROWS; row++) {
        float scale = row < drawn ? tensor->row_scale : 0;
        memcpy(scales + row * sizeof(scale), &scale, sizeof(scale));
        if (row >= rows) {
            clear_row(random, tensor, info, row);
            continue;
        }
        for (size_t column = columns; column < tensor->sizes.columns; column++) {
            set_code(random, tensor, info, row, column,
                     neutral_code(random, tensor, info, row, column));
        }
    }
}

static void fill_panel(const struct random_weights *random, const random_tensor *tensor,
                       size_t panel)
{
    static const layout_plane drawn[] = {LAYOUT_CODES, LAYOUT_HIGH, LAYOUT_SCALES, LAYOUT_ZEROS};
    const layout_info *info = layout_find(tensor->layout);
    for (size_t i = 0; i < sizeof(drawn) / sizeof(drawn[0]); i++) {
        size_t size = tensor->sizes.plane[drawn[i]] / tensor->units;
        uint8_t *bytes = plane_of(random, tensor, drawn[i]) + panel * size;
        synth_bytes(tensor->key, (uint64_t)(panel * LAYOUT_PLANES + drawn[i]) << 32, size, bytes);
        for (size_t k = 0; drawn[i] == LAYOUT_CODES && info->bits == 8 && k < size; k++) {
            bytes[k] = bytes[k] != 0x80 ? bytes[k] : 0;
        }
        for (size_t k = 0; drawn[i] == LAYOUT_SCALES && k < size; k++) {
            int scale = SCALE_LEAST + (bytes[k] & (INT8_MAX - SCALE_LEAST));
            bytes[k] = (uint8_t)(bytes[k] & 0x80 ? -scale : scale);
        }
    }
    finish_panel(random, tensor, info, panel);
    if (info->codebook && panel == 0) {
        memcpy(plane_of(random, tensor, LAYOUT_TABLE), codebook, sizeof(codebook));
    }
}

/* ------------------------------------------------------------------------------- plain */

/* Numbers first .. of a tensor, as vl2 synth has them: rounded to the checkpoint's type. */
static void fill_numbers(const struct random_weights *random, const random_tensor *tensor,
                         size_t first, size_t count)
{
    const synth_tensor *from = tensor->from;
    data_type type = stored_type(random, tensor);
    uint8_t *out = random->memory + tensor->offset + first * data_type_size(type);
    for (size_t i = 0; i < count; i++) {
        float number = 0;
        if (first + i < from->random) {
            uint16_t pick = synth_pick(tensor->key, first + i);
            number = (float)(from->mean + from->deviation * (double)random->quantiles[pick]);
        }
        if (type != random->type) {
            uint8_t rounded[sizeof(number)];
            numbers_narrow(&number, 1, random->type, rounded);
            numbers_widen(rounded, random->type, 1, &number);
        }
        numbers_narrow(&number, 1, type, out + i * data_type_size(type));
    }
}

/* ------------------------------------------------------------------------------- filling */

typedef struct filling {
    const struct random_weights *random;
    size_t first; /* task that is task 0 of the team */
} filling;

static const random_tensor *find_tensor(const struct random_weights *random, size_t task,
                                        size_t *part)
{
    size_t low = 0, high = random->count; /* first[low] <= task < first[high] */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        *(random->first[middle] <= task ? &low : &high) = middle;
    }
    *part = task - random->first[low];
    return &random->tensors[low];
}

static void fill_task(void *context, size_t task, int worker)
{
    (void)worker;
    const filling *job = context;
    size_t part;
    const random_tensor *tensor = find_tensor(job->random, job->first + task, &part);
    size_t first = part * tensor->part, left = tensor->units - first;
    size_t count = left < tensor->part ? left : tensor->part;
    if (layout_find(tensor->layout) == NULL) {
        fill_numbers(job->random, tensor, first, count);
        return;
    }
    for (size_t panel = first; panel < first + count; panel++) {
        fill_panel(job->random, tensor, panel);
    }
}

static void report(const random_weights_options *options, uint64_t done, uint64_t total,
                   const struct timespec *start)
{
    if (options->progress != NULL) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        vl2_progress progress = {VL2_STAGE_WEIGHTS, done, total,
                                 (double)(now.tv_sec - start->tv_sec) +
                                     (double)(now.tv_nsec - start->tv_nsec) * 1e-9,
                                 NULL};
        options->progress(&progress, options->progress_user);
    }
}

static vl2_status fill(const random_weights_options *options, struct random_weights *random,
                       vl2_error *error)
{
    random->quantiles = base_malloc(SYNTH_QUANTILES, sizeof(*random->quantiles));
    random->memory = base_alloc_aligned(random->bytes, 1);
    if (random->quantiles == NULL || random->memory == NULL) {
        return vl2_fail_memory(error, "random weights", random->bytes);
    }
    synth_quantiles(random->quantiles);
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    filling job = {random, 0};
    size_t tasks = random->first[random->count], part;
    for (; job.first < tasks; job.first += PARTS) {
        if (options->cancelled != NULL && options->cancelled(options->cancelled_user)) {
            return vl2_fail(error, VL2_ERROR_CANCELLED, "cancelled while making random weights");
        }
        report(options, find_tensor(random, job.first, &part)->offset, random->bytes, &start);
        team_run(options->team, tasks - job.first < PARTS ? tasks - job.first : PARTS, fill_task,
                 &job);
    }
    report(options, random->bytes, random->bytes, &start);
    base_free(random->quantiles);
    random->quantiles = NULL;
    return VL2_OK;
}

/* ------------------------------------------------------------------------------- the store */

static void view_tensor(const struct random_weights *random, const random_tensor *tensor,
                        weight_view *view)
{
    const synth_tensor *from = tensor->from;
    *view = (weight_view){.record = WEIGHT_NO_RECORD};
    view->tensor = (tensor_view){.name = from->name, .type = DATA_TYPE_COUNT, .rank = from->rank};
    memcpy(view->tensor.shape, from->shape, sizeof(from->shape));
    if (layout_find(tensor->layout) == NULL) {
        view->tensor.type = stored_type(random, tensor);
        view->tensor.data = random->memory + tensor->offset;
        return;
    }
    view->packed = (packed_matrix){.layout = (layout_id)tensor->layout,
                                   .rows = (size_t)from->shape[0], .columns = columns_of(from)};
    for (int i = 0; i < LAYOUT_PLANES; i++) {
        if (tensor->sizes.plane[i] > 0) {
            view->packed.plane[i] = plane_of(random, tensor, (layout_plane)i);
        }
    }
}

static vl2_status open_random(const random_weights_options *options, weight_store *store,
                              vl2_error *error)
{
    vl2_status status = synth_check_shape(options->shape, error);
    if (status != VL2_OK) {
        return status;
    }
    struct random_weights *random = store->random = base_calloc(1, sizeof(*random));
    if (random == NULL) {
        return vl2_fail_memory(error, "random weights", sizeof(*random));
    }
    status = plan(options, random, error);
    if (status == VL2_OK) {
        status = fill(options, random, error);
    }
    if (status == VL2_OK) {
        status = weight_store_allocate(store, random->count, error);
    }
    for (size_t i = 0; status == VL2_OK && i < random->count; i++) {
        view_tensor(random, &random->tensors[i], &store->views[i]);
    }
    return status;
}

vl2_status weight_store_open_random(const random_weights_options *options, weight_store **store,
                                    vl2_error *error)
{
    weight_store *opened = NULL;
    vl2_status status = weight_store_create("random weights", &opened, error);
    if (status != VL2_OK) {
        return status;
    }
    status = open_random(options, opened, error);
    if (status != VL2_OK) {
        weight_store_close(opened);
        return status;
    }
    weight_store_sort(opened);
    *store = opened;
    return VL2_OK;
}

void random_weights_free(struct random_weights *random)
{
    if (random == NULL) {
        return;
    }
    synth_free_tensors(&random->list);
    base_free(random->tensors);
    base_free(random->first);
    base_free(random->memory);
    base_free(random->quantiles);
    base_free(random);
}

const char *random_weights_type_of(const weight_view *view)
{
    return view->packed.layout != 0 ? pack_type_name(pack_layout_type(view->packed.layout))
                                    : data_type_name(view->tensor.type);
}

uint64_t random_weights_bytes(const struct random_weights *random)
{
    return random->bytes;
}
