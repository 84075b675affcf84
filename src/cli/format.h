/* Numbers as people read them. Each writes into text and returns it. */
#ifndef CLI_FORMAT_H
#define CLI_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define FORMAT_SIZE 48

const char *format_bytes(uint64_t bytes, char text[FORMAT_SIZE]);    /* "6.27 GiB" */
const char *format_count(uint64_t count, char text[FORMAT_SIZE]);    /* "3.37 B", "412 M", "37" */
const char *format_duration(double seconds, char text[FORMAT_SIZE]); /* "0:42", "1:02:03" */

#endif
