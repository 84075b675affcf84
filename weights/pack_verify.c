#include "weights/pack_verify.h"

#include "base/alloc.h"
#include "weights/pack_index.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>
#include <zstd_errors.h>

#define PIECE_BYTES ((size_t)1 << 20) /* read, or expanded, at once; a multiple of 4 */
#define NO_CODE     ((uint8_t)0x80)   /* -128, which no code, scale or codebook has */

typedef enum problem {
    PROBLEM_NONE,
    PROBLEM_READ,
    PROBLEM_CHECKSUM,
    PROBLEM_ZSTD,
    PROBLEM_CONTENT,
    PROBLEM_PADDING,
    PROBLEM_META
} problem;

typedef struct finding {
    problem problem;
    const char *reason; /* static: what was found; of PROBLEM_ZSTD and PROBLEM_CONTENT */
    uint64_t at;        /* PADDING: offset in the file; CONTENT: number in the plane; READ: errno */
    uint64_t found;     /* CHECKSUM: the hash; PADDING: the byte */
} finding;

/* What one task looks at: a frame and what lies between it and the one before it. */
typedef struct outcome {
    finding gap, body;
} outcome;

/* Work space of one thread. */
typedef struct workplace {
    uint8_t *input, *output; /* [PIECE_BYTES] */
    XXH3_state_t *hash;
    ZSTD_DCtx *zstd;
    bool no_memory;
} workplace;

typedef struct verification {
    const pack_file *file;
    const pack_verify_options *options;
    int descriptor;    /* -1: the bytes are in memory */
    outcome *outcomes; /* [frame_count + 1]; the last one: what is behind the last frame */
    finding header, index, meta; /* padding of the first two */
    workplace *places;           /* [threads] */
    atomic_bool stop;
    _Atomic uint64_t done; /* bytes */
} verification;

/* ------------------------------------------------------------------------------------ reading */

/* Bytes of the file; 0 or an error number. */
static int read_bytes(const verification *job, uint64_t offset, uint8_t *out, size_t size)
{
    if (job->descriptor < 0) {
        memcpy(out, job->file->data + offset, size);
        return 0;
    }
    for (size_t done = 0; done < size;) {
        ssize_t count = pread(job->descriptor, out + done, size - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return count < 0 ? errno : EIO; /* the end comes early: it was cut while we read */
        }
        done += (size_t)count;
    }
    return 0;
}

/* Counts what has been read; the calling thread reports it and asks whether to go on. */
static void advance(verification *job, size_t bytes, int worker)
{
    uint64_t done = atomic_fetch_add(&job->done, bytes) + bytes;
    const pack_verify_options *options = job->options;
    if (worker != 0) {
        return;
    }
    if (options->progress != NULL) {
        options->progress(options->user, done, job->file->size);
    }
    if (options->cancelled != NULL && options->cancelled(options->user)) {
        atomic_store(&job->stop, true);
    }
}

static void find_nonzero(const uint8_t *bytes, size_t size, uint64_t offset, finding *finding)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            finding->problem = PROBLEM_PADDING;
            finding->at = offset + i;
            finding->found = bytes[i];
            return;
        }
    }
}

/* The bytes from `begin` to `end` - 1 must be zero. */
static void check_gap(verification *job, uint64_t begin, uint64_t end, int worker, finding *finding)
{
    uint8_t *input = job->places[worker].input;
    while (begin < end && finding->problem == PROBLEM_NONE && !atomic_load(&job->stop)) {
        size_t size = end - begin < PIECE_BYTES ? (size_t)(end - begin) : PIECE_BYTES;
        int reason = read_bytes(job, begin, input, size);
        if (reason != 0) {
            finding->problem = PROBLEM_READ;
            finding->at = (uint64_t)reason;
            return;
        }
        find_nonzero(input, size, begin, finding);
        begin += size;
        advance(job, size, worker);
    }
}

/* ------------------------------------------------------------------------------------ content */

static void fail_content(finding *finding, const char *reason, uint64_t at)
{
    if (finding->problem == PROBLEM_NONE) {
        finding->problem = PROBLEM_CONTENT;
        finding->reason = reason;
        finding->at = at;
    }
}

/* Row scales are finite and not negative, and 0 for padded rows. */
static void check_row_scales(const uint8_t *bytes, size_t size, uint64_t position, uint64_t rows,
                             finding *finding)
{
    for (size_t i = 0; i + sizeof(float) <= size; i += sizeof(float)) {
        uint64_t row = (position + i) / sizeof(float);
        float scale;
        memcpy(&scale, bytes + i, sizeof(scale));
        if (!isfinite(scale) || scale < 0) {
            fail_content(finding, "a row scale that is negative or not finite", row);
        } else if (row >= rows && scale != 0) {
            fail_content(finding, "a row scale of a row that is padding", row);
        }
    }
}

