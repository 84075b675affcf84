#include "weights/synth.h"

#include "base/alloc.h"
#include "base/file.h"
#include "weights/safetensors_write.h"
#include "weights/synth_config.h"
#include "weights/synth_random.h"
#include "weights/synth_tensors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_SHARD_BYTES ((uint64_t)4 << 30)
#define PIECE_ELEMENTS      ((size_t)1 << 18) /* of one task; a multiple of SYNTH_PER_DRAW */
#define PIECES              ((size_t)8)       /* filled together, then written */
#define ENTRY_BYTES         ((uint64_t)256)   /* most bytes of one tensor's entry in the header */
#define SMALL_FILES_BYTES   ((uint64_t)64 << 20) /* room for the other files: 5 MB of tokenizer */

static const char index_name[] = "model.safetensors.index.json";
/* What makes a folder look like a checkpoint; the configuration is the first to go and the last to
 * come. */
static const char *const small_files[] = {"config.json", index_name, "tokenizer.json",
                                          "tokenizer_config.json", "special_tokens_map.json",
                                          "processor_config.json"};
#define SMALL_FILE_COUNT (sizeof(small_files) / sizeof(small_files[0]))

/* The tensors first to first + count - 1 of the list. */
typedef struct shard {
    size_t first, count;
    uint64_t data_bytes;
    char name[64];
} shard;

typedef struct synthesis {
    const synth_shape *shape;
    const vl2_synth_options *options;
    const team *team;
    synth_tensors tensors;
    shard *shards;
    size_t shard_count;
    uint64_t done, total; /* bytes of tensors */
    struct timespec start;
    float *quantiles;
    void *table;          /* of the tensor that is being written */
    uint8_t *pieces;      /* [PIECES, PIECE_ELEMENTS] */
} synthesis;

/* ------------------------------------------------------------------------------------ shards */

static uint64_t tensor_bytes(const synthesis *job, size_t index)
{
    return job->tensors.items[index].elements * data_type_size(job->shape->type);
}

/* Fills files one after another up to the limit. With `shards` NULL: only counts them. */
static size_t split(const synthesis *job, uint64_t limit, shard *shards)
{
    size_t count = 0;
    uint64_t used = 0;
    for (size_t i = 0; i < job->tensors.count; i++) {
        uint64_t bytes = tensor_bytes(job, i) + ENTRY_BYTES;
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
            shards[count - 1].data_bytes += tensor_bytes(job, i);
        }
    }
    return count;
}

static vl2_status plan_shards(synthesis *job, vl2_error *error)
{
    uint64_t limit = job->options->shard_bytes > 0 ? job->options->shard_bytes
                                                   : DEFAULT_SHARD_BYTES;
    job->shard_count = split(job, limit, NULL);
    job->shards = base_calloc(job->shard_count, sizeof(*job->shards));
    if (job->shards == NULL) {
        return vl2_fail_memory(error, "the list of shards", job->shard_count * sizeof(shard));
    }
    split(job, limit, job->shards);
    for (size_t i = 0; i < job->shard_count; i++) {
        job->total += job->shards[i].data_bytes;
        if (job->shard_count == 1) {
            snprintf(job->shards[i].name, sizeof(job->shards[i].name), "model.safetensors");
        } else {
            snprintf(job->shards[i].name, sizeof(job->shards[i].name),
                     "model-%05zu-of-%06zu.safetensors", i + 1, job->shard_count);
        }
    }
    return VL2_OK;
}

static vl2_status make_header(const synthesis *job, const shard *shard, safetensors_header *header,
                              vl2_error *error)
{
    static const char *const names[DATA_TYPE_COUNT] = {"F32", "F16", "BF16"};
    safetensors_header_begin(header, &(safetensors_note){"format", "pt"}, 1);
    for (size_t i = shard->first; i < shard->first + shard->count; i++) {
        const synth_tensor *tensor = &job->tensors.items[i];
        safetensors_header_tensor(header, tensor->name, names[job->shape->type], tensor->shape,
                                  tensor->rank, tensor_bytes(job, i));
    }
    return safetensors_header_end(header, error);
}

/* ------------------------------------------------------------------------------------ numbers */

typedef struct filling {
    const synthesis *job;
    const synth_tensor *tensor;
    uint64_t key, first; /* element of the first piece */
    size_t count;        /* elements in all pieces */
} filling;

/* One number after another without a table, for tensors that are smaller than one. */
static void fill_directly(const filling *filling, uint64_t first, size_t count, uint8_t *out)
{
    const synth_tensor *tensor = filling->tensor;
    data_type type = filling->job->shape->type;
    for (size_t i = 0; i < count; i++) {
        double quantile = (double)filling->job->quantiles[synth_pick(filling->key, first + i)];
        float number = (float)(tensor->mean + tensor->deviation * quantile);
        numbers_narrow(&number, 1, type, out + i * data_type_size(type));
    }
}

