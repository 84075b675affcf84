#include "weights/safetensors_write.h"

#include "base/tensor.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define LENGTH_BYTES 8

/* Appends a text as JSON has it, in quotes. */
static void append_quoted(safetensors_header *header, const char *text)
{
    json_t *value = json_string(text);
    char *quoted = value != NULL ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    if (quoted != NULL) {
        buffer_append_text(&header->text, quoted);
    } else {
        header->unwritable = true;
    }
    free(quoted);
    json_decref(value);
}

void safetensors_header_begin(safetensors_header *header, const safetensors_note *notes,
                              size_t count)
{
    static const char length[LENGTH_BYTES];
    *header = (safetensors_header){.offset = 0};
    buffer_append(&header->text, length, sizeof(length));
    buffer_append_text(&header->text, "{");
    for (size_t i = 0; i < count; i++) {
        buffer_append_text(&header->text, i == 0 ? "\"__metadata__\":{" : ",");
        append_quoted(header, notes[i].key);
        buffer_append_text(&header->text, ":");
        append_quoted(header, notes[i].value);
        buffer_append_text(&header->text, i + 1 == count ? "}" : "");
    }
}

void safetensors_header_tensor(safetensors_header *header, const char *name, const char *dtype,
                               const int64_t *shape, int rank, uint64_t bytes)
{
    char sizes[24 * TENSOR_MAX_RANK], text[sizeof(sizes) + 128];
    bool first = header->text.size == LENGTH_BYTES + 1;
    buffer_append_text(&header->text, first ? "" : ",");
    append_quoted(header, name);
    snprintf(text, sizeof(text),
             ":{\"dtype\":\"%.16s\",\"shape\":%s,\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}",
             dtype, tensor_shape_text(shape, rank, sizes, sizeof(sizes)), header->offset,
             header->offset + bytes);
    buffer_append_text(&header->text, text);
    header->offset += bytes;
}

vl2_status safetensors_header_end(safetensors_header *header, vl2_error *error)
{
    buffer *text = &header->text;
    buffer_append_text(text, "}");
    while (text->size % 8 != 0 && buffer_append_text(text, " ")) {
    }
    if (text->failed) {
        return vl2_fail_memory(error, "a safetensors header", text->size);
    }
    if (header->unwritable) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "a safetensors header: found bytes that are not UTF-8, expected text");
    }
    uint64_t length = text->size - LENGTH_BYTES;
    for (size_t i = 0; i < LENGTH_BYTES; i++) {
        text->data[i] = (char)(length >> (8 * i) & 255);
    }
    return VL2_OK;
}

void safetensors_header_free(safetensors_header *header)
{
    buffer_free(&header->text);
}
