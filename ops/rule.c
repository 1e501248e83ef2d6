#include "ops/rule.h"

bool pr_rule_rank(const pr_infer *c, int k, const char *label, pr_dtype dtype, int n_dims) {
    if (c->in_dtype[k] == dtype && c->in[k].n_dims == n_dims) return true;
    char found[PR_SHAPE_TEXT];
    pr_fail(c->err, PR_BAD_GRAPH, "%s: expected %s to be %s with %d dimension%s, found %s %s",
            c->what, label, pr_dtype_name(dtype), n_dims, n_dims == 1 ? "" : "s",
            pr_dtype_name(c->in_dtype[k]), pr_shape_text(c->in[k], found));
    return false;
}

bool pr_rule_shape(const pr_infer *c, int k, const char *label, pr_dtype dtype, pr_shape shape) {
    if (c->in_dtype[k] == dtype && pr_shape_equal(c->in[k], shape)) return true;
    char expected[PR_SHAPE_TEXT], found[PR_SHAPE_TEXT];
    pr_fail(c->err, PR_BAD_GRAPH, "%s: expected %s to be %s %s, found %s %s", c->what, label,
            pr_dtype_name(dtype), pr_shape_text(shape, expected), pr_dtype_name(c->in_dtype[k]),
            pr_shape_text(c->in[k], found));
    return false;
}

int64_t pr_rule_sentences(pr_shape offsets) {
    return offsets.dim[0] == PR_OFFSETS ? PR_SENTENCES : offsets.dim[0] - 1;
}

void pr_rule_output(pr_infer *c, int k, pr_dtype dtype, pr_shape shape) {
    c->out[k] = shape;
    c->out_dtype[k] = dtype;
}

pr_status pr_rule_elementwise(pr_infer *c) {
    for (int k = 0; k < PR_MAX_IN; k++) {
        if (c->has[k] && !pr_rule_shape(c, k, k ? "the other" : "x", PR_F32, c->in[0])) {
            return PR_BAD_GRAPH;
        }
    }
    pr_rule_output(c, 0, PR_F32, c->in[0]);
    return PR_OK;
}
