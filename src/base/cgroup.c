#include "base/cgroup.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

bool cgroup_read_line(const char *path, char line[CGROUP_LINE])
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    bool found = fgets(line, CGROUP_LINE, file) != NULL;
    fclose(file);
    if (found) {
        line[strcspn(line, "\n")] = '\0';
    }
    return found;
}

bool cgroup_file(const char *folder, const char *name, char *path, size_t size)
{
    int length = snprintf(path, size, "%s/%s", folder, name);
    return length > 0 && (size_t)length < size;
}

/* Who is told of each folder. */
typedef struct visitor {
    void (*visit)(void *context, const char *folder, bool unified);
    void *context;
} visitor;

/* A group and those above it, where `mount` shows them. */
static void visit_along(const visitor *visitor, const char *mount, const char *group, bool unified)
{
    char folder[PATH_MAX];
    int size = snprintf(folder, sizeof(folder), "%s%s", mount, group);
    if (size < 0 || (size_t)size >= sizeof(folder)) {
        return;
    }
    while (strlen(folder) > strlen(mount)) {
        visitor->visit(visitor->context, folder, unified);
        *strrchr(folder, '/') = '\0';
    }
    visitor->visit(visitor->context, mount, unified);
}

/* Whether `name` is in a line's list of controllers, "cpu,cpuacct". */
static bool lists(const char *controllers, size_t size, const char *name)
{
    for (const char *at = controllers; at < controllers + size;) {
        size_t length = strcspn(at, ",:");
        if (length == strlen(name) && strncmp(at, name, length) == 0) {
            return true;
        }
        at += length + 1;
    }
    return false;
}

void cgroup_each(const char *root, const char *controller,
                 void (*visit)(void *context, const char *folder, bool unified), void *context)
{
    const visitor visitor = {visit, context};
    char path[PATH_MAX], line[CGROUP_LINE];
    snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        /* "0::/group" of version 2, "4:cpu,cpuacct:/group" of version 1 */
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL || group[1] != '/') {
            continue;
        }
        if (group == controllers + 1) {
            snprintf(path, sizeof(path), "%s/sys/fs/cgroup", root);
            visit_along(&visitor, path, group + 1, true);
        } else if (lists(controllers + 1, (size_t)(group - controllers - 1), controller)) {
            snprintf(path, sizeof(path), "%s/sys/fs/cgroup/%s", root, controller);
            visit_along(&visitor, path, group + 1, false);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}
