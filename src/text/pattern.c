#include "text/pattern.h"

#include "base/alloc.h"
#include "text/utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

struct pattern {
    pcre2_code *code;
};

struct pattern_work {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack; /* NULL if there is none: PCRE2 uses 32 KiB of its own then */
};

static void *work_allocate(size_t size, void *user)
{
    (void)user;
    return base_malloc(size, 1);
}

static void work_release(void *block, void *user)
{
    (void)user;
    base_free(block);
}

static vl2_status compile(pcre2_general_context *general, const char *text, size_t size,
                          uint32_t options, const char *name, pcre2_code **code, vl2_error *error)
{
    pcre2_compile_context *context = pcre2_compile_context_create(general);
    if (context == NULL) {
        return vl2_fail_memory(error, "a regular expression", size);
    }
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    int reason = 0;
    PCRE2_SIZE at = 0;
    *code = pcre2_compile((PCRE2_SPTR)text, size, PCRE2_UTF | options, &reason, &at, context);
    pcre2_compile_context_free(context);
    if (*code == NULL) {
        PCRE2_UCHAR sentence[160] = "";
        pcre2_get_error_message(reason, sentence, sizeof(sentence));
        return vl2_fail(error, VL2_ERROR_MODEL,
                        "%s: found \"%.300s\", expected a regular expression: %s at byte %zu", name,
                        text, (const char *)sentence, (size_t)at);
    }
    /* Without JIT (not built in, or no executable memory) PCRE2 interprets the pattern. */
    pcre2_jit_compile(*code, PCRE2_JIT_COMPLETE);
    return VL2_OK;
}

vl2_status pattern_compile(const char *text, size_t size, bool literal, const char *name,
                           pattern **compiled, vl2_error *error)
{
    buffer translated = {0};
    vl2_status status = VL2_OK;
    if (!literal) {
        status = pattern_translate(text, size, name, &translated, error);
        text = translated.data;
        size = translated.size;
    }
    pcre2_general_context *general =
        pcre2_general_context_create(work_allocate, work_release, NULL);
    pattern *made = base_calloc(1, sizeof(*made));
    if (status == VL2_OK && (general == NULL || made == NULL)) {
        status = vl2_fail_memory(error, "a regular expression", sizeof(*made));
    }
    if (status == VL2_OK) {
        uint32_t options = literal ? PCRE2_LITERAL : PCRE2_UCP | PCRE2_MULTILINE;
        status = compile(general, size == 0 ? "" : text, size, options, name, &made->code, error);
    }
    pcre2_general_context_free(general);
    buffer_free(&translated);
    if (status != VL2_OK) {
        base_free(made);
        return status;
    }
    *compiled = made;
    return VL2_OK;
}

void pattern_free(pattern *pattern)
{
    if (pattern != NULL) {
        pcre2_code_free(pattern->code);
        base_free(pattern);
    }
}

vl2_status pattern_work_create(pattern_work **work, vl2_error *error)
{
    pattern_work *made = base_calloc(1, sizeof(*made));
    pcre2_general_context *general =
        pcre2_general_context_create(work_allocate, work_release, NULL);
    if (made != NULL && general != NULL) {
        made->data = pcre2_match_data_create(1, general);
        made->context = pcre2_match_context_create(general);
        made->stack = pcre2_jit_stack_create(32 * 1024, 8 * 1024 * 1024, general);
    }
    pcre2_general_context_free(general);
    if (made == NULL || made->data == NULL || made->context == NULL) {
        pattern_work_free(made);
        return vl2_fail_memory(error, "matching regular expressions", sizeof(*made));
    }
    /* A text may be one piece of many megabytes, which takes a step per character or so; a pattern
     * that takes exponentially many is stopped within seconds. */
    pcre2_set_match_limit(made->context, 500u * 1000 * 1000);
    pcre2_set_depth_limit(made->context, UINT32_MAX);
    pcre2_set_heap_limit(made->context, 1024 * 1024); /* KiB */
    if (made->stack != NULL) {
        pcre2_jit_stack_assign(made->context, NULL, made->stack);
    }
    *work = made;
    return VL2_OK;
}

void pattern_work_free(pattern_work *work)
{
    if (work != NULL) {
        pcre2_match_data_free(work->data);
        pcre2_match_context_free(work->context);
        pcre2_jit_stack_free(work->stack);
        base_free(work);
    }
}

static int match(const pattern_finder *finder)
{
    const pcre2_code *code = finder->pattern->code;
    PCRE2_SPTR text = (PCRE2_SPTR)finder->text;
    int result = pcre2_match(code, text, finder->size, finder->at, PCRE2_NO_UTF_CHECK,
                             finder->work->data, finder->work->context);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) { /* the interpreter's frames are on the heap */
        result =
            pcre2_match(code, text, finder->size, finder->at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                        finder->work->data, finder->work->context);
    }
    return result;
}

static vl2_status fail_match(int result, size_t size, vl2_error *error)
{
    if (result == PCRE2_ERROR_NOMEMORY || result == PCRE2_ERROR_HEAPLIMIT) {
        return vl2_fail_memory(error, "matching a regular expression", size);
    }
    PCRE2_UCHAR sentence[160] = "";
    pcre2_get_error_message(result, sentence, sizeof(sentence));
    return vl2_fail(error, VL2_ERROR_UNSUPPORTED,
                    "the tokenizer's regular expression fails on a text of %zu bytes: %s", size,
                    (const char *)sentence);
}

vl2_status pattern_find(pattern_finder *finder, bool *found, size_t *start, size_t *end,
                        vl2_error *error)
{
    while (finder->at <= finder->size) {
        int result = match(finder);
        if (result == PCRE2_ERROR_NOMATCH) {
            break;
        }
        if (result < 0) {
            return fail_match(result, finder->size, error);
        }
        const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(finder->work->data);
        *start = offsets[0];
        *end = offsets[1];
        if (*start < *end || !finder->matched || finder->last_end != *end) {
            finder->at = finder->last_end = *end;
            finder->matched = *found = true;
            return VL2_OK;
        }
        size_t length = 1;
        uint32_t code;
        if (finder->at < finder->size) {
            utf8_next(finder->text + finder->at, finder->size - finder->at, &length, &code);
        }
        finder->at += length;
    }
    *found = false;
    return VL2_OK;
}
