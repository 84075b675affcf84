/* Which layout each tensor of a packed file gets: a preset, and rules that change it. */
#ifndef WEIGHTS_PACK_TYPES_H
#define WEIGHTS_PACK_TYPES_H

#include "base/error.h"
#include "base/tensor.h"
#include "weights/pack_format.h"
#include "weights/place.h"

#include <stdbool.h>

/* X(constant, name). Common to all but the first: tensors of rank 0 and 1 and the router are kept
 * in f32, which is exact; tensors of rank 3 and 4 (patches, positions) as they are stored in the
 * checkpoint; unused tensors are left out. Matrices:
 *
 *              experts         attention, latent, dense, shared  embedding  head, vision, projector
 *   bf16       everything as it is stored, unused tensors included: nothing is lost
 *   int8       int8            int8                              int8       int8
 *   int6       int6            int6                              int8       int8
 *   int4       int4            int4                              int4       int6
 *   mixed      int4            int8                              int8       int8
 *
 * int6: what every token and every picture goes through once costs 1.5 % of the file in int8 and
 * has a third of the error of int6. int4 is for the smallest file; what decides between tokens and
 * what reads the picture gets int6, for 2 % of the file. */
#define PACK_PRESETS(X)                                                                            \
    X(PACK_PRESET_BF16, "bf16")                                                                    \
    X(PACK_PRESET_INT8, "int8")                                                                    \
    X(PACK_PRESET_INT6, "int6")                                                                    \
    X(PACK_PRESET_INT4, "int4")                                                                    \
    X(PACK_PRESET_MIXED, "mixed")

typedef enum pack_preset {
#define PACK_CONSTANT(constant, name) constant,
    PACK_PRESETS(PACK_CONSTANT)
#undef PACK_CONSTANT
        PACK_PRESET_COUNT
} pack_preset;

/* The default layout of int8 and of int4, by measurement: weights/QUANTIZATION.md. */
#define PACK_INT8_LAYOUT LAYOUT_INT8_GROUP_128
#define PACK_INT4_LAYOUT LAYOUT_INT4_CODEBOOK

#define PACK_LEFT_OUT 0u /* no layout: the tensor is not stored */

/* "PATTERN=TYPE" */
typedef struct pack_rule {
    const char *text; /* borrowed */
    char *pattern;    /* a name as for fnmatch */
    uint32_t group;   /* instead of the pattern, if it names one; else 0 */
    uint32_t layout;  /* PACK_LEFT_OUT: as the tensor is stored */
} pack_rule;

typedef struct pack_types {
    pack_preset preset;
    pack_rule *rules; /* [rule_count]; later ones win */
    size_t rule_count;
} pack_types;

/* quant: the name of a preset; NULL is mixed. Each rule is "PATTERN=TYPE". PATTERN is a group of
 * weights/place.h, or a pattern of tensor names as in a shell, where * stands for any run of
 * characters. TYPE is f32, bf16 (as the tensor is stored: f32 and f16 stay what they are), int8,
 * int6, int4, or the name of a layout. The texts are borrowed. VL2_ERROR_ARGUMENT,
 * VL2_ERROR_MEMORY. */
vl2_status pack_types_read(const char *quant, const char *const *rules, size_t count,
                           pack_types *types, vl2_error *error);
void pack_types_clear(pack_types *types);

/* The layout of a tensor, or PACK_LEFT_OUT. `group` is WEIGHT_UNUSED for every tensor that the
 * model does not use; such a tensor is stored with preset bf16 or by a rule "unused=TYPE" only.
 * Integers take matrices (rank 2) other than the router; rules of other types take every tensor.
 * The last rule that matches the tensor and takes it wins. What the format cannot hold is left out
 * (a data type beside f32, f16 and bf16, a rank above 4, a dimension of 0, a name of more than 1024
 * bytes). `took` [rule_count],
 * may be NULL: true is written where a rule matches the tensor and takes it. */
uint32_t pack_types_choose(const pack_types *types, const tensor_view *tensor, weight_group group,
                           bool *took);

/* The layout that keeps every bit of a tensor; PACK_LEFT_OUT if there is none. */
uint32_t pack_stored_layout(const tensor_view *tensor);

const char *pack_preset_name(pack_preset preset);

#endif
