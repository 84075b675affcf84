/* What the test of the packed reader shares with its fuzz target. */
#ifndef FUZZ_PACK_H
#define FUZZ_PACK_H

#include <stddef.h>
#include <stdint.h>

/* The packed file that an input of the target stands for (see fuzz_pack.c), *unfolded bytes, to be
 * freed with free; NULL if the input has no room for what its header says. */
uint8_t *fuzz_pack_unfold(const uint8_t *data, size_t size, size_t *unfolded);

#endif
