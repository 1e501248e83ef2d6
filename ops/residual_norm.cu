/* residual_norm and its gradient on a GPU (residual_norm.c has the formulas): a block for each row.
 * A thread has the same columns throughout, fours that share a draw, and so reads what it wrote. */
#include "ops/cuda.h"
#include "ops/dropout.cuh"

enum { X, Z, GAMMA, BETA, RNG, OFFSETS };
enum { DY, GRAD_S, GRAD_MEAN, GRAD_RSTD, GRAD_GAMMA, GRAD_RNG, GRAD_OFFSETS };
enum { ROW_THREADS = 128 };

/* Calls body(column) for every WIDTH of this thread's columns. */
template <int WIDTH, class Body> static __device__ inline void each_column(int64_t d, Body body) {
    for (int64_t from = PR_DRAWN * threadIdx.x; from < d; from += PR_DRAWN * ROW_THREADS) {
#pragma unroll
        for (int i = 0; i < PR_DRAWN; i += WIDTH) {
            if (from + i < d) body(from + i);
        }
    }
}

/* Drops of v, whose first column is given, what the masks say; m.p of 0: nothing. */
template <int WIDTH>
static __device__ inline void drop(const pr_masks &m, const pr_row_masks &row, int64_t column,
                                   pr_pack<WIDTH> &v) {
    if (m.p == 0.0f) return;
    pr_philox draw = pr_draw_columns(row, column);
    for (int k = 0; k < WIDTH; k++)
        v.at[k] = pr_drop(row, draw.word[WIDTH == 1 ? column % PR_DRAWN : k], v.at[k]);
}

/* The masks of this block's row; the first block looks at the offsets. */
static __device__ inline pr_row_masks begin_row(const pr_masks &m, const pr_sentences &s) {
    if (m.p == 0.0f) return {};
    if (s.offset && blockIdx.x == 0 && threadIdx.x < PR_WARP) pr_check_offsets(s);
    return pr_masks_of(m, s, blockIdx.x);
}

/* What residual_norm makes: y, s (N, d), means, rstds (N); all but y may be NULL. */
struct made {
    float *y, *s, *means, *rstds;
};

/* x, z (N, d), of which y may be one; gamma, beta (d). */
template <int WIDTH>
static __global__ void residual_norm(const float *x, const float *z, const float *gamma,
                                     const float *beta, made out, float epsilon, int64_t d,
                                     pr_masks m, pr_sentences sentences) {
    pr_row_masks mask = begin_row(m, sentences);
    int64_t row = blockIdx.x, at = row * d;
    float *y = out.y + at, *s = out.s ? out.s + at : y;
    float sum = 0.0f, squares = 0.0f;
    each_column<WIDTH>(d, [&](int64_t i) {
        pr_pack<WIDTH> v = pr_read_pack<WIDTH>(z + at + i), to = pr_read_pack<WIDTH>(x + at + i);
        drop(m, mask, i, v);
        for (int k = 0; k < WIDTH; k++) {
            v.at[k] += to.at[k];
            sum += v.at[k];
        }
        pr_write_pack(s + i, v);
    });
    float mean = pr_block_sum<ROW_THREADS>(sum) / (float)d;
    each_column<WIDTH>(d, [&](int64_t i) {
        pr_pack<WIDTH> v = pr_read_pack<WIDTH>(s + i);
        for (int k = 0; k < WIDTH; k++)
            squares += (v.at[k] - mean) * (v.at[k] - mean);
    });
    float rstd = 1.0f / sqrtf(pr_block_sum<ROW_THREADS>(squares) / (float)d + epsilon);
    each_column<WIDTH>(d, [&](int64_t i) {
        pr_pack<WIDTH> v = pr_read_pack<WIDTH>(s + i), factor = pr_read_pack<WIDTH>(gamma + i),
                       shift = pr_read_pack<WIDTH>(beta + i);
        for (int k = 0; k < WIDTH; k++)
            v.at[k] = (v.at[k] - mean) * rstd * factor.at[k] + shift.at[k];
        pr_write_pack(y + i, v);
    });
    if (threadIdx.x != 0) return;
    if (out.means) out.means[row] = mean;
    if (out.rstds) out.rstds[row] = rstd;
}

