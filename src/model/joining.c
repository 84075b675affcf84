#include "model/joining.h"

static size_t global_count(const joining_layout *layout)
{
    return layout->grid * (layout->grid + 1);
}

static size_t local_count(const joining_layout *layout)
{
    return layout->grid * layout->rows * (layout->grid * layout->columns + 1);
}

size_t joining_count(const joining_layout *layout)
{
    return global_count(layout) + 1 + local_count(layout);
}

/* Row `index` of a picture of columns x rows tiles, the first of which is `first_tile`. */
static joining_row row_of_tiles(size_t grid, size_t columns, size_t first_tile, size_t index)
{
    size_t y = index / (grid * columns + 1), x = index % (grid * columns + 1);
    if (x == grid * columns) {
        return (joining_row){JOINING_NEWLINE, 0, 0};
    }
    return (joining_row){JOINING_TILE, first_tile + y / grid * columns + x / grid,
                         y % grid * grid + x % grid};
}

joining_row joining_at(const joining_layout *layout, size_t index)
{
    size_t before = layout->global_first ? global_count(layout) : local_count(layout);
    if (index == before) {
        return (joining_row){JOINING_SEPARATOR, 0, 0};
    }
    bool global = (index < before) == layout->global_first;
    size_t at = index < before ? index : index - before - 1;
    return global ? row_of_tiles(layout->grid, 1, 0, at)
                  : row_of_tiles(layout->grid, layout->columns, 1, at);
}
