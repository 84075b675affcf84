/* vl2_tiles: the tiles of one picture, for people who want to look at them. */
#include "engine/image.h"
#include "engine/model.h"

#include "base/alloc.h"
#include "base/sha256.h"
#include "image/tiling.h"

#include <string.h>

struct vl2_tiles {
    tile_set set;
    char (*digests)[SHA256_HEX_SIZE]; /* [set.count] */
};

static size_t tile_bytes(const vl2_tiles *tiles)
{
    return 3 * (size_t)tiles->set.side * (size_t)tiles->set.side;
}

static vl2_status digest_tiles(vl2_tiles *tiles, vl2_error *error)
{
    size_t count = (size_t)tiles->set.count;
    tiles->digests = base_calloc(count, sizeof(*tiles->digests));
    if (tiles->digests == NULL) {
        return vl2_fail_memory(error, "tiles", count * sizeof(*tiles->digests));
    }
    for (size_t i = 0; i < count; i++) {
        uint8_t digest[SHA256_SIZE];
        sha256(tiles->set.pixels + i * tile_bytes(tiles), tile_bytes(tiles), digest);
        sha256_hex(digest, tiles->digests[i]);
    }
    return VL2_OK;
}

vl2_status vl2_tiles_create(const char *model_path, const vl2_image *image, bool tiling,
                            vl2_tiles **tiles, vl2_error *error)
{
    pack_file *pack = NULL;
    vl2_tiles *made = base_calloc(1, sizeof(*made));
    image_processor *processor = NULL;
    vl2_status status = VL2_OK;
    if (made == NULL) {
        status = vl2_fail_memory(error, "tiles", sizeof(*made));
    }
    if (status == VL2_OK) {
        status = pack_recognise(model_path) ? pack_open(model_path, &pack, error) : VL2_OK;
    }
    if (status == VL2_OK) {
        status = engine_open_processor(&(model_files){.path = model_path, .pack = pack},
                                       &processor, error);
    }
    if (status == VL2_OK) {
        status = tiling_cut(processor, &image->rgb, tiling, &made->set, error);
    }
    if (status == VL2_OK) {
        status = digest_tiles(made, error);
    }
    image_processor_close(processor);
    pack_close(pack);
    if (status != VL2_OK) {
        vl2_tiles_close(made);
        return status;
    }
    *tiles = made;
    return VL2_OK;
}

void vl2_tiles_close(vl2_tiles *tiles)
{
    if (tiles != NULL) {
        tile_set_free(&tiles->set);
        base_free(tiles->digests);
        base_free(tiles);
    }
}

size_t vl2_tiles_count(const vl2_tiles *tiles)
{
    return (size_t)tiles->set.count;
}

int vl2_tiles_side(const vl2_tiles *tiles)
{
    return tiles->set.side;
}

void vl2_tiles_grid(const vl2_tiles *tiles, int *columns, int *rows)
{
    *columns = tiles->set.columns;
    *rows = tiles->set.rows;
}

void vl2_tiles_resolution(const vl2_tiles *tiles, int *width, int *height)
{
    *width = tiles->set.resolution[0];
    *height = tiles->set.resolution[1];
}

const uint8_t *vl2_tiles_pixels(const vl2_tiles *tiles, size_t index)
{
    return index < vl2_tiles_count(tiles) ? tiles->set.pixels + index * tile_bytes(tiles) : NULL;
}

const char *vl2_tiles_sha256(const vl2_tiles *tiles, size_t index)
{
    return index < vl2_tiles_count(tiles) ? tiles->digests[index] : NULL;
}
