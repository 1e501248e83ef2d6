/* add on a GPU (add.c has the formula). */
#include "backends/kernel.cuh"
#include "ops/cuda.h"

static __global__ void add(const float *a, const float *b, float *y, int64_t n) {
    int64_t i = pr_element();
    if (i < n) y[i] = a[i] + b[i];
}

extern "C" pr_status pr_add_cuda(const pr_call *c) {
    return pr_launch_elements(c, add, pr_size(c->out[0]), pr_floats(c->in[0]), pr_floats(c->in[1]),
                              pr_floats(c->out[0]));
}
