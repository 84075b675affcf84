/* Runs a fuzz target without a fuzzer: on every file named, and on damaged copies of it (bytes
 * changed, cut off, doubled) from a fixed generator, so that make check covers the readers
 * everywhere. With clang the same targets link with -fsanitize=fuzzer instead (see the head of
 * each). */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_LIMIT  ((size_t)1 << 20)
#define DAMAGED     100 /* copies per file */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* A copy with a few changes; at most twice as long. */
static size_t damage(const uint8_t *data, size_t size, uint8_t *copy, uint64_t *state)
{
    memcpy(copy, data, size);
    size_t length = size;
    for (uint64_t changes = 1 + next_random(state) % 8; changes > 0 && length > 0; changes--) {
        size_t at = next_random(state) % length;
        switch (next_random(state) % 5) {
        case 0:
            copy[at] = (uint8_t)next_random(state);
            break;
        case 1:
            copy[at] ^= (uint8_t)(1u << next_random(state) % 8);
            break;
        case 2:
            length = at;
            break;
        case 3: /* a byte that formats are fond of */
            copy[at] = (uint8_t) "\x00\xff\x7f\x80\"{}[],:0-\\"[next_random(state) % 14];
            break;
        default: { /* a piece of it again */
            size_t piece = next_random(state) % (length - at) + 1;
            piece = length + piece <= 2 * size ? piece : 0;
            memmove(copy + at + piece, copy + at, length - at);
            length += piece;
            break;
        }
        }
    }
    return length;
}

/* The target gets memory of exactly the input's size, so that a sanitizer sees a read beyond it. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);
    if (exact == NULL) {
        abort();
    }
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(FILE_LIMIT), *copy = malloc(2 * FILE_LIMIT);
    if (file == NULL || data == NULL || copy == NULL) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    size_t size = fread(data, 1, FILE_LIMIT, file);
    fclose(file);
    uint64_t state = size;
    run(data, size);
    int damaged = size > 100000 ? DAMAGED / 10 : DAMAGED;
    for (int i = 0; i < damaged && size > 0; i++) {
        size_t length = damage(data, size, copy, &state);
        run(copy, length);
    }
    free(data);
    free(copy);
    return damaged + 1;
}

static int replay(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        fprintf(stderr, "%s: is missing\n", path);
        exit(1);
    }
    if (!S_ISDIR(info.st_mode)) {
        return replay_file(path);
    }
    int count = 0;
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        char name[4400];
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.') {
            count += replay(name);
        }
    }
    closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        count += replay(argv[i]);
    }
    printf("%d inputs\n", count);
    return count > 0 ? 0 : 1;
}
