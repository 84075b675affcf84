/* The shapes of AMX tiles, for the libraries that are compiled for AMX. */
#ifndef SIMD_X86_AMX_CONFIG_H
#define SIMD_X86_AMX_CONFIG_H

#include <immintrin.h>
#include <stdint.h>

/* Intel SDM volume 1, "Intel AMX": palette 1. */
typedef struct amx_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} amx_config;

/* All eight tiles have rows of 64 bytes: tiles 0 to 5 `rows` of them (1 to 16), tiles 6 and 7 16.
 * Loading a configuration sets all tiles to 0. */
static inline void amx_configure(unsigned rows)
{
    amx_config config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = 64;
        config.rows[i] = (uint8_t)(i < 6 ? rows : 16);
    }
    _tile_loadconfig(&config);
}
static inline void amx_release(void)
{
    _tile_release();
}

#endif
