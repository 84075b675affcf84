/* The words of a command line, read by the option table. */
#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

#include "cli/options.h"

typedef struct option_value {
    bool given;        /* on the command line or by the environment */
    bool on;           /* SWITCH */
    int64_t integer;   /* INTEGER */
    double number;     /* NUMBER */
    const char *text;  /* TEXT, CHOICE: NULL if not given and without default */
    const char **list; /* LIST: `count` texts */
    size_t count;
} option_value;

/* Values that were not given have their default from the table. All text is borrowed from argv and
 * the environment. */
typedef struct arguments {
    const command *command;
    option_value values[OPTION_COUNT];
    const char **operands; /* the words that are no options */
    size_t operand_count;
    char *demo_model; /* set by demo_model_use, NULL if that finds none or a model was given */
} arguments;

/* Reads the words (without program and subcommand), then VL2_* of what was not given, then the
 * defaults. Returns EXIT_CODE_OK, or reports and returns EXIT_CODE_USAGE. --help ends the reading:
 * what comes after it and the environment are not looked at. */
int arguments_parse(const command *command, int count, char *const *words, arguments *arguments);
void arguments_clear(arguments *arguments);

/* The value of an option that the command has. */
const option_value *argument(const arguments *arguments, option_id id);

#endif
