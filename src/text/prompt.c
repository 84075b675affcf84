#include "text/prompt.h"

#include "base/alloc.h"
#include "text/utf8.h"

#include <string.h>

/* conv_templates["deepseek"]: roles and separators. */
#define ROLE_USER      "<|User|>"
#define ROLE_ASSISTANT "<|Assistant|>"
#define SEPARATOR_USER "\n\n"
#define SEPARATOR_ANSWER                                                                           \
    "<\xEF\xBD\x9C"                                                                                \
    "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>"

typedef enum role { USER, ASSISTANT, SYSTEM, UNKNOWN } role;

static role role_of(const char *name)
{
    static const struct {
        const char *name;
        role role;
    } roles[] = {{ROLE_USER, USER},        {"user", USER},     {ROLE_ASSISTANT, ASSISTANT},
                 {"assistant", ASSISTANT}, {"system", SYSTEM}, {"deepseekapi-sys", SYSTEM}};
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (strcmp(roles[i].name, name) == 0) {
            return roles[i].role;
        }
    }
    return UNKNOWN;
}

/* What Python's str.strip() removes: White_Space and the separators U+001C to U+001F. */
static bool is_stripped(uint32_t code)
{
    return utf8_is_white_space(code) || (code >= 0x1C && code <= 0x1F);
}

static void strip(const char **text, size_t *size)
{
    uint32_t code;
    size_t length;
    while (*size > 0 && utf8_next(*text, *size, &length, &code) == UTF8_VALID &&
           is_stripped(code)) {
        *text += length;
        *size -= length;
    }
    while (*size > 0 && (length = utf8_last(*text, *size, &code)) > 0 && is_stripped(code)) {
        *size -= length;
    }
}

static const char *find(const char *text, size_t size, const char *part)
{
    return memmem(text, size, part, strlen(part));
}

size_t prompt_count_placeholders(const char *content, size_t size, const char *image_token)
{
    const char *end = content + size;
    size_t count = 0;
    while (image_token[0] != '\0' &&
           (content = find(content, (size_t)(end - content), image_token)) != NULL) {
        content += strlen(image_token);
        count++;
    }
    return count;
}

vl2_status prompt_tokens_find(const tokenizer *tokenizer, const char *image_token, int32_t bos,
                              int32_t eos, prompt_tokens *found, vl2_error *error)
{
    const char *const needed[] = {image_token, ROLE_USER, ROLE_ASSISTANT};
    for (int i = 0; i < 3; i++) {
        if (needed[i][0] == '\0' || tokenizer_id(tokenizer, needed[i]) < 0) {
            return vl2_fail(error, VL2_ERROR_MODEL,
                            "tokenizer: found no token \"%s\", expected it for the chat template",
                            needed[i]);
        }
    }
    const int32_t ends[] = {bos, eos};
    for (int i = 0; i < 2; i++) {
        if (ends[i] < 0 || (size_t)ends[i] >= tokenizer_size(tokenizer)) {
            return vl2_fail(
                error, VL2_ERROR_MODEL, "tokenizer: %s: found id %d, expected one from 0 to %zu",
                i == 0 ? "bos_token" : "eos_token", (int)ends[i], tokenizer_size(tokenizer) - 1);
        }
    }
    *found = (prompt_tokens){bos, eos, tokenizer_id(tokenizer, image_token), image_token};
    return VL2_OK;
}

void prompt_free(prompt *prompt)
{
    id_list_free(&prompt->ids);
    base_free(prompt->runs);
    *prompt = (struct prompt){{NULL, 0, 0}, NULL, 0};
}

/* ------------------------------------------------------------------------------------ checks */

static vl2_status check_message(const prompt_tokens *tokens, const prompt_message *messages,
                                size_t count, size_t index, vl2_error *error)
{
    const prompt_message *message = &messages[index];
    role role = role_of(message->role);
    if (role == UNKNOWN) {
        return vl2_fail(error, VL2_ERROR_INPUT,
                        "message %zu: role: found \"%.60s\", expected <|User|> or user, "
                        "<|Assistant|> or assistant, system or deepseekapi-sys",
                        index + 1, message->role);
    }
    if (role == SYSTEM && index > 0) {
        return vl2_fail(error, VL2_ERROR_INPUT,
                        "message %zu: found role \"%s\", expected it in the first message only",
                        index + 1, message->role);
    }
    if (role != USER &&
        find(message->content, message->content_size, tokens->image_token) != NULL) {
        return vl2_fail(error, VL2_ERROR_INPUT,
                        "message %zu: found %s in a message of role \"%s\", expected it in the "
                        "user's messages only",
                        index + 1, tokens->image_token, message->role);
    }
    if (index + 1 == count && role != ASSISTANT) {
        return vl2_fail(error, VL2_ERROR_INPUT,
                        "message %zu: role: found \"%s\" at the end of the conversation, expected "
                        "an assistant turn (which may be empty)",
                        index + 1, message->role);
    }
    return VL2_OK;
}

