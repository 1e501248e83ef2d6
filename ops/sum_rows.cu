/* sum_rows on a GPU (sum_rows.c has the formula). */
#include "ops/columns.cuh"
#include "ops/cuda.h"

enum { X, ONTO };

/* x (rows, columns); onto, y (columns), which may be the same; onto may be NULL. */
static __global__ void __launch_bounds__(PR_SUM_THREADS)
    sum_rows(const float *x, const float *onto, float *y, int64_t rows, int64_t columns) {
    float sum = pr_column_sum(
        rows, columns, [=](int64_t row, int64_t column) { return x[row * columns + column]; });
    int64_t column = pr_summed_column();
    if (column < 0 || column >= columns || threadIdx.x % PR_WARP != 0) return;
    y[column] = onto ? onto[column] + sum : sum;
}

extern "C" pr_status pr_sum_rows_cuda(const pr_call *c) {
    int64_t rows = c->in[X].shape.dim[0], columns = c->in[X].shape.dim[1];
    return pr_launch_blocks(c, sum_rows, pr_column_blocks(columns), PR_SUM_THREADS, 0,
                            pr_floats(c->in[X]), pr_floats(c->in[ONTO]), pr_floats(c->out[0]), rows,
                            columns);
}
