/* What a vl2_model is made of. */
#ifndef ENGINE_MODEL_H
#define ENGINE_MODEL_H

#include "engine/budget.h"
#include "engine/files.h"
#include "image/processor_config.h"
#include "model/config.h"
#include "model/weights.h"
#include "simd/kernels.h"
#include "text/prompt.h"
#include "text/tokenizer.h"
#include "weights/store.h"
#include "weights/store_random.h"

struct vl2_tokenizer {
    tokenizer *tokenizer;
};

/* Immutable after vl2_model_open, but for the budget; shared by sessions. */
struct vl2_model {
    char *path;
    model_config config;
    image_processor *processor;
    float normalize[3][256]; /* byte value -> input of the vision tower */
    vl2_tokenizer tokenizer;
    prompt_tokens tokens;
    weight_store *store;
    model_weights *weights;
    weight *unexpected; /* [unexpected_count] tensors of the store that are not used */
    size_t unexpected_count;
    kernels kernels;
    memory_budget budget;
};

/* Opens a model of random weights with the configuration and the tokenizer that vl2 synth writes.
 * `path` names it in messages. Errors of weight_store_open_random. */
vl2_status engine_open_random(const char *path, const random_weights_options *options,
                              vl2_model **model, vl2_error *error);

/* Opens the tokenizer of a model and adds the special tokens that the reference's processor adds
 * where they are missing: the two of processor_config.json, then those of the chat template. */
vl2_status engine_open_tokenizer(const model_files *files, const char *pad_token,
                                 const char *image_token, tokenizer **tokenizer,
                                 vl2_error *error);

/* Reads the model's processor_config.json. */
vl2_status engine_open_processor(const model_files *files, image_processor **processor,
                                 vl2_error *error);

/* The ids of the tokens that begin and end a sentence, by the spelling in tokenizer_config.json;
 * else those of config.json. */
vl2_status engine_sentence_tokens(const model_files *files, const tokenizer *tokenizer,
                                  const language_config *config, int32_t *bos, int32_t *eos,
                                  vl2_error *error);

/* Bytes of a tensor as the kernels read it. */
uint64_t engine_stored_bytes(weight tensor);

/* Fills the table for this processor; VL2_ERROR_ARGUMENT if VL2_CPU has an unknown word. */
vl2_status engine_select_kernels(kernels *kernels, vl2_error *error);

#endif
