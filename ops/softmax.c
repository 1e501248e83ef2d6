/* softmax: y = e^(x - m) / sum of e^(x - m) over each row of x (N, C), m the row's largest.
 * Gradient: dx = y (dy - sum of dy y over the row); reads y.
 * softmax in: x. softmax_grad in: dy, y. */
#include "backends/simd.h"
#include "ops/cuda.h"
#include "ops/kernel.h"
#include "ops/ops.h"
#include "ops/ops_grad.h"
#include "ops/rule.h"
#include "ops/table.h"

static pr_status infer(pr_infer *c) {
    if (!pr_rule_rank(c, 0, "x", PR_F32, 2)) return PR_BAD_GRAPH;
    return pr_rule_elementwise(c);
}

PR_VECTOR static void softmax_rows(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    int64_t n = c->in[0].shape.dim[1];
    for (int64_t row = begin; row < end; row++) {
        const float *x = (const float *)c->in[0].data + row * n; /* (N, C) */
        float *y = (float *)c->out[0].data + row * n;            /* (N, C) */
        float most = x[0], sum = 0.0f;
        for (int64_t i = 1; i < n; i++)
            most = x[i] > most ? x[i] : most;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < n; i++) {
            float e = pr_expf(x[i] - most);
            y[i] = e;
            sum += e;
        }
        float scale = 1.0f / sum;
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            y[i] *= scale;
    }
}

static pr_status softmax_cpu(const pr_call *c) {
    pr_each_item(c, c->in[0].shape.dim[0], c->in[0].shape.dim[1], softmax_rows);
    return PR_OK;
}

PR_VECTOR static void softmax_grad_rows(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    int64_t n = c->in[0].shape.dim[1];
    for (int64_t row = begin; row < end; row++) {
        const float *dy = (const float *)c->in[0].data + row * n; /* (N, C) */
        const float *y = (const float *)c->in[1].data + row * n;  /* (N, C) */
        float *dx = (float *)c->out[0].data + row * n;            /* (N, C) */
        float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < n; i++)
            sum += dy[i] * y[i];
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            dx[i] = y[i] * (dy[i] - sum);
    }
}

static pr_status softmax_grad_cpu(const pr_call *c) {
    pr_each_item(c, c->in[0].shape.dim[0], c->in[0].shape.dim[1], softmax_grad_rows);
    return PR_OK;
}

static void vjp(pr_graph *g, const pr_node *n, const pr_tid *dy, unsigned need, pr_tid *dx) {
    if (need & 1u) dx[0] = pr_softmax_grad(g, dy[0], n->out[0]);
}

const pr_op pr_op_softmax = {
    .name = "softmax",
    .n_in = 1,
    .n_out = 1,
    .inplace = 1,
    .by_row = 1,
    .accumulate = -1,
    .infer = infer,
    .vjp = vjp,
    .kernel = {[PR_CPU] = softmax_cpu, [PR_CUDA] = PR_ON_CUDA(pr_softmax_cuda)},
};

const pr_op pr_op_softmax_grad = {
    .name = "softmax_grad",
    .n_in = 2,
    .n_out = 1,
    .inplace = 3,
    .accumulate = -1,
    .flags = PR_OP_NO_GRADIENT,
    .infer = infer,
    .kernel = {[PR_CPU] = softmax_grad_cpu, [PR_CUDA] = PR_ON_CUDA(pr_softmax_grad_cuda)},
};

pr_tid pr_softmax(pr_graph *g, pr_tid x) {
    return pr_graph_node(g, &pr_op_softmax, &x, (pr_attr){0}, NULL);
}

pr_tid pr_softmax_grad(pr_graph *g, pr_tid dy, pr_tid y) {
    return pr_graph_node(g, &pr_op_softmax_grad, (pr_tid[]){dy, y}, (pr_attr){0}, NULL);
}
