/* The one table of options. Parser, --help, bash completion and the option lists of the man pages
 * all come from it. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "cli/command.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum option_id {
    OPTION_MODEL,
    OPTION_PROMPT,
    OPTION_FILE,
    OPTION_IMAGE,
    OPTION_SYSTEM,
    OPTION_CONVERSATION,
    OPTION_TASKS,
    OPTION_LIMIT,
    OPTION_TILE,
    OPTION_MAX_PIXELS,
    OPTION_NO_TILING,
    OPTION_SIZE,
    OPTION_DECODE,
    OPTION_SKIP_SPECIAL,
    OPTION_QUANT,
    OPTION_ONLY,
    OPTION_PROMPTS,
    OPTION_CONTEXTS,
    OPTION_QUICK,
    OPTION_TYPE,
    OPTION_IMPORTANCE,
    OPTION_LORA,
    OPTION_PREDICT,
    OPTION_POSITIONS,
    OPTION_TEMP,
    OPTION_TOP_K,
    OPTION_TOP_P,
    OPTION_MIN_P,
    OPTION_REPEAT_PENALTY,
    OPTION_PENALIZE_PROMPT,
    OPTION_SEED,
    OPTION_STOP,
    OPTION_IGNORE_EOS,
    OPTION_CONTEXT,
    OPTION_CHUNK,
    OPTION_KV_TYPE,
    OPTION_RAM,
    OPTION_SLOTS,
    OPTION_THREADS,
    OPTION_JOBS,
    OPTION_REPEAT,
    OPTION_VERIFY,
    OPTION_OUTPUT,
    OPTION_ROUTING,
    OPTION_THRESHOLD,
    OPTION_LEVEL,
    OPTION_DRY_RUN,
    OPTION_RESUME,
    OPTION_RESTART,
    OPTION_DRAW,
    OPTION_JSON,
    OPTION_PROGRESS,
    OPTION_NO_PROGRESS,
    OPTION_QUIET,
    OPTION_VERBOSE,
    OPTION_YES,
    OPTION_CPU,
    OPTION_VERSION,
    OPTION_HELP,
    OPTION_COUNT
} option_id;

typedef enum option_kind {
    OPTION_SWITCH,  /* takes no argument */
    OPTION_TEXT,    /* any text */
    OPTION_LIST,    /* any text, may be given several times */
    OPTION_CHOICE,  /* one of the words in `argument`, which are separated by | */
    OPTION_INTEGER, /* a whole number in [least, most], or the text `also` */
    OPTION_NUMBER   /* a finite number in [least, most] */
} option_kind;

typedef enum option_group {
    OPTION_GROUP_INPUT,
    OPTION_GROUP_ANSWER,
    OPTION_GROUP_MACHINE,
    OPTION_GROUP_OUTPUT,
    OPTION_GROUP_COUNT
} option_group;

typedef struct option {
    option_id id;
    option_group group;
    const char *name;     /* without the dashes */
    char letter;          /* 0: none */
    const char *argument; /* what stands for it in the help; NULL for a switch */
    option_kind kind;
    double least, most;   /* of INTEGER and NUMBER */
    const char *also;     /* a text beside the range, such as "-1"; may be NULL */
    const char *standard; /* the default as it would be typed; NULL: none */
    unsigned commands;    /* sum of command_bit */
    const char *help;     /* a sentence without full stop */
} option;

#define OPTION_ENVIRONMENT_SIZE 40

/* The whole table; *count rows. An option that means another thing elsewhere (--size) has a row for
 * each. */
const option *options_all(size_t *count);
/* The row of a command's option by its name, or by its letter; NULL if the command has none. */
const option *option_by_name(const command *command, const char *name, size_t length);
const option *option_by_letter(const command *command, char letter);
const option *option_by_id(const command *command, option_id id);
/* Its environment form: "VL2_" and the name in capitals; "" for --help, --version and --cpu.
 * Returns text. */
const char *option_environment(const option *option, char text[OPTION_ENVIRONMENT_SIZE]);
/* The heading of a group in the help. */
const char *option_group_title(option_group group);
/* The word of `words` (`count` of them) that is closest to `word`, or NULL if none is close. */
const char *closest_word(const char *word, const char *const *words, size_t count);

#endif
