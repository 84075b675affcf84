/* What the machine can do: reading memory, and multiplying in registers. */
#include "engine/bench.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "simd/peak.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define READ_LEAST  ((size_t)256 << 20) /* bytes; several times the last cache if that is more */
#define READ_MOST   ((size_t)2 << 30)
#define READ_PIECE  ((size_t)2 << 20)
#define READ_CACHES 4
#define PASSES      7

#define PEAK_SECONDS 0.01 /* of one run of a loop */

typedef struct reading {
    const uint64_t *numbers;
    size_t count; /* numbers */
    uint64_t *sums; /* [threads] */
} reading;

static void read_task(void *context, size_t task, int worker)
{
    const reading *job = context;
    size_t first = task * (READ_PIECE / 8), end = first + READ_PIECE / 8;
    uint64_t sums[8] = {0};
    for (size_t i = first; i < end; i += 8) {
        for (size_t k = 0; k < 8; k++) {
            sums[k] += job->numbers[i + k];
        }
    }
    for (size_t k = 0; k < 8; k++) {
        job->sums[8 * worker] += sums[k];
    }
}

static vl2_status measure_reading(bench *bench, const team *team, vl2_bench_run *run,
                                  vl2_error *error)
{
    cpu_info info;
    cpu_detect(&info);
    size_t size = READ_CACHES * info.l3 > READ_LEAST ? READ_CACHES * info.l3 : READ_LEAST;
    size = size < READ_MOST ? size : READ_MOST;
    uint8_t *memory = base_alloc_aligned(size, 1);
    reading job = {.numbers = (uint64_t *)(void *)memory,
                   .sums = base_calloc((size_t)team->threads, 64)};
    vl2_status status = VL2_OK;
    double rates[PASSES];
    if (memory == NULL || job.sums == NULL) {
        status = vl2_fail_memory(error, "memory to read", size);
    } else {
        memset(memory, 1, size);
    }
    for (int pass = -1; status == VL2_OK && pass < PASSES; pass++) {
        double began = clock_seconds();
        team_run(team, size / READ_PIECE, read_task, &job);
        rates[pass < 0 ? 0 : pass] =
            (double)(size / READ_PIECE * READ_PIECE) / (clock_seconds() - began);
        status = bench_check(bench, error);
    }
    if (status == VL2_OK) {
        run->read_bandwidth = bench_median(rates, PASSES);
    }
    base_free(memory);
    base_free(job.sums);
    return status;
}

/* ------------------------------------------------------------------------------- multiplying */

typedef struct multiplying {
    peak_loop *loop;
    size_t rounds;
    double *operations; /* [threads] */
} multiplying;

static void multiply_task(void *context, size_t task, int worker)
{
    (void)worker;
    const multiplying *job = context;
    job->operations[task] = job->loop(job->rounds);
}

/* Operations per second of all threads at once; *seconds of it. */
static double multiply(const team *team, multiplying *job, double *seconds)
{
    double began = clock_seconds(), sum = 0;
    team_run(team, (size_t)team->threads, multiply_task, job);
    *seconds = clock_seconds() - began;
    for (int i = 0; i < team->threads; i++) {
        sum += job->operations[i];
    }
    return sum / *seconds;
}

/* The best of several: whoever else uses the processor only slows it down. So also while the length
 * of a run is looked for: one that was interrupted says nothing. */
static double measure_peak(const team *team, peak_loop *loop, double *operations)
{
    multiplying job = {loop, 1000, operations};
    double best, shortest;
    do {
        job.rounds *= 2;
        best = 0, shortest = INFINITY;
        for (int pass = 0; pass < PASSES && (pass == 0 || shortest >= PEAK_SECONDS); pass++) {
            double seconds, rate = multiply(team, &job, &seconds);
            best = rate > best ? rate : best;
            shortest = fmin(shortest, seconds);
        }
    } while (shortest < PEAK_SECONDS);
    return best;
}

/* Which peak a limit is reckoned with: of integers that of the kernel, of floats the fastest. */
static void choose_used(vl2_bench_run *run, const char *isa)
{
    vl2_bench_peak *fastest = NULL;
    for (size_t i = 0; i < run->peak_count; i++) {
        vl2_bench_peak *peak = &run->peaks[i];
        if (strcmp(peak->kind, "int8") == 0) {
            peak->used = isa != NULL && strcmp(peak->isa, isa) == 0;
        } else if (strcmp(peak->kind, "f32") == 0 &&
                   (fastest == NULL || peak->rate > fastest->rate)) {
            fastest = peak;
        }
    }
    if (fastest != NULL) {
        fastest->used = isa != NULL;
    }
}

static vl2_status measure_peaks(bench *bench, const team *team, const char *isa, vl2_bench_run *run,
                                vl2_error *error)
{
    size_t count;
    const cpu_peak *peaks = cpu_peaks(&count);
    cpu_features features = cpu_allowed_features();
    double *operations = base_calloc((size_t)team->threads, sizeof(double));
    vl2_status status = operations != NULL ? VL2_OK : vl2_fail_memory(error, "the threads", 8);
    for (size_t i = 0; status == VL2_OK && i < count && run->peak_count < VL2_BENCH_PEAKS; i++) {
        if (cpu_has(features, peaks[i].needs)) {
            vl2_bench_peak *peak = &run->peaks[run->peak_count++];
            snprintf(peak->isa, sizeof(peak->isa), "%s", peaks[i].isa);
            snprintf(peak->kind, sizeof(peak->kind), "%s", peaks[i].kind);
            peak->rate = measure_peak(team, peaks[i].run, operations);
            status = bench_check(bench, error);
        }
    }
    base_free(operations);
    choose_used(run, isa);
    return status;
}

vl2_status bench_machine(bench *bench, const team *team, const char *isa, vl2_bench_run *run,
                         vl2_error *error)
{
    vl2_status status = measure_reading(bench, team, run, error);
    return status == VL2_OK ? measure_peaks(bench, team, isa, run, error) : status;
}
