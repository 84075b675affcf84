/* Where a tensor belongs, by its name in the published checkpoints. */
#ifndef WEIGHTS_PLACE_H
#define WEIGHTS_PLACE_H

#include <stdint.h>

/* The numbers stand in packed files. X(constant, number, name) */
#define WEIGHT_GROUPS(X)                                                                           \
    X(WEIGHT_VISION, 1, "vision")         /* vision.*, but for vision.attn_pool.* */               \
    X(WEIGHT_PROJECTOR, 2, "projector")   /* projector.*, image_newline, view_seperator */         \
    X(WEIGHT_EMBEDDING, 3, "embedding")   /* model.embed_tokens */                                 \
    X(WEIGHT_HEAD, 4, "head")             /* lm_head */                                            \
    X(WEIGHT_ATTENTION, 5, "attention")   /* self_attn: q, k, v, o projections and their biases */ \
    X(WEIGHT_LATENT, 6, "latent")         /* self_attn: q_a, q_b, kv_a, kv_b projections */        \
    X(WEIGHT_DENSE, 7, "dense")           /* mlp of a layer without experts */                     \
    X(WEIGHT_SHARED, 8, "shared")         /* mlp.shared_experts */                                 \
    X(WEIGHT_EXPERTS, 9, "experts")       /* mlp.experts.N */                                      \
    X(WEIGHT_ROUTER, 10, "router")        /* mlp.gate */                                           \
    X(WEIGHT_NORMS, 11, "norms")          /* every *norm* of the decoder */                        \
    X(WEIGHT_UNUSED, 12, "unused")        /* vision.attn_pool.* and names that are not known */

typedef enum weight_group {
#define WEIGHT_CONSTANT(constant, number, name) constant = number,
    WEIGHT_GROUPS(WEIGHT_CONSTANT)
#undef WEIGHT_CONSTANT
        WEIGHT_GROUP_END /* one more than the last */
} weight_group;

typedef enum weight_part { /* of a gated network */
    WEIGHT_GATE,
    WEIGHT_UP,
    WEIGHT_DOWN,
    WEIGHT_OTHER
} weight_part;

typedef struct weight_place {
    weight_group group;
    int layer;  /* of the decoder, or the block of the vision tower; -1: neither */
    int expert; /* routed expert; -1 */
    weight_part part;
} weight_place;

/* Any text is allowed. */
weight_place weight_place_of(const char *name);

/* "experts"; NULL for an unknown number. */
const char *weight_group_name(uint32_t group);
/* The group of that name, 0 if there is none. */
uint32_t weight_group_find(const char *name);

#endif
