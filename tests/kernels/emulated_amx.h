/* AMX in C: eight tiles as _tile_loadconfig shapes them. What a processor would answer with a
 * fault ends the program with a message. Intel SDM volume 1 chapter 18, and volume 2 for each
 * instruction.
 * Every file of kernels has tiles of its own: it configures them before it uses them, and releases
 * them afterwards. */
#ifndef TESTS_KERNELS_EMULATED_AMX_H
#define TESTS_KERNELS_EMULATED_AMX_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EMULATED_TILES     8
#define EMULATED_TILE_ROWS 16
#define EMULATED_ROW_BYTES 64
#define EMULATED           static inline __attribute__((unused))

typedef struct emulated_tile {
    int rows, bytes; /* of a row; 0 if the tile is not configured */
    unsigned char of[EMULATED_TILE_ROWS][EMULATED_ROW_BYTES];
} emulated_tile;

static _Thread_local __attribute__((unused)) struct {
    int configured;
    emulated_tile tile[EMULATED_TILES];
} emulated_amx;

EMULATED void emulated_fault(const char *instruction, const char *why)
{
    fprintf(stderr, "emulated AMX: %s: %s\n", instruction, why);
    abort();
}
EMULATED void emulated_demand(int holds, const char *instruction, const char *why)
{
    if (!holds) {
        emulated_fault(instruction, why);
    }
}
EMULATED emulated_tile *emulated_find(int number, const char *instruction)
{
    emulated_demand(emulated_amx.configured, instruction, "no configuration is loaded");
    emulated_demand(number >= 0 && number < EMULATED_TILES, instruction, "no such tile");
    emulated_demand(emulated_amx.tile[number].rows > 0, instruction, "a tile without a shape");
    return &emulated_amx.tile[number];
}

EMULATED void emulated_tile_release(void)
{
    memset(&emulated_amx, 0, sizeof(emulated_amx));
}
EMULATED void emulated_tile_loadconfig(const void *memory)
{
    static const unsigned char zeros[16];
    const unsigned char *config = memory; /* palette, start row, 14 of zero, 16 x 2, 16 */
    const char *name = "ldtilecfg";
    emulated_tile_release();
    if (config[0] == 0) {
        return;
    }
    emulated_demand(config[0] == 1, name, "a palette other than 0 and 1");
    emulated_demand(config[1] == 0 && memcmp(config + 2, zeros, 14) == 0, name, "not zero");
    emulated_demand(memcmp(config + 32, zeros, 16) == 0 && memcmp(config + 56, zeros, 8) == 0, name,
                    "shapes of tiles that palette 1 does not have");
    for (int i = 0; i < EMULATED_TILES; i++) {
        const int bytes = config[16 + 2 * i] | config[17 + 2 * i] << 8, rows = config[48 + i];
        emulated_demand(rows <= EMULATED_TILE_ROWS && bytes <= EMULATED_ROW_BYTES, name,
                        "a tile is too large");
        emulated_demand((rows == 0) == (bytes == 0), name, "rows without bytes, or bytes alone");
        emulated_amx.tile[i].rows = rows;
        emulated_amx.tile[i].bytes = bytes;
    }
    emulated_amx.configured = 1;
}
EMULATED void emulated_tile_zero(int number)
{
    emulated_tile *tile = emulated_find(number, "tilezero");
    memset(tile->of, 0, sizeof(tile->of));
}
EMULATED void emulated_tile_loadd(int number, const void *base, size_t stride)
{
    emulated_tile *tile = emulated_find(number, "tileloadd");
    memset(tile->of, 0, sizeof(tile->of));
    for (int row = 0; row < tile->rows; row++) {
        memcpy(tile->of[row], (const char *)base + (size_t)row * stride, (size_t)tile->bytes);
    }
}
EMULATED void emulated_tile_stored(int number, void *base, size_t stride)
{
    const emulated_tile *tile = emulated_find(number, "tilestored");
    for (int row = 0; row < tile->rows; row++) {
        memcpy((char *)base + (size_t)row * stride, tile->of[row], (size_t)tile->bytes);
    }
}

