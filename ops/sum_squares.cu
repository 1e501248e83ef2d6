/* sum_squares on a GPU (sum_squares.c has the formula). The gradients' norm is a chain of a hundred
 * calls or more, so tens of them share a launch: one of blocks that square and sum a stretch of one
 * tensor each, and one of a single block that adds up. A call alone is a chain of one, which gives
 * the same bits. */
#include "backends/kernel.cuh"
#include "ops/cuda.h"

enum { X, TOTAL, COUNT };
/* Elements of a stretch; tensors of a launch. */
enum { STRETCH = 16384, MOST_SQUARED = 96, MOST_ADDED = 120 };
enum { ADDERS = 1024 };

struct squared {
    const float *x;
    double *part;         /* (stretches), the call's workspace */
    const int32_t *count; /* rows of a sparse x, or NULL */
    int64_t n;            /* elements */
    int32_t width, first; /* elements of a row of a sparse x; the first block of the grid */
};

struct squared_list {
    squared of[MOST_SQUARED];
    int64_t blocks;
    int32_t n;
};
static_assert(sizeof(squared_list) <= PR_ARGUMENT_BYTES, "a launch takes it");

struct added {
    const double *part;
    const double *total; /* NULL: none */
    double *out;
    int32_t parts;
    bool follows; /* total is the last one's out */
};

struct added_list {
    added of[MOST_ADDED];
    int32_t n;
};
static_assert(sizeof(added_list) <= PR_ARGUMENT_BYTES, "a launch takes it");

/* A tensor without elements has no block: the next begins where it does. */
static __global__ void square(squared_list list) {
    int block = blockIdx.x;
    const squared s =
        list.of[pr_find_last(list.n, [&](int i) { return list.of[i].first <= block; })];
    int64_t stretch = block - s.first, from = stretch * STRETCH, to = from + STRETCH;
    int64_t n = s.count ? (int64_t)s.width * *s.count : s.n;
    if (to > n) to = n;
    double sum = 0.0;
#pragma unroll 8
    for (int64_t i = from + threadIdx.x; i < to; i += PR_BLOCK)
        sum += (double)s.x[i] * (double)s.x[i];
    sum = pr_block_sum<PR_BLOCK>(sum);
    if (threadIdx.x == 0) s.part[stretch] = sum;
}

/* By one block: a warp for the parts of each tensor, then a thread for the chain. */
static __global__ void __launch_bounds__(ADDERS) add_up(added_list list) {
    __shared__ double sums[MOST_ADDED];
    int lane = threadIdx.x % PR_WARP;
    for (int t = threadIdx.x / PR_WARP; t < list.n; t += ADDERS / PR_WARP) {
        double sum = 0.0;
        for (int i = lane; i < list.of[t].parts; i += PR_WARP)
            sum += list.of[t].part[i];
        sum = pr_warp_sum(sum);
        if (lane == 0) sums[t] = sum;
    }
    __syncthreads();
    if (threadIdx.x != 0) return;
    double total = 0.0;
    for (int t = 0; t < list.n; t++) {
        const double *before = list.of[t].total;
        if (!list.of[t].follows) total = before ? *before : 0.0;
        total += sums[t];
        *list.of[t].out = total;
    }
}

static int64_t stretches(const pr_call *c) {
    return (pr_size(c->in[X]) + STRETCH - 1) / STRETCH;
}

extern "C" size_t pr_sum_squares_cuda_workspace(const pr_call *c) {
    return (size_t)stretches(c) * sizeof(double);
}

static pr_status square_all(const pr_call *const *calls, int n) {
    squared_list list = {};
    for (int i = 0; i < n; i++) {
        const pr_call *c = calls[i];
        squared *s = &list.of[list.n++];
        s->x = pr_floats(c->in[X]);
        s->part = (double *)c->workspace;
        s->count = pr_integers(c->in[COUNT]);
        s->n = pr_size(c->in[X]);
        s->width = s->count ? (int32_t)c->in[X].shape.dim[1] : 0;
        s->first = (int32_t)list.blocks; /* what does not fit makes a grid that is refused */
        list.blocks += stretches(c);
    }
    return pr_launch_blocks(calls[0], square, list.blocks, PR_BLOCK, 0, list);
}

static pr_status add_up_all(const pr_call *const *calls, int n) {
    added_list list = {};
    for (int i = 0; i < n; i++) {
        const pr_call *c = calls[i];
        added *a = &list.of[list.n++];
        a->part = (const double *)c->workspace;
        a->parts = (int32_t)stretches(c);
        a->total = (const double *)c->in[TOTAL].data;
        a->out = (double *)c->out[0].data;
        a->follows = i > 0 && a->total == calls[i - 1]->out[0].data;
    }
    return pr_launch_blocks(calls[0], add_up, 1, ADDERS, 0, list);
}

static int fewer(int a, int b) {
    return a < b ? a : b;
}

extern "C" pr_status pr_sum_squares_cuda_many(const pr_call *const *calls, int n) {
    pr_status status = PR_OK;
    for (int i = 0; i < n && status == PR_OK; i += MOST_SQUARED)
        status = square_all(calls + i, fewer(n - i, MOST_SQUARED));
    for (int i = 0; i < n && status == PR_OK; i += MOST_ADDED)
        status = add_up_all(calls + i, fewer(n - i, MOST_ADDED));
    return status;
}

extern "C" pr_status pr_sum_squares_cuda(const pr_call *c) {
    return pr_sum_squares_cuda_many(&c, 1);
}
