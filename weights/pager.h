/* The routed experts of a packed file in a fixed number of slots: those that are needed and not
 * there are read from the file, in place of those that residency.h gives up first. Whoever runs a
 * layer takes its experts in the order in which they become ready, and computes with some while
 * others are being read. */
#ifndef WEIGHTS_PAGER_H
#define WEIGHTS_PAGER_H

#include "weights/loader.h"
#include "weights/pack_file.h"
#include "weights/store.h"

#include <stdatomic.h>

typedef struct pager pager;

/* Numbers since the pager was opened. */
typedef struct pager_stats {
    uint64_t uses, hits;        /* experts that a layer wanted; of these, in memory when it did */
    uint64_t reads, bytes;      /* records, and bytes, read */
    uint64_t early, early_used; /* records read before they were wanted; of these, wanted */
    double stalled;             /* seconds that pager_take has waited */
} pager_stats;

/* True if each routed expert of the file is a record of its own. */
bool pager_takes(const pack_file *pack);
/* Bytes of a slot: of the largest expert. */
size_t pager_slot_size(const pack_file *pack);
size_t pager_expert_count(const pack_file *pack); /* of all layers */

/* `views` are those of the pack's tensors, in its order; what belongs to experts is written when
 * they are read. `loader` reads the same file; both are borrowed. `check`: compare checksums when a
 * record is read first. Address space is reserved for all experts, memory taken for `slots` of them
 * as they are used. VL2_ERROR_MEMORY. */
vl2_status pager_open(const pack_file *pack, loader *loader, weight_view *views, bool check,
                      size_t slots, pager **pager, vl2_error *error);
void pager_close(pager *pager); /* the loader must be closed before */

/* Changes the number of slots, and gives memory back. Waits for the layer that is at work. */
void pager_set_slots(pager *pager, size_t slots);
size_t pager_slots(const pager *pager);

/* What a pass through a layer needs. */
typedef struct pager_pass {
    const uint32_t *records;     /* [count] of experts of one layer, each once */
    const size_t *rows;          /* [count] tokens that use it */
    size_t count, tokens;        /* tokens of the pass */
    const atomic_int *cancelled; /* may be NULL */
} pager_pass;

/* Begins a pass: reading begins for what is missing. Other passes wait, of whatever session, until
 * pager_end. */
void pager_begin(pager *pager, const pager_pass *pass);

/* Experts of the pass that are ready and have not been taken, as indices into `records`: writes at
 * least one into taken [count]; *taken_count 0 says that all have been taken. With `wait` false
 * it may also be 0 because none is ready. Valid until pager_done or pager_end.
 * VL2_ERROR_MODEL names layer, expert and offset of what cannot be read or is damaged, after two
 * tries; VL2_ERROR_CANCELLED; VL2_ERROR_MEMORY. The pass has to be ended then, too. */
vl2_status pager_take(pager *pager, bool wait, size_t *taken, size_t *taken_count,
                      vl2_error *error);
/* What has been taken is not needed any more. */
void pager_done(pager *pager);
void pager_end(pager *pager);

/* During a pass: experts that are likely to be wanted soon, the likeliest first. They are read
 * while nothing else is. Replaces what was said before. */
void pager_expect(pager *pager, const uint32_t *records, size_t count);
/* False while expecting has been wrong too often to be worth it. */
bool pager_expects(const pager *pager);

pager_stats pager_get_stats(pager *pager);

#endif
