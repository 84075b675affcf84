/* What the machine can do: reading memory, and multiplying in registers. */
#include "engine/bench.h"

#include "base/alloc.h"

#include <string.h>

#define READ_LEAST  ((size_t)256 << 20) /* bytes; several times the last cache if that is more */
#define READ_MOST   ((size_t)2 << 30)
#define READ_PIECE  ((size_t)2 << 20)
#define READ_CACHES 4
#define PASSES      7

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
        double began = session_clock();
        team_run(team, size / READ_PIECE, read_task, &job);
        rates[pass < 0 ? 0 : pass] =
            (double)(size / READ_PIECE * READ_PIECE) / (session_clock() - began);
        status = bench_check(bench, error);
    }
    if (status == VL2_OK) {
        run->read_bandwidth = bench_median(rates, PASSES);
    }
    base_free(memory);
    base_free(job.sums);
    return status;
}

vl2_status bench_machine(bench *bench, const team *team, const char *isa, vl2_bench_run *run,
                         vl2_error *error)
{
    (void)isa;
    return measure_reading(bench, team, run, error);
}
