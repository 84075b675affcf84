#include "cli/streams.h"
#include "cli/characters.h"
#include "cli/failure.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_LIMIT ((size_t)1 << 30)

/* Grows *bytes until the stream ends; false with errno set. */
static bool read_stream(FILE *stream, char **bytes, size_t *size)
{
    size_t capacity = 1 << 16, used = 0;
    char *block = malloc(capacity);
    while (block != NULL) {
        used += fread(block + used, 1, capacity - 1 - used, stream);
        if (used < capacity - 1 || used > READ_LIMIT) {
            break;
        }
        char *larger = realloc(block, capacity *= 2);
        if (larger == NULL) {
            free(block);
        }
        block = larger;
    }
    if (block == NULL || ferror(stream) || used > READ_LIMIT) {
        errno = block == NULL ? ENOMEM : ferror(stream) ? errno : EFBIG;
        free(block);
        return false;
    }
    block[used] = '\0';
    *bytes = block;
    *size = used;
    return true;
}

int read_all(const command *command, const char *path, char **bytes, size_t *size)
{
    bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;
    FILE *stream = standard ? stdin : fopen(path, "rbe");
    if (stream == NULL) {
        return fail(command, EXIT_CODE_INPUT, "%s: cannot be opened: %s", name, strerror(errno));
    }
    bool good = read_stream(stream, bytes, size);
    int reason = errno;
    if (!standard) {
        fclose(stream);
    }
    if (!good && reason == ENOMEM) {
        return fail_memory(command);
    }
    return good ? EXIT_CODE_OK
                : fail(command, EXIT_CODE_INPUT, "%s: cannot be read: %s", name, strerror(reason));
}

/* Bytes of the control character at text, 0 if it is another one. */
static size_t control_size(const unsigned char *text, size_t size)
{
    if ((text[0] < 0x20 && text[0] != '\n' && text[0] != '\t') || text[0] == 0x7F) {
        return 1;
    }
    return size > 1 && text[0] == 0xC2 && text[1] >= 0x80 && text[1] <= 0x9F ? 2 : 0;
}

bool write_text(const char *text, size_t size)
{
    bool terminal = isatty(STDOUT_FILENO) == 1;
    size_t waiting = 0; /* bytes before `at` that are as they may be */
    errno = 0;
    for (size_t at = 0; terminal && at < size;) {
        size_t control = control_size((const unsigned char *)text + at, size - at);
        if (control > 0) {
            fwrite(text + at - waiting, 1, waiting, stdout);
            fputs("\xEF\xBF\xBD", stdout);
        }
        waiting = control > 0 ? 0 : waiting + 1;
        at += control > 0 ? control : 1;
    }
    waiting = terminal ? waiting : size;
    return fwrite(text + size - waiting, 1, waiting, stdout) == waiting && !ferror(stdout);
}

int print_json(const command *command, json_t *value)
{
    if (value == NULL) {
        return fail_memory(command);
    }
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    json_decref(value);
    if (text == NULL) {
        return fail_memory(command);
    }
    write_text(text, strlen(text));
    putchar('\n');
    free(text);
    return EXIT_CODE_OK;
}

json_t *json_text(const char *text, size_t size)
{
    json_t *value = json_stringn(text, size);
    char *valid = value == NULL && size <= SIZE_MAX / 3 - 1 ? malloc(3 * size + 1) : NULL;
    if (valid == NULL) {
        return value;
    }
    size_t used = 0;
    for (size_t i = 0; i < size;) {
        size_t length = character_size((const unsigned char *)text + i, size - i);
        memcpy(valid + used, length > 0 ? text + i : "\xEF\xBF\xBD", length > 0 ? length : 3);
        used += length > 0 ? length : 3;
        i += length > 0 ? length : 1;
    }
    value = json_stringn(valid, used);
    free(valid);
    return value;
}

json_t *json_number(double number)
{
    if (!isfinite(number)) {
        return json_null();
    }
    return fabs(number) < 1e15 && number == floor(number) ? json_integer((json_int_t)number)
                                                          : json_real(number);
}

int finish_output(const command *command, int code)
{
    errno = 0;
    bool failed = ferror(stdout) != 0;
    failed = fflush(stdout) != 0 || failed;
    if (failed && code == EXIT_CODE_OK) {
        return fail(command, EXIT_CODE_FAILURE, "standard output: cannot be written: %s",
                    errno != 0 ? strerror(errno) : "an earlier write failed");
    }
    return code;
}
