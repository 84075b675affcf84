#include "model/vision.h"

#include "base/alloc.h"
#include "model/linear.h"
#include "model/vision_attention.h"

#include <string.h>

#define LAYER_NORM_EPSILON 1e-6f
#define NORM_ROWS          64  /* rows per task of a norm */

static size_t patches_of(const vision_config *config)
{
    return (size_t)config->grid * (size_t)config->grid;
}

static size_t patch_inputs(const vision_config *config)
{
    return 3 * (size_t)config->patch_size * (size_t)config->patch_size;
}

static size_t hidden_floats(const vision_config *config)
{
    size_t mlp = (size_t)config->mlp_width, patch = patch_inputs(config);
    return mlp > patch ? mlp : patch;
}

vl2_status vision_workspace_open(const vision_config *config, const vision_weights *weights,
                                 int tiles, compute *compute, vision_workspace *workspace,
                                 vl2_error *error)
{
    size_t rows = (size_t)tiles * patches_of(config), width = (size_t)config->width;
    *workspace = (vision_workspace){.config = config, .weights = weights, .tiles = tiles};
    workspace->norm = base_alloc_aligned(rows * width, sizeof(float));
    workspace->qkv = base_alloc_aligned(rows * width, 3 * sizeof(float));
    workspace->hidden = base_alloc_aligned(rows * hidden_floats(config), sizeof(float));
    workspace->vectors = base_alloc_aligned(2 * width, sizeof(float));
    if (workspace->norm == NULL || workspace->qkv == NULL || workspace->hidden == NULL ||
        workspace->vectors == NULL) {
        size_t bytes = vision_workspace_memory(workspace);
        vision_workspace_close(workspace);
        return vl2_fail_memory(error, "the vision tower's work space", bytes);
    }
    workspace->patches = workspace->hidden;
    size_t inputs = width > hidden_floats(config) ? width : hidden_floats(config);
    vl2_status status = linear_reserve(compute, rows, inputs, error);
    if (status == VL2_OK) {
        status = compute_reserve(compute, vision_attention_scratch(config), error);
    }
    if (status != VL2_OK) {
        vision_workspace_close(workspace);
    }
    return status;
}

void vision_workspace_close(vision_workspace *workspace)
{
    base_free(workspace->norm);
    base_free(workspace->qkv);
    base_free(workspace->hidden);
    base_free(workspace->vectors);
    memset(workspace, 0, sizeof(*workspace));
}

size_t vision_workspace_memory(const vision_workspace *workspace)
{
    const vision_config *config = workspace->config;
    if (config == NULL) {
        return 0;
    }
    size_t width = (size_t)config->width;
    return ((size_t)workspace->tiles * patches_of(config) * (4 * width + hidden_floats(config)) +
            2 * width) * sizeof(float);
}

/* One stage of the tower as the team's tasks see it. */
typedef struct vision_job {
    const compute *compute;
    const vision_workspace *workspace;
    const float *pixels; /* gather_task */
    float *rows;         /* [count, width] of the residual stream */
    size_t count;        /* rows in all */
} vision_job;

/* One row of patches of one tile: the inputs of the convolution, [3][patch][patch] each. */
static void gather_task(void *context, size_t task, int worker)
{
    (void)worker;
    const vision_job *job = context;
    const vision_config *config = job->workspace->config;
    size_t grid = (size_t)config->grid, patch = (size_t)config->patch_size;
    size_t side = (size_t)config->image_size;
    const float *tile = job->pixels + task / grid * 3 * side * side;
    float *out = job->workspace->patches + task * grid * patch_inputs(config);
    for (size_t column = 0; column < grid; column++) {
        const float *corner = tile + task % grid * patch * side + column * patch;
        for (size_t channel = 0; channel < 3; channel++) {
            for (size_t y = 0; y < patch; y++) {
                memcpy(out, corner + (channel * side + y) * side, patch * sizeof(float));
                out += patch;
            }
        }
    }
}

static void position_task(void *context, size_t task, int worker)
{
    const vision_job *job = context;
    size_t width = (size_t)job->workspace->config->width;
    float *position = compute_scratch(job->compute, worker);
    weight_widen(job->compute->kernels, job->workspace->weights->position, task * width, width,
                 position);
    for (size_t row = task; row < job->count; row += patches_of(job->workspace->config)) {
        for (size_t i = 0; i < width; i++) {
            job->rows[row * width + i] += position[i];
        }
    }
}

