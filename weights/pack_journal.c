/* The journal of a packed file that is being written. It is for this machine only: numbers are
 * stored as they lie in memory. */
#include "weights/pack_part.h"

#include "base/alloc.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define JOURNAL_MAGIC "VL2PACK\1"
#define JOURNAL_MOST  ((size_t)1 << 30)

typedef struct journal_head {
    char magic[8];
    uint64_t fingerprint[2];
    uint64_t hash; /* XXH3-64 of what stands before it */
} journal_head;

/* Followed by the frames, and the XXH3-64 of all that with the fingerprint as its seed. */
typedef struct journal_entry {
    uint32_t record, frame_count;
} journal_entry;

static size_t entry_size(const pack_plan *plan, size_t record)
{
    return sizeof(journal_entry) + plan->records[record].frame_count * sizeof(pack_frame_entry) +
           sizeof(uint64_t);
}

static vl2_status fail_io(const pack_part *part, vl2_error *error)
{
    return vl2_fail(error, VL2_ERROR_IO, "%s: writing failed: %s", part->journal_path,
                    strerror(errno));
}

static vl2_status append(const pack_part *part, const void *bytes, size_t size, vl2_error *error)
{
    const char *from = bytes;
    while (size > 0) {
        ssize_t written = write(part->journal, from, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return fail_io(part, error);
        }
        from += written;
        size -= (size_t)written;
    }
    return VL2_OK;
}

vl2_status pack_journal_start(pack_part *part, const uint64_t fingerprint[2], vl2_error *error)
{
    journal_head head;
    memcpy(head.magic, JOURNAL_MAGIC, sizeof(head.magic));
    memcpy(head.fingerprint, fingerprint, sizeof(head.fingerprint));
    memcpy(part->fingerprint, fingerprint, sizeof(head.fingerprint));
    head.hash = XXH3_64bits(&head, sizeof(head) - sizeof(head.hash));
    part->recorded = false;
    part->journal = open(part->journal_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return part->journal >= 0 ? append(part, &head, sizeof(head), error) : fail_io(part, error);
}

static vl2_status check_head(const pack_part *part, const char *bytes, size_t size,
                             const uint64_t fingerprint[2], vl2_error *error)
{
    journal_head head;
    bool whole = size >= sizeof(head);
    if (whole) {
        memcpy(&head, bytes, sizeof(head));
        whole = memcmp(head.magic, JOURNAL_MAGIC, sizeof(head.magic)) == 0 &&
                head.hash == XXH3_64bits(&head, sizeof(head) - sizeof(head.hash));
    }
    if (!whole) {
        return vl2_fail(error, VL2_ERROR_INPUT,
                        "%s: found a damaged head, expected the journal of an interrupted run (to "
                        "start anew, do not resume)",
                        part->journal_path);
    }
    if (memcmp(head.fingerprint, fingerprint, sizeof(head.fingerprint)) != 0) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT,
                        "%s: found work of another checkpoint, other options or another version, "
                        "expected the same as now (to start anew, do not resume)",
                        part->path);
    }
    return VL2_OK;
}

/* Entries up to the first one that is cut off, damaged or of another record. */
static size_t read_entries(const char *bytes, size_t size, uint64_t seed, const pack_plan *plan,
                           pack_frame_entry *frames)
{
    size_t at = sizeof(journal_head), record = 0;
    for (; record < plan->record_count; record++) {
        size_t length = entry_size(plan, record), hashed = length - sizeof(uint64_t);
        const pack_planned_record *planned = &plan->records[record];
        journal_entry entry;
        uint64_t hash;
        if (size - at < length) {
            break;
        }
        memcpy(&entry, bytes + at, sizeof(entry));
        memcpy(&hash, bytes + at + hashed, sizeof(hash));
        if (entry.record != record || entry.frame_count != planned->frame_count ||
            hash != XXH3_64bits_withSeed(bytes + at, hashed, seed)) {
            break;
        }
        memcpy(&frames[planned->first_frame], bytes + at + sizeof(entry),
               planned->frame_count * sizeof(*frames));
        at += length;
    }
    return record;
}

vl2_status pack_journal_load(pack_part *part, const uint64_t fingerprint[2], const pack_plan *plan,
                             pack_frame_entry *frames, size_t *records, vl2_error *error)
{
    struct stat info;
    *records = 0;
    if (stat(part->journal_path, &info) != 0 || info.st_size == 0) {
        return VL2_OK;
    }
    char *bytes = NULL;
    size_t size = 0;
    part->recorded = true; /* whatever comes now, it was another run that made these files */
    vl2_status status = file_read(part->journal_path, JOURNAL_MOST, VL2_ERROR_INPUT, &bytes, &size,
                                  error);
    if (status == VL2_OK) {
        status = check_head(part, bytes, size, fingerprint, error);
    }
    if (status == VL2_OK) {
        *records = read_entries(bytes, size, fingerprint[0], plan, frames);
        memcpy(part->fingerprint, fingerprint, sizeof(part->fingerprint));
    }
    base_free(bytes);
    return status;
}

vl2_status pack_journal_keep(pack_part *part, const pack_plan *plan, size_t records,
                             vl2_error *error)
{
    size_t size = sizeof(journal_head);
    for (size_t i = 0; i < records; i++) {
        size += entry_size(plan, i);
    }
    part->recorded = records > 0;
    part->journal = open(part->journal_path, O_WRONLY | O_APPEND | O_CLOEXEC);
    return part->journal >= 0 && ftruncate(part->journal, (off_t)size) == 0 ? VL2_OK
                                                                            : fail_io(part, error);
}

vl2_status pack_journal_add(pack_part *part, const pack_plan *plan, size_t record,
                            const pack_frame_entry *frames, vl2_error *error)
{
    const pack_planned_record *planned = &plan->records[record];
    size_t size = entry_size(plan, record), hashed = size - sizeof(uint64_t);
    char *bytes = base_malloc(size, 1);
    if (bytes == NULL) {
        return vl2_fail_memory(error, part->journal_path, size);
    }
    journal_entry entry = {(uint32_t)record, (uint32_t)planned->frame_count};
    memcpy(bytes, &entry, sizeof(entry));
    memcpy(bytes + sizeof(entry), &frames[planned->first_frame],
           planned->frame_count * sizeof(*frames));
    uint64_t hash = XXH3_64bits_withSeed(bytes, hashed, part->fingerprint[0]);
    memcpy(bytes + hashed, &hash, sizeof(hash));
    vl2_status status = append(part, bytes, size, error);
    base_free(bytes);
    part->recorded = part->recorded || status == VL2_OK;
    return status;
}
