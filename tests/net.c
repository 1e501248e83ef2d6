#include "tests/net.h"

#include "autograd/backward.h"
#include "backends/cpu.h"
#include "graph/plan.h"
#include "ops/ops.h"
#include "tests/reference.h"
#include "tests/test.h"

#include <math.h>

/* ---- ops for nets alone ---- */

static size_t bytes_of(const pr_view *v) {
    size_t bytes = 0;
    pr_shape_bytes(v->shape, v->dtype, &bytes);
    return bytes;
}

/* carry: x with the leading dimension attr.i[0]. */
static pr_status carry_infer(pr_infer *c) {
    c->out[0] = c->in[0];
    c->out[0].dim[0] = c->attr.i[0];
    c->out_dtype[0] = PR_F32;
    return PR_OK;
}

static pr_status carry(const pr_call *c) {
    if (bytes_of(&c->in[0]) != bytes_of(&c->out[0])) return PR_INTERNAL;
    memcpy(c->out[0].data, c->in[0].data, bytes_of(&c->out[0]));
    return PR_OK;
}

static const pr_op carry_op;

static void carry_vjp(pr_graph *g, const pr_node *n, const pr_tid *dy, unsigned need, pr_tid *dx) {
    pr_attr attr = {.i = {(int32_t)pr_graph_tensor(g, n->in[0])->shape.dim[0]}};
    if (need & 1u) dx[0] = pr_graph_node(g, &carry_op, dy, attr, NULL);
}

static void carry_reference(const reference_call *c) {
    for (int64_t i = 0; i < reference_count(c->shape[0]); i++)
        reference_set(c, 0, i, c->in[0].x[i], 0.0);
}

static const pr_op carry_op = {
    .name = "carry",
    .n_in = 1,
    .n_out = 1,
    .accumulate = -1,
    .infer = carry_infer,
    .vjp = carry_vjp,
    .kernel = {[PR_CPU] = carry},
};

/* weigh: the sum of y w, (1); y and w of one shape. Its gradient: dloss w. */
static pr_status weigh_infer(pr_infer *c) {
    c->out[0] = pr_shape_1(1);
    c->out_dtype[0] = PR_F32;
    return PR_OK;
}

static pr_status weigh(const pr_call *c) {
    const float *y = c->in[0].data, *w = c->in[1].data;
    double sum = 0.0;
    for (size_t i = 0; i < bytes_of(&c->in[0]) / sizeof *y; i++)
        sum += (double)y[i] * (double)w[i];
    *(float *)c->out[0].data = (float)sum;
    return PR_OK;
}

static pr_status weigh_grad_infer(pr_infer *c) {
    c->out[0] = c->in[1];
    c->out_dtype[0] = PR_F32;
    return PR_OK;
}

static pr_status weigh_grad(const pr_call *c) {
    const float *dloss = c->in[0].data, *w = c->in[1].data;
    float *dy = c->out[0].data;
    for (size_t i = 0; i < bytes_of(&c->in[1]) / sizeof *w; i++)
        dy[i] = *dloss * w[i];
    return PR_OK;
}

static const pr_op weigh_grad_op = {
    .name = "weigh_grad",
    .n_in = 2,
    .n_out = 1,
    .accumulate = -1,
    .flags = PR_OP_NO_GRADIENT,
    .infer = weigh_grad_infer,
    .kernel = {[PR_CPU] = weigh_grad},
};

static void weigh_vjp(pr_graph *g, const pr_node *n, const pr_tid *dy, unsigned need, pr_tid *dx) {
    const pr_tid in[] = {dy[0], n->in[1]};
    if (need & 1u) dx[0] = pr_graph_node(g, &weigh_grad_op, in, (pr_attr){0}, NULL);
}

/* The scale is the sum of absolute values: what differences of the loss round by. */
static void weigh_reference(const reference_call *c) {
    double sum = 0.0, size = 0.0;
    for (int64_t i = 0; i < reference_count(c->in[0].shape); i++) {
        sum += c->in[0].x[i] * c->in[1].x[i];
        size += fabs(c->in[0].x[i] * c->in[1].x[i]);
    }
    reference_set(c, 0, 0, sum, size);
}

static const pr_op weigh_op = {
    .name = "weigh",
    .n_in = 2,
    .n_out = 1,
    .accumulate = -1,
    .infer = weigh_infer,
    .vjp = weigh_vjp,
    .kernel = {[PR_CPU] = weigh},
};

/* mix: (a + b + 2 c) w'; a, b, c (N, D), w (D, D), which is constant. One product is the gradient
 * of a and of b, and is read for c's. The op is never run: no gradient reads what it computes. */
