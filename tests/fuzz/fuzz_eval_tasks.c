/* Fuzzes eval_tasks_read: any file is read or refused with a sentence. By hand:
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Isrc \
 *         tests/fuzz/fuzz_eval_tasks.c src/cli/eval_{tasks,messages,expected,score,boxes,text}.c \
 *         src/cli/characters.c -lvl2 -ljansson -lm -o fuzz_eval_tasks && ./fuzz_eval_tasks CORPUS
 */
#include "cli/eval_tasks.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_task(const eval_task *task)
{
    size_t asked = 0, scored = 0;
    for (size_t i = 0; i < task->message_count; i++) {
        const eval_message *message = &task->messages[i];
        if (strlen(message->content) != message->size) {
            abort();
        }
        asked += message->asked;
        scored += message->expected != NULL;
    }
    if (asked != task->asked_count || scored != task->scored_count || scored == 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    eval_tasks tasks;
    vl2_error error = {VL2_OK, ""};
    vl2_status status =
        eval_tasks_read("folder/tasks.jsonl", (const char *)data, size, &tasks, &error);
    if (status != VL2_OK && error.message[0] == '\0') {
        abort();
    }
    for (size_t i = 0; i < tasks.count; i++) {
        check_task(&tasks.list[i]);
    }
    eval_tasks_clear(&tasks);
    return 0;
}
