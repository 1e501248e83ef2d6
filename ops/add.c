/* add: y = a + b, all of one shape.
 * Gradient: da = db = dy; reads nothing.
 * in: a, b. */
#include "backends/simd.h"
#include "ops/cuda.h"
#include "ops/kernel.h"
#include "ops/ops.h"
#include "ops/rule.h"
#include "ops/table.h"

PR_VECTOR static void add_range(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    const float *a = c->in[0].data, *b = c->in[1].data;
    float *y = c->out[0].data;
#pragma omp simd
    for (int64_t i = begin; i < end; i++)
        y[i] = a[i] + b[i];
}

static pr_status add_cpu(const pr_call *c) {
    pr_each_element(c, add_range);
    return PR_OK;
}

static void vjp(pr_graph *g, const pr_node *n, const pr_tid *dy, unsigned need, pr_tid *dx) {
    (void)g;
    (void)n;
    for (int k = 0; k < 2; k++) {
        if (need >> k & 1u) dx[k] = dy[0];
    }
}

const pr_op pr_op_add = {
    .name = "add",
    .n_in = 2,
    .n_out = 1,
    .inplace = 3,
    .by_row = 3,
    .accumulate = -1,
    .infer = pr_rule_elementwise,
    .vjp = vjp,
    .kernel = {[PR_CPU] = add_cpu, [PR_CUDA] = PR_ON_CUDA(pr_add_cuda)},
};

pr_tid pr_add(pr_graph *g, pr_tid a, pr_tid b) {
    return pr_graph_node(g, &pr_op_add, (pr_tid[]){a, b}, (pr_attr){0}, NULL);
}
