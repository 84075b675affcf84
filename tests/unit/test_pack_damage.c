/* weights/pack_file and pack_verify: whatever is wrong with a packed file is found, when it is
 * opened or when it is verified, and said. */
#include "pack_builder.h"
#include "test_folder.h"

#include "base/alloc.h"
#include "base/file.h"
#include "weights/pack_verify.h"

#include <string.h>
#include <unistd.h>
#include <zstd.h>

/* ------------------------------------------------------------------------------------ opening */

static void expect_refused(const uint8_t *bytes, size_t size, const char *message)
{
    pack_file *file = NULL;
    vl2_error error = {VL2_OK, ""};
    vl2_status status = pack_parse(bytes, size, "bad", &file, &error);
    if (status != VL2_ERROR_MODEL || file != NULL || strncmp(error.message, "bad: ", 5) != 0 ||
        strstr(error.message, message) == NULL) {
        fail_msg("status %d, message \"%s\", expected \"%s\"", status, error.message, message);
    }
}

/* A number of a finished sample that is changed before it is sealed again. */
typedef struct change {
    const char *tag; /* NULL: the header; with index -1: the section's own bytes; else its table */
    int index;       /* of the entry */
    size_t at, size; /* byte there, and bytes */
    uint64_t number;
    const char *message;
} change;

static void expect_changes_refused(const change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const change *change = &changes[i];
        size_t size, at = change->at;
        uint8_t *bytes = build_sample(&size);
        if (change->tag != NULL) {
            at += change->index < 0 ? pack_section_at(bytes, change->tag)
                                    : pack_entry_at(bytes, change->tag, (size_t)change->index);
        }
        if (pack_get(bytes, at, change->size) == change->number) {
            fail_msg("change %zu (%s) changes nothing", i, change->message);
        }
        pack_put(bytes, at, change->size, change->number);
        pack_seal(bytes, size);
        expect_refused(bytes, size, change->message);
        free(bytes);
    }
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_headers(void **state)
{
    (void)state;
    static const change changes[] = {
        {NULL, 0, 0, 1, 'x', "header.magic: found other bytes"},
        {NULL, 0, 4, 1, '\n', "header.magic: found changed line ends"},
        {NULL, 0, 7, 1, '\r', "was it copied as text?"},
        {NULL, 0, 8, 4, 2, "header.version: found 2, expected 1"},
        {NULL, 0, 8, 4, 0, "header.version: found 0, expected 1"},
        {NULL, 0, 12, 4, 1, "header.flags: found 1, expected 0"},
        {NULL, 0, 16, 8, 1 << 30, "expected 1073741824 (is the file cut off?)"},
        {NULL, 0, 16, 8, 4096, "header.file_size: found a file of "},
        {NULL, 0, 24, 8, 8192, "header.index_offset: found 8192, expected 4096"},
        {NULL, 0, 32, 8, 1 << 28 | 8, "header.index_size: found 268435464, expected a multiple"},
        {NULL, 0, 32, 8, UINT64_MAX - 7, "header.index_size: found 18446744073709551608"},
        {NULL, 0, 32, 8, 100, "header.index_size: found 100, expected a multiple of 8"},
        {NULL, 0, 32, 8, 0, "header.data_offset: found 12288, expected the page behind"},
        {NULL, 0, 40, 8, 4096, "header.data_offset: found 4096, expected the page behind"},
        {NULL, 0, 40, 8, 1 << 20, "header.data_offset: found 1048576"},
    };
    expect_changes_refused(changes, COUNT(changes));

    size_t size;
    uint8_t *bytes = build_sample(&size);
    bytes[48] ^= 1; /* not sealed */
    expect_refused(bytes, size, "header.file_hash: found ");
    bytes[48] ^= 1;
    bytes[63] ^= 0x80;
    expect_refused(bytes, size, "(the head is damaged)");
    free(bytes);
}

