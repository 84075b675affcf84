#include "weights/pack_index.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define FIELD_SIZE 96 /* bytes of a field's name in messages */

/* A table as it lies in the index. */
typedef struct table {
    const char *tag;
    const uint8_t *entries;
    size_t entry_size, count;
} table;

/* For a field of an entry: "tensor 12.rank". */
static vl2_status fail_entry(const pack_reading *reading, const char *what, size_t index,
                             const char *field, uint64_t found, const char *expected)
{
    char name[FIELD_SIZE];
    snprintf(name, sizeof(name), "%s %zu.%s", what, index, field);
    return pack_fail_number(reading, name, found, expected);
}

/* Where a number is expected. */
static vl2_status fail_equal(const pack_reading *reading, const char *what, size_t index,
                             const char *field, uint64_t found, uint64_t expected)
{
    char number[24];
    snprintf(number, sizeof(number), "%" PRIu64, expected);
    return fail_entry(reading, what, index, field, found, number);
}

static vl2_status fail_memory(const pack_reading *reading, size_t bytes)
{
    return vl2_fail_memory(reading->error, reading->file->name, bytes);
}

static vl2_status read_table(const pack_reading *reading, const pack_section_view *section,
                             const char *tag, size_t least, table *table)
{
    pack_table head;
    char field[FIELD_SIZE];
    if (section->size < sizeof(head)) {
        snprintf(field, sizeof(field), "section %s.size", tag);
        return pack_fail_number(reading, field, section->size, "at least 8");
    }
    memcpy(&head, section->payload, sizeof(head));
    if (head.entry_size % 8 != 0 || head.entry_size < least) {
        char expected[48];
        snprintf(field, sizeof(field), "section %s.entry_size", tag);
        snprintf(expected, sizeof(expected), "a multiple of 8, at least %zu", least);
        return pack_fail_number(reading, field, head.entry_size, expected);
    }
    uint64_t bytes = section->size - sizeof(head); /* two numbers of 32 bits do not overflow */
    if ((uint64_t)head.entry_size * head.count != bytes) {
        char expected[64];
        snprintf(field, sizeof(field), "section %s.count", tag);
        snprintf(expected, sizeof(expected), "%" PRIu64 " bytes of entries to be that many", bytes);
        return pack_fail_number(reading, field, head.count, expected);
    }
    *table = (struct table){tag, section->payload + sizeof(head), head.entry_size, head.count};
    return VL2_OK;
}

/* An entry may be shorter than `size`, as an earlier writer left it: the rest becomes 0. */
static void get_entry(const table *table, size_t index, void *entry, size_t size)
{
    size_t there = table->entry_size < size ? table->entry_size : size;
    memcpy(entry, table->entries + index * table->entry_size, there);
    memset((uint8_t *)entry + there, 0, size - there);
}

/* ------------------------------------------------------------------------------------ texts */

static vl2_status read_text(const pack_reading *reading, const pack_section_view *section)
{
    pack_file *file = reading->file;
    file->text = (const char *)section->payload;
    file->text_size = section->size;
    if (section->size == 0 || file->text[0] != '\0' || file->text[section->size - 1] != '\0') {
        return vl2_fail(reading->error, VL2_ERROR_MODEL,
                        "%s: section TEXT: found no NUL at its %s, expected one", file->name,
                        section->size == 0 || file->text[0] != '\0' ? "beginning" : "end");
    }
    json_t *text = json_stringn(file->text, section->size); /* which looks at the encoding */
    if (text == NULL) {
        return vl2_fail(reading->error, VL2_ERROR_MODEL,
                        "%s: section TEXT: found bytes that are not UTF-8, expected text",
                        file->name);
    }
    json_decref(text);
    return VL2_OK;
}

/* A name goes into messages and listings, so it must not command a terminal. */
static bool printable(const char *name)
{
    for (const unsigned char *at = (const unsigned char *)name; *at != '\0'; at++) {
        if (*at < 0x20 || *at == 0x7f || (at[0] == 0xc2 && at[1] <= 0x9f)) {
            return false;
        }
    }
    return true;
}

