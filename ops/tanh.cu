/* tanh and its gradient on a GPU (tanh.c has the formulas). */
#include "backends/kernel.cuh"
#include "ops/cuda.h"

static __global__ void hyperbolic_tangent(const float *x, float *y, int64_t n) {
    int64_t i = pr_element();
    if (i < n) y[i] = tanhf(x[i]);
}

static __global__ void tanh_grad(const float *dy, const float *y, float *dx, int64_t n) {
    int64_t i = pr_element();
    if (i < n) dx[i] = dy[i] * (1.0f - y[i] * y[i]);
}

extern "C" pr_status pr_tanh_cuda(const pr_call *c) {
    return pr_launch_elements(c, hyperbolic_tangent, pr_size(c->out[0]), pr_floats(c->in[0]),
                              pr_floats(c->out[0]));
}

extern "C" pr_status pr_tanh_grad_cuda(const pr_call *c) {
    return pr_launch_elements(c, tanh_grad, pr_size(c->out[0]), pr_floats(c->in[0]),
                              pr_floats(c->in[1]), pr_floats(c->out[0]));
}
