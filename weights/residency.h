/* Which routed experts stay in memory when not all of them fit: a count of uses that fades, and for
 * a prompt that goes through the layers once, how many of each layer are worth keeping. Nothing
 * here reads or holds weights; tests/tools/replay_routing.c runs the same code over recorded
 * routing. */
#ifndef WEIGHTS_RESIDENCY_H
#define WEIGHTS_RESIDENCY_H

#include <stdbool.h>
#include <stddef.h>

/* A count of uses halves every so many tokens. By measurement: weights/PAGING.md. */
#define RESIDENCY_HALF_LIFE 256.0
/* A prompt counts for at most so many tokens: the answer's tokens choose otherwise. The same. */
#define RESIDENCY_PROMPT 4.0

/* What is known of a layer's experts beforehand counts for so many uses of them together, those of
 * 128 tokens with 6 of them each. The same. */
#define RESIDENCY_KNOWN 768.0

typedef struct residency {
    size_t layers, experts; /* expert e of layer l has number l * experts + e */
    double half_life;       /* tokens */
    double prompt;          /* tokens that a long pass counts for */
    float *uses;            /* [layers * experts] in units of when they were counted */
    bool *spare;            /* [layers * experts] more of its layer are in memory than is fair */
    double unit;            /* what one use counts now; grows instead of all counts fading */
} residency;

/* False without memory. */
bool residency_open(size_t layers, size_t experts, residency *residency);
void residency_close(residency *residency);

/* Before the first pass: `share` of the uses of its layer's experts, 0 to 1, fell to this one in
 * the answers of the calibration. It fades like other uses. */
void residency_know(residency *residency, size_t expert, double share);

/* A pass of `rows` tokens through a layer begins. */
void residency_begin(residency *residency, size_t rows);
/* In it, `rows` of `of` tokens use an expert. */
void residency_use(residency *residency, size_t expert, size_t rows, size_t of);
/* The pass through a layer is over: of its experts with in_memory[e] set, [experts], all but the
 * `fair` most used are spare until they are used again. `order` [experts] is scratch. */
void residency_passed(residency *residency, size_t layer, const bool *in_memory, size_t fair,
                      size_t *order);

/* True if `a` should give way before `b`, while `layer` is at work: a spare one, the one that is
 * used less, the one whose layer comes later. */
bool residency_gives_way(const residency *residency, size_t a, size_t b, size_t layer);

#endif
