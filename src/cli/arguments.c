#include "cli/arguments.h"
#include "cli/failure.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* How an option was written, for messages: "--temp", "-n" or "VL2_TEMP". */
typedef struct source {
    const char *dashes, *name;
    int length;
} source;

const option_value *argument(const arguments *arguments, option_id id)
{
    return &arguments->values[id];
}

static int fail_value(const command *command, const source *from, const char *found,
                      const char *expected)
{
    return fail_usage(command, "%s%.*s: found \"%s\", expected %s", from->dashes, from->length,
                      from->name, found, expected);
}

static bool parse_integer(const option *option, const char *text, int64_t *integer)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    bool digits = strspn(text, "-0123456789") == strlen(text) && end != text;
    *integer = value;
    return digits && *end == '\0' && errno == 0 &&
           ((option->also != NULL && strcmp(text, option->also) == 0) ||
            ((double)value >= option->least && (double)value <= option->most));
}

static bool parse_number(const option *option, const char *text, double *number)
{
    char *end;
    *number = strtod(text, &end);
    /* No "nan", "inf", hexadecimal or leading space. */
    bool plain = strspn(text, "+-.0123456789eE") == strlen(text) && end != text;
    return plain && *end == '\0' && *number >= option->least && *number <= option->most;
}

static bool parse_choice(const option *option, const char *text)
{
    size_t length = strlen(text);
    for (const char *at = option->argument; at != NULL; at = strchr(at, '|')) {
        at += *at == '|';
        size_t word = strcspn(at, "|");
        if (word == length && memcmp(at, text, length) == 0) {
            return true;
        }
    }
    return false;
}

/* The words for what an option expects, in `text`. */
static const char *expected_text(const option *option, char *text, size_t size)
{
    if (option->kind == OPTION_CHOICE) {
        size_t used = (size_t)snprintf(text, size, "one of ");
        for (const char *from = option->argument; *from != '\0' && used + 3 < size; from++) {
            used += (size_t)snprintf(text + used, size - used, *from == '|' ? ", " : "%c", *from);
        }
        return text;
    }
    snprintf(text, size, "a %snumber from %.15g to %.15g%s%s",
             option->kind == OPTION_INTEGER ? "whole " : "", option->least, option->most,
             option->also != NULL ? ", or " : "", option->also != NULL ? option->also : "");
    return text;
}

static bool append_text(option_value *value, const char *text)
{
    const char **larger = realloc(value->list, (value->count + 1) * sizeof(*larger));
    if (larger == NULL) {
        return false;
    }
    value->list = larger;
    value->list[value->count++] = text;
    return true;
}

static int set_value(arguments *arguments, const option *option, const source *from,
                     const char *text)
{
    option_value *value = &arguments->values[option->id];
    bool good = true;
    switch (option->kind) {
    case OPTION_SWITCH:
        value->on = true;
        break;
    case OPTION_TEXT:
        value->text = text;
        break;
    case OPTION_LIST:
        if (!append_text(value, text)) {
            return fail_memory(arguments->command);
        }
        break;
    case OPTION_CHOICE:
        good = parse_choice(option, text);
        value->text = text;
        break;
    case OPTION_INTEGER:
        good = parse_integer(option, text, &value->integer);
        break;
    case OPTION_NUMBER:
        good = parse_number(option, text, &value->number);
        break;
    }
    if (!good) {
        char expected[160];
        return fail_value(arguments->command, from, text,
                          expected_text(option, expected, sizeof(expected)));
    }
    value->given = true;
    return EXIT_CODE_OK;
}

/* "no option --NAME", with the closest name or with the commands that have it. */
static int fail_unknown(const command *command, const char *word, size_t name_length)
{
    char name[32], elsewhere[160] = "";
    const char *names[OPTION_COUNT * 2];
    size_t count, close = 0, used = 0;
    const option *all = options_all(&count);
    snprintf(name, sizeof(name), "%.*s", (int)name_length, word + 2);
    for (size_t i = 0; i < count; i++) {
        if ((all[i].commands & command->bit) && close < sizeof(names) / sizeof(names[0])) {
            names[close++] = all[i].name;
        } else if (strcmp(all[i].name, name) == 0) {
            for (size_t k = 0; commands[k] != NULL && used < sizeof(elsewhere); k++) {
                if (commands[k]->bit & all[i].commands) {
                    used += (size_t)snprintf(elsewhere + used, sizeof(elsewhere) - used, "%s%s",
                                             used > 0 ? ", " : "", commands[k]->name);
                }
            }
        }
    }
    if (elsewhere[0] != '\0') {
        return fail_usage(command, "no option --%s here (it belongs to: %s)", name, elsewhere);
    }
    const char *closest = closest_word(name, names, close);
    return fail_usage(command, "no option --%s%s%s%s", name, closest ? " (did you mean --" : "",
                      closest ? closest : "", closest ? "?)" : "");
}

