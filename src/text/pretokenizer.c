#include "text/pretokenizer.h"

#include <string.h>

void split_text_free(split_text *text)
{
    buffer_free(&text->own);
    piece_list_free(&text->pieces);
    piece_list_free(&text->spare);
    piece_list_free(&text->spans);
}

/* The piece as spans that match and spans that do not, in order, none left out. `token` of a span
 * is 1 if it counts as a match. */
static vl2_status find_spans(const split_step *step, pattern_work *work, const char *text,
                             piece whole, piece_list *spans, vl2_error *error)
{
    pattern_finder finder = {step->pattern, work, text + whole.start, whole.size, 0, 0, false};
    size_t done = 0;
    spans->count = 0;
    for (;;) {
        bool found;
        size_t start, end;
        vl2_status status = pattern_find(&finder, &found, &start, &end, error);
        if (status == VL2_OK && !found) {
            start = whole.size;
        }
        if (status == VL2_OK && done < start) {
            piece rest = {whole.start + done, start - done, step->invert};
            status = piece_list_append(spans, rest, error);
        }
        if (status != VL2_OK || !found) {
            return status;
        }
        piece match = {whole.start + start, end - start, !step->invert};
        status = piece_list_append(spans, match, error);
        if (status != VL2_OK) {
            return status;
        }
        done = end;
    }
}

/* NormalizedString::split of tokenizer/normalizer.rs: whether the span joins the one handed on
 * before it (in the order of the walk). */
static bool joins(split_behavior behavior, bool match, bool match_before)
{
    switch (behavior) {
    case SPLIT_CONTIGUOUS:
        return match == match_before;
    case SPLIT_MERGED_WITH_PREVIOUS:
    case SPLIT_MERGED_WITH_NEXT:
        return match && !match_before;
    default:
        return false;
    }
}

/* Joins spans in place according to the behavior. MERGED_WITH_NEXT walks from the end. */
static void join_spans(split_behavior behavior, piece_list *spans)
{
    size_t count = spans->count, kept = 0;
    bool backward = behavior == SPLIT_MERGED_WITH_NEXT, match_before = false;
    piece *items = spans->items;
    for (size_t i = 0; i < count; i++) {
        piece span = items[backward ? count - 1 - i : i];
        piece *last = kept == 0 ? NULL : &items[backward ? count - kept : kept - 1];
        bool match = span.token != 0;
        if (behavior == SPLIT_REMOVED && match) {
            continue;
        }
        if (last != NULL && joins(behavior, match, match_before)) {
            last->start = backward ? span.start : last->start;
            last->size += span.size;
        } else {
            kept++;
            items[backward ? count - kept : kept - 1] = span;
        }
        match_before = match;
    }
    if (backward && kept > 0) {
        memmove(items, items + count - kept, kept * sizeof(*items));
    }
    spans->count = kept;
}

static vl2_status split_piece(const split_step *step, pattern_work *work, split_text *text,
                              piece whole, vl2_error *error)
{
    vl2_status status = find_spans(step, work, text->text, whole, &text->spans, error);
    if (status == VL2_OK) {
        join_spans(step->behavior, &text->spans);
    }
    for (size_t i = 0; i < text->spans.count && status == VL2_OK; i++) {
        piece span = text->spans.items[i];
        if (span.size > 0) {
            span.token = -1;
            status = piece_list_append(&text->spare, span, error);
        }
    }
    return status;
}

/* Writes the pieces into a new text, each with a space in front if it has none. */
static vl2_status prefix_pieces(split_text *text, vl2_error *error)
{
    buffer changed = {0};
    for (size_t i = 0; i < text->pieces.count; i++) {
        piece *item = &text->pieces.items[i];
        size_t start = changed.size;
        if (item->token < 0 && text->text[item->start] != ' ') {
            buffer_append_text(&changed, " ");
        }
        buffer_append(&changed, text->text + item->start, item->size);
        item->start = start;
        item->size = changed.size - start;
    }
    if (changed.failed) {
        buffer_free(&changed);
        return vl2_fail_memory(error, "the text with spaces", text->own.size);
    }
    buffer_free(&text->own);
    text->own = changed;
    text->text = changed.data;
    return VL2_OK;
}

static vl2_status run_step(const split_step *step, pattern_work *work, split_text *text,
                           vl2_error *error)
{
    vl2_status status = step->prefix_space ? prefix_pieces(text, error) : VL2_OK;
    if (step->pattern == NULL) {
        return status;
    }
    text->spare.count = 0;
    for (size_t i = 0; i < text->pieces.count && status == VL2_OK; i++) {
        piece item = text->pieces.items[i];
        status = item.token >= 0 ? piece_list_append(&text->spare, item, error)
                                 : split_piece(step, work, text, item, error);
    }
    piece_list_swap(&text->pieces, &text->spare);
    return status;
}

vl2_status pretokenizer_run(const pretokenizer *pretokenizer, pattern_work *work, split_text *text,
                            vl2_error *error)
{
    vl2_status status = VL2_OK;
    for (size_t i = 0; i < pretokenizer->count && status == VL2_OK; i++) {
        status = run_step(&pretokenizer->steps[i], work, text, error);
    }
    return status;
}
