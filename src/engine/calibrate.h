/* What a vl2_calibration is made of. */
#ifndef ENGINE_CALIBRATE_H
#define ENGINE_CALIBRATE_H

#include "base/buffer.h"
#include "engine/model.h"

/* Of the weight that has the same place in model_weights.bound. */
typedef struct input_sums {
    double *squares; /* [inputs]; NULL until it is used */
    size_t inputs;
    uint64_t rows;
    uint64_t answer_rows; /* of these, of answers */
} input_sums;

struct vl2_calibration {
    const vl2_model *model;
    input_sums *sums; /* [model->weights->bound_count] */
    buffer names;     /* of the conversations, one a line */
    vl2_calibration_info info;
    bool failed; /* memory was short */
};

/* The sums of a weight that the model has bound. */
input_sums *calibration_sums(const vl2_calibration *calibration, weight w);

#endif
