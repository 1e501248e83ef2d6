/* densify: y (V, d) = 0 but for the rows that a sparse gradient holds.
 * It has no gradient: it serves gradients.
 * in: values (N, d), ids i32 (N) ascending, count i32 (1). attr: i[0] V. */
#include <string.h>

#include "ops/cuda.h"
#include "ops/kernel.h"
#include "ops/ops.h"
#include "ops/ops_grad.h"
#include "ops/rule.h"
#include "ops/table.h"

static pr_status infer(pr_infer *c) {
    if (!pr_rule_rank(c, 0, "the values", PR_F32, 2)) return PR_BAD_GRAPH;
    if (!pr_rule_shape(c, 1, "ids", PR_I32, pr_shape_1(c->in[0].dim[0])) ||
        !pr_rule_shape(c, 2, "count", PR_I32, pr_shape_1(1))) {
        return PR_BAD_GRAPH;
    }
    pr_rule_output(c, 0, PR_F32, pr_shape_2(c->attr.i[0], c->in[0].dim[1]));
    return PR_OK;
}

static void fill_rows(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    const float *values = c->in[0].data; /* (N, d) */
    const int32_t *id = c->in[1].data;   /* (N) */
    int32_t count = *(const int32_t *)c->in[2].data;
    float *y = c->out[0].data; /* (V, d) */
    int64_t d = c->in[0].shape.dim[1];
    memset(y + begin * d, 0, (size_t)((end - begin) * d) * sizeof *y);
    for (int32_t k = 0; k < count; k++) {
        if (id[k] < begin || id[k] >= end) continue;
        memcpy(y + id[k] * d, values + k * d, (size_t)d * sizeof *y);
    }
}

static pr_status densify_cpu(const pr_call *c) {
    pr_each_item(c, c->attr.i[0], c->in[0].shape.dim[1], fill_rows);
    return PR_OK;
}

const pr_op pr_op_densify = {
    .name = "densify",
    .n_in = 3,
    .n_out = 1,
    .accumulate = -1,
    .flags = PR_OP_NO_GRADIENT,
    .infer = infer,
    .kernel = {[PR_CPU] = densify_cpu, [PR_CUDA] = PR_ON_CUDA(pr_densify_cuda)},
};

pr_tid pr_densify(pr_graph *g, pr_tid sparse, int64_t n_rows) {
    const pr_tensor *t = pr_graph_tensor(g, sparse);
    pr_tid count = pr_sparse_count(g, sparse);
    if (!count) {
        return pr_graph_fault(g, "densify: '%s' is no sparse gradient", t ? t->name : "nothing");
    }
    if (n_rows < 1 || n_rows > INT32_MAX) {
        return pr_graph_fault(g, "densify: '%s' can't have %lld rows", t->name, (long long)n_rows);
    }
    pr_attr attr = {.i = {(int32_t)n_rows}};
    return pr_graph_node(g, &pr_op_densify, (pr_tid[]){sparse, t->rows, count}, attr, NULL);
}
