#include "weights/checkpoint.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "weights/safetensors.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SINGLE_NAME  "model.safetensors"
#define INDEX_NAME   "model.safetensors.index.json"
#define INDEX_LIMIT  ((size_t)100000000)
#define SHARDS_LIMIT ((size_t)4096) /* each is a mapping, of which Linux gives a process 65530 */

struct checkpoint {
    safetensors **shards;
    size_t shard_count;
    const tensor_view **tensors; /* [count], shard after shard */
    const tensor_view **sorted;  /* [count], the same by name */
    size_t count;
};

static int compare_names(const void *left, const void *right)
{
    const tensor_view *const *a = left, *const *b = right;
    return strcmp((*a)->name, (*b)->name);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* The shard that the index names for a tensor; NULL without an index, or if it names none. */
static const char *mapped_shard(const json_t *map, const char *tensor)
{
    return map == NULL ? NULL : json_string_value(json_object_get(map, tensor));
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* Lists the tensors of all shards. `map` (may be NULL) decides where two shards have the same
 * one. */
static vl2_status list_tensors(checkpoint *checkpoint, const json_t *map, vl2_error *error)
{
    size_t most = 0;
    for (size_t i = 0; i < checkpoint->shard_count; i++) {
        most += safetensors_count(checkpoint->shards[i]);
    }
    checkpoint->tensors = base_malloc(most, sizeof(*checkpoint->tensors));
    checkpoint->sorted = base_malloc(most, sizeof(*checkpoint->sorted));
    if (checkpoint->tensors == NULL || checkpoint->sorted == NULL) {
        return vl2_fail_memory(error, "the list of tensors", most * sizeof(*checkpoint->tensors));
    }
    for (size_t i = 0; i < checkpoint->shard_count; i++) {
        const safetensors *shard = checkpoint->shards[i];
        for (size_t j = 0; j < safetensors_count(shard); j++) {
            const tensor_view *tensor = safetensors_get(shard, j);
            const char *wanted = mapped_shard(map, tensor->name);
            if (wanted == NULL || strcmp(wanted, base_name(safetensors_name(shard))) == 0) {
                checkpoint->tensors[checkpoint->count++] = tensor;
            }
        }
    }
    if (checkpoint->count == 0) {
        return VL2_OK;
    }
    memcpy(checkpoint->sorted, checkpoint->tensors,
           checkpoint->count * sizeof(*checkpoint->tensors));
    qsort(checkpoint->sorted, checkpoint->count, sizeof(*checkpoint->sorted), compare_names);
    for (size_t i = 1; i < checkpoint->count; i++) {
        const tensor_view *a = checkpoint->sorted[i - 1], *b = checkpoint->sorted[i];
        if (strcmp(a->name, b->name) == 0) {
            return vl2_fail(error, VL2_ERROR_MODEL,
                            "%s: %.200s: found in %s too, expected in one file only",
                            checkpoint_file_of(checkpoint, a), a->name,
                            checkpoint_file_of(checkpoint, b));
        }
    }
    return VL2_OK;
}

static vl2_status open_shard(checkpoint *checkpoint, const char *path, vl2_error *error)
{
    safetensors **shards = base_realloc(checkpoint->shards, checkpoint->shard_count + 1,
                                        sizeof(*shards));
    if (shards == NULL) {
        return vl2_fail_memory(error, "the list of shards", checkpoint->shard_count + 1);
    }
    checkpoint->shards = shards;
    vl2_status status = safetensors_open(path, &shards[checkpoint->shard_count], error);
    if (status == VL2_OK) {
        checkpoint->shard_count++;
    }
    return status;
}

/* A shard is a file beside the index: a name from an untrusted file must not reach elsewhere. */
static vl2_status check_shard_name(const char *index, const char *tensor, const json_t *value,
                                   vl2_error *error)
{
    const char *name = json_string_value(value);
    char found[96];
    if (name == NULL || name[0] == '\0' || name[0] == '.' || strpbrk(name, "/\\") != NULL ||
        !ends_with(name, ".safetensors")) {
        return vl2_fail(error, VL2_ERROR_MODEL,
                        "%s: weight_map.%.200s: found %s, expected the name of a .safetensors file "
                        "beside the index",
                        index, tensor, json_describe(value, found, sizeof(found)));
    }
    return VL2_OK;
}

static int compare_texts(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The different shards of a weight map, by name. *names (base_free) points into the map. */
static vl2_status list_shards(const char *index, const json_t *map, const char ***names,
                              size_t *count, vl2_error *error)
{
    size_t size = json_object_size(map);
    const char **all = base_malloc(size, sizeof(*all));
    if (all == NULL) {
        return vl2_fail_memory(error, index, size * sizeof(*all));
    }
    const char *tensor;
    json_t *value;
    size_t used = 0, kept = 0;
    json_object_foreach((json_t *)map, tensor, value) {
        vl2_status status = check_shard_name(index, tensor, value, error);
        if (status != VL2_OK) {
            base_free(all);
            return status;
        }
        all[used++] = json_string_value(value);
    }
    qsort(all, used, sizeof(*all), compare_texts);
    for (size_t i = 0; i < used; i++) {
        if (kept == 0 || strcmp(all[kept - 1], all[i]) != 0) {
            all[kept++] = all[i];
        }
    }
    if (kept > SHARDS_LIMIT) {
        base_free(all);
        return vl2_fail(error, VL2_ERROR_MODEL,
                        "%s: weight_map: found %zu different shards, expected at most %zu", index,
                        kept, SHARDS_LIMIT);
    }
    *names = all;
    *count = kept;
    return VL2_OK;
}

static vl2_status open_shards(checkpoint *checkpoint, const char *folder, const char *index,
                              const json_t *map, vl2_error *error)
{
    const char **names = NULL;
    size_t count = 0;
    vl2_status status = list_shards(index, map, &names, &count, error);
    for (size_t i = 0; status == VL2_OK && i < count; i++) {
        char *path = path_join(folder, names[i]);
        struct stat info;
        if (path == NULL) {
            status = vl2_fail_memory(error, names[i], strlen(names[i]));
        } else if (stat(path, &info) != 0) {
            status = vl2_fail(error, VL2_ERROR_MODEL,
                              "%s: weight_map: found no file %s (%s), expected all shards beside "
                              "the index",
                              index, path, strerror(errno));
        } else {
            status = open_shard(checkpoint, path, error);
        }
        base_free(path);
    }
    base_free(names);
    return status;
}

/* Every tensor that the index names must be in its shard. */
static vl2_status check_map(const checkpoint *checkpoint, const char *index, const json_t *map,
                            vl2_error *error)
{
    const char *tensor;
    json_t *value;
    json_object_foreach((json_t *)map, tensor, value) {
        if (checkpoint_find(checkpoint, tensor) == NULL) {
            return vl2_fail(error, VL2_ERROR_MODEL,
                            "%s: weight_map.%.200s: found no such tensor in %s, where the index "
                            "expects it",
                            index, tensor, json_string_value(value));
        }
    }
    return VL2_OK;
}

static vl2_status open_indexed(checkpoint *checkpoint, const char *folder, const char *index,
                               vl2_error *error)
{
    json_t *root;
    vl2_status status = json_open(index, INDEX_LIMIT, VL2_ERROR_MODEL, &root, error);
    if (status != VL2_OK) {
        return status;
    }
    const json_t *map = json_object_get(root, "weight_map");
    if (!json_is_object(map) || json_object_size(map) == 0) {
        char found[96];
        status = vl2_fail(error, VL2_ERROR_MODEL,
                          "%s: weight_map: found %s, expected an object of tensor names and shards",
                          index, json_describe(map, found, sizeof(found)));
    } else {
        status = open_shards(checkpoint, folder, index, map, error);
    }
    if (status == VL2_OK) {
        status = list_tensors(checkpoint, map, error);
    }
    if (status == VL2_OK) {
        status = check_map(checkpoint, index, map, error);
    }
    json_decref(root);
    return status;
}

static vl2_status open_single(checkpoint *checkpoint, const char *path, vl2_error *error)
{
    vl2_status status = open_shard(checkpoint, path, error);
    return status == VL2_OK ? list_tensors(checkpoint, NULL, error) : status;
}

/* Neither of the usual names: the folder's only *.safetensors file will do. */
static vl2_status open_only_file(checkpoint *checkpoint, const char *folder, vl2_error *error)
{
    DIR *directory = opendir(folder);
    if (directory == NULL) {
        return vl2_fail(error, VL2_ERROR_MODEL, "%s: the folder cannot be read: %s", folder,
                        strerror(errno));
    }
    size_t found = 0;
    char *path = NULL;
    bool short_of_memory = false;
    for (struct dirent *item; (item = readdir(directory)) != NULL;) {
        if (item->d_name[0] != '.' && ends_with(item->d_name, ".safetensors") && found++ == 0) {
            path = path_join(folder, item->d_name);
            short_of_memory = path == NULL;
        }
    }
    closedir(directory);
    vl2_status status;
    if (short_of_memory) {
        status = vl2_fail_memory(error, folder, strlen(folder));
    } else if (found == 1) {
        status = open_single(checkpoint, path, error);
    } else {
        status = vl2_fail(error, VL2_ERROR_MODEL,
                          "%s: weights: found %zu .safetensors files and no index, expected "
                          "%s or %s",
                          folder, found, INDEX_NAME, SINGLE_NAME);
    }
    base_free(path);
    return status;
}

/* A name that cannot be looked at for another reason than absence counts as there, so that opening
 * it says why. */
static bool is_there(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

static vl2_status open_folder(checkpoint *checkpoint, const char *folder, vl2_error *error)
{
    char *single = path_join(folder, SINGLE_NAME), *index = path_join(folder, INDEX_NAME);
    vl2_status status;
    if (single == NULL || index == NULL) {
        status = vl2_fail_memory(error, folder, strlen(folder));
    } else if (is_there(single)) {
        status = open_single(checkpoint, single, error);
    } else if (is_there(index)) {
        status = open_indexed(checkpoint, folder, index, error);
    } else {
        status = open_only_file(checkpoint, folder, error);
    }
    base_free(single);
    base_free(index);
    return status;
}

vl2_status checkpoint_open(const char *folder, checkpoint **result, vl2_error *error)
{
    struct stat info;
    if (stat(folder, &info) != 0) {
        return vl2_fail(error, VL2_ERROR_MODEL, "%s: cannot be opened: %s", folder,
                        strerror(errno));
    }
    checkpoint *made = base_calloc(1, sizeof(*made));
    if (made == NULL) {
        return vl2_fail_memory(error, folder, sizeof(*made));
    }
    vl2_status status = S_ISDIR(info.st_mode) ? open_folder(made, folder, error)
                                              : open_single(made, folder, error);
    if (status != VL2_OK) {
        checkpoint_close(made);
        return status;
    }
    *result = made;
    return VL2_OK;
}

void checkpoint_close(checkpoint *checkpoint)
{
    if (checkpoint == NULL) {
        return;
    }
    for (size_t i = 0; i < checkpoint->shard_count; i++) {
        safetensors_close(checkpoint->shards[i]);
    }
    base_free(checkpoint->shards);
    base_free(checkpoint->tensors);
    base_free(checkpoint->sorted);
    base_free(checkpoint);
}

const tensor_view *checkpoint_find(const checkpoint *checkpoint, const char *name)
{
    if (checkpoint->count == 0) {
        return NULL;
    }
    const tensor_view key = {.name = name}, *wanted = &key;
    const tensor_view **found = bsearch(&wanted, checkpoint->sorted, checkpoint->count,
                                        sizeof(*checkpoint->sorted), compare_names);
    return found != NULL ? *found : NULL;
}

size_t checkpoint_count(const checkpoint *checkpoint)
{
    return checkpoint->count;
}

const tensor_view *checkpoint_tensor(const checkpoint *checkpoint, size_t index)
{
    return checkpoint->tensors[index];
}

/* The shard that has a tensor, and its index there. */
static const safetensors *shard_of(const checkpoint *checkpoint, const tensor_view *tensor,
                                   size_t *index)
{
    for (size_t i = 0; i < checkpoint->shard_count; i++) {
        *index = safetensors_index(checkpoint->shards[i], tensor);
        if (*index != SIZE_MAX) {
            return checkpoint->shards[i];
        }
    }
    return NULL;
}

const char *checkpoint_file_of(const checkpoint *checkpoint, const tensor_view *tensor)
{
    size_t index;
    const safetensors *shard = shard_of(checkpoint, tensor, &index);
    return shard != NULL ? safetensors_name(shard) : "an unknown file";
}

const char *checkpoint_dtype_of(const checkpoint *checkpoint, const tensor_view *tensor)
{
    size_t index;
    const safetensors *shard = shard_of(checkpoint, tensor, &index);
    return shard != NULL ? safetensors_dtype(shard, index) : "an unknown data type";
}

size_t checkpoint_shards(const checkpoint *checkpoint)
{
    return checkpoint->shard_count;
}

uint64_t checkpoint_file_bytes(const checkpoint *checkpoint)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < checkpoint->shard_count; i++) {
        bytes += safetensors_bytes(checkpoint->shards[i]);
    }
    return bytes;
}
