#include "cli/weight_groups.h"

#include "cli/format.h"

#include <stdio.h>

double bits_per_weight(uint64_t bytes, uint64_t parameters)
{
    return parameters > 0 ? 8 * (double)bytes / (double)parameters : 0;
}

static void print_row(const char *name, uint64_t tensors, uint64_t parameters, uint64_t bytes,
                      const char *types)
{
    char count[FORMAT_SIZE], size[FORMAT_SIZE];
    printf("%-10s %8llu %11s %11s %8.3f  %s\n", name, (unsigned long long)tensors,
           format_count(parameters, count), format_bytes(bytes, size),
           bits_per_weight(bytes, parameters), types);
}

void weight_groups_print(const vl2_pack_summary *summary)
{
    printf("%-10s %8s %11s %11s %8s  %s\n", "group", "tensors", "parameters", "bytes", "bits",
           "types");
    for (size_t i = 0; i < summary->group_count; i++) {
        const vl2_pack_group *group = &summary->groups[i];
        print_row(group->name, group->tensors, group->parameters, group->bytes, group->types);
    }
    print_row("all", summary->tensors, summary->parameters, summary->weight_bytes, "");
}

static json_t *group_json(const vl2_pack_group *group)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:f}", "name", group->name, "types",
                     group->types, "tensors", (json_int_t)group->tensors, "parameters",
                     (json_int_t)group->parameters, "bytes", (json_int_t)group->bytes, "memory",
                     (json_int_t)group->memory, "bits",
                     bits_per_weight(group->bytes, group->parameters));
}

json_t *weight_groups_json(const vl2_pack_summary *summary)
{
    json_t *groups = json_array();
    for (size_t i = 0; i < summary->group_count; i++) {
        json_array_append_new(groups, group_json(&summary->groups[i]));
    }
    return groups;
}
