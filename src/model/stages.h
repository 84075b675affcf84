/* Where the time goes while a model runs: the thread that walks through the stages says at the end
 * of each which one it was. Off (compute.stages NULL) a mark costs one comparison; on, one look at
 * the clock. */
#ifndef MODEL_STAGES_H
#define MODEL_STAGES_H

#include <stddef.h>

/* X(constant, name) */
#define STAGES(X)                                                                                  \
    X(STAGE_PATCHES, "patches")       /* gathering, the patch convolution, positions */            \
    X(STAGE_TOWER_NORMS, "norms of the tower")                                                     \
    X(STAGE_TOWER_QKV, "qkv")                                                                      \
    X(STAGE_TOWER_ATTENTION, "attention of the tower")                                             \
    X(STAGE_TOWER_OUTPUT, "output of attention of the tower")                                      \
    X(STAGE_TOWER_MLP, "mlp")                                                                      \
    X(STAGE_PROJECTOR, "projector")                                                                \
    X(STAGE_TILES, "tiles")           /* cutting, normalizing and copying */                       \
    X(STAGE_EMBEDDING, "embedding")                                                                \
    X(STAGE_NORMS, "norms")                                                                        \
    X(STAGE_PROJECTIONS, "attention projections") /* query, key and value, latents included */     \
    X(STAGE_ATTENTION, "attention")                                                                \
    X(STAGE_OUTPUT, "attention output")                                                            \
    X(STAGE_ROUTER, "router")                                                                      \
    X(STAGE_EXPERTS, "experts")     /* routed and shared */                                        \
    X(STAGE_DENSE, "dense")                                                                        \
    X(STAGE_HEAD, "head")                                                                          \
    X(STAGE_OTHER, "other")

typedef enum stage {
#define STAGE_CONSTANT(constant, name) constant,
    STAGES(STAGE_CONSTANT)
#undef STAGE_CONSTANT
        STAGE_COUNT
} stage;

typedef struct stage_clock {
    double seconds[STAGE_COUNT]; /* so far */
    double last;                 /* when the last mark was */
    void (*marked)(void *user);  /* may be NULL: called at every mark */
    void *user;
} stage_clock;

/* Begins to count: what came before the call belongs to no stage. */
void stage_clock_start(stage_clock *clock);
/* What has passed since the last mark, or the start, was this stage. */
void stage_clock_mark(stage_clock *clock, stage stage);

const char *stage_name(int stage);

static inline void stage_mark(stage_clock *clock, stage stage)
{
    if (clock != NULL) {
        stage_clock_mark(clock, stage);
    }
}

#endif