static void test_sections(void **state)
{
    (void)state;
    static const change changes[] = {
        {"TENS", -1, 0, 4, 0x58585858, "section XXXX.flags: found 1, expected a section that"},
        {"META", -1, 4, 4, 2, "section META.flags: found 2, expected 0 or 1"},
        {"FRAM", -1, 4, 4, 0x80000001, "section FRAM.flags: found 2147483649"},
        {"TEXT", -1, 0, 4, 0x0154584e, "a section's tag: found 1, expected printable"},
        {"TEXT", -1, 0, 4, 0x4d415246, "index: found section FRAM twice"},
        {"META", -1, 0, 4, 0x54584554, "index: found section TEXT twice, expected it once"},
        {"META", -1, 8, 8, UINT64_MAX, "section META.size: found 18446744073709551615"},
        {"TENS", -1, 8, 8, 1 << 20, "section TENS.size: found 1048576, expected a size in the"},
        {"TENS", -1, 8, 8, 1089, "section TENS.count: found 17, expected 1081 bytes"},
        {"TENS", -1, 16, 4, 60, "section TENS.entry_size: found 60, expected a multiple of 8"},
        {"TENS", -1, 16, 4, 56, "section TENS.entry_size: found 56"},
        {"RECD", -1, 16, 4, 0, "section RECD.entry_size: found 0, expected a multiple of 8, at l"},
        {"FRAM", -1, 16, 4, 48, "section FRAM.count: found"},
        {"RECD", -1, 20, 4, 5, "section RECD.count: found 5, expected 192 bytes of entries"},
        {"RECD", -1, 20, 4, UINT32_MAX, "section RECD.count: found 4294967295"},
        {"TEXT", -1, 16, 1, 'x', "section TEXT: found no NUL at its beginning"},
        {"TEXT", -1, 20, 1, 0xff, "section TEXT: found bytes that are not UTF-8"},
        {"TEXT", -1, 18, 1, '\n', "blob 0.name: found 1, expected a string of 1 to 1024 bytes"},
        {"TEXT", -1, 17, 1, 0, "blob 0.name: found 1, expected a string of 1 to 1024"},
        {"TEXT", -1, 18, 2, 0x9bc2, "blob 0.name: found 1, expected a string of 1 to 1024"},
    };
    expect_changes_refused(changes, COUNT(changes));

    static const char *const tags[] = {"TEXT", "BLOB", "RECD", "TENS", "FRAM"};
    for (size_t i = 0; i < COUNT(tags); i++) {
        size_t size;
        char message[64];
        uint8_t *bytes = build_sample(&size);
        size_t at = pack_section_at(bytes, tags[i]);
        memcpy(bytes + at, "skip\0\0\0\0", 8);
        pack_seal(bytes, size);
        snprintf(message, sizeof(message), "index: found no section %s", tags[i]);
        expect_refused(bytes, size, message);
        free(bytes);
    }
}

static void test_text_end(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = build_sample(&size);
    size_t at = pack_section_at(bytes, "TEXT");
    bytes[at + 15 + (size_t)pack_get(bytes, at + 8, 8)] = 'x';
    pack_seal(bytes, size);
    expect_refused(bytes, size, "section TEXT: found no NUL at its end");
    pack_put(bytes, at + 8, 8, 0);
    pack_seal(bytes, size);
    expect_refused(bytes, size, "bad: ");
    free(bytes);
}

static void test_frames(void **state)
{
    (void)state;
    static const change changes[] = {
        {"FRAM", 0, 0, 8, 12289, "frame 0.offset: found 12289, expected a multiple of 64"},
        {"FRAM", 0, 0, 8, 4096, "frame 0.offset: found 4096, expected at least 12288"},
        {"FRAM", 1, 0, 8, 12288, "frame 1.offset: found 12288, expected at least 12321"},
        {"FRAM", 0, 0, 8, UINT64_MAX - 63, "frame 0.stored: found 33, expected at least 1 byte"},
        {"FRAM", 0, 8, 8, 0, "frame 0.stored: found 0, expected at least 1 byte, within the file"},
        {"FRAM", 0, 8, 8, UINT64_MAX, "frame 0.stored: found 18446744073709551615"},
        {"FRAM", 0, 8, 8, 1 << 20, "frame 0.stored: found 1048576"},
        {"FRAM", 0, 16, 8, 34, "frame 0.content: found 34, expected 33"},
        {"FRAM", 1, 16, 8, 32768 * 11 + 1, "frame 1.content: found 360449, expected what the sto"},
        {"FRAM", 1, 16, 8, UINT64_MAX, "frame 1.content: found 18446744073709551615"},
        {"FRAM", 0, 36, 4, 2, "frame 0.codec: found 2, expected 0 (raw) or 1 (zstd)"},
        {"FRAM", 0, 36, 4, UINT32_MAX, "frame 0.codec: found 4294967295"},
        {"FRAM", 0, 32, 4, 0, "frame 0.plane: found 0, expected 32"},
        {"FRAM", 4, 32, 4, 16, "(vision.patch_embed.proj.weight).plane: found 16, expected 17"},
        {"FRAM", 3, 0, 8, 12544, "frame 3.offset: found 12544, expected 12480"},
        {"FRAM", 6, 16, 8, 36, "frame 6.content: found 36, expected 9"},
        {"FRAM", 4, 16, 8, 35, "(vision.patch_embed.proj.weight).content: found 35, expected 36 b"},
    };
    expect_changes_refused(changes, COUNT(changes));
}

