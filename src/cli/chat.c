/* vl2 chat: a conversation, typed or piped in. One session lives for the whole chat, so that the
 * library can keep the KV cache of what was said before. */
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/interrupt.h"
#include "cli/lines.h"
#include "cli/request.h"
#include "cli/streams.h"
#include "cli/turns.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct chat {
    request request;
    lines lines;
    vl2_conversation *conversation;
    pictures pending; /* for the next message */
    char *system;     /* the system message, or NULL */
    bool leaving;
    int failure; /* exit code of the first failure in a chat that is piped in */
} chat;

/* "/name TEXT": `text` is what follows, without blanks around it. Returns an exit code. */
typedef struct chat_command {
    const char *name, *argument, *help;
    int (*run)(chat *chat, char *text);
} chat_command;

static const command *self(const chat *chat)
{
    return chat->request.arguments->command;
}

static void note(const chat *chat, const char *text)
{
    if (!argument(chat->request.arguments, OPTION_QUIET)->on) {
        fprintf(stderr, "%s\n", text);
    }
}

static bool last_role_is(const chat *chat, const char *name)
{
    size_t count = vl2_conversation_count(chat->conversation);
    const char *role = count > 0 ? vl2_conversation_role(chat->conversation, count - 1) : "";
    return strstr(role, name) != NULL;
}

static bool last_is_user(const chat *chat)
{
    return last_role_is(chat, "User") || last_role_is(chat, "user");
}

static bool last_is_assistant(const chat *chat)
{
    return last_role_is(chat, "Assistant") || last_role_is(chat, "assistant");
}

/* Answers the conversation, whose last message is the user's, and appends the answer. A message
 * that got no answer stays for /retry. */
static int answer_last(chat *chat)
{
    answer_stream stream = {.progress = &chat->request.progress};
    vl2_answer answer;
    vl2_error error;
    int code =
        request_generate(&chat->request, chat->conversation, answer_stream_write, &stream, &answer);
    bool stopped = code == EXIT_CODE_INTERRUPTED;
    if (stopped && interrupt_signal() == SIGTERM) {
        chat->leaving = true;
    } else if (stopped) {
        code = EXIT_CODE_OK;
    }
    if (stream.last != '\0' || stream.reason != 0 || (code == EXIT_CODE_OK && !stopped)) {
        int ended = answer_stream_end(self(chat), &stream);
        chat->leaving = chat->leaving || ended != EXIT_CODE_OK;
        code = code == EXIT_CODE_OK ? ended : code;
    }
    if (stopped) {
        note(chat, "[stopped; /retry asks again]");
    }
    bool keep = code == EXIT_CODE_OK && answer.text != NULL && !(stopped && answer.text_size == 0);
    if (keep && vl2_conversation_add(chat->conversation, "assistant", answer.text, answer.text_size,
                                     NULL, 0, &error) != VL2_OK) {
        code = fail_status(self(chat), &error);
    }
    if (keep && !stopped) {
        request_summary(&chat->request, &answer);
    }
    vl2_answer_clear(&answer);
    return code;
}

static int say(chat *chat, const char *text, size_t size)
{
    if (last_is_user(chat)) {
        vl2_conversation_remove_last(chat->conversation);
    }
    int code = turns_add_user(self(chat), chat->conversation, text, size, chat->pending.images,
                              chat->pending.count);
    if (code == EXIT_CODE_OK) {
        pictures_clear(&chat->pending);
        code = answer_last(chat);
    }
    return code;
}

/* A path as a terminal drops it: quoted, or with backslashes before blanks. ~ is the home. */
static char *clean_path(char *text)
{
    size_t length = strlen(text);
    if (length >= 2 && (text[0] == '"' || text[0] == '\'') && text[length - 1] == text[0]) {
        text[length - 1] = '\0';
        return strdup(text + 1);
    }
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        from += *from == '\\' && from[1] != '\0';
        *to++ = *from;
    }
    *to = '\0';
    const char *home = getenv("HOME");
    char *path;
    if (strncmp(text, "~/", 2) == 0 && home != NULL) {
        return asprintf(&path, "%s%s", home, text + 1) < 0 ? NULL : path;
    }
    return strdup(text);
}

