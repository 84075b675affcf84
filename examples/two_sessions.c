/* Two conversations at once on one model, each in a thread of its own:
 *
 *     two_sessions MODEL QUESTION QUESTION
 *
 * The weights are there once; each session has its own KV cache and work space. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <vl2.h>

typedef struct worker {
    vl2_model *model; /* shared: a model may be used by several threads */
    const char *question;
    vl2_answer answer;
    vl2_error error;
    vl2_status status;
    uint64_t memory; /* bytes of its session */
} worker;

static vl2_status ask(worker *worker, vl2_conversation *conversation)
{
    vl2_session *session;
    vl2_session_options session_options;
    vl2_generate_options options;
    vl2_session_options_defaults(&session_options);
    vl2_generate_options_defaults(&options);
    session_options.context = 512;
    session_options.threads = 1;
    options.max_tokens = 16;
    vl2_status status = vl2_session_open(worker->model, &session_options, &session, &worker->error);
    if (status == VL2_OK) {
        status = vl2_session_generate(session, conversation, &options, NULL, NULL, &worker->answer,
                                      &worker->error);
        worker->memory = vl2_session_memory(session);
        vl2_session_close(session);
    }
    return status;
}

static void *work(void *user)
{
    worker *worker = user;
    vl2_conversation *conversation;
    worker->status = vl2_conversation_create(&conversation, &worker->error);
    if (worker->status != VL2_OK) {
        return NULL;
    }
    worker->status = vl2_conversation_add(conversation, "user", worker->question,
                                          strlen(worker->question), NULL, 0, &worker->error);
    if (worker->status == VL2_OK) {
        worker->status = ask(worker, conversation);
    }
    vl2_conversation_close(conversation);
    return NULL;
}

int main(int count, char **words)
{
    vl2_model *model;
    vl2_error error;
    if (count != 4) {
        fprintf(stderr, "usage: two_sessions MODEL QUESTION QUESTION\n");
        return 2;
    }
    if (vl2_model_open(words[1], NULL, &model, &error) != VL2_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    worker workers[2];
    pthread_t threads[2];
    int started = 0, failures = 0;
    memset(workers, 0, sizeof(workers));
    for (int i = 0; i < 2; i++) {
        workers[i].model = model;
        workers[i].question = words[2 + i];
        started += pthread_create(&threads[i], NULL, work, &workers[i]) == 0;
        if (started <= i) {
            fprintf(stderr, "no thread can be made\n");
            failures++;
            break;
        }
    }
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
        if (workers[i].status == VL2_OK) {
            printf("%s\n  %s\n  (%llu bytes)\n", workers[i].question, workers[i].answer.text,
                   (unsigned long long)workers[i].memory);
        } else {
            fprintf(stderr, "%s: %s\n", workers[i].question, workers[i].error.message);
            failures++;
        }
        vl2_answer_clear(&workers[i].answer);
    }
    vl2_model_close(model);
    return failures;
}
