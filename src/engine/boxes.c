/* vl2_boxes: parsed from an answer, drawn on a picture. */
#include "engine/image.h"

#include "base/alloc.h"
#include "image/draw.h"
#include "text/grounding.h"

#include <string.h>

struct vl2_boxes {
    grounding grounding;
    vl2_box *boxes; /* [grounding.count], labels borrowed from grounding */
};

vl2_status vl2_boxes_parse(const char *answer, size_t size, int width, int height,
                           vl2_boxes **boxes, vl2_error *error)
{
    if (width < 1 || height < 1) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "the picture's size: found %d x %d, expected sides of at least 1", width,
                        height);
    }
    vl2_boxes *parsed = base_calloc(1, sizeof(*parsed));
    if (parsed == NULL) {
        return vl2_fail_memory(error, "boxes", sizeof(*parsed));
    }
    vl2_status status =
        grounding_parse(answer, size, width, height, &parsed->grounding, error);
    if (status != VL2_OK) {
        base_free(parsed);
        return status;
    }
    size_t count = parsed->grounding.count;
    parsed->boxes = base_calloc(count, sizeof(*parsed->boxes));
    if (parsed->boxes == NULL) {
        vl2_boxes_close(parsed);
        return vl2_fail_memory(error, "boxes", count * sizeof(vl2_box));
    }
    for (size_t i = 0; i < count; i++) {
        const grounding_box *from = &parsed->grounding.boxes[i];
        parsed->boxes[i].label = from->label;
        memcpy(parsed->boxes[i].normalized, from->normalized, sizeof(from->normalized));
        memcpy(parsed->boxes[i].pixels, from->pixels, sizeof(from->pixels));
    }
    *boxes = parsed;
    return VL2_OK;
}

void vl2_boxes_close(vl2_boxes *boxes)
{
    if (boxes != NULL) {
        grounding_free(&boxes->grounding);
        base_free(boxes->boxes);
        base_free(boxes);
    }
}

size_t vl2_boxes_count(const vl2_boxes *boxes)
{
    return boxes->grounding.count;
}

const vl2_box *vl2_boxes_get(const vl2_boxes *boxes, size_t index)
{
    return index < boxes->grounding.count ? &boxes->boxes[index] : NULL;
}

size_t vl2_boxes_problem_count(const vl2_boxes *boxes)
{
    return boxes->grounding.problem_count;
}

const char *vl2_boxes_problem(const vl2_boxes *boxes, size_t index)
{
    return index < boxes->grounding.problem_count ? boxes->grounding.problems[index] : NULL;
}

bool vl2_boxes_reference_accepts(const vl2_boxes *boxes)
{
    return boxes->grounding.reference_accepts;
}

/* Equal labels get equal colours, in the order of their first box. */
static int color_of(const vl2_boxes *boxes, const draw_box *drawn, size_t index)
{
    int next = 0;
    for (size_t i = 0; i < index; i++) {
        if (strcmp(boxes->boxes[i].label, boxes->boxes[index].label) == 0) {
            return drawn[i].color;
        }
        next = drawn[i].color >= next ? drawn[i].color + 1 : next;
    }
    return next;
}

vl2_status vl2_image_draw_boxes(const vl2_image *image, const vl2_boxes *boxes, vl2_image **drawn,
                                vl2_error *error)
{
    size_t count = boxes->grounding.count;
    draw_box *list = base_calloc(count, sizeof(*list));
    if (list == NULL) {
        return vl2_fail_memory(error, "boxes", count * sizeof(*list));
    }
    for (size_t i = 0; i < count; i++) {
        const vl2_box *box = &boxes->boxes[i];
        list[i] = (draw_box){box->pixels[0], box->pixels[1], box->pixels[2], box->pixels[3],
                             box->label, color_of(boxes, list, i)};
    }
    image_rgb pixels;
    vl2_status status = image_draw_boxes(&image->rgb, list, count, &pixels, error);
    base_free(list);
    if (status != VL2_OK) {
        return status;
    }
    vl2_image *result = engine_image_adopt(&pixels);
    if (result == NULL) {
        return vl2_fail_memory(error, "a picture", sizeof(*result));
    }
    *drawn = result;
    return VL2_OK;
}
