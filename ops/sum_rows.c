/* sum_rows: y = the sum of x's rows + onto; x (M, N), onto and y (N). Rows are summed in blocks of
 * 64, the blocks in order. What bias gradients are made of; it has no gradient of its own.
 * in: x, onto. */
#include "backends/simd.h"
#include "ops/cuda.h"
#include "ops/kernel.h"
#include "ops/ops.h"
#include "ops/rule.h"
#include "ops/table.h"

enum { X, ONTO, INPUTS };

static pr_status infer(pr_infer *c) {
    if (!pr_rule_rank(c, X, "x", PR_F32, 2)) return PR_BAD_GRAPH;
    pr_shape row = pr_shape_1(c->in[X].dim[1]);
    if (c->has[ONTO] && !pr_rule_shape(c, ONTO, "onto", PR_F32, row)) return PR_BAD_GRAPH;
    pr_rule_output(c, 0, PR_F32, row);
    return PR_OK;
}

PR_VECTOR static void sum_row_tiles(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    const float *x = c->in[X].data;       /* (M, N) */
    const float *onto = c->in[ONTO].data; /* (N) or NULL */
    float *y = c->out[0].data;            /* (N) */
    int64_t rows = c->in[X].shape.dim[0], columns = c->in[X].shape.dim[1];
    for (int64_t tile = begin; tile < end; tile++) {
        int64_t from = tile * PR_TILE_COLUMNS;
        int64_t n = columns - from < PR_TILE_COLUMNS ? columns - from : PR_TILE_COLUMNS;
        float total[PR_TILE_COLUMNS] = {0};
        for (int64_t block = 0; block < rows; block += PR_BLOCK_ROWS) {
            int64_t last = block + PR_BLOCK_ROWS < rows ? block + PR_BLOCK_ROWS : rows;
            float part[PR_TILE_COLUMNS] = {0};
            for (int64_t row = block; row < last; row++) {
                const float *x_row = x + row * columns + from;
#pragma omp simd
                for (int64_t i = 0; i < n; i++)
                    part[i] += x_row[i];
            }
            for (int64_t i = 0; i < n; i++)
                total[i] += part[i];
        }
        for (int64_t i = 0; i < n; i++)
            y[from + i] = onto ? onto[from + i] + total[i] : total[i];
    }
}

static pr_status sum_rows_cpu(const pr_call *c) {
    int64_t rows = c->in[X].shape.dim[0], columns = c->in[X].shape.dim[1];
    pr_each_item(c, pr_tiles(columns), rows * PR_TILE_COLUMNS, sum_row_tiles);
    return PR_OK;
}

const pr_op pr_op_sum_rows = {
    .name = "sum_rows",
    .n_in = INPUTS,
    .n_out = 1,
    .optional_in = 1u << ONTO,
    .inplace = 1u << ONTO,
    .accumulate = ONTO,
    .flags = PR_OP_NO_GRADIENT,
    .infer = infer,
    .kernel = {[PR_CPU] = sum_rows_cpu, [PR_CUDA] = PR_ON_CUDA(pr_sum_rows_cuda)},
};

pr_tid pr_sum_rows(pr_graph *g, pr_tid x, pr_tid onto) {
    return pr_graph_node(g, &pr_op_sum_rows, (pr_tid[INPUTS]){x, onto}, (pr_attr){0}, NULL);
}
