#include "weights/lora_internal.h"

#include "base/alloc.h"
#include "base/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_NAME  "adapter_config.json"
#define WEIGHTS_NAME "adapter_model.safetensors"

typedef enum part_kind { PART_WHOLE, PART_A, PART_B, PART_EMBEDDING_A, PART_EMBEDDING_B } part_kind;

/* A tensor of the adapter's file. */
typedef struct part {
    const tensor_view *tensor;
    part_kind kind;
    char *target;
} part;

/* ------------------------------------------------------------------------------------ names */

static bool begins(const char *text, const char *front)
{
    return strncmp(text, front, strlen(front)) == 0;
}

/* Where the name of a tensor in the checkpoint begins inside of the adapter's, and what is to be
 * put in front of it: see lora.h. */
static const char *find_place(const char *name, const char **front)
{
    static const struct {
        const char *begin, *front;
    } places[] = {
        {"language.", ""},
        {"vision.", ""},
        {"projector.", ""},
        {"image_newline", ""},
        {"view_seperator", ""},
        {"tile_indicators", ""},
        {"layers.", "language.model."},
        {"embed_tokens.", "language.model."},
        {"norm.", "language.model."},
        {"lm_head.", "language."},
    };
    static const char *const wrappers[] = {"base_model.", "model.", "module.", "_orig_mod."};
    for (const char *at = name, *before = NULL; at != before;) {
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
            if (begins(at, places[i].begin)) {
                *front = places[i].front;
                return at;
            }
        }
        before = at;
        for (size_t i = 0; i < sizeof(wrappers) / sizeof(wrappers[0]) && at == before; i++) {
            at += begins(at, wrappers[i]) ? strlen(wrappers[i]) : 0;
        }
    }
    *front = "";
    return name;
}

/* What comes behind ".lora_" of a tensor's name: the kind, and the name of the adapter perhaps. */
static bool read_kind(const char *end, part_kind *kind)
{
    static const struct {
        const char *begin, *end;
        part_kind kind;
    } kinds[] = {
        {"A", ".weight", PART_A},
        {"B", ".weight", PART_B},
        {"embedding_A", "", PART_EMBEDDING_A},
        {"embedding_B", "", PART_EMBEDDING_B},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t begin = strlen(kinds[i].begin), size = strlen(end), tail = strlen(kinds[i].end);
        if (!begins(end, kinds[i].begin) || size < begin + tail ||
            strcmp(end + size - tail, kinds[i].end) != 0) {
            continue;
        }
        const char *adapter = end + begin;
        size_t length = size - begin - tail;
        if (length == 0 ||
            (length > 1 && adapter[0] == '.' && memchr(adapter + 1, '.', length - 1) == NULL)) {
            *kind = kinds[i].kind;
            return true;
        }
    }
    return false;
}

static char *join(const char *front, const char *middle, size_t size, const char *end)
{
    size_t front_size = strlen(front), end_size = strlen(end);
    char *text = base_malloc(front_size + size + end_size + 1, 1);
    if (text != NULL) {
        memcpy(text, front, front_size);
        memcpy(text + front_size, middle, size);
        memcpy(text + front_size + size, end, end_size + 1);
    }
    return text;
}

static vl2_status read_part(const lora *lora, const tensor_view *tensor, part *out,
                            vl2_error *error)
{
    static const char base_layer[] = ".base_layer.";
    const char *front, *name = find_place(tensor->name, &front);
    const char *adapted = strstr(name, ".lora_"), *layer = strstr(name, base_layer);
    *out = (part){tensor, PART_WHOLE, NULL};
    if (adapted != NULL) {
        if (!read_kind(adapted + strlen(".lora_"), &out->kind)) {
            return vl2_fail(error, VL2_ERROR_MODEL,
                            "%s: found %.300s, expected lora_A or lora_B of plain LoRA",
                            lora->weights_path, tensor->name);
        }
        out->target = join(front, name, (size_t)(adapted - name), ".weight");
    } else if (layer != NULL) {
        out->target = join(front, name, (size_t)(layer - name), layer + sizeof(base_layer) - 2);
    } else {
        out->target = join(front, name, strlen(name), "");
    }
    return out->target != NULL ? VL2_OK
                               : vl2_fail_memory(error, "an adapter", strlen(tensor->name));
}

/* ------------------------------------------------------------------------------------ pairs */

static vl2_status fail_shape(const lora *lora, const tensor_view *tensor, const char *expected,
                             vl2_error *error)
{
    char shape[160];
    return vl2_fail(error, VL2_ERROR_MODEL, "%s: %.300s: shape: found %s, expected %s",
                    lora->weights_path, tensor->name,
                    tensor_shape_text(tensor->shape, tensor->rank, shape, sizeof(shape)), expected);
}

