/* How the measurements of vl2 bench are shown. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include "vl2.h"

#include <jansson.h>

/* "prefill", "decode", "vision", "first-token", "machine"; NULL outside. */
const char *bench_part_name(vl2_bench_part part);

void bench_print(const vl2_bench_report *report);
json_t *bench_json(const vl2_bench_report *report); /* NULL without memory */

#endif
