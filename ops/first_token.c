/* first_token: y = each sentence's first row; x (N, d), offsets i32 (B + 1), y (B, d).
 * Gradient: dx = dy at those rows, zero elsewhere; reads offsets.
 * first_token in: x, offsets. first_token_grad in: dy, offsets; attr: i[0] x's leading dimension,
 * a number or the name of a dynamic one. */
#include <string.h>

#include "ops/cuda.h"
#include "ops/kernel.h"
#include "ops/ops.h"
#include "ops/ops_grad.h"
#include "ops/rule.h"
#include "ops/table.h"

static pr_status infer(pr_infer *c) {
    if (!pr_rule_rank(c, 0, "x", PR_F32, 2) || !pr_rule_rank(c, 1, "offsets", PR_I32, 1)) {
        return PR_BAD_GRAPH;
    }
    pr_rule_output(c, 0, PR_F32, pr_shape_2(pr_rule_sentences(c->in[1]), c->in[0].dim[1]));
    return PR_OK;
}

static pr_status first_token_cpu(const pr_call *c) {
    const float *x = c->in[0].data;        /* (N, d) */
    const int32_t *offset = c->in[1].data; /* (B + 1) */
    float *y = c->out[0].data;             /* (B, d) */
    int64_t sentences = c->out[0].shape.dim[0], d = c->out[0].shape.dim[1];
    if (!pr_offsets_fit(c, "first_token", 1, c->in[0].shape.dim[0])) return PR_BAD_ARGUMENT;
    for (int64_t s = 0; s < sentences; s++)
        memcpy(y + s * d, x + offset[s] * d, (size_t)d * sizeof *y);
    return PR_OK;
}

static void vjp(pr_graph *g, const pr_node *n, const pr_tid *dy, unsigned need, pr_tid *dx) {
    int64_t rows = pr_graph_tensor(g, n->in[0])->shape.dim[0];
    if (need & 1u) dx[0] = pr_first_token_grad(g, dy[0], n->in[1], rows);
}

static pr_status grad_infer(pr_infer *c) {
    if (!pr_rule_rank(c, 1, "offsets", PR_I32, 1) || !pr_rule_rank(c, 0, "dy", PR_F32, 2)) {
        return PR_BAD_GRAPH;
    }
    pr_shape dy = pr_shape_2(pr_rule_sentences(c->in[1]), c->in[0].dim[1]);
    if (!pr_rule_shape(c, 0, "dy", PR_F32, dy)) return PR_BAD_GRAPH;
    pr_rule_output(c, 0, PR_F32, pr_shape_2(c->attr.i[0], dy.dim[1]));
    return PR_OK;
}

static void fill_sentences(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    const float *dy = c->in[0].data;       /* (B, d) */
    const int32_t *offset = c->in[1].data; /* (B + 1) */
    int64_t d = c->in[0].shape.dim[1];
    for (int64_t s = begin; s < end; s++) {
        float *dx = (float *)c->out[0].data + offset[s] * d; /* (N, d) */
        memcpy(dx, dy + s * d, (size_t)d * sizeof *dx);
        memset(dx + d, 0, (size_t)((offset[s + 1] - offset[s] - 1) * d) * sizeof *dx);
    }
}

static pr_status grad_cpu(const pr_call *c) {
    int64_t rows = c->out[0].shape.dim[0], sentences = c->in[0].shape.dim[0];
    if (!pr_offsets_fit(c, "first_token_grad", 1, rows)) return PR_BAD_ARGUMENT;
    int64_t mean_rows = sentences ? rows / sentences : 0;
    pr_each_item(c, sentences, mean_rows * c->out[0].shape.dim[1], fill_sentences);
    return PR_OK;
}

/* Only the rows that are copied. */
static double bytes(const pr_call *c) {
    size_t n;
    return pr_shape_bytes(c->out[0].shape, PR_F32, &n) ? 2.0 * (double)n : 0.0;
}

const pr_op pr_op_first_token = {
    .name = "first_token",
    .n_in = 2,
    .n_out = 1,
    .accumulate = -1,
    .infer = infer,
    .vjp = vjp,
    .bytes = bytes,
    .kernel = {[PR_CPU] = first_token_cpu, [PR_CUDA] = PR_ON_CUDA(pr_first_token_cuda)},
};

const pr_op pr_op_first_token_grad = {
    .name = "first_token_grad",
    .n_in = 2,
    .n_out = 1,
    .accumulate = -1,
    .flags = PR_OP_NO_GRADIENT,
    .infer = grad_infer,
    .kernel = {[PR_CPU] = grad_cpu, [PR_CUDA] = PR_ON_CUDA(pr_first_token_grad_cuda)},
};

pr_tid pr_first_token(pr_graph *g, pr_tid x, pr_tid offsets) {
    return pr_graph_node(g, &pr_op_first_token, (pr_tid[]){x, offsets}, (pr_attr){0}, NULL);
}

pr_tid pr_first_token_grad(pr_graph *g, pr_tid dy, pr_tid offsets, int64_t n_rows) {
    if (n_rows > INT32_MAX) {
        return pr_graph_fault(g, "first_token_grad: there can't be %lld rows", (long long)n_rows);
    }
    pr_attr attr = {.i = {(int32_t)n_rows}};
    return pr_graph_node(g, &pr_op_first_token_grad, (pr_tid[]){dy, offsets}, attr, NULL);
}
