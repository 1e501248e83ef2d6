/* gelu: y = x Phi(x), Phi(x) = (1 + erf(x / sqrt 2)) / 2.
 * Gradient: dx = dy (Phi(x) + x phi(x)), phi(x) = exp(-x^2 / 2) / sqrt(2 pi); reads x.
 * gelu in: x. gelu_grad in: dy, x. All of one shape. */
#include "backends/simd.h"
#include "ops/cuda.h"
#include "ops/kernel.h"
#include "ops/ops.h"
#include "ops/ops_grad.h"
#include "ops/rule.h"
#include "ops/table.h"

static inline float normal_distribution(float x) {
    return 0.5f * (1.0f + pr_erff(x * 0.70710678118654752f));
}

static inline float normal_density(float x) {
    return 0.39894228040143268f * pr_expf(-0.5f * x * x);
}

PR_VECTOR static void gelu_range(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    const float *x = c->in[0].data;
    float *y = c->out[0].data;
#pragma omp simd
    for (int64_t i = begin; i < end; i++)
        y[i] = x[i] * normal_distribution(x[i]);
}

static pr_status gelu_cpu(const pr_call *c) {
    pr_each_element(c, gelu_range);
    return PR_OK;
}

PR_VECTOR static void gelu_grad_range(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    const float *dy = c->in[0].data, *x = c->in[1].data;
    float *dx = c->out[0].data;
#pragma omp simd
    for (int64_t i = begin; i < end; i++)
        dx[i] = dy[i] * (normal_distribution(x[i]) + x[i] * normal_density(x[i]));
}

static pr_status gelu_grad_cpu(const pr_call *c) {
    pr_each_element(c, gelu_grad_range);
    return PR_OK;
}

static void vjp(pr_graph *g, const pr_node *n, const pr_tid *dy, unsigned need, pr_tid *dx) {
    if (need & 1u) dx[0] = pr_gelu_grad(g, dy[0], n->in[0]);
}

const pr_op pr_op_gelu = {
    .name = "gelu",
    .n_in = 1,
    .n_out = 1,
    .inplace = 1,
    .by_row = 1,
    .accumulate = -1,
    .flags = PR_OP_CHEAP,
    .infer = pr_rule_elementwise,
    .vjp = vjp,
    .kernel = {[PR_CPU] = gelu_cpu, [PR_CUDA] = PR_ON_CUDA(pr_gelu_cuda)},
};

const pr_op pr_op_gelu_grad = {
    .name = "gelu_grad",
    .n_in = 2,
    .n_out = 1,
    .inplace = 3,
    .accumulate = -1,
    .flags = PR_OP_NO_GRADIENT,
    .infer = pr_rule_elementwise,
    .kernel = {[PR_CPU] = gelu_grad_cpu, [PR_CUDA] = PR_ON_CUDA(pr_gelu_grad_cuda)},
};

pr_tid pr_gelu(pr_graph *g, pr_tid x) {
    return pr_graph_node(g, &pr_op_gelu, &x, (pr_attr){0}, NULL);
}

pr_tid pr_gelu_grad(pr_graph *g, pr_tid dy, pr_tid x) {
    return pr_graph_node(g, &pr_op_gelu_grad, (pr_tid[]){dy, x}, (pr_attr){0}, NULL);
}
