#include "weights/pack_file.h"

#include "base/alloc.h"
#include "weights/pack_index.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>
#include <zstd.h>
#include <zstd_errors.h>

#define LARGEST_BLOB ((uint64_t)1 << 30)

/* ------------------------------------------------------------------------------------ opening */

bool pack_recognise(const char *path)
{
    uint8_t found[8];
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) {
        return false; /* opening a pipe would wait for its other end */
    }
    FILE *stream = fopen(path, "rbe");
    if (stream == NULL) {
        return false;
    }
    bool same = fread(found, 1, sizeof(found), stream) == sizeof(found) &&
                memcmp(found, PACK_MAGIC, sizeof(found)) == 0;
    fclose(stream);
    return same;
}

/* Takes over `mapped`, also on failure. */
static vl2_status create(mapped_file mapped, const uint8_t *data, size_t size, const char *name,
                         pack_file **file, vl2_error *error)
{
    pack_file *made = base_calloc(1, sizeof(*made));
    if (made == NULL) {
        file_unmap(&mapped);
        return vl2_fail_memory(error, name, sizeof(*made));
    }
    made->mapped = mapped;
    made->data = data;
    made->size = size;
    made->name = base_copy_text(name, strlen(name));
    vl2_status status = made->name == NULL ? vl2_fail_memory(error, name, strlen(name))
                                           : pack_index_read(made, error);
    if (status != VL2_OK) {
        pack_close(made);
        return status;
    }
    *file = made;
    return VL2_OK;
}

vl2_status pack_open(const char *path, pack_file **file, vl2_error *error)
{
    mapped_file mapped;
    vl2_status status = file_map(path, VL2_ERROR_MODEL, &mapped, error);
    if (status != VL2_OK) {
        return status;
    }
    return create(mapped, mapped.data, mapped.size, path, file, error);
}

vl2_status pack_parse(const uint8_t *data, size_t size, const char *name, pack_file **file,
                      vl2_error *error)
{
    return create((mapped_file){NULL, 0}, data, size, name, file, error);
}

void pack_close(pack_file *file)
{
    if (file == NULL) {
        return;
    }
    file_unmap(&file->mapped);
    base_free(file->name);
    base_free(file->head);
    base_free(file->blobs);
    base_free(file->records);
    base_free(file->tensors);
    base_free(file->frames);
    base_free(file->by_name);
    base_free(file);
}

/* ------------------------------------------------------------------------------------ contents */

const char *pack_name(const pack_file *file)
{
    return file->name;
}

uint64_t pack_size(const pack_file *file)
{
    return file->size;
}

const uint8_t *pack_data(const pack_file *file)
{
    return file->data;
}

const uint64_t *pack_file_hash(const pack_file *file)
{
    return file->header.file_hash;
}

const char *pack_meta(const pack_file *file, size_t *size)
{
    *size = file->meta_size;
    return file->meta;
}

size_t pack_record_count(const pack_file *file)
{
    return file->record_count;
}

const pack_record *pack_record_get(const pack_file *file, size_t index)
{
    return &file->records[index];
}

size_t pack_tensor_count(const pack_file *file)
{
    return file->tensor_count;
}

const pack_tensor *pack_tensor_get(const pack_file *file, size_t index)
{
    return &file->tensors[index];
}

static int compare_name(const void *name, const void *tensor)
{
    return strcmp(name, (*(const pack_tensor *const *)tensor)->name);
}

const pack_tensor *pack_find(const pack_file *file, const char *name)
{
    const pack_tensor **found =
        bsearch(name, file->by_name, file->tensor_count, sizeof(const pack_tensor *), compare_name);
    return found == NULL ? NULL : *found;
}

size_t pack_blob_count(const pack_file *file)
{
    return file->blob_count;
}

const char *pack_blob_name(const pack_file *file, size_t index)
{
    return file->blobs[index].name;
}

const pack_frame *pack_blob_frame(const pack_file *file, size_t index)
{
    return file->blobs[index].frame;
}

/* ------------------------------------------------------------------------------------ frames */

const char *pack_describe(const pack_file *file, const pack_tensor *tensor, const pack_frame *frame,
                          char *text, size_t size)
{
    char place[64] = "";
    if (tensor == NULL) {
        snprintf(text, size, "blob %.200s at offset %" PRIu64,
                 file->blobs[frame - file->frames].name, frame->offset);
        return text;
    }
    const pack_record *record = &file->records[tensor->record];
    if (record->expert >= 0) {
        snprintf(place, sizeof(place), "layer %d, expert %d, ", record->layer, record->expert);
    } else if (record->layer >= 0) {
        snprintf(place, sizeof(place), "layer %d, ", record->layer);
    }
    snprintf(text, size, "%s%s of %.200s at offset %" PRIu64, place, pack_plane_name(frame->plane),
             tensor->name, frame->offset);
    return text;
}

static vl2_status fail_frame(const pack_file *file, const pack_tensor *tensor,
                             const pack_frame *frame, const char *found, const char *expected,
                             vl2_error *error)
{
    char text[PACK_DESCRIPTION];
    return vl2_fail(error, VL2_ERROR_MODEL, "%s: %s: found %s, expected %s", file->name,
                    pack_describe(file, tensor, frame, text, sizeof(text)), found, expected);
}

