/* vl2 bench: what this machine makes of a model, and what it could. */
#include "cli/bench.h"
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/format.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/ram.h"
#include "cli/request.h"
#include "cli/streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_NUMBERS 64

/* Whole numbers between commas. */
typedef struct number_list {
    int numbers[MOST_NUMBERS];
    size_t count;
} number_list;

static int read_numbers(const arguments *arguments, option_id id, int least, int most,
                        number_list *list)
{
    const char *text = argument(arguments, id)->text, *at = text;
    list->count = 0;
    for (bool more = true; more; at++) {
        char *end;
        long number = strtol(at, &end, 10);
        bool digits = end > at && strspn(at, "0123456789") == (size_t)(end - at);
        if (!digits || number < least || number > most || (*end != ',' && *end != '\0') ||
            list->count == MOST_NUMBERS) {
            return fail_usage(arguments->command,
                              "--%s: found \"%s\", expected whole numbers from %d to %d, separated "
                              "by commas", option_by_id(arguments->command, id)->name, text, least,
                              most);
        }
        list->numbers[list->count++] = (int)number;
        more = *end == ',';
        at = end;
    }
    return EXIT_CODE_OK;
}

static const vl2_bench_part parts[] = {VL2_BENCH_MACHINE, VL2_BENCH_PREFILL, VL2_BENCH_DECODE,
                                       VL2_BENCH_VISION, VL2_BENCH_FIRST_TOKEN};

/* The sum of the parts in a list; 0 if a word is none. */
static unsigned read_parts(const char *text)
{
    unsigned sum = 0;
    for (const char *at = text; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        unsigned part = 0;
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            const char *name = bench_part_name(parts[i]);
            if (strlen(name) == strcspn(at, ",") && strncmp(name, at, strlen(name)) == 0) {
                part = (unsigned)parts[i];
            }
        }
        if (part == 0) {
            return 0;
        }
        sum |= part;
    }
    return sum;
}

/* The lists of numbers that the options point into. */
typedef struct bench_lists {
    number_list prompts, contexts, threads;
} bench_lists;

static int read_lists(const arguments *arguments, bench_lists *lists, vl2_bench_options *options)
{
    int code = read_numbers(arguments, OPTION_PROMPTS, 1, 1 << 20, &lists->prompts);
    if (code == EXIT_CODE_OK) {
        code = read_numbers(arguments, OPTION_CONTEXTS, 0, 1 << 20, &lists->contexts);
    }
    if (code == EXIT_CODE_OK) {
        code = read_numbers(arguments, OPTION_THREADS, 0, 1024, &lists->threads);
    }
    for (size_t i = 0; code == EXIT_CODE_OK && i < lists->threads.count; i++) {
        if (lists->threads.numbers[i] == 0) {
            lists->threads.numbers[i] = vl2_cpu_count();
        }
    }
    options->prompts = lists->prompts.numbers;
    options->prompt_count = lists->prompts.count;
    options->contexts = lists->contexts.numbers;
    options->context_count = lists->contexts.count;
    options->threads = lists->threads.numbers;
    options->thread_count = lists->threads.count;
    return code;
}

/* What --quick says about everything that was not asked for. */
static void be_quick(const arguments *arguments, bench_lists *lists, vl2_bench_options *options)
{
    if (!argument(arguments, OPTION_PROMPTS)->given) {
        lists->prompts = (number_list){{128}, 1};
        options->prompt_count = 1;
    }
    if (!argument(arguments, OPTION_CONTEXTS)->given) {
        lists->contexts = (number_list){{0}, 1};
        options->context_count = 1;
    }
    if (!argument(arguments, OPTION_REPEAT)->given) {
        options->repeat = 1;
    }
    if (!argument(arguments, OPTION_ONLY)->given) {
        options->parts &= ~(unsigned)VL2_BENCH_FIRST_TOKEN;
    }
}

