/* Fuzzes config.json: any file is read or refused with VL2_ERROR_MODEL and a message. By hand:
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Isrc -I. \
 *         tests/fuzz/fuzz_config.c src/model/config.c src/base/{alloc,buffer,error,file,json}.c \
 *         -ljansson -lm -o fuzz_config
 *     ./fuzz_config CORPUS
 */
#include "model/config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[] = "/tmp/vl2-fuzz-XXXXXX";
    int file = mkstemp(path);
    if (file < 0 || write(file, data, size) != (ssize_t)size) {
        abort();
    }
    close(file);
    model_config config;
    vl2_error error = {VL2_OK, ""};
    vl2_status status = model_config_open(path, &config, &error);
    unlink(path);
    if (status != VL2_OK && (status != VL2_ERROR_MODEL || strlen(error.message) == 0)) {
        abort();
    }
    return 0;
}
