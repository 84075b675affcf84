#include "engine/routing_log.h"

#include "base/alloc.h"

#include <string.h>

vl2_status routing_log_open(const char *path, const language_config *config, routing_log *log,
                            vl2_error *error)
{
    *log = (routing_log){.experts = (size_t)config->gate.experts,
                         .k = (size_t)config->gate.experts_per_token, .error = error};
    log->rows = base_calloc(log->experts, sizeof(*log->rows));
    if (log->rows == NULL) {
        return vl2_fail_memory(error, path, log->experts * sizeof(*log->rows));
    }
    vl2_status status = file_writer_open(&log->writer, path, error);
    if (status != VL2_OK) {
        base_free(log->rows);
        return status;
    }
    fprintf(log->writer.stream, "vl2 routing 1 %d %zu\n", config->layers, log->experts);
    return VL2_OK;
}

void routing_log_add(routing_log *log, int layer, const int32_t *ids, size_t count)
{
    FILE *stream = log->writer.stream;
    memset(log->rows, 0, log->experts * sizeof(*log->rows));
    for (size_t i = 0; i < count * log->k; i++) {
        log->rows[ids[i]]++;
    }
    fprintf(stream, "%d %zu", layer, count);
    for (size_t e = 0; e < log->experts; e++) {
        if (log->rows[e] > 0) {
            fprintf(stream, " %zu:%zu", e, log->rows[e]);
        }
    }
    putc('\n', stream);
}

vl2_status routing_log_close(routing_log *log, vl2_status status)
{
    base_free(log->rows);
    if (status == VL2_OK) {
        return file_writer_commit(&log->writer, log->error);
    }
    file_writer_abandon(&log->writer);
    return status;
}
