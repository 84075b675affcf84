/* json_field PATH: reads one JSON value on standard input and prints the part at PATH, keys and
 * indices separated by dots ("boxes.0.label"; "" is the whole). Texts come as they are, containers
 * as compact JSON, "PATH#" is the number of elements. Exit code 1: not JSON, or nothing there. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *step(json_t *value, const char *name)
{
    return json_is_array(value) ? json_array_get(value, strtoul(name, NULL, 10))
                                : json_object_get(value, name);
}

static int print(const json_t *value, int count)
{
    if (count) {
        printf("%zu\n", json_is_array(value) ? json_array_size(value) : json_object_size(value));
    } else if (json_is_string(value)) {
        puts(json_string_value(value));
    } else {
        json_dumpf(value, stdout, JSON_ENCODE_ANY | JSON_COMPACT);
        putchar('\n');
    }
    return 0;
}

int main(int count, char **words)
{
    json_error_t error;
    json_t *root = json_loadf(stdin, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error), *value = root;
    char *path = count > 1 ? words[1] : NULL;
    if (root == NULL || path == NULL) {
        fprintf(stderr, "json_field: %s\n", root == NULL ? error.text : "no path");
        return 1;
    }
    size_t length = strlen(path);
    int counting = length > 0 && path[length - 1] == '#';
    path[length - (size_t)counting] = '\0';
    for (char *name = strtok(path, "."); name != NULL && value != NULL; name = strtok(NULL, ".")) {
        value = step(value, name);
    }
    int code = value == NULL ? 1 : print(value, counting);
    json_decref(root);
    return code;
}
