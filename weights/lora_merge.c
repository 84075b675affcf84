/* The product. Terms are products of two numbers of 24 bits, which f64 holds exactly, so that it
 * makes no difference whether a compiler fuses multiplication and addition. */
#include "weights/lora_internal.h"

#include "base/alloc.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#define COLUMNS   ((size_t)8)  /* of a panel of the right matrix */
#define TASK_ROWS ((size_t)32) /* rows of a task, two at a time; of the left matrix at hand */
#define LANES     2
#define BLOCK     ((size_t)64) /* columns whose part of the right matrix stays in the cache */

typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));

typedef struct merging {
    const lora_entry *entry; /* NULL: nothing is added */
    const tensor_view *base;
    size_t rows, columns;
    data_type type;
    char *out;
    lanes *right;         /* [panels, rank, COLUMNS] */
    double *left;         /* [threads, TASK_ROWS, rank] */
    _Atomic uint64_t bad; /* the first element whose result `type` cannot hold; UINT64_MAX: none */
} merging;

/* Number [row, column] of a matrix with `columns` columns, or of its transpose. */
static float element(const tensor_view *tensor, size_t columns, size_t row, size_t column)
{
    float number;
    size_t size = data_type_size(tensor->type);
    numbers_widen((const char *)tensor->data + (row * columns + column) * size, tensor->type, 1,
                  &number);
    return number;
}

/* Left is B [rows, rank], right A [rank, columns]; of an embedding A and B, both transposed. */
static float left_element(const lora_entry *entry, size_t row, size_t k)
{
    return entry->transposed ? element(entry->a, entry->rows, k, row)
                             : element(entry->b, entry->rank, row, k);
}

static float right_element(const lora_entry *entry, size_t k, size_t column)
{
    return entry->transposed ? element(entry->b, entry->rank, column, k)
                             : element(entry->a, entry->columns, k, column);
}

static size_t panel_count(size_t columns)
{
    return columns / COLUMNS + (columns % COLUMNS != 0);
}

static void fill_panel(void *context, size_t panel, int worker)
{
    (void)worker;
    const merging *job = context;
    lanes *out = job->right + panel * job->entry->rank * (COLUMNS / LANES);
    for (size_t k = 0; k < job->entry->rank; k++) {
        double numbers[COLUMNS] = {0};
        size_t first = panel * COLUMNS, left = job->columns - first;
        for (size_t c = 0; c < (left < COLUMNS ? left : COLUMNS); c++) {
            numbers[c] = (double)right_element(job->entry, k, first + c);
        }
        memcpy(out + k * (COLUMNS / LANES), numbers, sizeof(numbers));
    }
}

static void fill_left(const merging *job, size_t first, size_t rows, double *left)
{
    size_t rank = job->entry->rank;
    for (size_t r = 0; r < rows; r++) {
        for (size_t k = 0; k < rank; k++) {
            double number = (double)left_element(job->entry, first + r, k);
            left[r * rank + k] = (double)(float)(job->entry->scaling * number);
        }
    }
}

/* sums[row] += left[row] * right for two rows and one panel, in the order of the rank. */
static void add_product(const lanes *right, const double *left, const double *next, size_t rank,
                        double *sums, double *next_sums)
{
    lanes a[COLUMNS / LANES], b[COLUMNS / LANES];
    memcpy(a, sums, sizeof(a));
    memcpy(b, next_sums, sizeof(b));
    for (size_t k = 0; k < rank; k++, right += COLUMNS / LANES) {
        a[0] += left[k] * right[0];
        a[1] += left[k] * right[1];
        a[2] += left[k] * right[2];
        a[3] += left[k] * right[3];
        b[0] += next[k] * right[0];
        b[1] += next[k] * right[1];
        b[2] += next[k] * right[2];
        b[3] += next[k] * right[3];
    }
    memcpy(sums, a, sizeof(a));
    memcpy(next_sums, b, sizeof(b));
}

static void note_bad(merging *job, uint64_t element)
{
    uint64_t known = atomic_load(&job->bad);
    while (element < known && !atomic_compare_exchange_weak(&job->bad, &known, element)) {
    }
}

/* Up to BLOCK numbers of a row. */
static void load(const merging *job, uint64_t first, size_t count, double *sums)
{
    const char *numbers = job->base->data;
    float wide[BLOCK];
    numbers_widen(numbers + first * data_type_size(job->base->type), job->base->type, count, wide);
    for (size_t c = 0; c < count; c++) {
        sums[c] = (double)wide[c];
    }
}