static void norm_task(void *context, size_t task, int worker)
{
    (void)worker;
    const vision_job *job = context;
    const vision_workspace *workspace = job->workspace;
    size_t width = (size_t)workspace->config->width;
    size_t end = (task + 1) * NORM_ROWS < job->count ? (task + 1) * NORM_ROWS : job->count;
    for (size_t row = task * NORM_ROWS; row < end; row++) {
        job->compute->kernels->layer_norm(job->rows + row * width, workspace->vectors,
                                          workspace->vectors + width, LAYER_NORM_EPSILON, width,
                                          workspace->norm + row * width);
    }
}

/* workspace->norm = LayerNorm(rows) */
static void normalize(const vision_job *job, weight scale, weight bias)
{
    const vision_workspace *workspace = job->workspace;
    size_t width = (size_t)workspace->config->width;
    weight_widen(job->compute->kernels, scale, 0, width, workspace->vectors);
    weight_widen(job->compute->kernels, bias, 0, width, workspace->vectors + width);
    team_run(&job->compute->team, (job->count + NORM_ROWS - 1) / NORM_ROWS, norm_task,
             (void *)job);
}

static void embed_patches(const vision_job *job)
{
    const vision_workspace *workspace = job->workspace;
    const vision_config *config = workspace->config;
    team_run(&job->compute->team, job->count / (size_t)config->grid, gather_task, (void *)job);
    linear_run(job->compute, &(linear_call){.w = workspace->weights->patch_weight,
                                            .bias = workspace->weights->patch_bias,
                                            .x = workspace->patches,
                                            .x_stride = patch_inputs(config),
                                            .y = job->rows,
                                            .y_stride = (size_t)config->width,
                                            .rows = job->count});
}

static void run_block(const vision_job *job, const vision_block_weights *block)
{
    const compute *compute = job->compute;
    const vision_workspace *workspace = job->workspace;
    size_t width = (size_t)workspace->config->width, rows = job->count;
    size_t mlp = (size_t)workspace->config->mlp_width;
    normalize(job, block->norm1_weight, block->norm1_bias);
    stage_mark(compute->stages, STAGE_TOWER_NORMS);
    linear_run(compute, &(linear_call){.w = block->qkv_weight, .bias = block->qkv_bias,
                                       .x = workspace->norm, .x_stride = width,
                                       .y = workspace->qkv, .y_stride = 3 * width, .rows = rows});
    stage_mark(compute->stages, STAGE_TOWER_QKV);
    vision_attention_run(compute, workspace->config, workspace->qkv,
                         rows / patches_of(workspace->config),
                         linear_is_packed(block->qkv_weight), workspace->norm);
    stage_mark(compute->stages, STAGE_TOWER_ATTENTION);
    linear_run(compute, &(linear_call){.w = block->proj_weight, .bias = block->proj_bias,
                                       .x = workspace->norm, .x_stride = width,
                                       .y = job->rows, .y_stride = width, .rows = rows,
                                       .add = true});
    stage_mark(compute->stages, STAGE_TOWER_OUTPUT);
    normalize(job, block->norm2_weight, block->norm2_bias);
    stage_mark(compute->stages, STAGE_TOWER_NORMS);
    linear_run(compute, &(linear_call){.w = block->fc1_weight, .bias = block->fc1_bias,
                                       .x = workspace->norm, .x_stride = width,
                                       .y = workspace->hidden, .y_stride = mlp, .rows = rows,
                                       .activation = LINEAR_GELU_TANH});
    linear_run(compute, &(linear_call){.w = block->fc2_weight, .bias = block->fc2_bias,
                                       .x = workspace->hidden, .x_stride = mlp,
                                       .y = job->rows, .y_stride = width, .rows = rows,
                                       .add = true});
    stage_mark(compute->stages, STAGE_TOWER_MLP);
}

void vision_encode(const compute *compute, vision_workspace *workspace, const float *pixels,
                   int count, float *features, vision_observer observer, void *user)
{
    const vision_config *config = workspace->config;
    size_t width = (size_t)config->width;
    vision_job job = {compute, workspace, pixels, features, (size_t)count * patches_of(config)};
    embed_patches(&job);
    if (observer != NULL) {
        observer(user, -2, features, job.count);
    }
    team_run(&compute->team, patches_of(config), position_task, &job);
    stage_mark(compute->stages, STAGE_PATCHES);
    if (observer != NULL) {
        observer(user, -1, features, job.count);
    }
    for (int i = 0; i < config->layers; i++) {
        run_block(&job, &workspace->weights->blocks[i]);
        if (observer != NULL) {
            observer(user, i, features, job.count);
        }
    }
    normalize(&job, workspace->weights->norm_weight, workspace->weights->norm_bias);
    memcpy(features, workspace->norm, job.count * width * sizeof(float));
    stage_mark(compute->stages, STAGE_TOWER_NORMS);
}
