/* Projector (MlpProjector, downsample_mlp_gelu): ratio x ratio patches -> one row of the language
 * model. A grid that the ratio does not divide is padded with zeros at the bottom and the right;
 * the inputs of a row are ordered channel, then dy, then dx (torch's F.unfold); GELU in its erf
 * form. */
#ifndef MODEL_PROJECTOR_H
#define MODEL_PROJECTOR_H

#include "model/compute.h"
#include "model/weights.h"

typedef struct projector_workspace {
    const projector_config *config;
    const projector_weights *weights;
    int vision_grid;
    int tiles;
    float *inputs; /* [tiles * grid^2, input_width * ratio^2] */
    float *inner;  /* [2, tiles * grid^2, inner_width]: the layers take turns */
} projector_workspace;

vl2_status projector_workspace_open(const projector_config *config,
                                    const projector_weights *weights, int vision_grid, int tiles,
                                    compute *compute, projector_workspace *workspace,
                                    vl2_error *error);
void projector_workspace_close(projector_workspace *workspace);
size_t projector_workspace_memory(const projector_workspace *workspace);

/* features [count, vision_grid^2, input_width] -> rows [count, grid^2, output_width];
 * count <= workspace->tiles. */
void projector_run(const compute *compute, projector_workspace *workspace, const float *features,
                   int count, float *rows);

#endif
