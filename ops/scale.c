/* scale: y = factor x.
 * Gradient: dx = factor dy; reads nothing.
 * in: x. attr: f[0] factor. */
#include "backends/simd.h"
#include "ops/cuda.h"
#include "ops/kernel.h"
#include "ops/ops.h"
#include "ops/rule.h"
#include "ops/table.h"

PR_VECTOR static void scale_range(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    const float *x = c->in[0].data, factor = c->attr.f[0];
    float *y = c->out[0].data;
#pragma omp simd
    for (int64_t i = begin; i < end; i++)
        y[i] = factor * x[i];
}

static pr_status scale_cpu(const pr_call *c) {
    pr_each_element(c, scale_range);
    return PR_OK;
}

static void vjp(pr_graph *g, const pr_node *n, const pr_tid *dy, unsigned need, pr_tid *dx) {
    if (need & 1u) dx[0] = pr_scale(g, dy[0], n->attr.f[0]);
}

const pr_op pr_op_scale = {
    .name = "scale",
    .n_in = 1,
    .n_out = 1,
    .inplace = 1,
    .by_row = 1,
    .accumulate = -1,
    .infer = pr_rule_elementwise,
    .vjp = vjp,
    .kernel = {[PR_CPU] = scale_cpu, [PR_CUDA] = PR_ON_CUDA(pr_scale_cuda)},
};

pr_tid pr_scale(pr_graph *g, pr_tid x, float factor) {
    return pr_graph_node(g, &pr_op_scale, &x, (pr_attr){.f = {factor}}, NULL);
}
