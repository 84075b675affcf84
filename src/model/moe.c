#include "model/moe.h"

#include "base/alloc.h"
#include "model/linear.h"
#include "model/router.h"

#include <string.h>

/* The widest network that runs on every token: dense layers, or the shared experts. */
static size_t common_width(const language_config *config)
{
    size_t dense = (size_t)config->dense_width;
    size_t shared = (size_t)config->shared_experts * (size_t)config->expert_width;
    return dense > shared ? dense : shared;
}

static bool has_memory(const moe_workspace *w)
{
    return w->gate && w->up && w->scores && w->ids && w->weights && w->bias && w->space &&
           w->first && w->active && w->pair_token && w->token_pair && w->inputs && w->expert_gate &&
           w->expert_up && w->outputs && w->records &&
           w->token_codes && w->input_codes && w->inner_codes;
}

vl2_status moe_workspace_open(const language_config *config, weight_store *store, size_t chunk,
                              compute *compute, moe_workspace *workspace, vl2_error *error)
{
    size_t experts = (size_t)config->gate.experts, hidden = (size_t)config->hidden;
    size_t pairs = experts > 0 ? chunk * (size_t)config->gate.experts_per_token : 0;
    size_t width = (size_t)config->expert_width, threads = (size_t)compute->team.threads;
    *workspace = (moe_workspace){.config = config, .store = store, .chunk = chunk};
    workspace->gate = base_alloc_aligned(chunk * common_width(config), sizeof(float));
    workspace->up = base_alloc_aligned(chunk * common_width(config), sizeof(float));
    workspace->scores = base_alloc_aligned(chunk * experts, sizeof(float));
    workspace->ids = base_malloc(pairs, sizeof(int32_t));
    workspace->weights = base_malloc(pairs, sizeof(float));
    workspace->bias = base_malloc(experts, sizeof(float));
    workspace->space = base_malloc(threads * 2 * experts, sizeof(float));
    workspace->first = base_calloc(experts + 1, sizeof(size_t));
    workspace->active = base_malloc(experts, sizeof(size_t));
    workspace->pair_token = base_malloc(pairs, sizeof(size_t));
    workspace->token_pair = base_malloc(pairs, sizeof(size_t));
    workspace->inputs = base_alloc_aligned(pairs * hidden, sizeof(float));
    workspace->expert_gate = base_alloc_aligned(pairs * width, sizeof(float));
    workspace->expert_up = base_alloc_aligned(pairs * width, sizeof(float));
    workspace->outputs = base_alloc_aligned(pairs * hidden, sizeof(float));
    workspace->token_codes = base_alloc_aligned(chunk, activation_size(hidden));
    workspace->input_codes = base_alloc_aligned(pairs, activation_size(hidden));
    workspace->inner_codes = base_alloc_aligned(pairs, activation_size(width));
    workspace->records = base_malloc(3 * experts, sizeof(uint32_t));
    if (!has_memory(workspace)) {
        size_t bytes = moe_workspace_memory(workspace);
        moe_workspace_close(workspace);
        return vl2_fail_memory(error, "the experts' work space", bytes);
    }
    size_t widest = common_width(config) > hidden ? common_width(config) : hidden;
    vl2_status status =
        linear_reserve(compute, chunk, widest > width ? widest : width, error);
    if (status != VL2_OK) {
        moe_workspace_close(workspace);
    }
    return status;
}

void moe_workspace_close(moe_workspace *workspace)
{
    base_free(workspace->gate);
    base_free(workspace->up);
    base_free(workspace->scores);
    base_free(workspace->ids);
    base_free(workspace->weights);
    base_free(workspace->bias);
    base_free(workspace->space);
    base_free(workspace->first);
    base_free(workspace->active);
    base_free(workspace->pair_token);
    base_free(workspace->token_pair);
    base_free(workspace->inputs);
    base_free(workspace->expert_gate);
    base_free(workspace->expert_up);
    base_free(workspace->outputs);
    base_free(workspace->token_codes);
    base_free(workspace->input_codes);
    base_free(workspace->inner_codes);
    base_free(workspace->records);
    memset(workspace, 0, sizeof(*workspace));
}

