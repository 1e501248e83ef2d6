/* cross_entropy: loss = mean over B of log(sum of e^z) - z[label]; logits z (B, C), labels i32 (B)
 * in [0, C), loss (1).
 * Gradient: dz = dloss (softmax(z) - onehot(label)) / B; reads logits and labels.
 * Both compute in double: B C is small, and the loss is what people compare.
 * cross_entropy in: logits, labels. cross_entropy_grad in: dloss, logits, labels. */
#include <math.h>

#include "ops/cuda.h"
#include "ops/ops.h"
#include "ops/ops_grad.h"
#include "ops/rule.h"
#include "ops/table.h"

static bool labels_fit(const pr_call *c, const pr_view *logits, const pr_view *labels) {
    const int32_t *label = labels->data; /* (B) */
    for (int64_t b = 0; b < labels->shape.dim[0]; b++) {
        if (label[b] >= 0 && label[b] < logits->shape.dim[1]) continue;
        pr_fail(c->err, PR_BAD_ARGUMENT,
                "cross_entropy '%s': label %d of sentence %lld is outside the %lld classes",
                c->name, (int)label[b], (long long)b, (long long)logits->shape.dim[1]);
        return false;
    }
    return true;
}

/* log of the sum of e^z over a row of n. */
static double log_sum(const float *z, int64_t n) {
    double most = z[0], sum = 0.0;
    for (int64_t i = 1; i < n; i++)
        most = fmax(most, z[i]);
    for (int64_t i = 0; i < n; i++)
        sum += exp(z[i] - most);
    return most + log(sum);
}

static bool operands_fit(const pr_infer *c, int logits, int labels) {
    return pr_rule_rank(c, logits, "logits", PR_F32, 2) &&
           pr_rule_shape(c, labels, "labels", PR_I32, pr_shape_1(c->in[logits].dim[0]));
}

static pr_status infer(pr_infer *c) {
    if (!operands_fit(c, 0, 1)) return PR_BAD_GRAPH;
    pr_rule_output(c, 0, PR_F32, pr_shape_1(1));
    return PR_OK;
}

static pr_status cross_entropy_cpu(const pr_call *c) {
    const float *z = c->in[0].data;       /* (B, C) */
    const int32_t *label = c->in[1].data; /* (B) */
    int64_t sentences = c->in[0].shape.dim[0], classes = c->in[0].shape.dim[1];
    if (!labels_fit(c, &c->in[0], &c->in[1])) return PR_BAD_ARGUMENT;
    double sum = 0.0;
    for (int64_t b = 0; b < sentences; b++, z += classes)
        sum += log_sum(z, classes) - z[label[b]];
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
    const float *z = c->in[1].data;       /* (B, C) */
    const int32_t *label = c->in[2].data; /* (B) */
    float *dz = c->out[0].data;           /* (B, C) */
    int64_t sentences = c->in[1].shape.dim[0], classes = c->in[1].shape.dim[1];
    if (!labels_fit(c, &c->in[1], &c->in[2])) return PR_BAD_ARGUMENT;
    double scale = *(const float *)c->in[0].data / (double)sentences;
    for (int64_t b = 0; b < sentences; b++, z += classes, dz += classes) {
        double log_of_sum = log_sum(z, classes);
        for (int64_t i = 0; i < classes; i++)
            dz[i] = (float)(scale * (exp(z[i] - log_of_sum) - (i == label[b])));
    }
    return PR_OK;
}

static void vjp(pr_graph *g, const pr_node *n, const pr_tid *dy, unsigned need, pr_tid *dx) {
    if (need & 1u) dx[0] = pr_cross_entropy_grad(g, dy[0], n->in[0], n->in[1]);
}

const pr_op pr_op_cross_entropy = {
    .name = "cross_entropy",
    .n_in = 2,
    .n_out = 1,
    .accumulate = -1,
    .infer = infer,
    .vjp = vjp,
    .kernel = {[PR_CPU] = cross_entropy_cpu, [PR_CUDA] = PR_ON_CUDA(pr_cross_entropy_cuda)},
};

const pr_op pr_op_cross_entropy_grad = {
    .name = "cross_entropy_grad",
    .n_in = 3,
    .n_out = 1,
    .inplace = 2,
    .accumulate = -1,
    .flags = PR_OP_NO_GRADIENT,
    .infer = grad_infer,
    .kernel = {[PR_CPU] = grad_cpu, [PR_CUDA] = PR_ON_CUDA(pr_cross_entropy_grad_cuda)},
};

pr_tid pr_cross_entropy(pr_graph *g, pr_tid logits, pr_tid labels) {
    return pr_graph_node(g, &pr_op_cross_entropy, (pr_tid[]){logits, labels}, (pr_attr){0}, NULL);
}

pr_tid pr_cross_entropy_grad(pr_graph *g, pr_tid dy, pr_tid logits, pr_tid labels) {
    return pr_graph_node(g, &pr_op_cross_entropy_grad, (pr_tid[]){dy, logits, labels}, (pr_attr){0},
                         NULL);
}
