#include "cli/demo_model.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_NAME "demo.vl2"
#define IN_TREE   "/examples/demo-model/" FILE_NAME

/* The file in the tree that this program was built in. */
static char *find_in_tree(void)
{
    char program[PATH_MAX], *path = NULL;
    ssize_t size = readlink("/proc/self/exe", program, sizeof(program) - 1);
    if (size <= 0) {
        return NULL;
    }
    program[size] = '\0';
    char *slash = strrchr(program, '/');
    if (slash == NULL) {
        return NULL;
    }
    *slash = '\0';
    size_t length = strlen(program);
    if (length > 6 && strcmp(program + length - 6, "/.libs") == 0) { /* built by libtool */
        program[length - 6] = '\0';
    }
    return asprintf(&path, "%s" IN_TREE, program) < 0 ? NULL : path;
}

static char *if_readable(char *path)
{
    if (path != NULL && access(path, R_OK) == 0) {
        return path;
    }
    free(path);
    return NULL;
}

static char *find(void)
{
    const char *named = getenv("VL2_DEMO_MODEL");
    if (named != NULL && named[0] != '\0') {
        return if_readable(strdup(named));
    }
    char *path = if_readable(strdup(PKGDATADIR "/" FILE_NAME));
    return path != NULL ? path : if_readable(find_in_tree());
}

void demo_model_use(arguments *arguments)
{
    const unsigned answering =
        COMMAND_ASK | COMMAND_CHAT | COMMAND_GROUND | COMMAND_EVAL | COMMAND_INFO;
    option_value *model = &arguments->values[OPTION_MODEL];
    bool operand = arguments->command->bit == COMMAND_INFO && arguments->operand_count > 0;
    if ((arguments->command->bit & answering) && !model->given && !operand) {
        arguments->demo_model = find();
        model->text = arguments->demo_model;
    }
}

void demo_model_note(const arguments *arguments)
{
    if (arguments->demo_model != NULL && !argument(arguments, OPTION_QUIET)->on) {
        fprintf(stderr, "vl2 %s: no -m: using the demo model %s, which knows only drawn shapes and "
                        "numbers\n", arguments->command->name, arguments->demo_model);
    }
}
