/* What a person would read in an answer that the reference gives up on. */
#include "text/grounding_internal.h"

#include <string.h>

static const char *const tags[] = {REF_OPEN, REF_CLOSE, DET_OPEN, DET_CLOSE};

/* Which tag stands at the front of the text: an index into `tags`, or -1. */
static int tag_at(span text)
{
    for (int i = 0; i < 4; i++) {
        size_t size = strlen(tags[i]);
        if (text.size >= size && memcmp(text.text, tags[i], size) == 0) {
            return i;
        }
    }
    return -1;
}

/* The text up to the next tag, which is at the front of *rest then (or *rest is empty). */
static span until_tag(span *rest)
{
    const char *start = rest->text, *end = rest->text + rest->size;
    const char *at = start;
    while ((at = memchr(at, '<', (size_t)(end - at))) != NULL &&
           tag_at((span){at, (size_t)(end - at)}) < 0) {
        at++;
    }
    at = at == NULL ? end : at;
    *rest = (span){at, (size_t)(end - at)};
    return (span){start, (size_t)(at - start)};
}

/* Four numbers between brackets, whatever separates them. */
static bool read_numbers(grounding_reader *reader, span list, double values[4])
{
    literal_reader in = {list.text, list.text + list.size, &reader->scratch, reader->locale};
    size_t count = 0;
    while (in.at < in.end) {
        double value;
        if (literal_read_plain(&in, &value)) {
            if (count < 4) {
                values[count] = value;
            }
            count++;
        } else if (*in.at != '\0' && strchr(" \t\r\n\f,;'\"", *in.at) != NULL) {
            in.at++;
        } else {
            return false;
        }
    }
    return count >= 4;
}

/* All lists without a list inside. */
static vl2_status read_lists(grounding_reader *reader, span label, span text)
{
    const char *end = text.text + text.size, *open = NULL;
    vl2_status status = VL2_OK;
    size_t lists = 0;
    for (const char *at = text.text; at < end && status == VL2_OK; at++) {
        if (*at == '[') {
            open = at;
        } else if (*at == ']' && open != NULL) {
            span whole = {open, (size_t)(at + 1 - open)};
            span list = {open + 1, whole.size - 2};
            double values[4];
            bool readable = read_numbers(reader, list, values);
            if (readable) {
                status = grounding_add_box(reader, label, values, &readable);
            }
            if (status == VL2_OK && !readable) {
                status = grounding_add_problem(reader, "found ", whole,
                                               ", expected [x1, y1, x2, y2] with four numbers");
            }
            open = NULL;
            lists++;
        }
    }
    if (status == VL2_OK && open != NULL) {
        status = grounding_add_problem(reader, "found ", (span){open, (size_t)(end - open)},
                                       ", expected a closing bracket");
    } else if (status == VL2_OK && lists == 0) {
        status = grounding_add_problem(reader, "", label, ": found no box");
    }
    return status;
}

/* A label waits for the boxes behind it; boxes before any label wait for the label behind them. */
typedef struct pairing {
    span label, boxes;
    bool has_label, has_boxes;
} pairing;

static vl2_status flush(grounding_reader *reader, pairing *pair)
{
    pairing done = *pair;
    *pair = (pairing){{"", 0}, {"", 0}, false, false};
    if (done.has_label && !done.has_boxes) {
        return grounding_add_problem(reader, "the label ", done.label, " has no box");
    }
    vl2_status status = VL2_OK;
    if (done.has_boxes && !done.has_label) {
        status = grounding_add_problem(reader, "the boxes ", done.boxes, " have no label");
    }
    return status == VL2_OK && done.has_boxes ? read_lists(reader, done.label, done.boxes) : status;
}

static vl2_status take(grounding_reader *reader, pairing *pair, int tag, span text, bool closed)
{
    bool is_label = tag == 0;
    vl2_status status = VL2_OK;
    if (!closed) {
        status = grounding_add_problem(reader, is_label ? "the label " : "the boxes ", text,
                                       is_label ? " has no end" : " have no end");
    }
    if (status == VL2_OK && (is_label ? pair->has_label : pair->has_boxes)) {
        status = flush(reader, pair);
    }
    if (is_label) {
        pair->label = text;
        pair->has_label = true;
    } else {
        pair->boxes = text;
        pair->has_boxes = true;
    }
    return status == VL2_OK && pair->has_label && pair->has_boxes ? flush(reader, pair) : status;
}

vl2_status grounding_read_lenient(grounding_reader *reader, span answer)
{
    pairing pair = {{"", 0}, {"", 0}, false, false};
    vl2_status status = VL2_OK;
    until_tag(&answer);
    while (answer.size > 0 && status == VL2_OK) {
        int tag = tag_at(answer);
        answer.text += strlen(tags[tag]);
        answer.size -= strlen(tags[tag]);
        span text = until_tag(&answer);
        if (tag == 0 || tag == 2) { /* a tag that opens; others were its end, or stand alone */
            status = take(reader, &pair, tag, text, tag_at(answer) == tag + 1);
        }
    }
    return status == VL2_OK ? flush(reader, &pair) : status;
}