static bool uses_table(const synth_tensor *tensor)
{
    return tensor->random >= SYNTH_QUANTILES;
}

static void fill_piece(void *context, size_t task, int worker)
{
    (void)worker;
    const filling *filling = context;
    const synthesis *job = filling->job;
    size_t size = data_type_size(job->shape->type), begin = task * PIECE_ELEMENTS;
    size_t count = filling->count - begin < PIECE_ELEMENTS ? filling->count - begin
                                                           : PIECE_ELEMENTS;
    uint64_t first = filling->first + begin, random = filling->tensor->random;
    size_t drawn = first >= random ? 0 : random - first < count ? (size_t)(random - first) : count;
    uint8_t *out = job->pieces + begin * size;
    if (uses_table(filling->tensor)) {
        synth_fill(filling->key, job->table, job->shape->type, first, drawn, out);
    } else {
        fill_directly(filling, first, drawn, out);
    }
    memset(out + drawn * size, 0, (count - drawn) * size);
}

static void report(const synthesis *job)
{
    if (job->options->progress != NULL) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        vl2_progress progress = {VL2_STAGE_WRITE, job->done, job->total,
                                 (double)(now.tv_sec - job->start.tv_sec) +
                                     (double)(now.tv_nsec - job->start.tv_nsec) * 1e-9};
        job->options->progress(&progress, job->options->progress_user);
    }
}

static vl2_status check_cancelled(const synthesis *job, vl2_error *error)
{
    const vl2_synth_options *options = job->options;
    if (options->cancelled != NULL && options->cancelled(options->cancelled_user)) {
        return vl2_fail(error, VL2_ERROR_CANCELLED, "%s: cancelled while writing", options->out);
    }
    return VL2_OK;
}

static vl2_status write_tensor(synthesis *job, const synth_tensor *tensor, file_writer *writer,
                               vl2_error *error)
{
    size_t size = data_type_size(job->shape->type);
    filling filling = {job, tensor, synth_key(job->options->seed, tensor->name), 0, 0};
    if (uses_table(tensor)) {
        synth_table(job->quantiles, tensor->mean, tensor->deviation, job->shape->type, job->table);
    }
    while (filling.first < tensor->elements) {
        uint64_t left = tensor->elements - filling.first;
        filling.count = left < PIECES * PIECE_ELEMENTS ? (size_t)left : PIECES * PIECE_ELEMENTS;
        team_run(job->team, (filling.count + PIECE_ELEMENTS - 1) / PIECE_ELEMENTS, fill_piece,
                 &filling);
        vl2_status status = file_writer_write(writer, job->pieces, filling.count * size, error);
        if (status == VL2_OK) {
            status = check_cancelled(job, error);
        }
        if (status != VL2_OK) {
            return status;
        }
        filling.first += filling.count;
        job->done += filling.count * size;
        report(job);
    }
    return VL2_OK;
}

