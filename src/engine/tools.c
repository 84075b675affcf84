/* The small parts of vl2.h: version, memory, the processor, synthetic checkpoints. */
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/team.h"
#include "simd/kernels.h"
#include "weights/synth.h"

#include "config.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

const char *vl2_version(void)
{
    return PACKAGE_VERSION;
}

void vl2_free(void *string)
{
    base_free(string);
}

int vl2_cpu_count(void)
{
    return team_processors();
}

void vl2_synth_options_defaults(vl2_synth_options *options)
{
    *options = (vl2_synth_options){.size = "tiny", .shard_bytes = (uint64_t)4 << 30};
}

vl2_status vl2_synth(const vl2_synth_options *options, vl2_error *error)
{
    return synth_write(options, error);
}

static json_t *feature_list(cpu_features features)
{
    json_t *list = json_array();
    for (int i = 0; i < CPU_FEATURE_COUNT; i++) {
        if (features >> i & 1) {
            json_array_append_new(list, json_string(cpu_feature_name(i)));
        }
    }
    return list;
}

static json_t *kernel_list(const kernels *kernels)
{
    json_t *slots = json_object();
    for (int i = 0; i < KERNEL_COUNT; i++) {
        json_object_set_new(slots, kernel_name(i), json_string(kernels->isa[i]));
    }
    return slots;
}

static char *report_json(const cpu_info *info, const kernels *kernels, const char *bad)
{
    json_t *report =
        json_pack("{s:s, s:i, s:i, s:i, s:I, s:I, s:I, s:o, s:o, s:b}", "brand", info->brand,
                  "cores", info->cores,
                  "threads", info->threads, "usable", team_processors(), "l1d_bytes",
                  (json_int_t)info->l1d, "l2_bytes", (json_int_t)info->l2, "l3_bytes",
                  (json_int_t)info->l3, "features", feature_list(info->features), "kernels",
                  kernel_list(kernels), "mask_valid", bad == NULL);
    char *dumped = report != NULL ? json_dumps(report, JSON_COMPACT) : NULL;
    json_decref(report);
    char *copy = NULL;
    if (dumped != NULL) {
        buffer text = {NULL, 0, 0, false};
        buffer_append_text(&text, dumped);
        copy = text.data;
    }
    free(dumped);
    return copy;
}

static void append_cache(buffer *text, const char *name, size_t bytes)
{
    char line[64];
    if (bytes > 0) {
        snprintf(line, sizeof(line), "  %s %zu KiB", name, bytes / 1024);
        buffer_append_text(text, line);
    }
}

static char *report_text(const cpu_info *info, const kernels *kernels, const char *bad)
{
    buffer text = {NULL, 0, 0, false};
    char line[160];
    snprintf(line, sizeof(line), 
             "processor  %s\ncores      %d, %d threads, %d usable here\ncaches   ",
             info->brand[0] ? info->brand : "unknown", info->cores, info->threads,
             team_processors());
    buffer_append_text(&text, line);
    append_cache(&text, "L1d", info->l1d);
    append_cache(&text, "L2", info->l2);
    append_cache(&text, "L3", info->l3);
    buffer_append_text(&text, "\nfeatures  ");
    for (int i = 0; i < CPU_FEATURE_COUNT; i++) {
        if (info->features >> i & 1) {
            buffer_append_text(&text, " ");
            buffer_append_text(&text, cpu_feature_name(i));
        }
    }
    buffer_append_text(&text, bad == NULL ? "\nkernels\n"
                                          : "\nkernels (VL2_CPU has an unknown word)\n");
    for (int i = 0; i < KERNEL_COUNT; i++) {
        snprintf(line, sizeof(line), "  %-18s %s\n", kernel_name(i), kernels->isa[i]);
        buffer_append_text(&text, line);
    }
    if (text.failed) {
        buffer_free(&text);
    }
    return text.data;
}

char *vl2_cpu_report(bool json)
{
    cpu_info info;
    kernels table;
    cpu_detect(&info);
    const char *bad = kernels_default(&table);
    return json ? report_json(&info, &table, bad) : report_text(&info, &table, bad);
}
