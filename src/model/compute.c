#include "model/compute.h"

#include "base/alloc.h"

#include <cblas.h>

vl2_status compute_open(const kernels *kernels, int threads, compute *compute, vl2_error *error)
{
    /* Products are divided among the team here, into pieces that do not depend on the number of
     * threads; OpenBLAS then runs each piece on the thread that asked. */
    openblas_set_num_threads(1);
    *compute = (struct compute){.kernels = kernels};
    vl2_status status = team_open(&compute->team, threads, error);
    if (status != VL2_OK) {
        return status;
    }
    compute->scratch = base_calloc((size_t)threads, sizeof(*compute->scratch));
    if (compute->scratch == NULL) {
        return vl2_fail_memory(error, "the thread team", (size_t)threads * sizeof(float *));
    }
    return VL2_OK;
}

void compute_close(compute *compute)
{
    for (int i = 0; compute->scratch != NULL && i < compute->team.threads; i++) {
        base_free(compute->scratch[i]);
    }
    base_free(compute->scratch);
    compute->scratch = NULL;
    compute->scratch_floats = 0;
    base_free(compute->quantized);
    compute->quantized = NULL;
    compute->quantized_bytes = 0;
    team_close(&compute->team);
}

vl2_status compute_reserve(compute *compute, size_t floats, vl2_error *error)
{
    if (floats <= compute->scratch_floats) {
        return VL2_OK;
    }
    for (int i = 0; i < compute->team.threads; i++) {
        base_free(compute->scratch[i]);
        compute->scratch[i] = base_alloc_aligned(floats, sizeof(float));
        if (compute->scratch[i] == NULL) {
            compute->scratch_floats = 0;
            return vl2_fail_memory(error, "work space", floats * sizeof(float));
        }
    }
    compute->scratch_floats = floats;
    return VL2_OK;
}

vl2_status compute_reserve_rows(compute *compute, size_t rows, size_t inputs, vl2_error *error)
{
    size_t bytes;
    if (!base_multiply(rows, activation_size(inputs), &bytes)) {
        bytes = SIZE_MAX;
    }
    if (bytes <= compute->quantized_bytes) {
        return VL2_OK;
    }
    base_free(compute->quantized);
    compute->quantized = base_alloc_aligned(bytes, 1);
    compute->quantized_bytes = compute->quantized != NULL ? bytes : 0;
    return compute->quantized != NULL ? VL2_OK : vl2_fail_memory(error, "work space", bytes);
}

size_t compute_memory(const compute *compute)
{
    return (size_t)compute->team.threads * compute->scratch_floats * sizeof(float) +
           compute->quantized_bytes;
}
