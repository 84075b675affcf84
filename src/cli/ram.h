/* The option --ram: how much memory the program may take. */
#ifndef CLI_RAM_H
#define CLI_RAM_H

#include "cli/arguments.h"

#include <stdint.h>

/* "6G", "500M", "3.5GiB", "6GB" (1000 to the step), "50%" of the memory that this process may use,
 * "auto", "off" (0). Reports and returns EXIT_CODE_USAGE for anything else. */
int ram_option(const arguments *arguments, uint64_t *bytes);

/* A text as above; false if it is none. */
bool ram_parse(const char *text, uint64_t total, uint64_t *bytes);

#endif