static vl2_status read_name(const pack_reading *reading, const char *what, size_t index,
                            uint32_t at, const char **name)
{
    const pack_file *file = reading->file;
    if (at == 0 || at >= file->text_size || file->text[at - 1] != '\0') {
        return fail_entry(reading, what, index, "name", at, "the place of a string in TEXT");
    }
    *name = file->text + at;
    size_t length = strnlen(*name, PACK_MAX_NAME + 1);
    if (length == 0 || length > PACK_MAX_NAME || !printable(*name)) {
        return fail_entry(reading, what, index, "name", at,
                          "a string of 1 to 1024 bytes without control characters");
    }
    return VL2_OK;
}

/* ------------------------------------------------------------------------------------ frames */

/* A zstd block of 4 bytes, its shortest, gives at most 128 KiB: no frame expands more than this,
 * and one that says so would only make somebody allocate memory. */
#define LARGEST_EXPANSION 32768u

static vl2_status check_frame(const pack_reading *reading, size_t index,
                              const pack_frame_entry *frame, uint64_t least)
{
    uint64_t end, most;
    if (frame->offset % PACK_ALIGNMENT != 0) {
        return fail_entry(reading, "frame", index, "offset", frame->offset, "a multiple of 64");
    }
    if (frame->offset < least) {
        char expected[64];
        snprintf(expected, sizeof(expected), "at least %" PRIu64 ", the end of what is before it",
                 least);
        return fail_entry(reading, "frame", index, "offset", frame->offset, expected);
    }
    if (frame->stored == 0 || __builtin_add_overflow(frame->offset, frame->stored, &end) ||
        end > reading->file->size) {
        return fail_entry(reading, "frame", index, "stored", frame->stored,
                          "at least 1 byte, within the file");
    }
    if (frame->codec != PACK_RAW && frame->codec != PACK_ZSTD) {
        return fail_entry(reading, "frame", index, "codec", frame->codec, "0 (raw) or 1 (zstd)");
    }
    if (frame->codec == PACK_RAW && frame->content != frame->stored) {
        return fail_equal(reading, "frame", index, "content", frame->content, frame->stored);
    }
    if (__builtin_mul_overflow(frame->stored, LARGEST_EXPANSION, &most)) {
        most = UINT64_MAX;
    }
    return frame->content > most || frame->content > SIZE_MAX / 2
               ? fail_entry(reading, "frame", index, "content", frame->content,
                            "what the stored bytes can expand to")
               : VL2_OK;
}

static vl2_status read_frames(const pack_reading *reading, const table *table)
{
    pack_file *file = reading->file;
    file->frames = base_calloc(table->count, sizeof(*file->frames));
    if (file->frames == NULL) {
        return fail_memory(reading, table->count * sizeof(*file->frames));
    }
    file->frame_count = table->count;
    uint64_t least = file->header.data_offset;
    for (size_t i = 0; i < table->count; i++) {
        pack_frame_entry entry;
        get_entry(table, i, &entry, sizeof(entry));
        vl2_status status = check_frame(reading, i, &entry, least);
        if (status != VL2_OK) {
            return status;
        }
        file->frames[i] = (pack_frame){entry.offset, entry.stored, entry.content,
                                       entry.hash,   entry.plane,  (pack_codec)entry.codec};
        least = entry.offset + entry.stored;
    }
    return VL2_OK;
}

/* Frames first to first + count - 1 lie one behind the other, from `start` on. *end is where the
 * last one ends. */
static vl2_status check_run(const pack_reading *reading, size_t first, size_t count, uint64_t start,
                            uint64_t *end)
{
    const pack_frame *frames = reading->file->frames;
    for (size_t i = first; i < first + count; i++) {
        if (frames[i].offset != start) {
            return fail_equal(reading, "frame", i, "offset", frames[i].offset, start);
        }
        *end = frames[i].offset + frames[i].stored;
        if (!pack_round_up(*end, PACK_ALIGNMENT, &start)) {
            return fail_entry(reading, "frame", i, "stored", frames[i].stored, "less");
        }
    }
    return VL2_OK;
}

