/* relu: y = max(x, 0); NaN stays NaN.
 * Gradient: dx = dy where y > 0, else 0; reads y, so that x may die in place.
 * relu in: x. relu_grad in: dy, y. All of one shape. */
#include "backends/simd.h"
#include "ops/cuda.h"
#include "ops/kernel.h"
#include "ops/ops.h"
#include "ops/ops_grad.h"
#include "ops/rule.h"
#include "ops/table.h"

PR_VECTOR static void relu_range(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    const float *x = c->in[0].data;
    float *y = c->out[0].data;
#pragma omp simd
    for (int64_t i = begin; i < end; i++)
        y[i] = x[i] < 0.0f ? 0.0f : x[i];
}

static pr_status relu_cpu(const pr_call *c) {
    pr_each_element(c, relu_range);
    return PR_OK;
}

PR_VECTOR static void relu_grad_range(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    const float *dy = c->in[0].data, *y = c->in[1].data;
    float *dx = c->out[0].data;
#pragma omp simd
    for (int64_t i = begin; i < end; i++)
        dx[i] = y[i] <= 0.0f ? 0.0f : dy[i];
}

static pr_status relu_grad_cpu(const pr_call *c) {
    pr_each_element(c, relu_grad_range);
    return PR_OK;
}

static void vjp(pr_graph *g, const pr_node *n, const pr_tid *dy, unsigned need, pr_tid *dx) {
    if (need & 1u) dx[0] = pr_relu_grad(g, dy[0], n->out[0]);
}

const pr_op pr_op_relu = {
    .name = "relu",
    .n_in = 1,
    .n_out = 1,
    .inplace = 1,
    .by_row = 1,
    .accumulate = -1,
    .infer = pr_rule_elementwise,
    .vjp = vjp,
    .kernel = {[PR_CPU] = relu_cpu, [PR_CUDA] = PR_ON_CUDA(pr_relu_cuda)},
};

const pr_op pr_op_relu_grad = {
    .name = "relu_grad",
    .n_in = 2,
    .n_out = 1,
    .inplace = 3,
    .accumulate = -1,
    .flags = PR_OP_NO_GRADIENT,
    .infer = pr_rule_elementwise,
    .kernel = {[PR_CPU] = relu_grad_cpu, [PR_CUDA] = PR_ON_CUDA(pr_relu_grad_cuda)},
};

pr_tid pr_relu(pr_graph *g, pr_tid x) {
    return pr_graph_node(g, &pr_op_relu, &x, (pr_attr){0}, NULL);
}

pr_tid pr_relu_grad(pr_graph *g, pr_tid dy, pr_tid y) {
    return pr_graph_node(g, &pr_op_relu_grad, (pr_tid[]){dy, y}, (pr_attr){0}, NULL);
}