/* Looks at a piece of a plane's content, `position` bytes behind its beginning. */
static void check_content(const pack_tensor *tensor, const pack_frame *frame, const uint8_t *bytes,
                          size_t size, uint64_t position, finding *finding)
{
    if (tensor == NULL || size == 0) {
        return;
    }
    bool numbers = frame->plane == LAYOUT_SCALES || frame->plane == LAYOUT_TABLE ||
                   (frame->plane == LAYOUT_CODES && tensor->type == PACK_INT8);
    const uint8_t *found = numbers ? memchr(bytes, NO_CODE, size) : NULL;
    if (found != NULL) {
        fail_content(finding, "the number -128, which does not occur",
                     position + (uint64_t)(found - bytes));
    }
    if (frame->plane == LAYOUT_TABLE && position == 0 && bytes[0] != 0) {
        fail_content(finding, "a codebook that does not begin with 0", 0);
    }
    if (frame->plane == LAYOUT_ROW_SCALES) {
        check_row_scales(bytes, size, position, tensor->shape[0], finding);
    }
}

/* ------------------------------------------------------------------------------------ frames */

/* One frame on its way through: pieces go in, content comes out. */
typedef struct passage {
    verification *job;
    workplace *place;
    const pack_tensor *tensor;
    const pack_frame *frame;
    finding *finding;
    uint64_t expanded;
    size_t waiting; /* bytes in place->output */
    bool ended;     /* the zstd frame is complete */
} passage;

static void fail_zstd(passage *passage, const char *reason)
{
    passage->finding->problem = PROBLEM_ZSTD;
    passage->finding->reason = reason;
}

static void flush(passage *passage)
{
    check_content(passage->tensor, passage->frame, passage->place->output, passage->waiting,
                  passage->expanded, passage->finding);
    passage->expanded += passage->waiting;
    passage->waiting = 0;
}

/* Expands a piece of a compressed plane. */
static void expand_piece(passage *passage, size_t size)
{
    workplace *place = passage->place;
    ZSTD_inBuffer input = {place->input, size, 0};
    bool full = false; /* there may be more to come although the input is used up */
    while ((input.pos < input.size || full) && passage->finding->problem == PROBLEM_NONE) {
        if (passage->ended) {
            fail_zstd(passage, "bytes behind the zstd frame");
            return;
        }
        ZSTD_outBuffer output = {place->output, PIECE_BYTES, passage->waiting};
        size_t result = ZSTD_decompressStream(place->zstd, &output, &input);
        if (ZSTD_isError(result)) {
            place->no_memory |= ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation;
            fail_zstd(passage, ZSTD_getErrorName(result));
            return;
        }
        passage->waiting = output.pos;
        passage->ended = result == 0;
        full = output.pos == output.size && !passage->ended;
        if (output.pos == output.size || passage->ended) {
            flush(passage);
        }
        if (passage->expanded > passage->frame->content) {
            fail_zstd(passage, "more bytes than stated");
        }
    }
}

static void pass_piece(passage *passage, size_t size, uint64_t position)
{
    workplace *place = passage->place;
    const pack_frame *frame = passage->frame;
    XXH3_64bits_update(place->hash, place->input, size);
    if (passage->finding->problem != PROBLEM_NONE) {
        return;
    }
    if (frame->codec == PACK_RAW) {
        check_content(passage->tensor, frame, place->input, size, position, passage->finding);
        return;
    }
    if (position == 0) {
        const char *wrong = pack_check_zstd(place->input, size, frame->content);
        if (wrong != NULL) {
            fail_zstd(passage, wrong);
            return;
        }
    }
    expand_piece(passage, size);
}

static void check_frame(verification *job, const pack_tensor *tensor, const pack_frame *frame,
                        int worker, finding *finding)
{
    passage passage = {.job = job,
                       .place = &job->places[worker],
                       .tensor = tensor,
                       .frame = frame,
                       .finding = finding};
    XXH3_64bits_reset(passage.place->hash);
    ZSTD_DCtx_reset(passage.place->zstd, ZSTD_reset_session_only);
    for (uint64_t position = 0; position < frame->stored;) {
        uint64_t left = frame->stored - position;
        size_t size = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        if (atomic_load(&job->stop)) {
            return;
        }
        int reason = read_bytes(job, frame->offset + position, passage.place->input, size);
        if (reason != 0) {
            *finding = (struct finding){.problem = PROBLEM_READ, .at = (uint64_t)reason};
            return;
        }
        pass_piece(&passage, size, position);
        position += size;
        advance(job, size, worker);
    }
    if (frame->codec == PACK_ZSTD && finding->problem == PROBLEM_NONE &&
        (!passage.ended || passage.expanded != frame->content)) {
        fail_zstd(&passage, "a zstd frame that ends early");
    }
    uint64_t hash = XXH3_64bits_digest(passage.place->hash);
    if (hash != frame->hash) { /* the reason for whatever else is wrong */
        *finding = (struct finding){.problem = PROBLEM_CHECKSUM, .found = hash};
    }
}

