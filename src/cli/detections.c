#include "cli/detections.h"
#include "cli/failure.h"
#include "cli/streams.h"

#include <stdio.h>
#include <string.h>

json_t *detections_json(const vl2_boxes *boxes, bool sized)
{
    json_t *list = json_array();
    for (size_t i = 0; i < vl2_boxes_count(boxes); i++) {
        const vl2_box *box = vl2_boxes_get(boxes, i);
        const double *at = box->normalized;
        json_t *pixels = sized ? json_pack("[i, i, i, i]", box->pixels[0], box->pixels[1],
                                           box->pixels[2], box->pixels[3])
                               : json_null();
        json_t *entry =
            json_pack("{s:o, s:[o, o, o, o], s:o}", "label",
                      json_text(box->label, strlen(box->label)), "box", json_number(at[0]),
                      json_number(at[1]), json_number(at[2]), json_number(at[3]), "box_px", pixels);
        if (json_array_append_new(list, entry) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

json_t *detections_problems_json(const vl2_boxes *boxes)
{
    json_t *list = json_array();
    for (size_t i = 0; i < vl2_boxes_problem_count(boxes); i++) {
        const char *problem = vl2_boxes_problem(boxes, i);
        if (json_array_append_new(list, json_text(problem, strlen(problem))) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

json_t *detections_tokens(const int32_t *tokens, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        if (json_array_append_new(list, json_integer(tokens[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *image_sizes(const vl2_conversation *conversation)
{
    json_t *list = json_array();
    for (size_t i = 0; i < vl2_conversation_image_count(conversation); i++) {
        const vl2_image *image = vl2_conversation_image(conversation, i);
        json_t *size = json_pack("{s:i, s:i}", "width", vl2_image_width(image), "height",
                                 vl2_image_height(image));
        if (json_array_append_new(list, size) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

int detections_add(const command *command, json_t *object, const vl2_conversation *conversation,
                   const char *answer, size_t size)
{
    bool sized = vl2_conversation_image_count(conversation) == 1;
    const vl2_image *image = sized ? vl2_conversation_image(conversation, 0) : NULL;
    vl2_boxes *boxes;
    vl2_error error;
    if (vl2_boxes_parse(answer, size, sized ? vl2_image_width(image) : 1,
                        sized ? vl2_image_height(image) : 1, &boxes, &error) != VL2_OK) {
        return fail_status(command, &error);
    }
    bool good = json_object_set_new(object, "images", image_sizes(conversation)) == 0 &&
                json_object_set_new(object, "boxes", detections_json(boxes, sized)) == 0 &&
                json_object_set_new(object, "problems", detections_problems_json(boxes)) == 0;
    vl2_boxes_close(boxes);
    return good ? EXIT_CODE_OK : fail_memory(command);
}

void detections_print_header(void)
{
    printf("%6s %6s %6s %6s   %-24s %s\n", "x1", "y1", "x2", "y2", "of 0-999", "label");
}

void detections_print(const vl2_boxes *boxes)
{
    for (size_t i = 0; i < vl2_boxes_count(boxes); i++) {
        const vl2_box *box = vl2_boxes_get(boxes, i);
        char normalized[120];
        snprintf(normalized, sizeof(normalized), "[%.6g, %.6g, %.6g, %.6g]", box->normalized[0],
                 box->normalized[1], box->normalized[2], box->normalized[3]);
        printf("%6d %6d %6d %6d   %-24s ", box->pixels[0], box->pixels[1], box->pixels[2],
               box->pixels[3], normalized);
        write_text(box->label, strlen(box->label));
        putchar('\n');
    }
}

void detections_report(const command *command, const vl2_boxes *boxes)
{
    for (size_t i = 0; i < vl2_boxes_problem_count(boxes); i++) {
        fail(command, EXIT_CODE_OK, "not readable: %s", vl2_boxes_problem(boxes, i));
    }
}
