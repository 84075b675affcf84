#include "weights/unpack.h"

#include "base/alloc.h"
#include "weights/checkpoint_write.h"

#include <string.h>
#include <time.h>

#define PIECE_ELEMENTS ((size_t)1 << 18) /* of one task, or a row of a packed matrix */
#define LEAST_PIECES   ((size_t)8)       /* filled together, then written */

typedef struct unpacking {
    const pack_file *file;
    const vl2_unpack_options *options;
    const team *team;
    unpack_decoder *decode;
    tensor_view *views;   /* [tensor_count], as they are written */
    uint64_t done, total; /* bytes of tensors */
    struct timespec start;
    size_t pieces, room; /* room: elements of a piece */
    float *numbers;      /* [pieces, room] */
    uint8_t *out;        /* [pieces, room] of 4 bytes */
} unpacking;

/* A tensor on its way. */
typedef struct passage {
    unpacking *job;
    const pack_tensor *tensor;
    const tensor_view *view;
    const uint8_t *content[PACK_MAX_PLANES]; /* of each frame */
    uint8_t *expanded[PACK_MAX_PLANES];      /* the same where it had to be expanded, else NULL */
    vl2_status status[PACK_MAX_PLANES];
    vl2_error error[PACK_MAX_PLANES];
    packed_matrix matrix; /* layout 0: plain numbers */
    uint64_t elements;
    size_t piece;   /* elements of a task */
    uint64_t first; /* element of the first task */
    size_t count;   /* elements of all tasks */
} passage;

/* ------------------------------------------------------------------------------------ planes */

static void open_plane(void *context, size_t index, int worker)
{
    (void)worker;
    passage *passage = context;
    const pack_file *file = passage->job->file;
    const pack_frame *frame = &passage->tensor->frames[index];
    vl2_error *error = &passage->error[index];
    passage->content[index] = pack_data(file) + frame->offset;
    vl2_status status = pack_check(file, passage->tensor, frame, error);
    if (status == VL2_OK && frame->codec != PACK_RAW) {
        passage->expanded[index] = base_malloc((size_t)frame->content, 1);
        passage->content[index] = passage->expanded[index];
        status = passage->expanded[index] == NULL
                     ? vl2_fail_memory(error, passage->tensor->name, (size_t)frame->content)
                     : pack_expand(file, passage->tensor, frame, passage->expanded[index], error);
    }
    passage->status[index] = status;
}

static vl2_status open_planes(passage *passage, vl2_error *error)
{
    const pack_tensor *tensor = passage->tensor;
    team_run(passage->job->team, (size_t)tensor->frame_count, open_plane, passage);
    for (int i = 0; i < tensor->frame_count; i++) {
        if (passage->status[i] != VL2_OK) {
            return vl2_fail(error, passage->status[i], "%s", passage->error[i].message);
        }
    }
    if (layout_find(tensor->layout) == NULL) {
        return VL2_OK;
    }
    passage->matrix.layout = (layout_id)tensor->layout;
    passage->matrix.rows = (size_t)tensor->shape[0];
    passage->matrix.columns = (size_t)(passage->elements / tensor->shape[0]);
    for (int i = 0; i < tensor->frame_count; i++) {
        passage->matrix.plane[tensor->frames[i].plane] = passage->content[i];
    }
    return VL2_OK;
}

static void close_planes(const passage *passage)
{
    for (int i = 0; i < passage->tensor->frame_count; i++) {
        const pack_frame *frame = &passage->tensor->frames[i];
        base_free(passage->expanded[i]);
        pack_release(passage->job->file, frame);
    }
}

/* ------------------------------------------------------------------------------------ numbers */

/* Numbers of a tensor that is not a packed matrix, in the type they are stored in. Returns where
 * they are: `out`, if they had to be put together. */
static const uint8_t *stored_numbers(const passage *passage, uint64_t first, size_t count,
                                     uint8_t *out)
{
    if (passage->tensor->layout == PACK_PLAIN_F32) {
        return passage->content[0] + first * sizeof(float);
    }
    pack_join(passage->content[0] + first, passage->content[1] + first, count, out);
    return out;
}

