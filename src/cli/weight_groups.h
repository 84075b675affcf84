/* The weights of a packed file, group by group: a table for people, a list for programs. */
#ifndef CLI_WEIGHT_GROUPS_H
#define CLI_WEIGHT_GROUPS_H

#include "vl2.h"

#include <jansson.h>

/* Writes a head, a row for each group and one for all, to standard output. */
void weight_groups_print(const vl2_pack_summary *summary);

/* A list of {"name", "types", "tensors", "parameters", "bytes", "memory", "bits"}; NULL without
 * memory. */
json_t *weight_groups_json(const vl2_pack_summary *summary);

double bits_per_weight(uint64_t bytes, uint64_t parameters);

#endif
