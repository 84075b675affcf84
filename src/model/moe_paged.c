/* A layer whose experts are read while it runs: shared and resident experts first, the others as
 * they arrive. Each network writes to a place of its own and the sums are made at the end, so that
 * nothing depends on the order. */
#include "model/moe_internal.h"

#include "model/linear.h"
#include "model/router.h"
#include "weights/pager.h"

static void begin(const moe_job *job, pager *pager)
{
    moe_workspace *w = job->workspace;
    for (size_t i = 0; i < w->active_count; i++) {
        size_t expert = w->active[i];
        w->records[i] = job->layer->experts[expert].gate->record;
        w->rows[i] = w->first[expert + 1] - w->first[expert];
    }
    pager_begin(pager, &(pager_pass){.records = w->records,
                                     .rows = w->rows,
                                     .count = w->active_count,
                                     .tokens = job->count,
                                     .cancelled = w->cancelled});
}

/* The next layer's experts, if its router saw the present hidden state. */
static size_t foresee(const moe_job *job)
{
    moe_workspace *w = job->workspace;
    const layer_weights *next = job->ahead->next;
    const gate_config *gate = &w->config->gate;
    size_t hidden = (size_t)w->config->hidden, experts = (size_t)gate->experts;
    float *row = w->ahead_row, *scale = w->ahead_row + hidden;
    weight_widen(job->compute->kernels, next->post_attention_norm, 0, hidden, scale);
    job->compute->kernels->rms_norm(job->ahead->rows, scale, w->config->rms_epsilon, hidden, row);
    linear_run(job->compute, &(linear_call){.w = next->router,
                                            .x = row,
                                            .x_stride = hidden,
                                            .y = w->ahead_scores,
                                            .y_stride = experts,
                                            .rows = 1});
    if (next->router_bias != NULL) {
        weight_widen(job->compute->kernels, next->router_bias, 0, experts, w->bias);
    }
    router_choose(gate, w->ahead_scores, next->router_bias != NULL ? w->bias : NULL, w->space,
                  w->ahead_ids, w->ahead_weights);
    for (size_t i = 0; i < (size_t)gate->experts_per_token; i++) {
        w->records[i] = next->experts[w->ahead_ids[i]].gate->record;
    }
    return (size_t)gate->experts_per_token;
}

/* Tells the pager what the next layer may want: of a long prompt, every expert. */
static void expect(const moe_job *job, pager *pager)
{
    moe_workspace *w = job->workspace;
    if (job->ahead == NULL || !pager_expects(pager)) {
        return;
    }
    size_t count = 0;
    if (job->count == 1) {
        count = foresee(job);
    } else if (w->active_count == (size_t)w->config->gate.experts) {
        for (; count < w->active_count; count++) {
            w->records[count] = job->ahead->next->experts[count].gate->record;
        }
    }
    pager_expect(pager, w->records, count);
}

/* Runs what is ready until all experts have been run. */
static vl2_status run_waves(moe_job *job, pager *pager, vl2_error *error)
{
    moe_workspace *w = job->workspace;
    size_t count;
    vl2_status status = pager_take(pager, job->layer->mlp.gate == NULL, w->taken, &count, error);
    bool common = job->layer->mlp.gate != NULL;
    while (status == VL2_OK && (count > 0 || common)) {
        w->network_count = 0;
        if (common) {
            moe_add_common(job);
        }
        for (size_t i = 0; i < count; i++) {
            moe_add_expert(job, w->taken[i]);
        }
        moe_run_networks(job->compute, w);
        common = false;
        pager_done(pager);
        status = pager_take(pager, true, w->taken, &count, error);
    }
    return status;
}

vl2_status moe_run_paged(moe_job *job, vl2_error *error)
{
    pager *pager = weight_store_pager(job->workspace->store);
    vl2_status status = moe_gather(job, error);
    if (status != VL2_OK) {
        return status;
    }
    begin(job, pager);
    expect(job, pager);
    status = run_waves(job, pager, error);
    pager_end(pager);
    if (status == VL2_OK) {
        moe_reduce(job);
    }
    return status;
}