static void fill_piece(void *context, size_t task, int worker)
{
    (void)worker;
    const passage *passage = context;
    const unpacking *job = passage->job;
    size_t begin = task * passage->piece, left = passage->count - begin;
    size_t count = left < passage->piece ? left : passage->piece;
    uint64_t first = passage->first + begin;
    data_type type = passage->view->type;
    float *numbers = job->numbers + begin;
    uint8_t *out = job->out + begin * data_type_size(type);
    if (passage->matrix.layout != 0) {
        size_t columns = passage->matrix.columns;
        job->decode(&passage->matrix, (size_t)(first / columns), count / columns, numbers, columns);
        numbers_narrow(numbers, count, type, out);
        return;
    }
    data_type stored = (data_type)(passage->tensor->type - PACK_F32);
    const uint8_t *bytes = stored_numbers(passage, first, count, out);
    if (stored != type) {
        numbers_widen(bytes, stored, count, numbers);
        numbers_narrow(numbers, count, type, out);
    } else if (bytes != out) { /* every bit, of NaN too */
        memcpy(out, bytes, count * sizeof(float));
    }
}

/* ------------------------------------------------------------------------------------ tensors */

static void report(const unpacking *job)
{
    const vl2_unpack_options *options = job->options;
    if (options->progress != NULL) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        vl2_progress progress = {VL2_STAGE_WRITE, job->done, job->total,
                                 (double)(now.tv_sec - job->start.tv_sec) +
                                     (double)(now.tv_nsec - job->start.tv_nsec) * 1e-9,
                                 NULL};
        options->progress(&progress, options->progress_user);
    }
}

static vl2_status check_cancelled(const unpacking *job, vl2_error *error)
{
    const vl2_unpack_options *options = job->options;
    if (options->cancelled != NULL && options->cancelled(options->cancelled_user)) {
        return vl2_fail(error, VL2_ERROR_CANCELLED, "%s: cancelled while writing", options->out);
    }
    return VL2_OK;
}

/* Makes room for pieces of so many elements. */
static vl2_status reserve(unpacking *job, size_t elements, vl2_error *error)
{
    if (elements <= job->room) {
        return VL2_OK;
    }
    base_free(job->numbers);
    base_free(job->out);
    job->room = 0;
    job->numbers = base_malloc(elements, job->pieces * sizeof(*job->numbers));
    job->out = base_malloc(elements, job->pieces * sizeof(float));
    if (job->numbers == NULL || job->out == NULL) {
        return vl2_fail_memory(error, "unpacking", elements * job->pieces * sizeof(float));
    }
    job->room = elements;
    return VL2_OK;
}

static vl2_status write_numbers(passage *passage, file_writer *writer, vl2_error *error)
{
    unpacking *job = passage->job;
    size_t size = data_type_size(passage->view->type);
    vl2_status status = reserve(job, passage->piece, error);
    while (status == VL2_OK && passage->first < passage->elements) {
        uint64_t left = passage->elements - passage->first;
        size_t most = job->pieces * passage->piece;
        passage->count = left < most ? (size_t)left : most;
        team_run(job->team, (passage->count + passage->piece - 1) / passage->piece, fill_piece,
                 passage);
        status = file_writer_write(writer, job->out, passage->count * size, error);
        if (status == VL2_OK) {
            status = check_cancelled(job, error);
        }
        passage->first += passage->count;
        job->done += passage->count * size;
        report(job);
    }
    return status;
}

static vl2_status write_tensor(void *context, size_t index, file_writer *writer, vl2_error *error)
{
    unpacking *job = context;
    passage *passage = base_calloc(1, sizeof(*passage));
    if (passage == NULL) {
        return vl2_fail_memory(error, "unpacking", sizeof(*passage));
    }
    passage->job = job;
    passage->tensor = pack_tensor_get(job->file, index);
    passage->view = &job->views[index];
    passage->elements = tensor_elements(passage->view);
    vl2_status status = open_planes(passage, error);
    if (status == VL2_OK) {
        size_t row = passage->matrix.layout != 0 ? passage->matrix.columns : 1;
        passage->piece = row > PIECE_ELEMENTS ? row : PIECE_ELEMENTS / row * row;
        status = write_numbers(passage, writer, error);
    }
    close_planes(passage);
    base_free(passage);
    return status;
}

/* ------------------------------------------------------------------------------------ files */

/* Only these: what a file calls its blobs must not choose what is written where. */
static const char *const blob_names[] = {"processor_config.json", "tokenizer.json",
                                         "tokenizer_config.json", "special_tokens_map.json",
                                         "config.json"};

