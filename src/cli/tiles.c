/* vl2 tiles: what the vision tower sees of a picture. */
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/request.h"
#include "cli/streams.h"
#include "cli/turns.h"
#include "vl2.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* OUT/tile_00_global.png, then OUT/tile_01_r0_c0.png and so on, row by row. */
static int write_tile(const arguments *arguments, const vl2_tiles *tiles, size_t index,
                      const char *folder)
{
    int side = vl2_tiles_side(tiles), columns, rows;
    vl2_tiles_grid(tiles, &columns, &rows);
    char place[64] = "global", *path;
    if (index > 0) {
        size_t local = index - 1;
        snprintf(place, sizeof(place), "r%zu_c%zu", local / (size_t)columns,
                 local % (size_t)columns);
    }
    if (asprintf(&path, "%s/tile_%02zu_%s.png", folder, index, place) < 0) {
        return fail_memory(arguments->command);
    }
    vl2_image *image = NULL;
    vl2_error error;
    vl2_status status = vl2_image_from_rgb(vl2_tiles_pixels(tiles, index), side, side,
                                           (size_t)side * 3, &image, &error);
    if (status == VL2_OK) {
        status = vl2_image_write_png(image, path, &error);
    }
    vl2_image_release(image);
    free(path);
    return status == VL2_OK ? EXIT_CODE_OK : fail_status(arguments->command, &error);
}

static int write_tiles(const arguments *arguments, const vl2_tiles *tiles)
{
    const char *folder = argument(arguments, OPTION_OUTPUT)->text;
    int code = EXIT_CODE_OK;
    if (folder == NULL) {
        return code;
    }
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        return fail(arguments->command, EXIT_CODE_FAILURE, "%s: cannot be made: %s", folder,
                    strerror(errno));
    }
    for (size_t i = 0; code == EXIT_CODE_OK && i < vl2_tiles_count(tiles); i++) {
        code = write_tile(arguments, tiles, i, folder);
    }
    return code;
}

static json_t *tiles_json(const vl2_image *image, const vl2_tiles *tiles)
{
    int columns, rows, width, height;
    json_t *list = json_array();
    vl2_tiles_grid(tiles, &columns, &rows);
    vl2_tiles_resolution(tiles, &width, &height);
    for (size_t i = 0; i < vl2_tiles_count(tiles); i++) {
        json_array_append_new(list, json_string(vl2_tiles_sha256(tiles, i)));
    }
    if (json_array_size(list) != vl2_tiles_count(tiles)) {
        json_decref(list);
        return NULL;
    }
    return json_pack("{s:[i, i], s:[i, i], s:[i, i], s:o}", "size", vl2_image_width(image),
                     vl2_image_height(image), "resolution", width, height, "grid", columns, rows,
                     "tiles", list);
}

static int cut(const arguments *arguments, const char *model, const char *file)
{
    vl2_image *image;
    vl2_tiles *tiles;
    vl2_error error;
    int code = turns_picture(arguments, file, &image);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    bool tiling = !argument(arguments, OPTION_NO_TILING)->on;
    if (vl2_tiles_create(model, image, tiling, &tiles, &error) == VL2_OK) {
        code = write_tiles(arguments, tiles);
        if (code == EXIT_CODE_OK) {
            code = print_json(arguments->command, tiles_json(image, tiles));
        }
        vl2_tiles_close(tiles);
    } else {
        code = fail_status(arguments->command, &error);
    }
    vl2_image_release(image);
    return finish_output(arguments->command, code);
}

static int run_tiles(const arguments *arguments)
{
    const char *model = request_model_path(arguments);
    const char *file = argument(arguments, OPTION_IMAGE)->text;
    if (model == NULL) {
        return EXIT_CODE_USAGE;
    }
    if (file == NULL) {
        return fail_usage(arguments->command, "no picture: give --image FILE");
    }
    return cut(arguments, model, file);
}

const command command_tiles = {
    "tiles",
    COMMAND_TILES,
    "-m MODEL --image FILE [--no-tiling] [-o DIR]",
    "Show how a picture is cut into tiles",
    "Cuts a picture as the model will see it and prints one JSON object: size, resolution, grid "
    "(columns, rows), and the SHA-256 of each tile's RGB bytes, the global view first. The model's "
    "weights are not needed, only its configuration.",
    "  vl2 tiles -m deepseek-vl2-tiny --image page.png -o tiles/\n",
    0,
    run_tiles,
};
