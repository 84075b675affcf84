/* The chat template of the reference: a conversation as token ids, with places for the pictures
 * (deepseek_vl2/models/processing_deepseek_vl_v2.py, format_messages_v2, and conversation.py). */
#ifndef TEXT_PROMPT_H
#define TEXT_PROMPT_H

#include "text/tokenizer.h"

/* One turn. Roles: "<|User|>" or "user"; "<|Assistant|>" or "assistant"; "system" or "deepseekapi-
 * sys", which is the first message only. White space around the content does not count. */
typedef struct prompt_message {
    const char *role;
    const char *content;
    size_t content_size;
} prompt_message;

/* The ids that the template needs. */
typedef struct prompt_tokens {
    int32_t bos, eos, image;
    const char *image_token; /* borrowed; what stands for a picture in a text, "<image>" */
} prompt_tokens;

/* Checks the ids and looks up the picture's. VL2_ERROR_MODEL if the tokenizer lacks a token that
 * the template needs; `found` borrows image_token. */
vl2_status prompt_tokens_find(const tokenizer *tokenizer, const char *image_token, int32_t bos,
                              int32_t eos, prompt_tokens *found, vl2_error *error);

/* A conversation, ready for the model. All zero is empty. */
typedef struct prompt {
    id_list ids;       /* the positions of pictures carry the image id */
    size_t (*runs)[2]; /* [start, length] of each picture's positions, in order */
    size_t run_count;
} prompt;

void prompt_free(prompt *prompt);

/* Builds the ids of a conversation whose last message is an assistant turn: an empty one, or the
 * front of the answer that is to be continued. image_tokens[i] is the number of positions of
 * picture i; they go to the image tokens of the user's messages in order. Special tokens typed in a
 * message are recognised, as in the reference. VL2_ERROR_INPUT: unknown role, last message not an
 * assistant turn, system message not first, an image token outside a user's message, numbers of
 * image tokens and pictures differ (the reference ignores surplus pictures). VL2_ERROR_MODEL: the
 * image token is a part of the template. VL2_ERROR_MEMORY and what tokenizer_encode gives. */
vl2_status prompt_build(const tokenizer *tokenizer, const prompt_tokens *tokens,
                        const prompt_message *messages, size_t count, const size_t *image_tokens,
                        size_t image_count, prompt *built, vl2_error *error);

/* How many pictures a text asks for. */
size_t prompt_count_placeholders(const char *content, size_t size, const char *image_token);

/* Appends the reference's sft_format: the template as people read it. It is not what is tokenized.
 * VL2_ERROR_MEMORY. */
vl2_status prompt_display(const prompt_message *messages, size_t count, buffer *text,
                          vl2_error *error);

#endif
