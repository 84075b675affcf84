/* product_f32, widen_int8 and attention. The state's memory here: the largest scores [padded], the
 * totals [padded], the queries [padded, depth], the sums of values [padded, value_depth]. */
#include "simd/ref/ref.h"

#include <math.h>
#include <string.h>

void product_f32_ref(const product_call *p)
{
    for (size_t r = 0; r < p->rows; r++) {
        for (size_t n = 0; n < p->columns; n++) {
            float *c = p->c + r * p->c_stride + n;
            double sum = p->add ? (double)*c : 0;
            for (size_t i = 0; i < p->k; i++) {
                sum += (double)p->a[r * p->a_row + i * p->a_column] *
                       (double)p->b[i * p->b_stride + n];
            }
            *c = (float)sum;
        }
    }
}

void widen_int8_ref(const int8_t *codes, const float *scales, size_t row_step, size_t column_step,
                    size_t rows, size_t columns, float *out)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < columns; c++) {
            out[r * columns + c] =
                (float)codes[r * columns + c] * scales[r * row_step + c * column_step];
        }
    }
}

static float *totals_of(const attention_state *state)
{
    return state->memory + attention_padded(state->queries);
}

static float *query_of(const attention_state *state, size_t i)
{
    return state->memory + 2 * attention_padded(state->queries) + i * state->depth;
}

static float *sums_of(const attention_state *state, size_t i)
{
    return query_of(state, attention_padded(state->queries)) + i * state->value_depth;
}

void attention_begin_ref(const attention_state *state, const attention_queries *from)
{
    for (size_t i = 0; i < state->queries; i++) {
        for (size_t k = 0; from != NULL && k < state->depth; k++) {
            const float *q =
                from->q + i / from->heads * from->row_stride + i % from->heads * from->head_stride;
            query_of(state, i)[k] = q[k] * from->scale;
        }
        state->memory[i] = -INFINITY;
        totals_of(state)[i] = 0;
        memset(sums_of(state, i), 0, state->value_depth * sizeof(float));
    }
}

/* exp(score - largest), 0 for a query that has seen nothing. */
static double power_of(float score, float largest)
{
    return score == -INFINITY ? 0 : exp((double)score - (double)largest);
}

/* The scores of query i at `seen` positions; the largest of them and `largest`. */
static float score_block(const attention_state *state, const attention_tile *keys, size_t i,
                         size_t seen, float largest, float *scores)
{
    for (size_t p = 0; p < seen; p++) {
        double score = 0;
        for (size_t k = 0; k < state->depth; k++) {
            score += (double)query_of(state, i)[k] *
                     (double)keys->data[p * keys->position_stride + k * keys->depth_stride];
        }
        scores[p] = (float)score;
        largest = scores[p] > largest ? scores[p] : largest;
    }
    return largest;
}

static void step_query(const attention_state *state, const attention_tile *keys,
                       const attention_tile *values, size_t i, size_t seen)
{
    float scores[ATTENTION_KEYS], *largest = state->memory + i, *total = totals_of(state) + i;
    float now = score_block(state, keys, i, seen, *largest, scores);
    double keep = power_of(*largest, now), sum = keep * (double)*total;
    for (size_t p = 0; p < seen; p++) {
        sum += power_of(scores[p], now);
    }
    for (size_t k = 0; k < state->value_depth; k++) {
        double mix = keep * (double)sums_of(state, i)[k];
        for (size_t p = 0; p < seen; p++) {
            mix += power_of(scores[p], now) *
                   (double)values->data[p * values->position_stride + k * values->depth_stride];
        }
        sums_of(state, i)[k] = (float)mix;
    }
    *largest = now;
    *total = (float)sum;
}

void attention_step_ref(const attention_state *state, const attention_tile *keys,
                        const attention_tile *values, size_t positions, ptrdiff_t visible,
                        size_t heads)
{
    for (size_t i = 0; i < state->queries; i++) {
        ptrdiff_t seen = visible + (ptrdiff_t)(i / heads);
        if (seen > 0) {
            step_query(state, keys, values, i,
                       (size_t)seen < positions ? (size_t)seen : positions);
        }
    }
}

void attention_fold_ref(const attention_state *state, const attention_state *other)
{
    for (size_t i = 0; i < state->queries; i++) {
        float *largest = state->memory + i, others = other->memory[i];
        float now = others > *largest ? others : *largest;
        double keep = power_of(*largest, now), take = power_of(others, now);
        float *total = totals_of(state) + i;
        *total = (float)(keep * (double)*total + take * (double)totals_of(other)[i]);
        for (size_t k = 0; k < state->value_depth; k++) {
            sums_of(state, i)[k] = (float)(keep * (double)sums_of(state, i)[k] +
                                           take * (double)sums_of(other, i)[k]);
        }
        *largest = now;
    }
}

void attention_end_ref(const attention_state *state, size_t heads, float *out, size_t row_stride,
                       size_t head_stride)
{
    for (size_t i = 0; i < state->queries; i++) {
        float *to = out + i / heads * row_stride + i % heads * head_stride;
        for (size_t k = 0; k < state->value_depth; k++) {
            to[k] = (float)((double)sums_of(state, i)[k] / (double)totals_of(state)[i]);
        }
    }
}
