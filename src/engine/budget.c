#include "engine/budget.h"

#include "base/alloc.h"
#include "base/memory.h"
#include "engine/plan.h"
#include "engine/model.h"
#include "weights/pager.h"

#include <string.h>

#define MEASURED_BYTES ((size_t)128 << 20) /* of experts, to see how the storage is read best */

slot_rule slot_rule_of(const vl2_model *model, size_t allowed)
{
    const pack_file *pack = weight_store_pack(model->store);
    size_t all = pager_expert_count(pack);
    size_t least = 2 * (size_t)model->config.language.gate.experts_per_token;
    return (slot_rule){.bytes = pager_slot_size(pack), .least = least < all ? least : all,
                       .most = allowed > 0 && allowed < all ? allowed : all};
}

size_t slots_within(const slot_rule *rule, uint64_t limit, uint64_t rest)
{
    uint64_t slots = limit > rest ? (limit - rest) / rule->bytes : 0;
    return slots < rule->least ? 0 : slots < rule->most ? (size_t)slots : rule->most;
}

/* ------------------------------------------------------------------------------- opening */

static bool has_record(const record_list *list, uint32_t record)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->records[i] == record) {
            return true;
        }
    }
    return false;
}

/* The records that only pictures need: the rows that join tiles are looked up later, too. */
static vl2_status list_vision(vl2_model *model, vl2_error *error)
{
    const model_weights *weights = model->weights;
    const record_list *all = &weights->vision_records;
    memory_budget *budget = &model->budget;
    budget->vision_records = base_malloc(all->count, sizeof(*budget->vision_records));
    if (budget->vision_records == NULL) {
        return vl2_fail_memory(error, "the list of records", all->count * sizeof(uint32_t));
    }
    for (size_t i = 0; i < all->count; i++) {
        uint32_t record = all->records[i];
        if (record != weights->image_newline->record && record != weights->view_separator->record &&
            !has_record(&weights->language_records, record)) {
            budget->vision_records[budget->vision_count++] = record;
        }
    }
    return VL2_OK;
}

static vl2_status start_paging(vl2_model *model, const vl2_plan *plan, vl2_error *error)
{
    memory_budget *budget = &model->budget;
    const pack_file *pack = weight_store_pack(model->store);
    vl2_status status = list_vision(model, error);
    memory_return_freed();
    if (status == VL2_OK) {
        budget->limit = plan->ram;
        budget->base = plan->program + plan->resident;
        budget->vision =
            weight_store_record_memory(model->store, budget->vision_records, budget->vision_count);
        budget->paged = true;
        status = weight_store_page(model->store,
                                   slots_within(&budget->slots, plan->ram, budget->base), error);
    }
    for (size_t i = 0; status == VL2_OK && i < pack_record_count(pack); i++) {
        const pack_record *record = pack_record_get(pack, i);
        if (record->expert >= 0) { /* the first of them: the others follow */
            uint64_t left = pack_size(pack) - record->offset;
            return loader_measure(weight_store_loader(model->store), record->offset,
                                  left < MEASURED_BYTES ? (size_t)left : MEASURED_BYTES, error);
        }
    }
    return status;
}

vl2_status budget_open(vl2_model *model, const vl2_model_options *options, vl2_error *error)
{
    bool automatic = options->ram == VL2_RAM_AUTO;
    uint64_t ram = automatic ? memory_available("") : options->ram;
    bool can_page = weight_store_can_page(model->store), forced = options->slots > 0;
    if (!forced && (ram == 0 || (automatic && !can_page))) {
        return VL2_OK;
    }
    if (can_page) {
        model->budget.slots = slot_rule_of(model, options->slots);
    }
    vl2_plan plan;
    vl2_status status = plan_make(model, ram, options->session, &plan, error);
    if (status != VL2_OK || (plan.everything <= ram && !forced)) {
        return status;
    }
    if (forced && ram == 0) {
        plan.ram = ram = UINT64_MAX / 2;
    }
    if (!can_page) {
        return vl2_fail(
            error, VL2_ERROR_UNSUPPORTED,
            "%s: found weights that need %.2f GiB with their work space, expected at "
            "most the %.2f GiB that they may take; only a packed file can be run in less "
            "memory (vl2 pack)",
            model->path, plan_gib(plan.everything), plan_gib(ram));
    }
    if (plan.least > ram) {
        return automatic && !forced ? VL2_OK : plan_fail(model, &plan, error);
    }
    return start_paging(model, &plan, error);
}

