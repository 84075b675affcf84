#include "weights/pack_index.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

#define FIELD_SIZE 96 /* bytes of a field's name in messages */

vl2_status pack_fail_number(const pack_reading *reading, const char *field, uint64_t found,
                            const char *expected)
{
    return vl2_fail(reading->error, VL2_ERROR_MODEL, "%s: %s: found %" PRIu64 ", expected %s",
                    reading->file->name, field, found, expected);
}

/* ------------------------------------------------------------------------------------ header */

static vl2_status check_magic(const pack_reading *reading)
{
    const pack_file *file = reading->file;
    static const uint8_t magic[] = PACK_MAGIC;
    if (file->size < sizeof(pack_header)) {
        return vl2_fail(reading->error, VL2_ERROR_MODEL,
                        "%s: header: found a file of %" PRIu64 " bytes, expected at least %zu",
                        file->name, file->size, sizeof(pack_header));
    }
    if (memcmp(file->data, magic, 4) != 0) {
        return vl2_fail(reading->error, VL2_ERROR_MODEL,
                        "%s: header.magic: found other bytes, expected those of a packed weight "
                        "file",
                        file->name);
    }
    if (memcmp(file->data, magic, 8) != 0) {
        return vl2_fail(reading->error, VL2_ERROR_MODEL,
                        "%s: header.magic: found changed line ends, expected those of a packed "
                        "weight file (was it copied as text?)",
                        file->name);
    }
    return VL2_OK;
}

/* Everything in the header but the hash. */
static vl2_status check_header(const pack_reading *reading)
{
    const pack_file *file = reading->file;
    const pack_header *header = &file->header;
    uint64_t index_end, data_offset;
    if (header->version != PACK_VERSION) {
        return pack_fail_number(reading, "header.version", header->version,
                                "1, the only one that this program knows");
    }
    if (header->flags != 0) {
        return pack_fail_number(reading, "header.flags", header->flags, "0");
    }
    if (header->file_size != file->size) {
        return vl2_fail(reading->error, VL2_ERROR_MODEL,
                        "%s: header.file_size: found a file of %" PRIu64 " bytes, expected %" PRIu64
                        "%s",
                        file->name, file->size, header->file_size,
                        file->size < header->file_size ? " (is the file cut off?)" : "");
    }
    if (header->index_offset != PACK_PAGE) {
        return pack_fail_number(reading, "header.index_offset", header->index_offset, "4096");
    }
    if (header->index_size % 8 != 0 || header->index_size > PACK_MAX_INDEX ||
        __builtin_add_overflow(PACK_PAGE, header->index_size, &index_end) ||
        index_end > file->size) {
        return pack_fail_number(reading, "header.index_size", header->index_size,
                                "a multiple of 8 within the file, at most 256 MiB");
    }
    if (!pack_round_up(index_end, PACK_PAGE, &data_offset) || header->data_offset != data_offset ||
        data_offset > file->size) {
        return pack_fail_number(reading, "header.data_offset", header->data_offset,
                                "the page behind the index, within the file");
    }
    return VL2_OK;
}

/* Takes the head out of the mapped file, where it might change, and compares its hash. */
static vl2_status read_head(const pack_reading *reading)
{
    pack_file *file = reading->file;
    vl2_status status = check_magic(reading);
    if (status != VL2_OK) {
        return status;
    }
    memcpy(&file->header, file->data, sizeof(file->header));
    status = check_header(reading);
    if (status != VL2_OK) {
        return status;
    }
    size_t size = PACK_HASHED_HEADER + (size_t)file->header.index_size;
    file->head = base_malloc(size, 1);
    if (file->head == NULL) {
        return vl2_fail_memory(reading->error, file->name, size);
    }
    memcpy(file->head, &file->header, PACK_HASHED_HEADER);
    memcpy(file->head + PACK_HASHED_HEADER, file->data + PACK_PAGE,
           (size_t)file->header.index_size);
    XXH128_hash_t hash = XXH3_128bits(file->head, size);
    const uint64_t *expected = file->header.file_hash;
    if (hash.low64 != expected[0] || hash.high64 != expected[1]) {
        return vl2_fail(reading->error, VL2_ERROR_MODEL,
                        "%s: header.file_hash: found %016" PRIx64 "%016" PRIx64
                        ", expected %016" PRIx64 "%016" PRIx64 " (the head is damaged)",
                        file->name, hash.high64, hash.low64, expected[1], expected[0]);
    }
    return VL2_OK;
}

