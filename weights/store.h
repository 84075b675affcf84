/* The weights of a model, from wherever they come: a Hugging Face folder, a packed file, or random
 * numbers (store_random.h). The network sees named, shape-checked views; what has to be checked or
 * expanded before a view may be used happens in weight_store_acquire. */
#ifndef WEIGHTS_STORE_H
#define WEIGHTS_STORE_H

#include "base/error.h"
#include "base/team.h"
#include "base/tensor.h"
#include "simd/layout.h"
#include "weights/checkpoint.h"
#include "weights/pack_file.h"

#define WEIGHT_NO_RECORD UINT32_MAX

/* One tensor. Plain numbers (packed.layout 0) lie at tensor.data, row-major; a packed matrix
 * [shape[0], product of the rest] lies in packed.plane, and tensor.type is DATA_TYPE_COUNT and
 * tensor.data NULL then. Pointers of a view with a record are valid from its acquisition to
 * weight_store_close. */
typedef struct weight_view {
    tensor_view tensor;
    packed_matrix packed;
    uint32_t record; /* to be acquired before use; WEIGHT_NO_RECORD: it is always there */
} weight_view;

/* May be used by several threads at once. */
typedef struct weight_store weight_store;

/* Opens a folder (or one safetensors file) or a packed file, which pack_recognise tells apart.
 * Errors of checkpoint_open and pack_open. */
vl2_status weight_store_open(const char *path, weight_store **store, vl2_error *error);
void weight_store_close(weight_store *store); /* NULL is allowed */

/* Which checksums of a packed file are compared; VL2_VERIFY_USE until this is called. With
 * VL2_VERIFY_ALL all of them are compared now, on the whole team, and the first damage is reported
 * as weight_store_acquire does. Not while other threads use the store. */
vl2_status weight_store_verify(weight_store *store, vl2_verify verify, const team *team,
                               vl2_error *error);

/* A view by name, NULL if there is none. Borrowed. A tensor of a folder whose data type vl2 does
 * not compute with has type DATA_TYPE_COUNT and no data, as in checkpoint.h. */
const weight_view *weight_store_find(const weight_store *store, const char *name);
size_t weight_store_count(const weight_store *store);
const weight_view *weight_store_get(const weight_store *store, size_t index); /* file order */

/* Makes records ready: compares checksums, expands what is compressed; each record once in the life
 * of the store, the team working side by side. Records that are ready cost one look;
 * WEIGHT_NO_RECORD is skipped. VL2_ERROR_MODEL names layer, expert and offset of what is damaged;
 * that record stays unusable, all others can be used. VL2_ERROR_MEMORY. */
vl2_status weight_store_acquire(weight_store *store, const uint32_t *records, size_t count,
                                const team *team, vl2_error *error);

/* ------------------------------------------------------------------------------- paging */

struct pager;

/* True for a packed file whose routed experts can be read one by one. */
bool weight_store_can_page(const weight_store *store);

/* From now on nothing is used where it is mapped. Routed experts are read into slots, through
 * weight_store_pager; other records into memory of their own, when they are acquired. `slots` is
 * the number of experts at first. Only before anything is acquired. VL2_ERROR_UNSUPPORTED,
 * VL2_ERROR_MODEL, VL2_ERROR_MEMORY. */
vl2_status weight_store_page(weight_store *store, size_t slots, vl2_error *error);
struct pager *weight_store_pager(const weight_store *store);   /* NULL unless it is paged */
struct loader *weight_store_loader(const weight_store *store); /* NULL unless it is paged */

/* Of a paged store: gives back the memory of acquired records that nobody uses. */
void weight_store_release(weight_store *store, const uint32_t *records, size_t count);

/* Bytes of memory that records of a packed file, no experts, take in a paged store. */
uint64_t weight_store_record_memory(weight_store *store, const uint32_t *records, size_t count);

/* At most one of the two is not NULL. */
const checkpoint *weight_store_checkpoint(const weight_store *store);
const pack_file *weight_store_pack(const weight_store *store);

/* For messages: the path of the file that has the view, and its type there ("BF16", "int4"). */
const char *weight_store_file_of(const weight_store *store, const weight_view *view);
const char *weight_store_type_of(const weight_store *store, const weight_view *view);

uint64_t weight_store_file_bytes(const weight_store *store);

#endif
