/* The model of a command that answers where the words name none: the one that comes with vl2. */
#ifndef CLI_DEMO_MODEL_H
#define CLI_DEMO_MODEL_H

#include "cli/arguments.h"

/* If the command answers and was given no model, makes the demo model its -m: the file that
 * VL2_DEMO_MODEL names; otherwise the installed one; otherwise, of a program that was not
 * installed, the one in its source tree. Changes nothing where the file is missing. */
void demo_model_use(arguments *arguments);

/* Says on standard error that the demo model answers, if it does and --quiet is not given. */
void demo_model_note(const arguments *arguments);

#endif
