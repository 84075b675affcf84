#include "weights/synth_config.h"

#include "base/buffer.h"

#include <stdio.h>
#include <string.h>

#define BYTES 256

typedef struct added_token {
    const char *text;
    bool special;
} added_token;

static const added_token ends[] = {{"<｜begin▁of▁sentence｜>", true},
                                   {"<｜end▁of▁sentence｜>", true},
                                   {"<｜▁pad▁｜>", true}};

/* What the 128k vocabulary has before <image>. */
static const added_token middle[] = {
    {"<｜fim▁hole｜>", false},           {"<｜fim▁begin｜>", false},
    {"<｜fim▁end｜>", false},            {"<｜User｜>", false},
    {"<｜Assistant｜>", false},          {"<|EOT|>", true},
    {"<｜tool▁calls▁begin｜>", false},   {"<｜tool▁calls▁end｜>", false},
    {"<｜tool▁call▁begin｜>", false},    {"<｜tool▁call▁end｜>", false},
    {"<｜tool▁outputs▁begin｜>", false}, {"<｜tool▁outputs▁end｜>", false},
    {"<｜tool▁output▁begin｜>", false},  {"<｜tool▁output▁end｜>", false},
    {"<｜tool▁sep｜>", false}};

static const added_token last[] = {{"<image>", true},  {"<|ref|>", true},
                                   {"<|/ref|>", true}, {"<|det|>", true},
                                   {"<|/det|>", true}, {"<|grounding|>", true},
                                   {"<|User|>", true}, {"<|Assistant|>", true}};

#define COUNT(list) ((int)(sizeof(list) / sizeof((list)[0])))

/* Where the parts of the vocabulary begin. */
typedef struct layout {
    int ends, bytes, fillers, filler_count, last;
    int middle; /* -1: none */
} layout;

static layout lay_out(const synth_shape *shape)
{
    layout at;
    at.last = shape->tokenizer.tokens - COUNT(last);
    if (shape->tokenizer.kind == SYNTH_VOCABULARY_128K) {
        at.ends = 0;
        at.bytes = COUNT(ends);
        at.middle = at.last - COUNT(middle);
        at.fillers = at.bytes + BYTES;
        at.filler_count = at.middle - at.fillers;
    } else {
        at.ends = at.last - COUNT(ends);
        at.bytes = 0;
        at.middle = -1;
        at.fillers = BYTES;
        at.filler_count = at.ends - at.fillers;
    }
    return at;
}

int synth_bos(const synth_shape *shape)
{
    return lay_out(shape).ends;
}

int synth_eos(const synth_shape *shape)
{
    return lay_out(shape).ends + 1;
}

/* GPT-2's alphabet (openai/gpt-2, src/encoder.py, bytes_to_unicode): printable bytes stand for
 * themselves, the others for the code points from 256 on. */
