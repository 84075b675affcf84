#include "weights/pager_internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "weights/direct.h"
#include "weights/record.h"

#include <sys/mman.h>
#include <time.h>

#define HUGE_PAGE ((size_t)2 << 20)

/* ------------------------------------------------------------------------------- measuring */

bool pager_takes(const pack_file *pack)
{
    size_t experts = 0;
    for (size_t i = 0; i < pack_tensor_count(pack); i++) {
        const pack_tensor *tensor = pack_tensor_get(pack, i);
        if (tensor->group != WEIGHT_EXPERTS) {
            continue;
        }
        const pack_record *record = pack_record_get(pack, tensor->record);
        experts++;
        if (record->layer < 0 || record->expert < 0 || record->tensor_count != 3) {
            return false;
        }
    }
    return experts > 0;
}

size_t pager_slot_size(const pack_file *pack)
{
    size_t most = 0;
    for (size_t i = 0; i < pack_record_count(pack); i++) {
        const pack_record *record = pack_record_get(pack, i);
        if (record->expert >= 0) {
            size_t size = record_memory(record);
            most = size > most ? size : most;
        }
    }
    return direct_round_up(most);
}

size_t pager_expert_count(const pack_file *pack)
{
    size_t count = 0;
    for (size_t i = 0; i < pack_record_count(pack); i++) {
        count += pack_record_get(pack, i)->expert >= 0;
    }
    return count;
}

/* ------------------------------------------------------------------------------- opening */

static bool open_tables(pager *pager)
{
    size_t layers = 0, experts = 0, records = pack_record_count(pager->pack);
    for (size_t i = 0; i < records; i++) {
        const pack_record *record = pack_record_get(pager->pack, i);
        if (record->expert >= 0) {
            layers = (size_t)record->layer >= layers ? (size_t)record->layer + 1 : layers;
            experts = (size_t)record->expert >= experts ? (size_t)record->expert + 1 : experts;
        }
    }
    pager->expert_layers = experts > 0 ? pager_expert_count(pager->pack) / experts : 1;
    pager->number_of = base_malloc(records, sizeof(*pager->number_of));
    pager->pages = base_calloc(layers * experts, sizeof(*pager->pages));
    pager->owners = base_malloc(pager->slots_most, sizeof(*pager->owners));
    pager->wants = base_calloc(experts, sizeof(*pager->wants));
    pager->expected = base_malloc(experts, sizeof(*pager->expected));
    pager->order = base_malloc(experts, sizeof(*pager->order));
    pager->in_memory = base_calloc(experts, sizeof(*pager->in_memory));
    if (!residency_open(layers, experts, &pager->residency) || pager->number_of == NULL ||
        pager->pages == NULL || pager->owners == NULL || pager->wants == NULL ||
        pager->expected == NULL || pager->order == NULL || pager->in_memory == NULL) {
        return false;
    }
    for (size_t i = 0; i < records; i++) {
        const pack_record *record = pack_record_get(pager->pack, i);
        if (record->expert >= 0) {
            size_t number = (size_t)record->layer * experts + (size_t)record->expert;
            pager->number_of[i] = (uint32_t)number;
            pager->pages[number] =
                (page){.pager = pager, .record = (uint32_t)i, .slot = NO_SLOT, .want = NO_WANT};
        }
    }
    for (size_t i = 0; i < pager->slots_most; i++) {
        pager->owners[i] = NO_PAGE;
    }
    return true;
}

/* Begins with how often each expert was used when the model was calibrated, if the file says so. */
static void know_uses(pager *pager)
{
    size_t experts = pager->residency.experts;
    for (size_t first = 0; first < pager->residency.layers * experts; first += experts) {
        double all = 0;
        for (size_t e = 0; e < experts; e++) {
            all += (double)pack_record_get(pager->pack, pager->pages[first + e].record)->uses;
        }
        for (size_t e = 0; e < experts && all > 0; e++) {
            const pack_record *record =
                pack_record_get(pager->pack, pager->pages[first + e].record);
            residency_know(&pager->residency, first + e, (double)record->uses / all);
        }
    }
}

