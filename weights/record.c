#include "weights/record.h"

#include "base/alloc.h"
#include "weights/direct.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What record_place passes on. */
typedef struct placing {
    const pack_file *pack;
    const pack_record *record;
    record_form form;
    const uint8_t *stored;
    vl2_error *error;
} placing;

static const uint8_t *bytes_of(const placing *placing, const pack_frame *frame)
{
    return placing->stored + (frame->offset - placing->record->offset);
}

bool record_is_compressed(const pack_record *record)
{
    for (uint32_t t = 0; t < record->tensor_count; t++) {
        const pack_tensor *tensor = &record->tensors[t];
        /* Numbers that are split into low and high bytes are joined even if both are raw. */
        bool compressed = pack_layout_is_split(tensor->layout);
        for (int i = 0; i < tensor->frame_count; i++) {
            compressed |= tensor->frames[i].codec != PACK_RAW;
        }
        if (compressed) {
            return true;
        }
    }
    return false;
}

/* Room that a plane takes in the block: each at a multiple of 64 bytes. */
static size_t rounded(uint64_t bytes)
{
    return ((size_t)bytes + 63) & ~(size_t)63;
}

static size_t tensor_block_size(const pack_tensor *tensor, record_form form)
{
    if (pack_layout_is_split(tensor->layout)) {
        return rounded(2 * tensor->frames[0].content);
    }
    size_t size = 0;
    for (int i = 0; i < tensor->frame_count; i++) {
        bool there = form == RECORD_IN_PLACE && tensor->frames[i].codec == PACK_RAW;
        size += there ? 0 : rounded(tensor->frames[i].content);
    }
    return size;
}

size_t record_block_size(const pack_record *record, record_form form)
{
    size_t size = 0;
    for (uint32_t t = 0; t < record->tensor_count; t++) {
        size += tensor_block_size(&record->tensors[t], form);
    }
    return size;
}

vl2_status record_check(const pack_file *pack, const pack_record *record, const uint8_t *stored,
                        vl2_error *error)
{
    vl2_status status = VL2_OK;
    for (uint32_t t = 0; t < record->tensor_count && status == VL2_OK; t++) {
        const pack_tensor *tensor = &record->tensors[t];
        for (int i = 0; i < tensor->frame_count && status == VL2_OK; i++) {
            const pack_frame *frame = &tensor->frames[i];
            status = pack_check_bytes(pack, tensor, frame,
                                      stored + (frame->offset - record->offset), error);
        }
    }
    return status;
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

static vl2_status place_split(const placing *placing, const pack_tensor *tensor, uint8_t *out)
{
    const pack_frame *low = &tensor->frames[0], *high = &tensor->frames[1];
    size_t count = (size_t)low->content;
    const uint8_t *low_bytes = bytes_of(placing, low), *high_bytes = bytes_of(placing, high);
    uint8_t *space = NULL;
    vl2_status status = VL2_OK;
    if (low->codec != PACK_RAW) {
        space = base_malloc(count, 1);
        status = space == NULL ? vl2_fail_memory(placing->error, tensor->name, count)
                               : pack_expand_bytes(placing->pack, tensor, low, low_bytes, space,
                                                   placing->error);
        low_bytes = space;
    }
    if (status == VL2_OK && high->codec != PACK_RAW) {
        status =
            pack_expand_bytes(placing->pack, tensor, high, high_bytes, out + count, placing->error);
        high_bytes = out + count;
    }
    if (status == VL2_OK) {
        weave(low_bytes, high_bytes, count, out);
    }
    base_free(space);
    return status;
}

static vl2_status place_tensor(const placing *placing, const pack_tensor *tensor, uint8_t *out,
                               weight_view *view)
{
    if (pack_layout_is_split(tensor->layout)) {
        view->tensor.data = out;
        return place_split(placing, tensor, out);
    }
    for (int i = 0; i < tensor->frame_count; i++) {
        const pack_frame *frame = &tensor->frames[i];
        const uint8_t *bytes = bytes_of(placing, frame);
        if (placing->form == RECORD_COPIED || frame->codec != PACK_RAW) {
            vl2_status status =
                pack_expand_bytes(placing->pack, tensor, frame, bytes, out, placing->error);
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

vl2_status record_place(const pack_file *pack, const pack_record *record, record_form form,
                        const uint8_t *stored, uint8_t *block, weight_view *views, vl2_error *error)
{
    const placing placing = {pack, record, form, stored, error};
    size_t used = 0;
    vl2_status status = VL2_OK;
    for (uint32_t t = 0; t < record->tensor_count && status == VL2_OK; t++) {
        status = place_tensor(&placing, &record->tensors[t], block != NULL ? block + used : NULL,
                              &views[t]);
        used += tensor_block_size(&record->tensors[t], form);
    }
    return status;
}

static vl2_status fail_read(const pack_file *pack, const pack_record *record, int reason,
                            vl2_error *error)
{
    char place[64] = "";
    if (record->expert >= 0) {
        snprintf(place, sizeof(place), "layer %d, expert %d", record->layer, record->expert);
    }
    return vl2_fail(error, VL2_ERROR_MODEL,
                    "%s: %s, %" PRIu64 " bytes at offset %" PRIu64 ": reading failed: %s",
                    pack_name(pack), record->expert >= 0 ? place : record->tensors[0].name,
                    record->size, record->offset,
                    reason == ENODATA ? "the file ends there" : strerror(reason));
}

vl2_status record_receive(const pack_file *pack, const pack_record *record, int reason, bool check,
                          const uint8_t *stored, uint8_t *block, weight_view *views,
                          vl2_error *error)
{
    if (reason != 0) {
        return fail_read(pack, record, reason, error);
    }
    vl2_status status = check ? record_check(pack, record, stored, error) : VL2_OK;
    if (status == VL2_OK) {
        record_form form = block == stored ? RECORD_IN_PLACE : RECORD_COPIED;
        status = record_place(pack, record, form, stored, block, views, error);
    }
    return status;
}

size_t record_memory(const pack_record *record)
{
    return record_is_compressed(record) ? record_block_size(record, RECORD_COPIED)
                                        : direct_round_up((size_t)record->size);
}

weight_view *record_views(const pack_file *pack, const pack_record *record, weight_view *views)
{
    return views + (record->tensors - pack_tensor_get(pack, 0));
}

void record_forget(const pack_record *record, weight_view *views)
{
    for (uint32_t t = 0; t < record->tensor_count; t++) {
        views[t].tensor.data = NULL;
        memset(views[t].packed.plane, 0, sizeof(views[t].packed.plane));
    }
}
