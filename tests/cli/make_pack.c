/* make_pack KIND FILE [folded]: writes one of the tests' packed files (sample, tiny, later), and on
 * standard output where what lies in it: lines "frame NUMBER OFFSET SIZE". Folded: as
 * tests/fuzz/fuzz_pack.c takes it, to make the corpus in tests/data/weights/pack. */
#include "pack_builder.h"

#include <inttypes.h>
#include <string.h>

static uint8_t *build(const char *kind, size_t *size)
{
    if (strcmp(kind, "tiny") == 0) {
        return build_tiny(size);
    }
    return strcmp(kind, "later") == 0 ? build_later_sample(8, size) : build_sample(size);
}

static bool write_file(const char *path, const uint8_t *bytes, size_t size, bool folded)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        return false;
    }
    bool written;
    if (folded) {
        size_t index = (size_t)pack_get(bytes, 32, 8), data = (size_t)pack_get(bytes, 40, 8);
        written = fwrite(bytes, 1, 48, file) == 48 &&
                  fwrite(bytes + 4096, 1, index, file) == index &&
                  fwrite(bytes + data, 1, size - data, file) == size - data;
    } else {
        written = fwrite(bytes, 1, size, file) == size;
    }
    return fclose(file) == 0 && written;
}

int main(int argc, char **argv)
{
    size_t size;
    if (argc < 3) {
        fprintf(stderr, "usage: make_pack sample|tiny|later FILE [folded]\n");
        return 1;
    }
    uint8_t *bytes = build(argv[1], &size);
    if (!write_file(argv[2], bytes, size, argc > 3)) {
        fprintf(stderr, "%s: cannot be written\n", argv[2]);
        return 1;
    }
    uint64_t count = pack_get(bytes, pack_section_at(bytes, "FRAM") + 20, 4);
    for (size_t i = 0; i < count; i++) {
        size_t at = pack_entry_at(bytes, "FRAM", i);
        printf("frame %zu %" PRIu64 " %" PRIu64 "\n", i, pack_get(bytes, at, 8),
               pack_get(bytes, at + 8, 8));
    }
    free(bytes);
    return 0;
}
