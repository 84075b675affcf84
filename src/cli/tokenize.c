/* vl2 tokenize: text to token ids and back. */
#include "cli/command.h"
#include "cli/detections.h"
#include "cli/failure.h"
#include "cli/request.h"
#include "cli/streams.h"
#include "vl2.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int encode(const arguments *arguments, const vl2_tokenizer *tokenizer, const char *text,
                  size_t size, int32_t **ids, size_t *count)
{
    vl2_error error;
    if (vl2_tokenizer_encode(tokenizer, text, size, ids, count, &error) != VL2_OK) {
        return fail_status(arguments->command, &error);
    }
    return EXIT_CODE_OK;
}

/* As vl2_tokenizer_decode; an id outside the vocabulary is bad input here, not bad usage. */
static int decode(const arguments *arguments, const vl2_tokenizer *tokenizer, const int32_t *ids,
                  size_t count, char **text, size_t *size)
{
    vl2_error error;
    bool skip = argument(arguments, OPTION_SKIP_SPECIAL)->on;
    vl2_status status = vl2_tokenizer_decode(tokenizer, ids, count, skip, text, size, &error);
    if (status == VL2_ERROR_ARGUMENT) {
        error.status = VL2_ERROR_INPUT;
    }
    return status == VL2_OK ? EXIT_CODE_OK : fail_status(arguments->command, &error);
}

static int print_ids(const arguments *arguments, const vl2_tokenizer *tokenizer, const char *text,
                     size_t size)
{
    int32_t *ids;
    size_t count;
    int code = encode(arguments, tokenizer, text, size, &ids, &count);
    if (code == EXIT_CODE_OK) {
        for (size_t i = 0; i < count; i++) {
            printf("%s%d", i > 0 ? " " : "", ids[i]);
        }
        putchar('\n');
        vl2_free(ids);
    }
    return code;
}

/* Ids between white space, at most one for every two bytes of text. */
static int parse_ids(const arguments *arguments, const char *text, size_t size, int32_t **ids,
                     size_t *count)
{
    const char *at = text, *end = text + size;
    *count = 0;
    *ids = calloc(size / 2 + 1, sizeof(**ids));
    if (*ids == NULL) {
        return fail_memory(arguments->command);
    }
    for (;;) {
        while (at < end && isspace((unsigned char)*at)) {
            at++;
        }
        if (at == end) {
            return EXIT_CODE_OK;
        }
        char *after;
        errno = 0;
        long value = strtol(at, &after, 10);
        bool good = isdigit((unsigned char)*at) && errno == 0 && value <= INT32_MAX &&
                    (after == end || isspace((unsigned char)*after));
        if (!good) {
            free(*ids);
            return fail(arguments->command, EXIT_CODE_INPUT,
                        "standard input: found \"%.*s\", expected token ids with spaces between",
                        (int)strcspn(at, " \t\r\n"), at);
        }
        (*ids)[(*count)++] = (int32_t)value;
        at = after;
    }
}

static int print_text(const arguments *arguments, const vl2_tokenizer *tokenizer, const char *text,
                      size_t size)
{
    int32_t *ids;
    size_t count, decoded_size;
    char *decoded;
    int code = parse_ids(arguments, text, size, &ids, &count);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    code = decode(arguments, tokenizer, ids, count, &decoded, &decoded_size);
    free(ids);
    if (code == EXIT_CODE_OK) {
        write_text(decoded, decoded_size);
        vl2_free(decoded);
    }
    return code;
}

/* One element of the JSON array: a string to its ids. */
static int encode_element(const arguments *arguments, const vl2_tokenizer *tokenizer,
                          const json_t *element, json_t **result)
{
    int32_t *ids;
    size_t count;
    if (!json_is_string(element)) {
        return fail(arguments->command, EXIT_CODE_INPUT,
                    "standard input: found an element that is no string, expected a JSON array of "
                    "strings");
    }
    int code = encode(arguments, tokenizer, json_string_value(element), json_string_length(element),
                      &ids, &count);
    if (code == EXIT_CODE_OK) {
        *result = detections_tokens(ids, count);
        vl2_free(ids);
    }
    return code;
}

