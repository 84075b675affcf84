/* vl2 verify: is every byte of a packed file as it was written? */
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/format.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/streams.h"
#include "vl2.h"

#include <stdio.h>
#include <string.h>

static json_t *number_or_null(int number)
{
    return number < 0 ? json_null() : json_integer(number);
}

static json_t *damage_json(const vl2_verify_report *report)
{
    json_t *list = json_array();
    for (size_t i = 0; i < report->damage_count; i++) {
        const vl2_damage *damage = &report->damage[i];
        json_t *entry = json_pack(
            "{s:o, s:o, s:s, s:s, s:I, s:I, s:o}", "layer", number_or_null(damage->layer), "expert",
            number_or_null(damage->expert), "name", damage->name, "plane", damage->plane, "offset",
            (json_int_t)damage->offset, "size", (json_int_t)damage->size, "text",
            json_text(damage->text, strlen(damage->text)));
        if (json_array_append_new(list, entry) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *report_json(const char *path, const vl2_verify_report *report)
{
    return json_pack("{s:o, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "file",
                     json_text(path, strlen(path)), "whole", report->damaged == 0, "hash",
                     report->file_hash, "bytes", (json_int_t)report->file_bytes, "records",
                     (json_int_t)report->records, "tensors", (json_int_t)report->tensors, "blobs",
                     (json_int_t)report->blobs, "frames", (json_int_t)report->frames, "damaged",
                     (json_int_t)report->damaged, "damage", damage_json(report));
}

static int print_report(const arguments *arguments, const char *path,
                        const vl2_verify_report *report, double seconds)
{
    char bytes[FORMAT_SIZE], rate[FORMAT_SIZE];
    if (argument(arguments, OPTION_JSON)->on) {
        return print_json(arguments->command, report_json(path, report));
    }
    for (size_t i = 0; i < report->damage_count; i++) {
        printf("%s\n", report->damage[i].text);
    }
    if (report->damage_count < report->damaged) {
        printf("... and %zu more\n", report->damaged - report->damage_count);
    }
    if (report->damaged == 0 && !argument(arguments, OPTION_QUIET)->on) {
        printf("%s is whole: %s in %zu records, %zu tensors, %zu checksums (%s/s)\n", path,
               format_bytes(report->file_bytes, bytes), report->records, report->tensors,
               report->frames,
               format_bytes((uint64_t)((double)report->file_bytes / (seconds + 1e-6)), rate));
        printf("hash %s\n", report->file_hash);
    }
    return EXIT_CODE_OK;
}

static int run_verify(const arguments *arguments)
{
    vl2_verify_options options;
    vl2_verify_options_defaults(&options);
    if (arguments->operand_count == 0) {
        return fail_usage(arguments->command, "no file: name a packed file");
    }
    progress progress;
    progress_init(&progress, arguments, false);
    options.path = arguments->operands[0];
    options.threads = (int)argument(arguments, OPTION_THREADS)->integer;
    options.progress = progress_report;
    options.progress_user = &progress;
    options.cancelled = interrupt_came;
    vl2_error error;
    vl2_verify_report report;
    double start = progress_clock();
    interrupt_noted();
    vl2_status status = vl2_verify_file(&options, &report, &error);
    interrupt_ends();
    progress_clear(&progress);
    int code = EXIT_CODE_OK;
    if (status == VL2_OK || report.damaged > 0) {
        code = print_report(arguments, options.path, &report, progress_clock() - start);
    }
    if (status != VL2_OK) {
        code = fail_status(arguments->command, &error);
    }
    vl2_verify_report_clear(&report);
    return finish_output(arguments->command, code);
}

const command command_verify = {
    "verify",
    COMMAND_VERIFY,
    "FILE [-t N] [--json]",
    "Look for damage in a packed file",
    "Reads every byte of a packed file and compares all checksums; also looks at what compressed "
    "parts expand to, at the ranges of codes and scales, and at the bytes between the parts. Lists "
    "what is damaged by layer, expert, tensor and offset. Exit code 3 if something is.",
    "  vl2 verify model.vl2\n",
    1,
    run_verify,
};
