/* A paged store: its routed experts are the pager's, its other records are read into memory of
 * their own. */
#include "weights/store_internal.h"

#include "base/alloc.h"
#include "weights/direct.h"
#include "weights/pager.h"
#include "weights/record.h"


bool weight_store_can_page(const weight_store *store)
{
    return store->pack != NULL && pager_takes(store->pack);
}

vl2_status weight_store_page(weight_store *store, size_t slots, vl2_error *error)
{
    if (!weight_store_can_page(store)) {
        return vl2_fail(error, VL2_ERROR_UNSUPPORTED,
                        "%s: found no routed experts that can be read one by one, expected a file "
                        "of vl2 pack",
                        store->pack != NULL ? pack_name(store->pack) : "the model");
    }
    vl2_status status = loader_open(pack_name(store->pack), &store->loader, error);
    if (status == VL2_OK) {
        status = pager_open(store->pack, store->loader, store->views, store->check, slots,
                            &store->pager, error);
    }
    if (status != VL2_OK) {
        weight_store_close_pager(store);
    }
    return status;
}

void weight_store_close_pager(weight_store *store)
{
    loader_close(store->loader);
    pager_close(store->pager);
    store->loader = NULL;
    store->pager = NULL;
}

struct pager *weight_store_pager(const weight_store *store)
{
    return store->pager;
}

struct loader *weight_store_loader(const weight_store *store)
{
    return store->loader;
}

/* ------------------------------------------------------------------------------- reading */

#define AT_ONCE 8 /* records that are being read */

typedef struct record_load {
    load load; /* first: the loader gives it back */
    struct record_reading *reading;
    uint32_t record;
    uint8_t *stored; /* as it is read; the block itself if nothing is compressed */
    uint8_t *block;
    bool retried, running;
} record_load;

typedef struct record_reading {
    weight_store *store;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    record_load loads[AT_ONCE];
    size_t running;
    vl2_error failure; /* status VL2_OK: none */
} record_reading;

static void record_loaded(load *loaded, int reason)
{
    record_load *load = (record_load *)loaded;
    record_reading *reading = load->reading;
    weight_store *store = reading->store;
    vl2_error error = {.status = VL2_OK};
    vl2_status status = record_receive(
        store->pack, pack_record_get(store->pack, load->record), reason, store->check,
        load->stored, load->block, weight_store_views_of(store, load->record), &error);
    if (status == VL2_ERROR_MODEL && !load->retried) {
        load->retried = true;
        loader_submit(store->loader, loaded, true);
        return;
    }
    if (load->stored != load->block) {
        base_free(load->stored);
    }
    pthread_mutex_lock(&reading->mutex);
    if (status == VL2_OK) {
        store->blocks[load->record] = load->block;
        atomic_store_explicit(&store->ready[load->record], true, memory_order_release);
    } else {
        base_free(load->block);
        reading->failure = reading->failure.status == VL2_OK ? error : reading->failure;
    }
    load->running = false;
    reading->running--;
    pthread_cond_signal(&reading->changed);
    pthread_mutex_unlock(&reading->mutex);
}

/* Begins to read one record. With the reading's mutex held. */
static vl2_status start_record(record_reading *reading, uint32_t index, vl2_error *error)
{
    record_load *load = reading->loads;
    while (load->running) {
        load++;
    }
    const pack_record *record = pack_record_get(reading->store->pack, index);
    uint8_t *stored = base_alloc_pages(direct_round_up((size_t)record->size)), *block = stored;
    if (record_is_compressed(record)) {
        block = base_alloc_aligned(record_block_size(record, RECORD_COPIED), 1);
    }
    if (stored == NULL || block == NULL) {
        base_free(stored);
        base_free(block != stored ? block : NULL);
        return vl2_fail_memory(error, record->tensors[0].name, (size_t)record->size);
    }
    *load = (record_load){.load = {.offset = record->offset,
                                   .size = (size_t)record->size,
                                   .to = stored,
                                   .done = record_loaded},
                          .reading = reading,
                          .record = index,
                          .stored = stored,
                          .block = block,
                          .running = true};
    reading->running++;
    loader_submit(reading->store->loader, &load->load, true);
    return VL2_OK;
}

vl2_status weight_store_read_pending(weight_store *store, size_t count, vl2_error *error)
{
    record_reading reading = {.store = store, .failure = {.status = VL2_OK}};
    vl2_status status = VL2_OK;
    pthread_mutex_init(&reading.mutex, NULL);
    pthread_cond_init(&reading.changed, NULL);
    pthread_mutex_lock(&reading.mutex);
    for (size_t i = 0; i < count && status == VL2_OK && reading.failure.status == VL2_OK; i++) {
        while (reading.running == AT_ONCE) {
            pthread_cond_wait(&reading.changed, &reading.mutex);
        }
        status = start_record(&reading, store->pending[i], error);
    }
    while (reading.running > 0) {
        pthread_cond_wait(&reading.changed, &reading.mutex);
    }
    pthread_mutex_unlock(&reading.mutex);
    if (status == VL2_OK && reading.failure.status != VL2_OK) {
        status = vl2_fail(error, reading.failure.status, "%s", reading.failure.message);
    }
    pthread_cond_destroy(&reading.changed);
    pthread_mutex_destroy(&reading.mutex);
    return status;
}

/* ------------------------------------------------------------------------------- memory */

void weight_store_release(weight_store *store, const uint32_t *records, size_t count)
{
    pthread_mutex_lock(&store->mutex);
    for (size_t i = 0; i < count && store->pager != NULL; i++) {
        uint32_t index = records[i];
        if (index == WEIGHT_NO_RECORD || !atomic_load(&store->ready[index])) {
            continue;
        }
        atomic_store(&store->ready[index], false);
        record_forget(pack_record_get(store->pack, index), weight_store_views_of(store, index));
        base_free(store->blocks[index]);
        store->blocks[index] = NULL;
    }
    pthread_mutex_unlock(&store->mutex);
}

uint64_t weight_store_record_memory(weight_store *store, const uint32_t *records, size_t count)
{
    uint64_t bytes = 0;
    pthread_mutex_lock(&store->mutex);
    for (size_t i = 0; i < count; i++) {
        if (records[i] == WEIGHT_NO_RECORD || store->queued[records[i]]) {
            continue;
        }
        store->queued[records[i]] = true; /* each once */
        bytes += record_memory(pack_record_get(store->pack, records[i]));
    }
    for (size_t i = 0; i < count; i++) {
        if (records[i] != WEIGHT_NO_RECORD) {
            store->queued[records[i]] = false;
        }
    }
    pthread_mutex_unlock(&store->mutex);
    return bytes;
}
