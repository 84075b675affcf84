#include "weights/safetensors.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_BYTES  ((size_t)8)
#define NAME_IN_ERROR 200 /* characters of a tensor's name in messages */

typedef struct entry {
    tensor_view view;
    const char *dtype;
    uint64_t begin, end; /* bytes of the data section */
} entry;

struct safetensors {
    mapped_file mapped; /* all zero if the bytes are borrowed */
    uint64_t bytes;
    char *name;
    entry *entries; /* [count], in the order of their place in the data section */
    size_t count;
    char *texts; /* names and data types of all entries */
};

/* Data types of the format, with the bits of one element (safetensors/src/tensor.rs, Dtype). */
static const struct {
    const char *name;
    unsigned bits;
    data_type type;
} dtypes[] = {
    {"F32", 32, DATA_F32},          {"F16", 16, DATA_F16},          {"BF16", 16, DATA_BF16},
    {"BOOL", 8, DATA_TYPE_COUNT},   {"U8", 8, DATA_TYPE_COUNT},     {"I8", 8, DATA_TYPE_COUNT},
    {"U16", 16, DATA_TYPE_COUNT},   {"I16", 16, DATA_TYPE_COUNT},   {"U32", 32, DATA_TYPE_COUNT},
    {"I32", 32, DATA_TYPE_COUNT},   {"U64", 64, DATA_TYPE_COUNT},   {"I64", 64, DATA_TYPE_COUNT},
    {"F64", 64, DATA_TYPE_COUNT},   {"C64", 64, DATA_TYPE_COUNT},   {"F4", 4, DATA_TYPE_COUNT},
    {"F8_E5M2", 8, DATA_TYPE_COUNT}, {"F8_E4M3", 8, DATA_TYPE_COUNT},
    {"F8_E8M0", 8, DATA_TYPE_COUNT},
    {"F6_E2M3", 6, DATA_TYPE_COUNT}, {"F6_E3M2", 6, DATA_TYPE_COUNT},
};

/* Bits of one element, 0 for a data type that the format did not have when this was written. */
static unsigned find_dtype(const char *name, data_type *type)
{
    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
        if (strcmp(dtypes[i].name, name) == 0) {
            *type = dtypes[i].type;
            return dtypes[i].bits;
        }
    }
    *type = DATA_TYPE_COUNT;
    return 0;
}

static void read_shape(json_fields *fields, tensor_view *view)
{
    const json_t *shape = json_fields_array(fields, "shape");
    char found[96];
    if (shape == NULL || json_array_size(shape) > TENSOR_MAX_RANK) {
        json_fields_fail(fields, "shape", json_describe(shape, found, sizeof(found)),
                         "a list of at most 8 sizes");
        return;
    }
    view->rank = (int)json_array_size(shape);
    for (int i = 0; i < view->rank; i++) {
        const json_t *size = json_array_get(shape, (size_t)i);
        if (!json_is_integer(size) || json_integer_value(size) < 0) {
            json_fields_fail(fields, "shape", json_describe(size, found, sizeof(found)),
                             "sizes that are integers of at least 0");
            return;
        }
        view->shape[i] = json_integer_value(size);
    }
}

static void read_offsets(json_fields *fields, entry *entry, uint64_t data_size)
{
    const json_t *offsets = json_fields_array(fields, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end)) {
        char found[96];
        json_fields_fail(fields, "data_offsets", json_describe(offsets, found, sizeof(found)),
                         "a list of two integers");
        return;
    }
    int64_t from = json_integer_value(begin), to = json_integer_value(end);
    if (from < 0 || to < from || (uint64_t)to > data_size) {
        char found[64], expected[96];
        snprintf(found, sizeof(found), "[%" PRId64 ", %" PRId64 "]", from, to);
        snprintf(expected, sizeof(expected), "begin <= end within the %" PRIu64 " bytes of data",
                 data_size);
        json_fields_fail(fields, "data_offsets", found, expected);
        return;
    }
    entry->begin = (uint64_t)from;
    entry->end = (uint64_t)to;
}

/* The bytes that shape and data type need must be the bytes between the offsets. */
static void check_size(json_fields *fields, const entry *entry, unsigned bits)
{
    const tensor_view *view = &entry->view;
    uint64_t total = bits;
    bool overflow = false;
    for (int i = 0; i < view->rank && !overflow; i++) {
        overflow = __builtin_mul_overflow(total, (uint64_t)view->shape[i], &total);
    }
    char shape[128], found[64], expected[224];
    tensor_shape_text(view->shape, view->rank, shape, sizeof(shape));
    if (overflow) {
        json_fields_fail(fields, "shape", shape, "a shape whose size fits 64 bits");
    } else if (total % 8 != 0 || total / 8 != entry->end - entry->begin) {
        snprintf(found, sizeof(found), "%" PRIu64 " bytes", entry->end - entry->begin);
        snprintf(expected, sizeof(expected), "%" PRIu64 " bytes for %s of %s", total / 8, shape,
                 entry->dtype);
        json_fields_fail(fields, "data_offsets", found, expected);
    }
}

