#include "image/tiling.h"

#include "base/alloc.h"
#include "image/resample.h"

#include <math.h>
#include <string.h>

void tiling_choose(const image_processor *processor, int width, int height, int resolution[2])
{
    int64_t most = 0, least_waste = INT64_MAX;
    for (int i = 0; i < processor->resolution_count; i++) {
        const int *candidate = processor->resolutions[i];
        double scale = fmin((double)candidate[0] / width, (double)candidate[1] / height);
        int64_t scaled = (int64_t)(width * scale) * (int64_t)(height * scale);
        int64_t original = (int64_t)width * height;
        int64_t effective = scaled < original ? scaled : original;
        int64_t waste = (int64_t)candidate[0] * candidate[1] - effective;
        if (effective > most || (effective == most && waste < least_waste)) {
            most = effective;
            least_waste = waste;
            resolution[0] = candidate[0];
            resolution[1] = candidate[1];
        }
    }
}

/* Copies the tile at column, row out of the padded picture. */
static void cut_tile(const image_rgb *canvas, int side, int column, int row, uint8_t *tile)
{
    size_t line = (size_t)side * 3;
    for (int y = 0; y < side; y++) {
        size_t from = ((size_t)row * (size_t)side + (size_t)y) * (size_t)canvas->width +
                      (size_t)column * (size_t)side;
        memcpy(tile + (size_t)y * line, canvas->pixels + from * 3, line);
    }
}

/* Pads the picture to `resolution` and appends its tiles at `tile`. */
static vl2_status append_view(const image_processor *processor, const image_rgb *image,
                              const int resolution[2], uint8_t *tile, vl2_error *error)
{
    image_rgb canvas;
    vl2_status status =
        image_pad(image, resolution[0], resolution[1], processor->fill, &canvas, error);
    if (status != VL2_OK) {
        return status;
    }
    int side = processor->tile_side;
    size_t tile_bytes = (size_t)side * (size_t)side * 3;
    for (int row = 0; row < resolution[1] / side; row++) {
        for (int column = 0; column < resolution[0] / side; column++, tile += tile_bytes) {
            cut_tile(&canvas, side, column, row, tile);
        }
    }
    image_free(&canvas);
    return VL2_OK;
}

vl2_status tiling_cut(const image_processor *processor, const image_rgb *image, bool tiling,
                      tile_set *tiles, vl2_error *error)
{
    int side = processor->tile_side;
    const int global[2] = {side, side};
    tile_set cut = {.side = side, .resolution = {side, side}};
    if (tiling) {
        tiling_choose(processor, image->width, image->height, cut.resolution);
    }
    cut.columns = cut.resolution[0] / side;
    cut.rows = cut.resolution[1] / side;
    cut.count = 1 + cut.columns * cut.rows;
    size_t tile_bytes = (size_t)side * (size_t)side * 3;
    cut.pixels = base_alloc_aligned((size_t)cut.count, tile_bytes);
    if (cut.pixels == NULL) {
        return vl2_fail_memory(error, "the tiles of a picture", (size_t)cut.count * tile_bytes);
    }
    vl2_status status = append_view(processor, image, global, cut.pixels, error);
    if (status == VL2_OK && cut.resolution[0] == side && cut.resolution[1] == side) {
        memcpy(cut.pixels + tile_bytes, cut.pixels, tile_bytes); /* the same view again */
    } else if (status == VL2_OK) {
        status = append_view(processor, image, cut.resolution, cut.pixels + tile_bytes, error);
    }
    if (status != VL2_OK) {
        tile_set_free(&cut);
        return status;
    }
    *tiles = cut;
    return VL2_OK;
}

void tile_set_free(tile_set *tiles)
{
    base_free(tiles->pixels);
    *tiles = (tile_set){0};
}
