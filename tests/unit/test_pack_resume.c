/* Packing that was interrupted goes on, whatever happened to its files; the bytes are those of a
 * run in one go. */
#include "pack_data.h"
#include "test_folder.h"

#include "base/file.h"
#include "weights/pack_write.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A job below the engine, where a batch can be a single record. */
typedef struct small_job {
    pack_job job;
    checkpoint *checkpoint;
    pack_types types;
    pack_plan plan;
    pack_blob_source blob;
    int calls, most; /* of `cancelled`: it says yes at the call behind `most` */
} small_job;

static bool after_some_calls(void *user)
{
    small_job *small = user;
    return small->calls++ >= small->most;
}

static void open_job(small_job *small, const char *model, const char *out, const char *quant,
                     const team *team)
{
    *small = (small_job){.checkpoint = open_model(model), .most = 1 << 30};
    assert_int_equal(pack_types_read(quant, NULL, 0, &small->types, NULL), VL2_OK);
    assert_int_equal(pack_plan_make(small->checkpoint, &small->types, NULL, NULL, &small->plan,
                                    NULL),
                     VL2_OK);
    small->blob = (pack_blob_source){"config.json", "{\"a\": 1}", 8};
    small->job = (pack_job){.checkpoint = small->checkpoint,
                            .plan = &small->plan,
                            .blobs = &small->blob,
                            .blob_count = 1,
                            .meta = "{}",
                            .compression = {0.08, 0},
                            .batch_bytes = 1,
                            .out = out,
                            .team = team,
                            .cancelled = after_some_calls,
                            .cancelled_user = small};
}

static void close_job(small_job *small)
{
    pack_plan_clear(&small->plan);
    pack_types_clear(&small->types);
    checkpoint_close(small->checkpoint);
}

static vl2_status run_job(small_job *small, int most, bool resume, vl2_error *error)
{
    small->calls = 0;
    small->most = most;
    small->job.resume = resume;
    return pack_write(&small->job, error);
}

static void expect_whole(small_job *small, const char *reference)
{
    vl2_error error = {VL2_OK, ""};
    if (run_job(small, 1 << 30, true, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    assert_false(part_is_there(small->job.out));
    expect_equal_files(small->job.out, reference);
    assert_int_equal(unlink(small->job.out), 0);
}

/* Changes a byte of OUT.part (or the journal, by its suffix) at an offset from its start, or from
 * its end if that is below 0. */
static void flip(const char *out, const char *suffix, off_t offset)
{
    char path[2 * PATH_SIZE];
    uint8_t byte;
    snprintf(path, sizeof(path), "%s%s", out, suffix);
    int descriptor = open(path, O_RDWR);
    assert_true(descriptor >= 0);
    struct stat info;
    assert_int_equal(fstat(descriptor, &info), 0);
    offset += offset < 0 ? info.st_size : 0;
    assert_int_equal(pread(descriptor, &byte, 1, offset), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(descriptor, &byte, 1, offset), 1);
    close(descriptor);
}

static void cut(const char *out, const char *suffix, off_t less)
{
    char path[2 * PATH_SIZE];
    struct stat info;
    snprintf(path, sizeof(path), "%s%s", out, suffix);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(truncate(path, info.st_size - less), 0);
}

static void expect_cancelled(small_job *small, int most, bool resume)
{
    vl2_error error = {VL2_OK, ""};
    assert_int_equal(run_job(small, most, resume, &error), VL2_ERROR_CANCELLED);
    assert_non_null(strstr(error.message, small->job.out));
    assert_false(is_there(small->job.out));
}

/* Nothing takes OUT.part for a packed file. */
static void expect_unfinished(const char *out)
{
    char path[2 * PATH_SIZE];
    pack_file *file = NULL;
    snprintf(path, sizeof(path), "%s.part", out);
    assert_false(pack_recognise(path));
    assert_int_equal(pack_open(path, &file, NULL), VL2_ERROR_MODEL);
}

static void test_resume(void **state)
{
    static const int places[] = {1, 2, 7, 30, 60, 100, 150};
    char model[PATH_SIZE], out[PATH_SIZE], whole[PATH_SIZE];
    team three = {.threads = 3}, one = {.threads = 1};
    write_model(state, "small-dev", DATA_BF16, model);
    in_folder(state, "out.vl2", out);
    in_folder(state, "whole.vl2", whole);
    for (int quant = 0; quant < 2; quant++) {
        small_job job;
        open_job(&job, model, whole, quant == 0 ? "bf16" : "mixed", &three);
        assert_int_equal(run_job(&job, 1 << 30, true, NULL), VL2_OK); /* nothing to resume: fine */
        job.job.out = out;
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
            expect_cancelled(&job, places[i], false);
            assert_true(part_is_there(out));
            expect_unfinished(out);
            job.job.team = i % 2 == 0 ? &one : &three;
            job.job.batch_bytes = i % 3 == 0 ? 1 : 200000;
            expect_whole(&job, whole);
            job.job.batch_bytes = 1;
        }
        /* Several times over, and from the start without `resume`. */
        expect_cancelled(&job, 40, false);
        expect_cancelled(&job, 40, true);
        expect_cancelled(&job, 10, true);
        expect_whole(&job, whole);
        expect_cancelled(&job, 90, false);
        expect_cancelled(&job, 20, false);
        expect_whole(&job, whole);
        /* Before the first record is done nothing stays. */
        expect_cancelled(&job, 0, false);
        assert_false(part_is_there(out));
        close_job(&job);
        assert_int_equal(unlink(whole), 0);
    }
}

/* Whatever happened to the unfinished files, the result is right. */
static void test_resume_after_damage(void **state)
{
    static const struct {
        const char *suffix;
        off_t flip, cut;
    } rows[] = {
        {".part", -1, 0},            /* the last record */
        {".part", 300000, 0},        /* one in the middle */
        {".part", 8192, 0},          /* perhaps the first, perhaps the index's place */
        {".part", 0, 1},             /* bytes that did not reach the disk */
        {".part", 0, 400000},
        {".part.journal", -1, 0},    /* the last entry */
        {".part.journal", 1000, 0},  /* one in the middle */
        {".part.journal", 0, 1},     /* half an entry */
        {".part.journal", 0, 700},
    };
    char model[PATH_SIZE], out[PATH_SIZE], whole[PATH_SIZE];
    team team = {.threads = 2};
    small_job job;
    write_model(state, "small-dev", DATA_BF16, model);
    in_folder(state, "out.vl2", out);
    open_job(&job, model, in_folder(state, "whole.vl2", whole), "int8", &team);
    assert_int_equal(run_job(&job, 1 << 30, false, NULL), VL2_OK);
    job.job.out = out;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_cancelled(&job, 80, false);
        if (rows[i].cut > 0) {
            cut(out, rows[i].suffix, rows[i].cut);
        } else {
            flip(out, rows[i].suffix, rows[i].flip);
        }
        expect_whole(&job, whole);
    }
    /* One of the two is missing: from the start. */
    for (int i = 0; i < 2; i++) {
        char path[2 * PATH_SIZE];
        expect_cancelled(&job, 80, false);
        snprintf(path, sizeof(path), "%s%s", out, i == 0 ? ".part" : ".part.journal");
        assert_int_equal(unlink(path), 0);
        expect_whole(&job, whole);
    }
    close_job(&job);
}

