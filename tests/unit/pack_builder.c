#include "pack_builder.h"

#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#define PAGE        ((size_t)4096)
#define FRAME_STEP  ((size_t)64)
#define HASHED      ((size_t)48) /* bytes of the header */
#define TENSOR_SIZE ((size_t)64) /* bytes of an entry of TENS, and so on */
#define RECORD_SIZE ((size_t)32)
#define FRAME_SIZE  ((size_t)40)
#define BLOB_SIZE   ((size_t)8)

/* ------------------------------------------------------------------------------------ bytes */

uint64_t pack_get(const uint8_t *bytes, size_t at, size_t size)
{
    uint64_t number = 0;
    for (size_t i = size; i-- > 0;) {
        number = number << 8 | bytes[at + i];
    }
    return number;
}

void pack_put(uint8_t *bytes, size_t at, size_t size, uint64_t number)
{
    for (size_t i = 0; i < size; i++) {
        bytes[at + i] = (uint8_t)(number >> 8 * i);
    }
}

/* Appends bytes, zeros if they are NULL; returns where they begin. */
static size_t append(built_run *run, const void *bytes, size_t size)
{
    size_t at = run->size;
    run->bytes = realloc(run->bytes, at + size + 1);
    assert_non_null(run->bytes);
    if (bytes != NULL) {
        memcpy(run->bytes + at, bytes, size);
    } else {
        memset(run->bytes + at, 0, size);
    }
    run->size += size;
    return at;
}

static void append_number(built_run *run, uint64_t number, size_t size)
{
    size_t at = append(run, NULL, size);
    pack_put(run->bytes, at, size, number);
}

static void pad(built_run *run, size_t step)
{
    append(run, NULL, (step - run->size % step) % step);
}

/* ------------------------------------------------------------------------------------ parts */

static uint32_t add_text(pack_builder *builder, const char *text)
{
    if (builder->text.size == 0) {
        append(&builder->text, "", 1);
    }
    return (uint32_t)append(&builder->text, text, strlen(text) + 1);
}

/* Offsets count from data_offset until the file is finished. */
static void add_frame(pack_builder *builder, uint32_t plane, const void *content, size_t size,
                      int codec)
{
    size_t bound = ZSTD_compressBound(size), stored = size;
    uint8_t *compressed = malloc(bound);
    assert_non_null(compressed);
    if (codec == ZSTD) {
        stored = ZSTD_compress(compressed, bound, content, size, 3);
        assert_false(ZSTD_isError(stored));
        content = compressed;
    }
    pad(&builder->data, FRAME_STEP);
    size_t at = append(&builder->data, content, stored);
    append_number(&builder->frames, at, 8);
    append_number(&builder->frames, stored, 8);
    append_number(&builder->frames, size, 8);
    append_number(&builder->frames, XXH3_64bits(content, stored), 8);
    append_number(&builder->frames, plane, 4);
    append_number(&builder->frames, (uint64_t)codec, 4);
    append(&builder->frames, NULL, builder->more);
    builder->frame_count++;
    free(compressed);
}

void builder_blob(pack_builder *builder, const char *name, const void *content, size_t size,
                  int codec)
{
    append_number(&builder->blobs, add_text(builder, name), 4);
    append_number(&builder->blobs, builder->frame_count, 4);
    append(&builder->blobs, NULL, builder->more);
    builder->blob_count++;
    add_frame(builder, 32, content, size, codec);
}

void builder_record(pack_builder *builder, int layer, int expert)
{
    pad(&builder->data, PAGE);
    append_number(&builder->records, builder->data.size, 8);
    append_number(&builder->records, 0, 8);
    append_number(&builder->records, builder->tensor_count, 4);
    append_number(&builder->records, 0, 4);
    append_number(&builder->records, (uint64_t)(int64_t)layer, 4);
    append_number(&builder->records, (uint64_t)(int64_t)expert, 4);
    append(&builder->records, NULL, builder->more);
    builder->record_count++;
}

/* Adds to a number in the last entry of a run, `back` bytes before its end. */
static void count_up(const pack_builder *builder, built_run *run, size_t back)
{
    size_t at = run->size - builder->more - back;
    pack_put(run->bytes, at, 4, pack_get(run->bytes, at, 4) + 1);
}

