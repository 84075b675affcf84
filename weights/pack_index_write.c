#include "weights/pack_index_write.h"

#include "base/alloc.h"

#include <stddef.h>
#include <string.h>
#include <xxhash.h>

/* Sections and the strings that they name. */
typedef struct index_maker {
    const pack_plan *plan;
    const pack_contents *contents;
    buffer *out;
    uint32_t *tensor_names, *blob_names; /* offsets in TEXT */
} index_maker;

/* Begins a section and returns where its head lies. */
static size_t begin_section(buffer *out, const char *tag, uint32_t flags)
{
    pack_section section = {.flags = flags};
    memcpy(section.tag, tag, sizeof(section.tag));
    size_t at = out->size;
    buffer_append(out, &section, sizeof(section));
    return at;
}

/* Notes the size of the payload and fills up to a multiple of 8. */
static void end_section(buffer *out, size_t at)
{
    static const char zeros[8] = {0};
    if (out->failed) {
        return;
    }
    uint64_t size = out->size - at - sizeof(pack_section);
    memcpy(out->data + at + offsetof(pack_section, size), &size, sizeof(size));
    buffer_append(out, zeros, (size_t)(pack_align(size, 8) - size));
}

static void append_table(buffer *out, size_t entry_size, size_t count)
{
    pack_table table = {(uint32_t)entry_size, (uint32_t)count};
    buffer_append(out, &table, sizeof(table));
}

/* Appends a string to the section that begins at `at`; its offset there. */
static uint32_t append_name(buffer *out, size_t at, const char *name)
{
    size_t offset = out->size - at - sizeof(pack_section);
    buffer_append(out, name, strlen(name) + 1);
    return (uint32_t)offset;
}

static void append_text(index_maker *maker)
{
    buffer *out = maker->out;
    size_t at = begin_section(out, "TEXT", PACK_SECTION_REQUIRED);
    buffer_append(out, "", 1);
    for (size_t i = 0; i < maker->contents->blob_count; i++) {
        maker->blob_names[i] = append_name(out, at, maker->contents->blob_names[i]);
    }
    for (size_t i = 0; i < maker->plan->tensor_count; i++) {
        maker->tensor_names[i] = append_name(out, at, maker->plan->tensors[i].source->name);
    }
    end_section(out, at);
}

static void append_blobs(const index_maker *maker)
{
    size_t at = begin_section(maker->out, "BLOB", PACK_SECTION_REQUIRED);
    append_table(maker->out, sizeof(pack_blob_entry), maker->contents->blob_count);
    for (size_t i = 0; i < maker->contents->blob_count; i++) {
        pack_blob_entry entry = {maker->blob_names[i], (uint32_t)i};
        buffer_append(maker->out, &entry, sizeof(entry));
    }
    end_section(maker->out, at);
}

static void append_records(const index_maker *maker)
{
    const pack_plan *plan = maker->plan;
    size_t at = begin_section(maker->out, "RECD", PACK_SECTION_REQUIRED);
    append_table(maker->out, sizeof(pack_record_entry), plan->record_count);
    for (size_t i = 0; i < plan->record_count; i++) {
        const pack_planned_record *record = &plan->records[i];
        pack_record_entry entry = {.first_tensor = (uint32_t)record->first_tensor,
                                   .tensor_count = (uint32_t)record->tensor_count,
                                   .layer = record->layer,
                                   .expert = record->expert,
                                   .uses = record->uses};
        if (maker->contents->frames != NULL) {
            const pack_frame_entry *first =
                &maker->contents->frames[maker->contents->blob_count + record->first_frame];
            const pack_frame_entry *last = first + record->frame_count - 1;
            entry.offset = first->offset;
            entry.size = last->offset + last->stored - first->offset;
        }
        buffer_append(maker->out, &entry, sizeof(entry));
    }
    end_section(maker->out, at);
}