vl2_status pager_open(const pack_file *pack, loader *loader, weight_view *views, bool check,
                      size_t slots, pager **opened, vl2_error *error)
{
    pager *pager = base_calloc(1, sizeof(*pager));
    if (pager == NULL) {
        return vl2_fail_memory(error, pack_name(pack), sizeof(*pager));
    }
    *pager = (struct pager){.pack = pack,
                            .loader = loader,
                            .views = views,
                            .check = check,
                            .slots_most = pager_expert_count(pack),
                            .slot_size = pager_slot_size(pack)};
    pager->slots = slots < pager->slots_most ? slots : pager->slots_most;
    pthread_mutex_init(&pager->turn, NULL);
    pthread_mutex_init(&pager->mutex, NULL);
    pthread_cond_init(&pager->changed, NULL);
    pager->reserved = pager->slots_most * pager->slot_size + HUGE_PAGE;
    pager->space = mmap(NULL, pager->reserved, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pager->space == MAP_FAILED || !open_tables(pager)) {
        size_t bytes = pager->reserved;
        pager_close(pager);
        return vl2_fail_memory(error, "the experts' slots", bytes);
    }
    know_uses(pager);
    uintptr_t begin = ((uintptr_t)pager->space + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
    pager->region = (uint8_t *)begin;
    madvise(pager->region, pager->slots_most * pager->slot_size, MADV_HUGEPAGE);
    *opened = pager;
    return VL2_OK;
}

void pager_close(pager *pager)
{
    if (pager == NULL) {
        return;
    }
    size_t count = pager->residency.layers * pager->residency.experts;
    for (size_t i = 0; pager->pages != NULL && i < count; i++) {
        base_free(pager->pages[i].staging);
    }
    if (pager->space != MAP_FAILED && pager->space != NULL) {
        munmap(pager->space, pager->reserved);
    }
    residency_close(&pager->residency);
    base_free(pager->number_of);
    base_free(pager->pages);
    base_free(pager->owners);
    base_free(pager->wants);
    base_free(pager->expected);
    base_free(pager->order);
    base_free(pager->in_memory);
    pthread_cond_destroy(&pager->changed);
    pthread_mutex_destroy(&pager->mutex);
    pthread_mutex_destroy(&pager->turn);
    base_free(pager);
}

/* ------------------------------------------------------------------------------- passes */

/* How many experts of a layer stay when a prompt has gone through it: those of one layer are left
 * for reading ahead. */
static size_t fair_share(const pager *pager)
{
    size_t experts = pager->residency.experts;
    return pager->slots > experts ? (pager->slots - experts) / pager->expert_layers : 0;
}

/* The last pass was the last one through its layer, if another layer comes now. */
static void note_passed(pager *pager, size_t layer)
{
    if (layer == pager->layer || !pager->reads_prompt) {
        return;
    }
    size_t experts = pager->residency.experts;
    for (size_t e = 0; e < experts; e++) {
        pager->in_memory[e] = pager->pages[pager->layer * experts + e].state == PAGE_READY;
    }
    residency_passed(&pager->residency, pager->layer, pager->in_memory, fair_share(pager),
                     pager->order);
}

static void note_early(pager *pager, page *page)
{
    if (page->early) {
        page->early = false;
        pager->stats.early_used++;
        pager->recent_used++;
    }
}

#define RECENT_EARLY 64   /* early reads that are judged together */
#define LEAST_USED   0.3  /* of them must have been of use */
#define PAUSE_PASSES 2000 /* without, before it is tried again */

static void judge_early(pager *pager)
{
    if (pager->pause > 0) {
        pager->pause--;
    } else if (pager->recent_early >= RECENT_EARLY) {
        bool poor = (double)pager->recent_used < LEAST_USED * (double)pager->recent_early;
        pager->pause = poor ? PAUSE_PASSES : 0;
        pager->recent_early = pager->recent_used = 0;
    }
}

void pager_begin(pager *pager, const pager_pass *pass)
{
    pthread_mutex_lock(&pager->turn);
    pthread_mutex_lock(&pager->mutex);
    size_t layer = pager->number_of[pass->records[0]] / pager->residency.experts;
    note_passed(pager, layer);
    judge_early(pager);
    pager->layer = layer;
    pager->reads_prompt = pass->tokens > 1;
    pager->cancelled = pass->cancelled;
    pager->expected_count = 0;
    pager->want_count = pass->count;
    pager->failure.status = VL2_OK;
    residency_begin(&pager->residency, pass->tokens);
    for (size_t i = 0; i < pass->count; i++) {
        uint32_t number = pager->number_of[pass->records[i]];
        page *page = &pager->pages[number];
        page->want = (int32_t)i;
        pager->wants[i] = (want){.number = number, .state = WANT_MISSING};
        residency_use(&pager->residency, number, pass->rows[i], pass->tokens);
        note_early(pager, page);
        pager->stats.uses++;
        if (page->state == PAGE_READY) {
            pager->wants[i].state = WANT_READY;
            pager->stats.hits++;
        } else if (page->state == PAGE_LOADING) {
            pager->wants[i].state = WANT_LOADING;
            page->retried = false; /* what failed for an earlier pass is not this one's failure */
            loader_hurry(pager->loader, &page->load);
        }
    }
    pager_drop_early(pager);
    pager_serve(pager);
    pthread_mutex_unlock(&pager->mutex);
}

static size_t take_ready(pager *pager, size_t *taken)
{
    size_t count = 0;
    for (size_t i = 0; i < pager->want_count; i++) {
        if (pager->wants[i].state == WANT_READY) {
            pager->wants[i].state = WANT_TAKEN;
            taken[count++] = i;
        }
    }
    return count;
}

static bool awaits(const pager *pager)
{
    for (size_t i = 0; i < pager->want_count; i++) {
        if (pager->wants[i].state < WANT_READY) {
            return true;
        }
    }
    return false;
}

#define LOOK_NANOSECONDS 20000000 /* between looks at `cancelled` */

static void wait_change(pager *pager)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_NANOSECONDS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&pager->changed, &pager->mutex, &until);
}

