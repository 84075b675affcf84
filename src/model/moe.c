#include "model/moe_internal.h"

#include "model/linear.h"
#include "model/router.h"

#include <string.h>

static void route_task(void *context, size_t token, int worker)
{
    const moe_job *job = context;
    moe_workspace *workspace = job->workspace;
    const gate_config *gate = &workspace->config->gate;
    size_t experts = (size_t)gate->experts, k = (size_t)gate->experts_per_token;
    router_choose(gate, workspace->scores + token * experts,
                  job->has_bias ? workspace->bias : NULL,
                  workspace->space + (size_t)worker * 2 * experts, workspace->ids + token * k,
                  workspace->weights + token * k);
}

/* Sorts the (token, choice) pairs by expert, tokens in order within one expert. */
static void sort_pairs(moe_workspace *workspace, size_t count)
{
    size_t experts = (size_t)workspace->config->gate.experts;
    size_t pairs = count * (size_t)workspace->config->gate.experts_per_token;
    size_t *first = workspace->first;
    memset(first, 0, (experts + 1) * sizeof(*first));
    for (size_t i = 0; i < pairs; i++) {
        first[workspace->ids[i] + 1]++;
    }
    for (size_t e = 0; e < experts; e++) {
        first[e + 1] += first[e];
    }
    for (size_t i = 0; i < pairs; i++) {
        size_t pair = first[workspace->ids[i]]++;
        workspace->pair_token[pair] = i / (size_t)workspace->config->gate.experts_per_token;
        workspace->token_pair[i] = pair;
    }
    memmove(first + 1, first, experts * sizeof(*first));
    first[0] = 0;
    workspace->active_count = 0;
    for (size_t e = 0; e < experts; e++) {
        if (first[e + 1] > first[e]) {
            workspace->active[workspace->active_count++] = e;
        }
    }
}

#define GATHER_PAIRS 16 /* of one task */

static void gather_task(void *context, size_t task, int worker)
{
    (void)worker;
    const moe_job *job = context;
    const moe_workspace *workspace = job->workspace;
    size_t hidden = (size_t)workspace->config->hidden, size = activation_size(hidden);
    size_t pairs = job->count * (size_t)workspace->config->gate.experts_per_token;
    size_t end = (task + 1) * GATHER_PAIRS < pairs ? (task + 1) * GATHER_PAIRS : pairs;
    for (size_t pair = task * GATHER_PAIRS; pair < end; pair++) {
        size_t token = workspace->pair_token[pair];
        if (job->plain_inputs) {
            memcpy(workspace->inputs + pair * hidden, job->x + token * hidden,
                   hidden * sizeof(float));
        }
        if (job->packed_inputs) {
            memcpy(workspace->input_codes + pair * size, workspace->token_codes + token * size,
                   size);
        }
    }
}

static void route(moe_job *job)
{
    moe_workspace *workspace = job->workspace;
    size_t experts = (size_t)workspace->config->gate.experts;
    linear_run(job->compute, &(linear_call){.w = job->layer->router, .x = job->x,
                                            .x_stride = (size_t)workspace->config->hidden,
                                            .y = workspace->scores, .y_stride = experts,
                                            .rows = job->count});
    job->has_bias = job->layer->router_bias != NULL;
    if (job->has_bias) {
        weight_widen(job->compute->kernels, job->layer->router_bias, 0, experts, workspace->bias);
    }
    team_run(&job->compute->team, job->count, route_task, job);
    sort_pairs(workspace, job->count);
}

static vl2_status acquire_experts(const moe_job *job, vl2_error *error)
{
    const moe_workspace *workspace = job->workspace;
    size_t count = 0;
    for (size_t i = 0; i < workspace->active_count; i++) {
        const mlp_weights *expert = &job->layer->experts[workspace->active[i]];
        workspace->records[count++] = expert->gate->record;
        workspace->records[count++] = expert->up->record;
        workspace->records[count++] = expert->down->record;
    }
    return weight_store_acquire(workspace->store, workspace->records, count, &job->compute->team,
                                error);
}

/* One token: y += the weighted sum of its experts' outputs, in the order of its choices, then the
 * output of the shared experts. */
static void reduce_task(void *context, size_t token, int worker)
{
    const moe_job *job = context;
    const moe_workspace *workspace = job->workspace;
    size_t hidden = (size_t)workspace->config->hidden;
    size_t k = (size_t)workspace->config->gate.experts_per_token;
    float *sum = compute_scratch(job->compute, worker);
    memset(sum, 0, hidden * sizeof(float));
    for (size_t i = 0; i < k; i++) {
        size_t pair = workspace->token_pair[token * k + i];
        job->compute->kernels->axpy_f32(workspace->weights[token * k + i],
                                        workspace->outputs + pair * hidden, sum, hidden);
    }
    float *y = job->y + token * hidden;
    job->compute->kernels->axpy_f32(1, sum, y, hidden);
    if (job->layer->mlp.gate != NULL) {
        const float *shared = workspace->outputs + (job->count * k + token) * hidden;
        job->compute->kernels->axpy_f32(1, shared, y, hidden);
    }
}

