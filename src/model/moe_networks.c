/* The gated networks of a layer as two lists of tasks. A task of the first is a panel of gate and
 * the same of up for some rows, with SiLU, and the quantization of what down reads: a panel is one
 * run of activations. A task of the second is a panel of down. */
#include "model/moe_internal.h"

#include "model/linear.h"

_Static_assert(LINEAR_PANEL == ACTIVATION_GROUP, "a task quantizes one run");

typedef struct networks_job {
    const compute *compute;
    const moe_workspace *workspace;
    bool observed; /* somebody wants to see what goes into down */
} networks_job;

static size_t panels_of(size_t outputs)
{
    return (outputs + LINEAR_PANEL - 1) / LINEAR_PANEL;
}

/* What one task works on. */
typedef struct network_panel {
    const moe_network *network;
    size_t first, count; /* outputs */
    size_t row, rows;
} network_panel;

static network_panel find_panel(const networks_job *job, size_t task, bool out)
{
    const moe_network *networks = job->workspace->networks;
    size_t low = 0, high = job->workspace->network_count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        size_t first = out ? networks[middle].first_out : networks[middle].first_inner;
        *(first <= task ? &low : &high) = middle;
    }
    const moe_network *network = &networks[low];
    size_t outputs = out ? (size_t)job->workspace->config->hidden : network->width;
    size_t index = task - (out ? network->first_out : network->first_inner);
    network_panel panel = {.network = network, .first = index / network->blocks * LINEAR_PANEL};
    size_t left = outputs - panel.first;
    panel.count = left < LINEAR_PANEL ? left : LINEAR_PANEL;
    linear_block(network->rows, network->blocks, index % network->blocks, &panel.row, &panel.rows);
    return panel;
}

/* silu(gate) * up in place of gate, and from there where down reads it. */
static void finish_rows(const networks_job *job, const network_panel *panel, float *gate,
                        const float *up)
{
    const moe_network *network = panel->network;
    size_t size = activation_size(network->width);
    bool packed = linear_is_packed(network->weights->down);
    for (size_t row = 0; row < panel->rows; row++) {
        const float *activation = gate + row * LINEAR_PANEL;
        size_t place = panel->row + row;
        float *out = packed && !job->observed
                         ? gate + row * LINEAR_PANEL
                         : network->inner + place * network->width + panel->first;
        job->compute->kernels->silu_mul(activation, up + row * LINEAR_PANEL, out, panel->count);
        if (packed) {
            linear_quantize_run(job->compute->kernels, out, panel->first, panel->count,
                                network->width, network->inner_codes + place * size);
        }
    }
}

/* NULL where the rows are read in packed form only. */
static const float *row_of(const float *rows, size_t row, size_t width)
{
    return rows != NULL ? rows + row * width : NULL;
}

static void inner_task(void *context, size_t task, int worker)
{
    const networks_job *job = context;
    const moe_workspace *workspace = job->workspace;
    network_panel panel = find_panel(job, task, false);
    const moe_network *network = panel.network;
    size_t hidden = (size_t)workspace->config->hidden, size = activation_size(hidden);
    size_t most = workspace->chunk < LINEAR_ROW_BLOCK ? workspace->chunk : LINEAR_ROW_BLOCK;
    float *gate = workspace->panels + (size_t)worker * 2 * most * LINEAR_PANEL;
    float *up = gate + most * LINEAR_PANEL;
    linear_call call = {.w = network->weights->gate,
                        .x = row_of(network->inputs, panel.row, hidden), .x_stride = hidden,
                        .y = gate, .y_stride = LINEAR_PANEL, .y_panel = true, .rows = panel.rows,
                        .quantized = network->input_codes + panel.row * size,
                        .quantized_stride = size};
    linear_panel(job->compute, worker, &call, panel.first, panel.count);
    call.w = network->weights->up;
    call.y = up;
    linear_panel(job->compute, worker, &call, panel.first, panel.count);
    finish_rows(job, &panel, gate, up);
}

static void out_task(void *context, size_t task, int worker)
{
    const networks_job *job = context;
    network_panel panel = find_panel(job, task, true);
    const moe_network *network = panel.network;
    size_t hidden = (size_t)job->workspace->config->hidden, size = activation_size(network->width);
    linear_call call = {.w = network->weights->down,
                        .x = row_of(network->inner, panel.row, network->width),
                        .x_stride = network->width,
                        .y = network->out + panel.row * hidden, .y_stride = hidden,
                        .rows = panel.rows, .add = network->add,
                        .quantized = network->inner_codes + panel.row * size,
                        .quantized_stride = size};
    linear_panel(job->compute, worker, &call, panel.first, panel.count);
}

static void observe(const networks_job *job, bool down)
{
    size_t hidden = (size_t)job->workspace->config->hidden;
    for (size_t i = 0; job->observed && i < job->workspace->network_count; i++) {
        const moe_network *n = &job->workspace->networks[i];
        if (down) {
            compute_observe(job->compute, n->weights->down, n->inner, n->width, n->rows);
        } else {
            compute_observe(job->compute, n->weights->gate, n->inputs, hidden, n->rows);
            compute_observe(job->compute, n->weights->up, n->inputs, hidden, n->rows);
        }
    }
}

void moe_run_networks(const compute *compute, moe_workspace *workspace)
{
    networks_job job = {compute, workspace, compute->observer != NULL};
    size_t inner = 0, out = 0;
    for (size_t i = 0; i < workspace->network_count; i++) {
        moe_network *network = &workspace->networks[i];
        network->blocks = (network->rows + LINEAR_ROW_BLOCK - 1) / LINEAR_ROW_BLOCK;
        network->first_inner = inner;
        network->first_out = out;
        inner += panels_of(network->width) * network->blocks;
        out += panels_of((size_t)workspace->config->hidden) * network->blocks;
    }
    observe(&job, false);
    team_run(&compute->team, inner, inner_task, &job);
    observe(&job, true);
    team_run(&compute->team, out, out_task, &job);
}
