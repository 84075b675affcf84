/* What a model and one session need of memory, reckoned before weights are read. */
#ifndef ENGINE_PLAN_H
#define ENGINE_PLAN_H

#include "engine/model.h"

/* `session` may be NULL: the defaults. VL2_ERROR_MEMORY, VL2_ERROR_ARGUMENT. */
vl2_status plan_make(vl2_model *model, uint64_t ram, const vl2_session_options *session,
                     vl2_plan *plan, vl2_error *error);

/* VL2_ERROR_MEMORY: the budget is too small, with what would do. */
vl2_status plan_fail(const vl2_model *model, const vl2_plan *plan, vl2_error *error);

#define PLAN_GIB 1073741824.0

/* For messages: bytes in GiB, and bytes rounded up to what two digits of that can say. */
static inline double plan_gib(uint64_t bytes)
{
    return (double)bytes / PLAN_GIB;
}
uint64_t plan_round_up(uint64_t bytes);

/* Memory that decoded pictures, their tiles and rows may take without being asked for: a photograph
 * of 24 megapixels with ten tiles. */
uint64_t plan_pictures(const vl2_model *model);

#endif
