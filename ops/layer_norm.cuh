/* layer_norm and its gradient on one row, for the kernels on a GPU of all ops that have it in them:
 * a block for each row (layer_norm.c has the formulas). Rows are (d). */
#ifndef PR_LAYER_NORM_CUH
#define PR_LAYER_NORM_CUH

#include "backends/kernel.cuh"

/* A thread has PR_NORM_COLUMNS neighbours at a time: one round of a block's loads is then most
 * models' row. */
enum { PR_NORM_THREADS = 128, PR_NORM_COLUMNS = 4 };

/* Calls body(column) for every WIDTH of this thread's columns. They are the same ones each time, so
 * that a thread reads what it wrote. */
template <int WIDTH, class Body>
static __device__ inline void pr_each_column(int64_t d, Body body) {
    for (int64_t from = PR_NORM_COLUMNS * threadIdx.x; from < d;
         from += PR_NORM_COLUMNS * PR_NORM_THREADS) {
#pragma unroll
        for (int i = 0; i < PR_NORM_COLUMNS; i += WIDTH) {
            if (from + i < d) body(from + i);
        }
    }
}

/* y of x, in which this thread's columns add up to `sum`; y may be x. mean and rstd: of the row,
 * where they are not NULL. */
template <int WIDTH>
static __device__ inline void pr_norm_row(const float *x, float sum, const float *gamma,
                                          const float *beta, float epsilon, int64_t d, float *y,
                                          float *mean_of, float *rstd_of) {
    float squares = 0.0f, mean = pr_block_sum<PR_NORM_THREADS>(sum) / (float)d;
    pr_each_column<WIDTH>(d, [&](int64_t i) {
        pr_pack<WIDTH> v = pr_read_pack<WIDTH>(x + i);
        for (int k = 0; k < WIDTH; k++)
            squares += (v.at[k] - mean) * (v.at[k] - mean);
    });
    float rstd = 1.0f / sqrtf(pr_block_sum<PR_NORM_THREADS>(squares) / (float)d + epsilon);
    pr_each_column<WIDTH>(d, [&](int64_t i) {
        pr_pack<WIDTH> v = pr_read_pack<WIDTH>(x + i), factor = pr_read_pack<WIDTH>(gamma + i),
                       shift = pr_read_pack<WIDTH>(beta + i);
        for (int k = 0; k < WIDTH; k++)
            v.at[k] = (v.at[k] - mean) * rstd * factor.at[k] + shift.at[k];
        pr_write_pack(y + i, v);
    });
    if (threadIdx.x != 0) return;
    if (mean_of) *mean_of = mean;
    if (rstd_of) *rstd_of = rstd;
}

/* Calls write(column, dx) for every WIDTH of this thread's columns, which no thread reads again. */
template <int WIDTH, class Write>
static __device__ inline void pr_norm_grad_row(const float *dy, const float *x, float mean,
                                               float rstd, const float *gamma, int64_t d,
                                               Write write) {
    float sum = 0.0f, product = 0.0f;
    pr_each_column<WIDTH>(d, [&](int64_t i) {
        pr_pack<WIDTH> h = pr_read_pack<WIDTH>(dy + i), v = pr_read_pack<WIDTH>(x + i),
                       factor = pr_read_pack<WIDTH>(gamma + i);
        for (int k = 0; k < WIDTH; k++) {
            sum += h.at[k] * factor.at[k];
            product += h.at[k] * factor.at[k] * ((v.at[k] - mean) * rstd);
        }
    });
    sum = pr_block_sum<PR_NORM_THREADS>(sum) / (float)d;
    product = pr_block_sum<PR_NORM_THREADS>(product) / (float)d;
    pr_each_column<WIDTH>(d, [&](int64_t i) {
        pr_pack<WIDTH> h = pr_read_pack<WIDTH>(dy + i), v = pr_read_pack<WIDTH>(x + i),
                       factor = pr_read_pack<WIDTH>(gamma + i);
        for (int k = 0; k < WIDTH; k++) {
            float xhat = (v.at[k] - mean) * rstd;
            h.at[k] = rstd * (h.at[k] * factor.at[k] - sum - xhat * product);
        }
        write(i, h);
    });
}

#endif
