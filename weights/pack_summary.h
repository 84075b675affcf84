/* How large a packed file is or will be, and how much memory it needs: a vl2_pack_summary, made
 * tensor by tensor. */
#ifndef WEIGHTS_PACK_SUMMARY_H
#define WEIGHTS_PACK_SUMMARY_H

#include "base/tensor.h"
#include "weights/pack_encode.h"
#include "weights/pack_plan.h"

#define PACK_TALLY_LAYOUTS 12 /* different ones of one group */

typedef struct pack_tally {
    vl2_pack_summary *summary;
    struct {
        uint32_t group;
        size_t count;
        uint32_t layouts[PACK_TALLY_LAYOUTS];
        uint64_t bytes[PACK_TALLY_LAYOUTS];
    } groups[VL2_PACK_GROUPS];
    int layer; /* whose experts are added up */
    uint64_t layer_bytes, largest_layer, expert_bytes;
} pack_tally;

/* What the tally wants to know of a tensor. */
typedef struct pack_tally_tensor {
    uint32_t group, layout;
    data_type source;
    int layer, expert; /* of its record */
    uint64_t elements;
    uint64_t content, stored; /* bytes of its planes, expanded and in the file */
} pack_tally_tensor;

/* Clears the summary and fills its groups and sums: pack_tally_add for each tensor in the order of
 * the file, then pack_tally_end. file_bytes, records, kv_bytes and what was left out are the
 * caller's to fill in. Groups beyond VL2_PACK_GROUPS are added to the last one. */
void pack_tally_begin(pack_tally *tally, vl2_pack_summary *summary);
void pack_tally_add(pack_tally *tally, const pack_tally_tensor *tensor);
void pack_tally_end(pack_tally *tally);

/* The summary of a plan. Sizes of integers are exact if nothing of them is compressed, which is the
 * rule; those of 16-bit numbers are estimated from samples. `blob_bytes`: of the blobs as they are
 * stored; `index_size`: of the index. */
void pack_plan_summarise(const pack_plan *plan, const pack_compression *compression,
                         uint64_t blob_bytes, uint64_t index_size, vl2_pack_summary *summary);

#endif
