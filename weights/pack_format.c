#include "weights/pack_format.h"

#include <stddef.h>

static const struct {
    uint32_t layout, type;
    const char *name;
} layouts[] = {
    {LAYOUT_INT8_ROW, PACK_INT8, NULL},
    {LAYOUT_INT8_GROUP_32, PACK_INT8, NULL},
    {LAYOUT_INT8_GROUP_64, PACK_INT8, NULL},
    {LAYOUT_INT8_GROUP_128, PACK_INT8, NULL},
    {LAYOUT_INT6, PACK_INT6, NULL},
    {LAYOUT_INT4_SYMMETRIC, PACK_INT4, NULL},
    {LAYOUT_INT4_ASYMMETRIC, PACK_INT4, NULL},
    {LAYOUT_INT4_CODEBOOK, PACK_INT4, NULL},
    {PACK_PLAIN_F32, PACK_F32, "plain-f32"},
    {PACK_SPLIT_BF16, PACK_BF16, "split-bf16"},
    {PACK_SPLIT_F16, PACK_F16, "split-f16"},
};

uint32_t pack_layout_type(uint32_t layout)
{
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        if (layouts[i].layout == layout) {
            return layouts[i].type;
        }
    }
    return 0;
}

const char *pack_layout_name(uint32_t layout)
{
    const layout_info *info = layout_find(layout);
    if (info != NULL) {
        return info->name;
    }
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        if (layouts[i].layout == layout) {
            return layouts[i].name;
        }
    }
    return NULL;
}

const char *pack_type_name(uint32_t type)
{
    switch (type) {
#define PACK_CASE(constant, number, name)                                                          \
    case constant:                                                                                 \
        return name;
        PACK_TYPES(PACK_CASE)
#undef PACK_CASE
    default:
        return NULL;
    }
}

const char *pack_plane_name(uint32_t plane)
{
    switch (plane) {
    case PACK_NUMBERS:
        return "numbers";
    case PACK_LOW:
        return "low";
    case PACK_HIGH:
        return "high bytes";
    case PACK_BLOB:
        return "blob";
    default:
        return plane < LAYOUT_PLANES ? layout_plane_name((int)plane) : NULL;
    }
}

bool pack_layout_is_split(uint32_t layout)
{
    return layout == PACK_SPLIT_BF16 || layout == PACK_SPLIT_F16;
}

void pack_split(const uint8_t *numbers, size_t count, uint8_t *low, uint8_t *high)
{
    for (size_t i = 0; i < count; i++) {
        low[i] = numbers[2 * i];
        high[i] = numbers[2 * i + 1];
    }
}

void pack_join(const uint8_t *low, const uint8_t *high, size_t count, uint8_t *numbers)
{
    for (size_t i = 0; i < count; i++) {
        numbers[2 * i] = low[i];
        numbers[2 * i + 1] = high[i];
    }
}

/* The elements of dimensions first .. rank - 1; 0 if there is none or they overflow. */
static uint64_t elements(const uint64_t *shape, int first, int rank)
{
    uint64_t product = 1;
    for (int i = first; i < rank; i++) {
        if (__builtin_mul_overflow(product, shape[i], &product)) {
            return 0;
        }
    }
    return product;
}

static int packed_planes(uint32_t layout, int rank, const uint64_t *shape, uint32_t *plane,
                         uint64_t *bytes)
{
    uint64_t rows = shape[0], columns = elements(shape, 1, rank);
    layout_sizes sizes;
    if (rank < 2 || columns == 0 || rows > SIZE_MAX || columns > SIZE_MAX ||
        !layout_measure(layout, (size_t)rows, (size_t)columns, &sizes)) {
        return 0;
    }
    int count = 0;
    for (uint32_t i = 0; i < LAYOUT_PLANES; i++) {
        if (sizes.plane[i] > 0) {
            plane[count] = i;
            bytes[count++] = sizes.plane[i];
        }
    }
    return count;
}

int pack_planes(uint32_t layout, int rank, const uint64_t *shape, uint32_t plane[PACK_MAX_PLANES],
                uint64_t bytes[PACK_MAX_PLANES])
{
    if (rank < 0 || rank > PACK_MAX_RANK) {
        return 0;
    }
    uint64_t count = elements(shape, 0, rank);
    if (count == 0 || count > INT64_MAX / sizeof(float)) {
        return 0;
    }
    switch (layout) {
    case PACK_PLAIN_F32:
        plane[0] = PACK_NUMBERS;
        bytes[0] = count * sizeof(float);
        return 1;
    case PACK_SPLIT_BF16:
    case PACK_SPLIT_F16:
        plane[0] = PACK_LOW;
        plane[1] = PACK_HIGH;
        bytes[0] = bytes[1] = count;
        return 2;
    default:
        return layout_find(layout) != NULL ? packed_planes(layout, rank, shape, plane, bytes) : 0;
    }
}