static vl2_status write_shard(synthesis *job, const shard *shard, vl2_error *error)
{
    safetensors_header header = {.offset = 0};
    file_writer writer;
    char *path = path_join(job->options->out, shard->name);
    vl2_status status = path == NULL ? vl2_fail_memory(error, shard->name, sizeof(shard->name))
                                     : make_header(job, shard, &header, error);
    if (status == VL2_OK) {
        status = file_writer_open(&writer, path, error);
    }
    if (status == VL2_OK) {
        status = file_writer_write(&writer, header.text.data, header.text.size, error);
        for (size_t i = 0; status == VL2_OK && i < shard->count; i++) {
            status = write_tensor(job, &job->tensors.items[shard->first + i], &writer, error);
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

static vl2_status write_index(const synthesis *job, vl2_error *error)
{
    json_t *map = json_object();
    for (size_t i = 0; i < job->shard_count; i++) {
        const shard *shard = &job->shards[i];
        for (size_t j = shard->first; j < shard->first + shard->count; j++) {
            json_object_set_new(map, job->tensors.items[j].name, json_string(shard->name));
        }
    }
    if (json_object_size(map) != job->tensors.count) {
        json_decref(map);
        map = NULL;
    }
    json_t *index = json_pack("{s:{s:I}, s:o}", "metadata", "total_size", (json_int_t)job->total,
                              "weight_map", map);
    return synth_write_json(job->options->out, index_name, index, error);
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
static vl2_status check_space(const synthesis *job, uint64_t reusable, vl2_error *error)
{
    struct statvfs disk;
    uint64_t needed = job->total + job->tensors.count * ENTRY_BYTES + SMALL_FILES_BYTES;
    if (statvfs(job->options->out, &disk) != 0) {
        return VL2_OK; /* not known: writing will tell */
    }
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (needed > free_bytes + reusable) {
        return vl2_fail(error, VL2_ERROR_IO,
                        "%s: space on the disk: found %" PRIu64 " bytes, expected at least %" PRIu64
                        " (%.1f GB free, %.1f GB needed)",
                        job->options->out, free_bytes + reusable, needed,
                        (double)(free_bytes + reusable) * 1e-9, (double)needed * 1e-9);
    }
    return VL2_OK;
}

static vl2_status prepare_folder(const synthesis *job, vl2_error *error)
{
    uint64_t bytes;
    char name[256];
    vl2_status status = folder_create(job->options->out, error);
    if (status == VL2_OK) {
        status = survey(job->options->out, &bytes, name, error);
    }
    if (status == VL2_OK && name[0] != '\0' && !job->options->overwrite) {
        status = vl2_fail(error, VL2_ERROR_ARGUMENT,
                          "%s: found %s, expected a folder without a checkpoint (or the wish to "
                          "overwrite it)",
                          job->options->out, name);
    }
    if (status == VL2_OK) {
        status = check_space(job, bytes, error);
    }
    if (status == VL2_OK) {
        remove_checkpoint(job->options->out);
    }
    return status;
}

/* ------------------------------------------------------------------------------------ all of it */

static vl2_status write_files(synthesis *job, vl2_error *error)
{
    const char *out = job->options->out;
    vl2_status status = VL2_OK;
    clock_gettime(CLOCK_MONOTONIC, &job->start);
    for (size_t i = 0; status == VL2_OK && i < job->shard_count; i++) {
        status = write_shard(job, &job->shards[i], error);
    }
    if (status == VL2_OK) {
        status = synth_write_tokenizer(job->shape, out, error);
    }
    if (status == VL2_OK) {
        status = synth_write_processor(job->shape, out, error);
    }
    if (status == VL2_OK && job->shard_count > 1) {
        status = write_index(job, error);
    }
    if (status == VL2_OK) {
        status = synth_write_config(job->shape, out, error);
    }
    return status;
}

static vl2_status allocate(synthesis *job, vl2_error *error)
{
    size_t size = data_type_size(job->shape->type);
    job->quantiles = base_malloc(SYNTH_QUANTILES, sizeof(*job->quantiles));
    job->table = base_malloc(SYNTH_QUANTILES, size);
    job->pieces = base_malloc(PIECES * PIECE_ELEMENTS, size);
    if (job->quantiles == NULL || job->table == NULL || job->pieces == NULL) {
        return vl2_fail_memory(error, "the random numbers", PIECES * PIECE_ELEMENTS * size);
    }
    synth_quantiles(job->quantiles);
    return VL2_OK;
}

static vl2_status run(synthesis *job, vl2_error *error)
{
    vl2_status status = synth_list_tensors(job->shape, &job->tensors, error);
    if (status == VL2_OK) {
        status = plan_shards(job, error);
    }
    if (status == VL2_OK) {
        status = allocate(job, error);
    }
    struct stat info;
    bool made = status == VL2_OK && stat(job->options->out, &info) != 0;
    if (status == VL2_OK) {
        status = prepare_folder(job, error);
    }
    if (status == VL2_OK) {
        status = write_files(job, error);
        if (status != VL2_OK) {
            remove_checkpoint(job->options->out);
        }
    }
    if (status != VL2_OK && made) {
        rmdir(job->options->out);
    }
    return status;
}

vl2_status synth_write_team(const synth_shape *shape, const vl2_synth_options *options,
                            const team *team, vl2_error *error)
{
    if (options->out == NULL || options->out[0] == '\0') {
        return vl2_fail(error, VL2_ERROR_ARGUMENT, "out: found nothing, expected a folder");
    }
    vl2_status status = synth_check_shape(shape, error);
    if (status != VL2_OK) {
        return status;
    }
    synthesis job = {.shape = shape, .options = options, .team = team};
    status = run(&job, error);
    synth_free_tensors(&job.tensors);
    base_free(job.shards);
    base_free(job.quantiles);
    base_free(job.table);
    base_free(job.pieces);
    return status;
}

vl2_status synth_write_shape(const synth_shape *shape, const vl2_synth_options *options,
                             vl2_error *error)
{
    team all = {.threads = team_processors()};
    return synth_write_team(shape, options, &all, error);
}

vl2_status synth_write(const vl2_synth_options *options, vl2_error *error)
{
    synth_shape shape;
    if (options->size == NULL || synth_shape_named(options->size, &shape) != VL2_OK) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "size: found \"%.60s\", expected tiny, small or base (or tiny-dev, "
                        "small-dev, base-dev)",
                        options->size != NULL ? options->size : "");
    }
    return synth_write_shape(&shape, options, error);
}
