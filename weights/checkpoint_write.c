#include "weights/checkpoint_write.h"

#include "base/alloc.h"
#include "weights/safetensors_write.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define DEFAULT_SHARD_BYTES ((uint64_t)4 << 30)
#define ENTRY_BYTES         ((uint64_t)256) /* most bytes of one tensor's entry, but for its name */
#define SHORT_NAME          ((size_t)100)   /* letters that have room in it */

static const char index_name[] = "model.safetensors.index.json";
/* What makes a folder look like a checkpoint; the configuration is the first to go and the last to
 * come. */
static const char *const small_files[] = {"config.json", index_name, "tokenizer.json",
                                          "tokenizer_config.json", "special_tokens_map.json",
                                          "processor_config.json"};
#define SMALL_FILE_COUNT (sizeof(small_files) / sizeof(small_files[0]))

/* The tensors first to first + count - 1 of the plan. */
typedef struct shard {
    size_t first, count;
    char name[64];
} shard;

typedef struct writing {
    const checkpoint_plan *plan;
    shard *shards;
    size_t shard_count;
} writing;

/* ------------------------------------------------------------------------------------ shards */

static uint64_t tensor_bytes(const tensor_view *tensor)
{
    return tensor_elements(tensor) * data_type_size(tensor->type);
}

uint64_t checkpoint_plan_bytes(const checkpoint_plan *plan)
{
    uint64_t total = 0;
    for (size_t i = 0; i < plan->count; i++) {
        total += tensor_bytes(&plan->tensors[i]);
    }
    return total;
}

static uint64_t entry_bytes(const tensor_view *tensor)
{
    size_t length = strlen(tensor->name);
    return ENTRY_BYTES + (length > SHORT_NAME ? 2 * length : 0);
}

/* Fills files one after another up to the limit. With `shards` NULL: only counts them. */
static size_t split(const checkpoint_plan *plan, uint64_t limit, shard *shards)
{
    size_t count = 0;
    uint64_t used = 0;
    for (size_t i = 0; i < plan->count; i++) {
        uint64_t bytes = tensor_bytes(&plan->tensors[i]) + entry_bytes(&plan->tensors[i]);
        if (count == 0 || bytes > limit - (used < limit ? used : limit)) {
            if (shards != NULL) {
                shards[count] = (shard){.first = i};
            }
            count++;
            used = ENTRY_BYTES; /* length and metadata */
        }
        used += bytes;
        if (shards != NULL) {
            shards[count - 1].count++;
        }
    }
    return count;
}

static vl2_status plan_shards(writing *job, vl2_error *error)
{
    uint64_t limit = job->plan->shard_bytes > 0 ? job->plan->shard_bytes : DEFAULT_SHARD_BYTES;
    job->shard_count = split(job->plan, limit, NULL);
    job->shards = base_calloc(job->shard_count, sizeof(*job->shards));
    if (job->shards == NULL) {
        return vl2_fail_memory(error, "the list of shards", job->shard_count * sizeof(shard));
    }
    split(job->plan, limit, job->shards);
    for (size_t i = 0; i < job->shard_count; i++) {
        if (job->shard_count == 1) {
            snprintf(job->shards[i].name, sizeof(job->shards[i].name), "model.safetensors");
        } else {
            snprintf(job->shards[i].name, sizeof(job->shards[i].name),
                     "model-%05zu-of-%06zu.safetensors", i + 1, job->shard_count);
        }
    }
    return VL2_OK;
}

static vl2_status make_header(const writing *job, const shard *shard, safetensors_header *header,
                              vl2_error *error)
{
    static const char *const names[DATA_TYPE_COUNT] = {"F32", "F16", "BF16"};
    safetensors_header_begin(header, &(safetensors_note){"format", "pt"}, 1);
    for (size_t i = shard->first; i < shard->first + shard->count; i++) {
        const tensor_view *tensor = &job->plan->tensors[i];
        safetensors_header_tensor(header, tensor->name, names[tensor->type], tensor->shape,
                                  tensor->rank, tensor_bytes(tensor));
    }
    return safetensors_header_end(header, error);
}

