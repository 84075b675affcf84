/* Where each embedding row of a picture comes from (modeling_deepseek_vl_v2.py,
 * prepare_inputs_embeds): the global view and the local tiles as one picture each, row by row, a
 * newline row behind every picture row, a separator between the two. */
#ifndef MODEL_JOINING_H
#define MODEL_JOINING_H

#include <stdbool.h>
#include <stddef.h>

typedef struct joining_layout {
    size_t grid;          /* rows per side of a tile */
    size_t columns, rows; /* of local tiles */
    bool global_first;
} joining_layout;

typedef enum joining_source { JOINING_TILE, JOINING_NEWLINE, JOINING_SEPARATOR } joining_source;

typedef struct joining_row {
    joining_source source;
    size_t tile; /* 0: the global view; 1 + row * columns + column: a local tile */
    size_t cell; /* of the tile's grid * grid rows */
} joining_row;

/* Rows of a picture: grid * (grid + 1) + 1 + (grid * rows) * (grid * columns + 1). */
size_t joining_count(const joining_layout *layout);

/* Row `index` < joining_count. */
joining_row joining_at(const joining_layout *layout, size_t index);

#endif
