/* A layer whose experts are read while it runs: shared and resident experts first, the others as
 * they arrive. Each network writes to a place of its own and the sums are made at the end, so that
 * nothing depends on the order. */
#include "model/moe_internal.h"

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

/* Tells the pager what the next layer may want. */
static void expect(const moe_job *job, pager *pager)
{
    moe_workspace *w = job->workspace;
    /* An observer sees products that count, and not this one. */
    if (job->ahead != NULL && job->compute->observer == NULL && pager_expects(pager)) {
        pager_expect(pager, w->records, moe_foresee(job, w->records));
    }
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
