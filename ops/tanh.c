/* tanh: y = tanh x.
 * Gradient: dx = dy (1 - y^2); reads y, so that x may die in place.
 * tanh in: x. tanh_grad in: dy, y. All of one shape. */
#include <math.h>

#include "backends/simd.h"
#include "ops/cuda.h"
#include "ops/kernel.h"
#include "ops/ops.h"
#include "ops/ops_grad.h"
#include "ops/rule.h"
#include "ops/table.h"

static void tanh_range(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    const float *x = c->in[0].data;
    float *y = c->out[0].data;
    for (int64_t i = begin; i < end; i++)
        y[i] = tanhf(x[i]); /* a row a sentence, in the pooler alone: not worth one of our own */
}

static pr_status tanh_cpu(const pr_call *c) {
    pr_each_element(c, tanh_range);
    return PR_OK;
}

PR_VECTOR static void tanh_grad_range(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    const float *dy = c->in[0].data, *y = c->in[1].data;
    float *dx = c->out[0].data;
#pragma omp simd
    for (int64_t i = begin; i < end; i++)
        dx[i] = dy[i] * (1.0f - y[i] * y[i]);
}

static pr_status tanh_grad_cpu(const pr_call *c) {
    pr_each_element(c, tanh_grad_range);
    return PR_OK;
}

static void vjp(pr_graph *g, const pr_node *n, const pr_tid *dy, unsigned need, pr_tid *dx) {
    if (need & 1u) dx[0] = pr_tanh_grad(g, dy[0], n->out[0]);
}

const pr_op pr_op_tanh = {
    .name = "tanh",
    .n_in = 1,
    .n_out = 1,
    .inplace = 1,
    .by_row = 1,
    .accumulate = -1,
    .infer = pr_rule_elementwise,
    .vjp = vjp,
    .kernel = {[PR_CPU] = tanh_cpu, [PR_CUDA] = PR_ON_CUDA(pr_tanh_cuda)},
};

const pr_op pr_op_tanh_grad = {
    .name = "tanh_grad",
    .n_in = 2,
    .n_out = 1,
    .inplace = 3,
    .accumulate = -1,
    .flags = PR_OP_NO_GRADIENT,
    .infer = pr_rule_elementwise,
    .kernel = {[PR_CPU] = tanh_grad_cpu, [PR_CUDA] = PR_ON_CUDA(pr_tanh_grad_cuda)},
};

pr_tid pr_tanh(pr_graph *g, pr_tid x) {
    return pr_graph_node(g, &pr_op_tanh, &x, (pr_attr){0}, NULL);
}

pr_tid pr_tanh_grad(pr_graph *g, pr_tid dy, pr_tid y) {
    return pr_graph_node(g, &pr_op_tanh_grad, (pr_tid[]){dy, y}, (pr_attr){0}, NULL);
}
