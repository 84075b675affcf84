#include "cli/options.h"

#include <ctype.h>
#include <string.h>

#define ALL                                                                                        \
    (COMMAND_TOP | COMMAND_ASK | COMMAND_CHAT | COMMAND_GROUND | COMMAND_INFO | COMMAND_TOKENIZE | \
     COMMAND_TILES | COMMAND_BOXES | COMMAND_TRACE | COMMAND_SYNTH | COMMAND_VERIFY | \
     COMMAND_COMPARE | COMMAND_CALIBRATE | COMMAND_UNPACK | COMMAND_PACK | COMMAND_BENCH | \
     COMMAND_EVAL | COMMAND_PLAN)
#define ANSWERING (COMMAND_ASK | COMMAND_CHAT | COMMAND_GROUND)
#define SAMPLING  (COMMAND_COMPARE | COMMAND_CALIBRATE)
#define RUNNING   (ANSWERING | COMMAND_TRACE | SAMPLING | COMMAND_EVAL)
#define WORKING                                                                                    \
    (RUNNING | COMMAND_SYNTH | COMMAND_VERIFY | COMMAND_UNPACK | COMMAND_PACK | COMMAND_BENCH)

#define TEXT(argument)          argument, OPTION_TEXT, 0, 0, NULL
#define LIST(argument)          argument, OPTION_LIST, 0, 0, NULL
#define CHOICE(argument)        argument, OPTION_CHOICE, 0, 0, NULL
#define INTEGER(least, most)    "N", OPTION_INTEGER, least, most, NULL
#define INTEGER_OR(least, most) "N", OPTION_INTEGER, least, most, "-1"
#define NUMBER(least, most)     "NUMBER", OPTION_NUMBER, least, most, NULL
#define SWITCH                  NULL, OPTION_SWITCH, 0, 0, NULL

#define INPUT   OPTION_GROUP_INPUT
#define ANSWER  OPTION_GROUP_ANSWER
#define MACHINE OPTION_GROUP_MACHINE
#define OUTPUT  OPTION_GROUP_OUTPUT

