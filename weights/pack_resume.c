#include "weights/pack_resume.h"

#include "base/alloc.h"
#include "base/file.h"
#include "weights/pack_index_write.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <xxhash.h>
#include <zstd.h>

#define CHECKED_BYTES ((uint64_t)64 << 20) /* at a time */

/* ------------------------------------------------------------------------------- fingerprint */

static void take_number(XXH3_state_t *state, uint64_t number)
{
    XXH3_128bits_update(state, &number, sizeof(number));
}

static vl2_status take_file(XXH3_state_t *state, const char *path, vl2_error *error)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return vl2_fail(error, VL2_ERROR_IO, "%s: cannot be looked at: %s", path, strerror(errno));
    }
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    XXH3_128bits_update(state, name, strlen(name) + 1);
    take_number(state, (uint64_t)info.st_size);
    take_number(state, (uint64_t)info.st_mtim.tv_sec);
    take_number(state, (uint64_t)info.st_mtim.tv_nsec);
    return VL2_OK;
}

/* The files of the checkpoint's tensors; those of one file follow one another. */
static vl2_status take_checkpoint(XXH3_state_t *state, const checkpoint *checkpoint,
                                  vl2_error *error)
{
    const char *last = NULL;
    vl2_status status = VL2_OK;
    for (size_t i = 0; status == VL2_OK && i < checkpoint_count(checkpoint); i++) {
        const char *path = checkpoint_file_of(checkpoint, checkpoint_tensor(checkpoint, i));
        if (path != last) {
            status = take_file(state, path, error);
        }
        last = path;
    }
    return status;
}

vl2_status pack_fingerprint(const pack_job *job, const buffer *index, uint64_t fingerprint[2],
                            vl2_error *error)
{
    XXH3_state_t *state = XXH3_createState();
    if (state == NULL) {
        return vl2_fail_memory(error, "a hash", 1024);
    }
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, index->data, index->size);
    XXH3_128bits_update(state, &job->compression.threshold, sizeof(job->compression.threshold));
    take_number(state, (uint64_t)job->compression.level);
    take_number(state, ZSTD_versionNumber());
    for (size_t i = 0; i < job->blob_count; i++) {
        take_number(state, job->blobs[i].size);
        XXH3_128bits_update(state, job->blobs[i].data, job->blobs[i].size);
    }
    vl2_status status = take_checkpoint(state, job->checkpoint, error);
    for (size_t i = 0; status == VL2_OK && i < job->input_count; i++) {
        status = take_file(state, job->inputs[i], error);
    }
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    fingerprint[0] = hash.low64;
    fingerprint[1] = hash.high64;
    XXH3_freeState(state);
    return status;
}

/* ------------------------------------------------------------------------------- what is there */

typedef struct checking {
    const uint8_t *data; /* the whole file */
    const pack_frame_entry *frames;
    size_t first; /* frame of the first task */
    bool *right;  /* [frames] */
} checking;

static void check_frame(void *context, size_t task, int worker)
{
    (void)worker;
    const checking *job = context;
    const pack_frame_entry *frame = &job->frames[job->first + task];
    const uint8_t *bytes = job->data + frame->offset;
    job->right[job->first + task] = XXH3_64bits(bytes, (size_t)frame->stored) == frame->hash;
    file_release(bytes, (size_t)frame->stored);
}

/* True if the frames of a record lie where the writer puts them, inside the file. */
static bool in_place(const pack_plan *plan, size_t record, const pack_frame_entry *frames,
                     uint64_t file_size, uint64_t *position)
{
    const pack_planned_record *planned = &plan->records[record];
    size_t frame = planned->first_frame;
    *position = pack_align(*position, PACK_PAGE);
    for (size_t i = 0; i < planned->tensor_count; i++) {
        const pack_planned_tensor *tensor = &plan->tensors[planned->first_tensor + i];
        for (int j = 0; j < tensor->frame_count; j++, frame++) {
            const pack_frame_entry *entry = &frames[frame];
            *position = pack_align(*position, PACK_ALIGNMENT);
            if (entry->offset != *position || entry->plane != tensor->plane[j] ||
                entry->content != tensor->content[j] || entry->stored == 0 ||
                entry->stored > entry->content || *position > file_size ||
                entry->stored > file_size - *position) {
                return false;
            }
            *position += entry->stored;
        }
    }
    return true;
}

