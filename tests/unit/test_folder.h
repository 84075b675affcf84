/* A temporary folder for one test: cmocka's setup and teardown; *state is its path. */
#ifndef TEST_FOLDER_H
#define TEST_FOLDER_H

#include "test.h"

#include <string.h>

static int make_folder(void **state)
{
    static char folder[32];
    strcpy(folder, "/tmp/vl2-test-XXXXXX");
    *state = mkdtemp(folder);
    return *state == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
    char command[64];
    snprintf(command, sizeof(command), "rm -r '%s'", (const char *)*state);
    return system(command);
}

#endif
