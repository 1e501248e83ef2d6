/* mse: loss = mean over B of (x - target)^2; x (B, 1), targets (B), loss (1).
 * Gradient: dx = dloss 2 (x - target) / B; reads x and targets. Targets can't be trained.
 * Both compute in double, as cross_entropy.
 * mse in: x, targets. mse_grad in: dloss, x, targets. */
#include "ops/cuda.h"
#include "ops/ops.h"
#include "ops/ops_grad.h"
#include "ops/rule.h"
#include "ops/table.h"

static bool operands_fit(const pr_infer *c, int x, int targets) {
    return pr_rule_rank(c, x, "x", PR_F32, 2) &&
           pr_rule_shape(c, x, "x", PR_F32, pr_shape_2(c->in[x].dim[0], 1)) &&
           pr_rule_shape(c, targets, "targets", PR_F32, pr_shape_1(c->in[x].dim[0]));
}

static pr_status infer(pr_infer *c) {
    if (!operands_fit(c, 0, 1)) return PR_BAD_GRAPH;
    pr_rule_output(c, 0, PR_F32, pr_shape_1(1));
    return PR_OK;
}

static pr_status mse_cpu(const pr_call *c) {
    const float *x = c->in[0].data;      /* (B, 1) */
    const float *target = c->in[1].data; /* (B) */
    int64_t sentences = c->in[0].shape.dim[0];
    double sum = 0.0;
    for (int64_t b = 0; b < sentences; b++) {
        double difference = (double)x[b] - target[b];
        sum += difference * difference;
    }
    *(float *)c->out[0].data = (float)(sum / (double)sentences);
    return PR_OK;
}

static pr_status grad_infer(pr_infer *c) {
    if (!pr_rule_shape(c, 0, "dloss", PR_F32, pr_shape_1(1)) || !operands_fit(c, 1, 2)) {
        return PR_BAD_GRAPH;
    }
    pr_rule_output(c, 0, PR_F32, c->in[1]);
    return PR_OK;
}

static pr_status grad_cpu(const pr_call *c) {
    const float *x = c->in[1].data;      /* (B, 1) */
    const float *target = c->in[2].data; /* (B) */
    float *dx = c->out[0].data;          /* (B, 1) */
    int64_t sentences = c->in[1].shape.dim[0];
    double scale = *(const float *)c->in[0].data * 2.0 / (double)sentences;
    for (int64_t b = 0; b < sentences; b++)
        dx[b] = (float)(scale * ((double)x[b] - target[b]));
    return PR_OK;
}

static void vjp(pr_graph *g, const pr_node *n, const pr_tid *dy, unsigned need, pr_tid *dx) {
    if (need & 1u) dx[0] = pr_mse_grad(g, dy[0], n->in[0], n->in[1]);
    if (need & 2u) pr_graph_fault(g, "mse '%s': targets can't be trained", n->name);
}

const pr_op pr_op_mse = {
    .name = "mse",
    .n_in = 2,
    .n_out = 1,
    .accumulate = -1,
    .infer = infer,
    .vjp = vjp,
    .kernel = {[PR_CPU] = mse_cpu, [PR_CUDA] = PR_ON_CUDA(pr_mse_cuda)},
};

const pr_op pr_op_mse_grad = {
    .name = "mse_grad",
    .n_in = 3,
    .n_out = 1,
    .inplace = 2,
    .accumulate = -1,
    .flags = PR_OP_NO_GRADIENT,
    .infer = grad_infer,
    .kernel = {[PR_CPU] = grad_cpu, [PR_CUDA] = PR_ON_CUDA(pr_mse_grad_cuda)},
};

pr_tid pr_mse(pr_graph *g, pr_tid x, pr_tid targets) {
    return pr_graph_node(g, &pr_op_mse, (pr_tid[]){x, targets}, (pr_attr){0}, NULL);
}

pr_tid pr_mse_grad(pr_graph *g, pr_tid dy, pr_tid x, pr_tid targets) {
    return pr_graph_node(g, &pr_op_mse_grad, (pr_tid[]){dy, x, targets}, (pr_attr){0}, NULL);
}
