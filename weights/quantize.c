/* Reads rows, has a scheme choose their codes, and lays them out in panels. A task is a panel. */
#include "weights/quantize.h"

#include "base/alloc.h"
#include "weights/quantize_row.h"

#include <math.h>
#include <string.h>

#define LEAST_IMPORTANCE 0x1p-10f /* of the mean: what calibration never saw still counts */
#define NO_ROW           SIZE_MAX

/* Of one thread. */
typedef struct workspace {
    float *weights; /* [columns] */
    float *ideal;   /* [groups] */
    int8_t *codes;  /* [16, columns] */
    int8_t *scales; /* [groups] */
    uint8_t *zeros; /* [groups] */
} workspace;

typedef struct quantizer {
    const tensor_view *matrix;
    const layout_info *layout;
    size_t rows, columns;
    layout_sizes sizes;
    float *importance; /* [padded columns] */
    bool weighted;
    uint8_t *const *planes;
    workspace *workers;
    size_t *bad_row; /* of each panel, or NO_ROW */
} quantizer;

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Largest magnitude, by its bits: infinities and NaN are above all numbers. */
static float largest_magnitude(const float *weights, size_t count)
{
    int32_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        int32_t bits;
        memcpy(&bits, &weights[i], sizeof(bits));
        bits &= 0x7fffffff;
        largest = bits > largest ? bits : largest;
    }
    return from_bits((uint32_t)largest);
}

static const char *row_data(const quantizer *quantizer, size_t row)
{
    return (const char *)quantizer->matrix->data +
           row * quantizer->columns * data_type_size(quantizer->matrix->type);
}

/* Fills `weights` with a row and brings its largest magnitude to [0.5, 1); *exponent is what was
 * taken off. False for a row that must be refused. */
static bool load_row(const quantizer *quantizer, size_t row, float *weights, int *exponent)
{
    size_t columns = quantizer->columns, padded = quantizer->sizes.columns;
    numbers_widen(row_data(quantizer, row), quantizer->matrix->type, columns, weights);
    memset(weights + columns, 0, (padded - columns) * sizeof(*weights));
    float largest = largest_magnitude(weights, padded);
    if (!(largest <= QUANTIZE_LARGEST)) {
        return false;
    }
    *exponent = 0;
    if (largest < QUANTIZE_SMALLEST) {
        memset(weights, 0, padded * sizeof(*weights));
        return true;
    }
    frexpf(largest, exponent);
    float factor = ldexpf(1.0f, -*exponent);
    for (size_t i = 0; i < padded; i++) {
        weights[i] *= factor;
    }
    return true;
}

static void choose_codes(const layout_info *layout, quantize_row *row)
{
    if (layout->group == 0) {
        quantize_int8_row(row);
    } else if (layout->codebook) {
        quantize_codebook(row);
    } else if (layout->zeros) {
        quantize_asymmetric(row);
    } else {
        quantize_linear(row);
    }
}

/* Puts a row's scales, zeros and row scale where they belong. */
static void store_scales(const quantizer *quantizer, size_t row, const quantize_row *result,
                         float row_scale)
{
    size_t groups = quantizer->sizes.groups;
    memcpy(quantizer->planes[LAYOUT_ROW_SCALES] + row * sizeof(row_scale), &row_scale,
           sizeof(row_scale));
    for (size_t g = 0; g < groups; g++) {
        quantizer->planes[LAYOUT_SCALES][layout_scale_place(groups, row, g)] =
            (uint8_t)result->scales[g];
        if (quantizer->layout->zeros) {
            int shift = row % LAYOUT_ROWS < LAYOUT_ROWS / 2 ? 0 : 4;
            quantizer->planes[LAYOUT_ZEROS][layout_zero_place(groups, row, g)] |=
                (uint8_t)(result->zeros[g] << shift);
        }
    }
}

static uint32_t load_unit(const int8_t *codes)
{
    uint32_t unit;
    memcpy(&unit, codes, sizeof(unit));
    return unit;
}

static void store_unit(uint8_t *plane, uint32_t unit)
{
    memcpy(plane, &unit, sizeof(unit));
}

/* Lays 16 rows of codes out. Four codes of a unit are moved at a time; shifts stay within a byte.
 */
