/* The memory that a model and its sessions may take together (vl2_model_options.ram). What does not
 * fit is the routed experts: whoever takes memory takes slots from them. */
#ifndef ENGINE_BUDGET_H
#define ENGINE_BUDGET_H

#include "vl2.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* How many experts fit into memory. */
typedef struct slot_rule {
    uint64_t bytes; /* of a slot */
    size_t least;   /* to work with: the experts of one token, and as many that are being read */
    size_t most;    /* all experts, or as many as are allowed */
} slot_rule;

typedef struct memory_budget {
    bool paged; /* false: nothing is counted */
    uint64_t limit; /* bytes */
    slot_rule slots;
    uint64_t base;  /* the program, and weights that every token needs */
    uint64_t vision;  /* weights of vision tower and projector that are needed for pictures only */
    uint32_t *vision_records; /* [vision_count] of these */
    size_t vision_count;
    pthread_mutex_t mutex; /* over all below */
    uint64_t held;         /* by sessions, pictures, and the vision tower */
    size_t vision_users;
} memory_budget;

/* Decides whether the model is paged, by the plan for these options. VL2_ERROR_MEMORY with the
 * number that would do; VL2_ERROR_UNSUPPORTED for what cannot be paged and is too large. */
vl2_status budget_open(vl2_model *model, const vl2_model_options *options, vl2_error *error);
void budget_close(vl2_model *model);

/* Takes bytes for `what` ("a session"). VL2_ERROR_MEMORY, with the budget that would do, if too few
 * slots would be left. */
vl2_status budget_hold(vl2_model *model, uint64_t bytes, const char *what, vl2_error *error);
void budget_drop(vl2_model *model, uint64_t bytes);

/* The same for the weights of the vision tower, however many use it; the last one frees them. */
vl2_status budget_hold_vision(vl2_model *model, vl2_error *error);
void budget_drop_vision(vl2_model *model);

/* Of a packed file whose experts can be read one by one. `allowed`: most slots; 0: as many as
 * fit. */
slot_rule slot_rule_of(const vl2_model *model, size_t allowed);

/* The slots that are left of `limit` bytes when `rest` of them are in use; 0 if there are too few
 * to work with. */
size_t slots_within(const slot_rule *rule, uint64_t limit, uint64_t rest);

#endif