static vl2_status write_tensors(const writing *job, const shard *shard, file_writer *writer,
                                vl2_error *error)
{
    vl2_status status = VL2_OK;
    for (size_t i = shard->first; status == VL2_OK && i < shard->first + shard->count; i++) {
        status = job->plan->write_tensor(job->plan->context, i, writer, error);
    }
    return status;
}

static vl2_status write_shard(const writing *job, const shard *shard, vl2_error *error)
{
    safetensors_header header = {.offset = 0};
    file_writer writer;
    char *path = path_join(job->plan->folder, shard->name);
    vl2_status status = path == NULL ? vl2_fail_memory(error, shard->name, sizeof(shard->name))
                                     : make_header(job, shard, &header, error);
    if (status == VL2_OK) {
        status = file_writer_open(&writer, path, error);
    }
    if (status == VL2_OK) {
        status = file_writer_write(&writer, header.text.data, header.text.size, error);
        if (status == VL2_OK) {
            status = write_tensors(job, shard, &writer, error);
        }
        if (status == VL2_OK) {
            status = file_writer_commit(&writer, error);
        } else {
            file_writer_abandon(&writer);
        }
    }
    safetensors_header_free(&header);
    base_free(path);
    return status;
}

vl2_status checkpoint_write_file(const char *folder, const char *name, const void *bytes,
                                 size_t size, vl2_error *error)
{
    char *path = path_join(folder, name);
    if (path == NULL) {
        return vl2_fail_memory(error, name, strlen(folder));
    }
    vl2_status status = file_write(path, bytes, size, error);
    base_free(path);
    return status;
}

static vl2_status write_index(const writing *job, vl2_error *error)
{
    json_t *map = json_object();
    for (size_t i = 0; i < job->shard_count; i++) {
        const shard *shard = &job->shards[i];
        for (size_t j = shard->first; j < shard->first + shard->count; j++) {
            json_object_set_new(map, job->plan->tensors[j].name, json_string(shard->name));
        }
    }
    if (json_object_size(map) != job->plan->count) {
        json_decref(map);
        map = NULL;
    }
    json_t *index = json_pack("{s:{s:I}, s:o}", "metadata", "total_size",
                              (json_int_t)checkpoint_plan_bytes(job->plan), "weight_map", map);
    char *text = index != NULL ? json_dumps(index, JSON_INDENT(2)) : NULL;
    json_decref(index);
    if (text == NULL) {
        return vl2_fail_memory(error, index_name, job->plan->count * ENTRY_BYTES);
    }
    vl2_status status =
        checkpoint_write_file(job->plan->folder, index_name, text, strlen(text), error);
    free(text); /* jansson's own */
    return status;
}

/* ------------------------------------------------------------------------------------ folder */

/* model.safetensors and model-00001-of-000002.safetensors, whoever wrote them. */
static bool is_weight_file(const char *name)
{
    size_t length = strlen(name), end = strlen(".safetensors");
    return strncmp(name, "model", 5) == 0 && length > end &&
           strcmp(name + length - end, ".safetensors") == 0;
}

static bool belongs_to_checkpoint(const char *name)
{
    for (size_t i = 0; i < SMALL_FILE_COUNT; i++) {
        if (strcmp(name, small_files[i]) == 0) {
            return true;
        }
    }
    return is_weight_file(name);
}

/* Looks for the files of a checkpoint: their bytes, and the name of one of them ("" without
 * any). */
