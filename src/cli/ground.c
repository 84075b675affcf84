/* vl2 ground: where in the picture is it? */
#include "cli/command.h"
#include "cli/detections.h"
#include "cli/failure.h"
#include "cli/request.h"
#include "cli/streams.h"
#include "cli/turns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What has been found so far. */
typedef struct findings {
    request request;
    vl2_image *image;
    json_t *results; /* one object per phrase, with --json */
    char *answers;   /* of all phrases, for drawing */
    size_t answers_size;
    FILE *answers_stream;
    bool header; /* the table's first line is printed */
} findings;

/* The reference's prompt for one phrase ("Referring expression" in its README). */
static int build_prompt(const findings *findings, const char *phrase,
                        vl2_conversation **conversation)
{
    const command *command = findings->request.arguments->command;
    vl2_error error;
    char *content;
    if (vl2_conversation_create(conversation, &error) != VL2_OK) {
        return fail_status(command, &error);
    }
    int size = asprintf(&content, "<image>\n<|ref|>%s<|/ref|>.", phrase);
    if (size < 0) {
        return fail_memory(command);
    }
    int code = turns_add_user(command, *conversation, content, (size_t)size, &findings->image, 1);
    free(content);
    return code;
}

static int add_json(findings *findings, const char *phrase, const vl2_answer *answer,
                    const vl2_boxes *boxes)
{
    const command *command = findings->request.arguments->command;
    json_t *entry = json_pack(
        "{s:o, s:o, s:s, s:o, s:o}", "phrase", json_text(phrase, strlen(phrase)), "answer",
        json_text(answer->text, answer->text_size), "finish_reason", finish_text(answer->finish),
        "boxes", detections_json(boxes, true), "problems", detections_problems_json(boxes));
    json_t *counts = request_json(&findings->request, answer);
    bool good = entry != NULL && counts != NULL && json_object_update(entry, counts) == 0 &&
                json_array_append(findings->results, entry) == 0;
    json_decref(counts);
    json_decref(entry);
    return good ? EXIT_CODE_OK : fail_memory(command);
}

static int report_answer(findings *findings, const char *phrase, const vl2_answer *answer)
{
    const arguments *arguments = findings->request.arguments;
    vl2_boxes *boxes;
    vl2_error error;
    if (vl2_boxes_parse(answer->text, answer->text_size, vl2_image_width(findings->image),
                        vl2_image_height(findings->image), &boxes, &error) != VL2_OK) {
        return fail_status(arguments->command, &error);
    }
    int code = EXIT_CODE_OK;
    fwrite(answer->text, 1, answer->text_size, findings->answers_stream);
    fputc('\n', findings->answers_stream);
    detections_report(arguments->command, boxes);
    if (argument(arguments, OPTION_JSON)->on) {
        code = add_json(findings, phrase, answer, boxes);
    } else if (vl2_boxes_count(boxes) == 0) {
        printf("no box found for \"%s\"\n", phrase);
    } else {
        if (!findings->header) {
            detections_print_header();
        }
        findings->header = true;
        detections_print(boxes);
    }
    fflush(stdout);
    vl2_boxes_close(boxes);
    return code;
}

static int find_phrase(findings *findings, const char *phrase)
{
    vl2_conversation *conversation = NULL;
    vl2_answer answer;
    int code = build_prompt(findings, phrase, &conversation);
    if (code == EXIT_CODE_OK) {
        code = request_generate(&findings->request, conversation, NULL, NULL, &answer);
        if (code == EXIT_CODE_OK) {
            code = report_answer(findings, phrase, &answer);
        }
        if (code == EXIT_CODE_OK) {
            request_summary(&findings->request, &answer);
        }
        vl2_answer_clear(&answer);
    }
    vl2_conversation_close(conversation);
    return code;
}

/* All phrases' boxes in one picture. */
static int draw(findings *findings, const char *path)
{
    vl2_boxes *boxes = NULL;
    vl2_image *drawn = NULL;
    vl2_error error;
    if (fflush(findings->answers_stream) != 0) {
        return fail_memory(findings->request.arguments->command);
    }
    vl2_status status =
        vl2_boxes_parse(findings->answers, findings->answers_size, vl2_image_width(findings->image),
                        vl2_image_height(findings->image), &boxes, &error);
    if (status == VL2_OK) {
        status = vl2_image_draw_boxes(findings->image, boxes, &drawn, &error);
    }
    if (status == VL2_OK) {
        status = vl2_image_write_png(drawn, path, &error);
    }
    vl2_image_release(drawn);
    vl2_boxes_close(boxes);
    return status == VL2_OK ? EXIT_CODE_OK
                            : fail_status(findings->request.arguments->command, &error);
}

static int print_results(findings *findings)
{
    const command *command = findings->request.arguments->command;
    json_t *object =
        json_pack("{s:{s:i, s:i}, s:O}", "image", "width", vl2_image_width(findings->image),
                  "height", vl2_image_height(findings->image), "phrases", findings->results);
    return print_json(command, object);
}

static int find_all(findings *findings)
{
    const arguments *arguments = findings->request.arguments;
    const char *path = argument(arguments, OPTION_DRAW)->text;
    int code = request_open_session(&findings->request);
    for (size_t i = 0; code == EXIT_CODE_OK && i < arguments->operand_count; i++) {
        code = find_phrase(findings, arguments->operands[i]);
    }
    if (code == EXIT_CODE_OK && argument(arguments, OPTION_JSON)->on) {
        code = print_results(findings);
    }
    if (code == EXIT_CODE_OK && path != NULL) {
        code = draw(findings, path);
    }
    return finish_output(arguments->command, code);
}

static int run_ground(const arguments *arguments)
{
    const char *picture = argument(arguments, OPTION_IMAGE)->text;
    if (picture == NULL) {
        return fail_usage(arguments->command, "no picture: give --image FILE");
    }
    if (arguments->operand_count == 0) {
        return fail_usage(arguments->command,
                          "nothing to look for: give a phrase such as \"the red car\"");
    }
    findings findings;
    memset(&findings, 0, sizeof(findings));
    int code = request_open(&findings.request, arguments, false);
    if (code == EXIT_CODE_OK) {
        code = turns_picture(arguments, picture, &findings.image);
    }
    if (code == EXIT_CODE_OK) {
        findings.results = json_array();
        findings.answers_stream = open_memstream(&findings.answers, &findings.answers_size);
        code = findings.results != NULL && findings.answers_stream != NULL
                   ? find_all(&findings)
                   : fail_memory(arguments->command);
    }
    if (findings.answers_stream != NULL) {
        fclose(findings.answers_stream);
    }
    free(findings.answers);
    json_decref(findings.results);
    vl2_image_release(findings.image);
    request_close(&findings.request);
    return code;
}

const command command_ground = {
    "ground",
    COMMAND_GROUND,
    "[-m MODEL] --image FILE [options] PHRASE...",
    "Find things in a picture: boxes in pixels",
    "Asks a model where in a picture something is, once for each phrase, and prints the boxes in "
    "the picture's pixels and as the model wrote them (0 to 999 across the picture).",
    "  vl2 ground -m deepseek-vl2-small --image zoo.jpg \"the giraffe at the back\"\n"
    "  vl2 ground -m deepseek-vl2-small --image street.jpg \"the red car\" \"a tree\" \\\n"
    "      --draw found.png --json\n",
    1000,
    run_ground,
};