vl2_status pack_check_bytes(const pack_file *file, const pack_tensor *tensor,
                            const pack_frame *frame, const uint8_t *stored, vl2_error *error)
{
    uint64_t hash = XXH3_64bits(stored, (size_t)frame->stored);
    if (hash == frame->hash) {
        return VL2_OK;
    }
    char found[48], expected[24];
    snprintf(found, sizeof(found), "checksum %016" PRIx64, hash);
    snprintf(expected, sizeof(expected), "%016" PRIx64, frame->hash);
    return fail_frame(file, tensor, frame, found, expected, error);
}

vl2_status pack_check(const pack_file *file, const pack_tensor *tensor, const pack_frame *frame,
                      vl2_error *error)
{
    return pack_check_bytes(file, tensor, frame, file->data + frame->offset, error);
}

/* Bytes of content that a decoder has to remember (RFC 8878, section 3.1.1.1.2). */
static uint64_t zstd_window(const uint8_t *stored, uint64_t content)
{
    if (stored[4] >> 5 & 1) { /* a single segment: all of it */
        return content;
    }
    uint64_t base = (uint64_t)1 << (10 + (stored[5] >> 3));
    return base + base / 8 * (stored[5] & 7);
}

const char *pack_check_zstd(const uint8_t *stored, size_t size, uint64_t content)
{
    static const uint8_t magic[4] = {0x28, 0xb5, 0x2f, 0xfd};
    if (size < 6 || memcmp(stored, magic, sizeof(magic)) != 0) {
        return "other bytes";
    }
    unsigned long long stated = ZSTD_getFrameContentSize(stored, size);
    if (stated == ZSTD_CONTENTSIZE_UNKNOWN || stated == ZSTD_CONTENTSIZE_ERROR) {
        return "no size of the content";
    }
    if (stated != content) {
        return "another size of the content";
    }
    return zstd_window(stored, content) > PACK_MAX_WINDOW ? "a window of more than 128 MiB" : NULL;
}

static vl2_status fail_zstd(const pack_file *file, const pack_tensor *tensor,
                            const pack_frame *frame, const char *found, vl2_error *error)
{
    char expected[64];
    snprintf(expected, sizeof(expected), "one zstd frame of %" PRIu64 " bytes of content",
             frame->content);
    return fail_frame(file, tensor, frame, found, expected, error);
}

vl2_status pack_expand_bytes(const pack_file *file, const pack_tensor *tensor,
                             const pack_frame *frame, const uint8_t *stored, void *out,
                             vl2_error *error)
{
    size_t content = (size_t)frame->content;
    if (frame->codec == PACK_RAW) {
        memcpy(out, stored, content);
        return VL2_OK;
    }
    const char *wrong = pack_check_zstd(stored, (size_t)frame->stored, frame->content);
    if (wrong != NULL) {
        return fail_zstd(file, tensor, frame, wrong, error);
    }
    /* Bytes behind the frame: decompressing would take them for another one. */
    size_t length = ZSTD_findFrameCompressedSize(stored, (size_t)frame->stored);
    if (!ZSTD_isError(length) && length != frame->stored) {
        return fail_zstd(file, tensor, frame, "bytes behind the zstd frame", error);
    }
    /* Given the whole content at once, zstd needs no window of its own. */
    size_t written = ZSTD_decompress(out, content, stored, (size_t)frame->stored);
    if (ZSTD_getErrorCode(written) == ZSTD_error_memory_allocation) {
        char text[PACK_DESCRIPTION];
        return vl2_fail(error, VL2_ERROR_MEMORY, "%s: %s: not enough memory to expand it",
                        file->name, pack_describe(file, tensor, frame, text, sizeof(text)));
    }
    if (ZSTD_isError(written) || written != content) {
        return fail_zstd(file, tensor, frame,
                         ZSTD_isError(written) ? ZSTD_getErrorName(written) : "fewer bytes", error);
    }
    return VL2_OK;
}

vl2_status pack_expand(const pack_file *file, const pack_tensor *tensor, const pack_frame *frame,
                       void *out, vl2_error *error)
{
    return pack_expand_bytes(file, tensor, frame, file->data + frame->offset, out, error);
}

void pack_release(const pack_file *file, const pack_frame *frame)
{
    if (file->mapped.data != NULL) { /* borrowed bytes would be lost */
        file_release(file->data + frame->offset, (size_t)frame->stored);
    }
}

/* ------------------------------------------------------------------------------------ blobs */

const pack_frame *pack_find_blob(const pack_file *file, const char *name)
{
    for (size_t i = 0; i < file->blob_count; i++) {
        if (strcmp(file->blobs[i].name, name) == 0) {
            return file->blobs[i].frame;
        }
    }
    return NULL;
}

vl2_status pack_blob(const pack_file *file, const char *name, char **data, size_t *size,
                     vl2_error *error)
{
    const pack_frame *frame = pack_find_blob(file, name);
    if (frame == NULL) {
        return vl2_fail(error, VL2_ERROR_MODEL, "%s: found no blob %.200s, expected one",
                        file->name, name);
    }
    if (frame->content > LARGEST_BLOB) {
        return fail_frame(file, NULL, frame, "a blob of more than 1 GiB", "at most that", error);
    }
    vl2_status status = pack_check(file, NULL, frame, error);
    if (status != VL2_OK) {
        return status;
    }
    char *bytes = base_malloc((size_t)frame->content + 1, 1);
    if (bytes == NULL) {
        return vl2_fail_memory(error, name, (size_t)frame->content + 1);
    }
    status = pack_expand(file, NULL, frame, bytes, error);
    if (status != VL2_OK) {
        base_free(bytes);
        return status;
    }
    bytes[frame->content] = '\0';
    *data = bytes;
    *size = (size_t)frame->content;
    return VL2_OK;
}
