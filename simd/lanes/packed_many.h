/* Many rows of activations times packed weights: see simd/kernels.h. The file that includes this
 * has included its ISA's way to multiply, simd/lanes/many_words.h, many_dots.h or its own, which
 * defines
 *   MANY_PANELS, SUMS_WIDTH  panels of weights that go together; their outputs
 *   chunk_weights            CHUNK_RUNS runs of these panels, decoded, of [run][panel]
 *   decode_chunk_run(kind, reader, panel, first block, blocks, run, place, &weights)
 *                            decodes one run of a panel to of[run][place]
 *   multiply_rows(&weights, chunk, batch, sums)
 *                            adds the products of `batch` rows to sums[batch][SUMS_WIDTH]
 *   many_begin(batch), many_end()  around the work of a call with that many rows. multiply_rows is
 *                            given all of them, or at least MANY_LEAST
 *
 * Weights are decoded chunk by chunk into the nearest cache, once for a tile of activation rows. */

#define TILE_ROWS  ((size_t)512)
#define MANY_LEAST (TILE_ROWS / 2)

typedef struct tile_sums {
    float of[TILE_ROWS][SUMS_WIDTH] __attribute__((aligned(64)));
} tile_sums;

/* What a call multiplies: `count` outputs of up to MANY_PANELS panels. */
typedef struct many_task {
    packed_reader reader;
    size_t columns, panel, count;
} many_task;

/* Asks for the codes of a run and its scales, into the second cache. They need not exist: at the
 * end of the matrix this asks in vain. */
LANES_INLINE void prefetch_run(const packed_reader *reader, size_t panel, size_t first)
{
    const size_t place = panel * reader->blocks + first;
    const uintptr_t codes = (uintptr_t)reader->codes + place * reader->block_codes;
    const uintptr_t high = (uintptr_t)reader->high + place * reader->block_high;
    const size_t group = panel * reader->groups + (first >> reader->group_shift);
    __builtin_prefetch((const void *)((uintptr_t)reader->scales + group * LAYOUT_ROWS), 0, 2);
    for (size_t line = 0; line < RUN_BLOCKS * reader->block_codes; line += 64) {
        __builtin_prefetch((const void *)(codes + line), 0, 2);
    }
    for (size_t line = 0; line < RUN_BLOCKS * reader->block_high; line += 64) {
        __builtin_prefetch((const void *)(high + line), 0, 2);
    }
}

/* A chunk that begins with run first_run; units of it. Panels that do not exist are not touched:
 * nobody reads what comes of them. Meanwhile the next chunk is fetched, that of the next panels at
 * the end: while this one multiplies, no prefetcher of the processor goes on. */
LANES_INLINE size_t decode_chunk(packed_kind kind, const many_task *task, size_t first_run,
                                 chunk_weights *weights)
{
    const size_t next = (first_run + CHUNK_RUNS) * RUN_BLOCKS;
    const bool inside = next < task->reader.blocks;
    size_t first = first_run * RUN_BLOCKS, run = 0;
    for (; run < CHUNK_RUNS && first < task->reader.blocks; run++, first += RUN_BLOCKS) {
        const size_t left = task->reader.blocks - first;
        const size_t blocks = left < RUN_BLOCKS ? left : RUN_BLOCKS;
        for (size_t place = 0; place * LAYOUT_ROWS < task->count; place++) {
            prefetch_run(&task->reader, task->panel + place + (inside ? 0 : MANY_PANELS),
                         (inside ? next : 0) + run * RUN_BLOCKS);
            decode_chunk_run(kind, &task->reader, task->panel + place, first, blocks, run, place,
                             weights);
        }
    }
    const size_t end = first < task->reader.blocks ? first : task->reader.blocks;
    return (end - first_run * RUN_BLOCKS) * BLOCK_UNITS;
}

/* The products of up to TILE_ROWS rows from x; kind is a constant. */
LANES_INLINE void multiply_tile(packed_kind kind, const many_task *task, packed_chunk chunk,
                                size_t batch, chunk_weights *weights, tile_sums *sums)
{
    memset(sums, 0, batch * sizeof(sums->of[0]));
    for (size_t run = 0; run * RUN_BLOCKS < task->reader.blocks; run += CHUNK_RUNS) {
        chunk.first_run = run;
        chunk.units = decode_chunk(kind, task, run, weights);
        multiply_rows(weights, chunk, batch, sums->of);
    }
}

static void tile(const many_task *task, packed_chunk chunk, size_t batch, chunk_weights *weights,
                 tile_sums *sums)
{
    switch (task->reader.kind) {
    case PACKED_INT8:
        multiply_tile(PACKED_INT8, task, chunk, batch, weights, sums);
        break;
    case PACKED_INT6:
        multiply_tile(PACKED_INT6, task, chunk, batch, weights, sums);
        break;
    case PACKED_TABLE:
        multiply_tile(PACKED_TABLE, task, chunk, batch, weights, sums);
        break;
    case PACKED_ZEROS:
        multiply_tile(PACKED_ZEROS, task, chunk, batch, weights, sums);
        break;
    }
}

static void finish_tile(const many_task *task, size_t batch, const tile_sums *sums, float *y,
                        size_t y_stride)
{
    float scales[SUMS_WIDTH] = {0}; /* those in the file lie at any byte */
    const size_t padded = (task->count + LAYOUT_ROWS - 1) / LAYOUT_ROWS * LAYOUT_ROWS;
    memcpy(scales, task->reader.row_scales + task->panel * LAYOUT_ROWS * sizeof(float),
           padded * sizeof(float));
    for (size_t b = 0; b < batch; b++) {
        for (size_t first = 0; first < task->count; first += LANES) {
            const lanes result =
                lanes_multiply(lanes_load(scales + first), lanes_load(sums->of[b] + first));
            if (task->count >= first + LANES) {
                lanes_store(y + b * y_stride + first, result);
            } else {
                lanes_store_first(y + b * y_stride + first, result, task->count - first);
            }
        }
    }
}

void KERNEL(matmul_packed_many)(const packed_matrix *matrix, size_t first_row, size_t rows,
                                const void *x, size_t x_stride, size_t batch, float *y,
                                size_t y_stride)
{
    many_task task = {.columns = matrix->columns};
    chunk_weights weights;
    tile_sums sums;
    if (!packed_open(&task.reader, matrix)) {
        return;
    }
    memset(&weights, 0, sizeof(weights));
    many_begin(batch);
    const size_t tiles = (batch + TILE_ROWS - 1) / TILE_ROWS;
    for (size_t row = 0; row < rows; row += SUMS_WIDTH) {
        task.panel = (first_row + row) / LAYOUT_ROWS;
        task.count = rows - row < SUMS_WIDTH ? rows - row : SUMS_WIDTH;
        for (size_t i = 0; i < tiles; i++) {
            const size_t b = batch * i / tiles, tile_batch = batch * (i + 1) / tiles - b;
            const packed_chunk chunk = {.x = (const char *)x + b * x_stride,
                                        .x_stride = x_stride,
                                        .columns = matrix->columns};
            tile(&task, chunk, tile_batch, &weights, &sums);
            finish_tile(&task, tile_batch, &sums, y + b * y_stride + row, y_stride);
        }
    }
    many_end();
}
