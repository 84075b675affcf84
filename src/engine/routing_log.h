/* A record of which experts the tokens chose, for weights/PAGING.md and
 * tests/tools/replay_routing.c.
 *
 *     vl2 routing 1 LAYERS EXPERTS
 *     LAYER TOKENS EXPERT:ROWS EXPERT:ROWS ...     one line for each pass through a layer
 *
 * TOKENS went through the layer together; ROWS of them chose the expert. */
#ifndef ENGINE_ROUTING_LOG_H
#define ENGINE_ROUTING_LOG_H

#include "base/file.h"
#include "model/config.h"

typedef struct routing_log {
    file_writer writer;
    size_t experts, k;
    size_t *rows;     /* [experts] */
    vl2_error *error; /* borrowed */
} routing_log;

/* VL2_ERROR_IO, VL2_ERROR_MEMORY. */
vl2_status routing_log_open(const char *path, const language_config *config, routing_log *log,
                            vl2_error *error);
/* ids [count, k] of one layer. */
void routing_log_add(routing_log *log, int layer, const int32_t *ids, size_t count);
/* Ends the file, or removes it if `status` is no success. Returns that, or VL2_ERROR_IO. */
vl2_status routing_log_close(routing_log *log, vl2_status status);

#endif
