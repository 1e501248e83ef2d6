/* gelu and its gradient on a GPU (gelu.c has the formulas). */
#include "backends/kernel.cuh"
#include "ops/cuda.h"

static __device__ float normal_distribution(float x) {
    return 0.5f * (1.0f + erff(x * 0.70710678118654752f));
}

static __device__ float normal_density(float x) {
    return 0.39894228040143268f * expf(-0.5f * x * x);
}

static __global__ void gelu(const float *x, float *y, int64_t n) {
    int64_t i = pr_element();
    if (i < n) y[i] = x[i] * normal_distribution(x[i]);
}

static __global__ void gelu_grad(const float *dy, const float *x, float *dx, int64_t n) {
    int64_t i = pr_element();
    if (i < n) dx[i] = dy[i] * (normal_distribution(x[i]) + x[i] * normal_density(x[i]));
}

extern "C" pr_status pr_gelu_cuda(const pr_call *c) {
    return pr_launch_elements(c, gelu, pr_size(c->out[0]), pr_floats(c->in[0]),
                              pr_floats(c->out[0]));
}

extern "C" pr_status pr_gelu_grad_cuda(const pr_call *c) {
    return pr_launch_elements(c, gelu_grad, pr_size(c->out[0]), pr_floats(c->in[0]),
                              pr_floats(c->in[1]), pr_floats(c->out[0]));
}
