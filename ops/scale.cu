/* scale on a GPU (scale.c has the formula). */
#include "backends/kernel.cuh"
#include "ops/cuda.h"

static __global__ void scale(const float *x, float *y, float factor, int64_t n) {
    int64_t i = pr_element();
    if (i < n) y[i] = factor * x[i];
}

extern "C" pr_status pr_scale_cuda(const pr_call *c) {
    return pr_launch_elements(c, scale, pr_size(c->out[0]), pr_floats(c->in[0]),
                              pr_floats(c->out[0]), c->attr.f[0]);
}
