/* What a vl2_session is made of, and the stages that vl2_session_generate and vl2_session_trace
 * share. */
#ifndef ENGINE_SESSION_H
#define ENGINE_SESSION_H

#include "engine/conversation.h"
#include "engine/picture.h"
#include "model/decoder.h"
#include "model/sampler.h"

struct vl2_session {
    vl2_model *model; /* borrowed */
    vl2_session_options options;
    compute compute;
    decoder decoder;
    bool whole_prompt; /* a prompt goes through each layer as a whole: of a paged model */
    float *rows;   /* [row_count, hidden]: of a chunk, or as many as there are positions */
    size_t row_count;
    float *normed; /* [hidden] */
    float *logits; /* [vocabulary] */
    picture_store pictures;
    uint64_t held;    /* bytes of the budget, and */
    uint64_t pictures_held; /* for pictures beyond plan_pictures */
    uint64_t *keys;   /* [positions]: what stands at each position of the KV cache */
    size_t key_count; /* positions that are in the cache */
    atomic_int cancelled;
    vl2_paging stage_paging; /* of the model when the stage at work began */
};

/* A conversation ready to be read: token ids, and what stands at each position. */
typedef struct prepared_prompt {
    prompt prompt;
    uint64_t *keys;   /* [ids.count] equal keys mean equal embedding rows */
    size_t *picture;  /* [ids.count] index of the picture, or SIZE_MAX for text */
    size_t *row;      /* [ids.count] row of the picture */
    size_t image_tokens;
} prepared_prompt;

/* Opens a session that holds nothing of the budget, to measure it: *encoding is what it takes more
 * while it encodes pictures. */
vl2_status session_open_trial(vl2_model *model, const vl2_session_options *options,
                              vl2_session **session, uint64_t *encoding, vl2_error *error);
uint64_t session_cache_memory(const vl2_session *session); /* bytes of the KV cache */

/* Makes the scratch of a session large enough for encoding. *bytes: what encoding takes beside it.
 * VL2_ERROR_MEMORY. */
vl2_status session_measure_encoder(vl2_session *session, uint64_t *bytes, vl2_error *error);

/* The messages as the prompt builder takes them; an empty assistant turn is added behind a user's.
 * The caller frees *messages (base_free); texts are borrowed from the conversation. */
vl2_status session_messages(const vl2_conversation *conversation, prompt_message **messages,
                            size_t *count, vl2_error *error);

/* Cuts the pictures and builds the prompt. VL2_ERROR_CONTEXT if it does not fit. */
vl2_status session_prepare(vl2_session *session, const vl2_conversation *conversation,
                           prepared_prompt *prepared, vl2_error *error);
void prepared_prompt_free(prepared_prompt *prepared);

/* Positions of the prompt whose KV cache can be kept: the common prefix, but not the last
 * position. */
size_t session_reusable(const vl2_session *session, const prepared_prompt *prepared);

/* What a tracer is told of each tile that is encoded. */
typedef struct tile_observer {
    /* features [grid^2, width] of the vision tower, rows [grid^2, hidden] of the projector, stages:
     * L2 norms after the patch convolution, the position embedding and each block [2 + layers] */
    void (*tile)(void *user, const uint8_t digest[SHA256_SIZE], const float *features,
                 const float *rows, const double *stages);
    void *user;
} tile_observer;

/* Encodes the tiles that positions first .. of the prompt need and that have no rows yet. *encoded
 * counts them. VL2_ERROR_CANCELLED, VL2_ERROR_MEMORY. `observer` may be NULL. */
vl2_status session_encode(vl2_session *session, const prepared_prompt *prepared, size_t first,
                          size_t *encoded, const tile_observer *observer, vl2_error *error);

/* Sends positions first .. first + count - 1 of the prompt, at most a chunk, through the decoder:
 * session->rows are then the last layer's output. Everything before must be in the KV cache, and
 * the weights' language_records acquired. `observer` may be NULL. */
vl2_status session_read(vl2_session *session, const prepared_prompt *prepared, size_t first,
                        size_t count, const decoder_observer *observer, vl2_error *error);

/* Reads positions first .. of the prompt in chunks; session->logits and ->normed are then those of
 * the last position. `observer` may be NULL. */
vl2_status session_prefill(vl2_session *session, const prepared_prompt *prepared, size_t first,
                           const decoder_observer *observer, vl2_error *error);

/* One generated token at the next position: session->logits are then those behind it. The cache
 * must have room. `observer` may be NULL. */
vl2_status session_step(vl2_session *session, int32_t token, const decoder_observer *observer,
                        vl2_error *error);

/* The embedding row of one position of a prompt, [hidden]; its tile must be encoded. */
void session_embed(const vl2_session *session, const prepared_prompt *prepared, size_t position,
                   float *row);

/* A stage begins now, for session_report: its time. */
double session_begin_stage(vl2_session *session);
/* Largest resident size of the process so far, bytes; 0 if it is not known. */
uint64_t engine_peak_memory(void);

void session_report(const vl2_session *session, vl2_stage stage, uint64_t done, uint64_t total,
                    double began);

#endif
