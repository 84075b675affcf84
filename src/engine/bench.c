/* vl2_bench: options, the model, and one run for each number of threads. */
#include "engine/bench.h"
#include "engine/numbers.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_TOKENS  (1 << 20)
#define MOST_REPEAT  1000
#define MOST_THREADS 1024
#define MOST_CHUNK   (1 << 16)

static const int standard_prompts[] = {128, 512, 2048};
static const int standard_contexts[] = {0, 1024, 3500};

void vl2_bench_options_defaults(vl2_bench_options *options)
{
    *options = (vl2_bench_options){
        .parts = VL2_BENCH_MACHINE | VL2_BENCH_PREFILL | VL2_BENCH_DECODE | VL2_BENCH_VISION |
                 VL2_BENCH_FIRST_TOKEN,
        .tokens = 8, .chunk = 1024, .repeat = 5};
}

vl2_status bench_check(const bench *bench, vl2_error *error)
{
    const vl2_bench_options *options = bench->options;
    if (options->cancelled != NULL && options->cancelled(options->cancelled_user)) {
        return vl2_fail(error, VL2_ERROR_CANCELLED, "cancelled while measuring");
    }
    return VL2_OK;
}

static void report_progress(const bench *bench)
{
    if (bench->options->progress != NULL) {
        vl2_progress progress = {VL2_STAGE_BENCH, bench->done, bench->total,
                                 clock_seconds() - bench->began, NULL};
        bench->options->progress(&progress, bench->options->progress_user);
    }
}

void bench_step(bench *bench)
{
    bench->done++;
    report_progress(bench);
}

double bench_median(double *numbers, size_t count)
{
    numbers_sort(numbers, count);
    return numbers_median(numbers, count);
}

/* ------------------------------------------------------------------------------- options */

static vl2_status check_numbers(const char *name, const int *numbers, size_t count, int least,
                                int most, vl2_error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] < least || numbers[i] > most) {
            return vl2_fail(error, VL2_ERROR_ARGUMENT, "%s: found %d, expected %d to %d", name,
                            numbers[i], least, most);
        }
    }
    return VL2_OK;
}

static vl2_status check_options(const vl2_bench_options *options, vl2_error *error)
{
    const struct {
        const char *name;
        const int *numbers;
        size_t count;
        int least, most;
    } lists[] = {
        {"prompts", options->prompts, options->prompt_count, 1, MOST_TOKENS},
        {"contexts", options->contexts, options->context_count, 0, MOST_TOKENS},
        {"threads", options->threads, options->thread_count, 1, MOST_THREADS},
        {"tokens", &options->tokens, 1, 1, MOST_TOKENS},
        {"chunk", &options->chunk, 1, 1, MOST_CHUNK},
        {"repeat", &options->repeat, 1, 1, MOST_REPEAT},
    };
    vl2_status status = VL2_OK;
    for (size_t i = 0; status == VL2_OK && i < sizeof(lists) / sizeof(lists[0]); i++) {
        status = check_numbers(lists[i].name, lists[i].numbers, lists[i].count, lists[i].least,
                               lists[i].most, error);
    }
    if (status == VL2_OK && options->model != NULL && options->size != NULL) {
        status = vl2_fail(error, VL2_ERROR_ARGUMENT,
                          "size: found \"%.60s\" beside a model, expected one of the two",
                          options->size);
    }
    if (status == VL2_OK && options->model == NULL && options->size == NULL &&
        options->parts != VL2_BENCH_MACHINE) {
        status = vl2_fail(error, VL2_ERROR_ARGUMENT,
                          "model: found neither a model nor a size, expected one of the two");
    }
    return status;
}

/* Fills in the lists that are not given. *threads is for their default. */
static void complete_options(vl2_bench_options *options, int *threads)
{
    if (options->prompts == NULL) {
        options->prompts = standard_prompts;
        options->prompt_count = sizeof(standard_prompts) / sizeof(standard_prompts[0]);
    }
    if (options->contexts == NULL) {
        options->contexts = standard_contexts;
        options->context_count = sizeof(standard_contexts) / sizeof(standard_contexts[0]);
    }
    if (options->threads == NULL) {
        *threads = team_processors();
        options->threads = threads;
        options->thread_count = 1;
    }
}

/* ------------------------------------------------------------------------------- the model */

static int most_threads(const vl2_bench_options *options)
{
    int most = 1;
    for (size_t i = 0; i < options->thread_count; i++) {
        most = options->threads[i] > most ? options->threads[i] : most;
    }
    return most;
}

