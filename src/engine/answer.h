/* The answer's text while it comes: whole characters, and nothing of a stop string. */
#ifndef ENGINE_ANSWER_H
#define ENGINE_ANSWER_H

#include "base/buffer.h"
#include "text/tokenizer.h"

typedef struct answer_stream {
    const vl2_generate_options *options; /* borrowed: the stop strings */
    vl2_token_callback callback;         /* may be NULL */
    void *user;
    token_stream tokens;
    buffer text;    /* the answer so far, with what is held back */
    size_t emitted; /* bytes of it that the callback has had */
    bool stopped;   /* a stop string came; the text ends before it */
    bool declined;  /* the callback returned false */
} answer_stream;

void answer_stream_init(answer_stream *stream, const tokenizer *tokenizer,
                        const vl2_generate_options *options, vl2_token_callback callback,
                        void *user);

/* Takes one token and hands on what is certain by now: text that could be the beginning of a stop
 * string waits. `visible` false: the token adds no text (the end of the sentence).
 * VL2_ERROR_MEMORY. */
vl2_status answer_stream_push(answer_stream *stream, int32_t token, bool visible,
                              vl2_error *error);

/* No more tokens: hands on what was held back. */
vl2_status answer_stream_finish(answer_stream *stream, vl2_error *error);

#endif