static vl2_status survey(const char *folder, uint64_t *bytes, char name[256], vl2_error *error)
{
    *bytes = 0;
    name[0] = '\0';
    DIR *directory = opendir(folder);
    if (directory == NULL) {
        return vl2_fail(error, VL2_ERROR_IO, "%s: the folder cannot be read: %s", folder,
                        strerror(errno));
    }
    for (struct dirent *item; (item = readdir(directory)) != NULL;) {
        struct stat info;
        if (belongs_to_checkpoint(item->d_name)) {
            snprintf(name, 256, "%.255s", item->d_name);
            if (fstatat(dirfd(directory), item->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
                *bytes += (uint64_t)info.st_blocks * 512;
            }
        }
    }
    closedir(directory);
    return VL2_OK;
}

/* Removes the files of a checkpoint, the configuration first; what cannot be removed stays. */
static void remove_checkpoint(const char *folder)
{
    DIR *directory = opendir(folder);
    if (directory == NULL) {
        return;
    }
    for (size_t i = 0; i < SMALL_FILE_COUNT; i++) {
        unlinkat(dirfd(directory), small_files[i], 0);
    }
    for (struct dirent *item; (item = readdir(directory)) != NULL;) {
        if (is_weight_file(item->d_name)) {
            unlinkat(dirfd(directory), item->d_name, 0);
        }
    }
    closedir(directory);
}

/* `reusable`: bytes of files that will be removed first. */
static vl2_status check_space(const writing *job, uint64_t reusable, vl2_error *error)
{
    struct statvfs disk;
    uint64_t needed =
        checkpoint_plan_bytes(job->plan) + job->plan->count * ENTRY_BYTES + job->plan->other_bytes;
    if (statvfs(job->plan->folder, &disk) != 0) {
        return VL2_OK; /* not known: writing will tell */
    }
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (needed > free_bytes + reusable) {
        return vl2_fail(error, VL2_ERROR_IO,
                        "%s: space on the disk: found %" PRIu64 " bytes, expected at least %" PRIu64
                        " (%.1f GB free, %.1f GB needed)",
                        job->plan->folder, free_bytes + reusable, needed,
                        (double)(free_bytes + reusable) * 1e-9, (double)needed * 1e-9);
    }
    return VL2_OK;
}

static vl2_status prepare_folder(const writing *job, vl2_error *error)
{
    uint64_t bytes;
    char name[256];
    vl2_status status = folder_create(job->plan->folder, error);
    if (status == VL2_OK) {
        status = survey(job->plan->folder, &bytes, name, error);
    }
    if (status == VL2_OK && name[0] != '\0' && !job->plan->overwrite) {
        status = vl2_fail(error, VL2_ERROR_ARGUMENT,
                          "%s: found %s, expected a folder without a checkpoint (or the wish to "
                          "overwrite it)",
                          job->plan->folder, name);
    }
    if (status == VL2_OK) {
        status = check_space(job, bytes, error);
    }
    if (status == VL2_OK) {
        remove_checkpoint(job->plan->folder);
    }
    return status;
}

/* ------------------------------------------------------------------------------------ all of it */

static vl2_status write_files(const writing *job, vl2_error *error)
{
    vl2_status status = VL2_OK;
    for (size_t i = 0; status == VL2_OK && i < job->shard_count; i++) {
        status = write_shard(job, &job->shards[i], error);
    }
    if (status == VL2_OK && job->shard_count > 1) {
        status = write_index(job, error);
    }
    if (status == VL2_OK) {
        status = job->plan->write_files(job->plan->context, job->plan->folder, error);
    }
    return status;
}

vl2_status checkpoint_write(const checkpoint_plan *plan, vl2_error *error)
{
    writing job = {.plan = plan};
    vl2_status status = plan_shards(&job, error);
    struct stat info;
    bool made = status == VL2_OK && stat(plan->folder, &info) != 0;
    if (status == VL2_OK) {
        status = prepare_folder(&job, error);
    }
    if (status == VL2_OK) {
        status = write_files(&job, error);
        if (status != VL2_OK) {
            remove_checkpoint(plan->folder);
        }
    }
    if (status != VL2_OK && made) {
        rmdir(plan->folder);
    }
    base_free(job.shards);
    return status;
}
