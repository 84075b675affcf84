/* Fuzzes the compiled tokenizer: any bytes are loaded or refused, and what was loaded encodes,
 * decodes and compiles to bytes that load again and stay the same. By hand:
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Isrc -I. \
 *         tests/fuzz/fuzz_tokenizer_compiled.c src/text/[!g]*.c \
 *         src/base/{alloc,buffer,error,file,json}.c \
 *         -ljansson -lpcre2-8 -o fuzz_tokenizer_compiled
 *     ./fuzz_tokenizer_compiled CORPUS    # begin with tests/data/text/compiled
 */
#include "text/tokenizer_compiled.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input as text, then all ids one by one. A regular expression may give up. */
static void use(const tokenizer *tokenizer, const uint8_t *data, size_t size)
{
    vl2_error error;
    id_list ids = {0};
    buffer text = {0};
    vl2_status status = tokenizer_encode(tokenizer, (const char *)data, size, &ids, &error);
    if (status != VL2_OK && status != VL2_ERROR_UNSUPPORTED) {
        abort();
    }
    for (size_t id = 0; id < tokenizer_size(tokenizer) && id < 1000; id++) {
        if (id_list_append(&ids, (int32_t)id, &error) != VL2_OK) {
            abort();
        }
    }
    if (tokenizer_decode(tokenizer, ids.ids, ids.count, false, &text, &error) != VL2_OK) {
        abort();
    }
    buffer_free(&text);
    id_list_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    vl2_error error;
    tokenizer *loaded = NULL, *again = NULL;
    buffer first = {0}, second = {0};
    vl2_status status = tokenizer_load(data, size, "input", &loaded, &error);
    if (status != VL2_OK) {
        if (status != VL2_ERROR_MODEL && status != VL2_ERROR_UNSUPPORTED) {
            abort();
        }
        return 0;
    }
    use(loaded, data, size);
    if (tokenizer_compile(loaded, &first, &error) != VL2_OK ||
        tokenizer_load(first.data, first.size, "again", &again, &error) != VL2_OK ||
        tokenizer_compile(again, &second, &error) != VL2_OK || first.size != second.size ||
        memcmp(first.data, second.data, first.size) != 0) {
        abort();
    }
    buffer_free(&first);
    buffer_free(&second);
    tokenizer_close(loaded);
    tokenizer_close(again);
    return 0;
}
