/* The pictures of a session: cut into tiles, and the tiles' embedding rows once they are
 * encoded. */
#ifndef ENGINE_PICTURE_H
#define ENGINE_PICTURE_H

#include "base/sha256.h"
#include "engine/model.h"
#include "engine/image.h"
#include "image/tiling.h"
#include "model/joining.h"

/* The embedding rows of one tile, [grid * grid, hidden]; tiles of equal pixels share them. */
typedef struct tile_rows {
    uint8_t digest[SHA256_SIZE];
    float *rows; /* NULL until encoded */
    bool wanted; /* by a picture of the present conversation */
} tile_rows;

typedef struct picture {
    vl2_image *image; /* retained */
    bool tiling;
    tile_set set;
    joining_layout layout;
    uint8_t (*digests)[SHA256_SIZE]; /* [set.count] */
    size_t *tiles;                   /* [set.count] indices into the store */
    uint64_t key;                    /* stands for the picture when prompts are compared */
} picture;

/* All zero is empty. Pictures stand in the order of the conversation. */
typedef struct picture_store {
    picture *pictures;
    size_t picture_count;
    tile_rows *tiles;
    size_t tile_count, tile_capacity;
} picture_store;

void picture_store_free(picture_store *store);

/* Makes the store hold exactly these images in this order. What is there already (the same image,
 * cut the same way) stays with its encoded tiles; tiles that no picture has any more are
 * dropped. */
vl2_status picture_store_set(picture_store *store, const vl2_model *model,
                             vl2_image *const *images, size_t count, vl2_error *error);

/* Floats of the embedding rows of one tile. */
size_t tile_row_floats(const vl2_model *model);

/* Embedding rows of a picture. */
size_t picture_rows(const picture *picture);

/* Bytes that it holds once all tiles are encoded, the pictures' own pixels included. */
uint64_t picture_store_most(const picture_store *store, const vl2_model *model);

/* Bytes of pixels and rows that the store holds. */
size_t picture_store_memory(const picture_store *store, const vl2_model *model);

#endif
