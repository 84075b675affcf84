#include "engine/picture.h"

#include "base/alloc.h"

#include <string.h>

/* Pictures in one conversation beyond which none is tiled (processing_deepseek_vl_v2.py, line
 * 273). */
#define TILING_PICTURE_LIMIT 2

static void picture_free(picture *picture)
{
    vl2_image_release(picture->image);
    tile_set_free(&picture->set);
    base_free(picture->digests);
    base_free(picture->tiles);
    memset(picture, 0, sizeof(*picture));
}

static void tiles_free(picture_store *store)
{
    for (size_t i = 0; i < store->tile_count; i++) {
        base_free(store->tiles[i].rows);
    }
    base_free(store->tiles);
}

void picture_store_free(picture_store *store)
{
    for (size_t i = 0; i < store->picture_count; i++) {
        picture_free(&store->pictures[i]);
    }
    base_free(store->pictures);
    tiles_free(store);
    memset(store, 0, sizeof(*store));
}

size_t picture_rows(const picture *picture)
{
    return joining_count(&picture->layout);
}

static size_t tile_bytes(const picture *picture)
{
    return 3 * (size_t)picture->set.side * (size_t)picture->set.side;
}

static vl2_status cut(const vl2_model *model, vl2_image *image, bool tiling, picture *made,
                      vl2_error *error)
{
    *made = (picture){.image = vl2_image_retain(image), .tiling = tiling};
    vl2_status status = tiling_cut(model->processor, &image->rgb, tiling, &made->set, error);
    if (status != VL2_OK) {
        picture_free(made);
        return status;
    }
    size_t count = (size_t)made->set.count;
    made->digests = base_calloc(count, sizeof(*made->digests));
    made->tiles = base_calloc(count, sizeof(*made->tiles));
    if (made->digests == NULL || made->tiles == NULL) {
        picture_free(made);
        return vl2_fail_memory(error, "tiles", count * sizeof(*made->digests));
    }
    for (size_t i = 0; i < count; i++) {
        sha256(made->set.pixels + i * tile_bytes(made), tile_bytes(made), made->digests[i]);
    }
    uint8_t all[SHA256_SIZE];
    sha256(made->digests, count * sizeof(*made->digests), all);
    memcpy(&made->key, all, sizeof(made->key));
    /* Equal tiles in another arrangement are another picture. */
    made->key ^= ((uint64_t)made->set.columns << 32 | (uint64_t)made->set.rows) *
                 0x9e3779b97f4a7c15u;
    made->layout = (joining_layout){(size_t)model->config.projector.grid,
                                    (size_t)made->set.columns, (size_t)made->set.rows,
                                    model->config.global_view_first};
    return VL2_OK;
}

/* The index of a tile, added without rows if it is new; SIZE_MAX without memory. */
static size_t tile_index(picture_store *store, const uint8_t digest[SHA256_SIZE])
{
    for (size_t i = 0; i < store->tile_count; i++) {
        if (memcmp(store->tiles[i].digest, digest, SHA256_SIZE) == 0) {
            return i;
        }
    }
    if (store->tile_count == store->tile_capacity) {
        size_t capacity = store->tile_capacity > 0 ? 2 * store->tile_capacity : 16;
        tile_rows *tiles = base_realloc(store->tiles, capacity, sizeof(*tiles));
        if (tiles == NULL) {
            return SIZE_MAX;
        }
        store->tiles = tiles;
        store->tile_capacity = capacity;
    }
    tile_rows *added = &store->tiles[store->tile_count];
    *added = (tile_rows){.rows = NULL};
    memcpy(added->digest, digest, SHA256_SIZE);
    return store->tile_count++;
}

/* Drops the tiles that no picture has, and points the pictures at the ones that stay. */
static vl2_status link_tiles(picture_store *store, vl2_error *error)
{
    for (size_t p = 0; p < store->picture_count; p++) {
        picture *picture = &store->pictures[p];
        for (size_t i = 0; i < (size_t)picture->set.count; i++) {
            size_t index = tile_index(store, picture->digests[i]);
            if (index == SIZE_MAX) {
                return vl2_fail_memory(error, "tiles", sizeof(tile_rows));
            }
            store->tiles[index].wanted = true;
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < store->tile_count; i++) {
        if (store->tiles[i].wanted) {
            store->tiles[i].wanted = false;
            store->tiles[kept++] = store->tiles[i];
        } else {
            base_free(store->tiles[i].rows);
        }
    }
    store->tile_count = kept;
    for (size_t p = 0; p < store->picture_count; p++) {
        picture *picture = &store->pictures[p];
        for (size_t i = 0; i < (size_t)picture->set.count; i++) {
            picture->tiles[i] = tile_index(store, picture->digests[i]);
        }
    }
    return VL2_OK;
}

/* Moves the picture of this image out of the store if it is there. */
static bool take(picture_store *store, const vl2_image *image, bool tiling, picture *taken)
{
    for (size_t i = 0; i < store->picture_count; i++) {
        if (store->pictures[i].image == image && store->pictures[i].tiling == tiling) {
            *taken = store->pictures[i];
            memset(&store->pictures[i], 0, sizeof(store->pictures[i]));
            return true;
        }
    }
    return false;
}

vl2_status picture_store_set(picture_store *store, const vl2_model *model,
                             vl2_image *const *images, size_t count, vl2_error *error)
{
    bool tiling = count <= TILING_PICTURE_LIMIT;
    picture *pictures = base_calloc(count, sizeof(*pictures));
    if (pictures == NULL) {
        return vl2_fail_memory(error, "pictures", count * sizeof(*pictures));
    }
    vl2_status status = VL2_OK;
    size_t made = 0;
    for (; status == VL2_OK && made < count; made++) {
        if (!take(store, images[made], tiling, &pictures[made])) {
            status = cut(model, images[made], tiling, &pictures[made], error);
        }
    }
    for (size_t i = 0; i < store->picture_count; i++) {
        picture_free(&store->pictures[i]);
    }
    base_free(store->pictures);
    store->pictures = pictures;
    store->picture_count = count;
    if (status == VL2_OK) {
        status = link_tiles(store, error);
    }
    if (status != VL2_OK) {
        picture_store_free(store);
    }
    return status;
}

size_t tile_row_floats(const vl2_model *model)
{
    size_t grid = (size_t)model->config.projector.grid;
    return grid * grid * (size_t)model->config.language.hidden;
}

uint64_t picture_store_most(const picture_store *store, const vl2_model *model)
{
    uint64_t bytes = (uint64_t)store->tile_count * tile_row_floats(model) * sizeof(float);
    for (size_t i = 0; i < store->picture_count; i++) {
        const vl2_image *image = store->pictures[i].image;
        bytes += (uint64_t)store->pictures[i].set.count * tile_bytes(&store->pictures[i]) +
                 3 * (uint64_t)vl2_image_width(image) * (uint64_t)vl2_image_height(image);
    }
    return bytes;
}

size_t picture_store_memory(const picture_store *store, const vl2_model *model)
{
    size_t bytes = 0;
    for (size_t i = 0; i < store->picture_count; i++) {
        bytes += (size_t)store->pictures[i].set.count * tile_bytes(&store->pictures[i]);
    }
    for (size_t i = 0; i < store->tile_count; i++) {
        bytes += store->tiles[i].rows != NULL ? tile_row_floats(model) * sizeof(float) : 0;
    }
    return bytes;
}
