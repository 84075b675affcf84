#include "weights/pack_batch.h"

#include "base/alloc.h"
#include "base/file.h"
#include "weights/pack_index_write.h"

#include <string.h>

static uint64_t batch_bytes(const pack_job *job)
{
    uint64_t bytes = (uint64_t)job->team->threads * PACK_BATCH_THREAD;
    bytes = job->batch_bytes > 0 ? job->batch_bytes : bytes;
    return bytes < PACK_BATCH_MOST ? bytes : PACK_BATCH_MOST;
}

/* Chooses the records from `first` on. Returns the bytes that their planes take in the arena. */
static uint64_t choose_records(pack_batch *batch, size_t first)
{
    const pack_plan *plan = batch->job->plan;
    uint64_t used = 0, most = batch_bytes(batch->job);
    batch->first = batch->end = first;
    batch->item_count = 0;
    while (batch->end < plan->record_count) {
        const pack_planned_record *record = &plan->records[batch->end];
        uint64_t bytes = record->content_bytes + record->frame_count * PACK_ALIGNMENT;
        if (batch->end > first && used + bytes > most) {
            break;
        }
        used += bytes;
        batch->item_count += record->frame_count;
        batch->end++;
    }
    return used;
}

vl2_status pack_batch_open(pack_batch *batch, const pack_job *job, size_t first, vl2_error *error)
{
    *batch = (pack_batch){.job = job};
    uint64_t most = 0;
    size_t items = 0, columns = 0;
    for (; first < job->plan->record_count; first = batch->end) {
        uint64_t bytes = choose_records(batch, first);
        most = bytes > most ? bytes : most;
        items = batch->item_count > items ? batch->item_count : items;
    }
    for (size_t i = 0; i < job->plan->tensor_count; i++) {
        const pack_planned_tensor *tensor = &job->plan->tensors[i];
        size_t count = (size_t)(tensor->elements / tensor->shape[0]);
        columns = count > columns ? count : columns;
    }
    batch->item_count = 0;
    batch->arena = base_alloc_aligned((size_t)most, 1);
    batch->items = base_calloc(items, sizeof(*batch->items));
    batch->importance = base_calloc(columns, sizeof(*batch->importance));
    if (batch->arena == NULL || batch->items == NULL || batch->importance == NULL) {
        pack_batch_close(batch);
        return vl2_fail_memory(error, "the planes of a batch of records", (size_t)most);
    }
    return VL2_OK;
}

void pack_batch_clear(pack_batch *batch)
{
    for (size_t i = 0; i < batch->item_count; i++) {
        base_free(batch->items[i].stored.own);
        batch->items[i].stored = (pack_stored){0};
    }
    batch->item_count = 0;
}

void pack_batch_close(pack_batch *batch)
{
    pack_batch_clear(batch);
    base_free(batch->arena);
    base_free(batch->items);
    base_free(batch->importance);
    *batch = (pack_batch){0};
}

/* ------------------------------------------------------------------------------------ encoding */

/* Names the file in front of what is wrong with a tensor. */
static vl2_status fail_tensor(const pack_batch *batch, const tensor_view *tensor, vl2_status status,
                              const vl2_error *reason, vl2_error *error)
{
    if (status == VL2_ERROR_CANCELLED) {
        return vl2_fail(error, status, "%s: cancelled while packing", batch->job->out);
    }
    return vl2_fail(error, status, "%s: %.700s", checkpoint_file_of(batch->job->checkpoint, tensor),
                    reason->message);
}

/* A tensor that is being encoded. */
typedef struct passage {
    pack_step *step;
    void *user;
    const uint8_t *mapped; /* what is not given back yet; NULL: it was changed and lies elsewhere */
    size_t number, changed; /* bytes of one number in the checkpoint and on its way */
} passage;

/* Gives the pages of the checkpoint back as they are read: one tensor may be large. */
static bool pass(uint64_t bytes, void *user)
{
    passage *passage = user;
    if (passage->mapped != NULL) {
        file_release(passage->mapped, (size_t)bytes);
        passage->mapped += bytes;
    }
    return passage->step(bytes / passage->changed * passage->number, passage->user);
}

static vl2_status encode_tensor(pack_batch *batch, const pack_planned_tensor *tensor,
                                const pack_item *items, pack_step *step, void *user,
                                vl2_error *error)
{
    const pack_job *job = batch->job;
    vl2_error reason = {VL2_OK, ""};
    tensor_view source = *tensor->source;
    void *owned = NULL;
    uint8_t *planes[PACK_MAX_PLANES] = {NULL};
    const float *importance = NULL;
    for (int i = 0; i < tensor->frame_count; i++) {
        planes[i] = items[i].plane;
    }
    if (job->importance != NULL && layout_find(tensor->layout) != NULL &&
        importance_get(job->importance, tensor->source, batch->importance)) {
        importance = batch->importance;
    }
    vl2_status status = VL2_OK;
    if (job->change != NULL) {
        bool split = pack_layout_is_split(tensor->layout);
        status = job->change(tensor->source, split ? source.type : DATA_F32, job->team, &source,
                             &owned, job->change_user, &reason);
    }
    if (status == VL2_OK) {
        passage passage = {step, user, owned == NULL ? source.data : NULL,
                           data_type_size(tensor->source->type), data_type_size(source.type)};
        status = pack_encode(tensor, &source, importance, job->team, pass, &passage, planes,
                             &reason);
    }
    base_free(owned);
    file_release(tensor->source->data, (size_t)tensor->source_bytes);
    return status == VL2_OK ? VL2_OK : fail_tensor(batch, tensor->source, status, &reason, error);
}

static void lay_out_items(pack_batch *batch, const pack_planned_tensor *tensor, pack_item *items,
                          uint64_t *used)
{
    for (int i = 0; i < tensor->frame_count; i++) {
        items[i] = (pack_item){.plane = batch->arena + *used,
                               .content = tensor->content[i],
                               .whole = tensor->content_bytes,
                               .number = tensor->plane[i]};
        *used = pack_align(*used + tensor->content[i], PACK_ALIGNMENT);
    }
}

static void compress_item(void *context, size_t index, int worker)
{
    (void)worker;
    const pack_batch *batch = context;
    pack_item *item = &batch->items[index];
    item->status = pack_compress(item->plane, item->content, item->whole, &batch->job->compression,
                                 &item->stored, NULL);
}

vl2_status pack_batch_fill(pack_batch *batch, size_t first, pack_step *step, void *user,
                           vl2_error *error)
{
    const pack_plan *plan = batch->job->plan;
    choose_records(batch, first);
    const pack_planned_record *last = &plan->records[batch->end - 1];
    size_t end = last->first_tensor + last->tensor_count, item = 0;
    uint64_t used = 0;
    vl2_status status = VL2_OK;
    for (size_t i = plan->records[first].first_tensor; i < end && status == VL2_OK; i++) {
        const pack_planned_tensor *tensor = &plan->tensors[i];
        lay_out_items(batch, tensor, &batch->items[item], &used);
        status = encode_tensor(batch, tensor, &batch->items[item], step, user, error);
        item += (size_t)tensor->frame_count;
    }
    batch->item_count = item;
    if (status != VL2_OK) {
        return status;
    }
    team_run(batch->job->team, item, compress_item, batch);
    for (size_t i = 0; i < item; i++) {
        if (batch->items[i].status != VL2_OK) {
            return vl2_fail_memory(error, "compressing a plane", (size_t)batch->items[i].content);
        }
    }
    return VL2_OK;
}
