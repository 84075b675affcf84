/* How much memory there is for this process. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdint.h>

/* Bytes of the machine, or of this process's control groups where these allow less. `root` stands
 * before each path: "", or a test's folder. 0 if it is not known. */
uint64_t memory_total(const char *root);

/* The part of it that is free, or taken by files that would give way (MemAvailable of
 * /proc/meminfo). */
uint64_t memory_available(const char *root);

/* Bytes that this process has in memory, mapped files included; 0 if it is not known. */
uint64_t memory_resident(void);

/* From now on, blocks of a megabyte or more go back to the system when they are freed. The C
 * library would keep some for later, of up to 32 MiB each, and a budget would be exceeded by them.
 * For the whole process; glibc only. */
void memory_return_freed(void);

#endif
