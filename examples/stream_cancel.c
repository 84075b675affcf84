/* An answer that another thread stops:
 *
 *     stream_cancel MODEL QUESTION TOKENS
 *
 * The first thread generates without end; the second waits until TOKENS tokens have come and
 * cancels. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vl2.h>

typedef struct watch {
    vl2_session *session;
    atomic_int tokens; /* come so far */
    int most;
} watch;

static bool count_piece(const char *text, size_t size, int32_t token, void *user)
{
    watch *watch = user;
    (void)token;
    fwrite(text, 1, size, stdout);
    fflush(stdout);
    atomic_fetch_add(&watch->tokens, 1);
    return true;
}

static void *cancel_when_enough(void *user)
{
    watch *watch = user;
    const struct timespec pause = {0, 1000000};
    while (atomic_load(&watch->tokens) < watch->most) {
        nanosleep(&pause, NULL);
    }
    vl2_session_cancel(
        watch->session); /* the only call that another thread may make on a session */
    return NULL;
}

static vl2_status generate(watch *watch, const vl2_conversation *conversation, vl2_error *error)
{
    pthread_t thread;
    vl2_answer answer;
    vl2_generate_options options;
    vl2_generate_options_defaults(&options);
    options.max_tokens = 100000;
    options.ignore_end = true;
    memset(&answer, 0, sizeof(answer));
    if (pthread_create(&thread, NULL, cancel_when_enough, watch) != 0) {
        snprintf(error->message, sizeof(error->message), "no thread can be made");
        return VL2_ERROR_MEMORY;
    }
    vl2_status status = vl2_session_generate(watch->session, conversation, &options, count_piece,
                                             watch, &answer, error);
    atomic_store(&watch->tokens,
                 watch->most); /* lets the thread go if the answer ended by itself */
    pthread_join(thread, NULL);
    if (status == VL2_OK) {
        printf("\n(%s after %zu tokens)\n",
               answer.finish == VL2_FINISH_CANCELLED ? "cancelled" : "ended by itself",
               answer.token_count);
    }
    vl2_answer_clear(&answer);
    return status;
}

int main(int count, char **words)
{
    vl2_model *model = NULL;
    vl2_conversation *conversation = NULL;
    watch watch = {NULL, 0, 0};
    vl2_error error;
    if (count != 4) {
        fprintf(stderr, "usage: stream_cancel MODEL QUESTION TOKENS\n");
        return 2;
    }
    watch.most = atoi(words[3]);
    vl2_session_options options;
    vl2_session_options_defaults(&options);
    bool good = vl2_model_open(words[1], NULL, &model, &error) == VL2_OK &&
                vl2_session_open(model, &options, &watch.session, &error) == VL2_OK &&
                vl2_conversation_create(&conversation, &error) == VL2_OK &&
                vl2_conversation_add(conversation, "user", words[2], strlen(words[2]), NULL, 0,
                                     &error) == VL2_OK &&
                generate(&watch, conversation, &error) == VL2_OK;
    if (!good) {
        fprintf(stderr, "%s\n", error.message);
    }
    vl2_conversation_close(conversation);
    vl2_session_close(watch.session);
    vl2_model_close(model);
    return good ? 0 : 1;
}
