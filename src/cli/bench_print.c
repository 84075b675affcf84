#include "cli/bench.h"
#include "cli/format.h"
#include "cli/paging.h"
#include "cli/streams.h"

#include <stdio.h>
#include <string.h>

#define GIGA 1e-9
#define TERA 1e-12

const char *bench_part_name(vl2_bench_part part)
{
    switch (part) {
    case VL2_BENCH_MACHINE:
        return "machine";
    case VL2_BENCH_PREFILL:
        return "prefill";
    case VL2_BENCH_DECODE:
        return "decode";
    case VL2_BENCH_VISION:
        return "vision";
    case VL2_BENCH_FIRST_TOKEN:
        return "first-token";
    }
    return NULL;
}

/* ------------------------------------------------------------------------------- text */

#define NAME_SIZE 48

/* "prefill 512", "decode at 1024", "vision, 10 tiles" */
static void name_result(const vl2_bench_result *result, char name[NAME_SIZE])
{
    switch (result->part) {
    case VL2_BENCH_PREFILL:
        snprintf(name, NAME_SIZE, "prefill %d", result->tokens);
        break;
    case VL2_BENCH_DECODE:
        snprintf(name, NAME_SIZE, "decode at %d", result->context);
        break;
    case VL2_BENCH_VISION:
        snprintf(name, NAME_SIZE, "vision, %d tile%s", result->tiles,
                 result->tiles == 1 ? "" : "s");
        break;
    default:
        snprintf(name, NAME_SIZE, "first token, %d", result->tokens);
        break;
    }
}

/* What was read of the file. */
static void print_paging(const vl2_bench_result *result)
{
    const vl2_paging *paging = &result->paging;
    if (paging->uses == 0) {
        return;
    }
    double times = (double)result->runs;
    times *= result->part == VL2_BENCH_DECODE ? (double)result->tokens : 1;
    char bytes[FORMAT_SIZE];
    printf("%20s %10s read each time, %.1f %% of experts in memory, %.4f s waited for, ", "",
           format_bytes((uint64_t)((double)paging->bytes / times), bytes),
           100 * (double)paging->hits / (double)paging->uses, paging->stalled / times);
    printf("%.0f %% of what was read ahead used",
           paging->early > 0 ? 100 * (double)paging->early_used / (double)paging->early : 0.0);
    if (result->part == VL2_BENCH_DECODE) {
        printf(", 99 %% of tokens within %.4f s", result->p99);
    }
    putchar('\n');
}

static void print_storage(const vl2_bench_run *run)
{
    const vl2_paging *paging = run->result_count > 0 ? &run->results[0].paging : NULL;
    if (paging != NULL && paging->slots > 0) {
        printf("reading storage %14.2f GB/s%s, %d at once%s; %llu experts fit into memory\n",
               paging->bandwidth * GIGA, paging->direct ? "" : " through the page cache",
               paging->depth, paging->uring ? " (io_uring)" : "",
               (unsigned long long)paging->slots);
    }
}

static void print_result(const vl2_bench_result *result)
{
    char name[NAME_SIZE], rate[NAME_SIZE] = "";
    name_result(result, name);
    if (result->part == VL2_BENCH_VISION) {
        snprintf(rate, sizeof(rate), "%.2f s/tile", result->seconds / result->tiles);
    } else if (result->part != VL2_BENCH_FIRST_TOKEN) {
        snprintf(rate, sizeof(rate), "%.2f tokens/s", result->rate);
    }
    printf("%-20s %10.4f s %16s   limit %9.4f s %6.1f %%\n", name, result->seconds, rate,
           result->limit, 100 * result->fraction);
    print_paging(result);
}

static void print_machine(const vl2_bench_run *run)
{
    printf("reading memory %15.1f GB/s\n", run->read_bandwidth * GIGA);
    for (size_t i = 0; i < run->peak_count; i++) {
        const vl2_bench_peak *peak = &run->peaks[i];
        printf("%-5s %-14s %10.3f T%s%s\n", peak->kind, peak->isa, peak->rate * TERA,
               strcmp(peak->kind, "int8") == 0 ? "OPS" : "FLOPS", peak->used ? "   used" : "");
    }
}

/* Share of a stage in a result, percent; below 0 if it is not there. */
static double stage_share(const vl2_bench_result *result, const char *name)
{
    double sum = 0, found = -1;
    for (size_t i = 0; i < result->stage_count; i++) {
        sum += result->stages[i].seconds;
        if (strcmp(result->stages[i].name, name) == 0) {
            found = result->stages[i].seconds;
        }
    }
    return found < 0 ? found : 100 * found / sum;
}

/* True if an earlier result has the stage too: its row stands already. */
static bool stage_printed(const vl2_bench_run *run, size_t before, const char *name)
{
    for (size_t i = 0; i < before; i++) {
        if (stage_share(&run->results[i], name) >= 0) {
            return true;
        }
    }
    return false;
}