static vl2_status read_entry(const char *file, const char *name, const json_t *value,
                             const uint8_t *data, uint64_t data_size, entry *entry,
                             vl2_error *error)
{
    char section[NAME_IN_ERROR + 1];
    snprintf(section, sizeof(section), "%s", name);
    if (!json_is_object(value)) {
        char found[96];
        return vl2_fail(error, VL2_ERROR_MODEL, "%s: %s: found %s, expected an object", file,
                        section, json_describe(value, found, sizeof(found)));
    }
    json_fields fields = {file, section, value, VL2_ERROR_MODEL, VL2_OK, error};
    entry->dtype = json_fields_text(&fields, "dtype", NULL);
    if (entry->dtype == NULL) {
        json_fields_fail(&fields, "dtype", "nothing", "a data type such as \"BF16\"");
        return fields.status;
    }
    read_shape(&fields, &entry->view);
    read_offsets(&fields, entry, data_size);
    unsigned bits = find_dtype(entry->dtype, &entry->view.type);
    if (fields.status == VL2_OK && bits > 0) {
        check_size(&fields, entry, bits);
    }
    if (fields.status == VL2_OK && entry->view.type != DATA_TYPE_COUNT) {
        entry->view.data = data + entry->begin;
    }
    return fields.status;
}

static int compare_places(const void *left, const void *right)
{
    const entry *a = left, *b = right;
    if (a->begin != b->begin) {
        return a->begin < b->begin ? -1 : 1;
    }
    return a->end < b->end ? -1 : a->end > b->end;
}

/* The tensors, sorted by their place, must cover the data section without overlap or hole. */
static vl2_status check_cover(const safetensors *file, uint64_t data_size, vl2_error *error)
{
    uint64_t covered = 0;
    const char *before = "the header";
    for (size_t i = 0; i < file->count; i++) {
        const entry *entry = &file->entries[i];
        if (entry->begin != covered) {
            return vl2_fail(error, VL2_ERROR_MODEL,
                            "%s: %.200s.data_offsets: found begin %" PRIu64
                            " (%s), expected %" PRIu64 ", the end of %.200s",
                            file->name, entry->view.name, entry->begin,
                            entry->begin < covered ? "an overlap" : "a hole", covered, before);
        }
        covered = entry->end;
        before = entry->view.name;
    }
    if (covered != data_size) {
        return vl2_fail(error, VL2_ERROR_MODEL,
                        "%s: data: found %" PRIu64 " bytes behind the header, expected %" PRIu64
                        ", the end of %.200s",
                        file->name, data_size, covered, before);
    }
    return VL2_OK;
}

/* Moves names and data types out of the JSON tree, which is about to go. */
static vl2_status keep_texts(safetensors *file, vl2_error *error)
{
    size_t size = 0;
    for (size_t i = 0; i < file->count; i++) {
        size += strlen(file->entries[i].view.name) + strlen(file->entries[i].dtype) + 2;
    }
    file->texts = base_malloc(size, 1);
    if (file->texts == NULL) {
        return vl2_fail_memory(error, file->name, size);
    }
    char *at = file->texts;
    for (size_t i = 0; i < file->count; i++) {
        const char **texts[] = {&file->entries[i].view.name, &file->entries[i].dtype};
        for (int j = 0; j < 2; j++) {
            size_t length = strlen(*texts[j]) + 1;
            *texts[j] = memcpy(at, *texts[j], length);
            at += length;
        }
    }
    return VL2_OK;
}

/* A name goes into messages and listings, so it must not command a terminal. */
static bool printable(const char *name)
{
    for (; *name != '\0'; name++) {
        if ((unsigned char)*name < 0x20 || *name == 0x7f) {
            return false;
        }
    }
    return true;
}

static vl2_status read_entries(safetensors *file, const json_t *root, const uint8_t *data,
                               uint64_t data_size, vl2_error *error)
{
    file->entries = base_calloc(json_object_size(root), sizeof(entry));
    if (file->entries == NULL) {
        return vl2_fail_memory(error, file->name, json_object_size(root) * sizeof(entry));
    }
    const char *name;
    json_t *value;
    vl2_status status = VL2_OK;
    json_object_foreach((json_t *)root, name, value) {
        if (strcmp(name, "__metadata__") == 0) {
            if (!json_is_object(value)) {
                char found[96];
                return vl2_fail(error, VL2_ERROR_MODEL,
                                "%s: __metadata__: found %s, expected an object", file->name,
                                json_describe(value, found, sizeof(found)));
            }
            continue;
        }
        if (name[0] == '\0' || !printable(name)) {
            return vl2_fail(error, VL2_ERROR_MODEL,
                            "%s: header: found a tensor name that is empty or has control "
                            "characters, expected text",
                            file->name);
        }
        entry *entry = &file->entries[file->count++];
        entry->view.name = name;
        status = read_entry(file->name, name, value, data, data_size, entry, error);
        if (status != VL2_OK) {
            return status;
        }
    }
    qsort(file->entries, file->count, sizeof(entry), compare_places);
    status = check_cover(file, data_size, error);
    return status == VL2_OK ? keep_texts(file, error) : status;
}

