#include "weights/ring.h"

#ifdef HAVE_LIBURING

#include "base/alloc.h"

#include <liburing.h>
#include <time.h>

struct ring {
    struct io_uring uring;
};

static int has_read(struct io_uring *uring)
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(uring);
    int has = probe != NULL && io_uring_opcode_supported(probe, IORING_OP_READ);
    io_uring_free_probe(probe);
    return has;
}

ring *ring_open(unsigned entries)
{
    ring *opened = base_calloc(1, sizeof(*opened));
    if (opened == NULL || io_uring_queue_init(entries, &opened->uring, 0) != 0) {
        base_free(opened);
        return NULL;
    }
    if (!has_read(&opened->uring)) {
        ring_close(opened);
        return NULL;
    }
    return opened;
}

void ring_close(ring *ring)
{
    if (ring != NULL) {
        io_uring_queue_exit(&ring->uring);
        base_free(ring);
    }
}

/* The kernel may be short of memory for a moment. */
static void pause_shortly(void)
{
    nanosleep(&(struct timespec){0, 200000}, NULL);
}

void ring_read(ring *ring, size_t index, int descriptor, uint64_t offset, size_t size, uint8_t *to)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring->uring); /* there are `entries` of them */
    io_uring_prep_read(entry, descriptor, to, (unsigned)size, offset);
    io_uring_sqe_set_data64(entry, index);
    while (io_uring_submit(&ring->uring) < 0) {
        pause_shortly();
    }
}

size_t ring_wait(ring *ring, int *result)
{
    struct io_uring_cqe *entry;
    while (io_uring_wait_cqe(&ring->uring, &entry) != 0) { /* a signal came */
        pause_shortly();
    }
    size_t index = (size_t)io_uring_cqe_get_data64(entry);
    *result = entry->res;
    io_uring_cqe_seen(&ring->uring, entry);
    return index;
}

#else

ring *ring_open(unsigned entries)
{
    (void)entries;
    return NULL;
}

void ring_close(ring *ring)
{
    (void)ring;
}

void ring_read(ring *ring, size_t index, int descriptor, uint64_t offset, size_t size, uint8_t *to)
{
    (void)ring, (void)index, (void)descriptor, (void)offset, (void)size, (void)to;
}

size_t ring_wait(ring *ring, int *result)
{
    (void)ring;
    *result = 0;
    return 0;
}

#endif