static void print_stage(const vl2_bench_run *run, const char *name)
{
    printf("%-32s", name);
    for (size_t i = 0; i < run->result_count; i++) {
        double share = stage_share(&run->results[i], name);
        if (share < 0) {
            printf("%8s", "-");
        } else {
            printf("%8.1f", share);
        }
    }
    putchar('\n');
}

static void print_stages(const vl2_bench_run *run)
{
    printf("\n%-32s", "share of the time, %");
    for (size_t i = 0; i < run->result_count; i++) {
        const vl2_bench_result *result = &run->results[i];
        char name[NAME_SIZE];
        snprintf(name, sizeof(name), "%c%d", bench_part_name(result->part)[0],
                 result->part == VL2_BENCH_PREFILL  ? result->tokens
                 : result->part == VL2_BENCH_DECODE ? result->context
                                                    : result->tiles);
        printf("%8s", name);
    }
    putchar('\n');
    for (size_t i = 0; i < run->result_count; i++) {
        for (size_t k = 0; k < run->results[i].stage_count; k++) {
            if (!stage_printed(run, i, run->results[i].stages[k].name)) {
                print_stage(run, run->results[i].stages[k].name);
            }
        }
    }
}

static void print_run(const vl2_bench_run *run)
{
    char memory[FORMAT_SIZE];
    printf("\n%d thread%s\n", run->threads, run->threads == 1 ? "" : "s");
    print_machine(run);
    print_storage(run);
    for (size_t i = 0; i < run->result_count; i++) {
        if (i == 0) {
            putchar('\n');
        }
        print_result(&run->results[i]);
    }
    if (run->result_count > 0) {
        print_stages(run);
        printf("\npeak memory %s\n", format_bytes(run->memory_peak, memory));
    }
}

void bench_print(const vl2_bench_report *report)
{
    char weights[FORMAT_SIZE], active[FORMAT_SIZE], cache[FORMAT_SIZE];
    if (report->weight_bytes > 0) {
        printf("%s%s%s: weights %s, of which a token reads %s; KV cache %s a position\n"
               "ready in %.1f s\n",
               report->model, report->quant[0] != '\0' ? ", " : "", report->quant,
               format_bytes(report->weight_bytes, weights),
               format_bytes(report->active_bytes, active), format_bytes(report->cache_bytes, cache),
               report->seconds_open);
    }
    for (size_t i = 0; i < report->run_count; i++) {
        print_run(&report->runs[i]);
    }
}

/* ------------------------------------------------------------------------------- JSON */

static json_t *peaks_json(const vl2_bench_run *run)
{
    json_t *list = json_array();
    for (size_t i = 0; i < run->peak_count; i++) {
        const vl2_bench_peak *peak = &run->peaks[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:b}", "isa", peak->isa, "kind",
                                              peak->kind, "operations_per_second",
                                              json_number(peak->rate), "used", peak->used));
    }
    return list;
}

static json_t *stages_json(const vl2_bench_result *result)
{
    json_t *stages = json_object();
    for (size_t i = 0; i < result->stage_count; i++) {
        json_object_set_new(stages, result->stages[i].name, json_number(result->stages[i].seconds));
    }
    return stages;
}

static json_t *result_json(const vl2_bench_result *result)
{
    return json_pack(
        "{s:s, s:i, s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o}",
        "part", bench_part_name(result->part), "tokens", result->tokens, "context", result->context,
        "tiles", result->tiles, "runs", result->runs, "seconds", json_number(result->seconds),
        "seconds_least", json_number(result->least), "seconds_most", json_number(result->most),
        "rate", json_number(result->rate), "weight_bytes", json_number(result->weight_bytes),
        "cache_bytes", json_number(result->cache_bytes), "integer_operations",
        json_number(result->integer_operations), "float_operations",
        json_number(result->float_operations), "limit_seconds", json_number(result->limit),
        "fraction", json_number(result->fraction), "seconds_p99", json_number(result->p99),
        "paging", paging_json(&result->paging), "stages", stages_json(result));
}

static json_t *run_json(const vl2_bench_run *run)
{
    json_t *results = json_array();
    for (size_t i = 0; i < run->result_count; i++) {
        json_array_append_new(results, result_json(&run->results[i]));
    }
    return json_pack("{s:i, s:o, s:o, s:o, s:I}", "threads", run->threads, "read_bandwidth",
                     json_number(run->read_bandwidth), "peaks", peaks_json(run), "results", results,
                     "memory_peak", (json_int_t)run->memory_peak);
}

json_t *bench_json(const vl2_bench_report *report)
{
    json_t *runs = json_array();
    for (size_t i = 0; i < report->run_count; i++) {
        json_array_append_new(runs, run_json(&report->runs[i]));
    }
    return json_pack("{s:o, s:o, s:I, s:I, s:I, s:o, s:o}", "model",
                     json_text(report->model, strlen(report->model)), "quant",
                     json_text(report->quant, strlen(report->quant)), "weight_bytes",
                     (json_int_t)report->weight_bytes, "active_bytes",
                     (json_int_t)report->active_bytes, "cache_bytes_per_position",
                     (json_int_t)report->cache_bytes, "seconds_open",
                     json_number(report->seconds_open), "runs", runs);
}