/* ------------------------------------------------------------------------------------ tasks */

static uint64_t index_end(const pack_file *file)
{
    return file->header.index_offset + file->header.index_size;
}

/* Where what lies before frame `index` ends. */
static uint64_t end_before(const pack_file *file, size_t index)
{
    return index == 0 ? index_end(file)
                      : file->frames[index - 1].offset + file->frames[index - 1].stored;
}

/* The tensor of a frame: the last one whose first frame is not behind it. NULL for a blob's. */
static const pack_tensor *tensor_of(const pack_file *file, size_t frame)
{
    if (frame < file->blob_count) {
        return NULL;
    }
    size_t low = 0, high = file->tensor_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if ((size_t)(file->tensors[middle].frames - file->frames) <= frame) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &file->tensors[low];
}

static void verify_task(void *context, size_t task, int worker)
{
    verification *job = context;
    const pack_file *file = job->file;
    outcome *outcome = &job->outcomes[task];
    bool behind = task == file->frame_count; /* nothing but the end of the file */
    uint64_t end = behind ? file->size : file->frames[task].offset;
    check_gap(job, end_before(file, task), end, worker, &outcome->gap);
    if (!behind) {
        check_frame(job, tensor_of(file, task), &file->frames[task], worker, &outcome->body);
    }
}

/* Sections are padded with zeros to multiples of 8 bytes. */
static void check_sections(verification *job)
{
    const uint8_t *index = job->file->head + PACK_HASHED_HEADER;
    uint64_t size = job->file->header.index_size, at = 0;
    while (at < size) {
        pack_section section;
        memcpy(&section, index + at, sizeof(section));
        at += sizeof(section) + section.size;
        uint64_t padding = (8 - section.size % 8) % 8;
        find_nonzero(index + at, (size_t)padding, job->file->header.index_offset + at, &job->index);
        at += padding;
    }
}

/* What lies before the frames, but for the space between index and data. */
static void check_head(verification *job)
{
    const pack_file *file = job->file;
    check_gap(job, sizeof(pack_header), file->header.index_offset, 0, &job->header);
    check_sections(job);
    if (file->meta != NULL) {
        json_t *meta = json_loadb(file->meta, file->meta_size, JSON_REJECT_DUPLICATES, NULL);
        job->meta.problem = json_is_object(meta) ? PROBLEM_NONE : PROBLEM_META;
        json_decref(meta);
    }
}

/* ------------------------------------------------------------------------------------ results */

static void describe_problem(const finding *finding, const pack_frame *frame, char *text)
{
    switch (finding->problem) {
    case PROBLEM_READ:
        snprintf(text, PACK_PROBLEM_SIZE, "cannot be read: %s", strerror((int)finding->at));
        break;
    case PROBLEM_CHECKSUM:
        snprintf(text, PACK_PROBLEM_SIZE, "found checksum %016" PRIx64 ", expected %016" PRIx64,
                 finding->found, frame->hash);
        break;
    case PROBLEM_ZSTD:
        snprintf(text, PACK_PROBLEM_SIZE,
                 "found %s, expected one zstd frame of %" PRIu64 " bytes of content",
                 finding->reason, frame->content);
        break;
    case PROBLEM_CONTENT:
        snprintf(text, PACK_PROBLEM_SIZE, "found %s, at number %" PRIu64 " of the plane",
                 finding->reason, finding->at);
        break;
    case PROBLEM_PADDING:
        snprintf(text, PACK_PROBLEM_SIZE,
                 "found byte %02" PRIx64 " at offset %" PRIu64 ", expected zeros", finding->found,
                 finding->at);
        break;
    case PROBLEM_META:
        snprintf(text, PACK_PROBLEM_SIZE, "found other text, expected a JSON object");
        break;
    case PROBLEM_NONE:
        text[0] = '\0';
        break;
    }
}

/* Appends a finding to the list, or only counts it. */
static void collect(const verification *job, const finding *finding, const pack_damage *where,
                    pack_verification *result)
{
    if (finding->problem == PROBLEM_NONE) {
        return;
    }
    result->damaged++;
    if (result->listed < job->options->most) {
        pack_damage *damage = &result->list[result->listed++];
        *damage = *where;
        describe_problem(finding, where->frame, damage->problem);
    }
}

