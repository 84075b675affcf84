#include "engine/plan.h"

#include "base/memory.h"
#include "engine/session.h"

#include <math.h>
#include <string.h>

#define PROGRAM_SLACK                                                                              \
    ((uint64_t)48 << 20) /* what the program takes later: stacks, OpenBLAS, heap */
#define PHOTOGRAPH    ((uint64_t)3 * 24000000) /* bytes of a decoded picture */
#define PICTURE_TILES 10

uint64_t plan_round_up(uint64_t bytes)
{
    const double step = 0.05 * PLAN_GIB; /* two digits are shown */
    return (uint64_t)(ceil((double)bytes / step) * step);
}

uint64_t plan_pictures(const vl2_model *model)
{
    uint64_t side = (uint64_t)model->config.vision.image_size;
    uint64_t rows = tile_row_floats(model) * sizeof(float);
    return PHOTOGRAPH + PICTURE_TILES * (3 * side * side + rows);
}

/* What a session of these options holds, and what it takes beside that to encode pictures. */
static vl2_status measure_session(vl2_model *model, const vl2_session_options *options,
                                  vl2_plan *plan, vl2_error *error)
{
    vl2_session *session;
    vl2_status status = session_open_trial(model, options, &session, &plan->vision_work, error);
    if (status != VL2_OK) {
        return status;
    }
    plan->cache = session_cache_memory(session);
    plan->work = vl2_session_memory(session) - plan->cache;
    plan->context = session->options.context;
    vl2_session_close(session);
    return VL2_OK;
}

static void plan_experts(const vl2_model *model, const slot_rule *rule, vl2_plan *plan)
{
    const language_config *config = &model->config.language;
    size_t layers = 0;
    for (int i = 0; i < config->layers; i++) {
        layers += language_config_has_experts(config, i);
    }
    plan->experts = rule->most;
    plan->expert_bytes = rule->bytes;
    plan->experts_per_token = layers * (size_t)config->gate.experts_per_token;
}

vl2_status plan_make(vl2_model *model, uint64_t ram, const vl2_session_options *session,
                     vl2_plan *plan, vl2_error *error)
{
    memset(plan, 0, sizeof(*plan));
    vl2_status status = measure_session(model, session, plan, error);
    if (status != VL2_OK) {
        return status;
    }
    const model_weights *weights = model->weights;
    plan->ram = ram;
    plan->program = memory_resident() + PROGRAM_SLACK;
    plan->pictures = plan_pictures(model);
    plan->pageable = weight_store_can_page(model->store);
    uint64_t rest = plan->program + plan->pictures + plan->cache + plan->work;
    if (!plan->pageable) {
        plan->resident = weight_store_file_bytes(model->store);
        plan->everything = plan->least = rest + plan->resident + plan->vision_work;
        return VL2_OK;
    }
    const slot_rule rule = slot_rule_of(model, 0);
    plan_experts(model, &rule, plan);
    plan->resident = weight_store_record_memory(model->store, weights->language_records.records,
                                                weights->language_records.count);
    plan->vision = weight_store_record_memory(model->store, weights->vision_records.records,
                                              weights->vision_records.count);
    uint64_t encoding = plan->vision + plan->vision_work;
    rest += plan->resident;
    plan->everything = rest + encoding + plan->experts * plan->expert_bytes;
    plan->least = plan_round_up(rest + encoding + rule.least * rule.bytes);
    plan->least = plan->least < plan->everything ? plan->least : plan->everything;
    plan->slots = slots_within(&rule, ram, rest);
    plan->slots_encoding = slots_within(&rule, ram, rest + encoding);
    return VL2_OK;
}

vl2_status plan_fail(const vl2_model *model, const vl2_plan *plan, vl2_error *error)
{
    return vl2_fail(
        error, VL2_ERROR_MEMORY,
        "%s: %.2f GiB is too little: %.2f GiB of weights that every token needs, %.2f GiB "
        "of KV cache for %d tokens, %.2f GiB of work space, %.2f GiB for pictures and the "
        "vision tower, %.2f GiB for the program, and some experts; %.2f GiB would do",
        model->path, plan_gib(plan->ram), plan_gib(plan->resident), plan_gib(plan->cache),
        plan->context, plan_gib(plan->work),
        plan_gib(plan->pictures + plan->vision + plan->vision_work), plan_gib(plan->program),
        plan_gib(plan->least));
}

vl2_status vl2_model_plan(vl2_model *model, uint64_t ram, const vl2_session_options *session,
                          vl2_plan *plan, vl2_error *error)
{
    if (ram == VL2_RAM_AUTO) {
        ram = memory_available("");
    }
    return plan_make(model, ram, session, plan, error);
}

uint64_t vl2_memory_total(void)
{
    return memory_total("");
}

uint64_t vl2_memory_available(void)
{
    return memory_available("");
}