static int byte_symbol(int byte)
{
    int others = 0;
    for (int i = 0; i <= byte; i++) {
        bool itself = (i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174;
        if (i == byte) {
            return itself ? i : 256 + others;
        }
        others += !itself;
    }
    return -1;
}

/* A JSON string of one code point below 0x800. */
static const char *symbol_text(int symbol, char text[8])
{
    if (symbol == '"' || symbol == '\\') {
        snprintf(text, 8, "\\%c", symbol);
    } else if (symbol < 0x80) {
        snprintf(text, 8, "%c", symbol);
    } else {
        snprintf(text, 8, "%c%c", 0xc0 | symbol >> 6, 0x80 | (symbol & 0x3f));
    }
    return text;
}

/* Filler `number` as a word of consonants and vowels behind a space: different numbers give
 * different words, and each has at least two syllables, so that it is no byte's symbol. */
static const char *filler_text(int number, char text[32])
{
    static const char consonants[] = "bdfgklmnprstvz", vowels[] = "aeiou";
    const int syllables = (COUNT(consonants) - 1) * (COUNT(vowels) - 1);
    size_t length = (size_t)snprintf(text, 32, "Ġ");
    number += syllables; /* two syllables at least */
    for (; number > 0; number /= syllables) {
        int syllable = number % syllables;
        text[length++] = consonants[syllable / (COUNT(vowels) - 1)];
        text[length++] = vowels[syllable % (COUNT(vowels) - 1)];
    }
    text[length] = '\0';
    return text;
}

static void append_added(buffer *json, const added_token *tokens, int count, int first,
                         const char **separator)
{
    for (int i = 0; i < count; i++) {
        char text[256];
        snprintf(text, sizeof(text),
                 "%s\n    {\"id\": %d, \"content\": \"%s\", \"single_word\": false, \"lstrip\": "
                 "false, \"rstrip\": false, \"normalized\": %s, \"special\": %s}",
                 *separator, first + i, tokens[i].text, tokens[i].special ? "false" : "true",
                 tokens[i].special ? "true" : "false");
        buffer_append_text(json, text);
        *separator = ",";
    }
}

static void append_vocabulary(buffer *json, const layout *at)
{
    char text[96], symbol[8], word[32];
    const char *separator = "";
    /* The tokenizers library numbers added tokens on behind the vocabulary, unless it has them. */
    for (int i = 0; at->ends < at->bytes && i < COUNT(ends); i++) {
        snprintf(text, sizeof(text), "%s\n      \"%s\": %d", separator, ends[i].text, at->ends + i);
        buffer_append_text(json, text);
        separator = ",";
    }
    for (int byte = 0; byte < BYTES; byte++) {
        snprintf(text, sizeof(text), "%s\n      \"%s\": %d", separator,
                 symbol_text(byte_symbol(byte), symbol), at->bytes + byte);
        buffer_append_text(json, text);
        separator = ",";
    }
    for (int i = 0; i < at->filler_count; i++) {
        snprintf(text, sizeof(text), ",\n      \"%s\": %d", filler_text(i, word), at->fillers + i);
        buffer_append_text(json, text);
    }
}

char *synth_tokenizer(const synth_shape *shape)
{
    layout at = lay_out(shape);
    buffer json = {0};
    const char *separator = "";
    buffer_append_text(&json, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n"
                              "  \"padding\": null,\n  \"added_tokens\": [");
    append_added(&json, ends, COUNT(ends), at.ends, &separator);
    if (at.middle >= 0) {
        append_added(&json, middle, COUNT(middle), at.middle, &separator);
    }
    append_added(&json, last, COUNT(last), at.last, &separator);
    buffer_append_text(
        &json,
        "\n  ],\n  \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": []},\n"
        "  \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [\n"
        "    {\"type\": \"Split\", \"pattern\": {\"Regex\": \"\\\\s?[^\\\\s]+|\\\\s\"}, "
        "\"behavior\": \"Isolated\", \"invert\": false},\n"
        "    {\"type\": \"Digits\", \"individual_digits\": true},\n"
        "    {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, "
        "\"use_regex\": false}]},\n"
        "  \"post_processor\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
        "\"trim_offsets\": false, \"use_regex\": true},\n"
        "  \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
        "\"trim_offsets\": true, \"use_regex\": true},\n"
        "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": null,\n"
        "    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n"
        "    \"fuse_unk\": false,\n    \"byte_fallback\": false,\n    \"vocab\": {");
    append_vocabulary(&json, &at);
    buffer_append_text(&json, "\n    },\n    \"merges\": []\n  }\n}\n");
    if (json.failed) {
        buffer_free(&json);
    }
    return json.data;
}

/* Keys as in the published tokenizer_config.json and special_tokens_map.json. */
static json_t *added_object(const char *text, bool special, bool with_special)
{
    json_t *object = json_pack("{s:s, s:b, s:b, s:b, s:b}", "content", text, "lstrip", 0,
                               "normalized", !special, "rstrip", 0, "single_word", 0);
    if (with_special) {
        json_object_set_new(object, "special", json_boolean(special));
    }
    return object;
}

static void set_added(json_t *object, const added_token *tokens, int count, int first)
{
    for (int i = 0; i < count; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%d", first + i);
        json_object_set_new(object, id, added_object(tokens[i].text, tokens[i].special, true));
    }
}

json_t *synth_tokenizer_config(const synth_shape *shape)
{
    layout at = lay_out(shape);
    json_t *added = json_object();
    set_added(added, ends, COUNT(ends), at.ends);
    if (at.middle >= 0) {
        set_added(added, middle, COUNT(middle), at.middle);
    }
    set_added(added, last, COUNT(last), at.last);
    return json_pack(
        "{s:b, s:b, s:o, s:[s, s], s:s, s:s, s:s, s:n, s:b, s:b, s:i, s:s, s:s, s:{}, s:b}",
        "add_bos_token", 0, "add_eos_token", 0, "added_tokens_decoder", added,
        "additional_special_tokens", "<|User|>", "<|Assistant|>", "bos_token", ends[0].text,
        "eos_token", ends[1].text, "pad_token", ends[2].text, "unk_token",
        "clean_up_tokenization_spaces", 0, "legacy", 1, "model_max_length",
        shape->language.max_position_embeddings, "processor_class", "DeepseekVLV2Processor",
        "tokenizer_class", "LlamaTokenizerFast", "sp_model_kwargs", "use_default_system_prompt", 0);
}

json_t *synth_special_tokens(void)
{
    return json_pack(
        "{s:[o, o], s:o, s:o, s:o}", "additional_special_tokens",
        added_object("<|User|>", true, false), added_object("<|Assistant|>", true, false),
        "bos_token", added_object(ends[0].text, false, false), "eos_token",
        added_object(ends[1].text, false, false), "pad_token",
        added_object(ends[2].text, false, false));
}
