#include "text/grounding_internal.h"

#include "base/alloc.h"
#include "text/utf8.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void grounding_free(grounding *grounding)
{
    for (size_t i = 0; i < grounding->count; i++) {
        base_free(grounding->boxes[i].label);
    }
    for (size_t i = 0; i < grounding->problem_count; i++) {
        base_free(grounding->problems[i]);
    }
    base_free(grounding->boxes);
    base_free(grounding->problems);
    *grounding = (struct grounding){0};
}

void grounding_reset(grounding_reader *reader)
{
    grounding_free(reader->out);
    reader->box_capacity = reader->problem_capacity = 0;
}

const char *span_find(span text, const char *part)
{
    return memmem(text.text, text.size, part, strlen(part));
}

/* ------------------------------------------------------------------------------------ results */

static int to_pixel(double value)
{
    return value >= (double)INT_MAX ? INT_MAX : value <= (double)INT_MIN ? INT_MIN : (int)value;
}

vl2_status grounding_add_box(grounding_reader *reader, span label, const double values[4],
                             bool *finite)
{
    grounding *out = reader->out;
    grounding_box box = {0};
    *finite = true;
    for (int i = 0; i < 4; i++) {
        double pixel = values[i] / 999 * (i % 2 == 0 ? reader->width : reader->height);
        *finite = *finite && isfinite(pixel);
        box.normalized[i] = values[i];
        box.pixels[i] = isfinite(pixel) ? to_pixel(pixel) : 0;
    }
    if (!*finite) {
        return VL2_OK;
    }
    if (out->count == reader->box_capacity) {
        size_t capacity = reader->box_capacity == 0 ? 16 : reader->box_capacity * 2;
        grounding_box *boxes = base_realloc(out->boxes, capacity, sizeof(*boxes));
        if (boxes == NULL) {
            return vl2_fail_memory(reader->error, "boxes", capacity * sizeof(*boxes));
        }
        out->boxes = boxes;
        reader->box_capacity = capacity;
    }
    box.label = base_copy_text(label.text, label.size);
    if (box.label == NULL) {
        return vl2_fail_memory(reader->error, "a label", label.size);
    }
    out->boxes[out->count++] = box;
    return VL2_OK;
}

/* At most 60 bytes of a text, whole characters, in one line. */
static void quote(span text, char quoted[72])
{
    size_t size = text.size < 60 ? text.size : 60;
    while (size < text.size && size > 0 && ((unsigned char)text.text[size] & 0xC0) == 0x80) {
        size--;
    }
    for (size_t i = 0; i < size; i++) {
        quoted[i] = (unsigned char)text.text[i] < 0x20 ? ' ' : text.text[i];
    }
    strcpy(quoted + size, size < text.size ? "..." : "");
    text_disarm(quoted);
}

vl2_status grounding_add_problem(grounding_reader *reader, const char *before, span about,
                                 const char *after)
{
    grounding *out = reader->out;
    if (out->problem_count == reader->problem_capacity) {
        size_t capacity = reader->problem_capacity == 0 ? 16 : reader->problem_capacity * 2;
        char **problems = base_realloc(out->problems, capacity, sizeof(*problems));
        if (problems == NULL) {
            return vl2_fail_memory(reader->error, "problems", capacity * sizeof(*problems));
        }
        out->problems = problems;
        reader->problem_capacity = capacity;
    }
    char quoted[72], sentence[256];
    quote(about, quoted);
    snprintf(sentence, sizeof(sentence), "%s\"%s\"%s", before, quoted, after);
    char *problem = base_copy_text(sentence, strlen(sentence));
    if (problem == NULL) {
        return vl2_fail_memory(reader->error, "a problem", sizeof(sentence));
    }
    out->problems[out->problem_count++] = problem;
    return VL2_OK;
}

/* ------------------------------------------------------------------------------------ reference */

/* re.findall(OPEN.*?CLOSE): the dot matches no newline. `line_end` is the newline behind `at`, or
 * the end of the answer; NULL before the first search. */
typedef struct tag_finder {
    const char *open, *close;
    const char *at, *end, *line_end;
} tag_finder;

static tag_finder find_tags(span answer, const char *open, const char *close)
{
    return (tag_finder){open, close, answer.text, answer.text + answer.size, NULL};
}

/* The next match, tags included. */
static bool next_tag(tag_finder *finder, span *match)
{
    for (;;) {
        if (finder->line_end == NULL) {
            const char *newline = memchr(finder->at, '\n', (size_t)(finder->end - finder->at));
            finder->line_end = newline == NULL ? finder->end : newline;
        }
        const char *line_end = finder->line_end;
        const char *open =
            span_find((span){finder->at, (size_t)(line_end - finder->at)}, finder->open);
        const char *inside = open == NULL ? NULL : open + strlen(finder->open);
        const char *close =
            open == NULL ? NULL
                         : span_find((span){inside, (size_t)(line_end - inside)}, finder->close);
        if (close != NULL) {
            finder->at = close + strlen(finder->close);
            *match = (span){open, (size_t)(finder->at - open)};
            return true;
        }
        if (line_end == finder->end) {
            return false;
        }
        finder->at = line_end + 1;
        finder->line_end = NULL;
    }
}

static size_t count_tags(span answer, const char *open, const char *close)
{
    tag_finder finder = find_tags(answer, open, close);
    span match;
    size_t count = 0;
    while (next_tag(&finder, &match)) {
        count++;
    }
    return count;
}

