/* What a subcommand is. Each has a file of its own that defines one of these; main.c lists them. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stddef.h>

struct arguments;

/* One bit per subcommand, for the option table. TOP is `vl2` itself, without a subcommand. */
typedef enum command_bit {
    COMMAND_TOP = 1 << 0,
    COMMAND_ASK = 1 << 1,
    COMMAND_CHAT = 1 << 2,
    COMMAND_GROUND = 1 << 3,
    COMMAND_INFO = 1 << 4,
    COMMAND_TOKENIZE = 1 << 5,
    COMMAND_TILES = 1 << 6,
    COMMAND_BOXES = 1 << 7,
    COMMAND_TRACE = 1 << 8,
    COMMAND_SYNTH = 1 << 9,
    COMMAND_VERIFY = 1 << 10,
    COMMAND_COMPARE = 1 << 11,
    COMMAND_CALIBRATE = 1 << 12,
    COMMAND_UNPACK = 1 << 13,
    COMMAND_PACK = 1 << 14,
    COMMAND_BENCH = 1 << 15,
    COMMAND_EVAL = 1 << 16,
    COMMAND_PLAN = 1 << 17
} command_bit;

typedef struct command {
    const char *name; /* "ask" */
    command_bit bit;
    const char *synopsis;                          /* what follows the name in the usage line */
    const char *summary;                           /* one line for vl2 --help */
    const char *description;                       /* for vl2 CMD --help */
    const char *examples;                          /* lines, each ended by "\n"; may be NULL */
    size_t operands_most;                          /* words that are no options */
    int (*run)(const struct arguments *arguments); /* returns the exit code */
} command;

extern const command command_ask, command_chat, command_ground, command_info, command_tokenize,
    command_tiles, command_boxes, command_trace, command_synth, command_verify, command_compare,
    command_calibrate, command_unpack, command_pack, command_bench, command_eval,
    command_plan;

/* All subcommands in the order of vl2 --help, NULL at the end. */
extern const command *const commands[];
/* `vl2` itself. */
extern const command command_top;

/* The subcommand of that name, or NULL. */
const command *command_find(const char *name);

#endif