/* Columns: id, group, name, letter, argument and kind, default, commands, help. */
static const option table[] = {
    {OPTION_MODEL, INPUT, "model", 'm', TEXT("MODEL"), NULL,
     ANSWERING | COMMAND_EVAL | COMMAND_INFO,
     "The model: a packed file (.vl2), or a folder with config.json, tokenizer.json and "
     "*.safetensors, as published. Without it the demo model that comes with vl2 answers; it knows "
     "only drawn shapes and numbers"},
    {OPTION_MODEL, INPUT, "model", 'm', TEXT("MODEL"), NULL,
     COMMAND_TRACE | COMMAND_CALIBRATE | COMMAND_TILES | COMMAND_BENCH |
         COMMAND_PLAN,
     "The model: a packed file (.vl2), or a folder with config.json, tokenizer.json and "
     "*.safetensors, as published"},
    {OPTION_MODEL, INPUT, "model", 'm', TEXT("MODEL"), NULL, COMMAND_TOKENIZE,
     "A packed file, a folder with a tokenizer.json, or a tokenizer.json itself"},
    {OPTION_MODEL, INPUT, "model", 'm', TEXT("DIR"), NULL, COMMAND_PACK,
     "The checkpoint: a folder with config.json, tokenizer.json and *.safetensors, as published"},
    {OPTION_QUANT, INPUT, "quant", 0, CHOICE("bf16|int8|int6|int4|mixed"), "mixed",
     COMMAND_PACK | COMMAND_BENCH,
     "The types of the weights. mixed: routed experts int4, other matrices int8; bf16: nothing is "
     "lost"},
    {OPTION_ONLY, INPUT, "only", 0, TEXT("PART,..."), NULL, COMMAND_BENCH,
     "What to measure, some of machine, prefill, decode, vision and first-token; the machine is "
     "always measured"},
    {OPTION_PROMPTS, INPUT, "prompts", 0, TEXT("N,..."), "128,512,2048", COMMAND_BENCH,
     "Tokens of the prompts for prefill"},
    {OPTION_CONTEXTS, INPUT, "contexts", 0, TEXT("N,..."), "0,1024,3500", COMMAND_BENCH,
     "Tokens before those that are decoded"},
    {OPTION_QUICK, INPUT, "quick", 0, SWITCH, NULL, COMMAND_BENCH,
     "A look in a minute: prompts of 128 tokens, contexts of 0, one run of each, no first token"},
    {OPTION_TYPE, INPUT, "type", 0, LIST("PATTERN=TYPE"), NULL, COMMAND_PACK,
     "Another type for some weights, f32, bf16, int8, int6, int4 or the name of a layout; PATTERN "
     "is a group (experts, head, ...) or a pattern of tensor names; may be given several times, "
     "the last one that fits wins"},
    {OPTION_IMPORTANCE, INPUT, "importance", 0, TEXT("FILE"), NULL, COMMAND_PACK,
     "How much each input of the weights counts, and which experts answers use most, from vl2 "
     "calibrate"},
    {OPTION_LORA, INPUT, "lora", 0, TEXT("DIR"), NULL, COMMAND_PACK,
     "Merge the adapter in this folder, in the layout of PEFT"},
    {OPTION_IMAGE, INPUT, "image", 0, LIST("FILE"), NULL, COMMAND_ASK | COMMAND_CHAT,
     "A picture, JPEG or PNG; give the option again for more. Each <image> in the prompt takes the "
     "next picture; without any <image> they come first"},
    {OPTION_IMAGE, INPUT, "image", 0, TEXT("FILE"), NULL, COMMAND_GROUND | COMMAND_TILES,
     "The picture, JPEG or PNG"},
    {OPTION_PROMPT, INPUT, "prompt", 'p', TEXT("TEXT"), NULL, COMMAND_ASK,
     "The question; - reads it from standard input"},
    {OPTION_FILE, INPUT, "file", 'f', TEXT("FILE"), NULL, COMMAND_ASK,
     "Read the question from FILE; - is standard input"},
    {OPTION_SYSTEM, INPUT, "system", 0, TEXT("TEXT"), NULL, COMMAND_ASK | COMMAND_CHAT,
     "A system message before the conversation"},
    {OPTION_CONVERSATION, INPUT, "conversation", 0, TEXT("FILE"), NULL, COMMAND_ASK | COMMAND_CHAT,
     "Begin with the messages of a JSON file: a list of {\"role\", \"content\", \"images\"}"},
    {OPTION_CONVERSATION, INPUT, "conversation", 0, TEXT("FILE"), NULL, COMMAND_TRACE,
     "The conversation, a JSON list of {\"role\", \"content\", \"images\"}"},
    {OPTION_CONVERSATION, INPUT, "conversation", 0, LIST("FILE"), NULL, SAMPLING,
     "A conversation to run, a JSON list of {\"role\", \"content\", \"images\"}, or a text file "
     "(.txt) that is one message of a user; give the option again, or more files behind it"},
    {OPTION_TASKS, INPUT, "tasks", 0, TEXT("FILE"), NULL, COMMAND_EVAL,
     "The questions, one JSON object per line: {\"id\", \"images\", \"question\", \"answer\", "
     "\"kind\"}; pictures are looked for beside the file"},
    {OPTION_LIMIT, INPUT, "limit", 0, INTEGER(0, 1e9), "0", COMMAND_EVAL,
     "Only the first N tasks of the file; 0: all"},
    {OPTION_TILE, INPUT, "tile", 0, INTEGER(0, 1e6), "0", COMMAND_TRACE,
     "The tile, counted over all pictures from 0, whose vision_out and projector_out are written"},
    {OPTION_MAX_PIXELS, INPUT, "max-pixels", 0, INTEGER(1, 1e12), "178956970",
     RUNNING | COMMAND_TILES, "Refuse pictures of more pixels than this"},
    {OPTION_NO_TILING, INPUT, "no-tiling", 0, SWITCH, NULL, COMMAND_TILES,
     "Cut as in a conversation of more than two pictures: the global view and one local tile"},
    {OPTION_SIZE, INPUT, "size", 0, TEXT("WxH"), NULL, COMMAND_BOXES,
     "Width and height of the picture in pixels, such as 640x480"},
    {OPTION_SIZE, INPUT, "size", 0, CHOICE("tiny|small|base"), NULL, COMMAND_SYNTH,
     "Which published shape to write"},
    {OPTION_SIZE, INPUT, "size", 0, CHOICE("tiny|small|base|tiny-dev|small-dev|base-dev"), NULL,
     COMMAND_BENCH,
     "Instead of a model: random weights of this published shape, made in memory; the dev ones are "
     "for tests"},
    {OPTION_SEED, INPUT, "seed", 's', INTEGER(0, 9007199254740992.0), "0", COMMAND_BENCH,
     "The start of the random numbers, of weights and prompts"},
    {OPTION_SEED, INPUT, "seed", 's', INTEGER(0, 9007199254740992.0), "0", COMMAND_SYNTH,
     "The start of the random numbers; equal seeds give equal files"},
    {OPTION_DECODE, INPUT, "decode", 0, SWITCH, NULL, COMMAND_TOKENIZE,
     "The other way: token ids on standard input, text on standard output"},
    {OPTION_SKIP_SPECIAL, INPUT, "skip-special", 0, SWITCH, NULL, COMMAND_TOKENIZE,
     "Leave special tokens out of the decoded text"},

    {OPTION_PREDICT, ANSWER, "predict", 'n', INTEGER_OR(1, 1e6), "512",
     ANSWERING | COMMAND_EVAL,
     "Most tokens of the answer; -1: as many as fit into the context"},
    {OPTION_PREDICT, ANSWER, "predict", 'n', INTEGER(1, 1e6), "24", COMMAND_TRACE,
     "Greedy tokens to generate; the end token does not stop them"},
    {OPTION_PREDICT, ANSWER, "predict", 'n', INTEGER(0, 1e6), "32", COMMAND_COMPARE,
     "Most tokens of A's answer, which both are given. If a conversation ends with text of an "
     "assistant, that is the answer instead"},
    {OPTION_PREDICT, ANSWER, "predict", 'n', INTEGER(0, 1e6), "32", COMMAND_CALIBRATE,
     "Most tokens of the answer that are run behind each prompt"},
    {OPTION_PREDICT, ANSWER, "predict", 'n', INTEGER(1, 1e6), "8", COMMAND_BENCH,
     "Tokens that are decoded in each run"},
    {OPTION_POSITIONS, ANSWER, "positions", 0, INTEGER(0, 1e7), "256", COMMAND_COMPARE,
     "Compare the next token also at the last N positions of text in each prompt"},
    {OPTION_TEMP, ANSWER, "temp", 0, NUMBER(0, 100), "0", ANSWERING,
     "Temperature of sampling; 0: always take the most likely token"},
    {OPTION_TOP_K, ANSWER, "top-k", 0, INTEGER(0, 1e6), "50", ANSWERING,
     "Sample among the N most likely tokens; 0: off"},
    {OPTION_TOP_P, ANSWER, "top-p", 0, NUMBER(0, 1), "1", ANSWERING,
     "Sample among the most likely tokens that together have this probability; 1: off"},
    {OPTION_MIN_P, ANSWER, "min-p", 0, NUMBER(0, 1), "0", ANSWERING,
     "Drop tokens less likely than this share of the most likely one; 0: off"},
    {OPTION_REPEAT_PENALTY, ANSWER, "repeat-penalty", 0, NUMBER(0.01, 100), "1", ANSWERING,
     "Make tokens that came before less likely; 1: off"},
    {OPTION_PENALIZE_PROMPT, ANSWER, "penalize-prompt", 0, SWITCH, NULL, ANSWERING,
     "The repeat penalty covers the prompt's tokens too"},
    {OPTION_SEED, ANSWER, "seed", 's', INTEGER_OR(0, 9007199254740992.0), "-1", ANSWERING,
     "Seed of sampling, equal seeds give equal answers; -1: another one each time"},
    {OPTION_STOP, ANSWER, "stop", 0, LIST("TEXT"), NULL, COMMAND_ASK | COMMAND_CHAT,
     "End the answer before this text; may be given several times"},
    {OPTION_IGNORE_EOS, ANSWER, "ignore-eos", 0, SWITCH, NULL, COMMAND_ASK | COMMAND_CHAT,
     "Go on when the model ends its answer"},

    {OPTION_RAM, MACHINE, "ram", 0, TEXT("SIZE"), "auto",
     ANSWERING | COMMAND_TRACE | COMMAND_CALIBRATE | COMMAND_EVAL | COMMAND_PLAN,
     "Memory that the program may take, such as 6G, or 50% of all there is; auto: what is free. If "
     "not all of a packed file fits, experts are read from it as they are needed. off: leave it to "
     "the operating system"},
    {OPTION_RAM, MACHINE, "ram", 0, TEXT("SIZE"), "off", COMMAND_BENCH,
     "Memory that the program may take, such as 6G, or 50% of all there is; auto: what is free. If "
     "not all of a packed file fits, experts are read from it as they are needed"},
    {OPTION_SLOTS, MACHINE, "slots", 0, INTEGER(0, 1e9), "0",
     ANSWERING | COMMAND_TRACE | COMMAND_CALIBRATE | COMMAND_EVAL | COMMAND_BENCH,
     "Most routed experts in memory, however much there is; 0: as many as fit"},
    {OPTION_CONTEXT, MACHINE, "ctx-size", 'c', INTEGER(0, 16777216), "0", RUNNING | COMMAND_PLAN,
     "Most tokens of prompt and answer together; 0: what the model was made for"},
    {OPTION_CHUNK, MACHINE, "chunk", 0, INTEGER(1, 65536), "1024",
     RUNNING | COMMAND_BENCH | COMMAND_PLAN,
     "Tokens of the prompt that are computed at once; less needs less memory"},
    {OPTION_KV_TYPE, MACHINE, "kv-type", 0, CHOICE("f32|bf16|f16|int8"), "f32",
     RUNNING | COMMAND_BENCH | COMMAND_PLAN,
     "Numbers of the KV cache: f32 is exact, bf16 and f16 need half of its memory, int8 a quarter"},
    {OPTION_THREADS, MACHINE, "threads", 't', INTEGER(0, 1024), "0",
     RUNNING | COMMAND_VERIFY | COMMAND_UNPACK | COMMAND_PACK | COMMAND_PLAN,
     "Threads; 0: one for each core that this process may use"},
    {OPTION_THREADS, MACHINE, "threads", 't', TEXT("N,..."), "0", COMMAND_BENCH,
     "Threads; 0: one for each core that this process may use; several numbers: all is measured "
     "with each"},
    {OPTION_JOBS, MACHINE, "jobs", 'j', INTEGER(1, 256), "1", COMMAND_EVAL,
     "Tasks that are answered at a time; they share the threads, and each needs a KV cache. The "
     "answers are the same"},
    {OPTION_REPEAT, MACHINE, "repeat", 0, INTEGER(1, 1000), "5", COMMAND_BENCH,
     "Runs of each measurement, behind one that warms up; medians are shown"},
    {OPTION_VERIFY, MACHINE, "verify", 0, CHOICE("use|off|all"), "use", RUNNING,
     "Checksums of a packed file: compare each part's when it is used first, none, or all of them "
     "before anything else"},

    {OPTION_OUTPUT, OUTPUT, "output", 'o', TEXT("DIR"), NULL, COMMAND_TILES,
     "Write the tiles into this folder, as PNG files"},
    {OPTION_OUTPUT, OUTPUT, "output", 'o', TEXT("DIR"), NULL,
     COMMAND_TRACE | COMMAND_SYNTH | COMMAND_UNPACK,
     "The folder to write; it is made if it is missing"},
    {OPTION_OUTPUT, OUTPUT, "output", 'o', TEXT("FILE"), NULL, COMMAND_CALIBRATE,
     "The file to write, for vl2 pack --importance"},
    {OPTION_OUTPUT, OUTPUT, "output", 'o', TEXT("FILE"), NULL, COMMAND_EVAL,
     "Write a line of JSON for each finished task. Tasks that the file has already are not asked "
     "again, so that an interrupted run goes on"},
    {OPTION_RESTART, OUTPUT, "restart", 0, SWITCH, NULL, COMMAND_EVAL,
     "Begin the file of --output anew"},
    {OPTION_TYPE, OUTPUT, "type", 0, CHOICE("source|bf16|f32"), "source", COMMAND_UNPACK,
     "Type of the numbers to write: as they were in the checkpoint, or all of them in one"},
    {OPTION_OUTPUT, OUTPUT, "output", 'o', TEXT("FILE"), NULL, COMMAND_PACK, "The file to write"},
    {OPTION_ROUTING, OUTPUT, "routing", 0, TEXT("FILE"), NULL, COMMAND_TRACE,
     "Write the experts that the tokens of prompt and answer chose, a line for each pass through a "
     "layer"},
    {OPTION_THRESHOLD, OUTPUT, "threshold", 0, NUMBER(0, 1), "0.08", COMMAND_PACK,
     "Compress where that saves at least this share of the bytes; 1: never"},
    {OPTION_LEVEL, OUTPUT, "level", 0, INTEGER(0, 19), "0", COMMAND_PACK,
     "Level of zstd; 0: fast, and best for weights"},
    {OPTION_RESUME, OUTPUT, "resume", 0, SWITCH, NULL, COMMAND_PACK,
     "Go on where an interrupted run with the same options stopped"},
    {OPTION_DRY_RUN, OUTPUT, "dry-run", 0, SWITCH, NULL, COMMAND_PACK,
     "Show what would be written and how much memory it needs, and write nothing"},
    {OPTION_DRAW, OUTPUT, "draw", 0, TEXT("FILE"), NULL, COMMAND_GROUND,
     "Write a copy of the picture with the boxes drawn on it, as PNG"},
    {OPTION_JSON, OUTPUT, "json", 0, SWITCH, NULL,
     COMMAND_ASK | COMMAND_GROUND | COMMAND_INFO | COMMAND_VERIFY | COMMAND_COMPARE |
         COMMAND_BENCH | COMMAND_EVAL | COMMAND_PLAN,
     "Print one JSON object instead of text"},
    {OPTION_JSON, OUTPUT, "json", 0, SWITCH, NULL, COMMAND_BOXES,
     "Print what the reference extracts: a list of {\"label\", \"box_px\"}, or null"},
    {OPTION_JSON, OUTPUT, "json", 0, SWITCH, NULL, COMMAND_TOP, "With --cpu: as one JSON object"},
    {OPTION_JSON, OUTPUT, "json", 0, SWITCH, NULL, COMMAND_TOKENIZE,
     "Read a JSON array and print one: strings to arrays of ids, or back with --decode"},
    {OPTION_JSON, OUTPUT, "json", 0, SWITCH, NULL, COMMAND_PACK,
     "With --dry-run: print one JSON object"},
    {OPTION_YES, OUTPUT, "yes", 'y', SWITCH, NULL, COMMAND_PACK,
     "Replace a file that is already there, once the new one is whole"},
    {OPTION_YES, OUTPUT, "yes", 'y', SWITCH, NULL, COMMAND_SYNTH | COMMAND_UNPACK,
     "Overwrite a checkpoint that is already there"},
    {OPTION_PROGRESS, OUTPUT, "progress", 0, SWITCH, NULL, WORKING,
     "Show progress on standard error even where that is not a terminal"},
    {OPTION_NO_PROGRESS, OUTPUT, "no-progress", 0, SWITCH, NULL, WORKING, "Show no progress"},
    {OPTION_QUIET, OUTPUT, "quiet", 'q', SWITCH, NULL, WORKING,
     "Only the result and errors: no progress, no summary"},
    {OPTION_VERBOSE, OUTPUT, "verbose", 'v', SWITCH, NULL, WORKING,
     "Print a summary of times and memory on standard error"},
    {OPTION_VERBOSE, OUTPUT, "verbose", 'v', SWITCH, NULL, COMMAND_INFO,
     "List the tensors that the model does not use"},
    {OPTION_CPU, OUTPUT, "cpu", 0, SWITCH, NULL, COMMAND_TOP,
     "Show this machine as vl2 sees it: instruction sets, caches, kernels"},
    {OPTION_VERSION, OUTPUT, "version", 0, SWITCH, NULL, COMMAND_TOP, "Print the version"},
    {OPTION_HELP, OUTPUT, "help", 'h', SWITCH, NULL, ALL, "Print this help"},
};

