#include "weights/synth_random.h"

#include <math.h>
#include <string.h>

/* Quantile of the normal distribution for 0 < p < 1/2, by bisection on erfc: slow, but the table is
 * made once and needs no magic constants. */
static double quantile(double p)
{
    double low = -6, high = 0;
    for (int i = 0; i < 50; i++) {
        double middle = (low + high) / 2;
        if (0.5 * erfc(-middle / sqrt(2.0)) < p) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return (low + high) / 2;
}

void synth_quantiles(float *quantiles)
{
    for (size_t i = 0; i < SYNTH_QUANTILES / 2; i++) {
        quantiles[i] = (float)quantile(((double)i + 0.5) / (double)SYNTH_QUANTILES);
        quantiles[SYNTH_QUANTILES - 1 - i] = -quantiles[i];
    }
}

void synth_table(const float *quantiles, double mean, double deviation, data_type type,
                 void *table)
{
    size_t size = data_type_size(type);
    for (size_t i = 0; i < SYNTH_QUANTILES; i++) {
        float number = (float)(mean + deviation * (double)quantiles[i]);
        numbers_narrow(&number, 1, type, (uint8_t *)table + i * size);
    }
}

/* The output function of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
 * Generators, OOPSLA 2014; constants of Vigna's splitmix64.c). */
static inline uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline uint64_t draw(uint64_t key, uint64_t number)
{
    return mix(key + (number + 1) * 0x9e3779b97f4a7c15u);
}

uint64_t synth_key(uint64_t seed, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *name != '\0'; name++) {
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
    }
    return mix(hash ^ mix(seed + 0x9e3779b97f4a7c15u));
}

uint16_t synth_pick(uint64_t key, uint64_t index)
{
    return (uint16_t)(draw(key, index / SYNTH_PER_DRAW) >> (16 * (index % SYNTH_PER_DRAW)));
}

void synth_fill(uint64_t key, const void *table, data_type type, uint64_t first, size_t count,
                void *out)
{
    uint64_t number = first / SYNTH_PER_DRAW;
    size_t whole = count / SYNTH_PER_DRAW * SYNTH_PER_DRAW, done = 0;
    if (type == DATA_F32) {
        const float *from = table;
        float *to = out;
        for (; done < whole; done += SYNTH_PER_DRAW, number++) {
            uint64_t bits = draw(key, number);
            for (size_t i = 0; i < SYNTH_PER_DRAW; i++) {
                to[done + i] = from[(uint16_t)(bits >> (16 * i))];
            }
        }
    } else {
        const uint16_t *from = table;
        uint16_t *to = out;
        for (; done < whole; done += SYNTH_PER_DRAW, number++) {
            uint64_t bits = draw(key, number);
            for (size_t i = 0; i < SYNTH_PER_DRAW; i++) {
                to[done + i] = from[(uint16_t)(bits >> (16 * i))];
            }
        }
    }
    size_t size = data_type_size(type);
    for (; done < count; done++) {
        memcpy((uint8_t *)out + done * size,
               (const uint8_t *)table + synth_pick(key, first + done) * size, size);
    }
}

void synth_bytes(uint64_t key, uint64_t first, size_t count, void *out)
{
    uint8_t *to = out;
    size_t done = 0;
    for (; done + sizeof(uint64_t) <= count; done += sizeof(uint64_t)) {
        uint64_t bits = draw(key, first++);
        memcpy(to + done, &bits, sizeof(bits));
    }
    uint64_t bits = draw(key, first);
    memcpy(to + done, &bits, count - done);
}