vl2_status pager_take(pager *pager, bool wait, size_t *taken, size_t *taken_count, vl2_error *error)
{
    vl2_status status = VL2_OK;
    size_t count;
    pthread_mutex_lock(&pager->mutex);
    double began = clock_seconds();
    for (;;) {
        count = take_ready(pager, taken);
        if (count > 0 || !wait || !awaits(pager)) {
            break;
        }
        if (pager->failure.status != VL2_OK) {
            status = vl2_fail(error, pager->failure.status, "%s", pager->failure.message);
            break;
        }
        if (pager->cancelled != NULL &&
            atomic_load_explicit(pager->cancelled, memory_order_relaxed)) {
            status = vl2_fail(error, VL2_ERROR_CANCELLED, "cancelled while reading experts");
            break;
        }
        wait_change(pager);
    }
    pager->stats.stalled += clock_seconds() - began;
    pthread_mutex_unlock(&pager->mutex);
    *taken_count = count;
    return status;
}

void pager_done(pager *pager)
{
    pthread_mutex_lock(&pager->mutex);
    for (size_t i = 0; i < pager->want_count; i++) {
        if (pager->wants[i].state == WANT_TAKEN) {
            pager->wants[i].state = WANT_DONE;
            pager->pages[pager->wants[i].number].want = NO_WANT;
        }
    }
    pager_serve(pager);
    pthread_mutex_unlock(&pager->mutex);
}

void pager_end(pager *pager)
{
    pthread_mutex_lock(&pager->mutex);
    for (size_t i = 0; i < pager->want_count; i++) {
        pager->pages[pager->wants[i].number].want = NO_WANT;
    }
    pager->want_count = 0;
    pager->cancelled = NULL;
    pager->failure.status = VL2_OK;
    pager_serve(pager);
    pthread_mutex_unlock(&pager->mutex);
    pthread_mutex_unlock(&pager->turn);
}

void pager_expect(pager *pager, const uint32_t *records, size_t count)
{
    pthread_mutex_lock(&pager->mutex);
    pager->expected_count = 0;
    for (size_t i = 0; i < count && i < pager->residency.experts; i++) {
        pager->expected[pager->expected_count++] = pager->number_of[records[i]];
    }
    pager_serve(pager);
    pthread_mutex_unlock(&pager->mutex);
}

bool pager_expects(const pager *pager)
{
    return pager->pause == 0;
}

/* ------------------------------------------------------------------------------- slots */

void pager_set_slots(pager *pager, size_t slots)
{
    slots = slots < pager->slots_most ? slots : pager->slots_most;
    pthread_mutex_lock(&pager->turn);
    pthread_mutex_lock(&pager->mutex);
    size_t before = pager->slots;
    pager->slots = slots;
    pager->expected_count = 0;
    for (size_t i = slots; i < before; i++) {
        while (!pager_empty_slot(pager, i)) {
            wait_change(pager);
        }
    }
    if (slots < before) {
        madvise(pager->region + slots * pager->slot_size, (before - slots) * pager->slot_size,
                MADV_DONTNEED);
    }
    pthread_mutex_unlock(&pager->mutex);
    pthread_mutex_unlock(&pager->turn);
}

size_t pager_slots(const pager *pager)
{
    return pager->slots;
}

pager_stats pager_get_stats(pager *pager)
{
    pthread_mutex_lock(&pager->mutex);
    pager_stats stats = pager->stats;
    pthread_mutex_unlock(&pager->mutex);
    return stats;
}