/* One element of the JSON array: a list of ids to its text. */
static int decode_element(const arguments *arguments, const vl2_tokenizer *tokenizer,
                          const json_t *element, json_t **result)
{
    size_t count = json_array_size(element), size;
    int32_t *ids = calloc(count + 1, sizeof(*ids));
    bool good = json_is_array(element);
    char *text;
    if (ids == NULL) {
        return fail_memory(arguments->command);
    }
    for (size_t i = 0; i < count && good; i++) {
        const json_t *id = json_array_get(element, i);
        good = json_is_integer(id) && json_integer_value(id) >= 0 &&
               json_integer_value(id) <= INT32_MAX;
        ids[i] = (int32_t)json_integer_value(id);
    }
    int code = good ? decode(arguments, tokenizer, ids, count, &text, &size)
                    : fail(arguments->command, EXIT_CODE_INPUT,
                           "standard input: found an element that is no list of ids, expected a "
                           "JSON array of arrays of ids");
    free(ids);
    if (good && code == EXIT_CODE_OK) {
        *result = json_text(text, size);
        vl2_free(text);
    }
    return code;
}

static int print_array(const arguments *arguments, const vl2_tokenizer *tokenizer, const char *text,
                       size_t size)
{
    json_error_t problem;
    json_t *list = json_loadb(text, size, JSON_ALLOW_NUL, &problem), *results = json_array();
    int code = EXIT_CODE_OK;
    if (list == NULL || !json_is_array(list)) {
        code = list == NULL ? fail(arguments->command, EXIT_CODE_INPUT,
                                   "standard input: line %d: %s, expected a JSON array",
                                   problem.line, problem.text)
                            : fail(arguments->command, EXIT_CODE_INPUT,
                                   "standard input: found other JSON, expected an array");
    }
    for (size_t i = 0; code == EXIT_CODE_OK && i < json_array_size(list); i++) {
        json_t *result = NULL;
        code = (argument(arguments, OPTION_DECODE)->on ? decode_element : encode_element)(
            arguments, tokenizer, json_array_get(list, i), &result);
        if (code == EXIT_CODE_OK && json_array_append_new(results, result) != 0) {
            code = fail_memory(arguments->command);
        }
    }
    json_decref(list);
    if (code != EXIT_CODE_OK) {
        json_decref(results);
        return code;
    }
    return print_json(arguments->command, results);
}

static int run_tokenize(const arguments *arguments)
{
    const char *path = request_model_path(arguments);
    vl2_tokenizer *tokenizer;
    vl2_error error;
    char *text;
    size_t size;
    if (path == NULL) {
        return EXIT_CODE_USAGE;
    }
    if (vl2_tokenizer_open(path, &tokenizer, &error) != VL2_OK) {
        return fail_status(arguments->command, &error);
    }
    int code = read_all(arguments->command, "-", &text, &size);
    if (code == EXIT_CODE_OK) {
        bool json = argument(arguments, OPTION_JSON)->on;
        bool back = argument(arguments, OPTION_DECODE)->on;
        code = (json   ? print_array
                : back ? print_text
                       : print_ids)(arguments, tokenizer, text, size);
        free(text);
    }
    vl2_tokenizer_close(tokenizer);
    return finish_output(arguments->command, code);
}

const command command_tokenize = {
    "tokenize",
    COMMAND_TOKENIZE,
    "-m MODEL|tokenizer.json [--decode] [--json]",
    "Turn text into token ids, or back",
    "Reads text on standard input and prints the ids of its tokens; with --decode it reads ids and "
    "prints their text. Every byte counts, a line end too. Special tokens such as <|ref|> are "
    "recognised; nothing is added before or after.",
    "  printf 'Hello, world!' | vl2 tokenize -m deepseek-vl2-tiny\n"
    "  echo 19923 14 2058 3 | vl2 tokenize -m deepseek-vl2-tiny --decode\n"
    "  echo '[\"one\", \"two\"]' | vl2 tokenize -m deepseek-vl2-tiny --json\n",
    0,
    run_tokenize,
};