static void test_blob_entries(void **state)
{
    (void)state;
    static const change changes[] = {
        {"BLOB", 0, 0, 4, 0, "blob 0.name: found 0, expected the place of a string"},
        {"BLOB", 0, 0, 4, 2, "blob 0.name: found 2, expected the place of a string"},
        {"BLOB", 0, 0, 4, UINT32_MAX, "blob 0.name: found 4294967295"},
        {"BLOB", 1, 0, 4, 1, "blobs: found config.json twice"},
        {"BLOB", 0, 4, 4, 1, "blob 0.frame: found 1, expected 0"},
        {"BLOB", 3, 4, 4, 99, "blob 3.frame: found 99, expected 3"},
    };
    expect_changes_refused(changes, COUNT(changes));
}

static void test_tensors(void **state)
{
    (void)state;
    static const change changes[] = {
        {"TENS", 0, 0, 4, 1 << 20, "tensor 0.name: found 1048576"},
        {"TENS", 0, 4, 4, 0, "patch_embed.proj.weight).type: found 0, expected a type that"},
        {"TENS", 0, 4, 4, 7, "patch_embed.proj.weight).type: found 7, expected a type that"},
        {"TENS", 0, 4, 4, 3, "type: found 3, expected 2 (f16), the type of layout split-f16"},
        {"TENS", 0, 8, 4, 0, "layout: found 0, expected a layout that this program knows"},
        {"TENS", 0, 8, 4, 9, "layout: found 9, expected a layout"},
        {"TENS", 0, 8, 4, 63, "layout: found 63, expected a layout"},
        {"TENS", 0, 8, 4, 67, "layout: found 67, expected a layout"},
        {"TENS", 0, 12, 4, 4, "source: found 4, expected 1, 2 or 3"},
        {"TENS", 0, 12, 4, 0, "source: found 0, expected 1, 2 or 3"},
        {"TENS", 0, 20, 4, 5, "rank: found 5, expected at most 4"},
        {"TENS", 0, 20, 4, UINT32_MAX, "rank: found 4294967295, expected at most 4"},
        {"TENS", 0, 20, 4, 2, "shape: found 2, expected 1 beyond the rank"},
        {"TENS", 0, 32, 8, 0, "shape: found 0, expected at least 1"},
        {"TENS", 1, 40, 8, 0, "shape: found 0, expected 1 beyond the rank"},
        {"TENS", 0, 32, 8, UINT64_MAX, "rank: found 4, expected a shape that the layout takes"},
        {"TENS", 0, 32, 8, (uint64_t)1 << 62,
         "expected a shape that the layout takes and that fit"},
        {"TENS", 0, 32, 8, 4, "content: found 36, expected 48 bytes of low for layout split-f16"},
        {"TENS", 5, 32, 8, 1, "content: found 5120, expected 2560 bytes of codes"},
        {"TENS", 0, 24, 4, 3, "first_frame: found 3, expected 4"},
        {"TENS", 0, 28, 4, 1, "frame_count: found 1, expected 2 within FRAM"},
        {"TENS", 16, 28, 4, 9, "frame_count: found 9, expected 4 within FRAM"},
    };
    expect_changes_refused(changes, COUNT(changes));
    size_t size;
    uint8_t *bytes = build_sample(&size);
    uint64_t name = pack_get(bytes, pack_entry_at(bytes, "TENS", 12), 4);
    pack_put(bytes, pack_entry_at(bytes, "TENS", 2), 4, name); /* unused.number */
    pack_seal(bytes, size);
    expect_refused(bytes, size, "tensors: found language.model.layers.1.mlp.experts.2.gate_proj");
    free(bytes);
}

static void test_records(void **state)
{
    (void)state;
    static const change changes[] = {
        {"RECD", 0, 0, 8, 12352, "record 0.offset: found 12352, expected a multiple of 4096"},
        {"RECD", 0, 0, 8, 0, "expected 0"},
        {"RECD", 0, 8, 8, 0, "record 0.size: found 0, expected"},
        {"RECD", 5, 8, 8, UINT64_MAX, "record 5.size: found 18446744073709551615"},
        {"RECD", 0, 16, 4, 1, "record 0.first_tensor: found 1, expected 0"},
        {"RECD", 0, 20, 4, 0, "record 0.tensor_count: found 0, expected at least 1"},
        {"RECD", 0, 20, 4, 18, "record 0.tensor_count: found 18, expected at least 1, within TENS"},
        {"RECD", 5, 20, 4, 1, "record 5.size"},
        {"RECD", 0, 24, 4, UINT32_MAX - 1, "record 0: found layer -2 and expert -1"},
        {"RECD", 0, 28, 4, UINT32_MAX - 1, "record 0: found layer -1 and expert -2"},
        {"RECD", 0, 28, 4, 0, "record 0: found layer -1 and expert 0, expected"},
        {"RECD", 3, 24, 4, 2, "as number 1, expected gate of layer 2, expert 1"},
        {"RECD", 3, 28, 4, 2, "as number 1, expected gate of layer 1, expert 2"},
        {"RECD", 2, 28, 4, 0, "record 2.tensor_count: found 5, expected 3"},
    };
    expect_changes_refused(changes, COUNT(changes));
}

