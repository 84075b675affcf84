/* vl2 boxes: reads the boxes of an answer. */
#include "cli/command.h"
#include "cli/detections.h"
#include "cli/failure.h"
#include "cli/streams.h"

#include <stdio.h>
#include <stdlib.h>

/* "640x480" */
static bool parse_size(const char *text, int *width, int *height)
{
    char rest;
    return sscanf(text, "%9dx%9d%c", width, height, &rest) == 2 && *width > 0 && *height > 0;
}

/* The list of the reference's parse_ref_bbox, or null where it gives up. */
static json_t *reference_json(const vl2_boxes *boxes)
{
    if (!vl2_boxes_reference_accepts(boxes)) {
        return json_null();
    }
    json_t *list = detections_json(boxes, true);
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_object_del(json_array_get(list, i), "box");
    }
    return list;
}

static int print_boxes(const arguments *arguments, const char *text, size_t size, int width,
                       int height)
{
    vl2_boxes *boxes;
    vl2_error error;
    if (vl2_boxes_parse(text, size, width, height, &boxes, &error) != VL2_OK) {
        return fail_status(arguments->command, &error);
    }
    int code = EXIT_CODE_OK;
    detections_report(arguments->command, boxes);
    if (argument(arguments, OPTION_JSON)->on) {
        code = print_json(arguments->command, reference_json(boxes));
    } else if (vl2_boxes_count(boxes) == 0) {
        puts("no box");
    } else {
        detections_print_header();
        detections_print(boxes);
    }
    vl2_boxes_close(boxes);
    return finish_output(arguments->command, code);
}

static int run_boxes(const arguments *arguments)
{
    const char *size_text = argument(arguments, OPTION_SIZE)->text;
    int width, height;
    if (size_text == NULL) {
        return fail_usage(arguments->command, "no size: give --size WIDTHxHEIGHT of the picture");
    }
    if (!parse_size(size_text, &width, &height)) {
        return fail_usage(arguments->command,
                          "--size: found \"%s\", expected WIDTHxHEIGHT such as 640x480", size_text);
    }
    char *text;
    size_t size;
    int code = read_all(arguments->command, "-", &text, &size);
    if (code == EXIT_CODE_OK) {
        code = print_boxes(arguments, text, size, width, height);
        free(text);
    }
    return code;
}

const command command_boxes = {
    "boxes",
    COMMAND_BOXES,
    "--size WxH [--json]",
    "Read the boxes of an answer",
    "Reads an answer with <|ref|>label<|/ref|><|det|>[[x1, y1, x2, y2]]<|/det|> on standard input "
    "and prints labels and boxes in pixels. With --json the result is what the reference's "
    "parse_ref_bbox gives: a list, or null where that gives up on the whole answer.",
    "  vl2 boxes --size 640x480 < answer.txt\n",
    0,
    run_boxes,
};