static int add_picture(chat *chat, char *text)
{
    if (text[0] == '\0') {
        return fail(self(chat), EXIT_CODE_INPUT, "/image: no file; say /image FILE");
    }
    char *path = clean_path(text);
    if (path == NULL) {
        return fail_memory(self(chat));
    }
    int code = pictures_add(chat->request.arguments, path, &chat->pending);
    if (code == EXIT_CODE_OK && chat->lines.terminal) {
        const vl2_image *image = chat->pending.images[chat->pending.count - 1];
        fprintf(stderr, "[%s: %d x %d pixels, goes with your next message]\n", path,
                vl2_image_width(image), vl2_image_height(image));
    }
    free(path);
    return code;
}

static int clear(chat *chat, char *text)
{
    (void)text;
    vl2_conversation_clear(chat->conversation);
    pictures_clear(&chat->pending);
    return turns_add_system(self(chat), chat->conversation, chat->system);
}

static int set_system(chat *chat, char *text)
{
    char *copy = text[0] != '\0' ? strdup(text) : NULL;
    if (copy == NULL && text[0] != '\0') {
        return fail_memory(self(chat));
    }
    free(chat->system);
    chat->system = copy;
    return clear(chat, NULL);
}

static int retry(chat *chat, char *text)
{
    (void)text;
    if (last_is_assistant(chat)) {
        vl2_conversation_remove_last(chat->conversation);
    }
    if (!last_is_user(chat)) {
        return fail(self(chat), EXIT_CODE_INPUT, "/retry: nothing was asked yet");
    }
    if (chat->request.options.sampling.temperature <= 0 && chat->lines.terminal) {
        note(chat, "[--temp is 0, so the answer will be the same]");
    }
    chat->request.options.sampling.seed++;
    return answer_last(chat);
}

static int save(chat *chat, char *text)
{
    vl2_error error;
    if (text[0] == '\0') {
        return fail(self(chat), EXIT_CODE_INPUT, "/save: no file; say /save FILE.json");
    }
    char *path = clean_path(text);
    if (path == NULL) {
        return fail_memory(self(chat));
    }
    vl2_status status = vl2_conversation_save(chat->conversation, path, &error);
    free(path);
    return status == VL2_OK ? EXIT_CODE_OK : fail_status(self(chat), &error);
}

static int quit(chat *chat, char *text)
{
    (void)text;
    chat->leaving = true;
    return EXIT_CODE_OK;
}

static int help(chat *chat, char *text);

static const chat_command chat_commands[] = {
    {"image", "FILE", "a picture for the next message", add_picture},
    {"system", "TEXT", "start anew with this system message", set_system},
    {"clear", "", "start anew", clear},
    {"retry", "", "ask the last question again", retry},
    {"save", "FILE", "write the conversation as JSON", save},
    {"help", "", "this list", help},
    {"quit", "", "leave, as Ctrl-D does", quit},
};

#define CHAT_COMMANDS (sizeof(chat_commands) / sizeof(chat_commands[0]))

static int help(chat *chat, char *text)
{
    (void)chat;
    (void)text;
    for (size_t i = 0; i < CHAT_COMMANDS; i++) {
        fprintf(stderr, "  /%-7s%-6s %s\n", chat_commands[i].name, chat_commands[i].argument,
                chat_commands[i].help);
    }
    fputs(
        "  Ctrl-C stops an answer. Several lines: paste them, put them between \"\"\" and \"\"\",\n"
        "  or end each with a backslash.\n",
        stderr);
    return EXIT_CODE_OK;
}

static int run_command(chat *chat, char *text)
{
    const char *names[CHAT_COMMANDS];
    size_t length = strcspn(text + 1, " \t\n");
    char *rest = text + 1 + length;
    if (*rest != '\0') {
        *rest++ = '\0';
        rest += strspn(rest, " \t\n");
    }
    for (size_t end = strlen(rest); end > 0 && isspace((unsigned char)rest[end - 1]); end--) {
        rest[end - 1] = '\0';
    }
    for (size_t i = 0; i < CHAT_COMMANDS; i++) {
        names[i] = chat_commands[i].name;
        if (strcmp(text + 1, names[i]) == 0) {
            return chat_commands[i].run(chat, rest);
        }
    }
    const char *closest = closest_word(text + 1, names, CHAT_COMMANDS);
    return fail(self(chat), EXIT_CODE_INPUT, "no command %s%s%s%s; /help lists them", text,
                closest != NULL ? " (did you mean /" : "", closest != NULL ? closest : "",
                closest != NULL ? "?)" : "");
}