static bool all_right(const pack_planned_record *record, const bool *right)
{
    for (size_t i = 0; i < record->frame_count; i++) {
        if (!right[record->first_frame + i]) {
            return false;
        }
    }
    return true;
}

/* Records that lie where they must, from the first one on. */
static size_t records_in_place(const pack_plan *plan, const pack_frame_entry *frames,
                               uint64_t file_size, uint64_t position, size_t records)
{
    size_t count = 0;
    while (count < records && in_place(plan, count, frames, file_size, &position)) {
        count++;
    }
    return count;
}

static uint64_t end_of(const pack_plan *plan, const pack_frame_entry *frames, size_t record)
{
    const pack_planned_record *planned = &plan->records[record];
    const pack_frame_entry *last = &frames[planned->first_frame + planned->frame_count - 1];
    return last->offset + last->stored;
}

/* Compares the checksums of records first to end - 1; how many of them are right. */
static size_t check_records(checking *checking, const pack_job *job, size_t first, size_t end)
{
    const pack_planned_record *last = &job->plan->records[end - 1];
    size_t first_frame = job->plan->records[first].first_frame, good = first;
    checking->first = first_frame;
    team_run(job->team, last->first_frame + last->frame_count - first_frame, check_frame, checking);
    while (good < end && all_right(&job->plan->records[good], checking->right)) {
        good++;
    }
    return good - first;
}

static void report(const pack_job *job, uint64_t done, uint64_t total, const struct timespec *start)
{
    if (job->progress != NULL) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        vl2_progress progress = {VL2_STAGE_VERIFY, done, total,
                                 (double)(now.tv_sec - start->tv_sec) +
                                     (double)(now.tv_nsec - start->tv_nsec) * 1e-9,
                                 NULL};
        job->progress(&progress, job->progress_user);
    }
}

/* Some records at a time, up to the first one that is not right. */
static vl2_status check_all(checking *checking, const pack_job *job, uint64_t *position,
                            size_t *records, vl2_error *error)
{
    const pack_plan *plan = job->plan;
    uint64_t begin = *position, end_of_all = *records > 0
                                                 ? end_of(plan, checking->frames, *records - 1)
                                                 : begin;
    size_t good = 0, step = 0;
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    while (good == step && good < *records) {
        step = good + 1;
        while (step < *records &&
               end_of(plan, checking->frames, step) - *position <= CHECKED_BYTES) {
            step++;
        }
        good += check_records(checking, job, good, step);
        *position = good > 0 ? end_of(plan, checking->frames, good - 1) : begin;
        report(job, *position - begin, end_of_all - begin, &start);
        if (job->cancelled != NULL && job->cancelled(job->cancelled_user)) {
            return vl2_fail(error, VL2_ERROR_CANCELLED, "%s: cancelled while resuming", job->out);
        }
    }
    *records = good;
    return VL2_OK;
}

vl2_status pack_resume_check(const pack_part *part, const pack_job *job,
                             const pack_frame_entry *frames, uint64_t *position, size_t *records,
                             vl2_error *error)
{
    mapped_file file;
    vl2_status status = file_map(part->path, VL2_ERROR_IO, &file, error);
    if (status != VL2_OK) {
        return status;
    }
    checking checking = {file.data, frames, 0, NULL};
    checking.right = base_calloc(job->plan->frame_count, sizeof(*checking.right));
    if (checking.right == NULL) {
        status = vl2_fail_memory(error, "looking at the work that is done", job->plan->frame_count);
    } else {
        *records = records_in_place(job->plan, frames, file.size, *position, *records);
        status = check_all(&checking, job, position, records, error);
    }
    base_free(checking.right);
    file_unmap(&file);
    return status;
}
