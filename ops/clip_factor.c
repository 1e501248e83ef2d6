/* clip_factor: y = min(1, max_norm / (sqrt(total) + 1e-6)), f32 (1); 1 where max_norm is 0; NaN
 * where the norm is not finite. total f64 (1). It has no gradient: it serves updates.
 * in: total. attr: f[0] max_norm. */
#include <math.h>

#include "ops/cuda.h"
#include "ops/ops.h"
#include "ops/rule.h"
#include "ops/table.h"

static pr_status infer(pr_infer *c) {
    if (!pr_rule_shape(c, 0, "the total", PR_F64, pr_shape_1(1))) return PR_BAD_GRAPH;
    pr_rule_output(c, 0, PR_F32, pr_shape_1(1));
    return PR_OK;
}

static pr_status clip_factor_cpu(const pr_call *c) {
    double norm = sqrt(*(const double *)c->in[0].data), max_norm = c->attr.f[0];
    double factor = max_norm == 0.0 ? 1.0 : fmin(1.0, max_norm / (norm + 1e-6));
    *(float *)c->out[0].data = isfinite(norm) ? (float)factor : NAN;
    return PR_OK;
}

const pr_op pr_op_clip_factor = {
    .name = "clip_factor",
    .n_in = 1,
    .n_out = 1,
    .accumulate = -1,
    .flags = PR_OP_NO_GRADIENT,
    .infer = infer,
    .kernel = {[PR_CPU] = clip_factor_cpu, [PR_CUDA] = PR_ON_CUDA(pr_clip_factor_cuda)},
};

pr_tid pr_clip_factor(pr_graph *g, pr_tid total, float max_norm) {
    if (!(max_norm >= 0.0f)) {
        return pr_graph_fault(g, "clip_factor: expected a norm of 0 or more, found %g",
                              (double)max_norm);
    }
    return pr_graph_node(g, &pr_op_clip_factor, &total, (pr_attr){.f = {max_norm}}, NULL);
}
