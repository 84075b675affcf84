#include "weights/pack_write.h"

#include "base/alloc.h"
#include "weights/pack_batch.h"
#include "weights/pack_index_write.h"
#include "weights/pack_part.h"
#include "weights/pack_resume.h"
#include "weights/pack_summary.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#define BLOB_LEVEL  9                    /* of zstd: text, expanded at each start */
#define SPACE_SPARE ((uint64_t)16 << 20) /* on the disk, beside the file: its journal */

typedef struct writer {
    const pack_job *job;
    const pack_plan *plan;
    pack_part part;
    pack_batch batch;
    const char **blob_names;  /* [blobs] */
    pack_frame_entry *frames; /* [blobs + plan->frame_count] */
    uint64_t position;        /* behind the last frame */
    uint64_t done, total;     /* bytes of the source */
    struct timespec start;
} writer;

/* ------------------------------------------------------------------------------------ progress */

static bool step(uint64_t source_bytes, void *user)
{
    writer *writer = user;
    const pack_job *job = writer->job;
    writer->done += source_bytes;
    if (job->progress != NULL) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        vl2_progress progress = {VL2_STAGE_PACK, writer->done, writer->total,
                                 (double)(now.tv_sec - writer->start.tv_sec) +
                                     (double)(now.tv_nsec - writer->start.tv_nsec) * 1e-9,
                                 NULL};
        job->progress(&progress, job->progress_user);
    }
    return job->cancelled == NULL || !job->cancelled(job->cancelled_user);
}

/* ------------------------------------------------------------------------------------ frames */

/* Writes one frame at the next multiple of 64 and notes where it lies. */
static vl2_status write_frame(writer *writer, uint32_t plane, uint64_t content,
                              const pack_stored *stored, pack_frame_entry *entry, vl2_error *error)
{
    writer->position = pack_align(writer->position, PACK_ALIGNMENT);
    *entry = (pack_frame_entry){.offset = writer->position,
                                .stored = stored->size,
                                .content = content,
                                .hash = stored->hash,
                                .plane = plane,
                                .codec = (uint32_t)stored->codec};
    writer->position += stored->size;
    return pack_part_write(&writer->part, entry->offset, stored->bytes, (size_t)stored->size,
                           error);
}

/* Writes the blobs, whose place is fixed: behind the index, whose size is known. */
static vl2_status write_blobs(writer *writer, uint64_t data_offset, vl2_error *error)
{
    const pack_job *job = writer->job;
    pack_compression compression = {job->compression.threshold, BLOB_LEVEL};
    vl2_status status = VL2_OK;
    writer->position = data_offset;
    for (size_t i = 0; status == VL2_OK && i < job->blob_count; i++) {
        const pack_blob_source *blob = &job->blobs[i];
        pack_stored stored;
        status = pack_compress(blob->data, blob->size, blob->size, &compression, &stored, error);
        if (status == VL2_OK) {
            status = write_frame(writer, PACK_BLOB, blob->size, &stored, &writer->frames[i], error);
            base_free(stored.own);
        }
    }
    return status;
}

static vl2_status write_record(writer *writer, size_t record, const pack_item *items,
                               vl2_error *error)
{
    const pack_planned_record *planned = &writer->plan->records[record];
    pack_frame_entry *frames = writer->frames + writer->job->blob_count;
    vl2_status status = VL2_OK;
    writer->position = pack_align(writer->position, PACK_PAGE);
    for (size_t i = 0; status == VL2_OK && i < planned->frame_count; i++) {
        status = write_frame(writer, items[i].number, items[i].content, &items[i].stored,
                             &frames[planned->first_frame + i], error);
    }
    return status == VL2_OK
               ? pack_journal_add(&writer->part, writer->plan, record, frames, error)
               : status;
}

static vl2_status write_records(writer *writer, size_t first, vl2_error *error)
{
    vl2_status status = pack_batch_open(&writer->batch, writer->job, first, error);
    while (status == VL2_OK && first < writer->plan->record_count) {
        status = pack_batch_fill(&writer->batch, first, step, writer, error);
        for (size_t item = 0; status == VL2_OK && first < writer->batch.end; first++) {
            status = write_record(writer, first, &writer->batch.items[item], error);
            item += writer->plan->records[first].frame_count;
        }
        pack_batch_clear(&writer->batch);
    }
    return status;
}

/* ------------------------------------------------------------------------------------ all of it */

static pack_contents contents_of(const writer *writer, const pack_frame_entry *frames)
{
    return (pack_contents){.blob_names = writer->blob_names,
                           .blob_count = writer->job->blob_count,
                           .meta = writer->job->meta,
                           .frames = frames};
}

/* Index first, then the header: without it nothing takes the file for a whole one. */
static vl2_status write_head(writer *writer, vl2_error *error)
{
    buffer index = {0};
    pack_contents contents = contents_of(writer, writer->frames);
    pack_header header;
    vl2_status status = pack_index_make(writer->plan, &contents, &index, error);
    if (status == VL2_OK) {
        status = pack_header_make(&index, writer->position, &header, error);
    }
    if (status == VL2_OK) {
        status = pack_part_write(&writer->part, PACK_PAGE, index.data, index.size, error);
    }
    if (status == VL2_OK) {
        status = pack_part_sync(&writer->part, error);
    }
    if (status == VL2_OK) {
        status = pack_part_write(&writer->part, 0, &header, sizeof(header), error);
    }
    buffer_free(&index);
    return status;
}

