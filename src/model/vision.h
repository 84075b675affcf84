/* SigLIP vision transformer (models/siglip_vit.py): tiles -> one row of features per patch.
 * LayerNorm epsilon 1e-6, GELU in its tanh form, the final norm applied, no class token, no
 * pooling. */
#ifndef MODEL_VISION_H
#define MODEL_VISION_H

#include "model/compute.h"
#include "model/weights.h"

/* Work space for up to `tiles` tiles at once. */
typedef struct vision_workspace {
    const vision_config *config;
    const vision_weights *weights;
    int tiles;
    float *patches; /* [tiles * grid^2, 3 * patch_size^2], shared with hidden */
    float *norm;    /* [tiles * grid^2, width] */
    float *qkv;     /* [tiles * grid^2, 3 * width] */
    float *hidden;  /* [tiles * grid^2, mlp_width] */
    float *vectors; /* [2, width]: a norm's weight and bias; then one position row */
} vision_workspace;

vl2_status vision_workspace_open(const vision_config *config, const vision_weights *weights,
                                 int tiles, compute *compute, vision_workspace *workspace,
                                 vl2_error *error);
void vision_workspace_close(vision_workspace *workspace);
size_t vision_workspace_memory(const vision_workspace *workspace);

/* Told after the patch convolution (step -2), after the position embedding (-1) and after block 0,
 * 1, ... Gets rows [tiles * grid^2, width], borrowed. */
typedef void (*vision_observer)(void *user, int step, const float *rows, size_t count);

/* pixels [count, 3, image_size, image_size], normalized, count <= workspace->tiles;
 * features [count, grid^2, width]. `observer` may be NULL. */
void vision_encode(const compute *compute, vision_workspace *workspace, const float *pixels,
                   int count, float *features, vision_observer observer, void *user);

#endif
