/* A packed file while it is written: OUT.part, which becomes OUT when it is whole, and beside it
 * OUT.part.journal, which says what of it is done. */
#ifndef WEIGHTS_PACK_PART_H
#define WEIGHTS_PACK_PART_H

#include "base/error.h"
#include "weights/pack_plan.h"

typedef struct pack_part {
    const char *out; /* borrowed */
    char *path, *journal_path;
    int descriptor, journal; /* -1: not open */
    uint64_t fingerprint[2];
    bool recorded; /* the journal has a record */
} pack_part;

/* Opens OUT.part, which is made if it is missing and kept as it is if not, and locks it against
 * other programs. `out` is borrowed. VL2_ERROR_ARGUMENT (OUT is there and not `overwrite`, or is no
 * regular file), VL2_ERROR_IO (also: another program writes it), VL2_ERROR_MEMORY. */
vl2_status pack_part_open(pack_part *part, const char *out, bool overwrite, vl2_error *error);

/* Closes both files and leaves them for another run; removes them if nothing is recorded.
 * Harmless after commit. */
void pack_part_close(pack_part *part);

/* Writes bytes at an offset. VL2_ERROR_IO with the reason, such as no space left. */
vl2_status pack_part_write(const pack_part *part, uint64_t offset, const void *bytes, size_t size,
                           vl2_error *error);
/* Makes the file `size` bytes long: what was behind is gone, and what is new is zero. */
vl2_status pack_part_resize(const pack_part *part, uint64_t size, vl2_error *error);

/* Has the system write everything to the disk, and renames OUT.part to OUT. Removes the journal. */
vl2_status pack_part_sync(const pack_part *part, vl2_error *error);
vl2_status pack_part_commit(pack_part *part, vl2_error *error);

/* The journal: a head with `fingerprint`, which stands for everything that the bytes of the file
 * depend on; then an entry for each record, in their order, with its frames. */

/* Begins an empty journal. */
vl2_status pack_journal_start(pack_part *part, const uint64_t fingerprint[2], vl2_error *error);
/* Reads the journal of an earlier run: frames[i] of the first *records records. A journal that ends
 * in the middle of an entry, or has a damaged one, counts up to there. Without a journal, or with
 * an empty one, *records is 0. The journal is not open for writing yet.
 * VL2_ERROR_ARGUMENT for another fingerprint, VL2_ERROR_INPUT for a damaged head, VL2_ERROR_IO,
 * VL2_ERROR_MEMORY. */
vl2_status pack_journal_load(pack_part *part, const uint64_t fingerprint[2], const pack_plan *plan,
                             pack_frame_entry *frames, size_t *records, vl2_error *error);
/* Forgets all entries but the first `records`; the next one is written behind them. */
vl2_status pack_journal_keep(pack_part *part, const pack_plan *plan, size_t records,
                             vl2_error *error);
/* Notes that a record is in the file. `frames` are all frames of the plan. */
vl2_status pack_journal_add(pack_part *part, const pack_plan *plan, size_t record,
                            const pack_frame_entry *frames, vl2_error *error);

#endif