/* ------------------------------------------------------------------------------------ blobs */

static vl2_status check_blob_frames(const pack_reading *reading, const table *table)
{
    const pack_file *file = reading->file;
    uint64_t end;
    if (table->count > file->frame_count) {
        return pack_fail_number(reading, "section BLOB.count", table->count,
                                "at most the number of frames");
    }
    for (size_t i = 0; i < table->count; i++) {
        if (file->frames[i].plane != PACK_BLOB) {
            return fail_equal(reading, "frame", i, "plane", file->frames[i].plane, PACK_BLOB);
        }
    }
    return check_run(reading, 0, table->count, file->header.data_offset, &end);
}

static int compare_blobs(const void *left, const void *right)
{
    return strcmp(((const pack_blob_view *)left)->name, ((const pack_blob_view *)right)->name);
}

/* Names are compared in a sorted copy; the blobs keep the order of the file. */
static vl2_status check_blob_names(const pack_reading *reading)
{
    pack_file *file = reading->file;
    size_t bytes = file->blob_count * sizeof(*file->blobs);
    pack_blob_view *sorted = base_malloc(file->blob_count, sizeof(*sorted));
    if (sorted == NULL) {
        return fail_memory(reading, bytes);
    }
    memcpy(sorted, file->blobs, bytes);
    qsort(sorted, file->blob_count, sizeof(*sorted), compare_blobs);
    vl2_status status = VL2_OK;
    for (size_t i = 1; i < file->blob_count && status == VL2_OK; i++) {
        if (strcmp(sorted[i - 1].name, sorted[i].name) == 0) {
            status = vl2_fail(reading->error, VL2_ERROR_MODEL,
                              "%s: blobs: found %.200s twice, expected it once", file->name,
                              sorted[i].name);
        }
    }
    base_free(sorted);
    return status;
}

static vl2_status read_blobs(const pack_reading *reading, const table *table)
{
    pack_file *file = reading->file;
    vl2_status status = check_blob_frames(reading, table);
    if (status != VL2_OK) {
        return status;
    }
    file->blobs = base_calloc(table->count, sizeof(*file->blobs));
    if (file->blobs == NULL) {
        return fail_memory(reading, table->count * sizeof(*file->blobs));
    }
    for (size_t i = 0; i < table->count && status == VL2_OK; i++) {
        pack_blob_entry entry;
        get_entry(table, i, &entry, sizeof(entry));
        if (entry.frame != i) {
            return fail_equal(reading, "blob", i, "frame", entry.frame, i);
        }
        file->blobs[i].frame = &file->frames[i];
        status = read_name(reading, "blob", i, entry.name, &file->blobs[i].name);
    }
    file->blob_count = table->count;
    return status == VL2_OK ? check_blob_names(reading) : status;
}

/* ------------------------------------------------------------------------------------ tensors */

static vl2_status fail_tensor(const pack_reading *reading, size_t index, const char *field,
                              uint64_t found, const char *expected)
{
    return vl2_fail(reading->error, VL2_ERROR_MODEL,
                    "%s: tensor %zu (%.200s).%s: found %" PRIu64 ", expected %s",
                    reading->file->name, index, reading->file->tensors[index].name, field, found,
                    expected);
}

static vl2_status check_type(const pack_reading *reading, size_t index,
                             const pack_tensor_entry *entry)
{
    uint32_t type = pack_layout_type(entry->layout);
    if (type == 0) {
        return fail_tensor(reading, index, "layout", entry->layout,
                           "a layout that this program knows");
    }
    if (pack_type_name(entry->type) == NULL) {
        return fail_tensor(reading, index, "type", entry->type, "a type that this program knows");
    }
    if (entry->type != type) {
        char expected[64];
        snprintf(expected, sizeof(expected), "%" PRIu32 " (%s), the type of layout %s", type,
                 pack_type_name(type), pack_layout_name(entry->layout));
        return fail_tensor(reading, index, "type", entry->type, expected);
    }
    if (entry->source != PACK_F32 && entry->source != PACK_F16 && entry->source != PACK_BF16) {
        return fail_tensor(reading, index, "source", entry->source, "1, 2 or 3");
    }
    return VL2_OK;
}

