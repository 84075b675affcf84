#include "model/order.h"

#include <string.h>

/* Radix sort, the lower digits first: each pass keeps the order of the ones before. */
#define PASSES     3
#define DIGIT_BITS 11
#define DIGITS     ((size_t)1 << DIGIT_BITS)

/* Rises as the number falls; the same for both zeros. */
static uint32_t key_of(float number)
{
    uint32_t bits;
    number += 0.0f;
    memcpy(&bits, &number, sizeof(bits));
    return bits >> 31 ? bits : ~bits & 0x7fffffffu;
}

static size_t digit_of(uint32_t key, int pass)
{
    return key >> (pass * DIGIT_BITS) & (DIGITS - 1);
}

/* Ids with smaller digits, for each digit of each pass. */
static void count_digits(const float *numbers, const int32_t *ids, size_t count,
                         uint32_t (*places)[DIGITS])
{
    memset(places, 0, PASSES * sizeof(places[0]));
    for (size_t i = 0; i < count; i++) {
        const uint32_t key = key_of(numbers[ids[i]]);
        for (int pass = 0; pass < PASSES; pass++) {
            places[pass][digit_of(key, pass)]++;
        }
    }
    for (int pass = 0; pass < PASSES; pass++) {
        uint32_t before = 0;
        for (size_t digit = 0; digit < DIGITS; digit++) {
            const uint32_t here = places[pass][digit];
            places[pass][digit] = before;
            before += here;
        }
    }
}

void order_falling(const float *numbers, int32_t *ids, int32_t *space, size_t count)
{
    uint32_t places[PASSES][DIGITS];
    int32_t *from = ids, *to = space;
    count_digits(numbers, ids, count, places);
    for (int pass = 0; pass < PASSES; pass++) {
        for (size_t i = 0; i < count; i++) {
            to[places[pass][digit_of(key_of(numbers[from[i]]), pass)]++] = from[i];
        }
        int32_t *swap = from;
        from = to;
        to = swap;
    }
    memcpy(ids, space, count * sizeof(*ids)); /* after an odd number of passes */
}
