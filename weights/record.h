/* A record of a packed file, once its bytes are in memory: checked, and laid out so that the
 * kernels can read it. */
#ifndef WEIGHTS_RECORD_H
#define WEIGHTS_RECORD_H

#include "weights/pack_file.h"
#include "weights/store.h"

/* Where planes that are stored raw lie afterwards. */
typedef enum record_form {
    RECORD_IN_PLACE, /* where they were read: `stored` has to stay */
    RECORD_COPIED    /* in the block, beside the expanded ones: `stored` may go */
} record_form;

/* True if a plane of the record is compressed. */
bool record_is_compressed(const pack_record *record);

/* Bytes of the block that record_place fills; 0 if there is nothing to put there. */
size_t record_block_size(const pack_record *record, record_form form);

/* Compares the record's frames with their hashes. stored [record->size]. VL2_ERROR_MODEL names
 * layer, expert and offset. */
vl2_status record_check(const pack_file *pack, const pack_record *record, const uint8_t *stored,
                        vl2_error *error);

/* Expands what is compressed into block [record_block_size], at a multiple of 64 bytes, and points
 * the views [tensor_count] at the planes. Bytes at `stored` lie at multiples of 64 as in the file.
 * When it fails, views may point at what is not there. VL2_ERROR_MODEL, VL2_ERROR_MEMORY. */
vl2_status record_place(const pack_file *pack, const pack_record *record, record_form form,
                        const uint8_t *stored, uint8_t *block, weight_view *views,
                        vl2_error *error);

/* What is done with a record that was read to `stored`: `reason` is what direct_read gave. Checks
 * it where `check` says so, and places it in the block; in place if the block is `stored`.
 * VL2_ERROR_MODEL names layer, expert and offset. */
vl2_status record_receive(const pack_file *pack, const pack_record *record, int reason, bool check,
                          const uint8_t *stored, uint8_t *block, weight_view *views,
                          vl2_error *error);

/* Bytes that a record takes in memory when it is read on its own. */
size_t record_memory(const pack_record *record);

/* Those of its tensors among the views of all tensors, in the order of the file. */
weight_view *record_views(const pack_file *pack, const pack_record *record, weight_view *views);

/* The views' planes are nowhere. */
void record_forget(const pack_record *record, weight_view *views);

#endif
