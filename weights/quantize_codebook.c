/* int4 with a table of 16 uneven levels. The weights of a group, and their importance, are brought
 * to integers of 14 and 12 bits; then thresholds between the levels are integers too, the same for
 * every group, and all sums are exact. The search looks for the nearest levels with 8 bits of the
 * weights, which halves its time; the last step, which settles the codes, with all 14. */
#include "weights/quantize_linear.h"

#include <math.h>
#include <string.h>

#define LEVELS         16
#define STEPS          (LEVELS - 1)
#define UNIT           16384.0f /* the largest weight of a group */
#define MOST_IMPORTANT 4096.0f  /* the largest importance of a group: 32 * 4096 * 127^2 < 2^31 */
#define LONGEST        127.0f   /* the level of the largest magnitude; so much is it in 8 bits */
#define ZERO           8        /* the level that is 0 */

/* Levels that leave the least error on weights that are half normally distributed and half of
 * Student's t distribution with 6 degrees of freedom, under this search (Lloyd's method; one level
 * is held at 0). They are not symmetric: the scale may be negative, and the search turns the table
 * so that the long end meets the group's longest tail. */
static const int16_t levels[LEVELS] = {-127, -98, -78, -60, -45, -31, -20, -9,
                                       0,    11,  22,  34,  47,  63,  82,  113};

/* Between a level and the next. */
static const float middles[LEVELS] = {-112.5f, -88.0f, -69.0f, -52.5f, -38.0f, -25.5f,
                                      -14.5f,  -4.5f,  5.5f,   16.5f,  28.0f,  40.5f,
                                      55.0f,   72.5f,  97.5f,  0};

/* The same by code: a code is the level's place from the 0, in two's complement. */
const int8_t quantize_codebook_table[LAYOUT_CODEBOOK] = {0,    11,  22,  34,  47,  63,  82,  113,
                                                         -127, -98, -78, -60, -45, -31, -20, -9};

/* Scales to try, as parts of the one that puts the largest weight on the longest level. */
#define PARTS 11
static const float parts[PARTS] = {0.74f, 0.78f, 0.82f, 0.86f, 0.89f, 0.92f,
                                   0.95f, 0.98f, 1.02f, 1.06f, 1.11f};

typedef int8_t lanes_8 __attribute__((vector_size(16)));
typedef int16_t lanes_16 __attribute__((vector_size(16)));

/* A group of 32 at work, in integers. */
typedef struct group_work {
    int8_t rough[2][LAYOUT_COLUMNS];    /* the largest is LONGEST; as they are, and negated */
    int16_t weights[2][LAYOUT_COLUMNS]; /* the largest is UNIT; as they are, and negated */
    int16_t importance[LAYOUT_COLUMNS]; /* 1 to MOST_IMPORTANT */
    int16_t weighted[LAYOUT_COLUMNS];   /* importance * weights / divisor; the largest is UNIT */
    double divisor;
} group_work;

/* Where one level gives way to the next, at one scale; each number in all lanes. */
typedef struct rough_thresholds {
    lanes_8 at[STEPS];
} rough_thresholds;
typedef struct thresholds {
    lanes_16 at[STEPS];
} thresholds;

/* The same for all groups. */
typedef struct tables {
    rough_thresholds trial[PARTS];
    lanes_8 rough_steps[STEPS]; /* from level to level */
    lanes_16 steps[STEPS];
} tables;

typedef struct group_sums {
    double mixed, square;
} group_sums;

static inline lanes_8 splat_8(int number)
{
    lanes_8 lanes;
    memset(&lanes, number, sizeof(lanes));
    return lanes;
}

static inline lanes_16 splat_16(int number)
{
    int16_t n = (int16_t)number;
    return (lanes_16){n, n, n, n, n, n, n, n};
}

/* The level nearest to each weight: up from the lowest, one step for each threshold below. */
static void rough_levels(const int8_t *weights, const rough_thresholds *thresholds,
                         const tables *tables, int16_t *levels_out)
{
    lanes_8 x[2], nearest[2] = {splat_8(levels[0]), splat_8(levels[0])};
    int8_t bytes[LAYOUT_COLUMNS];
    memcpy(x, weights, sizeof(x));
    for (size_t i = 0; i < STEPS; i++) {
        lanes_8 threshold = thresholds->at[i], step = tables->rough_steps[i];
        nearest[0] += (lanes_8)(x[0] > threshold) & step;
        nearest[1] += (lanes_8)(x[1] > threshold) & step;
    }
    memcpy(bytes, nearest, sizeof(bytes));
    for (size_t i = 0; i < LAYOUT_COLUMNS; i++) {
        levels_out[i] = bytes[i];
    }
}

