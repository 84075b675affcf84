#include "weights/place.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define MOST_DIGITS 6

static const char *const group_names[] = {
#define WEIGHT_NAME(constant, number, name) [number] = name,
    WEIGHT_GROUPS(WEIGHT_NAME)
#undef WEIGHT_NAME
};

const char *weight_group_name(uint32_t group)
{
    return group < WEIGHT_GROUP_END ? group_names[group] : NULL;
}

uint32_t weight_group_find(const char *name)
{
    for (uint32_t i = 1; i < WEIGHT_GROUP_END; i++) {
        if (strcmp(group_names[i], name) == 0) {
            return i;
        }
    }
    return 0;
}

/* Moves *text behind a prefix if it begins with it. */
static bool skip(const char **text, const char *prefix)
{
    size_t length = strlen(prefix);
    if (strncmp(*text, prefix, length) != 0) {
        return false;
    }
    *text += length;
    return true;
}

/* Reads "17." and moves behind the point. "017" is another name than "17", and no number here. */
static bool skip_number(const char **text, int *number)
{
    const char *at = *text;
    int value = 0, digits = 0;
    while (*at >= '0' && *at <= '9' && digits <= MOST_DIGITS) {
        value = value * 10 + (*at++ - '0');
        digits++;
    }
    if (digits == 0 || digits > MOST_DIGITS || *at != '.' || (digits > 1 && **text == '0')) {
        return false;
    }
    *text = at + 1;
    *number = value;
    return true;
}

/* What follows "language.model.layers.N.self_attn." */
static weight_group attention_group(const char *name)
{
    static const char *const direct[] = {"q_proj.", "k_proj.", "v_proj.", "o_proj."};
    static const char *const low_rank[] = {"q_a_proj.", "q_b_proj.", "kv_a_proj_with_mqa.",
                                           "kv_b_proj."};
    weight_group group = WEIGHT_UNUSED;
    for (size_t i = 0; i < sizeof(direct) / sizeof(direct[0]); i++) {
        if (skip(&name, direct[i])) {
            group = WEIGHT_ATTENTION;
            break;
        }
        if (skip(&name, low_rank[i])) {
            group = WEIGHT_LATENT;
            break;
        }
    }
    return strcmp(name, "weight") == 0 || strcmp(name, "bias") == 0 ? group : WEIGHT_UNUSED;
}

/* The matrices of a gated network. */
static weight_part part_of(const char *name)
{
    static const char *const names[] = {"gate_proj.weight", "up_proj.weight", "down_proj.weight"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            return (weight_part)i;
        }
    }
    return WEIGHT_OTHER;
}

/* What follows "language.model.layers.N." */
static void place_in_layer(const char *name, weight_place *place)
{
    if (strstr(name, "norm") != NULL) {
        place->group = WEIGHT_NORMS;
    } else if (skip(&name, "self_attn.")) {
        place->group = attention_group(name);
    } else if (skip(&name, "mlp.gate.")) {
        place->group = WEIGHT_ROUTER;
    } else if (skip(&name, "mlp.")) {
        weight_group group = WEIGHT_DENSE;
        if (skip(&name, "shared_experts.")) {
            group = WEIGHT_SHARED;
        } else if (skip(&name, "experts.")) {
            group = skip_number(&name, &place->expert) ? WEIGHT_EXPERTS : WEIGHT_UNUSED;
        }
        place->part = part_of(name);
        place->group = place->part != WEIGHT_OTHER ? group : WEIGHT_UNUSED;
    }
}

/* What follows "language." */
static void place_in_decoder(const char *name, weight_place *place)
{
    if (strcmp(name, "model.embed_tokens.weight") == 0) {
        place->group = WEIGHT_EMBEDDING;
    } else if (strcmp(name, "lm_head.weight") == 0) {
        place->group = WEIGHT_HEAD;
    } else if (strcmp(name, "model.norm.weight") == 0) {
        place->group = WEIGHT_NORMS;
    } else if (skip(&name, "model.layers.") && skip_number(&name, &place->layer)) {
        place_in_layer(name, place);
    }
}

weight_place weight_place_of(const char *name)
{
    weight_place place = {WEIGHT_UNUSED, -1, -1, WEIGHT_OTHER};
    if (strcmp(name, "image_newline") == 0 || strcmp(name, "view_seperator") == 0 ||
        skip(&name, "projector.")) {
        place.group = WEIGHT_PROJECTOR;
    } else if (skip(&name, "vision.")) {
        place.group = skip(&name, "attn_pool.") ? WEIGHT_UNUSED : WEIGHT_VISION;
        if (skip(&name, "blocks.") && !skip_number(&name, &place.layer)) {
            place.layer = -1;
        }
    } else if (skip(&name, "language.")) {
        place_in_decoder(name, &place);
    }
    if (place.group == WEIGHT_UNUSED) {
        place = (weight_place){WEIGHT_UNUSED, -1, -1, WEIGHT_OTHER};
    }
    return place;
}
