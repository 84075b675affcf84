/* The parts of vl2_bench. */
#ifndef ENGINE_BENCH_H
#define ENGINE_BENCH_H

#include "engine/session.h"

/* What all measurements of one call share. */
typedef struct bench {
    const vl2_bench_options *options; /* with defaults filled in */
    vl2_model *model;                 /* NULL for the machine alone */
    uint64_t done, total;             /* runs */
    double began;
    double *times; /* [most runs of one measurement * options->tokens] */
    size_t time_count;
} bench;

/* VL2_ERROR_CANCELLED if the caller wants to end. */
vl2_status bench_check(const bench *bench, vl2_error *error);
/* One more run is done. */
void bench_step(bench *bench);

/* The median of numbers, which are sorted. count at least 1. */
double bench_median(double *numbers, size_t count);

/* ----------------------------------------------------------------- bench_machine.c */

/* Fills read_bandwidth and peaks of a run. `isa`: of the kernel for many rows of packed weights;
 * NULL without a model. */
vl2_status bench_machine(bench *bench, const team *team, const char *isa, vl2_bench_run *run,
                         vl2_error *error);

/* ----------------------------------------------------------------- bench_work.c */

/* Bytes of weights that one token of text reads. */
uint64_t bench_active_bytes(const vl2_model *model);

/* Fill the fields of a result that say what it needs, but for the limit. */
void bench_prefill_work(const vl2_model *model, vl2_bench_result *result);
void bench_decode_work(const vl2_model *model, vl2_kv_type type, vl2_bench_result *result);
void bench_vision_work(const vl2_model *model, vl2_bench_result *result);
void bench_first_token_work(const vl2_model *model, vl2_bench_result *result);

/* The limit and the fraction, by what the machine can do. */
void bench_limit(const vl2_bench_run *run, vl2_bench_result *result);

/* ----------------------------------------------------------------- bench_model.c */

/* Most results, and runs, of one number of threads. */
size_t bench_result_count(const vl2_bench_options *options);
uint64_t bench_run_count(const vl2_bench_options *options);

/* The session that the measurements need; context 0 if that is what the model was made for. */
vl2_session_options bench_session_options(const vl2_bench_options *options);

/* Measures the model: run->results has room for bench_result_count. */
vl2_status bench_model(bench *bench, vl2_bench_run *run, vl2_error *error);

#endif
