/* Adapters of low rank (LoRA) in the layout of the PEFT library, merged into the weights that they
 * were trained on: W' = W + scaling * B A.
 *
 * A folder has adapter_config.json and adapter_model.safetensors. Of the configuration are read:
 *
 *     peft_type       "LORA"
 *     r, lora_alpha   8 each if missing; scaling is lora_alpha / r
 *     use_rslora      scaling is lora_alpha / sqrt(r) instead
 *     rank_pattern, alpha_pattern
 *                     another r or lora_alpha for some modules; see below
 *     bias            "none"
 *     init_lora_weights
 *                     true, false, "gaussian", "eva" or "orthogonal". The others (PiSSA, OLoRA,
 *                     CorDA, LoftQ) change the base weights, which are not the checkpoint's then.
 *
 * What would change the result and is not supported must be off: use_dora, fan_in_fan_out (the
 * weights of this family are [outputs, inputs]), lora_bias, target_parameters, layer_replication
 * and others (lora_config.c). The remaining fields say how the adapter was trained.
 *
 * Tensors of adapter_model.safetensors, in f32, f16 or bf16, by the end of their names:
 *
 *     MODULE.lora_A.weight            [r, inputs], with ...
 *     MODULE.lora_B.weight            [outputs, r]: for MODULE.weight [outputs, inputs]. For a
 *                                     convolution [r, inputs, h, w] and [outputs, r, 1, 1].
 *     MODULE.lora_embedding_A         [r, rows], with ...
 *     MODULE.lora_embedding_B         [columns, r]: for MODULE.weight [rows, columns], which gets
 *                                     the transposed product
 *     NAME                            any other: the whole tensor is replaced (modules_to_save),
 *                                     and a product for it is added to that. "base_layer." in the
 *                                     name is left out.
 *
 * The name of the adapter may stand behind: lora_A.default.weight, lora_embedding_A.default. Other
 * names with ".lora_" in them are refused.
 *
 * Whose weight it is: parts base_model, model, module and _orig_mod are taken off the front of the
 * name, as long as it does not begin with one of these, which makes the name in the checkpoint:
 *
 *     language. vision. projector. image_newline view_seperator tile_indicators   as it is
 *     layers. embed_tokens. norm.                         "language.model." is put in front
 *     lm_head.                                            "language." is put in front
 *
 * so that adapters of the whole model, of its language model and of the decoder alone are found at
 * their places. A name that never begins so is kept as it is; lora_check tells of it.
 *
 * Keys of rank_pattern and alpha_pattern: regular expressions for the end of a module's name
 * (without "base_model.model."), beginning at its front or behind a dot. Letters, digits, "_", "-",
 * ".", "\." and ".*" are understood, with "^" for the front of the name and "$" for its end; others
 * are refused. The first key that fits counts. */
#ifndef WEIGHTS_LORA_H
#define WEIGHTS_LORA_H

#include "base/error.h"
#include "base/team.h"
#include "base/tensor.h"
#include "weights/checkpoint.h"

#include <stdbool.h>

/* Immutable: may be used by several threads at once. */
typedef struct lora lora;

/* Opens a folder and checks that every tensor has its place and its partner. VL2_ERROR_MODEL with a
 * message that names file, field or tensor, found and expected; VL2_ERROR_MEMORY. */
vl2_status lora_open(const char *folder, lora **opened, vl2_error *error);
void lora_close(lora *lora); /* NULL is allowed */

/* The tensors of a checkpoint that the adapter changes, by name in rising order. Borrowed. */
size_t lora_count(const lora *lora);
const char *lora_target(const lora *lora, size_t index);
bool lora_touches(const lora *lora, const char *tensor);

/* VL2_ERROR_MODEL unless each of them is in the checkpoint, in a type that vl2 computes with, and
 * of the shape that the adapter calls for. The message names the adapter's tensor. */
vl2_status lora_check(const lora *lora, const checkpoint *checkpoint, vl2_error *error);

/* Writes the merged tensor, of the shape of `source`, to out in numbers of `type`, both
 * f32, f16 or bf16 and at any byte: DATA_F32 where it is quantized next, so that it is not rounded
 * twice. A tensor that the adapter does not touch is converted only.
 *
 * scaling * B is rounded to f32, W + (scaling * B) A is summed up in f64 in the order of the rank,
 * rounded to f32 and then to `type`, each time to the nearest, ties to even: the bytes depend
 * neither on the number of threads nor on the processor. Memory: A in f64, and 256 bytes per rank
 * and thread. VL2_ERROR_MODEL if the shape does not fit or a result is not finite in `type` (the
 * first row and column are named); VL2_ERROR_MEMORY. After an error `out` holds anything. */
vl2_status lora_merge(const lora *lora, const tensor_view *source, data_type type, const team *team,
                      void *out, vl2_error *error);

#endif