/* Gate, up and down of an expert change places: names only, as two of them have one shape. */
static void test_expert_order(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = build_sample(&size);
    size_t gate = pack_entry_at(bytes, "TENS", 9), up = pack_entry_at(bytes, "TENS", 10);
    uint64_t first = pack_get(bytes, gate, 4), second = pack_get(bytes, up, 4);
    pack_put(bytes, gate, 4, second);
    pack_put(bytes, up, 4, first);
    pack_seal(bytes, size);
    expect_refused(bytes, size, "record 3: found language.model.layers.1.mlp.experts.1.up_proj."
                                "weight as number 1, expected gate of layer 1, expert 1");
    free(bytes);
}

/* An entry too many, or a record too few, leaves something over. */
static void test_leftovers(void **state)
{
    (void)state;
    size_t size;
    pack_builder builder = {.meta = NULL};
    builder_blob(&builder, "config.json", "{}", 2, RAW);
    builder_record(&builder, -1, -1);
    builder_tensor(&builder, "x", 1, 64, 1, 12, 0, NULL);
    builder_plane(&builder, 16, "1234", 4, RAW);
    builder.tensor_count--;
    builder.tensors.size -= 64;
    uint8_t *bytes = builder_finish(&builder, &size);
    expect_refused(bytes, size, "section FRAM.count: found 2, expected 1");
    free(bytes);

    builder_blob(&builder, "config.json", "{}", 2, RAW);
    builder_record(&builder, -1, -1);
    builder_tensor(&builder, "x", 1, 64, 1, 12, 0, NULL);
    builder_plane(&builder, 16, "1234", 4, RAW);
    builder.record_count--;
    builder.records.size -= 32;
    bytes = builder_finish(&builder, &size);
    expect_refused(bytes, size, "section TENS.count: found 1, expected 0");
    free(bytes);
}

/* ------------------------------------------------------------------------------------ later */

/* What later additions may bring is skipped. */
static void test_additions(void **state)
{
    (void)state;
    for (size_t more = 0; more <= 24; more += 8) {
        size_t size;
        pack_file *file;
        vl2_error error;
        uint8_t *bytes = build_later_sample(more, &size);
        if (pack_parse(bytes, size, "later", &file, &error) != VL2_OK) {
            fail_msg("%zu: %s", more, error.message);
        }
        assert_int_equal(pack_record_count(file), 6);
        assert_int_equal(pack_tensor_count(file), 17);
        assert_non_null(pack_find(file, "image_newline"));
        size_t meta = 1;
        assert_null(pack_meta(file, &meta));
        assert_int_equal(meta, 0);
        pack_close(file);
        pack_put(bytes, pack_section_at(bytes, "NEWS") + 4, 4, 1);
        pack_seal(bytes, size);
        expect_refused(bytes, size, "section NEWS.flags: found 1, expected a section that this");
        free(bytes);
    }
    /* A file without anything is one. */
    size_t size;
    pack_file *file;
    pack_builder builder = {.meta = NULL};
    uint8_t *bytes = builder_finish(&builder, &size);
    assert_int_equal(pack_parse(bytes, size, "empty", &file, NULL), VL2_OK);
    assert_int_equal(pack_record_count(file), 0);
    assert_null(pack_find(file, "x"));
    pack_close(file);
    free(bytes);
}

/* ------------------------------------------------------------------------------------ verifying */

static vl2_status verify(const pack_file *file, pack_verification *result)
{
    pack_verify_options options = {.team = &(team){.threads = 1}, .most = 10};
    return pack_verify(file, &options, result, NULL);
}

/* The damage of a file that opens. */
static pack_damage expect_damage(const pack_file *file, const char *message)
{
    pack_verification result;
    assert_int_equal(verify(file, &result), VL2_OK);
    assert_int_equal(result.damaged, 1);
    assert_int_equal(result.listed, 1);
    pack_damage damage = result.list[0];
    if (strstr(damage.problem, message) == NULL) {
        fail_msg("problem \"%s\", expected \"%s\"", damage.problem, message);
    }
    base_free(result.list);
    return damage;
}

