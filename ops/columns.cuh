/* Sums over the rows of matrices on a GPU: a block for a few columns, whose threads share the rows.
 * Eight floats of a row are the least that memory hands out, so that narrow tiles waste nothing
 * and even 384 columns occupy many multiprocessors. */
#ifndef PR_COLUMNS_CUH
#define PR_COLUMNS_CUH

#include "backends/kernel.cuh"

enum {
    PR_SUM_COLUMNS = 8,
    PR_SUM_THREADS = 1024,
    PR_SUM_ROWS = PR_SUM_THREADS / PR_SUM_COLUMNS /* that are read at once */
};

static inline int64_t pr_column_blocks(int64_t columns) {
    return (columns + PR_SUM_COLUMNS - 1) / PR_SUM_COLUMNS;
}

/* The column whose sum this thread's warp gets; it may lie past the last. -1: its warp gets none.
 */
static __device__ inline int64_t pr_summed_column(void) {
    int warp = threadIdx.x / PR_WARP;
    return warp < PR_SUM_COLUMNS ? (int64_t)blockIdx.x * PR_SUM_COLUMNS + warp : -1;
}

/* The sum of term(row, column) over rows, of the column that pr_summed_column says. All of a block
 * of PR_SUM_THREADS call it, once. The order of additions is the number of rows' alone. */
template <class Term>
static __device__ inline float pr_column_sum(int64_t rows, int64_t columns, Term term) {
    enum { WARPS = PR_SUM_THREADS / PR_WARP };
    __shared__ float part[PR_SUM_COLUMNS][WARPS + 1]; /* one more: no two of a column's in a bank */
    int own = threadIdx.x % PR_SUM_COLUMNS, warp = threadIdx.x / PR_WARP;
    int lane = threadIdx.x % PR_WARP;
    int64_t column = (int64_t)blockIdx.x * PR_SUM_COLUMNS + own;
    float sum = 0.0f;
    if (column < columns) {
#pragma unroll 4
        for (int64_t row = threadIdx.x / PR_SUM_COLUMNS; row < rows; row += PR_SUM_ROWS)
            sum += term(row, column);
    }
    for (int distance = PR_WARP / 2; distance >= PR_SUM_COLUMNS; distance /= 2)
        sum += __shfl_xor_sync(0xffffffffu, sum, distance);
    if (lane < PR_SUM_COLUMNS) part[own][warp] = sum;
    __syncthreads();
    return warp < PR_SUM_COLUMNS ? pr_warp_sum(part[warp][lane]) : 0.0f;
}

#endif
