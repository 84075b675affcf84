/* What the tasks of vl2 eval say to the model: questions and conversations with their pictures. */
#include "cli/eval_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAG "<image>"

/* ------------------------------------------------------------------------------- pictures */

static size_t count_tags(const char *text, size_t size)
{
    size_t tags = 0, length = strlen(TAG);
    for (const char *at = text; (at = memmem(at, size - (size_t)(at - text), TAG, length));
         at += length) {
        tags++;
    }
    return tags;
}

/* A path as it can be opened: relative ones begin at the folder of the file. */
static char *picture_path(const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    int folder = path[0] != '/' && slash != NULL ? (int)(slash - file) + 1 : 0;
    char *joined;
    return asprintf(&joined, "%.*s%s", folder, file, path) < 0 ? NULL : joined;
}

/* Adds pictures first .. first + count - 1 of a list to a message. */
static vl2_status add_pictures(const eval_reader *reader, const json_t *list, size_t first,
                               size_t count, eval_message *message)
{
    message->pictures = calloc(count + 1, sizeof(*message->pictures));
    if (message->pictures == NULL) {
        return eval_fail_memory(reader);
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *path = json_array_get(list, first + i);
        if (!json_is_string(path) || json_string_length(path) == 0) {
            return eval_fail(reader, "images", path, "the path of a picture");
        }
        message->pictures[i] = picture_path(reader->file, json_string_value(path));
        if (message->pictures[i] == NULL) {
            return eval_fail_memory(reader);
        }
        message->picture_count++;
    }
    return VL2_OK;
}

/* Puts an <image> for each picture before a text that has none, as vl2 ask does. */
static vl2_status set_content(const eval_reader *reader, const char *text, size_t size,
                              const char *field, eval_message *message)
{
    size_t tags = count_tags(text, size), pictures = message->picture_count, added;
    if (tags > 0 && tags != pictures) {
        char found[40], wanted[60];
        snprintf(found, sizeof(found), "%zu " TAG, tags);
        snprintf(wanted, sizeof(wanted), "one for each of %zu picture%s", pictures,
                 pictures == 1 ? "" : "s");
        return eval_fail_text(reader, field, found, wanted);
    }
    added = tags == 0 ? pictures * strlen(TAG "\n") : 0;
    message->content = malloc(added + size + 1);
    if (message->content == NULL) {
        return eval_fail_memory(reader);
    }
    for (size_t at = 0; at < added; at += strlen(TAG "\n")) {
        memcpy(message->content + at, TAG "\n", strlen(TAG "\n"));
    }
    memcpy(message->content + added, text, size);
    message->size = added + size;
    message->content[message->size] = '\0';
    return VL2_OK;
}

static vl2_status check_list(const eval_reader *reader, const json_t *images)
{
    return images == NULL || json_is_array(images)
               ? VL2_OK
               : eval_fail(reader, "images", images, "a list of paths");
}

/* ------------------------------------------------------------------------------- messages */

static bool is_role(const char *role, const char *a, const char *b)
{
    return role != NULL && (strcmp(role, a) == 0 || strcmp(role, b) == 0);
}

static bool is_user(const char *role)
{
    return is_role(role, "user", "<|User|>");
}

static bool is_assistant(const char *role)
{
    return is_role(role, "assistant", "<|Assistant|>");
}

/* Pictures that a task has for all its messages together, and how many were given out. */
typedef struct common_pictures {
    const json_t *list; /* NULL: the messages have their own */
    size_t used;
    bool in_first; /* no text has an <image>: all of them belong to the first message of a user */
} common_pictures;

static vl2_status read_message_pictures(const eval_reader *reader, const json_t *object,
                                        const json_t *content, common_pictures *common,
                                        eval_message *message)
{
    const json_t *own = json_object_get(object, "images");
    vl2_status status = check_list(reader, own);
    if (status != VL2_OK) {
        return status;
    }
    if (own != NULL && json_array_size(own) > 0 && !is_user(message->role)) {
        return eval_fail(reader, "images", own, "pictures in messages of a user only");
    }
    if (own != NULL && common->list != NULL) {
        return eval_fail(reader, "images", own,
                         "\"images\" of the task or of its messages, not both");
    }
    if (own != NULL || common->list == NULL || !is_user(message->role)) {
        return add_pictures(reader, own, 0, json_array_size(own), message);
    }
    size_t rest = json_array_size(common->list) - common->used;
    size_t count = common->in_first
                       ? rest
                       : count_tags(json_string_value(content), json_string_length(content));
    count = count < rest ? count : rest; /* set_content says that there are too few */
    status = add_pictures(reader, common->list, common->used, count, message);
    common->used += count;
    return status;
}

