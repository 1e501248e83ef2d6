/* densify on a GPU (densify.c has the formula). */
#include "backends/kernel.cuh"
#include "ops/cuda.h"

enum { THREADS = 128 };

static __global__ void fill_zeros(float *y, int64_t n) {
    int64_t i = pr_element();
    if (i < n) y[i] = 0.0f;
}

/* values (N, d), id (N) of which count (1) stand; y (V, d). A block a row of values. */
static __global__ void lay_rows(const float *values, const int32_t *id, const int32_t *count,
                                float *y, int64_t d, int64_t n_rows) {
    int64_t k = blockIdx.x;
    if (k >= *count || id[k] < 0 || id[k] >= n_rows) return;
    for (int64_t i = threadIdx.x; i < d; i += THREADS)
        y[id[k] * d + i] = values[k * d + i];
}

extern "C" pr_status pr_densify_cuda(const pr_call *c) {
    float *y = pr_floats(c->out[0]);
    pr_status status = pr_launch_elements(c, fill_zeros, pr_size(c->out[0]), y);
    if (status != PR_OK) return status;
    return pr_launch_blocks(c, lay_rows, c->in[0].shape.dim[0], THREADS, 0, pr_floats(c->in[0]),
                            pr_integers(c->in[1]), pr_integers(c->in[2]), y, c->in[0].shape.dim[1],
                            (int64_t)c->attr.i[0]);
}