static vl2_status check(const prompt_tokens *tokens, const prompt_message *messages, size_t count,
                        size_t image_count, vl2_error *error)
{
    if (count == 0) {
        return vl2_fail(error, VL2_ERROR_INPUT,
                        "conversation: found no message, expected an assistant turn at its end");
    }
    size_t placeholders = 0;
    for (size_t i = 0; i < count; i++) {
        vl2_status status = check_message(tokens, messages, count, i, error);
        if (status != VL2_OK) {
            return status;
        }
        placeholders += prompt_count_placeholders(messages[i].content, messages[i].content_size,
                                                  tokens->image_token);
    }
    if (placeholders != image_count) {
        return vl2_fail(error, VL2_ERROR_INPUT,
                        "conversation: found %zu %s in the messages and %zu picture%s, expected "
                        "as many of the one as of the other",
                        placeholders, tokens->image_token, image_count,
                        image_count == 1 ? "" : "s");
    }
    return VL2_OK;
}

/* ------------------------------------------------------------------------------------ building */

typedef struct builder {
    const tokenizer *tokenizer;
    const prompt_tokens *tokens;
    const size_t *image_tokens; /* [image_count] */
    size_t image_count;
    prompt prompt;
    vl2_error *error;
} builder;

/* A processor_config.json may name an image token that the template itself has ("<|User|>", ":"),
 * or that strip() takes away. */
static vl2_status fail_image_token(const builder *b)
{
    return vl2_fail(b->error, VL2_ERROR_MODEL,
                    "image_token: found \"%.60s\", expected a token that the chat template does "
                    "not have itself",
                    b->tokens->image_token);
}

static vl2_status add_picture(builder *b)
{
    if (b->prompt.run_count == b->image_count) {
        return fail_image_token(b);
    }
    size_t length = b->image_tokens[b->prompt.run_count];
    vl2_status status = VL2_OK;
    b->prompt.runs[b->prompt.run_count][0] = b->prompt.ids.count;
    b->prompt.runs[b->prompt.run_count][1] = length;
    b->prompt.run_count++;
    for (size_t i = 0; i < length && status == VL2_OK; i++) {
        status = id_list_append(&b->prompt.ids, b->tokens->image, b->error);
    }
    return status;
}

/* tokenize_with_images: the text between pictures is tokenized by itself. */
static vl2_status add_text(builder *b, const char *text, size_t size)
{
    for (;;) {
        const char *place = find(text, size, b->tokens->image_token);
        size_t before = place == NULL ? size : (size_t)(place - text);
        vl2_status status = tokenizer_encode(b->tokenizer, text, before, &b->prompt.ids, b->error);
        if (status == VL2_OK && place != NULL) {
            status = add_picture(b);
        }
        if (status != VL2_OK || place == NULL) {
            return status;
        }
        size_t step = before + strlen(b->tokens->image_token);
        text += step;
        size -= step;
    }
}

static vl2_status add_message(builder *b, const prompt_message *message, bool last)
{
    const char *content = message->content;
    size_t size = message->content_size;
    strip(&content, &size);
    if (role_of(message->role) != USER) {
        vl2_status status = add_text(b, content, size);
        return status == VL2_OK && role_of(message->role) == ASSISTANT && !last
                   ? id_list_append(&b->prompt.ids, b->tokens->eos, b->error)
                   : status;
    }
    buffer text = {0};
    buffer_append_text(&text, size > 0 ? ROLE_USER ": " : ROLE_USER ":");
    buffer_append(&text, content, size);
    buffer_append_text(&text, size > 0 ? SEPARATOR_USER ROLE_ASSISTANT ":" : ROLE_ASSISTANT ":");
    vl2_status status = text.failed ? vl2_fail_memory(b->error, "a message", size)
                                    : add_text(b, text.data, text.size);
    buffer_free(&text);
    return status;
}

vl2_status prompt_build(const tokenizer *tokenizer, const prompt_tokens *tokens,
                        const prompt_message *messages, size_t count, const size_t *image_tokens,
                        size_t image_count, prompt *built, vl2_error *error)
{
    vl2_status status = check(tokens, messages, count, image_count, error);
    if (status != VL2_OK) {
        return status;
    }
    builder b = {.tokenizer = tokenizer, .tokens = tokens, .image_tokens = image_tokens,
                 .image_count = image_count, .error = error};
    b.prompt.runs = base_calloc(image_count, sizeof(*b.prompt.runs));
    status = b.prompt.runs != NULL ? id_list_append(&b.prompt.ids, tokens->bos, error)
                                   : vl2_fail_memory(error, "the pictures' places", image_count);
    for (size_t i = 0; i < count && status == VL2_OK; i++) {
        status = add_message(&b, &messages[i], i + 1 == count);
    }
    if (status == VL2_OK && b.prompt.run_count != image_count) {
        status = fail_image_token(&b);
    }
    if (status != VL2_OK) {
        prompt_free(&b.prompt);
        return status;
    }
    *built = b.prompt;
    return VL2_OK;
}

vl2_status prompt_display(const prompt_message *messages, size_t count, buffer *text,
                          vl2_error *error)
{
    buffer whole = {0};
    for (size_t i = 0; i < count; i++) {
        const char *content = messages[i].content;
        size_t size = messages[i].content_size;
        strip(&content, &size);
        buffer_append_text(&whole, messages[i].role);
        buffer_append_text(&whole, size > 0 ? ": " : ":");
        buffer_append(&whole, content, size);
        if (size > 0) {
            buffer_append_text(&whole, i % 2 == 0 ? SEPARATOR_USER : SEPARATOR_ANSWER);
        }
    }
    const char *shown = whole.data;
    size_t size = whole.size;
    strip(&shown, &size);
    bool fits = !whole.failed && utf8_append_lossy(text, shown, size);
    buffer_free(&whole);
    return fits ? VL2_OK : vl2_fail_memory(error, "the conversation", size);
}