void budget_close(vl2_model *model)
{
    base_free(model->budget.vision_records);
    pthread_mutex_destroy(&model->budget.mutex);
}

/* ------------------------------------------------------------------------------- holding */

static void settle(vl2_model *model)
{
    memory_budget *budget = &model->budget;
    pager *pager = weight_store_pager(model->store);
    size_t slots = slots_within(&budget->slots, budget->limit, budget->base + budget->held);
    if (slots > 0 && slots != pager_slots(pager)) {
        pager_set_slots(pager, slots);
    }
}

static vl2_status hold(vl2_model *model, uint64_t bytes, const char *what, vl2_error *error)
{
    memory_budget *budget = &model->budget;
    uint64_t rest = budget->base + budget->held + bytes;
    if (slots_within(&budget->slots, budget->limit, rest) == 0) {
        uint64_t slots = budget->slots.least * budget->slots.bytes;
        return vl2_fail(
            error, VL2_ERROR_MEMORY,
            "%s: %s needs %.2f GiB and does not fit into the %.2f GiB that the model and "
            "its work may take; %.2f GiB would do",
            model->path, what, plan_gib(bytes), plan_gib(budget->limit),
            plan_gib(plan_round_up(rest + slots)));
    }
    budget->held += bytes;
    settle(model);
    return VL2_OK;
}

vl2_status budget_hold(vl2_model *model, uint64_t bytes, const char *what, vl2_error *error)
{
    if (!model->budget.paged) {
        return VL2_OK;
    }
    pthread_mutex_lock(&model->budget.mutex);
    vl2_status status = hold(model, bytes, what, error);
    pthread_mutex_unlock(&model->budget.mutex);
    return status;
}

void budget_drop(vl2_model *model, uint64_t bytes)
{
    if (!model->budget.paged) {
        return;
    }
    pthread_mutex_lock(&model->budget.mutex);
    model->budget.held -= bytes;
    settle(model);
    pthread_mutex_unlock(&model->budget.mutex);
}

vl2_status budget_hold_vision(vl2_model *model, vl2_error *error)
{
    memory_budget *budget = &model->budget;
    if (!budget->paged) {
        return VL2_OK;
    }
    pthread_mutex_lock(&budget->mutex);
    vl2_status status = VL2_OK;
    if (budget->vision_users == 0) {
        status = hold(model, budget->vision, "the vision tower", error);
    }
    budget->vision_users += status == VL2_OK;
    pthread_mutex_unlock(&budget->mutex);
    return status;
}

void budget_drop_vision(vl2_model *model)
{
    memory_budget *budget = &model->budget;
    if (!budget->paged) {
        return;
    }
    pthread_mutex_lock(&budget->mutex);
    if (--budget->vision_users == 0) {
        weight_store_release(model->store, budget->vision_records, budget->vision_count);
        budget->held -= budget->vision;
        settle(model);
    }
    pthread_mutex_unlock(&budget->mutex);
}

/* ------------------------------------------------------------------------------- changing */

vl2_status vl2_model_set_ram(vl2_model *model, uint64_t ram, vl2_error *error)
{
    memory_budget *budget = &model->budget;
    if (!budget->paged) {
        return vl2_fail(error, VL2_ERROR_UNSUPPORTED,
                        "%s: the model was opened to be in memory as a whole", model->path);
    }
    pthread_mutex_lock(&budget->mutex);
    uint64_t before = budget->limit;
    budget->limit = ram;
    vl2_status status = hold(model, 0, "what is open now", error);
    budget->limit = status == VL2_OK ? ram : before;
    pthread_mutex_unlock(&budget->mutex);
    return status;
}
