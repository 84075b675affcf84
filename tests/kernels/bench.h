/* What the two files of bench_kernels share. */
#ifndef TESTS_KERNELS_BENCH_H
#define TESTS_KERNELS_BENCH_H

#include "tests/kernels/harness.h"

#define BENCH_BIG_BYTES ((size_t)256 << 20) /* no cache holds that */
#define BENCH_REPEATS   7
#define BENCH_PIECES    256

/* Seconds since some start. */
double bench_now(void);
void *bench_memory(size_t count, size_t size);

/* Runs all pieces in turn, BENCH_REPEATS times, and adds up the shortest time of each: what it
 * takes in the end where other work on the machine interrupts now and then. */
typedef void bench_piece(void *context, size_t piece);
double bench_pieces(bench_piece *run, void *context);
/* Seconds of one run: the best of several. */
double bench_once(bench_piece *run, void *context);

/* The slots of packed weights. `big` has BENCH_BIG_BYTES; bandwidth in bytes per second. */
void bench_packed(const kernels *table, unsigned char *big, double read_bandwidth,
                  const char *prefix);
/* matmul_many. */
void bench_matmul_many(const kernels *table, unsigned char *big, const char *prefix);
/* The slots of attention. */
void bench_attention(const kernels *table, const char *prefix);

#endif