static vl2_status check_shape(const pack_reading *reading, size_t index,
                              const pack_tensor_entry *entry)
{
    if (entry->rank > PACK_MAX_RANK) {
        return fail_tensor(reading, index, "rank", entry->rank, "at most 4");
    }
    for (uint32_t i = 0; i < PACK_MAX_RANK; i++) {
        if (i < entry->rank ? entry->shape[i] == 0 : entry->shape[i] != 1) {
            return fail_tensor(reading, index, "shape", entry->shape[i],
                               i < entry->rank ? "at least 1" : "1 beyond the rank");
        }
    }
    return VL2_OK;
}

/* The frames are those that layout and shape call for. `first` is the one behind the tensor
 * before. */
static vl2_status check_planes(const pack_reading *reading, size_t index,
                               const pack_tensor_entry *entry, size_t first)
{
    const pack_file *file = reading->file;
    uint32_t plane[PACK_MAX_PLANES];
    uint64_t bytes[PACK_MAX_PLANES];
    int count = pack_planes(entry->layout, (int)entry->rank, entry->shape, plane, bytes);
    char number[24];
    if (count == 0) {
        return fail_tensor(reading, index, "rank", entry->rank,
                           "a shape that the layout takes and that fits 64 bits");
    }
    if (entry->first_frame != first) {
        snprintf(number, sizeof(number), "%zu", first);
        return fail_tensor(reading, index, "first_frame", entry->first_frame, number);
    }
    if (entry->frame_count != (uint32_t)count || file->frame_count - first < (size_t)count) {
        snprintf(number, sizeof(number), "%d within FRAM", count);
        return fail_tensor(reading, index, "frame_count", entry->frame_count, number);
    }
    for (int i = 0; i < count; i++) {
        const pack_frame *frame = &file->frames[first + (size_t)i];
        char expected[160];
        if (frame->plane != plane[i]) {
            snprintf(expected, sizeof(expected), "%" PRIu32 " (%s) for layout %s", plane[i],
                     pack_plane_name(plane[i]), pack_layout_name(entry->layout));
            return fail_tensor(reading, index, "plane", frame->plane, expected);
        }
        if (frame->content != bytes[i]) {
            snprintf(expected, sizeof(expected), "%" PRIu64 " bytes of %s for layout %s and shape",
                     bytes[i], pack_plane_name(plane[i]), pack_layout_name(entry->layout));
            return fail_tensor(reading, index, "content", frame->content, expected);
        }
    }
    return VL2_OK;
}

static vl2_status read_tensor(const pack_reading *reading, const table *table, size_t index,
                              size_t first_frame)
{
    pack_file *file = reading->file;
    pack_tensor *tensor = &file->tensors[index];
    pack_tensor_entry entry;
    get_entry(table, index, &entry, sizeof(entry));
    vl2_status status = read_name(reading, "tensor", index, entry.name, &tensor->name);
    if (status == VL2_OK) {
        status = check_type(reading, index, &entry);
    }
    if (status == VL2_OK) {
        status = check_shape(reading, index, &entry);
    }
    if (status == VL2_OK) {
        status = check_planes(reading, index, &entry, first_frame);
    }
    if (status == VL2_OK) {
        tensor->type = (pack_type)entry.type;
        tensor->source = (pack_type)entry.source;
        tensor->layout = entry.layout;
        tensor->group = entry.group;
        tensor->rank = (int)entry.rank;
        memcpy(tensor->shape, entry.shape, sizeof(tensor->shape));
        tensor->frames = &file->frames[first_frame];
        tensor->frame_count = (int)entry.frame_count;
    }
    return status;
}