static vl2_status read_role(const eval_reader *reader, const json_t *object, bool first,
                            eval_message *message)
{
    const json_t *role = json_object_get(object, "role");
    message->role = json_string_value(role);
    bool system = is_role(message->role, "system", "deepseekapi-sys");
    if (is_user(message->role) || is_assistant(message->role) || (system && first)) {
        return VL2_OK;
    }
    return eval_fail(reader, "role", role, "\"user\", \"assistant\", or first \"system\"");
}

static vl2_status read_message(const eval_reader *reader, const json_t *object, bool first,
                               common_pictures *common, size_t pictures, eval_message *message)
{
    const json_t *content = json_object_get(object, "content");
    vl2_status status = read_role(reader, object, first, message);
    if (status == VL2_OK && !json_is_string(content)) {
        status = eval_fail(reader, "content", content, "a text");
    }
    if (status == VL2_OK) {
        status = read_message_pictures(reader, object, content, common, message);
    }
    if (status == VL2_OK) {
        status = set_content(reader, json_string_value(content), json_string_length(content),
                             "content", message);
    }
    if (status == VL2_OK && is_user(message->role)) {
        status = eval_expected_read(reader, object, pictures, &message->expected);
    }
    return status;
}

/* Pictures of all messages, so that numbers of pictures can be checked; wrong types count as
 * none, they are found later. */
static size_t count_pictures(const json_t *list, const json_t *common)
{
    size_t count = json_array_size(common), index;
    json_t *object;
    json_array_foreach((json_t *)list, index, object)
    {
        count += json_array_size(json_object_get(object, "images"));
    }
    return count;
}

static bool any_tag(const json_t *list)
{
    size_t index;
    json_t *object;
    json_array_foreach((json_t *)list, index, object)
    {
        const json_t *content = json_object_get(object, "content");
        if (json_is_string(content) &&
            count_tags(json_string_value(content), json_string_length(content)) > 0) {
            return true;
        }
    }
    return false;
}

static vl2_status read_conversation(const eval_reader *reader, const json_t *list,
                                    const json_t *images, eval_task *task)
{
    common_pictures common = {images, 0, !any_tag(list)};
    size_t pictures = count_pictures(list, images);
    vl2_status status = VL2_OK;
    if (!json_is_array(list) || json_array_size(list) == 0) {
        return eval_fail(reader, "conversation", list, "a list of messages");
    }
    task->messages = calloc(json_array_size(list), sizeof(*task->messages));
    if (task->messages == NULL) {
        return eval_fail_memory(reader);
    }
    for (size_t i = 0; status == VL2_OK && i < json_array_size(list); i++) {
        char section[40];
        snprintf(section, sizeof(section), "conversation[%zu].", i);
        eval_reader inner = {reader->file, reader->line, section, reader->error};
        const json_t *object = json_array_get(list, i);
        if (!json_is_object(object)) {
            section[strlen(section) - 1] = '\0';
            return eval_fail(&inner, "", object, "{\"role\", \"content\", \"images\"}");
        }
        eval_message *message = &task->messages[task->message_count++];
        message->index = i;
        status = read_message(&inner, object, i == 0, &common, pictures, message);
    }
    if (status == VL2_OK && common.used < json_array_size(images)) {
        status = eval_fail(reader, "images", images, "an " TAG " in a message for each of them");
    }
    return status;
}

/* A task with "question": at most a system message, and the user's. */
static vl2_status read_question(const eval_reader *reader, const json_t *question,
                                const json_t *images, eval_task *task)
{
    const json_t *system = json_object_get(task->json, "system");
    if (system != NULL && !json_is_string(system)) {
        return eval_fail(reader, "system", system, "a text");
    }
    if (!json_is_string(question)) {
        return eval_fail(reader, "question", question, "a text");
    }
    task->messages = calloc(2, sizeof(*task->messages));
    if (task->messages == NULL) {
        return eval_fail_memory(reader);
    }
    if (system != NULL) {
        eval_message *message = &task->messages[task->message_count++];
        message->role = "system";
        vl2_status status = set_content(reader, json_string_value(system),
                                        json_string_length(system), "system", message);
        if (status != VL2_OK) {
            return status;
        }
    }
    eval_message *message = &task->messages[task->message_count++];
    message->role = "user";
    vl2_status status = add_pictures(reader, images, 0, json_array_size(images), message);
    return status != VL2_OK ? status
                            : set_content(reader, json_string_value(question),
                                          json_string_length(question), "question", message);
}

/* ------------------------------------------------------------------------------- what is asked */

static bool is_empty_answer(const eval_message *message)
{
    return is_assistant(message->role) && message->size == 0;
}

/* Drops empty messages of an assistant: they stand for the model's own answers. */
static void drop_empty(eval_task *task)
{
    size_t kept = 0;
    for (size_t i = 0; i < task->message_count; i++) {
        eval_message *message = &task->messages[i];
        if (is_empty_answer(message)) {
            free(message->content);
            free(message->pictures);
        } else {
            task->messages[kept++] = *message;
        }
    }
    task->message_count = kept;
}

