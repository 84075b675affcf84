/* The control groups of this process, which limit processors and memory. */
#ifndef BASE_CGROUP_H
#define BASE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>

#define CGROUP_LINE 4096 /* bytes of a line that are looked at */

/* Calls visit for the folder of this process's group that has `controller` ("cpu"), and of each
 * group above it, as far as they are mounted: a container may see its own group as the top.
 * `unified`: version 2. `root` stands before each path: "", or a test's folder. */
void cgroup_each(const char *root, const char *controller,
                 void (*visit)(void *context, const char *folder, bool unified), void *context);

/* "FOLDER/NAME" into path; false if it is longer than `size`. */
bool cgroup_file(const char *folder, const char *name, char *path, size_t size);

/* The first line of a file without its line end; false if there is none. */
bool cgroup_read_line(const char *path, char line[CGROUP_LINE]);

#endif