void builder_tensor(pack_builder *builder, const char *name, uint32_t type, uint32_t layout,
                    uint32_t source, uint32_t group, int rank, const uint64_t *shape)
{
    const uint32_t fields[] = {add_text(builder, name), type,           layout,
                               source,                  group,          (uint32_t)rank,
                               builder->frame_count,    0};
    for (size_t i = 0; i < 8; i++) {
        append_number(&builder->tensors, fields[i], 4);
    }
    for (int i = 0; i < 4; i++) {
        append_number(&builder->tensors, i < rank ? shape[i] : 1, 8);
    }
    append(&builder->tensors, NULL, builder->more);
    builder->tensor_count++;
    count_up(builder, &builder->records, 12);
}

void builder_plane(pack_builder *builder, uint32_t plane, const void *content, size_t size,
                   int codec)
{
    add_frame(builder, plane, content, size, codec);
    count_up(builder, &builder->tensors, 36);
    size_t entry = builder->records.size - builder->more - RECORD_SIZE;
    uint64_t offset = pack_get(builder->records.bytes, entry, 8);
    pack_put(builder->records.bytes, entry + 8, 8, builder->data.size - offset);
}

static void add_section(built_run *index, const char *tag, uint32_t flags, const void *payload,
                        size_t size)
{
    append(index, tag, 4);
    append_number(index, flags, 4);
    append_number(index, size, 8);
    append(index, payload, size);
    pad(index, 8);
}

void builder_section(pack_builder *builder, const char *tag, uint32_t flags, const void *payload,
                     size_t size)
{
    add_section(&builder->extra, tag, flags, payload, size);
}

/* ------------------------------------------------------------------------------------ the file */

static void add_table(built_run *index, const char *tag, built_run *entries, size_t entry_size,
                      uint32_t count)
{
    built_run payload = {NULL, 0};
    append_number(&payload, entry_size, 4);
    append_number(&payload, count, 4);
    append(&payload, entries->bytes, entries->size);
    add_section(index, tag, 1, payload.bytes, payload.size);
    free(payload.bytes);
    free(entries->bytes);
}

/* Adds the start of the data to the offsets that begin each entry. */
static void move_offsets(built_run *entries, size_t entry_size, uint64_t by)
{
    for (size_t at = 0; at < entries->size; at += entry_size) {
        pack_put(entries->bytes, at, 8, pack_get(entries->bytes, at, 8) + by);
    }
}

static size_t round_to_page(size_t size)
{
    return (size + PAGE - 1) / PAGE * PAGE;
}

static size_t index_bytes(const pack_builder *builder)
{
    size_t meta = builder->meta != NULL ? 16 + (strlen(builder->meta) + 7) / 8 * 8 : 0;
    return 16 + (builder->text.size + 7) / 8 * 8 + meta + 4 * 24 + builder->blobs.size +
           builder->records.size + builder->tensors.size + builder->frames.size +
           builder->extra.size;
}

static void add_index(pack_builder *builder, built_run *file, uint64_t data_offset)
{
    size_t more = builder->more;
    move_offsets(&builder->frames, FRAME_SIZE + more, data_offset);
    move_offsets(&builder->records, RECORD_SIZE + more, data_offset);
    if (builder->meta != NULL) { /* in any order */
        add_section(file, "META", 0, builder->meta, strlen(builder->meta));
    }
    add_table(file, "FRAM", &builder->frames, FRAME_SIZE + more, builder->frame_count);
    append(file, builder->extra.bytes, builder->extra.size);
    add_section(file, "TEXT", 1, builder->text.bytes, builder->text.size);
    add_table(file, "BLOB", &builder->blobs, BLOB_SIZE + more, builder->blob_count);
    add_table(file, "RECD", &builder->records, RECORD_SIZE + more, builder->record_count);
    add_table(file, "TENS", &builder->tensors, TENSOR_SIZE + more, builder->tensor_count);
}

