#include "model/projector.h"

#include "base/alloc.h"
#include "model/linear.h"

#include <string.h>

static size_t rows_of(const projector_config *config)
{
    return (size_t)config->grid * (size_t)config->grid;
}

static size_t inputs_of(const projector_config *config)
{
    return (size_t)config->input_width * (size_t)config->ratio * (size_t)config->ratio;
}

vl2_status projector_workspace_open(const projector_config *config,
                                    const projector_weights *weights, int vision_grid, int tiles,
                                    compute *compute, projector_workspace *workspace,
                                    vl2_error *error)
{
    size_t rows = (size_t)tiles * rows_of(config);
    *workspace = (projector_workspace){.config = config, .weights = weights,
                                       .vision_grid = vision_grid, .tiles = tiles};
    workspace->inputs = base_alloc_aligned(rows * inputs_of(config), sizeof(float));
    workspace->inner =
        base_alloc_aligned(rows * (size_t)config->inner_width, 2 * sizeof(float));
    if (workspace->inputs == NULL || workspace->inner == NULL) {
        size_t bytes = projector_workspace_memory(workspace);
        projector_workspace_close(workspace);
        return vl2_fail_memory(error, "the projector's work space", bytes);
    }
    size_t inner = (size_t)config->inner_width;
    size_t widest = inner > inputs_of(config) ? inner : inputs_of(config);
    vl2_status status = linear_reserve(compute, rows, widest, error);
    if (status != VL2_OK) {
        projector_workspace_close(workspace);
    }
    return status;
}

void projector_workspace_close(projector_workspace *workspace)
{
    base_free(workspace->inputs);
    base_free(workspace->inner);
    memset(workspace, 0, sizeof(*workspace));
}

size_t projector_workspace_memory(const projector_workspace *workspace)
{
    const projector_config *config = workspace->config;
    return config == NULL ? 0
                          : (size_t)workspace->tiles * rows_of(config) * sizeof(float) *
                                (inputs_of(config) + 2 * (size_t)config->inner_width);
}

typedef struct gather_job {
    const projector_workspace *workspace;
    const float *features;
} gather_job;

/* One row of outputs of one tile. */
static void gather_task(void *context, size_t task, int worker)
{
    (void)worker;
    const gather_job *job = context;
    const projector_config *config = job->workspace->config;
    size_t grid = (size_t)config->grid, ratio = (size_t)config->ratio;
    size_t width = (size_t)config->input_width, side = (size_t)job->workspace->vision_grid;
    const float *tile = job->features + task / grid * side * side * width;
    float *out = job->workspace->inputs + task * grid * inputs_of(config);
    for (size_t column = 0; column < grid; column++, out += inputs_of(config)) {
        for (size_t cell = 0; cell < ratio * ratio; cell++) {
            size_t y = task % grid * ratio + cell / ratio, x = column * ratio + cell % ratio;
            const float *patch = y < side && x < side ? tile + (y * side + x) * width : NULL;
            for (size_t channel = 0; channel < width; channel++) {
                out[channel * ratio * ratio + cell] = patch != NULL ? patch[channel] : 0.0f;
            }
        }
    }
}

void projector_run(const compute *compute, projector_workspace *workspace, const float *features,
                   int count, float *rows)
{
    const projector_config *config = workspace->config;
    gather_job job = {workspace, features};
    team_run(&compute->team, (size_t)count * (size_t)config->grid, gather_task, &job);
    size_t total = (size_t)count * rows_of(config);
    const float *input = workspace->inputs;
    size_t input_width = inputs_of(config);
    for (int layer = 0; layer < config->depth; layer++) {
        bool last = layer == config->depth - 1;
        size_t width = (size_t)(last ? config->output_width : config->inner_width);
        float *output = last ? rows
                             : workspace->inner + (size_t)(layer % 2) *
                                                      (size_t)workspace->tiles * rows_of(config) *
                                                      (size_t)config->inner_width;
        linear_run(compute, &(linear_call){.w = workspace->weights->weights[layer],
                                           .bias = workspace->weights->biases[layer],
                                           .x = input, .x_stride = input_width,
                                           .y = output, .y_stride = width, .rows = total,
                                           .activation = last ? LINEAR_PLAIN : LINEAR_GELU_ERF});
        input = output;
        input_width = width;
    }
}
