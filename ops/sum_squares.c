/* sum_squares: y = total + the sum of x^2, f64 (1); x f32 of any shape. Where x is a sparse
 * gradient only the rows it holds count. Blocks of 16384 elements are summed in double and then
 * added in order. The gradients' norm: it has no gradient of its own.
 * in: x, total f64 (1), count i32 (1) of a sparse x. */
#include "backends/simd.h"
#include "ops/cuda.h"
#include "ops/kernel.h"
#include "ops/ops.h"
#include "ops/ops_grad.h"
#include "ops/rule.h"
#include "ops/table.h"

enum { X, TOTAL, COUNT, INPUTS };
enum { BLOCK = 16384 };

static pr_status infer(pr_infer *c) {
    pr_shape one = pr_shape_1(1);
    if (!pr_rule_shape(c, X, "x", PR_F32, c->in[X])) return PR_BAD_GRAPH;
    if (c->has[TOTAL] && !pr_rule_shape(c, TOTAL, "the total", PR_F64, one)) return PR_BAD_GRAPH;
    if (c->has[COUNT] &&
        (!pr_rule_rank(c, X, "x", PR_F32, 2) || !pr_rule_shape(c, COUNT, "count", PR_I32, one))) {
        return PR_BAD_GRAPH;
    }
    pr_rule_output(c, 0, PR_F64, one);
    return PR_OK;
}

static int64_t blocks_of(int64_t n) {
    return n / BLOCK + (n % BLOCK != 0);
}

/* A double for each block. */
static size_t workspace(const pr_call *c) {
    return (size_t)blocks_of(pr_elements(c->in[X])) * sizeof(double);
}

/* Elements that count. */
static int64_t length(const pr_call *c) {
    const int32_t *count = c->in[COUNT].data;
    return count ? c->in[X].shape.dim[1] * *count : pr_elements(c->in[X]);
}

PR_VECTOR static void square_blocks(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    const float *x = c->in[X].data;
    double *part = c->workspace; /* (blocks) */
    int64_t n = length(c);
    for (int64_t block = begin; block < end; block++) {
        int64_t from = block * BLOCK, to = from + BLOCK < n ? from + BLOCK : n;
        double sum = 0.0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = from; i < to; i++)
            sum += (double)x[i] * (double)x[i];
        part[block] = sum;
    }
}

static pr_status sum_squares_cpu(const pr_call *c) {
    const double *part = c->workspace, *total = c->in[TOTAL].data;
    int64_t blocks = blocks_of(length(c));
    pr_each_item(c, blocks, BLOCK, square_blocks);
    double sum = total ? *total : 0.0;
    for (int64_t i = 0; i < blocks; i++)
        sum += part[i];
    *(double *)c->out[0].data = sum;
    return PR_OK;
}

const pr_op pr_op_sum_squares = {
    .name = "sum_squares",
    .n_in = INPUTS,
    .n_out = 1,
    .optional_in = 1u << TOTAL | 1u << COUNT,
    .inplace = 1u << TOTAL,
    .accumulate = TOTAL,
    .flags = PR_OP_NO_GRADIENT,
    .infer = infer,
    .workspace = {[PR_CPU] = workspace, [PR_CUDA] = PR_ON_CUDA(pr_sum_squares_cuda_workspace)},
    .kernel = {[PR_CPU] = sum_squares_cpu, [PR_CUDA] = PR_ON_CUDA(pr_sum_squares_cuda)},
    .many = {[PR_CUDA] = PR_ON_CUDA(pr_sum_squares_cuda_many)},
};

pr_tid pr_sum_squares(pr_graph *g, pr_tid x, pr_tid total) {
    const pr_tid in[INPUTS] = {x, total, pr_sparse_count(g, x)};
    return pr_graph_node(g, &pr_op_sum_squares, in, (pr_attr){0}, NULL);
}