static void test_whole_files(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        size_t size;
        uint8_t *bytes = i == 0   ? build_sample(&size)
                         : i == 1 ? build_tiny(&size)
                                  : build_later_sample((size_t)i * 8, &size);
        pack_file *file;
        pack_verification result;
        assert_int_equal(pack_parse(bytes, size, "whole", &file, NULL), VL2_OK);
        assert_int_equal(verify(file, &result), VL2_OK);
        if (result.damaged > 0) {
            fail_msg("%s", result.list[0].problem);
        }
        base_free(result.list);
        pack_close(file);
        free(bytes);
    }
}

/* Wherever a file is cut off, it is refused, also if the header says the shorter size. */
static void test_truncation(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = build_sample(&size);
    for (size_t cut = 0; cut < size; cut += cut % 4096 < 70 || cut > size - 70 ? 1 : 41) {
        uint8_t *part = malloc(cut > 0 ? cut : 1); /* so that a sanitizer sees its end */
        assert_non_null(part);
        memcpy(part, bytes, cut);
        expect_refused(part, cut, cut < 64 ? "header: found a file of" : "(is the file cut off?)");
        if (cut >= 64) {
            pack_put(part, 16, 8, cut);
            pack_seal(part, cut);
            expect_refused(part, cut, "bad: ");
        }
        free(part);
    }
    free(bytes);
}

/* A bit that changes is found, and named where it lies. */
static void expect_flip_found(const uint8_t *bytes, size_t size, size_t at)
{
    pack_file *file = NULL;
    vl2_error error;
    if (pack_parse(bytes, size, "flip", &file, &error) != VL2_OK) {
        assert_true(at < 64 || (at >= 4096 && at < 4096 + pack_get(bytes, 32, 8)));
        return;
    }
    pack_damage damage = expect_damage(file, "found ");
    if (at < damage.offset || at - damage.offset >= damage.size) {
        fail_msg("byte %zu: damage of %zu bytes at %zu", at, (size_t)damage.size,
                 (size_t)damage.offset);
    }
    pack_close(file);
}

static void test_flipped_bits(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = build_sample(&size);
    size_t index_end = 4096 + (size_t)pack_get(bytes, 32, 8);
    for (size_t at = 0; at < size; at++) {
        bool head = at < 64 || (at >= 4096 && at < index_end);
        if (head || at % 13 == 0) {
            bytes[at] ^= (uint8_t)(1u << at % 8);
            expect_flip_found(bytes, size, at);
            bytes[at] ^= (uint8_t)(1u << at % 8);
        }
    }
    uint64_t frames = pack_get(bytes, pack_section_at(bytes, "FRAM") + 20, 4);
    for (size_t i = 0; i < frames; i++) { /* both ends of each, and the bytes around it */
        size_t entry = pack_entry_at(bytes, "FRAM", i);
        size_t offset = (size_t)pack_get(bytes, entry, 8);
        size_t end = offset + (size_t)pack_get(bytes, entry + 8, 8);
        size_t places[] = {offset - 1, offset, end - 1, end};
        for (size_t j = 0; j < 4; j++) {
            if (places[j] < size) {
                bytes[places[j]] ^= (uint8_t)(1u << places[j] % 8);
                expect_flip_found(bytes, size, places[j]);
                bytes[places[j]] ^= (uint8_t)(1u << places[j] % 8);
            }
        }
    }
    free(bytes);
}

/* All damage is counted, the first parts are listed in the order of the file, and threads do not
 * change what is found. */
static void test_many_damaged(void **state)
{
    (void)state;
    size_t size;
    pack_file *file;
    uint8_t *bytes = build_sample(&size);
    assert_int_equal(pack_parse(bytes, size, "many", &file, NULL), VL2_OK);
    uint64_t frames = pack_get(bytes, pack_section_at(bytes, "FRAM") + 20, 4);
    for (size_t i = 0; i < frames; i++) {
        bytes[pack_get(bytes, pack_entry_at(bytes, "FRAM", i), 8)] ^= 1;
    }
    bytes[100] = 1;
    for (int threads = 1; threads <= 4; threads += 3) {
        pack_verification result;
        pack_verify_options options = {.team = &(team){.threads = threads}, .most = 7};
        assert_int_equal(pack_verify(file, &options, &result, NULL), VL2_OK);
        assert_int_equal(result.damaged, frames + 1);
        assert_int_equal(result.listed, 7);
        assert_int_equal(result.list[0].offset, 64);
        for (size_t i = 1; i < 7; i++) {
            assert_true(result.list[i].offset > result.list[i - 1].offset);
            assert_non_null(result.list[i].frame);
        }
        assert_null(result.list[4].tensor); /* a blob */
        assert_string_equal(result.list[5].tensor->name, "vision.patch_embed.proj.weight");
        base_free(result.list);
    }
    pack_close(file);
    free(bytes);
}

