/* vl2 pack: one file out of a checkpoint folder. */
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/format.h"
#include "cli/interrupt.h"
#include "cli/streams.h"
#include "cli/weight_groups.h"
#include "cli/writing.h"
#include "vl2.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ------------------------------------------------------------------------------------ the plan */

static void print_plan(const vl2_pack_summary *plan)
{
    char file[FORMAT_SIZE], all[FORMAT_SIZE], paged[FORMAT_SIZE], cache[FORMAT_SIZE],
        left_out[FORMAT_SIZE], source[FORMAT_SIZE];
    weight_groups_print(plan);
    printf("\nfile       about %s (%.2f GB) from %s\n", format_bytes(plan->file_bytes, file),
           (double)plan->file_bytes * 1e-9, format_bytes(plan->source_bytes, source));
    if (plan->left_out_tensors > 0) {
        printf("left out   %llu tensors, %s, which the model does not use\n",
               (unsigned long long)plan->left_out_tensors,
               format_bytes(plan->left_out_bytes, left_out));
    }
    printf("memory     %s with all weights resident,\n"
           "           %s with the routed experts of one layer at a time;\n"
           "           %s more for the KV cache of a full context\n",
           format_bytes(plan->memory_resident, all), format_bytes(plan->memory_paged, paged),
           format_bytes(plan->kv_bytes, cache));
}

static json_t *plan_json(const vl2_pack_summary *plan)
{
    return json_pack(
        "{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:o}", "estimated",
        plan->estimated, "file_bytes", (json_int_t)plan->file_bytes, "weight_bytes",
        (json_int_t)plan->weight_bytes, "source_bytes", (json_int_t)plan->source_bytes, "records",
        (json_int_t)plan->records, "tensors", (json_int_t)plan->tensors, "parameters",
        (json_int_t)plan->parameters, "bits", bits_per_weight(plan->weight_bytes, plan->parameters),
        "left_out_tensors", (json_int_t)plan->left_out_tensors, "left_out_bytes",
        (json_int_t)plan->left_out_bytes, "memory_resident", (json_int_t)plan->memory_resident,
        "memory_paged", (json_int_t)plan->memory_paged, "kv_bytes", (json_int_t)plan->kv_bytes,
        "groups", weight_groups_json(plan));
}

static int show_plan(const arguments *arguments, const vl2_pack_options *options)
{
    vl2_pack_summary plan;
    vl2_error error;
    if (vl2_pack_plan(options, &plan, &error) != VL2_OK) {
        return fail_status(arguments->command, &error);
    }
    int code = EXIT_CODE_OK;
    if (argument(arguments, OPTION_JSON)->on) {
        code = print_json(arguments->command, plan_json(&plan));
    } else {
        print_plan(&plan);
    }
    return finish_output(arguments->command, code);
}

/* ------------------------------------------------------------------------------------ packing */

static int report_failure(const arguments *arguments, const vl2_pack_options *options,
                          const vl2_error *error)
{
    const command *command = arguments->command;
    char part[4096];
    struct stat info;
    bool of_file = strncmp(error->message, options->out, strlen(options->out)) == 0;
    if (error->status == VL2_ERROR_ARGUMENT && of_file && !options->overwrite &&
        stat(options->out, &info) == 0) {
        return fail(command, EXIT_CODE_USAGE, "%s; -y overwrites it", error->message);
    }
    snprintf(part, sizeof(part), "%s.part.journal", options->out);
    if (error->status == VL2_ERROR_CANCELLED || error->status == VL2_ERROR_IO) {
        bool noted = stat(part, &info) == 0;
        const char *advice = noted ? "; the same command with --resume goes on" : "";
        return error->status == VL2_ERROR_CANCELLED
                   ? fail(command, EXIT_CODE_INTERRUPTED, "interrupted%s", advice)
                   : fail(command, EXIT_CODE_FAILURE, "%s%s", error->message, advice);
    }
    return fail_status(command, error);
}

static int write_file(const arguments *arguments, vl2_pack_options *options)
{
    writing writing;
    options->progress = progress_report;
    options->progress_user = &writing.progress;
    options->cancelled = interrupt_came;
    vl2_error error;
    writing_begin(&writing, arguments);
    vl2_status status = vl2_pack(options, &error);
    writing_end(&writing);
    if (status != VL2_OK) {
        return report_failure(arguments, options, &error);
    }
    char duration[FORMAT_SIZE], size[FORMAT_SIZE];
    struct stat info;
    if (writing_tells(&writing)) {
        uint64_t bytes = stat(options->out, &info) == 0 ? (uint64_t)info.st_size : 0;
        fprintf(stderr, "[%s: %s written in %s; vl2 info shows it]\n", options->out,
                format_bytes(bytes, size), format_duration(writing_seconds(&writing), duration));
    }
    return EXIT_CODE_OK;
}

static int run_pack(const arguments *arguments)
{
    vl2_pack_options options;
    vl2_pack_options_defaults(&options);
    const option_value *types = argument(arguments, OPTION_TYPE);
    options.model = arguments->operand_count > 0 ? arguments->operands[0]
                                                 : argument(arguments, OPTION_MODEL)->text;
    options.out = argument(arguments, OPTION_OUTPUT)->text;
    options.quant = argument(arguments, OPTION_QUANT)->text;
    options.types = types->list;
    options.type_count = types->count;
    options.importance = argument(arguments, OPTION_IMPORTANCE)->text;
    options.lora = argument(arguments, OPTION_LORA)->text;
    options.threshold = argument(arguments, OPTION_THRESHOLD)->number;
    options.level = (int)argument(arguments, OPTION_LEVEL)->integer;
    options.threads = (int)argument(arguments, OPTION_THREADS)->integer;
    options.overwrite = argument(arguments, OPTION_YES)->on;
    options.resume = argument(arguments, OPTION_RESUME)->on;
    if (options.model == NULL) {
        return fail_usage(arguments->command, "no model: name a checkpoint folder");
    }
    if (argument(arguments, OPTION_DRY_RUN)->on) {
        return show_plan(arguments, &options);
    }
    if (options.out == NULL) {
        return fail_usage(arguments->command, "nowhere to write: give -o FILE");
    }
    return write_file(arguments, &options);
}

const command command_pack = {
    "pack",
    COMMAND_PACK,
    "DIR -o FILE [--quant PRESET] [--type PATTERN=TYPE]... [options]",
    "Pack a checkpoint into one small file",
    "Packs a checkpoint folder into one file with configuration, tokenizer and weights in fewer "
    "bits, which every command takes instead of the folder. mixed, the default, has the routed "
    "experts in int4 and the rest in int8; bf16 loses nothing. An interrupted run goes on with "
    "--resume; --dry-run shows sizes and writes nothing.",
    "  vl2 pack deepseek-vl2-tiny -o tiny.vl2 && vl2 chat -m tiny.vl2\n"
    "  vl2 pack deepseek-vl2-small --quant int6 --type experts=int4 --dry-run\n",
    1,
    run_pack,
};
