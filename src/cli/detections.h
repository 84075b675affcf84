/* Boxes of answers as JSON and as a table: shared by ask, ground and boxes. */
#ifndef CLI_DETECTIONS_H
#define CLI_DETECTIONS_H

#include "cli/command.h"
#include "vl2.h"

#include <jansson.h>

/* [{"label", "box": [x1, y1, x2, y2] of 0-999, "box_px": in pixels}]; NULL without memory. `sized`:
 * the picture's size was known, otherwise box_px is null. */
json_t *detections_json(const vl2_boxes *boxes, bool sized);
/* What could not be read, as a list of texts. */
json_t *detections_problems_json(const vl2_boxes *boxes);
/* Token ids as a list. */
json_t *detections_tokens(const int32_t *tokens, size_t count);

/* Adds "images", "boxes" and "problems" of an answer to an object. Pixels are known when the
 * conversation has exactly one picture. Reports failures. */
int detections_add(const command *command, json_t *object, const vl2_conversation *conversation,
                   const char *answer, size_t size);

/* A table on standard output; nothing if there is no box. */
void detections_print_header(void);
void detections_print(const vl2_boxes *boxes);
/* One line per problem on standard error. */
void detections_report(const command *command, const vl2_boxes *boxes);

#endif