/* Rounds the sums and stores them. */
static void store(merging *job, uint64_t first, size_t count, const double *sums)
{
    /* What is not below rounds to infinity, or is NaN. */
    static const float limits[DATA_TYPE_COUNT] = {
        [DATA_F32] = INFINITY, [DATA_F16] = 65520.0f, [DATA_BF16] = 0x1.ffp127f};
    float numbers[BLOCK];
    for (size_t c = 0; c < count; c++) {
        numbers[c] = (float)sums[c];
        if (!(fabsf(numbers[c]) < limits[job->type])) {
            note_bad(job, first + c);
            numbers[c] = 0;
        }
    }
    numbers_narrow(numbers, count, job->type, job->out + first * data_type_size(job->type));
}

/* Some rows of a block of columns; `left` [rows, rank]. */
static void merge_block(merging *job, size_t first_row, size_t rows, size_t column, size_t columns,
                        const double *left)
{
    size_t rank = job->entry != NULL ? job->entry->rank : 0;
    for (size_t r = 0; r < rows; r += 2) {
        size_t both = rows - r < 2 ? 1 : 2; /* a last row stands for its neighbour, too */
        uint64_t first = (uint64_t)(first_row + r) * job->columns + column;
        const double *row = left + r * rank, *next = row + (both - 1) * rank;
        double sums[2][BLOCK] = {{0}};
        for (size_t i = 0; i < both; i++) {
            load(job, first + i * job->columns, columns, sums[i]);
        }
        for (size_t c = 0; c < columns && rank > 0; c += COLUMNS) {
            const lanes *right = job->right + (column + c) * rank / LANES;
            add_product(right, row, next, rank, sums[0] + c, sums[1] + c);
        }
        for (size_t i = 0; i < both; i++) {
            store(job, first + i * job->columns, columns, sums[i]);
        }
    }
}

static void merge_rows(void *context, size_t task, int worker)
{
    merging *job = context;
    size_t rank = job->entry != NULL ? job->entry->rank : 0, first = task * TASK_ROWS;
    size_t rows = job->rows - first < TASK_ROWS ? job->rows - first : TASK_ROWS;
    double *left = job->left + (size_t)worker * TASK_ROWS * rank;
    if (rank > 0) {
        fill_left(job, first, rows, left);
    }
    for (size_t column = 0; column < job->columns; column += BLOCK) {
        size_t columns = job->columns - column < BLOCK ? job->columns - column : BLOCK;
        merge_block(job, first, rows, column, columns, left);
    }
}

static vl2_status run(merging *job, const team *team, vl2_error *error)
{
    size_t rank = job->entry != NULL ? job->entry->rank : 0, size, panels;
    size_t threads = team->threads > 1 ? (size_t)team->threads : 1;
    panels = rank > 0 ? panel_count(job->columns) : 0;
    if (!base_multiply(panels, rank * COLUMNS * sizeof(double), &size)) {
        size = SIZE_MAX;
    }
    job->right = base_alloc_aligned(size, 1);
    job->left = base_alloc_aligned(threads * TASK_ROWS, rank * sizeof(*job->left));
    vl2_status status = VL2_OK;
    if (job->right == NULL || job->left == NULL) {
        status = vl2_fail_memory(error, "an adapter", size);
    } else {
        team_run(team, panels, fill_panel, job);
        team_run(team, job->rows / TASK_ROWS + (job->rows % TASK_ROWS != 0), merge_rows, job);
    }
    base_free(job->right);
    base_free(job->left);
    return status;
}

vl2_status lora_merge(const lora *lora, const tensor_view *source, data_type type, const team *team,
                      void *out, vl2_error *error)
{
    const lora_entry *entry = lora_find(lora, source->name);
    vl2_status status = entry != NULL ? lora_entry_check(lora, entry, source, error) : VL2_OK;
    uint64_t elements = tensor_elements(source);
    if (status != VL2_OK || elements == 0) {
        return status;
    }
    merging job = {
        .entry = entry != NULL && entry->a != NULL ? entry : NULL,
        .base = entry != NULL && entry->whole != NULL ? entry->whole : source,
        .rows = source->rank > 0 ? (size_t)source->shape[0] : 1,
        .type = type,
        .out = out,
        .bad = UINT64_MAX,
    };
    job.columns = (size_t)(elements / job.rows);
    status = run(&job, team, error);
    if (status == VL2_OK && job.bad != UINT64_MAX) {
        status = vl2_fail(error, VL2_ERROR_MODEL,
                          "%s: row %zu, column %zu of the merged %.300s: found no number that %s "
                          "can hold, expected a finite one",
                          lora->weights_path, (size_t)(job.bad / job.columns),
                          (size_t)(job.bad % job.columns), source->name, data_type_name(type));
    }
    return status;
}
