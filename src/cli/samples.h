/* The conversations that compare and calibrate run: files of --conversation, and further words. */
#ifndef CLI_SAMPLES_H
#define CLI_SAMPLES_H

#include "cli/arguments.h"
#include "vl2.h"

/* The files of --conversation, then the words from `first` on, so that a shell's *.json works.
 * Reports and returns EXIT_CODE_USAGE if there is none, or standard input comes twice; the exit
 * code of the first file that cannot be read (a long run should not end at one). */
int samples_check(const arguments *arguments, size_t first);

/* Called with one conversation; returns an exit code. */
typedef int (*sample_run)(const vl2_conversation *conversation, const char *file, void *user);

/* Reads one file after the other and calls `run` with it; ends at the first failure. */
int samples_each(const arguments *arguments, size_t first, sample_run run, void *user);

/* Reports what the library said about a file. */
int fail_sample(const arguments *arguments, const char *file, const vl2_error *error);

#endif
