/* vl2: the command line. Finds the subcommand and hands it the parsed words. */
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/demo_model.h"
#include "cli/failure.h"
#include "cli/help.h"
#include "cli/interrupt.h"
#include "cli/streams.h"
#include "vl2.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const command *const commands[] = {
    &command_ask,   &command_chat,   &command_ground, &command_info,    &command_tokenize,
    &command_tiles, &command_boxes,  &command_trace,  &command_synth,   &command_pack,
    &command_verify, &command_unpack, &command_compare, &command_calibrate, &command_bench,
    &command_eval,  &command_plan,   NULL,
};

const command *command_find(const char *name)
{
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static int fail_unknown_command(const char *name)
{
    const char *names[32];
    size_t count = 0;
    for (; commands[count] != NULL && count < sizeof(names) / sizeof(names[0]); count++) {
        names[count] = commands[count]->name;
    }
    const char *closest = closest_word(name, names, count);
    return fail_usage(&command_top, "no command \"%s\"%s%s%s", name,
                      closest ? " (did you mean " : "", closest ? closest : "",
                      closest ? "?)" : "");
}

static int print_cpu(const arguments *arguments)
{
    char *report = vl2_cpu_report(argument(arguments, OPTION_JSON)->on);
    if (report == NULL) {
        return fail_memory(arguments->command);
    }
    size_t size = strlen(report);
    fputs(report, stdout);
    if (size == 0 || report[size - 1] != '\n') {
        putchar('\n');
    }
    vl2_free(report);
    return EXIT_CODE_OK;
}

/* vl2 without subcommand. */
static int run_top(const arguments *arguments)
{
    if (argument(arguments, OPTION_CPU)->on) {
        return print_cpu(arguments);
    }
    if (argument(arguments, OPTION_VERSION)->on) {
        printf("vl2 %s\n", vl2_version());
        return EXIT_CODE_OK;
    }
    return fail_usage(arguments->command, "no command");
}

const command command_top = {
    "vl2",
    COMMAND_TOP,
    "COMMAND [options]",
    "DeepSeek-VL2 on the CPU",
    "vl2 runs DeepSeek-VL2 models on the CPU: questions about pictures, answered on your own "
    "machine.",
    "  vl2 ask -m deepseek-vl2-tiny --image cat.jpg -p \"What is the cat doing?\"\n"
    "  vl2 chat -m deepseek-vl2-tiny\n",
    0,
    run_top,
};

static int run(const command *command, int count, char *const *words)
{
    arguments arguments;
    int code = arguments_parse(command, count, words, &arguments);
    if (code == EXIT_CODE_OK) {
        if (argument(&arguments, OPTION_HELP)->on) {
            help_print(command);
        } else {
            demo_model_use(&arguments);
            code = command->run(&arguments);
        }
    }
    arguments_clear(&arguments);
    return finish_output(command, code);
}

/* vl2 help [CMD] */
static int run_help(int count, char *const *words)
{
    const command *command = count > 0 ? command_find(words[0]) : &command_top;
    if (command == NULL) {
        return fail_unknown_command(words[0]);
    }
    help_print(command);
    return finish_output(command, EXIT_CODE_OK);
}

/* For the scripts that make completion and manual pages: vl2 --list-commands, vl2 --list-options
 * [CMD]. */
static int run_list(int count, char *const *words)
{
    const command *command = count > 1 ? command_find(words[1]) : &command_top;
    if (command == NULL) {
        return fail_unknown_command(words[1]);
    }
    if (strcmp(words[0], "--list-commands") == 0) {
        help_list_commands();
    } else {
        help_list_options(command);
    }
    return finish_output(command, EXIT_CODE_OK);
}

/* A descriptor that the caller closed would be given to the next file that is opened, and be
 * written over. */
static void hold_standard_descriptors(void)
{
    for (int descriptor = 0; descriptor <= 2; descriptor++) {
        if (fcntl(descriptor, F_GETFD) == -1) {
            open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY); /* using it stays an error */
        }
    }
}

int main(int count, char **words)
{
    hold_standard_descriptors();
    interrupt_install();
    if (count < 2) {
        fail_usage(&command_top, "no command");
        return EXIT_CODE_USAGE;
    }
    const char *first = words[1];
    if (strcmp(first, "--list-options") == 0 || strcmp(first, "--list-commands") == 0) {
        return run_list(count - 1, words + 1);
    }
    if (first[0] == '-') {
        return run(&command_top, count - 1, words + 1);
    }
    if (strcmp(first, "help") == 0) {
        return run_help(count - 2, words + 2);
    }
    const command *command = command_find(first);
    return command != NULL ? run(command, count - 2, words + 2) : fail_unknown_command(first);
}
