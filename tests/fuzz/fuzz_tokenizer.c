/* Fuzzes the tokenizer: any file is read or refused with VL2_ERROR_MODEL, and any text survives
 * being encoded and decoded. The first byte says which: 0 is a tokenizer.json, anything else a text
 * for the tokenizer named by VL2_FUZZ_TOKENIZER. By hand:
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Isrc -I. \
 *         tests/fuzz/fuzz_tokenizer.c src/text/[!g]*.c src/base/{alloc,buffer,error,file,json}.c \
 *         -ljansson -lpcre2-8 -o fuzz_tokenizer
 *     VL2_FUZZ_TOKENIZER=tests/data/text/reduced-128k.json ./fuzz_tokenizer CORPUS
 */
#include "base/alloc.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_file(const char *json, size_t size)
{
    vl2_error error;
    tokenizer *opened = NULL;
    vl2_status status = tokenizer_parse(json, size, "input", &opened, &error);
    if (status == VL2_OK) {
        id_list ids = {0};
        tokenizer_encode(opened, json, size, &ids, &error);
        id_list_free(&ids);
        tokenizer_close(opened);
    } else if (status != VL2_ERROR_MODEL) {
        abort();
    }
}

/* What decoding gives is the text, with its invalid bytes replaced. */
static void fuzz_text(const tokenizer *tokenizer, const char *text, size_t size)
{
    vl2_error error;
    id_list ids = {0};
    buffer expected = {0}, whole = {0}, pieces = {0};
    token_stream stream;
    token_stream_init(&stream, tokenizer, false);
    if (tokenizer_encode(tokenizer, text, size, &ids, &error) != VL2_OK ||
        tokenizer_decode(tokenizer, ids.ids, ids.count, false, &whole, &error) != VL2_OK) {
        abort();
    }
    for (size_t i = 0; i < ids.count; i++) {
        token_stream_push(&stream, ids.ids[i], &pieces, &error);
    }
    token_stream_finish(&stream, &pieces, &error);
    utf8_append_lossy(&expected, text, size);
    if (whole.size != expected.size || pieces.size != expected.size ||
        (whole.size > 0 && (memcmp(whole.data, expected.data, whole.size) != 0 ||
                            memcmp(pieces.data, expected.data, whole.size) != 0))) {
        abort();
    }
    buffer_free(&expected);
    buffer_free(&whole);
    buffer_free(&pieces);
    id_list_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static tokenizer *shared; /* opened once: a fuzzer calls this a million times */
    const char *path = getenv("VL2_FUZZ_TOKENIZER");
    vl2_error error;
    if (shared == NULL && path != NULL && tokenizer_open(path, &shared, &error) != VL2_OK) {
        abort();
    }
    if (size > 0 && data[0] == 0) {
        fuzz_file((const char *)data + 1, size - 1);
    } else if (size > 0 && shared != NULL) {
        fuzz_text(shared, (const char *)data + 1, size - 1);
    }
    return 0;
}
