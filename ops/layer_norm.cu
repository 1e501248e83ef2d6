/* layer_norm and its gradients on a GPU (layer_norm.c has the formulas): a block for each row, and
 * for dgamma a block for a few columns. */
#include "ops/columns.cuh"
#include "ops/cuda.h"
#include "ops/layer_norm.cuh"

/* x, y (N, d), which may be the same; gamma, beta (d); means, rstds (N) or NULL. */
template <int WIDTH>
static __global__ void layer_norm(const float *x, const float *gamma, const float *beta, float *y,
                                  float *means, float *rstds, float epsilon, int64_t d) {
    int64_t row = blockIdx.x;
    float sum = 0.0f;
    x += row * d;
    pr_each_column<WIDTH>(d, [&](int64_t i) {
        pr_pack<WIDTH> v = pr_read_pack<WIDTH>(x + i);
        for (int k = 0; k < WIDTH; k++)
            sum += v.at[k];
    });
    pr_norm_row<WIDTH>(x, sum, gamma, beta, epsilon, d, y + row * d, means ? means + row : nullptr,
                       rstds ? rstds + row : nullptr);
}

/* dy, x, dx (N, d); dx may be either of the others; means, rstds (N); gamma (d). */
template <int WIDTH>
static __global__ void layer_norm_grad(const float *dy, const float *x, const float *means,
                                       const float *rstds, const float *gamma, float *dx,
                                       int64_t d) {
    int64_t row = blockIdx.x;
    dx += row * d;
    pr_norm_grad_row<WIDTH>(dy + row * d, x + row * d, means[row], rstds[row], gamma, d,
                            [&](int64_t i, pr_pack<WIDTH> v) { pr_write_pack(dx + i, v); });
}

/* dy, x (rows, d); means, rstds (rows); dgamma (d). */
static __global__ void __launch_bounds__(PR_SUM_THREADS)
    layer_norm_grad_gamma(const float *dy, const float *x, const float *means, const float *rstds,
                          float *dgamma, int64_t rows, int64_t d) {
    float sum = pr_column_sum(rows, d, [=](int64_t row, int64_t column) {
        int64_t i = row * d + column;
        return dy[i] * ((x[i] - means[row]) * rstds[row]);
    });
    int64_t column = pr_summed_column();
    if (column >= 0 && column < d && threadIdx.x % PR_WARP == 0) dgamma[column] = sum;
}

extern "C" pr_status pr_layer_norm_cuda(const pr_call *c) {
    int64_t rows = c->in[0].shape.dim[0], d = c->in[0].shape.dim[1];
    return pr_launch_blocks(c, d % PR_NORM_COLUMNS ? layer_norm<1> : layer_norm<PR_NORM_COLUMNS>,
                            rows, PR_NORM_THREADS, 0, pr_floats(c->in[0]), pr_floats(c->in[1]),
                            pr_floats(c->in[2]), pr_floats(c->out[0]), pr_floats(c->out[1]),
                            pr_floats(c->out[2]), c->attr.f[0], d);
}

extern "C" pr_status pr_layer_norm_grad_cuda(const pr_call *c) {
    int64_t rows = c->in[1].shape.dim[0], d = c->in[1].shape.dim[1];
    return pr_launch_blocks(
        c, d % PR_NORM_COLUMNS ? layer_norm_grad<1> : layer_norm_grad<PR_NORM_COLUMNS>, rows,
        PR_NORM_THREADS, 0, pr_floats(c->in[0]), pr_floats(c->in[1]), pr_floats(c->in[2]),
        pr_floats(c->in[3]), pr_floats(c->in[4]), pr_floats(c->out[0]), d);
}

extern "C" pr_status pr_layer_norm_grad_gamma_cuda(const pr_call *c) {
    int64_t rows = c->in[1].shape.dim[0], d = c->in[1].shape.dim[1];
    return pr_launch_blocks(c, layer_norm_grad_gamma, pr_column_blocks(d), PR_SUM_THREADS, 0,
                            pr_floats(c->in[0]), pr_floats(c->in[1]), pr_floats(c->in[2]),
                            pr_floats(c->in[3]), pr_floats(c->out[0]), rows, d);
}
