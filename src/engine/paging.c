#include "engine/paging.h"

#include "base/alloc.h"
#include "engine/numbers.h"
#include "weights/pager.h"

#include <string.h>

vl2_paging paging_now(const vl2_model *model)
{
    pager *pager = weight_store_pager(model->store);
    if (pager == NULL) {
        return (vl2_paging){0};
    }
    pager_stats stats = pager_get_stats(pager);
    loader *loader = weight_store_loader(model->store);
    return (vl2_paging){.slots = pager_slots(pager),
                        .uses = stats.uses,
                        .hits = stats.hits,
                        .reads = stats.reads,
                        .bytes = stats.bytes,
                        .early = stats.early,
                        .early_used = stats.early_used,
                        .stalled = stats.stalled,
                        .bandwidth = loader_bandwidth(loader),
                        .depth = loader_depth(loader),
                        .direct = loader_is_direct(loader),
                        .uring = loader_uses_ring(loader)};
}

vl2_paging paging_since(const vl2_model *model, const vl2_paging *before)
{
    vl2_paging now = paging_now(model);
    now.uses -= before->uses;
    now.hits -= before->hits;
    now.reads -= before->reads;
    now.bytes -= before->bytes;
    now.early -= before->early;
    now.early_used -= before->early_used;
    now.stalled -= before->stalled;
    return now;
}

void token_times_add(token_times *times, double seconds)
{
    if (times->count == times->capacity) {
        size_t capacity = times->capacity > 0 ? 2 * times->capacity : 64;
        double *larger = base_realloc(times->seconds, capacity, sizeof(*larger));
        if (larger == NULL) {
            return;
        }
        times->seconds = larger;
        times->capacity = capacity;
    }
    times->seconds[times->count++] = seconds;
}

double token_times_at(token_times *times, size_t percent)
{
    if (times->count == 0) {
        return 0;
    }
    numbers_sort(times->seconds, times->count);
    return numbers_percentile(times->seconds, times->count, percent);
}

void token_times_free(token_times *times)
{
    base_free(times->seconds);
    memset(times, 0, sizeof(*times));
}
