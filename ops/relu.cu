/* relu and its gradient on a GPU (relu.c has the formulas). */
#include "backends/kernel.cuh"
#include "ops/cuda.h"

static __global__ void relu(const float *x, float *y, int64_t n) {
    int64_t i = pr_element();
    if (i < n) y[i] = x[i] < 0.0f ? 0.0f : x[i];
}

static __global__ void relu_grad(const float *dy, const float *y, float *dx, int64_t n) {
    int64_t i = pr_element();
    if (i < n) dx[i] = y[i] <= 0.0f ? 0.0f : dy[i];
}

extern "C" pr_status pr_relu_cuda(const pr_call *c) {
    return pr_launch_elements(c, relu, pr_size(c->out[0]), pr_floats(c->in[0]),
                              pr_floats(c->out[0]));
}

extern "C" pr_status pr_relu_grad_cuda(const pr_call *c) {
    return pr_launch_elements(c, relu_grad, pr_size(c->out[0]), pr_floats(c->in[0]),
                              pr_floats(c->in[1]), pr_floats(c->out[0]));
}