static int handle_message(chat *chat)
{
    char *text = chat->lines.message;
    size_t blank = strspn(text, " \t\r\n");
    if (blank == chat->lines.size && chat->lines.size == strlen(text)) {
        return EXIT_CODE_OK; /* an empty line says nothing */
    }
    return text[0] == '/' ? run_command(chat, text) : say(chat, text, chat->lines.size);
}

/* Ctrl-C at the prompt: the first one only warns. True to leave. */
static bool leave_on_signal(const chat *chat, int *interrupts)
{
    if (!chat->lines.terminal || interrupt_signal() == SIGTERM || ++*interrupts >= 2) {
        fputs(chat->lines.terminal ? "\n" : "", stderr);
        return true;
    }
    note(chat, "\n[Ctrl-C again or Ctrl-D leaves]");
    return false;
}

static int converse(chat *chat)
{
    int interrupts = 0;
    while (!chat->leaving) {
        char prompt[60] = ">>> ";
        if (chat->pending.count > 0) {
            snprintf(prompt, sizeof(prompt), "[%zu picture%s] >>> ", chat->pending.count,
                     chat->pending.count == 1 ? "" : "s");
        }
        interrupt_reset();
        lines_result result = lines_read(&chat->lines, prompt);
        if (result == LINES_INTERRUPTED) {
            if (leave_on_signal(chat, &interrupts)) {
                return EXIT_CODE_INTERRUPTED;
            }
            continue;
        }
        interrupts = 0;
        if (result == LINES_NO_MEMORY) {
            return fail_memory(self(chat));
        }
        if (result == LINES_END) {
            fputs(chat->lines.terminal ? "\n" : "", stderr);
            break;
        }
        int code = handle_message(chat);
        if (code != EXIT_CODE_OK && (chat->leaving || !chat->lines.terminal)) {
            chat->failure = chat->failure == EXIT_CODE_OK ? code : chat->failure;
        }
    }
    return chat->failure;
}

static int begin(chat *chat, const arguments *arguments)
{
    const char *system = argument(arguments, OPTION_SYSTEM)->text;
    if (system != NULL && argument(arguments, OPTION_CONVERSATION)->text != NULL) {
        return fail_usage(arguments->command,
                          "--system and --conversation: put the system message into the file");
    }
    int code = request_open(&chat->request, arguments, true);
    if (code == EXIT_CODE_OK && system != NULL && (chat->system = strdup(system)) == NULL) {
        code = fail_memory(arguments->command);
    }
    if (code == EXIT_CODE_OK) {
        code = pictures_open(arguments, &chat->pending);
    }
    if (code == EXIT_CODE_OK) {
        code = turns_begin(arguments, true, &chat->conversation);
    }
    return code == EXIT_CODE_OK ? request_open_session(&chat->request) : code;
}

static int run_chat(const arguments *arguments)
{
    chat chat;
    memset(&chat, 0, sizeof(chat));
    int code = begin(&chat, arguments);
    if (code == EXIT_CODE_OK) {
        lines_open(&chat.lines);
        if (chat.lines.terminal) {
            note(&chat, "Type a question; /image FILE shows a picture, /help lists the commands.");
        }
        interrupt_noted();
        code = converse(&chat);
    }
    lines_close(&chat.lines);
    pictures_clear(&chat.pending);
    vl2_conversation_close(chat.conversation);
    free(chat.system);
    request_close(&chat.request);
    return code;
}

const command command_chat = {
    "chat",
    COMMAND_CHAT,
    "[-m MODEL] [--image FILE]... [options]",
    "Talk about pictures, turn by turn",
    "Holds a conversation: each line is a message, /image FILE shows a picture with the next one, "
    "/help lists the other commands. Ctrl-C stops an answer and not the program. Messages can be "
    "piped in too.",
    "  vl2 chat -m deepseek-vl2-tiny --image cat.jpg\n"
    "  printf 'Hello.\\nAnd in French?\\n' | vl2 chat -m deepseek-vl2-tiny\n",
    0,
    run_chat,
};