static int compare_names(const void *left, const void *right)
{
    const pack_tensor *const *a = left, *const *b = right;
    return strcmp((*a)->name, (*b)->name);
}

static vl2_status sort_names(const pack_reading *reading)
{
    pack_file *file = reading->file;
    file->by_name = base_calloc(file->tensor_count, sizeof(const pack_tensor *));
    if (file->by_name == NULL) {
        return fail_memory(reading, file->tensor_count * sizeof(const pack_tensor *));
    }
    for (size_t i = 0; i < file->tensor_count; i++) {
        file->by_name[i] = &file->tensors[i];
    }
    qsort(file->by_name, file->tensor_count, sizeof(const pack_tensor *), compare_names);
    for (size_t i = 1; i < file->tensor_count; i++) {
        if (strcmp(file->by_name[i - 1]->name, file->by_name[i]->name) == 0) {
            return vl2_fail(reading->error, VL2_ERROR_MODEL,
                            "%s: tensors: found %.200s twice, expected it once", file->name,
                            file->by_name[i]->name);
        }
    }
    return VL2_OK;
}

static vl2_status read_tensors(const pack_reading *reading, const table *table)
{
    pack_file *file = reading->file;
    size_t frame = file->blob_count;
    file->tensors = base_calloc(table->count, sizeof(*file->tensors));
    if (file->tensors == NULL) {
        return fail_memory(reading, table->count * sizeof(*file->tensors));
    }
    file->tensor_count = table->count;
    for (size_t i = 0; i < table->count; i++) {
        vl2_status status = read_tensor(reading, table, i, frame);
        if (status != VL2_OK) {
            return status;
        }
        frame += (size_t)file->tensors[i].frame_count;
    }
    if (frame != file->frame_count) {
        char expected[64];
        snprintf(expected, sizeof(expected), "%zu, those of the blobs and tensors", frame);
        return pack_fail_number(reading, "section FRAM.count", file->frame_count, expected);
    }
    return sort_names(reading);
}

/* ------------------------------------------------------------------------------------ records */

/* What an expert's record says of itself is what its tensors' names say. Gate and up are used
 * before down has arrived, so that their order matters. */
static vl2_status check_expert(const pack_reading *reading, size_t index, const pack_record *record)
{
    static const weight_part parts[] = {WEIGHT_GATE, WEIGHT_UP, WEIGHT_DOWN};
    static const char *const names[] = {"gate", "up", "down"};
    if (record->tensor_count != 3) {
        return fail_equal(reading, "record", index, "tensor_count", record->tensor_count, 3);
    }
    for (int i = 0; i < 3; i++) {
        weight_place place = weight_place_of(record->tensors[i].name);
        if (place.part != parts[i] || place.layer != record->layer ||
            place.expert != record->expert) {
            return vl2_fail(reading->error, VL2_ERROR_MODEL,
                            "%s: record %zu: found %.200s as number %d, expected %s of layer %d, "
                            "expert %d",
                            reading->file->name, index, record->tensors[i].name, i + 1, names[i],
                            record->layer, record->expert);
        }
    }
    return VL2_OK;
}

static vl2_status check_place(const pack_reading *reading, size_t index, const pack_record *record)
{
    if (record->layer < -1 || record->expert < -1 || (record->expert >= 0 && record->layer < 0)) {
        return vl2_fail(reading->error, VL2_ERROR_MODEL,
                        "%s: record %zu: found layer %d and expert %d, expected -1 or more, and a "
                        "layer for each expert",
                        reading->file->name, index, record->layer, record->expert);
    }
    return record->expert >= 0 ? check_expert(reading, index, record) : VL2_OK;
}