/* The rank that the configuration gives, and the scaling. */
static vl2_status apply_config(const lora *lora, lora_entry *entry, vl2_error *error)
{
    static const char peft[] = "base_model.model.";
    const char *name = entry->a->name;
    name += begins(name, peft) ? sizeof(peft) - 1 : 0;
    const char *end = strstr(name, ".lora_");
    char *module = base_copy_text(name, end != NULL ? (size_t)(end - name) : 0);
    if (module == NULL) {
        return vl2_fail_memory(error, "an adapter", strlen(name));
    }
    int64_t rank = lora_config_rank(&lora->config, module);
    entry->scaling = lora_config_scaling(&lora->config, module);
    base_free(module);
    if ((uint64_t)rank != entry->rank) {
        char expected[96];
        snprintf(expected, sizeof(expected), "%" PRId64 " rows, the r of " CONFIG_NAME, rank);
        return fail_shape(lora, entry->a, expected, error);
    }
    return VL2_OK;
}

/* Shapes of A [r, inputs ...] and B [outputs, r, 1 ...]. */
static vl2_status measure_pair(const lora *lora, lora_entry *entry, vl2_error *error)
{
    const tensor_view *a = entry->a, *b = entry->b;
    uint64_t a_size = tensor_elements(a), b_size = tensor_elements(b);
    if (a->rank < 2 || a_size == 0 || (entry->transposed && a->rank != 2)) {
        return fail_shape(lora, a, entry->transposed ? "[r, rows]" : "[r, inputs]", error);
    }
    if (b->rank < 2 || b->shape[1] != a->shape[0] || b_size == 0 ||
        b_size != (uint64_t)b->shape[0] * (uint64_t)b->shape[1]) {
        return fail_shape(lora, b,
                          entry->transposed ? "[columns, r] with the r of its lora_embedding_A"
                                            : "[outputs, r] with the r of its lora_A",
                          error);
    }
    size_t inputs = (size_t)(a_size / (uint64_t)a->shape[0]), outputs = (size_t)b->shape[0];
    entry->rank = (size_t)a->shape[0];
    entry->rows = entry->transposed ? inputs : outputs;
    entry->columns = entry->transposed ? outputs : inputs;
    return apply_config(lora, entry, error);
}

static int compare_parts(const void *left, const void *right)
{
    const part *a = left, *b = right;
    int names = strcmp(a->target, b->target);
    return names != 0 ? names : (int)a->kind - (int)b->kind;
}

/* Where an entry keeps parts of this kind. */
static const tensor_view **slot_of(lora_entry *entry, part_kind kind)
{
    return kind == PART_WHOLE                           ? &entry->whole
           : kind == PART_A || kind == PART_EMBEDDING_A ? &entry->a
                                                        : &entry->b;
}

/* `count` parts of one target. */
static vl2_status make_entry(const lora *lora, part *parts, size_t count, lora_entry *entry,
                             vl2_error *error)
{
    bool linear = false;
    for (size_t i = 0; i < count; i++) {
        const tensor_view **slot = slot_of(entry, parts[i].kind), *tensor = parts[i].tensor;
        if (*slot != NULL) {
            return vl2_fail(error, VL2_ERROR_MODEL,
                            "%s: %.300s: found %.300s too, expected one of them for %.300s",
                            lora->weights_path, tensor->name, (*slot)->name, entry->target);
        }
        *slot = tensor;
        linear |= parts[i].kind == PART_A || parts[i].kind == PART_B;
        entry->transposed |= parts[i].kind == PART_EMBEDDING_A || parts[i].kind == PART_EMBEDDING_B;
        if (tensor->type == DATA_TYPE_COUNT) {
            return vl2_fail(error, VL2_ERROR_MODEL,
                            "%s: %.300s: dtype: found %s, expected F32, F16 or BF16",
                            lora->weights_path, tensor->name,
                            safetensors_dtype(lora->file, safetensors_index(lora->file, tensor)));
        }
    }
    const tensor_view *one = entry->a != NULL ? entry->a : entry->b;
    if ((entry->a == NULL) != (entry->b == NULL) || (linear && entry->transposed)) {
        return vl2_fail(error, VL2_ERROR_MODEL,
                        "%s: %.300s: found no partner of its kind, expected an A and a B",
                        lora->weights_path, one->name);
    }
    return one != NULL ? measure_pair(lora, entry, error) : VL2_OK;
}

static vl2_status make_entries(lora *lora, part *parts, size_t count, vl2_error *error)
{
    lora->entries = base_calloc(count, sizeof(*lora->entries));
    if (lora->entries == NULL) {
        return vl2_fail_memory(error, "an adapter", count * sizeof(*lora->entries));
    }
    qsort(parts, count, sizeof(*parts), compare_parts);
    vl2_status status = VL2_OK;
    for (size_t first = 0, end; first < count && status == VL2_OK; first = end) {
        for (end = first + 1; end < count; end++) {
            if (strcmp(parts[end].target, parts[first].target) != 0) {
                break;
            }
        }
        lora_entry *entry = &lora->entries[lora->count++];
        entry->target = parts[first].target;
        parts[first].target = NULL; /* handed on: what comes now looks at the others only */
        status = make_entry(lora, parts + first, end - first, entry, error);
    }
    return status;
}

/* -------------------------------------------------------------------------------- open, close */

