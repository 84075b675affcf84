/* Rotary position embedding: the table of angles, plain, linear or YaRN (modeling_deepseek.py,
 * DeepseekV2RotaryEmbedding and its subclasses). */
#ifndef MODEL_ROPE_H
#define MODEL_ROPE_H

#include "model/config.h"

#include <stddef.h>

typedef struct rope_table {
    float *cosines, *sines; /* [positions, width / 2], times YaRN's mscale */
    size_t positions, half; /* half = width / 2 */
} rope_table;

/* width: what is rotated of each head, even. VL2_ERROR_MEMORY. */
vl2_status rope_table_open(const rope_config *config, size_t width, size_t positions,
                           rope_table *table, vl2_error *error);
void rope_table_close(rope_table *table);

static inline const float *rope_cosines(const rope_table *table, size_t position)
{
    return table->cosines + position * table->half;
}

static inline const float *rope_sines(const rope_table *table, size_t position)
{
    return table->sines + position * table->half;
}

#endif
