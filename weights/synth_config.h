/* The small files of a synthetic checkpoint. All return VL2_ERROR_IO or VL2_ERROR_MEMORY. */
#ifndef WEIGHTS_SYNTH_CONFIG_H
#define WEIGHTS_SYNTH_CONFIG_H

#include "weights/synth.h"

#include <jansson.h>

/* Writes a JSON value into FOLDER/NAME, and releases it. NULL stands for memory that was short. */
vl2_status synth_write_json(const char *folder, const char *name, json_t *value, vl2_error *error);

vl2_status synth_write_config(const synth_shape *shape, const char *folder, vl2_error *error);
vl2_status synth_write_processor(const synth_shape *shape, const char *folder, vl2_error *error);

/* tokenizer.json, tokenizer_config.json and special_tokens_map.json: byte-level BPE without merges,
 * so that each byte of a text is a token. The fillers are words, so that what a random model says
 * looks like text. */
vl2_status synth_write_tokenizer(const synth_shape *shape, const char *folder, vl2_error *error);

/* Ids of the special tokens. */
int synth_bos(const synth_shape *shape);
int synth_eos(const synth_shape *shape);

#endif