/* Where the work begins: the record, and the position behind what is there. */
static vl2_status begin(writer *writer, const uint64_t fingerprint[2], uint64_t data_offset,
                        size_t *first, vl2_error *error)
{
    pack_part *part = &writer->part;
    pack_frame_entry *frames = writer->frames + writer->job->blob_count;
    *first = 0;
    vl2_status status = VL2_OK;
    if (writer->job->resume) {
        status = pack_journal_load(part, fingerprint, writer->plan, frames, first, error);
    }
    if (status == VL2_OK && *first == 0) {
        status = pack_part_resize(part, 0, error);
    }
    if (status == VL2_OK) {
        status = write_blobs(writer, data_offset, error);
    }
    if (status == VL2_OK && *first > 0) {
        status =
            pack_resume_check(part, writer->job, frames, &writer->position, first, error);
    }
    if (status == VL2_OK) {
        status = pack_part_resize(part, writer->position, error);
    }
    if (status != VL2_OK) {
        return status;
    }
    return *first > 0 ? pack_journal_keep(part, writer->plan, *first, error)
                      : pack_journal_start(part, fingerprint, error);
}

static vl2_status write_part(writer *writer, const uint64_t fingerprint[2], uint64_t data_offset,
                             vl2_error *error)
{
    size_t first;
    vl2_status status = begin(writer, fingerprint, data_offset, &first, error);
    if (status != VL2_OK) {
        return status;
    }
    for (size_t i = first; i < writer->plan->record_count; i++) {
        writer->total += writer->plan->records[i].source_bytes;
    }
    clock_gettime(CLOCK_MONOTONIC, &writer->start);
    status = write_records(writer, first, error);
    if (status == VL2_OK) {
        status = write_head(writer, error);
    }
    return status == VL2_OK ? pack_part_commit(&writer->part, error) : status;
}

/* What the file may take: free space, and what of OUT.part will be written over. UINT64_MAX if that
 * is not known; writing will tell then. */
static vl2_status find_space(const char *out, uint64_t *space, vl2_error *error)
{
    const char *slash = strrchr(out, '/');
    size_t size = strlen(out) + sizeof(".part");
    char *folder = slash == NULL ? base_copy_text(".", 1)
                                 : base_copy_text(out, (size_t)(slash - out) + 1);
    char *part = base_malloc(size, 1);
    struct statvfs disk;
    struct stat info;
    vl2_status status = VL2_OK;
    *space = UINT64_MAX;
    if (folder == NULL || part == NULL) {
        status = vl2_fail_memory(error, out, size);
    } else if (statvfs(folder, &disk) == 0) {
        snprintf(part, size, "%s.part", out);
        *space = (uint64_t)disk.f_bavail * disk.f_frsize;
        *space += stat(part, &info) == 0 ? (uint64_t)info.st_blocks * 512 : 0;
    }
    base_free(folder);
    base_free(part);
    return status;
}

static vl2_status check_space(const pack_job *job, uint64_t index_size, vl2_error *error)
{
    uint64_t space, blob_bytes = 0;
    vl2_pack_summary summary;
    vl2_status status = find_space(job->out, &space, error);
    if (status != VL2_OK || space == UINT64_MAX) {
        return status;
    }
    for (size_t i = 0; i < job->blob_count; i++) {
        blob_bytes += job->blobs[i].size;
    }
    pack_plan_summarise(job->plan, &job->compression, blob_bytes, index_size, &summary);
    uint64_t needed = summary.file_bytes + SPACE_SPARE;
    if (needed > space) {
        return vl2_fail(error, VL2_ERROR_IO,
                        "%s: space on the disk: found %" PRIu64 " bytes, expected about %" PRIu64
                        " (%.1f GB free, %.1f GB needed)",
                        job->out, space, needed, (double)space * 1e-9, (double)needed * 1e-9);
    }
    return VL2_OK;
}

/* What is known before anything is written: the size of the index, and the fingerprint. */
static vl2_status prepare(writer *writer, uint64_t fingerprint[2], uint64_t *index_size,
                          vl2_error *error)
{
    const pack_job *job = writer->job;
    writer->blob_names = base_calloc(job->blob_count, sizeof(*writer->blob_names));
    writer->frames = base_calloc(job->blob_count + job->plan->frame_count,
                                 sizeof(*writer->frames));
    if (writer->blob_names == NULL || writer->frames == NULL) {
        return vl2_fail_memory(error, "the list of frames",
                               job->plan->frame_count * sizeof(*writer->frames));
    }
    for (size_t i = 0; i < job->blob_count; i++) {
        writer->blob_names[i] = job->blobs[i].name;
    }
    buffer index = {0};
    pack_contents contents = contents_of(writer, NULL);
    vl2_status status = pack_index_make(job->plan, &contents, &index, error);
    if (status == VL2_OK) {
        *index_size = index.size;
        status = pack_fingerprint(job, &index, fingerprint, error);
    }
    buffer_free(&index);
    return status;
}

vl2_status pack_write(const pack_job *job, vl2_error *error)
{
    writer writer = {.job = job, .plan = job->plan};
    uint64_t fingerprint[2], index_size = 0;
    vl2_status status = prepare(&writer, fingerprint, &index_size, error);
    if (status == VL2_OK) {
        status = check_space(job, index_size, error);
    }
    if (status == VL2_OK) {
        status = pack_part_open(&writer.part, job->out, job->overwrite, error);
    }
    if (status == VL2_OK) {
        uint64_t data_offset = pack_align(PACK_PAGE + index_size, PACK_PAGE);
        status = write_part(&writer, fingerprint, data_offset, error);
        pack_part_close(&writer.part);
    }
    pack_batch_close(&writer.batch);
    base_free(writer.blob_names);
    base_free(writer.frames);
    return status;
}