static void store_codes(const quantizer *quantizer, size_t panel, const int8_t *codes)
{
    size_t columns = quantizer->sizes.columns;
    int bits = quantizer->layout->bits;
    uint8_t *low = quantizer->planes[LAYOUT_CODES] + panel * columns * 16 * (bits == 8 ? 2 : 1) / 2;
    for (size_t r = 0; r < LAYOUT_ROWS; r++) {
        const int8_t *row = codes + r * columns;
        for (size_t k = 0; k < columns; k += 8) {
            uint32_t even = load_unit(row + k), odd = load_unit(row + k + 4);
            if (bits == 8) {
                store_unit(low + k * 16 + r * 4, even);
                store_unit(low + k * 16 + 64 + r * 4, odd);
            } else {
                store_unit(low + k * 8 + r * 4, (even & 0x0f0f0f0fu) | (odd & 0x0f0f0f0fu) << 4);
            }
        }
    }
    if (bits != 6) {
        return;
    }
    uint8_t *high = quantizer->planes[LAYOUT_HIGH] + panel * columns * 4;
    for (size_t r = 0; r < LAYOUT_ROWS; r++) {
        const int8_t *row = codes + r * columns;
        for (size_t k = 0; k < columns; k += 16) {
            uint32_t byte = 0;
            for (size_t u = 0; u < 4; u++) {
                byte |= (load_unit(row + k + 4 * u) >> 4 & 0x03030303u) << (2 * u);
            }
            store_unit(high + k * 4 + r * 4, byte);
        }
    }
}

static void quantize_panel(void *context, size_t panel, int worker)
{
    const quantizer *quantizer = context;
    const workspace *work = &quantizer->workers[worker];
    size_t columns = quantizer->sizes.columns;
    for (size_t r = 0; r < LAYOUT_ROWS; r++) {
        int8_t *codes = work->codes + r * columns;
        size_t row = panel * LAYOUT_ROWS + r;
        int exponent;
        if (row >= quantizer->rows) {
            memset(codes, 0, columns);
            continue;
        }
        if (!load_row(quantizer, row, work->weights, &exponent)) {
            quantizer->bad_row[panel] = row;
            return;
        }
        quantize_row result = {
            .layout = quantizer->layout,
            .columns = columns,
            .groups = quantizer->sizes.groups,
            .weights = work->weights,
            .importance = quantizer->importance,
            .weighted = quantizer->weighted,
            .ideal = work->ideal,
            .codes = codes,
            .scales = work->scales,
            .zeros = work->zeros,
        };
        choose_codes(quantizer->layout, &result);
        store_scales(quantizer, row, &result, ldexpf(result.row_scale, exponent));
    }
    store_codes(quantizer, panel, work->codes);
}

/* Importance with mean 1 and a floor; all 1 without. The padding has 0. */
static vl2_status prepare_importance(quantizer *quantizer, const float *importance,
                                     vl2_error *error)
{
    size_t columns = quantizer->columns, padded = quantizer->sizes.columns;
    quantizer->importance = base_calloc(padded, sizeof(float));
    if (quantizer->importance == NULL) {
        return vl2_fail_memory(error, "the importance of weights", padded * sizeof(float));
    }
    double sum = 0;
    for (size_t k = 0; importance != NULL && k < columns; k++) {
        if (!(importance[k] >= 0) || isinf(importance[k])) {
            return vl2_fail(
                error, VL2_ERROR_ARGUMENT,
                "%s: importance of column %zu: found %g, expected a number of at least 0",
                quantizer->matrix->name, k, (double)importance[k]);
        }
        sum += (double)importance[k];
    }
    quantizer->weighted = sum > 0;
    for (size_t k = 0; k < columns; k++) {
        float relative =
            quantizer->weighted ? (float)((double)importance[k] * (double)columns / sum) : 1.0f;
        quantizer->importance[k] = relative < LEAST_IMPORTANCE ? LEAST_IMPORTANCE : relative;
    }
    return VL2_OK;
}

static bool open_workspace(workspace *work, const layout_sizes *sizes)
{
    work->weights = base_alloc_aligned(sizes->columns, sizeof(float));
    work->ideal = base_alloc_aligned(sizes->groups, sizeof(float));
    work->codes = base_alloc_aligned(sizes->columns, LAYOUT_ROWS);
    work->scales = base_alloc_aligned(sizes->groups, 1);
    work->zeros = base_alloc_aligned(sizes->groups, 1);
    return work->weights != NULL && work->ideal != NULL && work->codes != NULL &&
           work->scales != NULL && work->zeros != NULL;
}

