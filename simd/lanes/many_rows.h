/* Divides the rows of a tile into pieces whose sums the registers hold, for
 * simd/lanes/packed_many.h: pieces of nearly equal size, as a small one has too few sums to hide
 * how long an instruction takes. The file that includes this has defined MANY_BATCH, up to 12, and
 * multiply_chunk(&weights, &chunk, batch, sums), in which batch is a constant. */
#define MANY_1(X)  X(1)
#define MANY_2(X)  MANY_1(X) X(2)
#define MANY_3(X)  MANY_2(X) X(3)
#define MANY_4(X)  MANY_3(X) X(4)
#define MANY_5(X)  MANY_4(X) X(5)
#define MANY_6(X)  MANY_5(X) X(6)
#define MANY_7(X)  MANY_6(X) X(7)
#define MANY_8(X)  MANY_7(X) X(8)
#define MANY_9(X)  MANY_8(X) X(9)
#define MANY_10(X) MANY_9(X) X(10)
#define MANY_11(X) MANY_10(X) X(11)
#define MANY_12(X) MANY_11(X) X(12)

#define MANY_PASTE(count)   MANY_##count
#define MANY_UP_TO(count)   MANY_PASTE(count)
#define MANY_ROWS(count)                                                                           \
    case count:                                                                                    \
        multiply_chunk(weights, &chunk, count, sums + b);                                          \
        break;

static inline void multiply_rows(const chunk_weights *weights, packed_chunk chunk, size_t batch,
                                 float (*sums)[SUMS_WIDTH])
{
    const char *x = chunk.x;
    const size_t pieces = (batch + MANY_BATCH - 1) / MANY_BATCH;
    for (size_t piece = 0; piece < pieces; piece++) {
        const size_t b = batch * piece / pieces;
        chunk.x = x + b * chunk.x_stride;
        switch (batch * (piece + 1) / pieces - b) {
            MANY_UP_TO(MANY_BATCH)(MANY_ROWS)
        }
    }
}
