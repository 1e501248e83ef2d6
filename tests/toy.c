#include "tests/toy.h"

#include <string.h>

static size_t count(const pr_view *v) {
    size_t n = 0;
    pr_shape_count(v->shape, &n);
    return n;
}

static pr_status same(pr_infer *c) {
    for (int k = 1; k < PR_MAX_IN; k++) {
        if (!c->has[k] || pr_shape_equal(c->in[0], c->in[k])) continue;
        char a[PR_SHAPE_TEXT], b[PR_SHAPE_TEXT];
        return pr_fail(c->err, PR_BAD_GRAPH, "%s: %s does not fit %s", c->what,
                       pr_shape_text(c->in[0], a), pr_shape_text(c->in[k], b));
    }
    for (int k = 0; k < PR_MAX_OUT; k++) {
        c->out[k] = c->in[0];
        c->out_dtype[k] = c->in_dtype[0];
    }
    return PR_OK;
}

static pr_status mix(const pr_call *c) {
    const float *a = c->in[0].data, *b = c->in[1].data, *onto = c->in[2].data;
    float *y = c->out[0].data;
    for (size_t i = 0; i < count(&c->out[0]); i++)
        y[i] = 0.5f * a[i] - (b ? 0.75f * b[i] : 0.0f) + (onto ? onto[i] : 0.0f);
    return PR_OK;
}

static double flops(const pr_call *c) {
    return TOY_FLOPS * (double)c->extent.tokens;
}

const pr_op toy_mix = {
    .name = "mix",
    .n_in = 3,
    .n_out = 1,
    .optional_in = 6,
    .inplace = 5,
    .accumulate = 2,
    .infer = same,
    .flops = flops,
    .kernel = {[PR_CPU] = mix},
};

static size_t rotate_workspace(const pr_call *c) {
    return count(&c->in[0]) * sizeof(float);
}

static pr_status rotate(const pr_call *c) {
    size_t n = count(&c->in[0]);
    if (!n) return PR_OK;
    memcpy(c->workspace, c->in[0].data, n * sizeof(float));
    const float *x = c->workspace;
    float *y = c->out[0].data;
    for (size_t i = 0; i < n; i++)
        y[i] = x[(i + 1) % n];
    return PR_OK;
}

const pr_op toy_rotate = {
    .name = "rotate",
    .n_in = 1,
    .n_out = 1,
    .inplace = 1,
    .accumulate = -1,
    .infer = same,
    .workspace = {[PR_CPU] = rotate_workspace},
    .kernel = {[PR_CPU] = rotate},
};

static pr_status map_infer(pr_infer *c) {
    c->out[0] = pr_shape_2(c->attr.i[0], c->attr.i[1]);
    c->out_dtype[0] = PR_F32;
    return PR_OK;
}

static pr_status map(const pr_call *c) {
    size_t n = count(&c->in[0]);
    const float *x = c->in[0].data;
    float *y = c->out[0].data;
    for (size_t i = 0; i < count(&c->out[0]); i++)
        y[i] = n ? x[i % n] : 1.0f;
    return PR_OK;
}

const pr_op toy_map = {
    .name = "map",
    .n_in = 1,
    .n_out = 1,
    .accumulate = -1,
    .infer = map_infer,
    .kernel = {[PR_CPU] = map},
};

static pr_status split(const pr_call *c) {
    const float *x = c->in[0].data;
    float *a = c->out[0].data, *b = c->out[1].data, *d = c->out[2].data;
    for (size_t i = 0; i < count(&c->in[0]); i++) {
        float value = x[i];
        a[i] = value + 1.0f;
        if (b) b[i] = value / 2.0f;
        d[i] = value + 3.0f;
    }
    return PR_OK;
}

const pr_op toy_split = {
    .name = "split",
    .n_in = 1,
    .n_out = 3,
    .optional_out = 2,
    .inplace = 1,
    .accumulate = -1,
    .infer = same,
    .kernel = {[PR_CPU] = split},
};

static pr_status drop(const pr_call *c) {
    const float *x = c->in[0].data;
    float *y = c->out[0].data;
    for (size_t i = 0; i < count(&c->in[0]); i++)
        y[i] = x[i] / 4.0f;
    return c->training ? PR_OK : PR_INTERNAL;
}

const pr_op toy_drop = {
    .name = "drop",
    .n_in = 2,
    .n_out = 1,
    .optional_in = 2,
    .inplace = 1,
    .accumulate = -1,
    .flags = PR_OP_TRAINING_ONLY,
    .infer = same,
    .kernel = {[PR_CPU] = drop},
};

static pr_status write_infer(pr_infer *c) {
    c->out[0] = pr_shape_1(1);
    c->out_dtype[0] = PR_F32;
    return PR_OK;
}

static pr_status write_kernel(const pr_call *c) {
    float *p = c->in[0].data, *s = c->in[1].data, *y = c->out[0].data;
    const float *x = c->in[2].data;
    size_t n = x ? count(&c->in[2]) : 0;
    for (size_t i = 0; i < count(&c->in[0]); i++)
        p[i] += c->attr.f[0] * ((n ? x[i % n] : 0.0f) + 1.0f);
    for (size_t i = 0; s && i < count(&c->in[1]); i++)
        s[i] += 1.0f;
    *y = 1.0f;
    return PR_OK;
}

const pr_op toy_write = {
    .name = "write",
    .n_in = 3,
    .n_out = 1,
    .optional_in = 6,
    .writes = 3,
    .accumulate = -1,
    .flags = PR_OP_NO_GRADIENT,
    .infer = write_infer,
    .kernel = {[PR_CPU] = write_kernel},
};

static pr_status sparse_infer(pr_infer *c) {
    c->out[0] = c->in[0];
    c->out_dtype[0] = PR_F32;
    c->out[1] = pr_shape_1(c->in[0].dim[0]);
    c->out_dtype[1] = PR_I32;
    return PR_OK;
}

static pr_status sparse(const pr_call *c) {
    memcpy(c->out[0].data, c->in[0].data, count(&c->in[0]) * sizeof(float));
    int32_t *rows = c->out[1].data;
    for (size_t i = 0; i < count(&c->out[1]); i++)
        rows[i] = (int32_t)i;
    return PR_OK;
}

const pr_op toy_sparse = {
    .name = "sparse",
    .n_in = 1,
    .n_out = 2,
    .accumulate = -1,
    .flags = PR_OP_SPARSE,
    .infer = sparse_infer,
    .kernel = {[PR_CPU] = sparse},
};

const pr_op toy_nowhere = {
    .name = "nowhere", .n_in = 1, .n_out = 1, .accumulate = -1, .infer = same};

static pr_status fail_kernel(const pr_call *c) {
    (void)c;
    return PR_NOT_FINITE;
}

const pr_op toy_fail = {
    .name = "fail",
    .n_in = 1,
    .n_out = 1,
    .accumulate = -1,
    .infer = same,
    .kernel = {[PR_CPU] = fail_kernel},
};

pr_tid toy_node(pr_graph *g, const pr_op *op, pr_tid a, pr_tid b, pr_tid c) {
    const pr_tid in[] = {a, b, c};
    return pr_graph_node(g, op, in, (pr_attr){.f = {0.25f}}, NULL);
}

pr_tid toy_to(pr_graph *g, pr_tid x, int32_t lead, int32_t width) {
    return pr_graph_node(g, &toy_map, &x, (pr_attr){.i = {lead, width}}, NULL);
}
