/* The list of layouts and the sizes of their planes. */
#include "simd/layout.h"

#include <string.h>

static const layout_info layouts[] = {
#define LAYOUT_ROW(constant, number, name, bits, group, zeros, codebook)                           \
    {constant, name, bits, group, zeros, codebook},
    LAYOUTS(LAYOUT_ROW)
#undef LAYOUT_ROW
};

const layout_info *layout_find(uint32_t id)
{
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        if ((uint32_t)layouts[i].id == id) {
            return &layouts[i];
        }
    }
    return NULL;
}

const layout_info *layout_find_name(const char *name)
{
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        if (strcmp(layouts[i].name, name) == 0) {
            return &layouts[i];
        }
    }
    return NULL;
}

const char *layout_plane_name(int plane)
{
    static const char *const names[LAYOUT_PLANES] = {"codes", "high",       "scales",
                                                     "zeros", "row-scales", "codebook"};
    return plane >= 0 && plane < LAYOUT_PLANES ? names[plane] : NULL;
}

static bool round_up(size_t number, size_t step, size_t *result)
{
    if (__builtin_add_overflow(number, step - 1, result)) {
        return false;
    }
    *result -= *result % step;
    return true;
}

static bool measure(const layout_info *layout, size_t rows, size_t columns, layout_sizes *sizes)
{
    size_t codes, scales;
    if (!round_up(rows, LAYOUT_ROWS, &sizes->rows) ||
        !round_up(columns, LAYOUT_COLUMNS, &sizes->columns) ||
        __builtin_mul_overflow(sizes->rows, sizes->columns, &codes) ||
        __builtin_mul_overflow(sizes->rows, sizeof(float), &sizes->plane[LAYOUT_ROW_SCALES])) {
        return false;
    }
    if (layout->group != 0) {
        sizes->groups = sizes->columns / layout->group + (sizes->columns % layout->group != 0);
    }
    scales = sizes->rows * sizes->groups; /* fewer than the codes: cannot overflow */
    sizes->plane[LAYOUT_CODES] = layout->bits == 8 ? codes : codes / 2;
    sizes->plane[LAYOUT_HIGH] = layout->bits == 6 ? codes / 4 : 0;
    sizes->plane[LAYOUT_SCALES] = scales;
    sizes->plane[LAYOUT_ZEROS] = layout->zeros ? scales / 2 : 0;
    sizes->plane[LAYOUT_TABLE] = layout->codebook ? LAYOUT_CODEBOOK : 0;
    for (int i = 0; i < LAYOUT_PLANES; i++) {
        if (__builtin_add_overflow(sizes->total, sizes->plane[i], &sizes->total)) {
            return false;
        }
    }
    return true;
}

bool layout_measure(uint32_t id, size_t rows, size_t columns, layout_sizes *sizes)
{
    memset(sizes, 0, sizeof(*sizes));
    const layout_info *layout = layout_find(id);
    if (layout == NULL || !measure(layout, rows, columns, sizes)) {
        memset(sizes, 0, sizeof(*sizes));
        return false;
    }
    return true;
}
