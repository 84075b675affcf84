/* The weights of a packed file: its views, and making records ready. */
#include "weights/store_internal.h"

#include "base/alloc.h"

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

/* ------------------------------------------------------------------------------- expanding */

static const void *stored_bytes(const weight_store *store, const pack_frame *frame)
{
    return pack_data(store->pack) + frame->offset;
}

/* Room that a tensor takes in its record's block: each piece at a multiple of 64 bytes. */
static size_t rounded(uint64_t bytes)
{
    return ((size_t)bytes + 63) & ~(size_t)63;
}

static size_t expanded_size(const pack_tensor *tensor)
{
    if (pack_layout_is_split(tensor->layout)) {
        return rounded(2 * tensor->frames[0].content);
    }
    size_t size = 0;
    for (int i = 0; i < tensor->frame_count; i++) {
        size += tensor->frames[i].codec == PACK_RAW ? 0 : rounded(tensor->frames[i].content);
    }
    return size;
}

#define WEAVE_BLOCK 4096

/* Numbers of two bytes from their low and high bytes. `high` may lie in the second half of `out`:
 * it is read ahead of where `out` is written. */
static void weave(const uint8_t *low, const uint8_t *high, size_t count, uint8_t *out)
{
    uint8_t block[WEAVE_BLOCK];
    for (size_t at = 0; at < count; at += WEAVE_BLOCK) {
        size_t now = count - at < WEAVE_BLOCK ? count - at : WEAVE_BLOCK;
        memcpy(block, high + at, now);
        pack_join(low + at, block, now, out + 2 * at);
    }
}

static vl2_status expand_split(const weight_store *store, const pack_tensor *tensor, uint8_t *out,
                               vl2_error *error)
{
    const pack_frame *low = &tensor->frames[0], *high = &tensor->frames[1];
    size_t count = (size_t)low->content;
    const uint8_t *low_bytes = stored_bytes(store, low), *high_bytes = stored_bytes(store, high);
    uint8_t *space = NULL;
    vl2_status status = VL2_OK;
    if (low->codec != PACK_RAW) {
        space = base_malloc(count, 1);
        status = space == NULL ? vl2_fail_memory(error, tensor->name, count)
                               : pack_expand(store->pack, tensor, low, space, error);
        low_bytes = space;
    }
    if (status == VL2_OK && high->codec != PACK_RAW) {
        status = pack_expand(store->pack, tensor, high, out + count, error);
        high_bytes = out + count;
    }
    if (status == VL2_OK) {
        weave(low_bytes, high_bytes, count, out);
    }
    base_free(space);
    return status;
}

static vl2_status expand_tensor(weight_store *store, const pack_tensor *tensor, weight_view *view,
                                uint8_t *out, vl2_error *error)
{
    if (pack_layout_is_split(tensor->layout)) {
        view->tensor.data = out;
        return expand_split(store, tensor, out, error);
    }
    for (int i = 0; i < tensor->frame_count; i++) {
        const pack_frame *frame = &tensor->frames[i];
        const void *bytes = stored_bytes(store, frame);
        if (frame->codec != PACK_RAW) {
            vl2_status status = pack_expand(store->pack, tensor, frame, out, error);
            if (status != VL2_OK) {
                return status;
            }
            bytes = out;
            out += rounded(frame->content);
        }
        if (frame->plane == PACK_NUMBERS) {
            view->tensor.data = bytes;
        } else {
            view->packed.plane[frame->plane] = bytes;
        }
    }
    return VL2_OK;
}

static vl2_status check_record(const weight_store *store, const pack_record *record,
                               vl2_error *error)
{
    vl2_status status = VL2_OK;
    for (uint32_t t = 0; t < record->tensor_count && status == VL2_OK; t++) {
        const pack_tensor *tensor = &record->tensors[t];
        for (int i = 0; i < tensor->frame_count && status == VL2_OK; i++) {
            status = pack_check(store->pack, tensor, &tensor->frames[i], error);
        }
    }
    return status;
}

static vl2_status expand_record(weight_store *store, uint32_t index, vl2_error *error)
{
    const pack_record *record = pack_record_get(store->pack, index);
    size_t size = 0;
    for (uint32_t t = 0; t < record->tensor_count; t++) {
        size += expanded_size(&record->tensors[t]);
    }
    uint8_t *block = NULL;
    if (size > 0 && (block = base_alloc_aligned(size, 1)) == NULL) {
        return vl2_fail_memory(error, record->tensors[0].name, size);
    }
    size_t used = 0, first = (size_t)(record->tensors - pack_tensor_get(store->pack, 0));
    vl2_status status = VL2_OK;
    for (uint32_t t = 0; t < record->tensor_count && status == VL2_OK; t++) {
        status = expand_tensor(store, &record->tensors[t], &store->views[first + t],
                               block != NULL ? block + used : NULL, error);
        used += expanded_size(&record->tensors[t]);
    }
    if (status != VL2_OK) {
        base_free(block);
        return status;
    }
    store->blocks[index] = block;
    return VL2_OK;
}

/* ------------------------------------------------------------------------------- acquiring */

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
        status = check_record(store, pack_record_get(store->pack, index), &error);
    }
    if (status == VL2_OK && !job->all) {
        status = expand_record(store, index, &error);
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
    vl2_status status = run_job(store, false, pending, team, error);
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
