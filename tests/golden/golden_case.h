/* A case of the reference data, and what a comparison with it needs. */
#ifndef GOLDEN_CASE_H
#define GOLDEN_CASE_H

#include "test.h"

#include "vl2.h"

#include <jansson.h>

/* Tolerances of the reference data's README for float32 arithmetic. */
#define TOLERANCE_FEATURES 2e-5 /* relative L2 of vision and projector output, embedding rows */
#define TOLERANCE_HIDDEN   3e-5 /* relative, hidden states and their norms */
#define TOLERANCE_LOGITS   2e-3 /* absolute */
#define TOLERANCE_ROUTER   1e-5 /* absolute, weights; the gap below which a choice may differ */

typedef struct golden_case {
    char folder[4096]; /* of case.json and the arrays */
    char name[256];
    json_t *expected;  /* case.json */
} golden_case;

void golden_case_open(const char *folder, const char *name, golden_case *c);
void golden_case_close(golden_case *c);

/* An array of a case.json or trace.json by its name, as float32 or bytes; fails the test if it is
 * missing or has another size than its shape says. The caller frees it. */
void *golden_array(const char *folder, const json_t *description, const char *name, size_t *count);
bool golden_has_array(const json_t *description, const char *name);

/* Runs vl2_session_trace into a fresh temporary folder and reads its trace.json; the folder's path
 * is written to `out`. */
json_t *golden_trace(vl2_session *session, const golden_case *c, char *out, size_t size);
void golden_remove(const char *folder);

/* Compares a trace with the case: every stage that both have. */
void golden_compare(const golden_case *c, const char *out, const json_t *trace);

/* Called for each case of a model: its folder, the case's folder, and a name for messages. */
typedef void (*golden_runner)(const char *model_folder, const char *case_folder, const char *name,
                              void *user);

/* Runs the cases of one of the project's own checkpoints ("small", "tiny", "base"; unpacked by
 * make), or of one in the full reference data ("vl2-small-dev" ...; skips the test where they are
 * not). The working folder is then the one that the cases' picture paths are relative to.
 * `only`: of the own cases those that are named ("small/text_only"), each of which must be there;
 * an empty list means all. */
void golden_run_own(const char *name, const char *const *only, golden_runner run, void *user);
void golden_run_full(const char *name, golden_runner run, void *user);

/* The arguments of a test program, up to NULL, as the `only` of above; ends the program if one of
 * them is not of an own checkpoint. */
const char *const *golden_arguments(char **argv);

/* Fails unless the model's kernels are those of VL2_CPU; prints some of them if VL2_CPU is set. */
void golden_check_kernels(const vl2_model *model);

/* |a - b| / |b| over `count` numbers. */
double relative_l2(const float *a, const float *b, size_t count);

#endif