uint8_t *builder_finish(pack_builder *builder, size_t *size)
{
    built_run file = {NULL, 0};
    if (builder->text.size == 0) {
        append(&builder->text, "", 1);
    }
    size_t index_size = index_bytes(builder), data_offset = round_to_page(PAGE + index_size);
    append(&file, "\x89VL2\x0d\x0a\x1a\x0a", 8);
    append_number(&file, 1, 4);
    append_number(&file, 0, 4);
    append_number(&file, data_offset + builder->data.size, 8);
    append_number(&file, PAGE, 8);
    append_number(&file, index_size, 8);
    append_number(&file, data_offset, 8);
    append(&file, NULL, PAGE - file.size);
    add_index(builder, &file, data_offset);
    assert_int_equal(file.size, PAGE + index_size);
    append(&file, NULL, data_offset - file.size);
    append(&file, builder->data.bytes, builder->data.size);
    free(builder->data.bytes);
    free(builder->text.bytes);
    free(builder->extra.bytes);
    memset(builder, 0, sizeof(*builder));
    pack_seal(file.bytes, file.size);
    *size = file.size;
    return file.bytes;
}

void pack_seal(uint8_t *bytes, size_t size)
{
    uint64_t index_size = size >= PAGE ? pack_get(bytes, 32, 8) : 0;
    if (size < PAGE || index_size > size - PAGE) {
        return;
    }
    XXH3_state_t *state = XXH3_createState();
    assert_non_null(state);
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, bytes, HASHED);
    XXH3_128bits_update(state, bytes + PAGE, (size_t)index_size);
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    pack_put(bytes, 48, 8, hash.low64);
    pack_put(bytes, 56, 8, hash.high64);
}

size_t pack_section_at(const uint8_t *bytes, const char *tag)
{
    size_t at = PAGE, end = PAGE + (size_t)pack_get(bytes, 32, 8);
    while (memcmp(bytes + at, tag, 4) != 0) {
        at += 16 + ((size_t)pack_get(bytes, at + 8, 8) + 7) / 8 * 8;
        assert_true(at < end);
    }
    return at;
}

size_t pack_entry_at(const uint8_t *bytes, const char *tag, size_t index)
{
    size_t at = pack_section_at(bytes, tag) + 16;
    return at + 8 + index * (size_t)pack_get(bytes, at, 4);
}

/* ------------------------------------------------------------------------------------ samples */

/* Bytes from a fixed generator, never 0x80, which no plane of numbers may have. */
static void fill(uint8_t *bytes, size_t size, uint32_t *random)
{
    for (size_t i = 0; i < size; i++) {
        *random = *random * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(*random >> 24) == 0x80 ? 0 : (uint8_t)(*random >> 24);
    }
}

static void add_random(pack_builder *builder, uint32_t plane, size_t size, int codec,
                       uint32_t *random)
{
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    fill(bytes, size, random);
    builder_plane(builder, plane, bytes, size, codec);
    free(bytes);
}

/* A matrix [rows, columns] of one of the packed layouts, its sizes counted anew from the
 * drawings. */
static void add_matrix(pack_builder *builder, const char *name, uint32_t layout, uint32_t group,
                       uint64_t rows, uint64_t columns, int codec)
{
    static const size_t groups[] = {0, 0, 32, 64, 128, 32, 32, 32, 32};
    static const char bits[] = {0, 8, 8, 8, 8, 6, 4, 4, 4};
    uint32_t random = (uint32_t)strlen(name) + layout;
    size_t n = (size_t)(rows + 15) / 16 * 16, k = (size_t)(columns + 31) / 32 * 32;
    size_t scales = groups[layout] == 0 ? 0 : n * ((k + groups[layout] - 1) / groups[layout]);
    builder_tensor(builder, name, bits[layout] == 8 ? 4 : bits[layout] == 6 ? 5 : 6, layout, 3,
                   group, 2, (uint64_t[]){rows, columns});
    add_random(builder, 0, bits[layout] == 8 ? n * k : n * k / 2, codec, &random);
    if (bits[layout] == 6) {
        add_random(builder, 1, n * k / 4, RAW, &random);
    }
    if (scales > 0) {
        add_random(builder, 2, scales, codec, &random);
    }
    if (layout == 7) {
        add_random(builder, 3, scales / 2, RAW, &random);
    }
    float *row_scales = calloc(n, sizeof(float));
    assert_non_null(row_scales);
    for (size_t i = 0; i < rows; i++) {
        row_scales[i] = 0.001f * (float)(i + 1);
    }
    builder_plane(builder, 4, row_scales, n * sizeof(float), RAW);
    free(row_scales);
    if (layout == 8) {
        static const int8_t codebook[16] = {0,  -125, -96, -80, -64, -48, -32, -16,
                                            4,  16,   32,  48,  64,  80,  96,  127};
        builder_plane(builder, 5, codebook, sizeof(codebook), RAW);
    }
}