static void append_tensors(const index_maker *maker)
{
    const pack_plan *plan = maker->plan;
    size_t at = begin_section(maker->out, "TENS", PACK_SECTION_REQUIRED);
    size_t frame = maker->contents->blob_count;
    append_table(maker->out, sizeof(pack_tensor_entry), plan->tensor_count);
    for (size_t i = 0; i < plan->tensor_count; i++) {
        const pack_planned_tensor *tensor = &plan->tensors[i];
        pack_tensor_entry entry = {
            .name = maker->tensor_names[i],
            .type = pack_layout_type(tensor->layout),
            .layout = tensor->layout,
            .source = (uint32_t)tensor->source->type + 1,
            .group = (uint32_t)tensor->place.group,
            .rank = (uint32_t)tensor->source->rank,
            .first_frame = (uint32_t)frame,
            .frame_count = (uint32_t)tensor->frame_count,
        };
        memcpy(entry.shape, tensor->shape, sizeof(entry.shape));
        frame += (size_t)tensor->frame_count;
        buffer_append(maker->out, &entry, sizeof(entry));
    }
    end_section(maker->out, at);
}

static void append_frames(const index_maker *maker)
{
    static const pack_frame_entry unknown = {0};
    size_t count = maker->contents->blob_count + maker->plan->frame_count;
    size_t at = begin_section(maker->out, "FRAM", PACK_SECTION_REQUIRED);
    append_table(maker->out, sizeof(pack_frame_entry), count);
    for (size_t i = 0; i < count; i++) {
        const pack_frame_entry *frames = maker->contents->frames;
        buffer_append(maker->out, frames != NULL ? &frames[i] : &unknown, sizeof(*frames));
    }
    end_section(maker->out, at);
}

static void append_meta(const index_maker *maker)
{
    if (maker->contents->meta != NULL) {
        size_t at = begin_section(maker->out, "META", 0);
        buffer_append_text(maker->out, maker->contents->meta);
        end_section(maker->out, at);
    }
}

vl2_status pack_index_make(const pack_plan *plan, const pack_contents *contents, buffer *index,
                           vl2_error *error)
{
    index_maker maker = {plan, contents, index, NULL, NULL};
    maker.tensor_names = base_calloc(plan->tensor_count, sizeof(uint32_t));
    maker.blob_names = base_calloc(contents->blob_count, sizeof(uint32_t));
    bool ready = maker.tensor_names != NULL && maker.blob_names != NULL;
    if (ready) {
        append_text(&maker);
        append_meta(&maker);
        append_blobs(&maker);
        append_records(&maker);
        append_tensors(&maker);
        append_frames(&maker);
    }
    base_free(maker.tensor_names);
    base_free(maker.blob_names);
    if (!ready || index->failed) {
        return vl2_fail_memory(error, "the index of the packed file", index->size);
    }
    /* Offsets of names have 32 bits; so have the counts, of which there are fewer. */
    if (index->size > UINT32_MAX) {
        return vl2_fail(error, VL2_ERROR_MODEL,
                        "the index of the packed file: found %zu bytes, expected less than 4 GiB",
                        index->size);
    }
    return VL2_OK;
}

vl2_status pack_header_make(const buffer *index, uint64_t file_size, pack_header *header,
                            vl2_error *error)
{
    *header = (pack_header){.version = PACK_VERSION,
                            .file_size = file_size,
                            .index_offset = PACK_PAGE,
                            .index_size = index->size,
                            .data_offset = pack_align(PACK_PAGE + index->size, PACK_PAGE)};
    memcpy(header->magic, PACK_MAGIC, sizeof(header->magic));
    XXH3_state_t *state = XXH3_createState();
    if (state == NULL) {
        return vl2_fail_memory(error, "the hash of the packed file", 1024);
    }
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, header, PACK_HASHED_HEADER);
    XXH3_128bits_update(state, index->data, index->size);
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    header->file_hash[0] = hash.low64;
    header->file_hash[1] = hash.high64;
    XXH3_freeState(state);
    return VL2_OK;
}
