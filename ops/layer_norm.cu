/* layer_norm and its gradients on a GPU (layer_norm.c has the formulas): a block for each row, and
 * for dgamma a block for a few columns. */
#include "ops/columns.cuh"
#include "ops/cuda.h"

/* A thread has WIDE columns, so that one round of a block's loads is most models' row. */
enum { ROW_THREADS = 128, WIDE = 4 };

/* x, y (N, d), which may be the same; gamma, beta (d); means, rstds (N) or NULL. */
template <int WIDTH>
static __global__ void layer_norm(const float *x, const float *gamma, const float *beta, float *y,
                                  float *means, float *rstds, float epsilon, int64_t d) {
    int64_t row = blockIdx.x, first = WIDTH * threadIdx.x, step = WIDTH * ROW_THREADS;
    x += row * d;
    y += row * d;
    float sum = 0.0f, squares = 0.0f;
    for (int64_t i = first; i < d; i += step) {
        pr_pack<WIDTH> v = pr_read_pack<WIDTH>(x + i);
        for (int k = 0; k < WIDTH; k++)
            sum += v.at[k];
    }
    float mean = pr_block_sum<ROW_THREADS>(sum) / (float)d;
    for (int64_t i = first; i < d; i += step) {
        pr_pack<WIDTH> v = pr_read_pack<WIDTH>(x + i);
        for (int k = 0; k < WIDTH; k++)
            squares += (v.at[k] - mean) * (v.at[k] - mean);
    }
    float rstd = 1.0f / sqrtf(pr_block_sum<ROW_THREADS>(squares) / (float)d + epsilon);
    for (int64_t i = first; i < d; i += step) {
        pr_pack<WIDTH> v = pr_read_pack<WIDTH>(x + i);
        pr_pack<WIDTH> factor = pr_read_pack<WIDTH>(gamma + i),
                       shift = pr_read_pack<WIDTH>(beta + i);
        for (int k = 0; k < WIDTH; k++)
            v.at[k] = (v.at[k] - mean) * rstd * factor.at[k] + shift.at[k];
        pr_write_pack(y + i, v);
    }
    if (threadIdx.x != 0) return;
    if (means) means[row] = mean;
    if (rstds) rstds[row] = rstd;
}

/* dy, x, dx (N, d); dx may be either of the others; means, rstds (N); gamma (d). */
template <int WIDTH>
static __global__ void layer_norm_grad(const float *dy, const float *x, const float *means,
                                       const float *rstds, const float *gamma, float *dx,
                                       int64_t d) {
    int64_t row = blockIdx.x, first = WIDTH * threadIdx.x, step = WIDTH * ROW_THREADS;
    dy += row * d;
    x += row * d;
    dx += row * d;
    float mean = means[row], rstd = rstds[row], sum = 0.0f, product = 0.0f;
    for (int64_t i = first; i < d; i += step) {
        pr_pack<WIDTH> h = pr_read_pack<WIDTH>(dy + i), v = pr_read_pack<WIDTH>(x + i);
        pr_pack<WIDTH> factor = pr_read_pack<WIDTH>(gamma + i);
        for (int k = 0; k < WIDTH; k++) {
            sum += h.at[k] * factor.at[k];
            product += h.at[k] * factor.at[k] * ((v.at[k] - mean) * rstd);
        }
    }
    sum = pr_block_sum<ROW_THREADS>(sum) / (float)d;
    product = pr_block_sum<ROW_THREADS>(product) / (float)d;
    for (int64_t i = first; i < d; i += step) {
        pr_pack<WIDTH> h = pr_read_pack<WIDTH>(dy + i), v = pr_read_pack<WIDTH>(x + i);
        pr_pack<WIDTH> factor = pr_read_pack<WIDTH>(gamma + i);
        for (int k = 0; k < WIDTH; k++) {
            float xhat = (v.at[k] - mean) * rstd;
            h.at[k] = rstd * (h.at[k] * factor.at[k] - sum - xhat * product);
        }
        pr_write_pack(dx + i, h);
    }
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
    return pr_launch_blocks(c, d % WIDE ? layer_norm<1> : layer_norm<WIDE>, rows, ROW_THREADS, 0,
                            pr_floats(c->in[0]), pr_floats(c->in[1]), pr_floats(c->in[2]),
                            pr_floats(c->out[0]), pr_floats(c->out[1]), pr_floats(c->out[2]),
                            c->attr.f[0], d);
}

extern "C" pr_status pr_layer_norm_grad_cuda(const pr_call *c) {
    int64_t rows = c->in[1].shape.dim[0], d = c->in[1].shape.dim[1];
    return pr_launch_blocks(c, d % WIDE ? layer_norm_grad<1> : layer_norm_grad<WIDE>, rows,
                            ROW_THREADS, 0, pr_floats(c->in[0]), pr_floats(c->in[1]),
                            pr_floats(c->in[2]), pr_floats(c->in[3]), pr_floats(c->in[4]),
                            pr_floats(c->out[0]), d);
}

extern "C" pr_status pr_layer_norm_grad_gamma_cuda(const pr_call *c) {
    int64_t rows = c->in[1].shape.dim[0], d = c->in[1].shape.dim[1];
    return pr_launch_blocks(c, layer_norm_grad_gamma, pr_column_blocks(d), PR_SUM_THREADS, 0,
                            pr_floats(c->in[0]), pr_floats(c->in[1]), pr_floats(c->in[2]),
                            pr_floats(c->in[3]), pr_floats(c->out[0]), rows, d);
}
