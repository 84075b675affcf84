#include "cli/samples.h"
#include "cli/failure.h"
#include "cli/streams.h"

#include <stdlib.h>
#include <string.h>

static size_t sample_count(const arguments *arguments, size_t first)
{
    size_t words = arguments->operand_count > first ? arguments->operand_count - first : 0;
    return argument(arguments, OPTION_CONVERSATION)->count + words;
}

static const char *sample_file(const arguments *arguments, size_t first, size_t index)
{
    const option_value *given = argument(arguments, OPTION_CONVERSATION);
    return index < given->count ? given->list[index]
                                : arguments->operands[first + index - given->count];
}

static bool is_text(const char *file)
{
    size_t length = strlen(file);
    return length >= 4 && strcmp(file + length - 4, ".txt") == 0;
}

/* A text file is what a user says. */
static int open_text(const arguments *arguments, const char *file, vl2_conversation **conversation)
{
    char *text;
    size_t size;
    int code = read_all(arguments->command, file, &text, &size);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    vl2_error error;
    vl2_conversation *made = NULL;
    vl2_status status = vl2_conversation_create(&made, &error);
    if (status == VL2_OK) {
        status = vl2_conversation_add(made, "user", text, size, NULL, 0, &error);
    }
    free(text);
    if (status != VL2_OK) {
        vl2_conversation_close(made);
        return fail_status(arguments->command, &error);
    }
    *conversation = made;
    return EXIT_CODE_OK;
}

static int open_sample(const arguments *arguments, const char *file,
                       vl2_conversation **conversation)
{
    if (is_text(file)) {
        return open_text(arguments, file, conversation);
    }
    vl2_error error;
    uint64_t most = (uint64_t)argument(arguments, OPTION_MAX_PIXELS)->integer;
    vl2_status status = vl2_conversation_load(file, most, conversation, &error);
    return status == VL2_OK ? EXIT_CODE_OK : fail_status(arguments->command, &error);
}

int samples_check(const arguments *arguments, size_t first)
{
    size_t count = sample_count(arguments, first), standard = 0;
    int code = EXIT_CODE_OK;
    if (count == 0) {
        return fail_usage(arguments->command,
                          "no conversation: give --conversation FILE, JSON or .txt");
    }
    for (size_t i = 0; code == EXIT_CODE_OK && i < count; i++) {
        const char *file = sample_file(arguments, first, i);
        if (strcmp(file, "-") == 0) {
            standard++;
            continue;
        }
        vl2_conversation *conversation;
        code = open_sample(arguments, file, &conversation);
        if (code == EXIT_CODE_OK) {
            vl2_conversation_close(conversation);
        }
    }
    if (code == EXIT_CODE_OK && standard > 1) {
        code = fail_usage(arguments->command, "- (standard input) can be one conversation only");
    }
    return code;
}

int samples_each(const arguments *arguments, size_t first, sample_run run, void *user)
{
    int code = EXIT_CODE_OK;
    for (size_t i = 0; code == EXIT_CODE_OK && i < sample_count(arguments, first); i++) {
        const char *file = sample_file(arguments, first, i);
        vl2_conversation *conversation;
        code = open_sample(arguments, file, &conversation);
        if (code == EXIT_CODE_OK) {
            code = run(conversation, file, user);
            vl2_conversation_close(conversation);
        }
    }
    return code;
}

int fail_sample(const arguments *arguments, const char *file, const vl2_error *error)
{
    if (error->status == VL2_ERROR_CANCELLED) {
        return fail_status(arguments->command, error);
    }
    return fail(arguments->command, exit_code_of(error->status), "%s: %s", file, error->message);
}
