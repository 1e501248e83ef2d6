/* softmax and its gradient on a GPU (softmax.c has the formulas): a warp for each row. */
#include "backends/kernel.cuh"
#include "ops/cuda.h"

enum { ROWS = PR_BLOCK / PR_WARP }; /* a block's */

/* The row of this thread's warp. */
static __device__ int64_t warp_row(void) {
    return (int64_t)blockIdx.x * ROWS + threadIdx.x / PR_WARP;
}

/* x, y (rows, n), which may be the same. */
static __global__ void softmax(const float *x, float *y, int64_t rows, int64_t n) {
    int64_t row = warp_row(), lane = threadIdx.x % PR_WARP;
    if (row >= rows) return;
    x += row * n;
    y += row * n;
    float most = -INFINITY, sum = 0.0f;
    for (int64_t i = lane; i < n; i += PR_WARP)
        most = fmaxf(most, x[i]);
    most = pr_warp_max(most);
    for (int64_t i = lane; i < n; i += PR_WARP)
        sum += expf(x[i] - most);
    float scale = 1.0f / pr_warp_sum(sum);
    for (int64_t i = lane; i < n; i += PR_WARP)
        y[i] = expf(x[i] - most) * scale;
}

/* dy, y, dx (rows, n); dx may be either of the others. */
static __global__ void softmax_grad(const float *dy, const float *y, float *dx, int64_t rows,
                                    int64_t n) {
    int64_t row = warp_row(), lane = threadIdx.x % PR_WARP;
    if (row >= rows) return;
    dy += row * n;
    y += row * n;
    dx += row * n;
    float sum = 0.0f;
    for (int64_t i = lane; i < n; i += PR_WARP)
        sum += dy[i] * y[i];
    sum = pr_warp_sum(sum);
    for (int64_t i = lane; i < n; i += PR_WARP)
        dx[i] = y[i] * (dy[i] - sum);
}

extern "C" pr_status pr_softmax_cuda(const pr_call *c) {
    int64_t rows = c->in[0].shape.dim[0], n = c->in[0].shape.dim[1];
    return pr_launch_blocks(c, softmax, (rows + ROWS - 1) / ROWS, PR_BLOCK, 0, pr_floats(c->in[0]),
                            pr_floats(c->out[0]), rows, n);
}

extern "C" pr_status pr_softmax_grad_cuda(const pr_call *c) {
    int64_t rows = c->in[0].shape.dim[0], n = c->in[0].shape.dim[1];
    return pr_launch_blocks(c, softmax_grad, (rows + ROWS - 1) / ROWS, PR_BLOCK, 0,
                            pr_floats(c->in[0]), pr_floats(c->in[1]), pr_floats(c->out[0]), rows,
                            n);
}