static bool has_blob(const pack_file *file, const char *name)
{
    for (size_t i = 0; i < pack_blob_count(file); i++) {
        if (strcmp(pack_blob_name(file, i), name) == 0) {
            return true;
        }
    }
    return false;
}

static vl2_status write_files(void *context, const char *folder, vl2_error *error)
{
    const pack_file *file = ((const unpacking *)context)->file;
    vl2_status status = VL2_OK;
    for (size_t i = 0; i < sizeof(blob_names) / sizeof(blob_names[0]) && status == VL2_OK; i++) {
        char *data = NULL;
        size_t size = 0;
        if (has_blob(file, blob_names[i])) {
            status = pack_blob(file, blob_names[i], &data, &size, error);
            if (status == VL2_OK) {
                status = checkpoint_write_file(folder, blob_names[i], data, size, error);
            }
            base_free(data);
        }
    }
    return status;
}

static uint64_t blob_bytes(const pack_file *file)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < pack_blob_count(file); i++) {
        bytes += pack_blob_frame(file, i)->content;
    }
    return bytes;
}

/* DATA_TYPE_COUNT stands for the type in the checkpoint. */
static vl2_status find_type(const char *name, data_type *type, vl2_error *error)
{
    static const struct {
        const char *name;
        data_type type;
    } types[] = {{"source", DATA_TYPE_COUNT}, {"bf16", DATA_BF16}, {"f32", DATA_F32}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (name != NULL && strcmp(types[i].name, name) == 0) {
            *type = types[i].type;
            return VL2_OK;
        }
    }
    return vl2_fail(error, VL2_ERROR_ARGUMENT, "type: found \"%s\", expected source, bf16 or f32",
                    name != NULL ? name : "");
}

static vl2_status list_tensors(unpacking *job, data_type type, vl2_error *error)
{
    size_t count = pack_tensor_count(job->file);
    job->views = base_calloc(count, sizeof(*job->views));
    if (job->views == NULL) {
        return vl2_fail_memory(error, "the list of tensors", count * sizeof(*job->views));
    }
    for (size_t i = 0; i < count; i++) {
        const pack_tensor *tensor = pack_tensor_get(job->file, i);
        tensor_view *view = &job->views[i];
        view->name = tensor->name;
        view->type = type != DATA_TYPE_COUNT ? type : (data_type)(tensor->source - PACK_F32);
        view->rank = tensor->rank;
        for (int j = 0; j < tensor->rank; j++) {
            view->shape[j] = (int64_t)tensor->shape[j];
        }
    }
    return VL2_OK;
}

/* The whole work is one phase of the team, as there are many small tensors. */
typedef struct phase {
    const checkpoint_plan *plan;
    vl2_status status;
    vl2_error *error;
} phase;

static void write_all(void *context)
{
    phase *phase = context;
    phase->status = checkpoint_write(phase->plan, phase->error);
}

static vl2_status run(unpacking *job, vl2_error *error)
{
    const vl2_unpack_options *options = job->options;
    checkpoint_plan plan = {options->out,
                            job->views,
                            pack_tensor_count(job->file),
                            options->shard_bytes,
                            blob_bytes(job->file),
                            options->overwrite,
                            write_tensor,
                            write_files,
                            job};
    job->total = checkpoint_plan_bytes(&plan);
    job->pieces = 2 * (size_t)job->team->threads;
    job->pieces = job->pieces < LEAST_PIECES ? LEAST_PIECES : job->pieces;
    clock_gettime(CLOCK_MONOTONIC, &job->start);
    phase phase = {&plan, VL2_OK, error};
    team_enter(job->team, write_all, &phase);
    return phase.status;
}

vl2_status unpack_write(const pack_file *file, const vl2_unpack_options *options, const team *team,
                        unpack_decoder *decode, vl2_error *error)
{
    unpacking job = {.file = file, .options = options, .team = team, .decode = decode};
    data_type type = DATA_TYPE_COUNT;
    if (options->out == NULL || options->out[0] == '\0') {
        return vl2_fail(error, VL2_ERROR_ARGUMENT, "out: found nothing, expected a folder");
    }
    vl2_status status = find_type(options->type, &type, error);
    if (status == VL2_OK) {
        status = list_tensors(&job, type, error);
    }
    if (status == VL2_OK) {
        status = run(&job, error);
    }
    base_free(job.views);
    base_free(job.numbers);
    base_free(job.out);
    return status;
}