static bool cancel_at_third(void *user)
{
    return ++*(int *)user == 3;
}

static void test_cancelled(void **state)
{
    (void)state;
    size_t size;
    int asked = 0;
    pack_file *file;
    vl2_error error;
    uint8_t *bytes = build_sample(&size);
    assert_int_equal(pack_parse(bytes, size, "cancel", &file, NULL), VL2_OK);
    pack_verification result = {1, 2, NULL};
    pack_verify_options options = {
        .team = &(team){.threads = 1}, .most = 1, .cancelled = cancel_at_third, .user = &asked};
    assert_int_equal(pack_verify(file, &options, &result, &error), VL2_ERROR_CANCELLED);
    assert_int_equal(asked, 3);
    assert_int_equal(result.damaged, 1); /* left alone */
    pack_close(file);
    free(bytes);
}

typedef struct progress_seen {
    uint64_t last, total;
    size_t calls;
} progress_seen;

static void see_progress(void *user, uint64_t done, uint64_t total)
{
    progress_seen *seen = user;
    assert_true(done >= seen->last && done <= total);
    *seen = (progress_seen){done, total, seen->calls + 1};
}

/* A file is read anew, so that what happens to it after it was opened is seen. */
static void test_files(void **state)
{
    size_t size;
    pack_file *file;
    vl2_error error;
    pack_verification result;
    progress_seen seen = {0, 0, 0};
    uint8_t *bytes = build_sample(&size);
    char *path = path_join(*state, "x.vl2");
    assert_int_equal(file_write(path, bytes, size, NULL), VL2_OK);
    assert_int_equal(pack_open(path, &file, NULL), VL2_OK);
    pack_verify_options options = {
        .team = &(team){.threads = 1}, .most = 1, .progress = see_progress, .user = &seen};
    assert_int_equal(pack_verify(file, &options, &result, &error), VL2_OK);
    assert_int_equal(result.damaged, 0);
    base_free(result.list);
    assert_int_equal(seen.last, size);
    assert_int_equal(seen.total, size);
    assert_true(seen.calls > 10);

    const pack_frame *frame = pack_tensor_get(file, 0)->frames;
    FILE *stream = fopen(path, "r+b");
    assert_non_null(stream);
    assert_int_equal(fseek(stream, (long)frame->offset, SEEK_SET), 0);
    assert_int_equal(fputc(bytes[frame->offset] ^ 1, stream), bytes[frame->offset] ^ 1);
    fclose(stream);
    assert_ptr_equal(expect_damage(file, "found checksum").frame, frame);

    assert_int_equal(truncate(path, (off_t)size - 1), 0);
    assert_int_equal(pack_verify(file, &options, &result, &error), VL2_ERROR_IO);
    assert_non_null(strstr(error.message, "the file was changed while it was open"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(pack_verify(file, &options, &result, &error), VL2_ERROR_IO);
    assert_non_null(strstr(error.message, "cannot be opened"));
    pack_close(file);
    free(bytes);
    base_free(path);
}

/* ------------------------------------------------------------------------------------ content */

/* A file of one packed matrix [rows, 32] of int8, or int4 with a codebook. */
static uint8_t *build_matrix(bool codebook, uint8_t code, int8_t scale, float row_scale,
                             float padded_scale, int8_t entry, size_t *size)
{
    uint8_t codes[512] = {0}, scales[16] = {0}, table[16] = {0};
    float row_scales[16] = {1, 1, 1};
    codes[17] = code;
    scales[5] = (uint8_t)scale;
    table[0] = (uint8_t)entry;
    row_scales[1] = row_scale;
    row_scales[3] = padded_scale;
    pack_builder builder = {.meta = NULL};
    builder_record(&builder, -1, -1);
    builder_tensor(&builder, "m", codebook ? 6 : 4, codebook ? 8 : 2, 3, 12, 2,
                   (uint64_t[]){3, 32});
    builder_plane(&builder, 0, codes, codebook ? 256 : 512, ZSTD);
    builder_plane(&builder, 2, scales, 16, RAW);
    builder_plane(&builder, 4, row_scales, 64, RAW);
    if (codebook) {
        builder_plane(&builder, 5, table, 16, RAW);
    }
    return builder_finish(&builder, size);
}

static void test_ranges(void **state)
{
    (void)state;
    static const struct {
        bool codebook;
        uint8_t code;
        int8_t scale;
        float row_scale, padded_scale;
        int8_t entry;
        uint32_t plane;
        const char *message; /* NULL: it is fine */
    } cases[] = {
        {false, 0x81, -127, 0, 0, 0, 0, NULL},
        {true, 0x80, 127, 1, 0, 0, 0, NULL}, /* two codes of 4 bits */
        {false, 0x80, 1, 1, 0, 0, LAYOUT_CODES, "found the number -128"},
        {false, 1, -128, 1, 0, 0, LAYOUT_SCALES,
         "found the number -128, which does not occur, at "
         "number 5 of the plane"},
        {true, 1, -128, 1, 0, 0, LAYOUT_SCALES, "found the number -128"},
        {true, 1, 1, 1, 0, 1, LAYOUT_TABLE, "found a codebook that does not begin with 0"},
        {true, 1, 1, 1, 0, -128, LAYOUT_TABLE, "found the number -128"},
        {false, 1, 1, -1, 0, 0, LAYOUT_ROW_SCALES, "negative or not finite, at number 1 of"},
        {false, 1, 1, __builtin_nanf(""), 0, 0, LAYOUT_ROW_SCALES, "negative or not finite"},
        {false, 1, 1, __builtin_inff(), 0, 0, LAYOUT_ROW_SCALES, "negative or not finite"},
        {false, 1, 1, 1, 0.5f, 0, LAYOUT_ROW_SCALES, "a row that is padding, at number 3"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t size;
        pack_file *file;
        pack_verification result;
        uint8_t *bytes =
            build_matrix(cases[i].codebook, cases[i].code, cases[i].scale, cases[i].row_scale,
                         cases[i].padded_scale, cases[i].entry, &size);
        assert_int_equal(pack_parse(bytes, size, "ranges", &file, NULL), VL2_OK);
        if (cases[i].message != NULL) {
            pack_damage damage = expect_damage(file, cases[i].message);
            assert_int_equal(damage.frame->plane, cases[i].plane);
            assert_string_equal(damage.tensor->name, "m");
        } else {
            assert_int_equal(verify(file, &result), VL2_OK);
            assert_int_equal(result.damaged, 0);
            base_free(result.list);
        }
        pack_close(file);
        free(bytes);
    }
}

static void test_meta(void **state)
{
    (void)state;
    size_t size;
    pack_file *file;
    pack_builder builder = {.meta = "{\"a\": "};
    uint8_t *bytes = builder_finish(&builder, &size);
    assert_int_equal(pack_parse(bytes, size, "meta", &file, NULL), VL2_OK);
    assert_null(expect_damage(file, "expected a JSON object").frame);
    pack_close(file);
    free(bytes);
}

/* ------------------------------------------------------------------------------------ zstd */

#define CONTENT ((size_t)4000)

/* A file of one tensor of CONTENT bytes whose stored bytes, said to be zstd, are these; with their
 * right checksum. */
static void expect_zstd(const uint8_t *stored, size_t stored_size, const char *message)
{
    size_t size;
    pack_file *file;
    vl2_error error = {VL2_OK, ""};
    pack_builder builder = {.meta = NULL};
    builder_record(&builder, 7, -1);
    builder_tensor(&builder, "x", 1, 64, 1, 12, 1, (uint64_t[]){CONTENT / 4});
    builder_plane(&builder, 16, stored, stored_size, RAW);
    uint8_t *bytes = builder_finish(&builder, &size), out[CONTENT];
    pack_put(bytes, pack_entry_at(bytes, "FRAM", 0) + 16, 8, CONTENT);
    pack_put(bytes, pack_entry_at(bytes, "FRAM", 0) + 36, 4, ZSTD);
    pack_seal(bytes, size);
    assert_int_equal(pack_parse(bytes, size, "zstd", &file, &error), VL2_OK);
    const pack_tensor *tensor = pack_tensor_get(file, 0);
    assert_int_equal(pack_check(file, tensor, tensor->frames, NULL), VL2_OK);
    vl2_status status = pack_expand(file, tensor, tensor->frames, out, &error);
    if (message == NULL) {
        pack_verification result;
        assert_int_equal(status, VL2_OK);
        assert_int_equal(verify(file, &result), VL2_OK);
        assert_int_equal(result.damaged, 0);
        base_free(result.list);
    } else {
        assert_int_equal(status, VL2_ERROR_MODEL);
        assert_non_null(
            strstr(error.message, "zstd: layer 7, numbers of x at offset 8192: found "));
        if (strstr(error.message, message) == NULL) {
            fail_msg("\"%s\", expected \"%s\"", error.message, message);
        }
        expect_damage(file, "expected one zstd frame of 4000 bytes of content");
    }
    pack_close(file);
    free(bytes);
}

static size_t compress(uint8_t *out, size_t room, size_t content, bool stated)
{
    uint8_t bytes[2 * CONTENT];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * i >> 5);
    }
    ZSTD_CCtx *context = ZSTD_createCCtx();
    assert_non_null(context);
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, stated);
    size_t size = ZSTD_compress2(context, out, room, bytes, content);
    ZSTD_freeCCtx(context);
    assert_false(ZSTD_isError(size));
    return size;
}

