/* Packed files as files: verifying and unpacking. */
#include "engine/model.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/team.h"
#include "weights/pack_verify.h"
#include "weights/unpack.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MOST_THREADS 1024
#define TEXT_SIZE    (PACK_DESCRIPTION + PACK_PROBLEM_SIZE + 8)

/* A path, and a number of threads that becomes the team's. */
static vl2_status open_team(const char *path, int threads, team *team, vl2_error *error)
{
    if (path == NULL || path[0] == '\0') {
        return vl2_fail(error, VL2_ERROR_ARGUMENT, "path: found nothing, expected a packed file");
    }
    if (threads < 0 || threads > MOST_THREADS) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT, "threads: found %d, expected 0 to %d", threads,
                        MOST_THREADS);
    }
    return team_open(team, threads > 0 ? threads : team_processors(), error);
}

/* ------------------------------------------------------------------------------------ verifying */

void vl2_verify_options_defaults(vl2_verify_options *options)
{
    *options = (vl2_verify_options){.most = 100};
}

void vl2_verify_report_clear(vl2_verify_report *report)
{
    for (size_t i = 0; i < report->damage_count; i++) {
        base_free(report->damage[i].text);
        base_free(report->damage[i].name);
    }
    base_free(report->damage);
    *report = (vl2_verify_report){.damage = NULL};
}

typedef struct verifying {
    const vl2_verify_options *options;
    double start;
} verifying;

static void report_progress(void *user, uint64_t done, uint64_t total)
{
    const verifying *verifying = user;
    if (verifying->options->progress != NULL) {
        vl2_progress progress = {VL2_STAGE_VERIFY, done, total, clock_seconds() - verifying->start,
                                 NULL};
        verifying->options->progress(&progress, verifying->options->progress_user);
    }
}

static bool is_cancelled(void *user)
{
    const vl2_verify_options *options = ((const verifying *)user)->options;
    return options->cancelled != NULL && options->cancelled(options->cancelled_user);
}

static const char *blob_name(const pack_file *file, const pack_frame *frame)
{
    for (size_t i = 0; i < pack_blob_count(file); i++) {
        if (pack_blob_frame(file, i) == frame) {
            return pack_blob_name(file, i);
        }
    }
    return "";
}

static bool describe(const pack_file *file, const pack_damage *from, vl2_damage *to)
{
    char text[TEXT_SIZE], place[PACK_DESCRIPTION];
    const char *name = "";
    to->plane = "padding";
    to->layer = to->expert = -1;
    to->offset = from->offset;
    to->size = from->size;
    if (from->frame == NULL) {
        snprintf(place, sizeof(place), "padding from offset %" PRIu64, from->offset);
    } else {
        pack_describe(file, from->tensor, from->frame, place, sizeof(place));
        name = from->tensor != NULL ? from->tensor->name : blob_name(file, from->frame);
        to->plane = pack_plane_name(from->frame->plane);
    }
    if (from->tensor != NULL) {
        const pack_record *record = pack_record_get(file, from->tensor->record);
        to->layer = record->layer;
        to->expert = record->expert;
    }
    snprintf(text, sizeof(text), "%s: %s", place, from->problem);
    to->text = base_copy_text(text, strlen(text));
    to->name = base_copy_text(name, strlen(name));
    return to->text != NULL && to->name != NULL;
}

static vl2_status fill_report(const pack_file *file, const pack_verification *found,
                              vl2_verify_report *report, vl2_error *error)
{
    const uint64_t *hash = pack_file_hash(file);
    report->file_bytes = pack_size(file);
    snprintf(report->file_hash, sizeof(report->file_hash), "%016" PRIx64 "%016" PRIx64, hash[1],
             hash[0]);
    report->records = pack_record_count(file);
    report->tensors = pack_tensor_count(file);
    report->blobs = report->frames = pack_blob_count(file);
    for (size_t i = 0; i < report->tensors; i++) {
        report->frames += (size_t)pack_tensor_get(file, i)->frame_count;
    }
    report->damaged = found->damaged;
    report->damage = base_calloc(found->listed, sizeof(*report->damage));
    if (report->damage == NULL) {
        return vl2_fail_memory(error, "the report", found->listed * sizeof(*report->damage));
    }
    for (size_t i = 0; i < found->listed; i++) {
        report->damage_count++;
        if (!describe(file, &found->list[i], &report->damage[i])) {
            return vl2_fail_memory(error, "the report", sizeof(*report->damage));
        }
    }
    return VL2_OK;
}

static vl2_status verify(const pack_file *file, const vl2_verify_options *options, const team *team,
                         vl2_verify_report *report, vl2_error *error)
{
    verifying verifying = {options, clock_seconds()};
    pack_verify_options how = {team, options->most, report_progress, is_cancelled, &verifying};
    pack_verification found;
    vl2_status status = pack_verify(file, &how, &found, error);
    if (status != VL2_OK) {
        return status;
    }
    status = fill_report(file, &found, report, error);
    base_free(found.list);
    if (status != VL2_OK) {
        vl2_verify_report_clear(report);
        return status;
    }
    if (report->damaged == 0) {
        return VL2_OK;
    }
    const char *first = report->damage_count > 0 ? report->damage[0].text : "";
    return vl2_fail(error, VL2_ERROR_MODEL, "%s: found %zu damaged part%s, expected none%s%s",
                    options->path, report->damaged, report->damaged == 1 ? "" : "s",
                    report->damage_count > 0 ? "; the first: " : "", first);
}

vl2_status vl2_verify_file(const vl2_verify_options *options, vl2_verify_report *report,
                           vl2_error *error)
{
    team team = {.threads = 1};
    pack_file *file = NULL;
    *report = (vl2_verify_report){.damage = NULL};
    vl2_status status = open_team(options->path, options->threads, &team, error);
    if (status == VL2_OK) {
        status = pack_open(options->path, &file, error);
    }
    if (status == VL2_OK) {
        status = verify(file, options, &team, report, error);
    }
    pack_close(file);
    team_close(&team);
    return status;
}

/* ------------------------------------------------------------------------------------ unpacking */

void vl2_unpack_options_defaults(vl2_unpack_options *options)
{
    *options = (vl2_unpack_options){.type = "source", .shard_bytes = (uint64_t)4 << 30};
}

vl2_status vl2_unpack(const vl2_unpack_options *options, vl2_error *error)
{
    team team = {.threads = 1};
    pack_file *file = NULL;
    kernels kernels;
    vl2_status status = engine_select_kernels(&kernels, error);
    if (status == VL2_OK) {
        status = open_team(options->path, options->threads, &team, error);
    }
    if (status == VL2_OK) {
        status = pack_open(options->path, &file, error);
    }
    if (status == VL2_OK) {
        status = unpack_write(file, options, &team, kernels.packed_decode_rows, error);
    }
    pack_close(file);
    team_close(&team);
    return status;
}