static pr_status mix_infer(pr_infer *c) {
    c->out[0] = c->in[0];
    c->out_dtype[0] = PR_F32;
    return PR_OK;
}

static void mix_vjp(pr_graph *g, const pr_node *n, const pr_tid *dy, unsigned need, pr_tid *dx) {
    pr_tid d = pr_matmul(g, dy[0], n->in[3], 0, 1.0f, 0, 0);
    if (need & 1u) dx[0] = d;
    if (need & 2u) dx[1] = d;
    if (need & 4u) dx[2] = pr_scale(g, d, 2.0f);
}

static void mix_reference(const reference_call *r) {
    const double *a = r->in[0].x, *b = r->in[1].x, *c = r->in[2].x, *w = r->in[3].x;
    int64_t d = r->shape[0].dim[1];
    for (int64_t i = 0; i < reference_count(r->shape[0]); i++) {
        double sum = 0.0;
        for (int64_t k = 0; k < d; k++) {
            int64_t at = i / d * d + k;
            sum += (a[at] + b[at] + 2.0 * c[at]) * w[i % d * d + k];
        }
        reference_set(r, 0, i, sum, 0.0);
    }
}

static const pr_op mix_op = {
    .name = "mix",
    .n_in = 4,
    .n_out = 1,
    .accumulate = -1,
    .infer = mix_infer,
    .vjp = mix_vjp,
};

const reference reference_net[] = {
    {&carry_op, carry_reference, 0, 0},
    {&mix_op, mix_reference, 0, 0},
    {&weigh_op, weigh_reference, 0, 0},
    {0},
};

/* ---- building ---- */

void net_open(net *n, pr_extent extent, bool training) {
    *n = (net){.extent = extent, .training = training};
    n->backend = pr_cpu_new(1, NULL);
    n->store = pr_store_new(n->backend);
    n->g = pr_graph_new(n->store);
    assert_true(n->backend && n->store && n->g);
}

void net_close(net *n) {
    pr_graph_free(n->g);
    pr_store_free(n->store);
    pr_backend_free(n->backend);
    free(n->weights);
}

static pr_tid add_leaf(net *n, net_leaf leaf) {
    assert_true(n->n_leaves < NET_LEAVES);
    n->leaf[n->n_leaves++] = leaf;
    return leaf.t;
}

pr_tid net_param(net *n, pr_shape shape, const float *data) {
    char name[16];
    pr_error err = {0};
    snprintf(name, sizeof name, "leaf%d", n->n_leaves);
    if (pr_store_add(n->store, name, shape, data, &err) < 0) fail_msg("%s", err.message);
    return add_leaf(n, (net_leaf){pr_graph_param(n->g, name), shape, PR_F32, true, data});
}

pr_tid net_input(net *n, pr_dtype dtype, pr_shape shape, const void *data) {
    char name[16];
    snprintf(name, sizeof name, "leaf%d", n->n_leaves);
    pr_tid t = pr_graph_input(n->g, name, dtype, shape);
    return add_leaf(n, (net_leaf){t, pr_shape_bind(shape, n->extent), dtype, false, data});
}

pr_tid net_lead(net *n, pr_tid t, int64_t lead) {
    return pr_graph_node(n->g, &carry_op, &t, (pr_attr){.i = {(int32_t)lead}}, NULL);
}

pr_tid net_mix(net *n, pr_tid a, pr_tid b, pr_tid c, pr_tid w) {
    return pr_graph_node(n->g, &mix_op, (pr_tid[]){a, b, c, w}, (pr_attr){0}, NULL);
}

void net_end(net *n, pr_tid y) {
    pr_error err = {0};
    if (pr_graph_check(n->g, &err) != PR_OK) fail_msg("%s", err.message);
    pr_shape shape = pr_graph_tensor(n->g, y)->shape;
    int64_t count = reference_count(pr_shape_bind(shape, n->extent));
    uint32_t random = 1;
    n->weights = malloc((size_t)(count + 1) * sizeof *n->weights);
    assert_non_null(n->weights);
    for (int64_t i = 0; i < count; i++) {
        random = random * 1664525u + 1013904223u;
        n->weights[i] = (float)(random >> 8) / (float)(1 << 23) - 1.0f;
    }
    const pr_tid in[] = {y, net_input(n, PR_F32, shape, n->weights)};
    n->loss = pr_graph_node(n->g, &weigh_op, in, (pr_attr){0}, NULL);
    if (pr_graph_check(n->g, &err) != PR_OK) fail_msg("%s", err.message);
    pr_graph_mark(n->g);
}

/* ---- gradients in float ---- */

