/* Any bytes as a packed file: refused with a message, or every frame lies within them, can be
 * expanded or is refused, and verifying finds what reading finds.
 *
 * An input is a packed file without the padding of its head: 48 bytes of header, the index, and
 * what follows from data_offset on (tests/cli/make_pack writes such files: make_pack KIND FILE
 * folded). The places and the hash in the header are computed here, so that a changed index gets
 * beyond them. The bytes are tried as a whole file as well.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I. -Isrc -fopenmp \
 *         tests/fuzz/fuzz_pack.c weights/pack_{file,format,head,index,verify}.c weights/place.c \
 *         simd/layout.c src/base/{alloc,crew,error,file,processors,team,tensor}.c \
 *         -lzstd -lxxhash -ljansson -lm -o fuzz_pack
 *     ./fuzz_pack CORPUS tests/data/weights/pack */
#include "fuzz_pack.h"

#include "base/alloc.h"
#include "weights/pack_verify.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define LARGEST_EXPANDED ((uint64_t)1 << 20) /* bytes of a frame that is expanded */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

static void put(uint8_t *at, uint64_t number)
{
    memcpy(at, &number, sizeof(number));
}

uint8_t *fuzz_pack_unfold(const uint8_t *data, size_t size, size_t *unfolded)
{
    uint64_t index_size;
    if (size < PACK_HASHED_HEADER) {
        return NULL;
    }
    memcpy(&index_size, data + offsetof(pack_header, index_size), sizeof(index_size));
    if (index_size > size - PACK_HASHED_HEADER) {
        return NULL;
    }
    size_t index = (size_t)index_size, rest = size - PACK_HASHED_HEADER - index;
    size_t page = (size_t)PACK_PAGE, offset = (2 * page + index - 1) / page * page;
    uint8_t *file = calloc(1, offset + rest);
    uint8_t *hashed = malloc(PACK_HASHED_HEADER + index);
    if (file == NULL || hashed == NULL) {
        abort();
    }
    memcpy(hashed, data, PACK_HASHED_HEADER + index);
    put(hashed + offsetof(pack_header, file_size), offset + rest);
    put(hashed + offsetof(pack_header, data_offset), offset);
    XXH128_hash_t hash = XXH3_128bits(hashed, PACK_HASHED_HEADER + index);
    memcpy(file, hashed, PACK_HASHED_HEADER);
    put(file + offsetof(pack_header, file_hash), hash.low64);
    put(file + offsetof(pack_header, file_hash) + 8, hash.high64);
    memcpy(file + page, hashed + PACK_HASHED_HEADER, index);
    memcpy(file + offset, data + PACK_HASHED_HEADER + index, rest);
    free(hashed);
    *unfolded = offset + rest;
    return file;
}

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* True if the frame is as it should be. */
static bool try_frame(const pack_file *file, const pack_tensor *tensor, const pack_frame *frame)
{
    char text[PACK_DESCRIPTION];
    require(frame->stored > 0 && frame->stored <= pack_size(file) &&
            frame->offset <= pack_size(file) - frame->stored);
    require(pack_describe(file, tensor, frame, text, sizeof(text))[0] != '\0');
    bool same = pack_check(file, tensor, frame, NULL) == VL2_OK; /* reads all of it */
    if (frame->content > LARGEST_EXPANDED) {
        return same;
    }
    uint8_t *out = malloc((size_t)frame->content + (frame->content == 0));
    vl2_error error = {VL2_OK, ""};
    require(out != NULL);
    vl2_status status = pack_expand(file, tensor, frame, out, &error);
    require(status == VL2_OK || (status == VL2_ERROR_MODEL && error.message[0] != '\0'));
    if (status == VL2_OK && frame->content > 0) {
        sink = out[frame->content - 1];
    }
    free(out);
    return same && status == VL2_OK;
}

static void try_tensor(const pack_file *file, const pack_tensor *tensor, bool *whole)
{
    uint32_t planes[PACK_MAX_PLANES];
    uint64_t bytes[PACK_MAX_PLANES];
    int count = pack_planes(tensor->layout, tensor->rank, tensor->shape, planes, bytes);
    require(count == tensor->frame_count && pack_find(file, tensor->name) == tensor);
    require(tensor->record < pack_record_count(file));
    for (int i = 0; i < count; i++) {
        require(tensor->frames[i].plane == planes[i] && tensor->frames[i].content == bytes[i]);
        *whole &= try_frame(file, tensor, &tensor->frames[i]);
    }
}

static bool try_contents(const pack_file *file)
{
    bool whole = true;
    size_t tensors = 0;
    for (size_t i = 0; i < pack_blob_count(file); i++) {
        char *data = NULL;
        size_t size;
        bool good = try_frame(file, NULL, pack_blob_frame(file, i));
        whole &= good;
        if (pack_blob_frame(file, i)->content <= LARGEST_EXPANDED) {
            vl2_status status = pack_blob(file, pack_blob_name(file, i), &data, &size, NULL);
            require((status == VL2_OK) == good);
            base_free(data);
        }
    }
    for (size_t i = 0; i < pack_record_count(file); i++) {
        const pack_record *record = pack_record_get(file, i);
        require(record->tensors == pack_tensor_get(file, tensors) && record->tensor_count > 0);
        tensors += record->tensor_count;
        for (uint32_t j = 0; j < record->tensor_count; j++) {
            require(record->tensors[j].record == i);
            try_tensor(file, &record->tensors[j], &whole);
        }
    }
    require(tensors == pack_tensor_count(file));
    return whole;
}

static void try_file(const uint8_t *data, size_t size)
{
    pack_file *file = NULL;
    vl2_error error = {VL2_OK, ""};
    if (pack_parse(data, size, "fuzz", &file, &error) != VL2_OK) {
        require(file == NULL && error.status == VL2_ERROR_MODEL && error.message[0] != '\0');
        return;
    }
    bool whole = try_contents(file);
    pack_verification found;
    pack_verify_options options = {.team = &(team){.threads = 1}, .most = 3};
    vl2_status status = pack_verify(file, &options, &found, &error);
    require(status == VL2_OK || status == VL2_ERROR_MEMORY);
    if (status == VL2_OK) {
        require(whole || found.damaged > 0);
        require(found.listed == (found.damaged < 3 ? found.damaged : 3));
        base_free(found.list);
    }
    pack_close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t unfolded;
    uint8_t *file = fuzz_pack_unfold(data, size, &unfolded);
    if (file != NULL) {
        try_file(file, unfolded);
        free(file);
    }
    try_file(data, size);
    return 0;
}
