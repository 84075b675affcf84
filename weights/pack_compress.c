#include "weights/pack_encode.h"

#include "base/alloc.h"

#include <string.h>
#include <xxhash.h>
#include <zstd.h>
#include <zstd_errors.h>

/* Level 0. Weights hardly ever repeat, so that looking for matches costs time and gains nothing:
 * with the shortest hash table and matches of seven bytes zstd does little but Huffman coding. On
 * the high bytes of normal weights in bf16 (4 MiB, zstd 1.5.4, one Zen 3 core) this leaves 34.0 %
 * at 690 MB/s and expands at 1600 MB/s; level 1 leaves 36.9 % at 136 and 311 MB/s, level 9 39.9 %
 * at 13 and 215 MB/s. The low bytes do not get smaller by anything. */
#define PLAIN_MATCH 7
#define PLAIN_HASH  6

/* What is tried before a long plane: if it gains less than this share of the threshold the plane is
 * raw. Normal weights in int8 gain 5.6 %, which is not to be found out at length. */
#define SAMPLE_SHARE  0.8
#define SAMPLE_BYTES  ((uint64_t)64 << 10)
#define SAMPLES       3
#define SAMPLED_BYTES (4 * SAMPLES * SAMPLE_BYTES) /* planes from this size on */

#define LEAST_SAVED 0.01 /* of the whole tensor */

static ZSTD_CCtx *open_context(int level)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    if (context == NULL) {
        return NULL;
    }
    if (level != 0) {
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
    } else {
        ZSTD_CCtx_setParameter(context, ZSTD_c_strategy, ZSTD_fast);
        ZSTD_CCtx_setParameter(context, ZSTD_c_minMatch, PLAIN_MATCH);
        ZSTD_CCtx_setParameter(context, ZSTD_c_hashLog, PLAIN_HASH);
    }
    return context;
}

/* Compresses into `capacity` bytes: the size, 0 if it does not fit, SIZE_MAX without memory. A
 * context serves once, so that nothing of an earlier plane can change the bytes. */
static size_t compress(const uint8_t *bytes, size_t size, int level, uint8_t *out, size_t capacity)
{
    ZSTD_CCtx *context = open_context(level);
    size_t made = SIZE_MAX;
    if (context != NULL) {
        made = ZSTD_compress2(context, out, capacity, bytes, size);
        if (ZSTD_isError(made)) {
            made = ZSTD_getErrorCode(made) == ZSTD_error_dstSize_tooSmall ? 0 : SIZE_MAX;
        }
    }
    ZSTD_freeCCtx(context);
    return made;
}

double pack_compressed_share(const uint8_t *plane, uint64_t size,
                             const pack_compression *compression)
{
    uint64_t left = 0, tried = 0;
    size_t capacity = ZSTD_compressBound((size_t)SAMPLE_BYTES);
    uint8_t *out = base_malloc(capacity, 1);
    for (uint64_t i = 0; out != NULL && i < SAMPLES; i++) {
        uint64_t count = size < SAMPLE_BYTES ? size : SAMPLE_BYTES;
        uint64_t from = (size - count) / (SAMPLES - 1) * i;
        size_t made = compress(plane + from, (size_t)count, compression->level, out, capacity);
        tried += count;
        left += made == 0 || made > count ? count : made;
    }
    base_free(out);
    double share = tried > 0 ? (double)left / (double)tried : 1;
    return 1 - share >= compression->threshold ? share : 1;
}

/* The most bytes that are worth storing compressed; 0 if none are. */
static uint64_t most_bytes(uint64_t size, uint64_t whole, double threshold)
{
    double most = (double)size * (1 - threshold);
    double least_saved = (double)whole * LEAST_SAVED;
    if ((double)size - most < least_saved) {
        most = (double)size - least_saved;
    }
    return most >= 1 && most < (double)size ? (uint64_t)most : most >= (double)size ? size - 1 : 0;
}

static bool worth_trying(const uint8_t *plane, uint64_t size, const pack_compression *compression)
{
    pack_compression lower = {compression->threshold * SAMPLE_SHARE, compression->level};
    return size < SAMPLED_BYTES || pack_compressed_share(plane, size, &lower) < 1;
}

vl2_status pack_compress(const uint8_t *plane, uint64_t size, uint64_t whole,
                         const pack_compression *compression, pack_stored *stored,
                         vl2_error *error)
{
    *stored = (pack_stored){.bytes = plane, .size = size, .codec = PACK_RAW};
    uint64_t most = most_bytes(size, whole, compression->threshold);
    if (most > 0 && worth_trying(plane, size, compression)) {
        stored->own = base_malloc((size_t)most, 1);
        size_t made = SIZE_MAX;
        if (stored->own != NULL) {
            made = compress(plane, (size_t)size, compression->level, stored->own, (size_t)most);
        }
        if (made == SIZE_MAX) {
            base_free(stored->own);
            *stored = (pack_stored){0};
            return vl2_fail_memory(error, "compressing a plane", (size_t)most);
        }
        if (made > 0) {
            stored->bytes = stored->own;
            stored->size = made;
            stored->codec = PACK_ZSTD;
        } else {
            base_free(stored->own);
            stored->own = NULL;
        }
    }
    stored->hash = XXH3_64bits(stored->bytes, (size_t)stored->size);
    return VL2_OK;
}
