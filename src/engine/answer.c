#include "engine/answer.h"

#include "base/error.h"

#include <string.h>

void answer_stream_init(answer_stream *stream, const tokenizer *tokenizer,
                        const vl2_generate_options *options, vl2_token_callback callback,
                        void *user)
{
    memset(stream, 0, sizeof(*stream));
    stream->options = options;
    stream->callback = callback;
    stream->user = user;
    token_stream_init(&stream->tokens, tokenizer, false);
}

/* Cuts the text before the first stop string in it. `from`: where new text begins. */
static void find_stop(answer_stream *stream, size_t from)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < stream->options->stop_count; i++) {
        const char *stop = stream->options->stop[i];
        size_t length = strlen(stop);
        if (length == 0) {
            continue;
        }
        size_t start = from > length - 1 ? from - (length - 1) : 0;
        const char *found = memmem(stream->text.data + start, stream->text.size - start, stop,
                                   length);
        if (found != NULL && (size_t)(found - stream->text.data) < best) {
            best = (size_t)(found - stream->text.data);
        }
    }
    if (best != SIZE_MAX) {
        stream->stopped = true;
        stream->text.size = best;
        stream->text.data[best] = '\0';
    }
}

/* Bytes at the end of the text that may be the beginning of a stop string. */
static size_t held_back(const answer_stream *stream)
{
    size_t longest = 0;
    for (size_t i = 0; i < stream->options->stop_count; i++) {
        const char *stop = stream->options->stop[i];
        size_t length = strlen(stop);
        size_t most = length > 0 ? length - 1 : 0;
        most = most < stream->text.size ? most : stream->text.size;
        for (size_t size = most; size > longest; size--) {
            if (memcmp(stream->text.data + stream->text.size - size, stop, size) == 0) {
                longest = size;
            }
        }
    }
    return longest;
}

/* Hands on the text up to `end`. */
static void emit(answer_stream *stream, size_t end, int32_t token)
{
    size_t from = stream->emitted < end ? stream->emitted : end;
    if (stream->callback == NULL) {
        stream->emitted = end;
        return;
    }
    char *text = stream->text.data != NULL ? stream->text.data : (char[]){""};
    char after = text[end];
    text[end] = '\0';
    if (!stream->callback(text + from, end - from, token, stream->user)) {
        stream->declined = true;
    }
    text[end] = after;
    stream->emitted = end;
}

vl2_status answer_stream_push(answer_stream *stream, int32_t token, bool visible, vl2_error *error)
{
    size_t before = stream->text.size;
    if (visible) {
        vl2_status status = token_stream_push(&stream->tokens, token, &stream->text, error);
        if (status != VL2_OK) {
            return status;
        }
        if (stream->text.size > before) {
            find_stop(stream, before);
        }
    }
    emit(stream, stream->stopped ? stream->text.size : stream->text.size - held_back(stream),
         token);
    return VL2_OK;
}

vl2_status answer_stream_finish(answer_stream *stream, vl2_error *error)
{
    if (!stream->stopped) {
        size_t before = stream->text.size;
        vl2_status status = token_stream_finish(&stream->tokens, &stream->text, error);
        if (status != VL2_OK) {
            return status;
        }
        if (stream->text.size > before) {
            find_stop(stream, before);
        }
    }
    if (stream->text.size > stream->emitted) {
        emit(stream, stream->text.size, -1);
    }
    return VL2_OK;
}
