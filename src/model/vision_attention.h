/* Attention of the vision tower: every patch of a tile sees all patches of the tile. */
#ifndef MODEL_VISION_ATTENTION_H
#define MODEL_VISION_ATTENTION_H

#include "model/compute.h"
#include "model/config.h"

/* qkv [tiles * grid^2, 3 * width]: query, key, value; head by head. out [tiles * grid^2, width] =
 * softmax(q k^T / sqrt(head_width)) v. `rounded` as in simd/attention.h. */
void vision_attention_run(const compute *compute, const vision_config *config, const float *qkv,
                          size_t tiles, bool rounded, float *out);

/* Floats of a worker's scratch. */
size_t vision_attention_scratch(const vision_config *config);

#endif
