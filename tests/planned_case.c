#include "tests/planned_case.h"

#include "graph/plan_internal.h"
#include "ops/ops.h"
#include "tests/test.h"

static void make_graph(planned_case *p, const op_case *c) {
    pr_tid in[PR_MAX_IN] = {0};
    for (int k = 0; k < c->op->n_in; k++) {
        char name[8];
        snprintf(name, sizeof name, "in%d", k);
        if (!c->data[k]) continue;
        p->in[k] = pr_graph_input(p->graph, name, c->dtype[k], c->shape[k]);
        in[k] = p->how.copied >> k & 1u ? pr_scale(p->graph, p->in[k], 1.0f) : p->in[k];
    }
    pr_graph_scope(p->graph, "here");
    pr_graph_node(p->graph, c->op, in, c->attr, p->out);
    for (int k = 0; k < c->op->n_out; k++)
        if (p->how.left_out >> k & 1u) p->out[k] = 0;
}

void planned_open(planned_case *p, pr_backend *backend, const op_case *c, planned_how how) {
    *p = (planned_case){.backend = backend, .how = how};
    p->store = pr_store_new(backend);
    p->graph = pr_graph_new(p->store);
    make_graph(p, c);
    pr_tid wanted[PR_MAX_OUT];
    int n_wanted = 0;
    for (int k = 0; k < c->op->n_out; k++) {
        if (p->out[k]) wanted[n_wanted++] = p->out[k];
    }
    pr_plan_options options = {
        .capacity = how.capacity, .wanted = wanted, .n_wanted = n_wanted, .training = c->training};
    pr_error err = {0};
    p->plan = pr_plan_new(p->graph, p->store, backend, &options, &err);
    if (!p->plan) fail_msg("%s: %s", c->label, err.message);
    p->arena_bytes = pr_plan_get_report(p->plan)->arena;
    p->arena = backend->alloc(backend, p->arena_bytes);
    assert_non_null(p->arena);
    pr_plan_attach(p->plan, p->arena);
}

void planned_close(planned_case *p) {
    pr_plan_free(p->plan);
    p->backend->free(p->backend, p->arena, p->arena_bytes);
    pr_graph_free(p->graph);
    pr_store_free(p->store);
}

pr_extent planned_seen(const planned_case *p, pr_extent e) {
    int64_t step = p->backend->token_step;
    if (!step) return e;
    pr_extent seen = p->how.capacity;
    int64_t tokens = (e.tokens + step - 1) / step * step;
    if (tokens < seen.tokens) seen.tokens = tokens;
    return seen;
}

void *planned_fetch(const planned_case *p, int k, pr_extent e, size_t *bytes) {
    if (!p->out[k]) return NULL;
    const pr_tensor *t = pr_graph_tensor(p->graph, p->out[k]);
    assert_true(pr_shape_bytes(pr_shape_bind(t->shape, e), t->dtype, bytes));
    void *host = malloc(*bytes ? *bytes : 1);
    assert_non_null(host);
    pr_error err = {0};
    if (pr_plan_fetch(p->plan, p->out[k], e, host, &err) != PR_OK) fail_msg("%s", err.message);
    return host;
}

/* ---- running ---- */

static void *allocate(size_t bytes) {
    void *block = malloc(bytes ? bytes : 1);
    assert_non_null(block);
    return block;
}

static void fill_arena(const planned_case *p) {
    void *ones = allocate(p->arena_bytes);
    memset(ones, 0xff, p->arena_bytes);
    assert_int_equal(p->backend->upload(p->backend, p->arena, ones, p->arena_bytes), PR_OK);
    free(ones);
}

static unsigned char *arena_now(const planned_case *p) {
    unsigned char *bytes = allocate(p->arena_bytes);
    assert_int_equal(p->backend->download(p->backend, bytes, p->arena, p->arena_bytes), PR_OK);
    return bytes;
}

/* Writes numbers behind an input's own elements, as far as kernels see it. */
static void stray(const planned_case *p, const op_case *c, int k) {
    pr_extent seen = planned_seen(p, c->extent);
    int64_t own = reference_count(pr_shape_bind(c->shape[k], c->extent));
    int64_t n = reference_count(pr_shape_bind(c->shape[k], seen)) - own;
    float *x = allocate((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++)
        x[i] = 1.5f + (float)(i % 7);
    float *to = (float *)p->plan->value[p->in[k]].address + own;
    assert_int_equal(p->backend->upload(p->backend, to, x, (size_t)n * sizeof *x), PR_OK);
    free(x);
}

static pr_status feed(planned_case *p, const op_case *c, pr_error *err) {
    fill_arena(p);
    for (int k = 0; k < c->op->n_in; k++) {
        if (!c->data[k]) continue;
        pr_status status = pr_plan_feed(p->plan, p->in[k], c->extent, c->data[k], err);
        if (status != PR_OK) return status;
        if (p->how.strayed >> k & 1u) stray(p, c, k);
    }
    return PR_OK;
}

pr_status planned_run(planned_case *p, const op_case *c, pr_error *err) {
    pr_status status = feed(p, c, err);
    if (status != PR_OK) return status;
    unsigned char *before = arena_now(p);
    status = pr_plan_run(p->plan, c->extent, err);
    if (status == PR_OK) status = p->backend->sync(p->backend, err);
    unsigned char *after = arena_now(p);
    p->changed = 0;
    for (size_t i = 0; i < p->arena_bytes; i++)
        p->changed += before[i] != after[i];
    free(before);
    free(after);
    return status;
}
