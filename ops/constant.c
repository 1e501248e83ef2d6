/* constant: n copies of a value, f32 (n). It has no input, so no gradient flows through it.
 * attr: f[0] the value, i[0] n. */
#include "ops/cuda.h"
#include "ops/ops.h"

static pr_status infer(pr_infer *c) {
    if (c->attr.i[0] < 1) {
        return pr_fail(c->err, PR_BAD_GRAPH, "%s: expected at least one element, found %d", c->what,
                       (int)c->attr.i[0]);
    }
    c->out[0] = pr_shape_1(c->attr.i[0]);
    c->out_dtype[0] = PR_F32;
    return PR_OK;
}

static pr_status constant_cpu(const pr_call *c) {
    float *y = c->out[0].data; /* (n) */
    for (int32_t i = 0; i < c->attr.i[0]; i++)
        y[i] = c->attr.f[0];
    return PR_OK;
}

const pr_op pr_op_constant = {
    .name = "constant",
    .n_out = 1,
    .accumulate = -1,
    .flags = PR_OP_NO_GRADIENT,
    .infer = infer,
    .kernel = {[PR_CPU] = constant_cpu, [PR_CUDA] = PR_ON_CUDA(pr_constant_cuda)},
};

pr_tid pr_constant(pr_graph *g, float value, int32_t n) {
    const pr_tid none[1] = {0};
    return pr_graph_node(g, &pr_op_constant, none, (pr_attr){.f = {value}, .i = {n}}, NULL);
}