static int read_options(const arguments *arguments, bench_lists *lists, vl2_bench_options *options)
{
    vl2_bench_options_defaults(options);
    options->model = arguments->operand_count > 0 ? arguments->operands[0]
                                                  : argument(arguments, OPTION_MODEL)->text;
    options->size = argument(arguments, OPTION_SIZE)->text;
    options->quant = argument(arguments, OPTION_QUANT)->text;
    options->seed = (uint64_t)argument(arguments, OPTION_SEED)->integer;
    options->tokens = (int)argument(arguments, OPTION_PREDICT)->integer;
    options->slots = (size_t)argument(arguments, OPTION_SLOTS)->integer;
    options->chunk = (int)argument(arguments, OPTION_CHUNK)->integer;
    options->kv_type = kv_type_option(arguments);
    options->repeat = (int)argument(arguments, OPTION_REPEAT)->integer;
    const char *only = argument(arguments, OPTION_ONLY)->text;
    if (only != NULL && (options->parts = read_parts(only)) == 0) {
        return fail_usage(arguments->command,
                          "--only: found \"%s\", expected some of machine, prefill, decode, vision "
                          "and first-token, separated by commas", only);
    }
    if (options->size != NULL && options->model != NULL) {
        return fail_usage(arguments->command, "a model and --size: give one of the two");
    }
    if (options->size == NULL && options->model == NULL && options->parts != VL2_BENCH_MACHINE) {
        return fail_usage(arguments->command, "no model: give -m MODEL, or --size for random "
                                              "weights, or --only machine");
    }
    if (options->model != NULL && argument(arguments, OPTION_QUANT)->given) {
        return fail_usage(arguments->command, "--quant is for random weights (--size)");
    }
    int code = ram_option(arguments, &options->ram);
    if (code == EXIT_CODE_OK) {
        code = read_lists(arguments, lists, options);
    }
    if (code == EXIT_CODE_OK && argument(arguments, OPTION_QUICK)->on) {
        be_quick(arguments, lists, options);
    }
    return code;
}

static int run_bench(const arguments *arguments)
{
    vl2_bench_options options;
    bench_lists lists;
    int code = read_options(arguments, &lists, &options);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    progress progress;
    progress_init(&progress, arguments, false);
    options.progress = progress_report;
    options.progress_user = &progress;
    options.cancelled = interrupt_came;
    vl2_bench_report report;
    vl2_error error;
    double start = progress_clock();
    interrupt_noted();
    vl2_status status = vl2_bench(&options, &report, &error);
    interrupt_ends();
    progress_clear(&progress);
    if (status != VL2_OK) {
        return status == VL2_ERROR_CANCELLED
                   ? fail(arguments->command, EXIT_CODE_INTERRUPTED, "interrupted")
                   : fail_status(arguments->command, &error);
    }
    if (argument(arguments, OPTION_JSON)->on) {
        code = print_json(arguments->command, bench_json(&report));
    } else {
        bench_print(&report);
    }
    char duration[FORMAT_SIZE];
    if (argument(arguments, OPTION_VERBOSE)->on) {
        fprintf(stderr, "[measured in %s]\n", format_duration(progress_clock() - start, duration));
    }
    vl2_bench_report_clear(&report);
    return code;
}

const command command_bench = {
    "bench",
    COMMAND_BENCH,
    "-m MODEL|--size tiny|small|base [--quant PRESET] [options]",
    "Measure speed beside the limits of the machine",
    "Measures how fast this machine reads memory and multiplies, and then prefill, decode, the "
    "vision tower and the time to the first token of a model, each beside its limit: reading the "
    "weights that a token uses once, or computing the products at the peak. --size takes random "
    "weights of a published shape, made in memory: nothing has to be downloaded.",
    "  vl2 bench --size tiny\n"
    "  vl2 bench -m deepseek-vl2-small.vl2 --only decode,first-token --json\n"
    "  vl2 bench --size small --quant int4 --only prefill,decode --threads 1,2\n",
    1,
    run_bench,
};