size_t moe_workspace_memory(const moe_workspace *workspace)
{
    const language_config *config = workspace->config;
    if (config == NULL) {
        return 0;
    }
    size_t pairs = workspace->chunk * (size_t)config->gate.experts_per_token;
    return (2 * workspace->chunk * common_width(config) +
            workspace->chunk * (size_t)config->gate.experts +
            2 * pairs * ((size_t)config->hidden + (size_t)config->expert_width)) * sizeof(float) +
           (workspace->chunk + pairs) * activation_size((size_t)config->hidden) +
           pairs * activation_size((size_t)config->expert_width);
}

typedef struct moe_job {
    const compute *compute;
    moe_workspace *workspace;
    const layer_weights *layer;
    const float *x;
    float *y;
    size_t count;
    bool has_bias;
    /* In which form the active experts' matrices want their inputs: some may be packed. */
    bool plain_inputs, packed_inputs, packed_inner;
} moe_job;

/* A dense gated network over all tokens: y += down(silu(gate(x)) * up(x)). */
static void silu_task(void *context, size_t task, int worker)
{
    (void)worker;
    const moe_job *job = context;
    size_t width = (size_t)job->layer->mlp.gate->tensor.shape[0];
    float *gate = job->workspace->gate + task * width;
    job->compute->kernels->silu_mul(gate, job->workspace->up + task * width, gate, width);
}

static void run_dense(const moe_job *job)
{
    const mlp_weights *mlp = &job->layer->mlp;
    size_t hidden = (size_t)job->workspace->config->hidden;
    size_t width = (size_t)mlp->gate->tensor.shape[0];
    linear_run(job->compute, &(linear_call){.w = mlp->gate, .x = job->x, .x_stride = hidden,
                                            .y = job->workspace->gate, .y_stride = width,
                                            .rows = job->count});
    linear_run(job->compute, &(linear_call){.w = mlp->up, .x = job->x, .x_stride = hidden,
                                            .y = job->workspace->up, .y_stride = width,
                                            .rows = job->count});
    team_run(&job->compute->team, job->count, silu_task, (void *)job);
    linear_run(job->compute, &(linear_call){.w = mlp->down, .x = job->workspace->gate,
                                            .x_stride = width, .y = job->y, .y_stride = hidden,
                                            .rows = job->count, .add = true});
}

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

static void gather_task(void *context, size_t pair, int worker)
{
    (void)worker;
    const moe_job *job = context;
    const moe_workspace *workspace = job->workspace;
    size_t hidden = (size_t)workspace->config->hidden, token = workspace->pair_token[pair];
    size_t size = activation_size(hidden);
    if (job->plain_inputs) {
        memcpy(workspace->inputs + pair * hidden, job->x + token * hidden,
               hidden * sizeof(float));
    }
    if (job->packed_inputs) {
        memcpy(workspace->input_codes + pair * size, workspace->token_codes + token * size, size);
    }
}

/* What one task of a grouped product works on: a panel of one expert's outputs, for its pairs. */
typedef struct expert_panel {
    const mlp_weights *expert;
    size_t first, count; /* outputs */
    size_t pair, rows;   /* the expert's pairs */
} expert_panel;

static expert_panel panel_of(const moe_job *job, size_t task, size_t outputs)
{
    const moe_workspace *workspace = job->workspace;
    size_t expert = workspace->active[task / linear_panels(outputs)];
    size_t first = task % linear_panels(outputs) * LINEAR_PANEL;
    size_t left = outputs - first, pair = workspace->first[expert];
    return (expert_panel){&job->layer->experts[expert], first,
                          left < LINEAR_PANEL ? left : LINEAR_PANEL, pair,
                          workspace->first[expert + 1] - pair};
}

/* Gate and up, then SiLU(gate) * up in place. */
static void gate_up_task(void *context, size_t task, int worker)
{
    const moe_job *job = context;
    moe_workspace *workspace = job->workspace;
    size_t width = (size_t)workspace->config->expert_width;
    size_t hidden = (size_t)workspace->config->hidden;
    expert_panel panel = panel_of(job, task, width);
    linear_call call = {.w = panel.expert->gate,
                        .x = workspace->inputs + panel.pair * hidden, .x_stride = hidden,
                        .y = workspace->expert_gate + panel.pair * width, .y_stride = width,
                        .rows = panel.rows,
                        .quantized = workspace->input_codes + panel.pair * activation_size(hidden),
                        .quantized_stride = activation_size(hidden)};
    linear_panel(job->compute, worker, &call, panel.first, panel.count);
    call.w = panel.expert->up;
    call.y = workspace->expert_up + panel.pair * width;
    linear_panel(job->compute, worker, &call, panel.first, panel.count);
    for (size_t row = panel.pair; row < panel.pair + panel.rows; row++) {
        float *gate = workspace->expert_gate + row * width + panel.first;
        job->compute->kernels->silu_mul(gate, workspace->expert_up + row * width + panel.first,
                                        gate, panel.count);
    }
}

