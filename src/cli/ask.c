/* vl2 ask: one question, one answer. */
#include "cli/command.h"
#include "cli/detections.h"
#include "cli/failure.h"
#include "cli/request.h"
#include "cli/streams.h"
#include "cli/turns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The question from -p, -f or the operand into *text (free); NULL if there is none, which is right
 * only with a conversation. */
static int read_question(const arguments *arguments, char **text, size_t *size)
{
    const char *prompt = argument(arguments, OPTION_PROMPT)->text;
    const char *file = argument(arguments, OPTION_FILE)->text;
    const char *word = arguments->operand_count > 0 ? arguments->operands[0] : NULL;
    if ((prompt != NULL) + (file != NULL) + (word != NULL) > 1) {
        return fail_usage(arguments->command, "several questions: found more than one of -p, -f "
                                              "and a word, expected one");
    }
    prompt = prompt != NULL ? prompt : word;
    if (file == NULL && prompt != NULL && strcmp(prompt, "-") == 0) {
        file = "-";
    }
    if (file != NULL) {
        return read_all(arguments->command, file, text, size);
    }
    if (prompt == NULL) {
        return EXIT_CODE_OK;
    }
    *size = strlen(prompt);
    *text = strdup(prompt);
    return *text != NULL ? EXIT_CODE_OK : fail_memory(arguments->command);
}

static int check_usage(const arguments *arguments, bool question)
{
    bool file = argument(arguments, OPTION_CONVERSATION)->text != NULL;
    if (!question && !file) {
        return fail_usage(arguments->command,
                          "no question: give -p TEXT, -f FILE or --conversation FILE");
    }
    if (!question && argument(arguments, OPTION_IMAGE)->count > 0) {
        return fail_usage(arguments->command, "--image needs a question (-p or -f)");
    }
    if (file && argument(arguments, OPTION_SYSTEM)->text != NULL) {
        return fail_usage(arguments->command,
                          "--system and --conversation: put the system message into the file");
    }
    return EXIT_CODE_OK;
}

/* The answer as one JSON object. */
static int print_answer(const request *request, const vl2_conversation *conversation,
                        const vl2_answer *answer)
{
    const command *command = request->arguments->command;
    json_t *result =
        json_pack("{s:o, s:o, s:s, s:o}", "answer", json_text(answer->text, answer->text_size),
                  "tokens", detections_tokens(answer->tokens, answer->token_count), "finish_reason",
                  finish_text(answer->finish), "model",
                  json_text(request_model_path(request->arguments),
                            strlen(request_model_path(request->arguments))));
    json_t *counts = request_json(request, answer);
    int code = detections_add(command, result, conversation, answer->text, answer->text_size);
    if (result == NULL || counts == NULL || json_object_update(result, counts) != 0) {
        code = code == EXIT_CODE_OK ? fail_memory(command) : code;
    }
    json_decref(counts);
    if (code != EXIT_CODE_OK) {
        json_decref(result);
        return code;
    }
    return finish_output(command, print_json(command, result));
}

static int answer_question(request *request, const vl2_conversation *conversation)
{
    const command *command = request->arguments->command;
    bool json = argument(request->arguments, OPTION_JSON)->on;
    answer_stream stream = {.progress = &request->progress};
    vl2_answer answer;
    int code = request_generate(request, conversation, json ? NULL : answer_stream_write, &stream,
                                &answer);
    if (answer.text != NULL && (code == EXIT_CODE_OK || code == EXIT_CODE_INTERRUPTED)) {
        int finished = json ? print_answer(request, conversation, &answer)
                            : answer_stream_end(command, &stream);
        code = code == EXIT_CODE_OK ? finished : code;
    }
    if (code == EXIT_CODE_OK) {
        request_summary(request, &answer);
    }
    vl2_answer_clear(&answer);
    return code;
}

static int ask(const arguments *arguments, const char *text, size_t size)
{
    request request;
    pictures pictures = {NULL, 0};
    vl2_conversation *conversation = NULL;
    int code = request_open(&request, arguments, !argument(arguments, OPTION_JSON)->on);
    if (code == EXIT_CODE_OK) {
        code = pictures_open(arguments, &pictures);
    }
    if (code == EXIT_CODE_OK) {
        code = turns_begin(arguments, text != NULL, &conversation);
    }
    if (code == EXIT_CODE_OK && text != NULL) {
        code = turns_add_user(arguments->command, conversation, text, size, pictures.images,
                              pictures.count);
    }
    if (code == EXIT_CODE_OK) {
        code = request_open_session(&request);
    }
    if (code == EXIT_CODE_OK) {
        code = answer_question(&request, conversation);
    }
    vl2_conversation_close(conversation);
    pictures_clear(&pictures);
    request_close(&request);
    return code;
}

static int run_ask(const arguments *arguments)
{
    char *text = NULL;
    size_t size = 0;
    int code = read_question(arguments, &text, &size);
    if (code == EXIT_CODE_OK) {
        code = check_usage(arguments, text != NULL);
    }
    if (code == EXIT_CODE_OK) {
        code = ask(arguments, text, size);
    }
    free(text);
    return code;
}

const command command_ask = {
    "ask",
    COMMAND_ASK,
    "[-m MODEL] [--image FILE]... -p TEXT [options]",
    "Ask a question about pictures",
    "Asks a model one question, with or without pictures. The answer goes to standard output as it "
    "comes, everything else to standard error.",
    "  vl2 ask -m deepseek-vl2-tiny --image cat.jpg -p \"What is the cat doing?\"\n"
    "  vl2 ask -m deepseek-vl2-tiny --image a.png --image b.png \\\n"
    "      -p \"First: <image> Second: <image> What changed?\"\n"
    "  git diff | vl2 ask -m deepseek-vl2-small --system \"Be brief.\" -f -\n"
    "  vl2 ask -m deepseek-vl2-tiny --image receipt.jpg -p \"The sum?\" --json\n",
    1,
    run_ask,
};