static vl2_status open_random(bench *bench, vl2_bench_report *report, vl2_error *error)
{
    const vl2_bench_options *options = bench->options;
    synth_shape shape;
    if (synth_shape_named(options->size, &shape) != VL2_OK) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "size: found \"%.60s\", expected tiny, small or base (or tiny-dev, "
                        "small-dev, base-dev)", options->size);
    }
    pack_types types;
    vl2_status status = pack_types_read(options->quant, NULL, 0, &types, error);
    if (status != VL2_OK) {
        return status;
    }
    team team = {.threads = most_threads(options)};
    random_weights_options random = {.shape = &shape, .types = &types, .seed = options->seed,
                                     .team = &team, .progress = options->progress,
                                     .progress_user = options->progress_user,
                                     .cancelled = options->cancelled,
                                     .cancelled_user = options->cancelled_user};
    snprintf(report->model, sizeof(report->model), "random %s", options->size);
    snprintf(report->quant, sizeof(report->quant), "%s", pack_preset_name(types.preset));
    status = engine_open_random(report->model, &random, &bench->model, error);
    pack_types_clear(&types);
    return status;
}

static vl2_status open_model(bench *bench, vl2_bench_report *report, vl2_error *error)
{
    double began = clock_seconds();
    vl2_status status;
    if (bench->options->size != NULL) {
        status = open_random(bench, report, error);
    } else {
        snprintf(report->model, sizeof(report->model), "%s", bench->options->model);
        const vl2_session_options session = bench_session_options(bench->options);
        vl2_model_options options;
        vl2_model_options_defaults(&options);
        options.ram = bench->options->ram;
        options.slots = bench->options->slots;
        options.session = &session;
        status = vl2_model_open(bench->options->model, &options, &bench->model, error);
    }
    if (status != VL2_OK) {
        return status;
    }
    report->seconds_open = clock_seconds() - began;
    const model_weights *weights = bench->model->weights;
    for (size_t i = 0; i < weights->bound_count; i++) {
        report->weight_bytes += engine_stored_bytes(weights->bound[i]);
    }
    report->active_bytes = bench_active_bytes(bench->model);
    report->cache_bytes =
        kvcache_token_bytes(&bench->model->config.language, bench->options->kv_type);
    return VL2_OK;
}

/* ------------------------------------------------------------------------------- running */

static vl2_status measure_machine(bench *bench, vl2_bench_run *run, vl2_error *error)
{
    team team;
    vl2_status status = team_open(&team, run->threads, error);
    if (status == VL2_OK) {
        const char *isa = bench->model != NULL
                              ? bench->model->kernels.isa[KERNEL_matmul_packed_many]
                              : NULL;
        status = bench_machine(bench, &team, isa, run, error);
    }
    team_close(&team);
    return status;
}

static vl2_status run_all(bench *bench, vl2_bench_report *report, vl2_error *error)
{
    const vl2_bench_options *options = bench->options;
    size_t results = bench_result_count(options);
    size_t times = (size_t)options->repeat * (size_t)options->tokens;
    report->runs = base_calloc(options->thread_count, sizeof(*report->runs));
    bench->times = base_malloc(times, sizeof(*bench->times));
    if (report->runs == NULL || bench->times == NULL) {
        return vl2_fail_memory(error, "measurements", times * sizeof(*bench->times));
    }
    bench->began = clock_seconds();
    bench->total = options->thread_count *
                   (1 + (bench->model != NULL ? bench_run_count(options) : 0));
    report_progress(bench);
    for (; report->run_count < options->thread_count; report->run_count++) {
        vl2_bench_run *run = &report->runs[report->run_count];
        run->threads = options->threads[report->run_count];
        run->results = base_calloc(results, sizeof(*run->results));
        if (run->results == NULL) {
            return vl2_fail_memory(error, "measurements", results * sizeof(*run->results));
        }
        vl2_status status = measure_machine(bench, run, error);
        bench_step(bench);
        if (status == VL2_OK && bench->model != NULL) {
            status = bench_model(bench, run, error);
        }
        if (status != VL2_OK) {
            report->run_count++; /* to be freed */
            return status;
        }
        run->memory_peak = engine_peak_memory();
    }
    return VL2_OK;
}

vl2_status vl2_bench(const vl2_bench_options *options, vl2_bench_report *report, vl2_error *error)
{
    memset(report, 0, sizeof(*report));
    vl2_bench_options complete = *options;
    int threads;
    complete_options(&complete, &threads);
    vl2_status status = check_options(&complete, error);
    bench bench = {.options = &complete};
    if (status == VL2_OK && (complete.model != NULL || complete.size != NULL)) {
        status = open_model(&bench, report, error);
    }
    if (status == VL2_OK) {
        status = run_all(&bench, report, error);
    }
    vl2_model_close(bench.model);
    base_free(bench.times);
    if (status != VL2_OK) {
        vl2_bench_report_clear(report);
    }
    return status;
}

void vl2_bench_report_clear(vl2_bench_report *report)
{
    for (size_t i = 0; i < report->run_count; i++) {
        base_free(report->runs[i].results);
    }
    base_free(report->runs);
    memset(report, 0, sizeof(*report));
}
