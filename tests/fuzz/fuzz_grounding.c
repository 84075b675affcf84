/* Fuzzes grounding_parse: any answer gives boxes and sentences in valid UTF-8. By hand:
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Isrc \
 *         tests/fuzz/fuzz_grounding.c src/text/{grounding,grounding_lenient,literal,utf8}.c \
 *         src/base/{alloc,buffer,error}.c -o fuzz_grounding && ./fuzz_grounding CORPUS
 */
#include "text/grounding.h"
#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    grounding out;
    vl2_error error;
    if (grounding_parse((const char *)data, size, 1086, 724, &out, &error) != VL2_OK) {
        abort();
    }
    for (size_t i = 0; i < out.count; i++) {
        if (!utf8_is_valid(out.boxes[i].label, strlen(out.boxes[i].label))) {
            abort();
        }
    }
    for (size_t i = 0; i < out.problem_count; i++) {
        if (!utf8_is_valid(out.problems[i], strlen(out.problems[i]))) {
            abort();
        }
    }
    grounding_free(&out);
    return 0;
}
