/* The weights of a packed file: its views, and making records ready. */
#include "weights/store_internal.h"

#include "base/alloc.h"
#include "weights/record.h"

#include <string.h>

static void view_tensor(const pack_tensor *from, weight_view *view)
{
    tensor_view *tensor = &view->tensor;
    tensor->name = from->name;
    tensor->rank = from->rank;
    size_t columns = 1;
    for (int i = 0; i < from->rank; i++) {
        tensor->shape[i] = (int64_t)from->shape[i];
        columns *= i > 0 ? (size_t)from->shape[i] : 1;
    }
    view->record = from->record;
    tensor->type = DATA_TYPE_COUNT;
    if (from->type <= PACK_BF16) {
        tensor->type = (data_type)(from->type - PACK_F32);
    } else {
        view->packed = (packed_matrix){.layout = (layout_id)from->layout,
                                       .rows = (size_t)from->shape[0], .columns = columns};
    }
}

vl2_status weight_store_view_pack(weight_store *store, vl2_error *error)
{
    vl2_status status = weight_store_allocate(store, pack_tensor_count(store->pack), error);
    if (status != VL2_OK) {
        return status;
    }
    for (size_t i = 0; i < store->count; i++) {
        view_tensor(pack_tensor_get(store->pack, i), &store->views[i]);
    }
    store->records = pack_record_count(store->pack);
    store->ready = base_calloc(store->records, sizeof(*store->ready));
    store->blocks = base_calloc(store->records, sizeof(*store->blocks));
    store->pending = base_malloc(store->records, sizeof(*store->pending));
    store->queued = base_calloc(store->records, sizeof(*store->queued));
    if (store->ready == NULL || store->blocks == NULL || store->pending == NULL ||
        store->queued == NULL) {
        return vl2_fail_memory(error, "the list of records",
                               store->records * sizeof(*store->blocks));
    }
    return VL2_OK;
}

void weight_store_free_records(weight_store *store)
{
    for (size_t i = 0; store->blocks != NULL && i < store->records; i++) {
        base_free(store->blocks[i]);
    }
    base_free(store->blocks);
    base_free(store->ready);
    base_free(store->pending);
    base_free(store->queued);
}

/* ------------------------------------------------------------------------------- acquiring */

weight_view *weight_store_views_of(const weight_store *store, uint32_t index)
{
    return record_views(store->pack, pack_record_get(store->pack, index), store->views);
}

static vl2_status check_record(const weight_store *store, uint32_t index, vl2_error *error)
{
    const pack_record *record = pack_record_get(store->pack, index);
    return record_check(store->pack, record, pack_data(store->pack) + record->offset, error);
}

static vl2_status place_record(weight_store *store, uint32_t index, vl2_error *error)
{
    const pack_record *record = pack_record_get(store->pack, index);
    size_t size = record_block_size(record, RECORD_IN_PLACE);
    uint8_t *block = NULL;
    if (size > 0 && (block = base_alloc_aligned(size, 1)) == NULL) {
        return vl2_fail_memory(error, record->tensors[0].name, size);
    }
    vl2_status status = record_place(store->pack, record, RECORD_IN_PLACE,
                                     pack_data(store->pack) + record->offset, block,
                                     weight_store_views_of(store, index), error);
    if (status != VL2_OK) {
        base_free(block);
        return status;
    }
    store->blocks[index] = block;
    return VL2_OK;
}

typedef struct acquire_job {
    weight_store *store;
    bool all;             /* task i is record i and is only checked; else it is pending[i] */
    pthread_mutex_t mutex; /* over the failure */
    size_t failed_task;   /* the first one; SIZE_MAX: none */
    vl2_error failure;
} acquire_job;

static void note_failure(acquire_job *job, size_t task, const vl2_error *error)
{
    pthread_mutex_lock(&job->mutex);
    if (task < job->failed_task) {
        job->failed_task = task;
        job->failure = *error;
    }
    pthread_mutex_unlock(&job->mutex);
}

static void acquire_task(void *context, size_t task, int worker)
{
    (void)worker;
    acquire_job *job = context;
    weight_store *store = job->store;
    uint32_t index = job->all ? (uint32_t)task : store->pending[task];
    vl2_error error;
    vl2_status status = VL2_OK;
    if (job->all || store->check) {
        status = check_record(store, index, &error);
    }
    if (status == VL2_OK && !job->all) {
        status = place_record(store, index, &error);
        if (status == VL2_OK) {
            atomic_store_explicit(&store->ready[index], true, memory_order_release);
        }
    }
    if (status != VL2_OK) {
        note_failure(job, task, &error);
    }
}

static vl2_status run_job(weight_store *store, bool all, size_t count, const team *team,
                          vl2_error *error)
{
    acquire_job job = {.store = store, .all = all, .failed_task = SIZE_MAX};
    pthread_mutex_init(&job.mutex, NULL);
    team_run(team, count, acquire_task, &job);
    pthread_mutex_destroy(&job.mutex);
    return job.failed_task == SIZE_MAX
               ? VL2_OK
               : vl2_fail(error, job.failure.status, "%s", job.failure.message);
}

static bool is_ready(const weight_store *store, uint32_t record)
{
    return record == WEIGHT_NO_RECORD ||
           atomic_load_explicit(&store->ready[record], memory_order_acquire);
}

/* Those of the records that are not ready, each once. */
static size_t list_pending(weight_store *store, const uint32_t *records, size_t count)
{
    size_t pending = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_ready(store, records[i]) && !store->queued[records[i]]) {
            store->queued[records[i]] = true;
            store->pending[pending++] = records[i];
        }
    }
    for (size_t i = 0; i < pending; i++) {
        store->queued[store->pending[i]] = false;
    }
    return pending;
}

vl2_status weight_store_acquire(weight_store *store, const uint32_t *records, size_t count,
                                const team *team, vl2_error *error)
{
    bool ready = true;
    for (size_t i = 0; i < count && ready; i++) {
        ready = is_ready(store, records[i]);
    }
    if (ready) {
        return VL2_OK;
    }
    pthread_mutex_lock(&store->mutex);
    size_t pending = list_pending(store, records, count);
    vl2_status status = store->pager != NULL ? weight_store_read_pending(store, pending, error)
                                             : run_job(store, false, pending, team, error);
    pthread_mutex_unlock(&store->mutex);
    return status;
}

vl2_status weight_store_verify(weight_store *store, vl2_verify verify, const team *team,
                               vl2_error *error)
{
    store->check = verify == VL2_VERIFY_USE;
    if (store->pack == NULL || verify != VL2_VERIFY_ALL) {
        return VL2_OK;
    }
    return run_job(store, true, store->records, team, error);
}