/* The same with all bits, and the codes too, which go up by 1. */
static void nearest_levels(const int16_t *weights, const thresholds *thresholds,
                           const tables *tables, int16_t *levels_out, int8_t *codes)
{
    int16_t wide[LAYOUT_COLUMNS];
    for (size_t first = 0; first < LAYOUT_COLUMNS; first += 8) {
        lanes_16 x, nearest = splat_16(levels[0]), code = splat_16(-ZERO);
        memcpy(&x, weights + first, sizeof(x));
        for (size_t i = 0; i < STEPS; i++) {
            lanes_16 above = (lanes_16)(x > thresholds->at[i]);
            nearest += above & tables->steps[i];
            code -= above;
        }
        memcpy(levels_out + first, &nearest, sizeof(nearest));
        memcpy(wide + first, &code, sizeof(code));
    }
    for (size_t i = 0; i < LAYOUT_COLUMNS; i++) {
        codes[i] = (int8_t)wide[i];
    }
}

/* Sums of importance * weight * level and of importance * level^2. They are sums of integers, below
 * 2^31: the same in any order. */
static group_sums sum_group(const group_work *work, int negative, const int16_t *nearest)
{
    int32_t mixed = 0, square = 0;
    for (size_t i = 0; i < LAYOUT_COLUMNS; i++) {
        mixed += work->weighted[i] * nearest[i];
    }
    for (size_t i = 0; i < LAYOUT_COLUMNS; i++) {
        square += work->importance[i] * (int16_t)(nearest[i] * nearest[i]);
    }
    return (group_sums){(negative ? -mixed : mixed) * work->divisor, square};
}

/* The next integers below the middles of neighbouring levels, for `scale` units of weights to one
 * of levels. */
static void find_thresholds(float scale, float limit, int16_t *below)
{
    for (size_t i = 0; i < LEVELS; i++) {
        float middle = middles[i] * scale;
        middle = middle < -limit ? -limit : middle;
        middle = middle > limit ? limit : middle;
        below[i] = (int16_t)((int)(middle + 32768.0f) - 32768);
    }
}

static void open_tables(tables *tables)
{
    int16_t below[LEVELS];
    for (size_t part = 0; part < PARTS; part++) {
        find_thresholds(parts[part], LONGEST, below);
        for (size_t i = 0; i < STEPS; i++) {
            tables->trial[part].at[i] = splat_8(below[i]);
        }
    }
    for (size_t i = 0; i < STEPS; i++) {
        tables->rough_steps[i] = splat_8(levels[i + 1] - levels[i]);
        tables->steps[i] = splat_16(levels[i + 1] - levels[i]);
    }
}

/* out = source * factor, rounded, within [least, most]. */
static void to_integers(const float *source, float factor, float least, float most, int16_t *out)
{
    float values[LAYOUT_COLUMNS];
    linear_values(source, factor, least, most, values);
    for (size_t i = 0; i < LAYOUT_COLUMNS; i++) {
        out[i] = (int16_t)(int)values[i];
    }
}

/* Importance relative to the largest of the group, and its products with the weights. */
static void weigh_group(const float *importance, group_work *work)
{
    float products[LAYOUT_COLUMNS];
    float factor = MOST_IMPORTANT / linear_largest(importance, LAYOUT_COLUMNS);
    to_integers(importance, factor, 1, MOST_IMPORTANT, work->importance);
    for (size_t i = 0; i < LAYOUT_COLUMNS; i++) {
        products[i] = (float)(work->importance[i] * work->weights[0][i]);
    }
    float largest = linear_largest(products, LAYOUT_COLUMNS);
    to_integers(products, UNIT / largest, -UNIT, UNIT, work->weighted);
    work->divisor = (double)(largest / UNIT);
}

