/* Reads that the kernel carries out on its own while no thread waits for them (io_uring). Not every
 * machine has it: a kernel before 5.6, a container that forbids it, or a build without liburing. */
#ifndef WEIGHTS_RING_H
#define WEIGHTS_RING_H

#include <stddef.h>
#include <stdint.h>

typedef struct ring ring;

/* For at most `entries` reads at once. NULL if there is none here. */
ring *ring_open(unsigned entries);
void ring_close(ring *ring); /* no read may be under way; NULL is allowed */

/* Begins to read. `index`, below `entries` and of no other read under way, comes back from
 * ring_wait. One thread at a time; another may be in ring_wait. */
void ring_read(ring *ring, size_t index, int descriptor, uint64_t offset, size_t size, uint8_t *to);

/* Waits until some read has ended: its index, and in *result its bytes or -errno. At least one must
 * be under way. One thread at a time. */
size_t ring_wait(ring *ring, int *result);

#endif
