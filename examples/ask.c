/* One question about one picture:
 *
 *     ask MODEL PICTURE QUESTION
 *
 * Build it against an installed vl2 with: cc ask.c $(pkg-config --cflags --libs vl2) -o ask */
#include <stdio.h>
#include <string.h>
#include <vl2.h>

/* Each piece of the answer as it comes. Returning false would end the answer. */
static bool print_piece(const char *text, size_t size, int32_t token, void *user)
{
    (void)token;
    (void)user;
    return fwrite(text, 1, size, stdout) == size && fflush(stdout) == 0;
}

static vl2_status answer(vl2_model *model, const vl2_conversation *conversation, vl2_error *error)
{
    vl2_session *session;
    vl2_session_options session_options;
    vl2_session_options_defaults(&session_options);
    vl2_status status = vl2_session_open(model, &session_options, &session, error);
    if (status != VL2_OK) {
        return status;
    }
    vl2_generate_options options;
    vl2_answer answer;
    vl2_generate_options_defaults(&options);
    options.max_tokens = 32;
    memset(&answer, 0, sizeof(answer));
    status =
        vl2_session_generate(session, conversation, &options, print_piece, NULL, &answer, error);
    if (status == VL2_OK) {
        printf("\n(%zu tokens of the prompt, %zu of these for the picture; %zu of the answer)\n",
               answer.prompt_tokens, answer.image_tokens, answer.token_count);
    }
    vl2_answer_clear(&answer);
    vl2_session_close(session);
    return status;
}

/* The picture comes first, then the question. */
static vl2_status add_question(vl2_conversation *conversation, const char *picture,
                               const char *question, vl2_error *error)
{
    char content[1000];
    vl2_image *image;
    vl2_status status = vl2_image_open(picture, 0, &image, error);
    if (status != VL2_OK) {
        return status;
    }
    snprintf(content, sizeof(content), "<image>\n%s", question);
    status = vl2_conversation_add(conversation, "user", content, strlen(content), &image, 1, error);
    vl2_image_release(image); /* the conversation keeps its own reference */
    return status;
}

int main(int count, char **words)
{
    vl2_model *model = NULL;
    vl2_conversation *conversation = NULL;
    vl2_error error;
    if (count != 4) {
        fprintf(stderr, "usage: ask MODEL PICTURE QUESTION\n");
        return 2;
    }
    bool good = vl2_model_open(words[1], NULL, &model, &error) == VL2_OK &&
                vl2_conversation_create(&conversation, &error) == VL2_OK &&
                add_question(conversation, words[2], words[3], &error) == VL2_OK &&
                answer(model, conversation, &error) == VL2_OK;
    if (!good) {
        fprintf(stderr, "%s\n", error.message);
    }
    vl2_conversation_close(conversation);
    vl2_model_close(model);
    return good ? 0 : 1;
}
