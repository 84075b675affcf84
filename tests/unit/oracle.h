/* The whole network once more, in plain double precision: written from the reference's Python
 * (models/siglip_vit.py, modeling_deepseek_vl_v2.py, modeling_deepseek.py, and LlamaAttention of
 * transformers 4.38.2) and from nothing else, to compare the library with. One loop per sum, the
 * whole sequence at once, no cache, no chunks, latent attention expanded to keys and values. It
 * reads config.json by itself and takes weights by their names. Small shapes only: everything is
 * slow.
 *
 * Angles of the rotary embedding are rounded to float32 where the reference rounds them, since
 * that is what the model was trained with; all else is double.
 *
 * Whatever cannot be read fails the running test. Returned blocks are the caller's (free). */
#ifndef ORACLE_H
#define ORACLE_H

#include "test.h"

#include "weights/checkpoint.h"

#include <jansson.h>

typedef struct oracle {
    json_t *root;
    const json_t *vision, *projector, *language; /* borrowed from root */
    checkpoint *checkpoint;
} oracle;

void oracle_open(const char *folder, oracle *o);
void oracle_close(oracle *o);

/* Values of the configuration; absent or null: the fallback. */
int oracle_integer(const json_t *object, const char *key, int fallback);
double oracle_number(const json_t *object, const char *key, double fallback);

/* The gate of one token (MoEGate). */
typedef struct oracle_gate {
    bool sigmoid, normalize;
    const char *method; /* topk_method */
    int experts, k, groups, groups_per_token;
    double scaling;
} oracle_gate;

/* logits and bias (NULL without) [experts] -> scores [experts], ids and weights [k] in the order
 * of choice. Returns the smallest distance between what was chosen and what was not: a float32
 * gate may choose otherwise where it is tiny. */
double oracle_route(const oracle_gate *gate, const double *logits, const double *bias,
                    double *scores, int *ids, double *weights);

/* A tile's pixels [side, side, 3] -> the vision tower's features [grid^2, width]. */
double *oracle_vision(const oracle *o, const uint8_t *pixels);
/* Features -> rows [cells^2, hidden] of the projector. *cells is per side. */
double *oracle_project(const oracle *o, const double *features, size_t *cells);
/* Rows of a picture's tiles (the global view first) -> its embedding rows [*count, hidden]. */
double *oracle_join(const oracle *o, double *const *tiles, size_t cells, size_t columns,
                    size_t rows, size_t *count);
/* Token embeddings [count, hidden]; the positions of image_id take the rows of `pictures` in
 * order. */
double *oracle_embed(const oracle *o, const int32_t *ids, size_t count, int32_t image_id,
                     const double *pictures);

/* Everything that happens to a sequence in the decoder. */
typedef struct oracle_sequence {
    size_t count, hidden, layers, vocabulary, experts, k;
    double **outputs; /* [layers + 1]: the embeddings, then each layer's output; [count, hidden] */
    double *normed;   /* [count, hidden] after the final norm */
    double *logits;   /* [count, vocabulary] */
    /* [layers], NULL for dense layers */
    int **router_ids;                        /* [count, k] */
    double **router_weights, **router_scores; /* [count, k], [count, experts] */
    double least_gap;                        /* of all gates */
} oracle_sequence;

/* Takes over `embeddings` [count, hidden]. */
oracle_sequence *oracle_decode(const oracle *o, double *embeddings, size_t count);
void oracle_sequence_free(oracle_sequence *sequence);

/* The rotary table of the reference, [positions, width / 2] each. `scaling` is the rope_scaling
 * object or NULL. */
void oracle_rope(double theta, const json_t *scaling, size_t width, size_t positions,
                 double *cosines, double *sines);

/* x [count, inputs] times NAME.weight, plus NAME.bias if the checkpoint has it -> [count,
 * outputs]. */
double *oracle_linear(const oracle *o, const double *x, size_t count, size_t inputs,
                      size_t *outputs, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
/* All numbers of a tensor. */
double *oracle_tensor(const oracle *o, size_t *count, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
