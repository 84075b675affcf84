/* Filling the slots of a pager: who gets one, reading, and making what was read ready. */
#include "weights/pager_internal.h"

#include "base/alloc.h"
#include "weights/direct.h"
#include "weights/record.h"


/* Pages that are read at the same time: enough to keep the storage busy, and no more slots taken
 * from others than that. */
#define MOST_LOADING 8
#define MOST_EARLY   2

static const pack_record *record_of(const page *page)
{
    return pack_record_get(page->pager->pack, page->record);
}

static weight_view *views_of(const page *page)
{
    return record_views(page->pager->pack, record_of(page), page->pager->views);
}

/* ------------------------------------------------------------------------------- emptying */

static void leave_slot(page *page)
{
    page->pager->owners[page->slot] = NO_PAGE;
    page->slot = NO_SLOT;
    page->state = PAGE_ABSENT;
    page->early = false;
    base_free(page->staging);
    page->staging = NULL;
}

static void evict(page *page)
{
    record_forget(record_of(page), views_of(page));
    leave_slot(page);
}

/* Takes a page back whose read has not begun. */
static bool withdraw(page *page)
{
    if (!loader_withdraw(page->pager->loader, &page->load)) {
        return false;
    }
    page->pager->loading--;
    leave_slot(page);
    return true;
}

void pager_drop_early(pager *pager)
{
    for (size_t i = 0; i < pager->slots && pager->loading > 0; i++) {
        page *page = pager->owners[i] != NO_PAGE ? &pager->pages[pager->owners[i]] : NULL;
        if (page != NULL && page->state == PAGE_LOADING && page->want == NO_WANT) {
            withdraw(page);
        }
    }
}

bool pager_empty_slot(pager *pager, size_t slot)
{
    if (pager->owners[slot] == NO_PAGE) {
        return true;
    }
    page *page = &pager->pages[pager->owners[slot]];
    if (page->state == PAGE_LOADING) {
        return withdraw(page);
    }
    evict(page);
    return true;
}

/* ------------------------------------------------------------------------------- choosing */

/* True if a page may be given up: for one that is wanted, or only for one that is expected. While a
 * prompt is read, expected pages take only what is spare: the order of layers is known, and each
 * keeps its share. */
static bool may_go(const pager *pager, uint32_t number, bool wanted)
{
    const page *page = &pager->pages[number];
    if (page->state != PAGE_READY || page->want != NO_WANT) {
        return false;
    }
    if (wanted) {
        return true;
    }
    if (pager->reads_prompt) {
        return pager->residency.spare[number];
    }
    for (size_t i = 0; i < pager->expected_count; i++) {
        if (pager->expected[i] == number) {
            return false;
        }
    }
    return true;
}

/* The layer at work may need its experts for the next tokens of the prompt. */
static bool is_at_work(const pager *pager, uint32_t number)
{
    return pager->reads_prompt && number / pager->residency.experts == pager->layer;
}

static bool gives_way(const pager *pager, uint32_t a, uint32_t b)
{
    bool a_works = is_at_work(pager, a), b_works = is_at_work(pager, b);
    if (a_works != b_works) {
        return b_works;
    }
    return residency_gives_way(&pager->residency, a, b, pager->layer);
}

/* An empty slot, one made empty, or NO_SLOT. */
static size_t find_slot(pager *pager, bool wanted)
{
    size_t best = NO_SLOT;
    for (size_t i = 0; i < pager->slots; i++) {
        uint32_t owner = pager->owners[i];
        if (owner == NO_PAGE) {
            return i;
        }
        if (may_go(pager, owner, wanted) &&
            (best == NO_SLOT || gives_way(pager, owner, pager->owners[best]))) {
            best = i;
        }
    }
    if (best != NO_SLOT) {
        evict(&pager->pages[pager->owners[best]]);
    }
    return best;
}

/* ------------------------------------------------------------------------------- reading */

static void note_failure(page *page, const vl2_error *error)
{
    pager *pager = page->pager;
    if (page->want != NO_WANT && pager->failure.status == VL2_OK) {
        pager->failure = *error;
    }
}

/* A page has been read; on a thread of the loader. */
static void loaded(load *load, int reason)
{
    page *page = (struct page *)load;
    pager *pager = page->pager;
    vl2_error error = {.status = VL2_OK};
    uint8_t *slot = pager->region + page->slot * pager->slot_size;
    vl2_status status =
        record_receive(pager->pack, record_of(page), reason, pager->check && !page->checked,
                       load->to, slot, views_of(page), &error);
    pthread_mutex_lock(&pager->mutex);
    pager->stats.reads++;
    pager->stats.bytes += load->size;
    if (status == VL2_ERROR_MODEL && !page->retried) {
        page->retried = true;
        loader_submit(pager->loader, load, load->urgent);
        pthread_mutex_unlock(&pager->mutex);
        return;
    }
    pager->loading--;
    if (status == VL2_OK) {
        page->checked = true;
        page->state = PAGE_READY;
        base_free(page->staging);
        page->staging = NULL;
        if (page->want != NO_WANT) {
            pager->wants[page->want].state = WANT_READY;
        }
    } else {
        note_failure(page, &error);
        evict(page);
    }
    pager_serve(pager);
    pthread_cond_broadcast(&pager->changed);
    pthread_mutex_unlock(&pager->mutex);
}

/* Begins to read a page into an empty slot. */
static void start(pager *pager, uint32_t number, size_t slot, bool wanted)
{
    page *page = &pager->pages[number];
    const pack_record *record = record_of(page);
    page->load = (load){.offset = record->offset,
                        .size = (size_t)record->size,
                        .to = pager->region + slot * pager->slot_size,
                        .done = loaded};
    if (record_is_compressed(record)) {
        page->staging = base_alloc_pages(direct_round_up(page->load.size));
        if (page->staging == NULL) {
            vl2_error error;
            vl2_fail_memory(&error, "reading an expert", page->load.size);
            note_failure(page, &error);
            return;
        }
        page->load.to = page->staging;
    }
    pager->owners[slot] = number;
    page->slot = slot;
    page->state = PAGE_LOADING;
    page->retried = false;
    page->early = !wanted;
    pager->loading++;
    if (wanted) {
        pager->wants[page->want].state = WANT_LOADING;
    } else {
        pager->stats.early++;
        pager->recent_early++;
    }
    loader_submit(pager->loader, &page->load, wanted);
}

static void serve_expected(pager *pager)
{
    for (size_t i = 0; i < pager->expected_count && pager->loading < MOST_EARLY; i++) {
        uint32_t number = pager->expected[i];
        if (pager->pages[number].state != PAGE_ABSENT) {
            continue;
        }
        size_t slot = find_slot(pager, false);
        if (slot == NO_SLOT) {
            return;
        }
        start(pager, number, slot, false);
    }
}

void pager_serve(pager *pager)
{
    if (pager->failure.status != VL2_OK) {
        return; /* the pass is about to end */
    }
    for (size_t i = 0; i < pager->want_count; i++) {
        if (pager->wants[i].state != WANT_MISSING) {
            continue;
        }
        size_t slot = pager->loading < MOST_LOADING ? find_slot(pager, true) : NO_SLOT;
        if (slot == NO_SLOT) {
            return;
        }
        start(pager, pager->wants[i].number, slot, true);
    }
    serve_expected(pager);
}
