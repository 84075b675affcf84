#include "cli/help.h"
#include "cli/options.h"

#include <stdio.h>
#include <string.h>

#define WIDTH  79
#define COLUMN 27 /* where the sentences of the options begin */

/* Prints words from the current column on; new lines begin with `indent` blanks. */
static void print_wrapped(const char *text, int column, int indent)
{
    bool first = true;
    while (*text != '\0') {
        int length = (int)strcspn(text, " ");
        if (!first && column + 1 + length > WIDTH) {
            printf("\n%*s", indent, "");
            column = indent;
            first = true;
        }
        column += printf("%s%.*s", first ? "" : " ", length, text);
        first = false;
        text += length;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static void print_option(const option *option)
{
    char left[64], sentence[400];
    snprintf(left, sizeof(left), "  %c%c%s --%s%s%s", option->letter ? '-' : ' ',
             option->letter ? option->letter : ' ', option->letter ? "," : " ", option->name,
             option->argument != NULL ? " " : "", option->argument != NULL ? option->argument : "");
    bool standard = option->standard != NULL;
    snprintf(sentence, sizeof(sentence), "%s%s%s%s", option->help, standard ? " (default: " : "",
             standard ? option->standard : "", standard ? ")" : "");
    if (strlen(left) > COLUMN - 2) {
        printf("%s\n%*s", left, COLUMN, "");
    } else {
        printf("%-*s", COLUMN, left);
    }
    print_wrapped(sentence, COLUMN, COLUMN);
}

static void print_options(const command *command)
{
    size_t count;
    const option *all = options_all(&count);
    for (option_group group = 0; group < OPTION_GROUP_COUNT; group++) {
        bool titled = false;
        for (size_t i = 0; i < count; i++) {
            if (all[i].group == group && (all[i].commands & command->bit)) {
                if (!titled) {
                    printf("\n%s:\n", option_group_title(group));
                }
                titled = true;
                print_option(&all[i]);
            }
        }
    }
}

void help_print(const command *command)
{
    bool top = command == &command_top;
    printf("Usage: vl2 ");
    char usage[300];
    snprintf(usage, sizeof(usage), "%s%s%s", top ? "" : command->name, top ? "" : " ",
             command->synopsis);
    print_wrapped(usage, 11, 15);
    putchar('\n');
    print_wrapped(command->description, 0, 0);
    if (top) {
        printf("\nCommands:\n");
        for (size_t i = 0; commands[i] != NULL; i++) {
            printf("  %-12s%s\n", commands[i]->name, commands[i]->summary);
        }
    }
    print_options(command);
    if (command->examples != NULL) {
        printf("\nExamples:\n%s", command->examples);
    }
    if (top) {
        printf("\nvl2 CMD --help tells more about a command, and so does man vl2-CMD.\n");
    } else {
        size_t count;
        char variable[OPTION_ENVIRONMENT_SIZE];
        const option *example = options_all(&count);
        for (size_t i = 0; i < count && !(example->commands & command->bit); i++) {
            example++;
        }
        char sentence[160];
        snprintf(sentence, sizeof(sentence),
                 "Options can be set in the environment, such as --%s as %s.", example->name,
                 option_environment(example, variable));
        putchar('\n');
        print_wrapped(sentence, 0, 0);
        printf("See vl2-%s(1).\n", command->name);
    }
}

void help_list_options(const command *command)
{
    size_t count;
    const option *all = options_all(&count);
    for (size_t i = 0; i < count; i++) {
        char variable[OPTION_ENVIRONMENT_SIZE];
        if (all[i].commands & command->bit) {
            option_environment(&all[i], variable);
            printf("%s\t%c\t%s\t%s\t%s\t%s\n", all[i].name, all[i].letter ? all[i].letter : '-',
                   all[i].argument ? all[i].argument : "-", variable[0] ? variable : "-",
                   all[i].standard ? all[i].standard : "-", all[i].help);
        }
    }
}

void help_list_commands(void)
{
    for (size_t i = 0; commands[i] != NULL; i++) {
        printf("%s\t%s\n", commands[i]->name, commands[i]->summary);
    }
}
