/* Help texts, made from the option table and the commands. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/command.h"

/* `vl2 CMD --help`, or for command_top `vl2 --help`: at most 80 columns wide. */
void help_print(const command *command);

/* The command's rows of the table, one a line, for scripts: name, letter, argument, environment
 * form, default and help with tabs between them; "-" for what it has not. */
void help_list_options(const command *command);
/* Name and summary of all commands, with a tab between them. */
void help_list_commands(void);

#endif
