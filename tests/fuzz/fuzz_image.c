/* Fuzzes image_decode: any bytes give a picture or VL2_ERROR_INPUT. By hand:
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Isrc tests/fuzz/fuzz_image.c
 * \
 *         src/image/decode.c src/image/jpeg.c src/image/png.c src/base/alloc.c src/base/error.c \
 *         src/base/file.c -ljpeg -lpng -o fuzz_image && ./fuzz_image CORPUS tests/data/image/odd
 */
#include "image/image.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    vl2_error error;
    image_rgb image = {0};
    vl2_status status = image_decode(data, size, "input", (uint64_t)1 << 22, &image, &error);
    if (status != VL2_OK && status != VL2_ERROR_INPUT) {
        abort();
    }
    image_free(&image);
    return 0;
}
