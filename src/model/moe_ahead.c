/* Which experts the next layer may want: its router sees the hidden state as it is before this
 * layer's experts are added. */
#include "model/moe_internal.h"

#include "model/linear.h"
#include "model/router.h"

/* The next router's scores of some rows, evenly taken: how many rows. */
static size_t score(const moe_job *job)
{
    moe_workspace *w = job->workspace;
    const layer_weights *next = job->ahead->next;
    size_t hidden = (size_t)w->config->hidden, experts = (size_t)w->config->gate.experts;
    size_t rows = job->count < MOE_AHEAD_ROWS ? job->count : MOE_AHEAD_ROWS;
    float *scale = w->ahead_rows + MOE_AHEAD_ROWS * hidden;
    weight_widen(job->compute->kernels, next->post_attention_norm, 0, hidden, scale);
    for (size_t i = 0; i < rows; i++) {
        job->compute->kernels->rms_norm(job->ahead->rows + i * job->count / rows * hidden, scale,
                                        w->config->rms_epsilon, hidden, w->ahead_rows + i * hidden);
    }
    linear_run(job->compute, &(linear_call){.w = next->router,
                                            .x = w->ahead_rows,
                                            .x_stride = hidden,
                                            .y = w->ahead_scores,
                                            .y_stride = experts,
                                            .rows = rows});
    return rows;
}

/* Orders experts by how many of the rows chose them, and leaves those out that none did. */
static size_t order(const moe_workspace *w, const layer_weights *next, uint32_t *records)
{
    const uint32_t *uses = w->ahead_uses;
    size_t experts = (size_t)w->config->gate.experts, count = 0;
    for (size_t e = 0; e < experts; e++) {
        size_t at = count;
        if (uses[e] == 0) {
            continue;
        }
        for (; at > 0 && uses[w->ahead_order[at - 1]] < uses[e]; at--) {
            w->ahead_order[at] = w->ahead_order[at - 1];
        }
        w->ahead_order[at] = (uint32_t)e;
        count++;
    }
    for (size_t i = 0; i < count; i++) {
        records[i] = next->experts[w->ahead_order[i]].gate->record;
    }
    return count;
}

size_t moe_foresee(const moe_job *job, uint32_t *records)
{
    moe_workspace *w = job->workspace;
    const layer_weights *next = job->ahead->next;
    const gate_config *gate = &w->config->gate;
    size_t experts = (size_t)gate->experts, rows = score(job);
    if (next->router_bias != NULL) {
        weight_widen(job->compute->kernels, next->router_bias, 0, experts, w->bias);
    }
    /* Of a prompt whose tokens want all experts here, they will there; those that none of the rows
     * chose come last. */
    bool all = job->count > 1 && w->active_count == experts;
    for (size_t e = 0; e < experts; e++) {
        w->ahead_uses[e] = all ? 1 : 0;
    }
    for (size_t i = 0; i < rows; i++) {
        router_choose(gate, w->ahead_scores + i * experts,
                      next->router_bias != NULL ? w->bias : NULL, w->space, w->ahead_ids,
                      w->ahead_weights);
        for (size_t k = 0; k < (size_t)gate->experts_per_token; k++) {
            w->ahead_uses[w->ahead_ids[k]]++;
        }
    }
    return order(w, next, records);
}