static void collect_all(const verification *job, pack_verification *result)
{
    const pack_file *file = job->file;
    uint64_t index = file->header.index_offset, head = sizeof(pack_header);
    collect(job, &job->header, &(pack_damage){.offset = head, .size = index - head}, result);
    collect(job, &job->index, &(pack_damage){.offset = index, .size = file->header.index_size},
            result);
    collect(job, &job->meta, &(pack_damage){.offset = index, .size = file->header.index_size},
            result);
    for (size_t i = 0; i <= file->frame_count; i++) {
        const pack_frame *frame = i < file->frame_count ? &file->frames[i] : NULL;
        uint64_t begin = end_before(file, i), end = frame != NULL ? frame->offset : file->size;
        collect(job, &job->outcomes[i].gap, &(pack_damage){.offset = begin, .size = end - begin},
                result);
        if (frame != NULL) {
            collect(job, &job->outcomes[i].body,
                    &(pack_damage){tensor_of(file, i), frame, frame->offset, frame->stored, ""},
                    result);
        }
    }
}

/* ------------------------------------------------------------------------------------ all of it */

static vl2_status open_places(verification *job, vl2_error *error)
{
    int threads = job->options->team->threads;
    job->places = base_calloc((size_t)threads, sizeof(*job->places));
    for (int i = 0; job->places != NULL && i < threads; i++) {
        workplace *place = &job->places[i];
        place->input = base_malloc(PIECE_BYTES, 1);
        place->output = base_malloc(PIECE_BYTES, 1);
        place->hash = XXH3_createState();
        place->zstd = ZSTD_createDCtx();
        if (place->input == NULL || place->output == NULL || place->hash == NULL ||
            place->zstd == NULL) {
            return vl2_fail_memory(error, "verifying", (size_t)threads * 2 * PIECE_BYTES);
        }
    }
    size_t count = job->file->frame_count + 1;
    job->outcomes = base_calloc(count, sizeof(*job->outcomes));
    if (job->places == NULL || job->outcomes == NULL) {
        return vl2_fail_memory(error, "verifying", count * sizeof(*job->outcomes));
    }
    return VL2_OK;
}

static void close_places(verification *job)
{
    for (int i = 0; job->places != NULL && i < job->options->team->threads; i++) {
        base_free(job->places[i].input);
        base_free(job->places[i].output);
        XXH3_freeState(job->places[i].hash);
        ZSTD_freeDCtx(job->places[i].zstd);
    }
    base_free(job->places);
    base_free(job->outcomes);
}

static vl2_status open_file(verification *job, vl2_error *error)
{
    const pack_file *file = job->file;
    struct stat info;
    if (file->mapped.data == NULL) {
        return VL2_OK;
    }
    job->descriptor = open(file->name, O_RDONLY | O_CLOEXEC);
    if (job->descriptor < 0) {
        return vl2_fail(error, VL2_ERROR_IO, "%s: cannot be opened: %s", file->name,
                        strerror(errno));
    }
    if (fstat(job->descriptor, &info) != 0 || (uint64_t)info.st_size != file->size) {
        return vl2_fail(error, VL2_ERROR_IO, "%s: the file was changed while it was open",
                        file->name);
    }
    return VL2_OK;
}

static vl2_status run(verification *job, pack_verification *result, vl2_error *error)
{
    const pack_verify_options *options = job->options;
    check_head(job);
    team_run(options->team, job->file->frame_count + 1, verify_task, job);
    if (atomic_load(&job->stop)) {
        return vl2_fail(error, VL2_ERROR_CANCELLED, "%s: cancelled while verifying",
                        job->file->name);
    }
    for (int i = 0; i < options->team->threads; i++) {
        if (job->places[i].no_memory) {
            return vl2_fail(error, VL2_ERROR_MEMORY, "not enough memory to expand parts of %s",
                            job->file->name);
        }
    }
    result->list = base_calloc(options->most, sizeof(*result->list));
    if (result->list == NULL) {
        return vl2_fail_memory(error, "the list of damage", options->most * sizeof(pack_damage));
    }
    collect_all(job, result);
    if (options->progress != NULL) {
        options->progress(options->user, job->file->size, job->file->size);
    }
    return VL2_OK;
}

vl2_status pack_verify(const pack_file *file, const pack_verify_options *options,
                       pack_verification *result, vl2_error *error)
{
    verification job = {.file = file, .options = options, .descriptor = -1};
    pack_verification made = {0, 0, NULL};
    vl2_status status = open_file(&job, error);
    if (status == VL2_OK) {
        status = open_places(&job, error);
    }
    if (status == VL2_OK) {
        status = run(&job, &made, error);
    }
    if (status == VL2_OK) {
        *result = made;
    }
    close_places(&job);
    if (job.descriptor >= 0) {
        close(job.descriptor);
    }
    return status;
}
