/* make_pack FILE: writes the tests' small packed file, and on standard output where what lies in
 * it: lines "frame NUMBER OFFSET SIZE". */
#include "pack_builder.h"

#include <inttypes.h>

int main(int argc, char **argv)
{
    size_t size;
    uint8_t *bytes = build_sample(&size);
    FILE *file = argc == 2 ? fopen(argv[1], "wb") : NULL;
    bool written = file != NULL && fwrite(bytes, 1, size, file) == size;
    if (file == NULL || fclose(file) != 0 || !written) {
        fprintf(stderr, "usage: make_pack FILE\n");
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
