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

/* Pairs of a chunk. */
static size_t pairs_of(const language_config *config, size_t chunk)
{
    return config->gate.experts > 0 ? chunk * (size_t)config->gate.experts_per_token : 0;
}

/* Gate and up of one task of a worker. */
static size_t panel_floats(size_t chunk)
{
    size_t rows = chunk < LINEAR_ROW_BLOCK ? chunk : LINEAR_ROW_BLOCK;
    return 2 * rows * LINEAR_PANEL;
}

static bool open_routing(moe_workspace *w, size_t threads)
{
    size_t experts = (size_t)w->config->gate.experts, pairs = pairs_of(w->config, w->chunk);
    w->scores = base_alloc_aligned(w->chunk * experts, sizeof(float));
    w->ids = base_malloc(pairs, sizeof(int32_t));
    w->weights = base_malloc(pairs, sizeof(float));
    w->bias = base_malloc(experts, sizeof(float));
    w->space = base_malloc(threads * 2 * experts, sizeof(float));
    w->first = base_calloc(experts + 1, sizeof(size_t));
    w->active = base_malloc(experts, sizeof(size_t));
    w->pair_token = base_malloc(pairs, sizeof(size_t));
    w->token_pair = base_malloc(pairs, sizeof(size_t));
    w->records = base_malloc(3 * experts, sizeof(uint32_t));
    w->networks = base_malloc(experts + 1, sizeof(moe_network));
    return w->scores && w->ids && w->weights && w->bias && w->space && w->first && w->active &&
           w->pair_token && w->token_pair && w->records && w->networks;
}

static bool open_products(moe_workspace *w, size_t threads)
{
    size_t hidden = (size_t)w->config->hidden, width = (size_t)w->config->expert_width;
    size_t pairs = pairs_of(w->config, w->chunk), common = common_width(w->config);
    w->inputs = base_alloc_aligned(pairs * hidden, sizeof(float));
    w->token_codes = base_alloc_aligned(w->chunk, activation_size(hidden));
    w->input_codes = base_alloc_aligned(pairs, activation_size(hidden));
    w->inner_codes = base_alloc_aligned(pairs, activation_size(width));
    w->common_codes = base_alloc_aligned(w->chunk, activation_size(common));
    w->inner = base_alloc_aligned(pairs * width, sizeof(float));
    w->common_inner = base_alloc_aligned(w->chunk * common, sizeof(float));
    w->outputs = base_alloc_aligned((pairs + w->chunk) * hidden, sizeof(float));
    w->panels = base_alloc_aligned(threads * panel_floats(w->chunk), sizeof(float));
    return w->inputs && w->token_codes && w->input_codes && w->inner_codes && w->common_codes &&
           w->inner && w->common_inner && w->outputs && w->panels;
}