static void close_workspace(workspace *work)
{
    base_free(work->weights);
    base_free(work->ideal);
    base_free(work->codes);
    base_free(work->scales);
    base_free(work->zeros);
}

/* Says which number of the first bad row it was. */
static vl2_status fail_row(const quantizer *quantizer, size_t row, vl2_error *error)
{
    for (size_t k = 0; k < quantizer->columns; k++) {
        float weight;
        numbers_widen(row_data(quantizer, row) + k * data_type_size(quantizer->matrix->type),
                      quantizer->matrix->type, 1, &weight);
        if (!(fabsf(weight) <= QUANTIZE_LARGEST)) {
            return vl2_fail(error, VL2_ERROR_MODEL,
                            "%s: row %zu, column %zu: found %g, expected a finite number of at "
                            "most 2^120",
                            quantizer->matrix->name, row, k, (double)weight);
        }
    }
    return vl2_fail(error, VL2_ERROR_MODEL, "%s: row %zu changed while it was read",
                    quantizer->matrix->name, row);
}

static vl2_status run(quantizer *quantizer, const team *team, vl2_error *error)
{
    size_t panels = quantizer->sizes.rows / LAYOUT_ROWS;
    size_t workers = team->threads > 1 ? (size_t)team->threads : 1;
    quantizer->workers = base_calloc(workers, sizeof(*quantizer->workers));
    quantizer->bad_row = base_malloc(panels, sizeof(*quantizer->bad_row));
    bool ready = quantizer->workers != NULL && quantizer->bad_row != NULL;
    for (size_t i = 0; ready && i < workers; i++) {
        ready = open_workspace(&quantizer->workers[i], &quantizer->sizes);
    }
    vl2_status status = VL2_OK;
    if (!ready) {
        status = vl2_fail_memory(error, "quantizing", workers * quantizer->sizes.columns * 21);
    } else {
        for (size_t p = 0; p < panels; p++) {
            quantizer->bad_row[p] = NO_ROW;
        }
        team_run(team, panels, quantize_panel, quantizer);
        for (size_t p = 0; p < panels && status == VL2_OK; p++) {
            if (quantizer->bad_row[p] != NO_ROW) {
                status = fail_row(quantizer, quantizer->bad_row[p], error);
            }
        }
    }
    for (size_t i = 0; quantizer->workers != NULL && i < workers; i++) {
        close_workspace(&quantizer->workers[i]);
    }
    base_free(quantizer->workers);
    base_free(quantizer->bad_row);
    return status;
}

vl2_status quantize_matrix(const tensor_view *matrix, layout_id layout, const float *importance,
                           const team *team, uint8_t *const planes[LAYOUT_PLANES], vl2_error *error)
{
    quantizer quantizer = {.matrix = matrix, .planes = planes};
    char shape[64];
    if (matrix->rank != 2 || matrix->shape[0] < 0 || matrix->shape[1] < 0) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT, "%s: shape: found %s, expected a matrix",
                        matrix->name,
                        tensor_shape_text(matrix->shape, matrix->rank, shape, sizeof(shape)));
    }
    quantizer.rows = (size_t)matrix->shape[0];
    quantizer.columns = (size_t)matrix->shape[1];
    quantizer.layout = layout_find((uint32_t)layout);
    if (!layout_measure((uint32_t)layout, quantizer.rows, quantizer.columns, &quantizer.sizes)) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "%s: layout: found number %d, expected one that is known, of a matrix that "
                        "fits into memory",
                        matrix->name, (int)layout);
    }
    for (int i = 0; i < LAYOUT_PLANES; i++) {
        if (quantizer.sizes.plane[i] != 0 && i != LAYOUT_CODES && i != LAYOUT_HIGH) {
            memset(planes[i], 0, quantizer.sizes.plane[i]);
        }
    }
    if (quantizer.layout->codebook) {
        memcpy(planes[LAYOUT_TABLE], quantize_codebook_table, LAYOUT_CODEBOOK);
    }
    vl2_status status = prepare_importance(&quantizer, importance, error);
    if (status == VL2_OK) {
        status = run(&quantizer, team, error);
    }
    base_free(quantizer.importance);
    return status;
}
