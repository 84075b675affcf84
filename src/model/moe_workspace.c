/* The work space of the feed-forward part. */
#include "model/moe.h"

#include "base/alloc.h"
#include "model/linear.h"

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
    w->token_codes = base_alloc_aligned(w->chunk, activation_size(hidden));
    w->input_codes = base_alloc_aligned(pairs, activation_size(hidden));
    w->inner_codes = base_alloc_aligned(pairs, activation_size(width));
    w->common_codes = base_alloc_aligned(w->chunk, activation_size(common));
    w->outputs = base_alloc_aligned((pairs + w->chunk) * hidden, sizeof(float));
    w->panels = base_alloc_aligned(threads * panel_floats(w->chunk), sizeof(float));
    return w->token_codes && w->input_codes && w->inner_codes && w->common_codes && w->outputs &&
           w->panels;
}

/* For the layer that is run while the one before it still is. */
static bool open_ahead(moe_workspace *w)
{
    size_t hidden = (size_t)w->config->hidden, experts = (size_t)w->config->gate.experts;
    size_t k = (size_t)w->config->gate.experts_per_token;
    w->ahead_rows = base_alloc_aligned((MOE_AHEAD_ROWS + 1) * hidden, sizeof(float));
    w->ahead_scores = base_alloc_aligned(MOE_AHEAD_ROWS * experts, sizeof(float));
    w->ahead_uses = base_malloc(experts, sizeof(uint32_t));
    w->ahead_order = base_malloc(experts, sizeof(uint32_t));
    w->ahead_ids = base_malloc(k, sizeof(int32_t));
    w->ahead_weights = base_malloc(k, sizeof(float));
    w->rows = base_malloc(experts, sizeof(size_t));
    w->taken = base_malloc(experts, sizeof(size_t));
    return w->ahead_rows && w->ahead_scores && w->ahead_uses && w->ahead_order && w->ahead_ids &&
           w->ahead_weights && w->rows && w->taken;
}

vl2_status moe_workspace_open(const language_config *config, weight_store *store, size_t chunk,
                              compute *compute, moe_workspace *workspace, vl2_error *error)
{
    size_t hidden = (size_t)config->hidden, width = (size_t)config->expert_width;
    size_t threads = (size_t)compute->team.threads;
    *workspace =
        (moe_workspace){.config = config, .store = store, .chunk = chunk, .threads = threads};
    if (!open_routing(workspace, threads) || !open_products(workspace, threads) ||
        !open_ahead(workspace)) {
        size_t bytes = moe_workspace_memory(workspace);
        moe_workspace_close(workspace);
        return vl2_fail_memory(error, "the experts' work space", bytes);
    }
    size_t widest = common_width(config) > hidden ? common_width(config) : hidden;
    vl2_status status = linear_reserve(compute, chunk, widest > width ? widest : width, error);
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
    base_free(workspace->ahead_rows);
    base_free(workspace->ahead_scores);
    base_free(workspace->ahead_uses);
    base_free(workspace->ahead_order);
    base_free(workspace->ahead_ids);
    base_free(workspace->ahead_weights);
    base_free(workspace->rows);
    base_free(workspace->taken);
    memset(workspace, 0, sizeof(*workspace));
}

vl2_status moe_workspace_add_plain(moe_workspace *workspace, bool inputs, bool inner,
                                   vl2_error *error)
{
    const language_config *config = workspace->config;
    size_t pairs = pairs_of(config, workspace->chunk), hidden = (size_t)config->hidden;
    size_t width = (size_t)config->expert_width;
    size_t common = workspace->chunk * common_width(config);
    if (inputs && workspace->inputs == NULL) {
        workspace->inputs = base_alloc_aligned(pairs * hidden, sizeof(float));
    }
    if (inner && workspace->inner == NULL) {
        workspace->inner = base_alloc_aligned(pairs * width, sizeof(float));
    }
    if (inner && workspace->common_inner == NULL) {
        workspace->common_inner = base_alloc_aligned(common, sizeof(float));
    }
    bool there = (!inputs || workspace->inputs != NULL) &&
                 (!inner || (workspace->inner != NULL && workspace->common_inner != NULL));
    return there ? VL2_OK
                 : vl2_fail_memory(error, "the experts' work space",
                                   (pairs * (hidden + width) + common) * sizeof(float));
}

/* Bytes of moe_workspace_add_plain. */
static size_t plain_memory(const moe_workspace *workspace)
{
    const language_config *config = workspace->config;
    size_t pairs = pairs_of(config, workspace->chunk), floats = 0;
    if (workspace->inputs != NULL) {
        floats += pairs * (size_t)config->hidden;
    }
    if (workspace->inner != NULL) {
        floats += pairs * (size_t)config->expert_width;
    }
    if (workspace->common_inner != NULL) {
        floats += workspace->chunk * common_width(config);
    }
    return floats * sizeof(float);
}

size_t moe_workspace_memory(const moe_workspace *workspace)
{
    const language_config *config = workspace->config;
    if (config == NULL) {
        return 0;
    }
    size_t pairs = pairs_of(config, workspace->chunk), common = common_width(config);
    size_t hidden = (size_t)config->hidden, width = (size_t)config->expert_width;
    size_t floats = workspace->chunk * (size_t)config->gate.experts +
                    (pairs + workspace->chunk) * hidden +
                    workspace->threads * panel_floats(workspace->chunk) +
                    (MOE_AHEAD_ROWS + 1) * hidden + MOE_AHEAD_ROWS * (size_t)config->gate.experts;
    return plain_memory(workspace) + floats * sizeof(float) +
           (workspace->chunk + pairs) * activation_size(hidden) + pairs * activation_size(width) +
           workspace->chunk * activation_size(common);
}