/* A word that begins with "--". *used becomes 2 if the next word was its argument. */
static int parse_long(arguments *arguments, const char *word, const char *next, int *used)
{
    const char *name = word + 2;
    size_t length = strcspn(name, "=");
    const option *option = option_by_name(arguments->command, name, length);
    source from = {"--", name, (int)length};
    if (option == NULL) {
        return fail_unknown(arguments->command, word, length);
    }
    const char *text = name[length] == '=' ? name + length + 1 : NULL;
    if (option->kind == OPTION_SWITCH && text != NULL) {
        return fail_usage(arguments->command, "--%s takes no argument, found \"%s\"", option->name,
                          text);
    }
    if (option->kind != OPTION_SWITCH && text == NULL) {
        if (next == NULL) {
            return fail_usage(arguments->command, "--%s needs an argument: %s", option->name,
                              option->argument);
        }
        text = next;
        *used = 2;
    }
    return set_value(arguments, option, &from, text);
}

/* A word of letters behind one "-": switches may be bundled, an argument may follow at once. */
static int parse_letters(arguments *arguments, const char *word, const char *next, int *used)
{
    for (const char *at = word + 1; *at != '\0'; at++) {
        const option *option = option_by_letter(arguments->command, *at);
        source from = {"-", at, 1};
        if (option == NULL) {
            return fail_usage(arguments->command, "no option -%c in \"%s\"", *at, word);
        }
        const char *text = NULL;
        if (option->kind != OPTION_SWITCH) {
            text = at[1] != '\0' ? at + 1 : next;
            if (text == NULL) {
                return fail_usage(arguments->command, "-%c needs an argument: %s", *at,
                                  option->argument);
            }
            *used = at[1] != '\0' ? 1 : 2;
        }
        int code = set_value(arguments, option, &from, text);
        if (code != EXIT_CODE_OK || option->kind != OPTION_SWITCH) {
            return code;
        }
    }
    return EXIT_CODE_OK;
}

static int parse_words(arguments *arguments, int count, char *const *words)
{
    bool options_end = false;
    for (int i = 0; i < count && !arguments->values[OPTION_HELP].on;) {
        const char *word = words[i], *next = i + 1 < count ? words[i + 1] : NULL;
        int used = 1, code = EXIT_CODE_OK;
        if (!options_end && strcmp(word, "--") == 0) {
            options_end = true;
        } else if (!options_end && strncmp(word, "--", 2) == 0) {
            code = parse_long(arguments, word, next, &used);
        } else if (!options_end && word[0] == '-' && word[1] != '\0') {
            code = parse_letters(arguments, word, next, &used);
        } else if (arguments->operand_count == arguments->command->operands_most) {
            code = fail_usage(arguments->command, "one word too many: \"%s\"", word);
        } else {
            arguments->operands[arguments->operand_count++] = word;
        }
        if (code != EXIT_CODE_OK) {
            return code;
        }
        i += used;
    }
    return EXIT_CODE_OK;
}

/* A switch in the environment: 1/0, yes/no, true/false, on/off. */
static int set_switch(arguments *arguments, const option *option, const source *from,
                      const char *text)
{
    static const char *const words[] = {"0", "no", "false", "off", "1", "yes", "true", "on"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            arguments->values[option->id].on = i >= 4;
            return EXIT_CODE_OK;
        }
    }
    return fail_value(arguments->command, from, text, "1 or 0");
}

/* Environment, then default, of every option that the command has and the words did not give. */
static int fill_rest(arguments *arguments)
{
    size_t count;
    const option *all = options_all(&count);
    for (size_t i = 0; i < count; i++) {
        const option *option = &all[i];
        if (!(option->commands & arguments->command->bit) || arguments->values[option->id].given) {
            continue;
        }
        char variable[OPTION_ENVIRONMENT_SIZE];
        option_environment(option, variable);
        const char *text = variable[0] != '\0' ? getenv(variable) : NULL;
        source from = {"", variable, (int)strlen(variable)};
        int code = EXIT_CODE_OK;
        if (text != NULL && text[0] != '\0') {
            code = option->kind == OPTION_SWITCH ? set_switch(arguments, option, &from, text)
                                                 : set_value(arguments, option, &from, text);
        } else if (option->standard != NULL) {
            code = set_value(arguments, option, &from, option->standard);
            arguments->values[option->id].given = false;
        }
        if (code != EXIT_CODE_OK) {
            return code;
        }
    }
    return EXIT_CODE_OK;
}

int arguments_parse(const command *command, int count, char *const *words, arguments *arguments)
{
    memset(arguments, 0, sizeof(*arguments));
    arguments->command = command;
    arguments->operands = calloc((size_t)count + 1, sizeof(*arguments->operands));
    if (arguments->operands == NULL) {
        return fail_memory(command);
    }
    int code = parse_words(arguments, count, words);
    if (code != EXIT_CODE_OK || arguments->values[OPTION_HELP].on) {
        return code;
    }
    return fill_rest(arguments);
}

void arguments_clear(arguments *arguments)
{
    free(arguments->demo_model);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        free(arguments->values[i].list);
    }
    free(arguments->operands);
    memset(arguments, 0, sizeof(*arguments));
}