static void test_zstd_frames(void **state)
{
    (void)state;
    uint8_t stored[4 * CONTENT];
    size_t size = compress(stored, sizeof(stored), CONTENT, true);
    expect_zstd(stored, size, NULL);
    expect_zstd(stored, size - 1, "found ");
    expect_zstd(stored, size / 2, "found ");
    stored[size] = 0;
    expect_zstd(stored, size + 1, "found bytes behind the zstd frame");
    size_t second = compress(stored + size, sizeof(stored) - size, CONTENT, true);
    expect_zstd(stored, size + second, "found bytes behind the zstd frame");
    stored[4] |= 8; /* a reserved bit */
    expect_zstd(stored, size, "found ");

    size = compress(stored, sizeof(stored), CONTENT, false);
    expect_zstd(stored, size, "found no size of the content");
    size = compress(stored, sizeof(stored), CONTENT - 1, true);
    expect_zstd(stored, size, "found another size of the content");
    size = compress(stored, sizeof(stored), 2 * CONTENT, true);
    expect_zstd(stored, size, "found another size of the content");
    memset(stored, 0, sizeof(stored));
    expect_zstd(stored, 1000, "found other bytes");
    memcpy(stored, "\x50\x2a\x4d\x18\xf8\x0f\0\0", 8); /* a frame to be skipped */
    expect_zstd(stored, CONTENT + 8, "found other bytes");
}