/* What a product of tiles asks for: sums [m, n], a [m, k], b [k, n], four bytes each. */
EMULATED void emulated_shapes(int sums, int a, int b, const char *name)
{
    const emulated_tile *c = emulated_find(sums, name);
    const emulated_tile *left = emulated_find(a, name), *right = emulated_find(b, name);
    emulated_demand(sums != a && sums != b && a != b, name, "the same tile twice");
    emulated_demand((c->bytes | left->bytes | right->bytes) % 4 == 0, name, "part of four bytes");
    emulated_demand(c->rows == left->rows && c->bytes == right->bytes &&
                        left->bytes / 4 == right->rows,
                    name, "shapes do not fit");
}
/* Integers: signed or unsigned a, signed b; the sum wraps. */
EMULATED void emulated_tile_bytes(int sums, int a, int b, int is_signed, const char *name)
{
    emulated_shapes(sums, a, b, name);
    emulated_tile *c = &emulated_amx.tile[sums];
    const emulated_tile *left = &emulated_amx.tile[a], *right = &emulated_amx.tile[b];
    for (int m = 0; m < c->rows; m++) {
        for (int n = 0; n < c->bytes / 4; n++) {
            uint32_t sum;
            memcpy(&sum, &c->of[m][4 * n], 4);
            for (int k = 0; k < left->bytes; k++) {
                const int x = is_signed ? (int8_t)left->of[m][k] : left->of[m][k];
                sum += (uint32_t)(x * (int8_t)right->of[k / 4][4 * n + k % 4]);
            }
            memcpy(&c->of[m][4 * n], &sum, 4);
        }
    }
}
EMULATED void emulated_tile_dpbssd(int sums, int a, int b)
{
    emulated_tile_bytes(sums, a, b, 1, "tdpbssd");
}
EMULATED void emulated_tile_dpbusd(int sums, int a, int b)
{
    emulated_tile_bytes(sums, a, b, 0, "tdpbusd");
}

/* Subnormal numbers count as 0, as input and as result. */
EMULATED float emulated_flush(float a)
{
    return fabsf(a) < 0x1p-126f ? copysignf(0, a) : a;
}
EMULATED float emulated_bf16(const unsigned char *source)
{
    const uint32_t bits = (uint32_t)source[0] << 16 | (uint32_t)source[1] << 24;
    float number;
    memcpy(&number, &bits, 4);
    return emulated_flush(number);
}
/* Products of even and of odd numbers are summed apart, then together, then to the tile. */
EMULATED void emulated_tile_dpbf16ps(int sums, int a, int b)
{
    emulated_shapes(sums, a, b, "tdpbf16ps");
    emulated_tile *c = &emulated_amx.tile[sums];
    const emulated_tile *left = &emulated_amx.tile[a], *right = &emulated_amx.tile[b];
    for (int m = 0; m < c->rows; m++) {
        for (int n = 0; n < c->bytes / 4; n++) {
            float sum, part[2] = {0, 0};
            memcpy(&sum, &c->of[m][4 * n], 4);
            for (int k = 0; k < left->bytes / 2; k++) {
                const float x = emulated_bf16(&left->of[m][2 * k]);
                const float w = emulated_bf16(&right->of[k / 2][4 * n + k % 2 * 2]);
                part[k % 2] = emulated_flush(fmaf(x, w, part[k % 2]));
            }
            sum = emulated_flush(emulated_flush(sum) + emulated_flush(part[0] + part[1]));
            memcpy(&c->of[m][4 * n], &sum, 4);
        }
    }
}

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbssd
#undef _tile_dpbusd
#undef _tile_dpbf16ps
#undef _tile_stream_loadd
#define _tile_loadconfig(config)         emulated_tile_loadconfig(config)
#define _tile_release()                  emulated_tile_release()
#define _tile_zero(tile)                 emulated_tile_zero(tile)
#define _tile_loadd(tile, base, stride)  emulated_tile_loadd(tile, base, (size_t)(stride))
#define _tile_stored(tile, base, stride) emulated_tile_stored(tile, base, (size_t)(stride))
#define _tile_dpbssd(sums, a, b)         emulated_tile_dpbssd(sums, a, b)
#define _tile_dpbusd(sums, a, b)         emulated_tile_dpbusd(sums, a, b)
#define _tile_dpbf16ps(sums, a, b)       emulated_tile_dpbf16ps(sums, a, b)
#define _tile_stream_loadd(tile, base, stride) _tile_loadd(tile, base, stride)

#endif