static void expect_refused(small_job *small, vl2_status status, const char *word)
{
    vl2_error error = {VL2_OK, ""};
    assert_int_equal(run_job(small, 1 << 30, true, &error), status);
    if (strstr(error.message, word) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.message, word);
    }
    assert_true(part_is_there(small->job.out)); /* the work is not lost */
    assert_false(is_there(small->job.out));
}

static void test_resume_refused(void **state)
{
    char model[PATH_SIZE], out[PATH_SIZE], other[PATH_SIZE];
    team team = {.threads = 1};
    small_job job, changed;
    write_model(state, "small-dev", DATA_BF16, model);
    in_folder(state, "out.vl2", out);
    open_job(&job, model, out, "int8", &team);
    expect_cancelled(&job, 80, false);
    open_job(&changed, model, out, "int6", &team);
    expect_refused(&changed, VL2_ERROR_ARGUMENT, "other options");
    close_job(&changed);
    changed = job;
    changed.job.cancelled_user = &changed;
    changed.job.compression.threshold = 0.5;
    expect_refused(&changed, VL2_ERROR_ARGUMENT, "other options");
    changed.job.compression = (pack_compression){0.08, 3};
    expect_refused(&changed, VL2_ERROR_ARGUMENT, "other options");
    changed.job.compression = job.job.compression;
    changed.job.meta = NULL;
    expect_refused(&changed, VL2_ERROR_ARGUMENT, "other options");
    changed.job.meta = job.job.meta;
    changed.blob.data = "{\"a\": 2}";
    changed.job.blobs = &changed.blob;
    expect_refused(&changed, VL2_ERROR_ARGUMENT, "other options");
    changed.job.blobs = job.job.blobs;
    const char *inputs[] = {in_folder(state, "other", other)};
    assert_int_equal(file_write(other, "x", 1, NULL), VL2_OK);
    changed.job.inputs = inputs;
    changed.job.input_count = 1;
    expect_refused(&changed, VL2_ERROR_ARGUMENT, "other options");

    /* A checkpoint that was written again. */
    const char *shard = checkpoint_file_of(job.checkpoint, checkpoint_tensor(job.checkpoint, 0));
    const struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    struct stat before;
    assert_int_equal(stat(shard, &before), 0);
    assert_int_equal(utimensat(AT_FDCWD, shard, times, 0), 0);
    expect_refused(&job, VL2_ERROR_ARGUMENT, "another checkpoint");
    const struct timespec back[2] = {before.st_atim, before.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, shard, back, 0), 0);

    flip(out, ".part.journal", 9);
    expect_refused(&job, VL2_ERROR_INPUT, "damaged");
    flip(out, ".part.journal", 9);
    assert_int_equal(run_job(&job, 1 << 30, true, NULL), VL2_OK);
    close_job(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_resume, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_resume_after_damage, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_resume_refused, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
