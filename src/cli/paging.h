/* What was read of a model that does not fit into memory, for people and programs. */
#ifndef CLI_PAGING_H
#define CLI_PAGING_H

#include "vl2.h"

#include <jansson.h>

/* "[experts: 61.0 % were in memory, ...]" on standard error; nothing of a model that fits. */
void paging_print(const vl2_answer *answer);

/* null of a model that fits; NULL without memory. */
json_t *paging_json(const vl2_paging *paging);

#endif