const option *options_all(size_t *count)
{
    *count = sizeof(table) / sizeof(table[0]);
    return table;
}

const option *option_by_name(const command *command, const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if ((table[i].commands & command->bit) && strlen(table[i].name) == length &&
            memcmp(table[i].name, name, length) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

const option *option_by_letter(const command *command, char letter)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if ((table[i].commands & command->bit) && letter != 0 && table[i].letter == letter) {
            return &table[i];
        }
    }
    return NULL;
}

const option *option_by_id(const command *command, option_id id)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if ((table[i].commands & command->bit) && table[i].id == id) {
            return &table[i];
        }
    }
    return NULL;
}

const char *option_environment(const option *option, char text[OPTION_ENVIRONMENT_SIZE])
{
    size_t used = 0;
    bool asks =
        option->id == OPTION_HELP || option->id == OPTION_VERSION || option->id == OPTION_CPU;
    if (!asks) { /* VL2_CPU is the kernels' mask of instruction sets */
        used = 4;
        memcpy(text, "VL2_", used);
    }
    for (const char *from = option->name;
         !asks && *from != '\0' && used < OPTION_ENVIRONMENT_SIZE - 1; from++) {
        text[used++] = *from == '-' ? '_' : (char)toupper((unsigned char)*from);
    }
    text[used] = '\0';
    return text;
}

const char *option_group_title(option_group group)
{
    static const char *const titles[OPTION_GROUP_COUNT] = {
        [OPTION_GROUP_INPUT] = "Input",
        [OPTION_GROUP_ANSWER] = "Answer",
        [OPTION_GROUP_MACHINE] = "Memory and processors",
        [OPTION_GROUP_OUTPUT] = "Output",
    };
    return titles[group];
}

/* Edit distance (Levenshtein) between two words of fewer than 32 letters. */
static size_t word_distance(const char *a, const char *b)
{
    size_t row[32], length = strlen(b);
    if (strlen(a) >= 32 || length >= 32) {
        return 32;
    }
    for (size_t j = 0; j <= length; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 1; j <= length; j++) {
            size_t changed = diagonal + (a[i] != b[j - 1]);
            size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = changed < shorter ? changed : shorter;
        }
    }
    return row[length];
}

const char *closest_word(const char *word, const char *const *words, size_t count)
{
    const char *best = NULL;
    size_t best_distance = 1 + strlen(word) / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        size_t distance = word_distance(word, words[i]);
        if (distance < best_distance) {
            best_distance = distance;
            best = words[i];
        }
    }
    return best;
}
