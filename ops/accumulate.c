/* accumulate: total += x, or total = x where the clock is at the batch's first sentence, clock[2] =
 * 0: how the gradients of a batch that is run in parts come together. total is a state beside a
 * parameter, and no part's values need be known for it to begin with.
 * It has no gradient and no output: it serves updates.
 * in: total, x, of one shape; clock u64 (3). */
#include <string.h>

#include "backends/simd.h"
#include "ops/cuda.h"
#include "ops/kernel.h"
#include "ops/ops.h"
#include "ops/rule.h"
#include "ops/table.h"

enum { TOTAL, X, CLOCK, INPUTS };

static pr_status infer(pr_infer *c) {
    if (!pr_rule_shape(c, X, "x", PR_F32, c->in[TOTAL]) ||
        !pr_rule_shape(c, CLOCK, "the clock", PR_U64, pr_shape_1(3))) {
        return PR_BAD_GRAPH;
    }
    return PR_OK;
}

PR_VECTOR static void add_onto_total(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    const float *x = c->in[X].data;
    float *total = c->in[TOTAL].data;
    if (((const uint64_t *)c->in[CLOCK].data)[2] == 0) {
        memcpy(total + begin, x + begin, (size_t)(end - begin) * sizeof *x);
        return;
    }
#pragma omp simd
    for (int64_t i = begin; i < end; i++)
        total[i] += x[i];
}

static pr_status accumulate_cpu(const pr_call *c) {
    pr_each_item(c, pr_elements(c->in[X]), 1, add_onto_total);
    return PR_OK;
}

const pr_op pr_op_accumulate = {
    .name = "accumulate",
    .n_in = INPUTS,
    .writes = 1u << TOTAL,
    .accumulate = -1,
    .flags = PR_OP_NO_GRADIENT,
    .infer = infer,
    .kernel = {[PR_CPU] = accumulate_cpu, [PR_CUDA] = PR_ON_CUDA(pr_accumulate_cuda)},
};

pr_tid pr_accumulate(pr_graph *g, pr_tid total, pr_tid x, pr_tid clock) {
    return pr_graph_node(g, &pr_op_accumulate, (pr_tid[INPUTS]){total, x, clock}, (pr_attr){0},
                         NULL);
}