/* Checks the length in the first 8 bytes. */
static vl2_status read_length(const uint8_t *data, size_t size, const char *name, uint64_t *length,
                              vl2_error *error)
{
    if (size < LENGTH_BYTES) {
        return vl2_fail(error, VL2_ERROR_MODEL,
                        "%s: header length: found a file of %zu bytes, expected at least 8", name,
                        size);
    }
    *length = 0;
    for (size_t i = LENGTH_BYTES; i-- > 0;) {
        *length = *length << 8 | data[i];
    }
    uint64_t behind = size - LENGTH_BYTES;
    if (*length > SAFETENSORS_MAX_HEADER) {
        return vl2_fail(error, VL2_ERROR_MODEL,
                        "%s: header length: found %" PRIu64 ", expected at most %" PRIu64
                        " (is this a safetensors file?)",
                        name, *length, SAFETENSORS_MAX_HEADER);
    }
    if (*length > behind) {
        return vl2_fail(error, VL2_ERROR_MODEL,
                        "%s: header length: found %" PRIu64 ", expected at most the %" PRIu64
                        " bytes behind it (is the file cut off?)",
                        name, *length, behind);
    }
    return VL2_OK;
}

static vl2_status parse(safetensors *file, const uint8_t *data, size_t size, vl2_error *error)
{
    uint64_t length = 0;
    vl2_status status = read_length(data, size, file->name, &length, error);
    if (status != VL2_OK) {
        return status;
    }
    const uint8_t *header = data + LENGTH_BYTES;
    if (length == 0 || header[0] != '{') {
        return vl2_fail(error, VL2_ERROR_MODEL,
                        "%s: header: found %s, expected a JSON object", file->name,
                        length == 0 ? "nothing" : "other text");
    }
    json_t *root;
    status = json_parse((const char *)header, (size_t)length, file->name, VL2_ERROR_MODEL, &root,
                        error);
    if (status == VL2_OK) {
        status = read_entries(file, root, header + length, size - LENGTH_BYTES - length, error);
        json_decref(root);
    }
    return status;
}

/* Takes over `mapped`, also on failure. */
static vl2_status create(mapped_file mapped, const uint8_t *data, size_t size, const char *name,
                         safetensors **file, vl2_error *error)
{
    safetensors *made = base_calloc(1, sizeof(*made));
    if (made == NULL) {
        file_unmap(&mapped);
        return vl2_fail_memory(error, name, sizeof(*made));
    }
    made->mapped = mapped;
    made->bytes = size;
    made->name = base_copy_text(name, strlen(name));
    vl2_status status = made->name == NULL ? vl2_fail_memory(error, name, strlen(name))
                                           : parse(made, data, size, error);
    if (status != VL2_OK) {
        safetensors_close(made);
        return status;
    }
    *file = made;
    return VL2_OK;
}

vl2_status safetensors_open(const char *path, safetensors **file, vl2_error *error)
{
    mapped_file mapped;
    vl2_status status = file_map(path, VL2_ERROR_MODEL, &mapped, error);
    if (status != VL2_OK) {
        return status;
    }
    return create(mapped, mapped.data, mapped.size, path, file, error);
}

vl2_status safetensors_parse(const uint8_t *data, size_t size, const char *name,
                             safetensors **file, vl2_error *error)
{
    return create((mapped_file){NULL, 0}, data, size, name, file, error);
}

void safetensors_close(safetensors *file)
{
    if (file == NULL) {
        return;
    }
    file_unmap(&file->mapped);
    base_free(file->name);
    base_free(file->entries);
    base_free(file->texts);
    base_free(file);
}

const char *safetensors_name(const safetensors *file)
{
    return file->name;
}

uint64_t safetensors_bytes(const safetensors *file)
{
    return file->bytes;
}

size_t safetensors_count(const safetensors *file)
{
    return file->count;
}

const tensor_view *safetensors_get(const safetensors *file, size_t index)
{
    return &file->entries[index].view;
}

const char *safetensors_dtype(const safetensors *file, size_t index)
{
    return file->entries[index].dtype;
}

size_t safetensors_index(const safetensors *file, const tensor_view *tensor)
{
    /* As integers: pointers into different blocks must not be compared. */
    uintptr_t at = (uintptr_t)tensor, first = (uintptr_t)file->entries;
    if (at < first || at >= first + file->count * sizeof(entry)) {
        return SIZE_MAX;
    }
    return (at - first) / sizeof(entry);
}