/* Appends text.replace(part, ''). */
static void append_without(buffer *out, span text, const char *part)
{
    for (const char *found; (found = span_find(text, part)) != NULL;) {
        size_t before = (size_t)(found - text.text);
        buffer_append(out, text.text, before);
        text.text += before + strlen(part);
        text.size -= before + strlen(part);
    }
    buffer_append(out, text.text, text.size);
}

/* match.replace(open, '').replace(close, '') */
static bool remove_tags(span match, const char *open, const char *close, buffer *out)
{
    buffer half = {0};
    buffer_clear(out);
    append_without(&half, match, open);
    append_without(out, (span){half.data, half.size}, close);
    bool fits = !half.failed && !out->failed;
    buffer_free(&half);
    return fits;
}

/* text[1:-1] in characters */
static span without_ends(span text)
{
    size_t length;
    uint32_t code;
    if (text.size > 0) {
        utf8_next(text.text, text.size, &length, &code);
        text.text += length;
        text.size -= length;
    }
    return (span){text.text,
                  text.size > 0 ? text.size - utf8_last(text.text, text.size, &code) : 0};
}

/* What eval() makes of "[...]", `list` being the inside: at least four literals, of which the first
 * four are numbers. */
static bool read_list(grounding_reader *reader, span list, double values[4])
{
    literal_reader in = {list.text, list.text + list.size, &reader->scratch, reader->locale};
    size_t count = 0;
    for (literal_skip_space(&in); in.at < in.end; literal_skip_space(&in)) {
        literal_kind kind;
        double value;
        if (!literal_read(&in, &kind, &value) || (count < 4 && kind != LITERAL_NUMBER)) {
            return false;
        }
        if (count < 4) {
            values[count] = value;
        }
        count++;
        literal_skip_space(&in);
        if (in.at < in.end && *in.at++ != ',') {
            return false;
        }
    }
    return count >= 4 && memchr(list.text, '\0', list.size) == NULL;
}

/* re.findall(\[.*?\], box). *accepted is false when the reference gives up. */
static vl2_status read_boxes(grounding_reader *reader, span label, span box, bool *accepted)
{
    const char *end = box.text + box.size;
    size_t before = reader->out->count;
    vl2_status status = VL2_OK;
    while (status == VL2_OK && *accepted) {
        const char *open = memchr(box.text, '[', (size_t)(end - box.text));
        const char *close = open == NULL ? NULL : memchr(open, ']', (size_t)(end - open));
        if (close == NULL) {
            break;
        }
        double values[4];
        *accepted = read_list(reader, (span){open + 1, (size_t)(close - open - 1)}, values);
        if (*accepted) {
            status = grounding_add_box(reader, label, values, accepted);
        }
        box.text = close + 1;
    }
    return status == VL2_OK && *accepted && reader->out->count == before
               ? grounding_add_problem(reader, "", label,
                                       ": found no [x1, y1, x2, y2] inside the brackets")
               : status;
}

/* The boxes that parse_ref_bbox finds; *accepted is false where it returns None. */
static vl2_status read_as_reference(grounding_reader *reader, span answer, bool *accepted)
{
    size_t count = count_tags(answer, REF_OPEN, REF_CLOSE);
    *accepted = count > 0 && count == count_tags(answer, DET_OPEN, DET_CLOSE);
    tag_finder refs = find_tags(answer, REF_OPEN, REF_CLOSE);
    tag_finder dets = find_tags(answer, DET_OPEN, DET_CLOSE);
    buffer label = {0}, box = {0};
    span ref, det;
    vl2_status status = VL2_OK;
    while (*accepted && status == VL2_OK && next_tag(&refs, &ref) && next_tag(&dets, &det)) {
        if (!remove_tags(ref, REF_OPEN, REF_CLOSE, &label) ||
            !remove_tags(det, DET_OPEN, DET_CLOSE, &box)) {
            status = vl2_fail_memory(reader->error, "a label", ref.size);
        } else {
            status = read_boxes(reader, (span){label.data, label.size},
                                without_ends((span){box.data, box.size}), accepted);
        }
    }
    buffer_free(&label);
    buffer_free(&box);
    return status;
}

static vl2_status read_answer(grounding_reader *reader, span answer)
{
    bool accepted;
    vl2_status status = read_as_reference(reader, answer, &accepted);
    if (status == VL2_OK && !accepted) {
        grounding_reset(reader);
        status = grounding_read_lenient(reader, answer);
    }
    reader->out->reference_accepts = accepted;
    return status;
}

vl2_status grounding_parse(const char *answer, size_t size, int width, int height, grounding *out,
                           vl2_error *error)
{
    if (width < 1 || height < 1) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "picture: found %d x %d pixels, expected at least 1 x 1", width, height);
    }
    grounding result = {0};
    grounding_reader reader = {.width = width, .height = height, .out = &result, .error = error};
    reader.locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    buffer text = {0};
    vl2_status status;
    if (reader.locale == (locale_t)0 || !utf8_append_lossy(&text, answer, size) ||
        !buffer_append(&text, "", 0)) {
        status = vl2_fail_memory(error, "an answer", size);
    } else {
        status = read_answer(&reader, (span){text.data, text.size});
    }
    if (reader.locale != (locale_t)0) {
        freelocale(reader.locale);
    }
    buffer_free(&text);
    buffer_free(&reader.scratch);
    if (status != VL2_OK) {
        grounding_free(&result);
        return status;
    }
    *out = result;
    return VL2_OK;
}