/* dy, s, dz, ds (N, d); dz may be dy or s, ds NULL; means, rstds (N); gamma (d). */
template <int WIDTH>
static __global__ void residual_norm_grad(const float *dy, const float *s, const float *means,
                                          const float *rstds, const float *gamma, float *dz,
                                          float *ds, int64_t d, pr_masks m,
                                          pr_sentences sentences) {
    pr_row_masks mask = begin_row(m, sentences);
    int64_t row = blockIdx.x, at = row * d;
    float mean = means[row], rstd = rstds[row], sum = 0.0f, product = 0.0f;
    each_column<WIDTH>(d, [&](int64_t i) {
        pr_pack<WIDTH> h = pr_read_pack<WIDTH>(dy + at + i), v = pr_read_pack<WIDTH>(s + at + i),
                       factor = pr_read_pack<WIDTH>(gamma + i);
        for (int k = 0; k < WIDTH; k++) {
            sum += h.at[k] * factor.at[k];
            product += h.at[k] * factor.at[k] * ((v.at[k] - mean) * rstd);
        }
    });
    sum = pr_block_sum<ROW_THREADS>(sum) / (float)d;
    product = pr_block_sum<ROW_THREADS>(product) / (float)d;
    each_column<WIDTH>(d, [&](int64_t i) {
        pr_pack<WIDTH> h = pr_read_pack<WIDTH>(dy + at + i), v = pr_read_pack<WIDTH>(s + at + i),
                       factor = pr_read_pack<WIDTH>(gamma + i);
        for (int k = 0; k < WIDTH; k++) {
            float xhat = (v.at[k] - mean) * rstd;
            h.at[k] = rstd * (h.at[k] * factor.at[k] - sum - xhat * product);
        }
        if (ds) pr_write_pack(ds + at + i, h);
        drop(m, mask, i, h);
        pr_write_pack(dz + at + i, h);
    });
}

static pr_masks masks_of(const pr_call *c, int rng) {
    return {c->attr.site, pr_words(c->in[rng]), c->training ? c->attr.f[0] : 0.0f};
}

extern "C" pr_status pr_residual_norm_cuda(const pr_call *c) {
    int64_t rows = c->in[X].shape.dim[0], d = c->in[X].shape.dim[1];
    made out = {pr_floats(c->out[0]), pr_floats(c->out[1]), pr_floats(c->out[2]),
                pr_floats(c->out[3])};
    pr_sentences s = {pr_integers(c->in[OFFSETS]), pr_live(c),
                      pr_fault_of(c, PR_OFFSETS_ENDS("residual_norm")),
                      pr_fault_of(c, PR_OFFSETS_EMPTY("residual_norm"))};
    return pr_launch_blocks(c, d % PR_DRAWN ? residual_norm<1> : residual_norm<PR_DRAWN>, rows,
                            ROW_THREADS, 0, pr_floats(c->in[X]), pr_floats(c->in[Z]),
                            pr_floats(c->in[GAMMA]), pr_floats(c->in[BETA]), out, c->attr.f[1], d,
                            masks_of(c, RNG), s);
}

extern "C" pr_status pr_residual_norm_grad_cuda(const pr_call *c) {
    int64_t rows = c->in[DY].shape.dim[0], d = c->in[DY].shape.dim[1];
    pr_sentences s = {pr_integers(c->in[GRAD_OFFSETS]), pr_live(c),
                      pr_fault_of(c, PR_OFFSETS_ENDS("residual_norm_grad")),
                      pr_fault_of(c, PR_OFFSETS_EMPTY("residual_norm_grad"))};
    return pr_launch_blocks(c, d % PR_DRAWN ? residual_norm_grad<1> : residual_norm_grad<PR_DRAWN>,
                            rows, ROW_THREADS, 0, pr_floats(c->in[DY]), pr_floats(c->in[GRAD_S]),
                            pr_floats(c->in[GRAD_MEAN]), pr_floats(c->in[GRAD_RSTD]),
                            pr_floats(c->in[GRAD_GAMMA]), pr_floats(c->out[0]),
                            pr_floats(c->out[1]), d, masks_of(c, GRAD_RNG), s);
}