static void add_plain(pack_builder *builder, const char *name, uint32_t type, uint32_t group,
                      int rank, const uint64_t *shape, int codec)
{
    size_t count = 1;
    uint32_t random = (uint32_t)strlen(name);
    for (int i = 0; i < rank; i++) {
        count *= (size_t)shape[i];
    }
    builder_tensor(builder, name, type, 63 + (type == 1 ? 1 : type == 3 ? 2 : 3), type, group, rank,
                   shape);
    if (type == 1) {
        add_random(builder, 16, count * 4, codec, &random);
    } else {
        add_random(builder, 17, count, codec, &random);
        add_random(builder, 18, count, codec, &random);
    }
}

static void add_blobs(pack_builder *builder)
{
    static const char config[] = "{\"model_type\": \"deepseek_vl_v2\"}\n";
    char tokenizer[3000];
    memset(tokenizer, ' ', sizeof(tokenizer));
    memcpy(tokenizer, "{}", 2);
    builder_blob(builder, "config.json", config, strlen(config), RAW);
    builder_blob(builder, "processor_config.json", "{}", 2, ZSTD);
    builder_blob(builder, "tokenizer.json", tokenizer, sizeof(tokenizer), ZSTD);
    builder_blob(builder, "tokenizer", "unknown", 7, RAW);
}

static void add_expert(pack_builder *builder, int layer, int expert, uint32_t layout)
{
    static const char *const parts[] = {"gate_proj", "up_proj", "down_proj"};
    builder_record(builder, layer, expert);
    for (int i = 0; i < 3; i++) {
        char name[96];
        snprintf(name, sizeof(name), "language.model.layers.%d.mlp.experts.%d.%s.weight", layer,
                 expert, parts[i]);
        add_matrix(builder, name, layout, 9, i < 2 ? 22 : 40, i < 2 ? 40 : 22, i == 1);
    }
}

static void add_records(pack_builder *builder)
{
    static const char *const names[] = {"row", "group32", "group64", "group128"};
    builder_record(builder, -1, -1);
    add_plain(builder, "vision.patch_embed.proj.weight", 2, 1, 4, (uint64_t[]){3, 3, 2, 2}, ZSTD);
    add_plain(builder, "image_newline", 3, 2, 1, (uint64_t[]){9}, RAW);
    add_plain(builder, "unused.number", 1, 12, 0, NULL, RAW);
    builder_record(builder, -1, -1);
    add_plain(builder, "language.model.embed_tokens.weight", 3, 3, 2, (uint64_t[]){67, 33}, ZSTD);
    builder_record(builder, 1, -1);
    add_plain(builder, "language.model.layers.1.mlp.gate.weight", 1, 10, 2, (uint64_t[]){2, 40},
              ZSTD);
    for (uint32_t i = 0; i < 4; i++) {
        char name[96];
        snprintf(name, sizeof(name), "language.model.layers.1.self_attn.%s.weight", names[i]);
        add_matrix(builder, name, 1 + i, 5, 17, 150, (int)i % 2);
    }
    add_expert(builder, 1, 1, 8);
    add_expert(builder, 1, 2, 5);
    builder_record(builder, 2, -1);
    add_matrix(builder, "language.model.layers.2.self_attn.symmetric.weight", 6, 5, 16, 32, RAW);
    add_matrix(builder, "language.model.layers.2.self_attn.asymmetric.weight", 7, 5, 33, 65, ZSTD);
}

uint8_t *build_sample(size_t *size)
{
    pack_builder builder = {.meta = "{\"program\": \"a test\"}"};
    add_blobs(&builder);
    add_records(&builder);
    return builder_finish(&builder, size);
}

uint8_t *build_later_sample(size_t more, size_t *size)
{
    pack_builder builder = {.more = more};
    add_blobs(&builder);
    add_records(&builder);
    builder_section(&builder, "NEWS", 0, "something", 9);
    return builder_finish(&builder, size);
}

uint8_t *build_tiny(size_t *size)
{
    pack_builder builder = {.meta = NULL};
    builder_blob(&builder, "config.json", "{}", 2, ZSTD);
    builder_record(&builder, -1, -1);
    add_plain(&builder, "x", 3, 12, 1, (uint64_t[]){5}, RAW);
    return builder_finish(&builder, size);
}