/* Which messages the model answers: those of a user without an answer behind them. */
static vl2_status mark_asked(const eval_reader *reader, eval_task *task)
{
    drop_empty(task);
    eval_message *last = NULL;
    for (size_t i = 0; i < task->message_count; i++) {
        eval_message *message = &task->messages[i];
        bool answered =
            i + 1 < task->message_count && is_assistant(task->messages[i + 1].role);
        message->asked = is_user(message->role) && !answered;
        if (message->expected != NULL && !message->asked) {
            char field[40];
            snprintf(field, sizeof(field), "conversation[%zu]", message->index);
            return eval_fail_text(reader, field, "an expected answer beside a given one",
                                  "one of the two");
        }
        task->asked_count += message->asked;
        task->picture_count += message->picture_count;
        last = message->asked ? message : last;
    }
    if (last == NULL) {
        return eval_fail_text(reader, "conversation", "no open question",
                              "a message of a user without an answer behind it");
    }
    if (last->expected != NULL) {
        eval_expected *own = NULL;
        vl2_status status = eval_expected_read(reader, task->json, task->picture_count, &own);
        eval_expected_free(own);
        return status != VL2_OK || own == NULL
                   ? status
                   : eval_fail_text(reader, "answer", "one more for the last question",
                                    "one in its message or one in the task");
    }
    return eval_expected_read(reader, task->json, task->picture_count, &last->expected);
}

/* Messages take the task's group if they have none. */
static vl2_status count_scored(const eval_reader *reader, eval_task *task)
{
    const json_t *group = json_object_get(task->json, "group");
    for (size_t i = 0; i < task->message_count; i++) {
        eval_expected *expected = task->messages[i].expected;
        if (expected != NULL) {
            expected->group = expected->group != NULL ? expected->group : json_string_value(group);
            task->scored_count++;
        }
    }
    return task->scored_count > 0
               ? VL2_OK
               : eval_fail(reader, "answer", json_object_get(task->json, "answer"),
                           "what is right, with \"kind\"");
}

/* FNV-1a, 64 bits. */
static uint64_t hash(uint64_t state, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        state = (state ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
    }
    return state;
}

/* The length stands before each text: the same bytes cut otherwise are something else. */
static uint64_t hash_text(uint64_t state, const char *text, size_t size)
{
    uint64_t length = size;
    return hash(hash(state, &length, sizeof(length)), text, size);
}

static uint64_t fingerprint(const char *file, const eval_task *task)
{
    const char *slash = strrchr(file, '/');
    size_t folder = slash != NULL ? (size_t)(slash - file) + 1 : 0;
    uint64_t state = 0xcbf29ce484222325u;
    for (size_t i = 0; i < task->message_count; i++) {
        const eval_message *message = &task->messages[i];
        char role = is_user(message->role) ? 'u' : is_assistant(message->role) ? 'a' : 's';
        state = hash_text(hash(state, &role, 1), message->content, message->size);
        for (size_t k = 0; k < message->picture_count; k++) {
            const char *path = message->pictures[k];
            bool inside = folder > 0 && strncmp(path, file, folder) == 0;
            path += inside ? folder : 0; /* a folder that was moved is the same one */
            state = hash_text(state, path, strlen(path));
        }
    }
    return state;
}

/* ------------------------------------------------------------------------------- all of it */

vl2_status eval_messages_read(const eval_reader *reader, eval_task *task)
{
    const json_t *conversation = json_object_get(task->json, "conversation");
    const json_t *question = json_object_get(task->json, "question");
    const json_t *images = json_object_get(task->json, "images");
    vl2_status status = check_list(reader, images);
    if (status == VL2_OK && question != NULL && conversation != NULL) {
        status = eval_fail(reader, "question", question, "\"question\" or \"conversation\"");
    }
    if (status == VL2_OK) {
        status = conversation != NULL ? read_conversation(reader, conversation, images, task)
                                      : read_question(reader, question, images, task);
    }
    if (status == VL2_OK) {
        status = mark_asked(reader, task);
    }
    if (status == VL2_OK) {
        status = count_scored(reader, task);
    }
    if (status == VL2_OK) {
        task->fingerprint = fingerprint(reader->file, task);
    }
    return status;
}

void eval_messages_clear(eval_task *task)
{
    for (size_t i = 0; i < task->message_count; i++) {
        eval_message *message = &task->messages[i];
        for (size_t k = 0; k < message->picture_count; k++) {
            free(message->pictures[k]);
        }
        free(message->pictures);
        free(message->content);
        eval_expected_free(message->expected);
    }
    free(task->messages);
}