/* The record's frames lie where it lies, and nothing else does. */
static vl2_status check_extent(const pack_reading *reading, size_t index, const pack_record *record)
{
    const pack_file *file = reading->file;
    const pack_tensor *last = &record->tensors[record->tensor_count - 1];
    size_t first = (size_t)(record->tensors->frames - file->frames), end_frame;
    uint64_t end = 0;
    if (record->offset % PACK_PAGE != 0) {
        return fail_entry(reading, "record", index, "offset", record->offset, "a multiple of 4096");
    }
    end_frame = (size_t)(last->frames - file->frames) + (size_t)last->frame_count;
    vl2_status status = check_run(reading, first, end_frame - first, record->offset, &end);
    if (status == VL2_OK && end - record->offset != record->size) {
        status = fail_equal(reading, "record", index, "size", record->size, end - record->offset);
    }
    return status;
}

static vl2_status read_record(const pack_reading *reading, const table *table, size_t index,
                              size_t first_tensor)
{
    pack_file *file = reading->file;
    pack_record *record = &file->records[index];
    pack_record_entry entry;
    get_entry(table, index, &entry, sizeof(entry));
    if (entry.first_tensor != first_tensor) {
        return fail_equal(reading, "record", index, "first_tensor", entry.first_tensor,
                          first_tensor);
    }
    if (entry.tensor_count == 0 || entry.tensor_count > file->tensor_count - first_tensor) {
        return fail_entry(reading, "record", index, "tensor_count", entry.tensor_count,
                          "at least 1, within TENS");
    }
    *record = (pack_record){.offset = entry.offset,
                            .size = entry.size,
                            .tensors = &file->tensors[first_tensor],
                            .tensor_count = entry.tensor_count,
                            .layer = entry.layer,
                            .expert = entry.expert,
                            .uses = entry.expert >= 0 ? entry.uses : 0};
    for (uint32_t i = 0; i < entry.tensor_count; i++) {
        file->tensors[first_tensor + i].record = (uint32_t)index;
    }
    vl2_status status = check_place(reading, index, record);
    return status == VL2_OK ? check_extent(reading, index, record) : status;
}

static vl2_status read_records(const pack_reading *reading, const table *table)
{
    pack_file *file = reading->file;
    size_t tensor = 0;
    file->records = base_calloc(table->count, sizeof(*file->records));
    if (file->records == NULL) {
        return fail_memory(reading, table->count * sizeof(*file->records));
    }
    file->record_count = table->count;
    for (size_t i = 0; i < table->count; i++) {
        vl2_status status = read_record(reading, table, i, tensor);
        if (status != VL2_OK) {
            return status;
        }
        tensor += file->records[i].tensor_count;
    }
    if (tensor != file->tensor_count) {
        char expected[64];
        snprintf(expected, sizeof(expected), "%zu, those of the records", tensor);
        return pack_fail_number(reading, "section TENS.count", file->tensor_count, expected);
    }
    return VL2_OK;
}

/* ------------------------------------------------------------------------------------ all of it */

typedef vl2_status (*table_reader)(const pack_reading *reading, const table *table);

vl2_status pack_index_read(pack_file *file, vl2_error *error)
{
    /* Each looks at what those before it have read. */
    static const struct {
        int section;
        size_t entry_size;
        table_reader read;
    } tables[] = {
        {PACK_TAG_FRAM, sizeof(pack_frame_entry), read_frames},
        {PACK_TAG_BLOB, sizeof(pack_blob_entry), read_blobs},
        {PACK_TAG_TENS, sizeof(pack_tensor_entry), read_tensors},
        {PACK_TAG_RECD, PACK_RECORD_LEAST, read_records},
    };
    pack_reading reading = {file, error};
    pack_section_view sections[PACK_SECTIONS] = {{NULL, 0}};
    vl2_status status = pack_head_read(&reading, sections);
    if (status == VL2_OK) {
        file->meta = (const char *)sections[PACK_TAG_META].payload;
        file->meta_size = sections[PACK_TAG_META].size;
        status = read_text(&reading, &sections[PACK_TAG_TEXT]);
    }
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]) && status == VL2_OK; i++) {
        table table;
        status = read_table(&reading, &sections[tables[i].section], pack_tags[tables[i].section],
                            tables[i].entry_size, &table);
        if (status == VL2_OK) {
            status = tables[i].read(&reading, &table);
        }
    }
    return status;
}