static void down_task(void *context, size_t task, int worker)
{
    const moe_job *job = context;
    moe_workspace *workspace = job->workspace;
    size_t width = (size_t)workspace->config->expert_width;
    size_t hidden = (size_t)workspace->config->hidden;
    expert_panel panel = panel_of(job, task, hidden);
    linear_call call = {.w = panel.expert->down,
                        .x = workspace->expert_gate + panel.pair * width, .x_stride = width,
                        .y = workspace->outputs + panel.pair * hidden, .y_stride = hidden,
                        .rows = panel.rows,
                        .quantized = workspace->inner_codes + panel.pair * activation_size(width),
                        .quantized_stride = activation_size(width)};
    linear_panel(job->compute, worker, &call, panel.first, panel.count);
}

/* One token: the weighted sum of its experts' outputs, in the order of its choices. */
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
    for (size_t i = 0; i < hidden; i++) {
        y[i] += sum[i];
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

static void observe_experts(const moe_job *job, bool down)
{
    const moe_workspace *workspace = job->workspace;
    size_t hidden = (size_t)workspace->config->hidden;
    size_t width = (size_t)workspace->config->expert_width;
    for (size_t i = 0; job->compute->observer != NULL && i < workspace->active_count; i++) {
        size_t expert = workspace->active[i], pair = workspace->first[expert];
        size_t rows = workspace->first[expert + 1] - pair;
        const mlp_weights *mlp = &job->layer->experts[expert];
        const float *inputs = workspace->inputs + pair * hidden;
        if (down) {
            compute_observe(job->compute, mlp->down, workspace->expert_gate + pair * width, width,
                            rows);
        } else {
            compute_observe(job->compute, mlp->gate, inputs, hidden, rows);
            compute_observe(job->compute, mlp->up, inputs, hidden, rows);
        }
    }
}

static void note_forms(moe_job *job)
{
    const moe_workspace *workspace = job->workspace;
    job->plain_inputs = job->compute->observer != NULL;
    for (size_t i = 0; i < workspace->active_count; i++) {
        const mlp_weights *mlp = &job->layer->experts[workspace->active[i]];
        bool gate = linear_is_packed(mlp->gate), up = linear_is_packed(mlp->up);
        job->plain_inputs |= !gate || !up;
        job->packed_inputs |= gate || up;
        job->packed_inner |= linear_is_packed(mlp->down);
    }
}

static void run_experts(moe_job *job)
{
    const moe_workspace *workspace = job->workspace;
    const language_config *config = workspace->config;
    const team *team = &job->compute->team;
    size_t experts = workspace->active_count, hidden = (size_t)config->hidden;
    size_t width = (size_t)config->expert_width;
    size_t pairs = job->count * (size_t)config->gate.experts_per_token;
    note_forms(job);
    if (job->packed_inputs) {
        linear_quantize(job->compute, job->x, hidden, job->count, hidden, workspace->token_codes);
    }
    team_run(team, pairs, gather_task, job);
    observe_experts(job, false);
    team_run(team, experts * linear_panels(width), gate_up_task, job);
    observe_experts(job, true);
    if (job->packed_inner) {
        linear_quantize(job->compute, workspace->expert_gate, width, pairs, width,
                        workspace->inner_codes);
    }
    team_run(team, experts * linear_panels(hidden), down_task, job);
    team_run(team, job->count, reduce_task, job);
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

vl2_status moe_run(const compute *compute, moe_workspace *workspace, const layer_weights *layer,
                   const float *x, size_t count, float *y, vl2_error *error)
{
    moe_job job = {.compute = compute, .workspace = workspace, .layer = layer, .x = x, .y = y,
                   .count = count};
    if (layer->has_experts) {
        route(&job);
        vl2_status status = acquire_experts(&job, error);
        if (status != VL2_OK) {
            return status;
        }
        run_experts(&job);
    }
    if (layer->mlp.gate != NULL) {
        run_dense(&job);
    }
    return VL2_OK;
}
