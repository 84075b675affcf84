/* The inside of a pager: pager.c runs the passes, pager_slots.c fills the slots. */
#ifndef WEIGHTS_PAGER_INTERNAL_H
#define WEIGHTS_PAGER_INTERNAL_H

#include "weights/pager.h"
#include "weights/residency.h"

#include <pthread.h>

#define NO_SLOT SIZE_MAX
#define NO_PAGE UINT32_MAX
#define NO_WANT -1

typedef enum page_state {
    PAGE_ABSENT,
    PAGE_LOADING, /* has a slot; its record is being read */
    PAGE_READY    /* has a slot; the views point there */
} page_state;

/* One expert; its number is that of residency.h. */
typedef struct page {
    load load; /* first: the loader gives it back */
    pager *pager;
    uint32_t record;
    size_t slot;
    page_state state;
    int32_t want;     /* index in wants of a pass that still needs it; or NO_WANT */
    bool checked;     /* its checksums have been compared */
    bool retried;     /* for this pass it is read once more */
    bool early;       /* read before it was wanted, and not wanted yet */
    uint8_t *staging; /* what is read if it is compressed */
} page;

typedef enum want_state {
    WANT_MISSING, /* waits for a slot */
    WANT_LOADING,
    WANT_READY, /* to be taken; from here on nothing is waited for */
    WANT_TAKEN,
    WANT_DONE
} want_state;

typedef struct want {
    uint32_t number; /* of the page */
    want_state state;
} want;

struct pager {
    const pack_file *pack;
    loader *loader;
    weight_view *views;
    bool check;
    size_t slots_most, slot_size, expert_layers;
    void *space; /* as it was reserved; `region` begins at a huge page in it */
    size_t reserved;
    uint8_t *region;
    uint32_t *number_of; /* [records]: the page of an expert's record */

    pthread_mutex_t turn; /* held during a pass */

    pthread_mutex_t mutex;  /* over all below; taken before the loader's */
    pthread_cond_t changed; /* a page has been read */
    size_t slots;           /* that may be used: the first ones */
    uint32_t *owners;       /* [slots_most]: the page in a slot, or NO_PAGE */
    page *pages;            /* [layers * experts] */
    residency residency;
    size_t loading; /* pages */
    /* the pass */
    size_t layer;
    bool reads_prompt; /* it has more than one token */
    const atomic_int *cancelled;
    want *wants; /* [experts] */
    size_t want_count;
    vl2_error failure;  /* of a wanted page; status VL2_OK: none */
    uint32_t *expected; /* [experts] pages that may be wanted next */
    size_t expected_count;
    /* how expecting goes */
    size_t recent_early, recent_used, pause;
    pager_stats stats;
    /* scratch of note_passed */
    size_t *order;
    bool *in_memory;
};

/* All with the mutex held. */
void pager_serve(pager *pager);      /* gives slots to what waits for one, and begins to read */
void pager_drop_early(pager *pager); /* reads that have not begun and that nobody wants */
/* True once the slot has no owner; false while its page is being read or is wanted. */
bool pager_empty_slot(pager *pager, size_t slot);

#endif
