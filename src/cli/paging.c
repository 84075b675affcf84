#include "cli/paging.h"
#include "cli/format.h"
#include "cli/streams.h"

#include <stdio.h>

void paging_print(const vl2_answer *answer)
{
    const vl2_paging *paging = &answer->paging;
    char bytes[FORMAT_SIZE];
    if (paging->uses == 0) {
        return;
    }
    fprintf(stderr, "[experts: %.1f %% were in memory, %s read, %.2f s waited for",
            100 * (double)paging->hits / (double)paging->uses, format_bytes(paging->bytes, bytes),
            paging->stalled);
    if (paging->early > 0) {
        fprintf(stderr, ", %.0f %% of %llu read ahead were used",
                100 * (double)paging->early_used / (double)paging->early,
                (unsigned long long)paging->early);
    }
    fprintf(stderr, "; token %.0f ms, 99 %% below %.0f ms]\n", 1000 * answer->token_median,
            1000 * answer->token_p99);
}

json_t *paging_json(const vl2_paging *paging)
{
    if (paging->slots == 0) {
        return json_null();
    }
    double hits = paging->uses > 0 ? (double)paging->hits / (double)paging->uses : 1;
    double used = paging->early > 0 ? (double)paging->early_used / (double)paging->early : 0;
    return json_pack("{s:I, s:I, s:o, s:I, s:I, s:o, s:I, s:o, s:o, s:i, s:b, s:b}", "slots",
                     (json_int_t)paging->slots, "uses", (json_int_t)paging->uses, "hit_rate",
                     json_number(hits), "reads", (json_int_t)paging->reads, "bytes",
                     (json_int_t)paging->bytes, "stalled", json_number(paging->stalled),
                     "read_ahead", (json_int_t)paging->early, "read_ahead_used", json_number(used),
                     "bandwidth", json_number(paging->bandwidth), "depth", paging->depth, "direct",
                     paging->direct, "io_uring", paging->uring);
}
