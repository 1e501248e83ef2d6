/* residual_norm and its gradient on a GPU (residual_norm.c has the formulas): a block for each row,
 * whose threads have fours of columns that share a draw. */
#include "ops/cuda.h"
#include "ops/dropout.cuh"
#include "ops/layer_norm.cuh"

enum { X, Z, GAMMA, BETA, RNG, OFFSETS };
enum { DY, GRAD_S, GRAD_MEAN, GRAD_RSTD, GRAD_GAMMA, GRAD_RNG, GRAD_OFFSETS };
static_assert((int)PR_NORM_COLUMNS == (int)PR_DRAWN, "a thread's columns share a draw");

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
    float *y = out.y + at, *s = out.s ? out.s + at : y, sum = 0.0f;
    pr_each_column<WIDTH>(d, [&](int64_t i) {
        pr_pack<WIDTH> v = pr_read_pack<WIDTH>(z + at + i), to = pr_read_pack<WIDTH>(x + at + i);
        drop(m, mask, i, v);
        for (int k = 0; k < WIDTH; k++) {
            v.at[k] += to.at[k];
            sum += v.at[k];
        }
        pr_write_pack(s + i, v);
    });
    pr_norm_row<WIDTH>(s, sum, gamma, beta, epsilon, d, y, out.means ? out.means + row : nullptr,
                       out.rstds ? out.rstds + row : nullptr);
}

/* dy, s, dz, ds (N, d); dz may be dy or s, ds NULL; means, rstds (N); gamma (d). */
template <int WIDTH>
static __global__ void residual_norm_grad(const float *dy, const float *s, const float *means,
                                          const float *rstds, const float *gamma, float *dz,
                                          float *ds, int64_t d, pr_masks m,
                                          pr_sentences sentences) {
    pr_row_masks mask = begin_row(m, sentences);
    int64_t row = blockIdx.x, at = row * d;
    pr_norm_grad_row<WIDTH>(dy + at, s + at, means[row], rstds[row], gamma, d,
                            [&](int64_t i, pr_pack<WIDTH> h) {
                                if (ds) pr_write_pack(ds + at + i, h);
                                drop(m, mask, i, h);
                                pr_write_pack(dz + at + i, h);
                            });
}

extern "C" pr_status pr_residual_norm_cuda(const pr_call *c) {
    int64_t rows = c->in[X].shape.dim[0], d = c->in[X].shape.dim[1];
    made out = {pr_floats(c->out[0]), pr_floats(c->out[1]), pr_floats(c->out[2]),
                pr_floats(c->out[3])};
    pr_sentences s = {pr_integers(c->in[OFFSETS]), pr_live(c),
                      pr_fault_of(c, PR_OFFSETS_ENDS("residual_norm")),
                      pr_fault_of(c, PR_OFFSETS_EMPTY("residual_norm"))};
    return pr_launch_blocks(c, d % PR_DRAWN ? residual_norm<1> : residual_norm<PR_DRAWN>, rows,
                            PR_NORM_THREADS, 0, pr_floats(c->in[X]), pr_floats(c->in[Z]),
                            pr_floats(c->in[GAMMA]), pr_floats(c->in[BETA]), out, c->attr.f[1], d,
                            pr_masks_of_call(c, RNG), s);
}

extern "C" pr_status pr_residual_norm_grad_cuda(const pr_call *c) {
    int64_t rows = c->in[DY].shape.dim[0], d = c->in[DY].shape.dim[1];
    pr_sentences s = {pr_integers(c->in[GRAD_OFFSETS]), pr_live(c),
                      pr_fault_of(c, PR_OFFSETS_ENDS("residual_norm_grad")),
                      pr_fault_of(c, PR_OFFSETS_EMPTY("residual_norm_grad"))};
    return pr_launch_blocks(
        c, d % PR_DRAWN ? residual_norm_grad<1> : residual_norm_grad<PR_DRAWN>, rows,
        PR_NORM_THREADS, 0, pr_floats(c->in[DY]), pr_floats(c->in[GRAD_S]),
        pr_floats(c->in[GRAD_MEAN]), pr_floats(c->in[GRAD_RSTD]), pr_floats(c->in[GRAD_GAMMA]),
        pr_floats(c->out[0]), pr_floats(c->out[1]), d, pr_masks_of_call(c, GRAD_RNG), s);
}
