#include "weights/synth.h"

#include "base/alloc.h"
#include "weights/checkpoint_write.h"
#include "weights/synth_config.h"
#include "weights/synth_random.h"
#include "weights/synth_tensors.h"

#include <string.h>
#include <time.h>

#define PIECE_ELEMENTS    ((size_t)1 << 18) /* of one task; a multiple of SYNTH_PER_DRAW */
#define PIECES            ((size_t)8)       /* filled together, then written */
#define SMALL_FILES_BYTES ((uint64_t)64 << 20) /* room for the other files: 5 MB of tokenizer */

typedef struct synthesis {
    const synth_shape *shape;
    const vl2_synth_options *options;
    const team *team;
    synth_tensors tensors;
    tensor_view *views;   /* the same, for the writer */
    uint64_t done, total; /* bytes of tensors */
    struct timespec start;
    float *quantiles;
    void *table;          /* of the tensor that is being written */
    uint8_t *pieces;      /* [PIECES, PIECE_ELEMENTS] */
} synthesis;

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
                                     (double)(now.tv_nsec - job->start.tv_nsec) * 1e-9,
                                 NULL};
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

static vl2_status write_tensor(void *context, size_t index, file_writer *writer, vl2_error *error)
{
    synthesis *job = context;
    const synth_tensor *tensor = &job->tensors.items[index];
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

/* ------------------------------------------------------------------------------------ all of it */

static vl2_status write_files(void *context, const char *folder, vl2_error *error)
{
    return synth_write_files(((const synthesis *)context)->shape, folder, error);
}

static vl2_status allocate(synthesis *job, vl2_error *error)
{
    size_t size = data_type_size(job->shape->type);
    job->quantiles = base_malloc(SYNTH_QUANTILES, sizeof(*job->quantiles));
    job->table = base_malloc(SYNTH_QUANTILES, size);
    job->pieces = base_malloc(PIECES * PIECE_ELEMENTS, size);
    job->views = base_calloc(job->tensors.count, sizeof(*job->views));
    if (job->quantiles == NULL || job->table == NULL || job->pieces == NULL ||
        job->views == NULL) {
        return vl2_fail_memory(error, "the random numbers", PIECES * PIECE_ELEMENTS * size);
    }
    for (size_t i = 0; i < job->tensors.count; i++) {
        const synth_tensor *tensor = &job->tensors.items[i];
        tensor_view *view = &job->views[i];
        *view = (tensor_view){tensor->name, NULL, job->shape->type, tensor->rank, {0}};
        memcpy(view->shape, tensor->shape, sizeof(tensor->shape));
    }
    synth_quantiles(job->quantiles);
    return VL2_OK;
}

static vl2_status run(synthesis *job, vl2_error *error)
{
    vl2_status status = synth_list_tensors(job->shape, &job->tensors, error);
    if (status == VL2_OK) {
        status = allocate(job, error);
    }
    if (status != VL2_OK) {
        return status;
    }
    checkpoint_plan plan = {job->options->out,         job->views,        job->tensors.count,
                            job->options->shard_bytes, SMALL_FILES_BYTES, job->options->overwrite,
                            write_tensor,              write_files,       job};
    job->total = checkpoint_plan_bytes(&plan);
    clock_gettime(CLOCK_MONOTONIC, &job->start);
    return checkpoint_write(&plan, error);
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
    base_free(job.views);
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
