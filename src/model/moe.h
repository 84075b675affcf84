/* The feed-forward part of a decoder layer: a dense gated network, or routed and shared experts
 * (DeepSeekMoE, arXiv 2401.06066; modeling_deepseek.py, DeepseekV2MLP and DeepseekV2MoE). */
#ifndef MODEL_MOE_H
#define MODEL_MOE_H

#include "model/compute.h"
#include "model/weights.h"

#include <stdatomic.h>

/* Rows of a prompt by which the next layer's experts are foreseen. */
#define MOE_AHEAD_ROWS ((size_t)64)

/* One gated network at work on some rows: a routed expert on the tokens that chose it, or the dense
 * network or the shared experts on all tokens. out = down(silu(gate(x)) * up(x)) */
typedef struct moe_network {
    const mlp_weights *weights;
    size_t width, rows;
    const float *inputs;         /* [rows, hidden]; NULL unless gate or up is plain */
    const uint8_t *input_codes;  /* [rows] of activation_size(hidden); for packed gate or up */
    float *inner;                /* [rows, width], written if down is plain or somebody observes */
    uint8_t *inner_codes;        /* [rows] of activation_size(width), for packed down */
    float *out;                  /* [rows, hidden] */
    bool add;                    /* out += instead of = */
    size_t blocks;               /* of rows, a task each */
    size_t first_inner, first_out; /* the first task of each phase */
} moe_network;

/* Work space for chunks of up to `chunk` tokens; k = experts_per_token. */
typedef struct moe_workspace {
    const language_config *config;
    weight_store *store;
    size_t chunk, threads;
    const atomic_int *cancelled; /* looked at while experts are being read; may be NULL */
    /* routing of the last layer that ran, kept for tracing */
    float *scores;          /* [chunk, experts]: softmax or sigmoid, without the bias */
    int32_t *ids;           /* [chunk, k] by falling weight */
    float *weights;         /* [chunk, k] */
    float *bias;            /* [experts] */
    float *space;           /* [threads, 2 * experts] */
    /* (token, expert) pairs in the order of the experts */
    size_t *first;          /* [experts + 1]: pairs first[e] .. first[e + 1] - 1 are expert e's */
    size_t *active;         /* [experts]: the experts that have pairs, in order */
    size_t active_count;
    size_t *pair_token;     /* [chunk * k]: the token of a pair */
    size_t *token_pair;     /* [chunk, k]: the pair of a token's choice */
    float *inputs;          /* [chunk * k, hidden] gathered, for plain experts; NULL until there
                             * are any */
    /* for packed networks, as quantize_activations makes them; rows of activation_size bytes */
    uint8_t *token_codes;   /* [chunk] of hidden inputs */
    uint8_t *input_codes;   /* [chunk * k] gathered */
    uint8_t *inner_codes;   /* [chunk * k] of expert_width inputs */
    uint8_t *common_codes;  /* [chunk] of dense or shared width */
    float *inner;           /* [chunk * k, expert_width], the same */
    float *common_inner;    /* [chunk, dense or shared width], the same */
    float *outputs; /* [chunk * k + chunk, hidden]: of the pairs, then of the shared experts */
    float *panels;  /* [threads, 2, LINEAR_ROW_BLOCK, LINEAR_PANEL]: gate and up of a task */
    uint32_t *records;      /* [3 * experts]: of the active experts */
    moe_network *networks;  /* [experts + 1]: those at work */
    size_t network_count;
    /* of a paged store */
    size_t *rows;           /* [experts]: tokens of the active experts */
    size_t *taken;          /* [experts]: those that are ready, indices into active */
    float *ahead_rows;      /* [MOE_AHEAD_ROWS, hidden]: what the next layer's router sees; its norm
                             * [hidden] */
    float *ahead_scores;    /* [MOE_AHEAD_ROWS, experts] */
    uint32_t *ahead_uses;   /* [experts]: rows that chose them */
    uint32_t *ahead_order;  /* [experts] */
    int32_t *ahead_ids;     /* [k] */
    float *ahead_weights;   /* [k] */
} moe_workspace;

/* What is known of the next layer while one runs. */
typedef struct moe_ahead {
    const layer_weights *next; /* a layer with experts */
    const float *rows; /* [count, hidden]: the hidden state that this layer's output is added to */
} moe_ahead;

/* `store` has the experts' records and is borrowed. */
vl2_status moe_workspace_open(const language_config *config, weight_store *store, size_t chunk,
                              compute *compute, moe_workspace *workspace, vl2_error *error);
void moe_workspace_close(moe_workspace *workspace);
size_t moe_workspace_memory(const moe_workspace *workspace);
/* Takes the memory for networks with plain weights: their inputs, or what goes into down.
 * VL2_ERROR_MEMORY. */
vl2_status moe_workspace_add_plain(moe_workspace *workspace, bool inputs, bool inner,
                                   vl2_error *error);

/* y [count, hidden] += feed-forward(x [count, hidden]). Routed and shared experts run as one list
 * of tasks, each read once per call; a token's expert outputs are summed in the order of its
 * choices, whatever the number of threads. The chosen experts' records are acquired; the layer's
 * others must have been. From a paged store, experts are run as they are read, with the same
 * results, and those that `ahead` (may be NULL) lets expect are read while there is time. Errors of
 * weight_store_acquire and pager_take; y is untouched then. */
vl2_status moe_run(const compute *compute, moe_workspace *workspace, const layer_weights *layer,
                   const float *x, size_t count, const moe_ahead *ahead, float *y,
                   vl2_error *error);

#endif
