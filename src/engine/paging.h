/* What a request cost: paging, and the time of each token. */
#ifndef ENGINE_PAGING_H
#define ENGINE_PAGING_H

#include "engine/model.h"

/* All zero unless the model is paged. Numbers since it was opened, of all sessions. */
vl2_paging paging_now(const vl2_model *model);
/* What came since `before`. */
vl2_paging paging_since(const vl2_model *model, const vl2_paging *before);

/* Seconds of the tokens so far. All zero is empty. */
typedef struct token_times {
    double *seconds; /* [count] */
    size_t count, capacity;
} token_times;

void token_times_add(token_times *times, double seconds); /* without memory it is left out */
/* The time that `percent` % of the tokens do not exceed, 1 to 100; 0 without tokens. */
double token_times_at(token_times *times, size_t percent);
void token_times_free(token_times *times);

#endif
