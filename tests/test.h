/* What every test program includes: cmocka in its required order, and the reference data's
 * folder. */
#ifndef TEST_H
#define TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The folder of the full reference data, or NULL when this machine does not have it: VL2_GOLDEN, or
 * shared/golden/dev beside or above the source tree. Tests that need it say so and skip. */
static inline const char *golden_folder(void)
{
    static char folder[4096];
    static const char *const places[] = {TEST_SOURCE_DIR "/../../shared/golden/dev",
                                         TEST_SOURCE_DIR "/../shared/golden/dev"};
    const char *named = getenv("VL2_GOLDEN");
    for (int i = -1; i < 2; i++) {
        const char *place = i < 0 ? named : places[i];
        if (place == NULL) {
            continue;
        }
        char probe[4200];
        snprintf(folder, sizeof(folder), "%s", place);
        snprintf(probe, sizeof(probe), "%s/index.json", folder);
        FILE *file = fopen(probe, "r");
        if (file != NULL) {
            fclose(file);
            return folder;
        }
    }
    return NULL;
}

/* Skips the running test, saying why, when the reference data is not there; else its folder. */
static inline const char *golden_or_skip(void)
{
    const char *folder = golden_folder();
    if (folder == NULL) {
        print_message("SKIPPED: the full reference data (VL2_GOLDEN) is not on this machine\n");
        skip();
    }
    return folder;
}

#endif