/* Frames by hand: RFC 8878, section 3.1.1. */
static void test_zstd_blocks(void **state)
{
    (void)state;
    uint8_t stored[CONTENT + 32];
    memset(stored, 'a', sizeof(stored));
    memcpy(stored, "\x28\xb5\x2f\xfd\x80\x00", 6); /* a window of 1 KiB, 4 bytes of size */
    pack_put(stored, 6, 4, CONTENT);
    pack_put(stored, 10, 3, 1000 << 3 | 1 << 1); /* 1000 times one byte, and more to come */
    pack_put(stored, 14, 3, 1000 << 3 | 1 << 1);
    pack_put(stored, 18, 3, 1000 << 3 | 1 << 1);
    pack_put(stored, 22, 3, 1000 << 3 | 1 << 1 | 1); /* the last one */
    expect_zstd(stored, 26, NULL);
    stored[5] = 17 << 3; /* 128 MiB */
    expect_zstd(stored, 26, NULL);
    stored[5] = 17 << 3 | 1;
    expect_zstd(stored, 26, "found a window of more than 128 MiB");
    stored[5] = 21 << 3;
    expect_zstd(stored, 26, "found a window of more than 128 MiB");
    stored[5] = 31 << 3;
    expect_zstd(stored, 26, "found ");
    stored[5] = 0;
    pack_put(stored, 22, 3, 999 << 3 | 1 << 1 | 1);
    expect_zstd(stored, 26, "found ");
    pack_put(stored, 22, 3, 1024 << 3 | 1 << 1 | 1);
    expect_zstd(stored, 26, "found ");
    pack_put(stored, 22, 3, 1000 << 3 | 1 << 1); /* not the last one, but the bytes end */
    expect_zstd(stored, 26, "found ");
    pack_put(stored, 22, 3, 1000 << 3 | 3 << 1 | 1); /* a reserved kind */
    expect_zstd(stored, 26, "found ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),      cmocka_unit_test(test_sections),
        cmocka_unit_test(test_text_end),     cmocka_unit_test(test_frames),
        cmocka_unit_test(test_blob_entries), cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_records),      cmocka_unit_test(test_expert_order),
        cmocka_unit_test(test_leftovers),    cmocka_unit_test(test_additions),
        cmocka_unit_test(test_whole_files),  cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_flipped_bits), cmocka_unit_test(test_many_damaged),
        cmocka_unit_test_setup_teardown(test_files, make_folder, remove_folder),
        cmocka_unit_test(test_cancelled),    cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_meta),         cmocka_unit_test(test_zstd_frames),
        cmocka_unit_test(test_zstd_blocks),
    };
    return cmocka_run_group_tests_name("pack_damage", tests, NULL, NULL);
}