/* Fills *work; returns the group's largest magnitude, or 0 for an empty group. */
static float open_group(const quantize_row *row, size_t group, group_work *work)
{
    const float *weights = row->weights + group * LAYOUT_COLUMNS;
    int16_t rough[LAYOUT_COLUMNS];
    float largest = linear_largest(weights, LAYOUT_COLUMNS);
    if (largest < QUANTIZE_EMPTY) {
        memset(work, 0, sizeof(*work));
        return 0;
    }
    to_integers(weights, UNIT / largest, -UNIT, UNIT, work->weights[0]);
    to_integers(weights, LONGEST / largest, -LONGEST, LONGEST, rough);
    for (size_t i = 0; i < LAYOUT_COLUMNS; i++) {
        work->weights[1][i] = (int16_t)-work->weights[0][i];
        work->rough[0][i] = (int8_t)rough[i];
        work->rough[1][i] = (int8_t)-rough[i];
        work->importance[i] = 1;
    }
    memcpy(work->weighted, work->weights[0], sizeof(work->weighted));
    work->divisor = 1;
    if (row->weighted) {
        weigh_group(row->importance + group * LAYOUT_COLUMNS, work);
    }
    return largest;
}

/* The best so far of a search. */
typedef struct best_scale {
    double gain, scale;
    int negative;
    size_t part;
} best_scale;

/* As in quantize_linear.c: the codes that a trial scale gives have a best scale of their own. */
static void try_part(const group_work *work, const tables *tables, int negative, size_t part,
                     best_scale *best)
{
    int16_t nearest[LAYOUT_COLUMNS];
    rough_levels(work->rough[negative], &tables->trial[part], tables, nearest);
    group_sums sums = sum_group(work, negative, nearest);
    if (sums.square > 0 && sums.mixed * sums.mixed > best->gain * sums.square) {
        best->gain = sums.mixed * sums.mixed / sums.square;
        best->scale = (negative ? -sums.mixed : sums.mixed) / sums.square;
        best->negative = negative;
        best->part = part;
    }
}

/* The best scale, in units of weights: every second part with either sign, then what lies beside
 * the best. */
static float search_group(const group_work *work, const tables *tables)
{
    best_scale best = {.gain = -1};
    for (int negative = 0; negative < 2; negative++) {
        for (size_t part = 1; part < PARTS; part += 2) {
            try_part(work, tables, negative, part, &best);
        }
    }
    size_t middle = best.part;
    try_part(work, tables, best.negative, middle - 1, &best);
    try_part(work, tables, best.negative, middle + 1, &best);
    return (float)best.scale;
}

/* Of the two scales in 8 bits, in units of `unit` weight units, the one that leaves less error. */
static void settle_group(const group_work *work, const tables *tables, const int8_t scales[2],
                         double unit, int8_t *scale, int8_t *codes)
{
    double least = 0; /* of scale 0 */
    *scale = 0;
    memset(codes, 0, LAYOUT_COLUMNS);
    for (int i = 0; i < 2; i++) {
        thresholds thresholds;
        int16_t nearest[LAYOUT_COLUMNS], below[LEVELS];
        int8_t chosen[LAYOUT_COLUMNS];
        double size = fabs(scales[i] * unit);
        find_thresholds((float)size, 2 * UNIT - 1, below);
        for (size_t j = 0; j < STEPS; j++) {
            thresholds.at[j] = splat_16(below[j]);
        }
        nearest_levels(work->weights[scales[i] < 0], &thresholds, tables, nearest, chosen);
        group_sums sums = sum_group(work, scales[i] < 0, nearest);
        double error = size * (size * sums.square - 2 * sums.mixed);
        if (error < least) {
            least = error;
            *scale = scales[i];
            memcpy(codes, chosen, LAYOUT_COLUMNS);
        }
    }
}

void quantize_codebook(quantize_row *row)
{
    tables tables;
    group_work work;
    open_tables(&tables);
    for (size_t g = 0; g < row->groups; g++) {
        float largest = open_group(row, g, &work);
        row->ideal[g] = largest == 0 ? 0 : search_group(&work, &tables) * (largest / UNIT);
    }
    row->row_scale = quantize_row_scale(row->ideal, row->groups);
    for (size_t g = 0; g < row->groups; g++) {
        float largest = open_group(row, g, &work);
        double unit = largest == 0 ? 0 : (double)row->row_scale * (double)UNIT / (double)largest;
        int8_t scales[2];
        quantize_scales(row, g, scales);
        settle_group(&work, &tables, scales, unit, &row->scales[g],
                     row->codes + g * LAYOUT_COLUMNS);
    }
}