/* ------------------------------------------------------------------------------------ sections */

const char *const pack_tags[PACK_SECTIONS] = {"TEXT", "META", "BLOB", "RECD", "TENS", "FRAM"};

static int find_tag(const char tag[4])
{
    for (int i = 0; i < PACK_SECTIONS; i++) {
        if (memcmp(pack_tags[i], tag, 4) == 0) {
            return i;
        }
    }
    return -1;
}

static vl2_status check_section(const pack_reading *reading, const pack_section *section,
                                uint64_t left, bool known)
{
    char field[FIELD_SIZE];
    for (int i = 0; i < 4; i++) {
        if (section->tag[i] < 0x20 || section->tag[i] > 0x7e) {
            return pack_fail_number(reading, "index, a section's tag", (uint8_t)section->tag[i],
                                    "printable ASCII characters");
        }
    }
    snprintf(field, sizeof(field), "section %.4s.flags", section->tag);
    if ((section->flags & ~PACK_SECTION_REQUIRED) != 0) {
        return pack_fail_number(reading, field, section->flags, "0 or 1");
    }
    if (!known && (section->flags & PACK_SECTION_REQUIRED) != 0) {
        return vl2_fail(reading->error, VL2_ERROR_MODEL,
                        "%s: %s: found 1, expected a section that this program knows or may skip "
                        "(a newer program is needed)",
                        reading->file->name, field);
    }
    snprintf(field, sizeof(field), "section %.4s.size", section->tag);
    /* `left` is a multiple of 8, so that the padding is within it too. */
    return section->size > left
               ? pack_fail_number(reading, field, section->size, "a size in the index")
               : VL2_OK;
}

static vl2_status find_sections(const pack_reading *reading, pack_section_view found[PACK_SECTIONS])
{
    const uint8_t *index = reading->file->head + PACK_HASHED_HEADER;
    uint64_t size = reading->file->header.index_size, at = 0;
    while (at < size) {
        pack_section section;
        if (size - at < sizeof(section)) {
            return pack_fail_number(reading, "index, bytes behind the last section", size - at,
                                    "0");
        }
        memcpy(&section, index + at, sizeof(section));
        at += sizeof(section);
        int tag = find_tag(section.tag);
        vl2_status status = check_section(reading, &section, size - at, tag >= 0);
        if (status != VL2_OK) {
            return status;
        }
        if (tag >= 0 && found[tag].payload != NULL) {
            return vl2_fail(reading->error, VL2_ERROR_MODEL,
                            "%s: index: found section %s twice, expected it once",
                            reading->file->name, pack_tags[tag]);
        }
        if (tag >= 0) {
            found[tag].payload = index + at;
            found[tag].size = (size_t)section.size;
        }
        at += (section.size + 7) / 8 * 8;
    }
    for (int i = 0; i < PACK_SECTIONS; i++) {
        if (found[i].payload == NULL && i != PACK_TAG_META) {
            return vl2_fail(reading->error, VL2_ERROR_MODEL,
                            "%s: index: found no section %s, expected one", reading->file->name,
                            pack_tags[i]);
        }
    }
    return VL2_OK;
}

vl2_status pack_head_read(const pack_reading *reading, pack_section_view sections[PACK_SECTIONS])
{
    vl2_status status = read_head(reading);
    return status == VL2_OK ? find_sections(reading, sections) : status;
}
