/* The turns of a conversation: their pictures and texts, from the command line. All of these report
 * what fails and return the exit code. */
#ifndef CLI_TURNS_H
#define CLI_TURNS_H

#include "cli/arguments.h"
#include "vl2.h"

/* Opens a picture with --max-pixels. */
int turns_picture(const arguments *arguments, const char *path, vl2_image **image);

/* Pictures for the next message. All zero is an empty list. */
typedef struct pictures {
    vl2_image **images;
    size_t count;
} pictures;

int pictures_add(const arguments *arguments, const char *path, pictures *pictures);
/* Adds those of --image. */
int pictures_open(const arguments *arguments, pictures *pictures);
void pictures_clear(pictures *pictures);

/* The conversation of --conversation, or an empty one with the message of --system. `question`:
 * another turn will be added, so an empty last turn of the file is left out. *conversation is to be
 * closed even on failure. */
int turns_begin(const arguments *arguments, bool question, vl2_conversation **conversation);

/* Appends a user's message. If the text has no <image>, one is put before it for each picture;
 * otherwise there must be as many as pictures. */
int turns_add_user(const command *command, vl2_conversation *conversation, const char *text,
                   size_t size, vl2_image *const *images, size_t image_count);
/* Appends the system message if `text` is not NULL. */
int turns_add_system(const command *command, vl2_conversation *conversation, const char *text);

#endif
