/* Text as bytes: where its characters begin and end. */
#ifndef CLI_CHARACTERS_H
#define CLI_CHARACTERS_H

#include <stddef.h>

/* Bytes of the well-formed UTF-8 character at text, or 0 (Unicode, table 3-7). */
size_t character_size(const unsigned char *text, size_t size);

#endif