/* Makes the bits of `trained` the store's flags, and derives. */
static void derive(net *n, unsigned trained) {
    pr_error err = {0};
    pr_graph_rewind(n->g);
    for (int i = 0; i < n->n_leaves; i++) {
        if (!n->leaf[i].is_param) continue;
        const char *name = pr_graph_tensor(n->g, n->leaf[i].t)->name;
        pr_store_require_grad(n->store, name, trained >> i & 1u, &err);
    }
    if (pr_backward(n->g, n->loss, &err) != PR_OK) fail_msg("%s", err.message);
}

/* Every node of the backward part serves one of the gradients, but for the copies of cheap nodes:
 * they are there before a rule says whether it reads them. */
static void check_nothing_idle(const net *n, const pr_tid *wanted, int n_wanted) {
    bool *serves = calloc((size_t)pr_graph_tensors(n->g) + 1, sizeof *serves);
    assert_non_null(serves);
    for (int k = 0; k < n_wanted; k++)
        serves[wanted[k]] = true;
    for (int32_t i = pr_graph_nodes(n->g) - 1; i >= 0; i--) {
        const pr_node *node = pr_graph_get(n->g, i);
        bool any = false;
        for (int k = 0; k < node->op->n_out; k++)
            any |= serves[node->out[k]];
        bool copy = strncmp(node->name, "again/", 6) == 0;
        if (!any && !copy && node->phase == PR_BACKWARD)
            fail_msg("'%s' serves no gradient", node->name);
        for (int k = 0; k < node->op->n_in; k++)
            serves[node->in[k]] |= any && node->in[k];
    }
    free(serves);
}

/* The gradients' tensors, dense: wanted[k] of leaf which[k]. */
static int collect(net *n, unsigned trained, pr_tid wanted[NET_LEAVES], int which[NET_LEAVES]) {
    int found = 0;
    pr_phase before = pr_graph_phase(n->g, PR_BACKWARD);
    for (int i = 0; i < n->n_leaves; i++) {
        pr_tid d = pr_graph_gradient(n->g, n->leaf[i].t);
        bool asked = trained >> i & 1u;
        if (!asked && d) fail_msg("leaf %d has a gradient that was not asked for", i);
        if (!asked) continue;
        if (!d) fail_msg("leaf %d has no gradient", i);
        bool sparse = pr_graph_tensor(n->g, d)->rows;
        which[found] = i;
        wanted[found++] = sparse ? pr_densify(n->g, d, n->leaf[i].shape.dim[0]) : d;
    }
    pr_graph_phase(n->g, before);
    return found;
}

static void must(pr_status status, const pr_error *err) {
    if (status != PR_OK) fail_msg("%s", err->message);
}

/* What dies is poisoned, so that no kernel reads what another has given up. */
static void run_plan(net *n, const pr_tid *wanted, const int *which, int n_wanted,
                     float *gradient[NET_LEAVES]) {
    pr_error err = {0};
    pr_plan_options how = {.capacity = n->extent,
                           .wanted = wanted,
                           .n_wanted = n_wanted,
                           .training = n->training,
                           .poison = true};
    pr_plan *plan = pr_plan_new(n->g, n->store, n->backend, &how, &err);
    if (!plan) fail_msg("%s", err.message);
    size_t bytes = pr_plan_get_report(plan)->arena;
    void *arena = n->backend->alloc(n->backend, bytes);
    assert_non_null(arena);
    pr_plan_attach(plan, arena);
    for (int i = 0; i < n->n_leaves; i++) {
        if (n->leaf[i].is_param) continue;
        must(pr_plan_feed(plan, n->leaf[i].t, n->extent, n->leaf[i].data, &err), &err);
    }
    must(pr_plan_run(plan, n->extent, &err), &err);
    for (int k = 0; k < n_wanted; k++) {
        size_t count = (size_t)reference_count(n->leaf[which[k]].shape);
        float *to = malloc((count + 1) * sizeof *to);
        assert_non_null(to);
        must(pr_plan_fetch(plan, wanted[k], n->extent, to, &err), &err);
        gradient[which[k]] = to;
    }
    n->backend->free(n->backend, arena, bytes);
    pr_plan_free(plan);
}

void net_gradients(net *n, unsigned trained, float *gradient[NET_LEAVES]) {
    pr_tid wanted[NET_LEAVES];
    int which[NET_LEAVES];
    derive(n, trained);
    int n_wanted = collect(n, trained, wanted, which);
    check_nothing_idle(n, wanted, n_wanted);
    for (int i = 0; i < NET_LEAVES; i++)
        gradient[i] = NULL;
    run_plan(n, wanted, which, n_wanted, gradient);
}

void net_free_gradients(float *gradient[NET_LEAVES]) {
    for (int i = 0; i < NET_LEAVES; i++)
        free(gradient[i]);
}
