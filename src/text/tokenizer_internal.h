/* What tokenizer.c and the files that make and write a tokenizer share. */
#ifndef TEXT_TOKENIZER_INTERNAL_H
#define TEXT_TOKENIZER_INTERNAL_H

#include "text/added.h"
#include "text/bpe.h"
#include "text/pretokenizer.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

#define TOKENIZER_MAX_WHOLE 512 /* bytes of the longest token that ignore_merges may take */

struct tokenizer {
    char *name; /* for messages */
    vocabulary vocabulary;
    size_t model_count;     /* tokens of the model's own vocab */
    int32_t byte_ids[256];  /* the symbol of each byte; -1 if the vocab has none */
    bool ignore_merges;     /* a piece that is a token as a whole is not merged up */
    merge_table merges;
    added_tokens added;
    int64_t highest_added; /* id; -1 if there is no added token */
    pretokenizer pretokenizer;
    char *steps; /* the JSON object that the pretokenizer was read from, as text */
};

/* Fills byte_ids from the model's own vocab. */
void tokenizer_find_bytes(tokenizer *tokenizer);

/* Adds a token or changes the one of this spelling; the trees are not built yet. *id is its id.
 * `where` stands in messages. */
vl2_status tokenizer_put_added(tokenizer *tokenizer, const char *text, added_token token,
                               bool special, const char *where, int32_t *id, vl2_error *error);

#endif
