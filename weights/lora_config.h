/* The adapter_config.json of an adapter: see lora.h. Inside weights/ only. */
#ifndef WEIGHTS_LORA_CONFIG_H
#define WEIGHTS_LORA_CONFIG_H

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>

typedef struct lora_config {
    const char *file; /* borrowed; for messages */
    json_t *root;
    int64_t rank;
    double alpha;
    bool root_scaled;                           /* use_rslora */
    const json_t *rank_pattern, *alpha_pattern; /* of root; may be NULL */
} lora_config;

#define LORA_MAX_RANK 65536

/* VL2_ERROR_MODEL, VL2_ERROR_MEMORY; lora_config_close also after a failure. */
vl2_status lora_config_open(const char *file, lora_config *config, vl2_error *error);
void lora_config_close(lora_config *config);

/* What the configuration says about a module: its rank, and the factor of B A. */
int64_t lora_config_rank(const lora_config *config, const char *module);
double lora_config_scaling(const lora_config *config, const char *module);

#endif