static vl2_status read_parts(lora *lora, vl2_error *error)
{
    size_t count = safetensors_count(lora->file);
    if (count == 0) {
        return vl2_fail(error, VL2_ERROR_MODEL, "%s: found no tensor, expected those of an adapter",
                        lora->weights_path);
    }
    part *parts = base_calloc(count, sizeof(*parts));
    vl2_status status =
        parts != NULL ? VL2_OK : vl2_fail_memory(error, "an adapter", count * sizeof(*parts));
    for (size_t i = 0; i < count && status == VL2_OK; i++) {
        status = read_part(lora, safetensors_get(lora->file, i), &parts[i], error);
    }
    if (status == VL2_OK) {
        status = make_entries(lora, parts, count, error);
    }
    for (size_t i = 0; i < count && parts != NULL; i++) {
        base_free(parts[i].target);
    }
    base_free(parts);
    return status;
}

static vl2_status open_files(lora *lora, const char *folder, vl2_error *error)
{
    lora->config_path = path_join(folder, CONFIG_NAME);
    lora->weights_path = path_join(folder, WEIGHTS_NAME);
    if (lora->config_path == NULL || lora->weights_path == NULL) {
        return vl2_fail_memory(error, "an adapter", strlen(folder));
    }
    vl2_status status = lora_config_open(lora->config_path, &lora->config, error);
    if (status == VL2_OK) {
        status = safetensors_open(lora->weights_path, &lora->file, error);
    }
    return status == VL2_OK ? read_parts(lora, error) : status;
}

vl2_status lora_open(const char *folder, lora **opened, vl2_error *error)
{
    lora *made = base_calloc(1, sizeof(*made));
    if (made == NULL) {
        return vl2_fail_memory(error, "an adapter", sizeof(*made));
    }
    vl2_status status = open_files(made, folder, error);
    if (status != VL2_OK) {
        lora_close(made);
        return status;
    }
    *opened = made;
    return VL2_OK;
}

void lora_close(lora *lora)
{
    if (lora == NULL) {
        return;
    }
    for (size_t i = 0; i < lora->count; i++) {
        base_free(lora->entries[i].target);
    }
    base_free(lora->entries);
    safetensors_close(lora->file);
    lora_config_close(&lora->config);
    base_free(lora->config_path);
    base_free(lora->weights_path);
    base_free(lora);
}

/* ---------------------------------------------------------------------------------- questions */

size_t lora_count(const lora *lora)
{
    return lora->count;
}

const char *lora_target(const lora *lora, size_t index)
{
    return lora->entries[index].target;
}

static int compare_target(const void *name, const void *entry)
{
    return strcmp(name, ((const lora_entry *)entry)->target);
}

const lora_entry *lora_find(const lora *lora, const char *tensor)
{
    return bsearch(tensor, lora->entries, lora->count, sizeof(*lora->entries), compare_target);
}

bool lora_touches(const lora *lora, const char *tensor)
{
    return lora_find(lora, tensor) != NULL;
}

vl2_status lora_entry_check(const lora *lora, const lora_entry *entry, const tensor_view *base,
                            vl2_error *error)
{
    const tensor_view *whole = entry->whole;
    char shape[160], expected[600];
    tensor_shape_text(base->shape, base->rank, shape, sizeof(shape));
    if (whole != NULL &&
        (whole->rank != base->rank ||
         memcmp(whole->shape, base->shape, (size_t)base->rank * sizeof(base->shape[0])) != 0)) {
        snprintf(expected, sizeof(expected), "%s, as %.300s has", shape, entry->target);
        return fail_shape(lora, whole, expected, error);
    }
    if (entry->a != NULL && (base->rank < 2 || (uint64_t)base->shape[0] != entry->rows ||
                             tensor_elements(base) != (uint64_t)entry->rows * entry->columns)) {
        return vl2_fail(error, VL2_ERROR_MODEL,
                        "%s: %.300s and its partner: found a product [%zu, %zu], expected %s, as "
                        "%.300s has",
                        lora->weights_path, entry->a->name, entry->rows, entry->columns, shape,
                        entry->target);
    }
    return VL2_OK;
}

vl2_status lora_check(const lora *lora, const checkpoint *checkpoint, vl2_error *error)
{
    for (size_t i = 0; i < lora->count; i++) {
        const lora_entry *entry = &lora->entries[i];
        const tensor_view *own = entry->a != NULL ? entry->a : entry->whole;
        const tensor_view *base = checkpoint_find(checkpoint, entry->target);
        if (base == NULL) {
            return vl2_fail(error, VL2_ERROR_MODEL,
                            "%s: %.300s: found no %.300s in the checkpoint, expected the weight "
                            "that it changes",
                            lora->weights_path, own->name, entry->target);
        }
        if (base->type == DATA_TYPE_COUNT) {
            return vl2_fail(error, VL2_ERROR_MODEL,
                            "%s: %.300s: dtype: found %s, expected F32, F16 or BF16",
                            checkpoint_file_of(checkpoint, base), base->name,
                            checkpoint_dtype_of(checkpoint, base));
        }
        vl2_status status = lora_entry_check(lora, entry, base, error);
        if (status != VL2_OK) {
            return status;
        }
    }
    return VL2_OK;
}