static void note_forms(moe_job *job, const mlp_weights *weights, bool *plain_inner)
{
    bool gate = linear_is_packed(weights->gate), up = linear_is_packed(weights->up);
    job->plain_inputs |= !gate || !up;
    job->packed_inputs |= gate || up;
    *plain_inner |= !linear_is_packed(weights->down);
}

/* The network of all tokens: into y where it is the only one, otherwise behind the pairs. */
void moe_add_common(moe_job *job)
{
    moe_workspace *workspace = job->workspace;
    const mlp_weights *mlp = &job->layer->mlp;
    bool alone = !job->layer->has_experts;
    size_t pairs = alone ? 0 : job->count * (size_t)workspace->config->gate.experts_per_token;
    workspace->networks[workspace->network_count++] = (moe_network){
        .weights = mlp, .width = (size_t)mlp->gate->tensor.shape[0], .rows = job->count,
        .inputs = job->x, .input_codes = workspace->token_codes,
        .inner = workspace->common_inner, .inner_codes = workspace->common_codes,
        .out = alone ? job->y : workspace->outputs + pairs * (size_t)workspace->config->hidden,
        .add = alone};
}

void moe_add_expert(moe_job *job, size_t index)
{
    moe_workspace *workspace = job->workspace;
    size_t hidden = (size_t)workspace->config->hidden;
    size_t width = (size_t)workspace->config->expert_width;
    size_t expert = workspace->active[index], pair = workspace->first[expert];
    moe_network network = {.weights = &job->layer->experts[expert], .width = width,
                           .rows = workspace->first[expert + 1] - pair, .inputs = job->x,
                           .input_codes = workspace->token_codes,
                           .inner_codes = workspace->inner_codes + pair * activation_size(width),
                           .out = workspace->outputs + pair * hidden};
    if (workspace->inner != NULL) {
        network.inner = workspace->inner + pair * width;
    }
    if (job->count > 1) { /* otherwise all experts see the same row */
        network.inputs = workspace->inputs != NULL ? workspace->inputs + pair * hidden : NULL;
        network.input_codes = workspace->input_codes + pair * activation_size(hidden);
    }
    workspace->networks[workspace->network_count++] = network;
}

vl2_status moe_gather(moe_job *job, vl2_error *error)
{
    moe_workspace *workspace = job->workspace;
    const layer_weights *layer = job->layer;
    size_t hidden = (size_t)workspace->config->hidden;
    bool plain_inner = job->compute->observer != NULL;
    job->plain_inputs = job->compute->observer != NULL;
    if (layer->mlp.gate != NULL) {
        note_forms(job, &layer->mlp, &plain_inner);
    }
    for (size_t i = 0; layer->has_experts && i < workspace->active_count; i++) {
        note_forms(job, &layer->experts[workspace->active[i]], &plain_inner);
    }
    vl2_status status = moe_workspace_add_plain(workspace, job->plain_inputs, plain_inner, error);
    if (status != VL2_OK) {
        return status;
    }
    if (job->packed_inputs) {
        linear_quantize(job->compute, job->x, hidden, job->count, hidden, workspace->token_codes);
    }
    if (layer->has_experts && job->count > 1) {
        size_t pairs = job->count * (size_t)workspace->config->gate.experts_per_token;
        team_run(&job->compute->team, (pairs + GATHER_PAIRS - 1) / GATHER_PAIRS, gather_task, job);
    }
    return VL2_OK;
}

void moe_reduce(const moe_job *job)
{
    team_run(&job->compute->team, job->count, reduce_task, (void *)job);
}

/* All networks at once, with every weight at hand. */
static vl2_status run_all(moe_job *job, vl2_error *error)
{
    const layer_weights *layer = job->layer;
    vl2_status status = layer->has_experts ? acquire_experts(job, error) : VL2_OK;
    if (status == VL2_OK) {
        status = moe_gather(job, error);
    }
    if (status != VL2_OK) {
        return status;
    }
    job->workspace->network_count = 0;
    if (layer->mlp.gate != NULL) {
        moe_add_common(job); /* first: of all networks it has the most rows */
    }
    for (size_t i = 0; layer->has_experts && i < job->workspace->active_count; i++) {
        moe_add_expert(job, i);
    }
    moe_run_networks(job->compute, job->workspace);
    if (layer->has_experts) {
        moe_reduce(job);
    }
    return VL2_OK;
}

vl2_status moe_run(const compute *compute, moe_workspace *workspace, const layer_weights *layer,
                   const float *x, size_t count, const moe_ahead *ahead, float *y,
                   vl2_error *error)
{
    moe_job job = {.compute = compute, .workspace = workspace, .layer = layer, .ahead = ahead,
                   .x = x, .y = y, .count = count};
    bool paged = layer->has_experts && weight_store_pager(workspace->store) != NULL;
    if (layer->has_experts) {
        route(&job);
        stage_mark(compute->stages, STAGE_ROUTER);
    }
    vl2_status status = paged ? moe_run_paged(&job, error) : run_all(&job, error);
    stage_mark(compute->stages, layer->has_experts ? STAGE_EXPERTS : STAGE_DENSE);
    return status;
}