vl2_status moe_workspace_open(const language_config *config, weight_store *store, size_t chunk,
                              compute *compute, moe_workspace *workspace, vl2_error *error)
{
    size_t hidden = (size_t)config->hidden, width = (size_t)config->expert_width;
    size_t threads = (size_t)compute->team.threads;
    *workspace = (moe_workspace){.config = config, .store = store, .chunk = chunk};
    if (!open_routing(workspace, threads) || !open_products(workspace, threads)) {
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
    base_free(workspace->scores);
    base_free(workspace->ids);
    base_free(workspace->weights);
    base_free(workspace->bias);
    base_free(workspace->space);
    base_free(workspace->first);
    base_free(workspace->active);
    base_free(workspace->pair_token);
    base_free(workspace->token_pair);
    base_free(workspace->records);
    base_free(workspace->networks);
    base_free(workspace->inputs);
    base_free(workspace->token_codes);
    base_free(workspace->input_codes);
    base_free(workspace->inner_codes);
    base_free(workspace->common_codes);
    base_free(workspace->inner);
    base_free(workspace->common_inner);
    base_free(workspace->outputs);
    base_free(workspace->panels);
    memset(workspace, 0, sizeof(*workspace));
}

size_t moe_workspace_memory(const moe_workspace *workspace)
{
    const language_config *config = workspace->config;
    if (config == NULL) {
        return 0;
    }
    size_t pairs = pairs_of(config, workspace->chunk), common = common_width(config);
    size_t hidden = (size_t)config->hidden, width = (size_t)config->expert_width;
    size_t floats = workspace->chunk * (size_t)config->gate.experts + pairs * (hidden + width) +
                    workspace->chunk * common + (pairs + workspace->chunk) * hidden +
                    panel_floats(workspace->chunk);
    return floats * sizeof(float) + (workspace->chunk + pairs) * activation_size(hidden) +
           pairs * activation_size(width) + workspace->chunk * activation_size(common);
}

typedef struct moe_job {
    const compute *compute;
    moe_workspace *workspace;
    const layer_weights *layer;
    const float *x;
    float *y;
    size_t count;
    bool has_bias;
    /* In which form the networks want their inputs: some may be packed. */
    bool plain_inputs, packed_inputs;
} moe_job;

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

static void note_forms(moe_job *job, const mlp_weights *weights)
{
    bool gate = linear_is_packed(weights->gate), up = linear_is_packed(weights->up);
    job->plain_inputs |= !gate || !up;
    job->packed_inputs |= gate || up;
}

/* The network of all tokens: into y where it is the only one, otherwise behind the pairs. */
static void add_common(moe_job *job)
{
    moe_workspace *workspace = job->workspace;
    const mlp_weights *mlp = &job->layer->mlp;
    bool alone = !job->layer->has_experts;
    size_t pairs = alone ? 0 : job->count * (size_t)workspace->config->gate.experts_per_token;
    note_forms(job, mlp);
    workspace->networks[workspace->network_count++] = (moe_network){
        .weights = mlp, .width = (size_t)mlp->gate->tensor.shape[0], .rows = job->count,
        .inputs = job->x, .input_codes = workspace->token_codes,
        .inner = workspace->common_inner, .inner_codes = workspace->common_codes,
        .out = alone ? job->y : workspace->outputs + pairs * (size_t)workspace->config->hidden,
        .add = alone};
}

static void add_experts(moe_job *job)
{
    moe_workspace *workspace = job->workspace;
    size_t hidden = (size_t)workspace->config->hidden;
    size_t width = (size_t)workspace->config->expert_width;
    bool single = job->count == 1; /* all experts see the same row */
    for (size_t i = 0; i < workspace->active_count; i++) {
        size_t expert = workspace->active[i], pair = workspace->first[expert];
        note_forms(job, &job->layer->experts[expert]);
        workspace->networks[workspace->network_count++] = (moe_network){
            .weights = &job->layer->experts[expert], .width = width,
            .rows = workspace->first[expert + 1] - pair,
            .inputs = single ? job->x : workspace->inputs + pair * hidden,
            .input_codes = single ? workspace->token_codes
                                  : workspace->input_codes + pair * activation_size(hidden),
            .inner = workspace->inner + pair * width,
            .inner_codes = workspace->inner_codes + pair * activation_size(width),
            .out = workspace->outputs + pair * hidden};
    }
}

static void run_networks(moe_job *job)
{
    const moe_workspace *workspace = job->workspace;
    size_t hidden = (size_t)workspace->config->hidden;
    job->plain_inputs |= job->compute->observer != NULL;
    if (job->packed_inputs) {
        linear_quantize(job->compute, job->x, hidden, job->count, hidden, workspace->token_codes);
    }
    if (job->layer->has_experts && job->count > 1) {
        size_t pairs = job->count * (size_t)workspace->config->gate.experts_per_token;
        team_run(&job->compute->team, (pairs + GATHER_PAIRS - 1) / GATHER_PAIRS, gather_task, job);
    }
    moe_run_networks(job->compute, job->workspace);
    if (job->layer->has_experts) {
        team_run(&job->compute->team, job->count, reduce_task, job);
    }
}

vl2_status moe_run(const compute *compute, moe_workspace *workspace, const layer_weights *layer,
                   const float *x, size_t count, float *y, vl2_error *error)
{
    moe_job job = {.compute = compute, .workspace = workspace, .layer = layer, .x = x, .y = y,
                   .count = count};
    workspace->network_count = 0;
    if (layer->has_experts) {
        route(&job);
        stage_mark(compute->stages, STAGE_ROUTER);
        vl2_status status = acquire_experts(&job, error);
        if (status != VL2_OK) {
            return status;
        }
    }
    if (layer->mlp.gate != NULL) {
        add_common(&job); /* first: of all networks it has the most rows */
    }
    if (layer->has_experts) {
        add_experts(&job);
    }
    run_networks(&job);
    stage_mark(compute->stages, layer->has_experts ? STAGE_EXPERTS : STAGE_DENSE);
    return VL2_OK;
}
