/* The small files of a synthetic checkpoint: their texts, and writing them. */
#ifndef WEIGHTS_SYNTH_CONFIG_H
#define WEIGHTS_SYNTH_CONFIG_H

#include "weights/synth.h"

#include <jansson.h>

/* The text of config.json, processor_config.json, tokenizer.json, tokenizer_config.json or
 * special_tokens_map.json: *text (base_free) has a NUL behind its *size bytes. VL2_ERROR_ARGUMENT
 * for another name, VL2_ERROR_MEMORY. */
vl2_status synth_file_text(const synth_shape *shape, const char *name, char **text, size_t *size,
                           vl2_error *error);
bool synth_has_file(const char *name);

/* Writes all of them into a folder, config.json last. VL2_ERROR_IO, VL2_ERROR_MEMORY. */
vl2_status synth_write_files(const synth_shape *shape, const char *folder, vl2_error *error);

/* The values of the files, for synth_files.c; the caller releases them. NULL without memory. */
json_t *synth_config(const synth_shape *shape);
json_t *synth_processor_config(const synth_shape *shape);
json_t *synth_tokenizer_config(const synth_shape *shape);
json_t *synth_special_tokens(void);

/* tokenizer.json as text (base_free): byte-level BPE without merges, so that each byte of a text is
 * a token. The fillers are words, so that what a random model says looks like text. */
char *synth_tokenizer(const synth_shape *shape);

/* Ids of the special tokens. */
int synth_bos(const synth_shape *shape);
int synth_eos(const synth_shape *shape);

#endif
