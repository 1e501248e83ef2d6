/* Comparing plans: what each reports of a kernel that is wrong on one of two backends. */
#include <math.h>

#include "backends/cpu.h"
#include "graph/compare.h"
#include "tests/alloc_fault.h"
#include "tests/plan_world.h"
#include "tests/toy.h"

enum { MOST = 16, WIDTH = 4 };

/* A plan of the world's graph on a backend of its own. */
typedef struct other {
    pr_backend *backend;
    pr_store *store;
    pr_plan *plan;
    void *arena;
} other;

typedef struct seen {
    pr_difference d[MOST];
    int n;
    const char *end; /* the value that ends the comparison */
} seen;

/* The backend that kernels below are wrong on, as the first plan's is never. */
static const pr_backend *broken;

static pr_status mix_wrongly(const pr_call *c) {
    pr_status status = toy_mix.kernel[PR_CPU](c);
    if (c->backend == broken) ((float *)c->out[0].data)[5] += 2.0f;
    return status;
}

static pr_status mix_to_nan(const pr_call *c) {
    float *y = c->out[0].data;
    pr_status status = toy_mix.kernel[PR_CPU](c);
    y[1] = NAN;
    if (c->backend == broken) y[2] = NAN;
    return status;
}

static pr_status write_wrongly(const pr_call *c) {
    pr_status status = toy_write.kernel[PR_CPU](c);
    if (c->backend == broken) ((float *)c->in[0].data)[3] -= 1.0f;
    return status;
}

/* One row; wrong past it. */
static pr_status hold_one_row(const pr_call *c) {
    pr_status status = toy_sparse.kernel[PR_CPU](c);
    ((int32_t *)c->out[1].data)[1] = -1;
    if (c->backend == broken) ((float *)c->out[0].data)[WIDTH] += 1.0f;
    return status;
}

static pr_op with_kernel(const pr_op *op, pr_kernel kernel) {
    pr_op changed = *op;
    changed.kernel[PR_CPU] = kernel;
    return changed;
}

static other open_other(const world *w, const pr_graph *g, pr_tid wanted, bool training) {
    other o = {.backend = pr_cpu_new(1, NULL)};
    pr_error err = {0};
    o.store = pr_store_new(o.backend);
    pr_store_add(o.store, "w", pr_shape_1(WIDTH), NULL, NULL);
    pr_store_add(o.store, "frozen", pr_shape_1(WIDTH), NULL, NULL);
    pr_store_require_grad(o.store, "w", true, NULL);
    pr_store_settle(o.store, 0, NULL);
    const pr_plan_options options = {
        .capacity = w->plan->capacity, .wanted = &wanted, .n_wanted = 1, .training = training};
    o.plan = pr_plan_new(g, o.store, o.backend, &options, &err);
    if (!o.plan) fail_msg("%s", err.message);
    o.arena = o.backend->alloc(o.backend, pr_plan_get_report(o.plan)->arena);
    pr_plan_attach(o.plan, o.arena);
    broken = o.backend;
    return o;
}

static void close_other(other *o) {
    o->backend->free(o->backend, o->arena, pr_plan_get_report(o->plan)->arena);
    pr_plan_free(o->plan);
    pr_store_free(o->store);
    pr_backend_free(o->backend);
    broken = NULL;
}

static pr_status note(void *context, const pr_difference *d) {
    seen *s = context;
    assert_true(s->n < MOST);
    s->d[s->n++] = *d;
    return s->end && strcmp(d->value, s->end) == 0 ? PR_CANCELLED : PR_OK;
}

static pr_status compare(world *w, other *o, seen *s, pr_error *err) {
    const float x[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    assert_int_equal(pr_plan_feed(w->plan, w->x, three, x, NULL), PR_OK);
    assert_int_equal(pr_plan_feed(o->plan, w->x, three, x, NULL), PR_OK);
    s->n = 0;
    return pr_plan_compare(w->plan, o->plan, three, note, s, err);
}

/* Compares plans for `wanted`, all the way. */
static seen compare_all(world *w, pr_tid wanted, bool training) {
    seen s = {.n = 0};
    pr_error err = {0};
    plan_for(w, wanted, training);
    other o = open_other(w, w->g, wanted, training);
    assert_int_equal(compare(w, &o, &s, &err), PR_OK);
    close_other(&o);
    return s;
}

static void right_kernels_differ_nowhere(void **state) {
    world *w = *state;
    pr_tid a = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_tid b = toy_node(w->g, &toy_rotate, a, 0, 0);
    seen s = compare_all(w, b, false);
    assert_int_equal(s.n, 2);
    assert_string_equal(s.d[0].value, "mix");
    assert_ptr_equal(s.d[1].op, &toy_rotate);
    assert_true(pr_shape_equal(s.d[1].shape, pr_shape_2(3, WIDTH)));
    assert_true(fabs(s.d[0].norm - 0.5 * sqrt(506.0)) < 1e-12);
    for (int i = 0; i < s.n; i++)
        assert_true(s.d[i].apart == 0.0 && s.d[i].largest == 0.0);
}

/* What comes after a wrong node is computed by both from the first one's value. */
static void a_wrong_kernel_stands_alone(void **state) {
    world *w = *state;
    const pr_op wrong = with_kernel(&toy_mix, mix_wrongly);
    pr_tid a = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_tid b = toy_node(w->g, &wrong, a, 0, 0);
    pr_tid c = toy_node(w->g, &toy_rotate, b, 0, 0);
    seen s = compare_all(w, c, false);
    assert_int_equal(s.n, 3);
    assert_true(s.d[0].apart == 0.0 && s.d[2].apart == 0.0);
    assert_true(s.d[1].apart == 2.0 && s.d[1].largest == 2.0);
    assert_int_equal(s.d[1].at, 5);
}

static void an_update_shows_in_its_parameter(void **state) {
    world *w = *state;
    const pr_op wrong = with_kernel(&toy_write, write_wrongly);
    pr_tid p = pr_graph_param(w->g, "w");
    pr_graph_phase(w->g, PR_UPDATE);
    pr_tid y = toy_node(w->g, &wrong, p, 0, w->x);
    seen s = compare_all(w, y, true);
    assert_int_equal(s.n, 2);
    assert_true(s.d[0].apart == 0.0);
    assert_string_equal(s.d[1].value, "w");
    assert_string_equal(s.d[1].node, "write");
    assert_int_equal(s.d[1].phase, PR_UPDATE);
    assert_true(s.d[1].apart == 1.0 && s.d[1].at == 3);
}

static void rows_past_a_sparse_gradients_list_mean_nothing(void **state) {
    world *w = *state;
    const pr_op one_row = with_kernel(&toy_sparse, hold_one_row);
    seen s = compare_all(w, toy_node(w->g, &one_row, w->x, 0, 0), false);
    assert_int_equal(s.n, 2);
    assert_true(pr_shape_equal(s.d[0].shape, pr_shape_2(1, WIDTH)));
    assert_true(pr_shape_equal(s.d[1].shape, pr_shape_1(1)));
    assert_true(s.d[0].apart == 0.0 && s.d[1].apart == 0.0);
}

static void nan_differs_from_numbers_alone(void **state) {
    world *w = *state;
    const pr_op to_nan = with_kernel(&toy_mix, mix_to_nan);
    seen s = compare_all(w, toy_node(w->g, &to_nan, w->x, 0, 0), false);
    assert_true(isinf(s.d[0].apart) && isinf(s.d[0].largest) && s.d[0].at == 2);
    assert_true(isfinite(s.d[0].norm));
}

static void a_report_can_end_it(void **state) {
    world *w = *state;
    seen s = {.end = "mix"};
    pr_error err = {0};
    pr_tid y = toy_node(w->g, &toy_rotate, toy_node(w->g, &toy_mix, w->x, 0, 0), 0, 0);
    plan_for(w, y, false);
    other o = open_other(w, w->g, y, false);
    assert_int_equal(compare(w, &o, &s, &err), PR_CANCELLED);
    assert_string_equal(err.message, "the comparison ended at 'mix'");
    assert_int_equal(s.n, 1);
    close_other(&o);
}

static void plans_of_two_graphs_are_refused(void **state) {
    world *w = *state;
    pr_error err = {0};
    seen s = {.n = 0};
    plan_for(w, toy_node(w->g, &toy_mix, w->x, 0, 0), false);
    pr_graph *g = pr_graph_new(w->store);
    pr_tid x = pr_graph_input(g, "x", PR_F32, pr_shape_2(PR_TOKENS, WIDTH));
    other o = open_other(w, g, toy_node(g, &toy_rotate, x, 0, 0), false);
    assert_int_equal(compare(w, &o, &s, &err), PR_BAD_ARGUMENT);
    assert_string_equal(err.message, "the plans to compare are not of one graph");
    close_other(&o);
    pr_graph_free(g);
}

typedef struct trial {
    world *w;
    other o;
    seen s;
} trial;

static bool try_comparing(void *context) {
    trial *t = context;
    pr_error err = {0};
    pr_status status = compare(t->w, &t->o, &t->s, &err);
    assert_int_equal(status, err.code);
    return status == PR_OK;
}

static void memory_may_fail(void **state) {
    trial t = {.w = *state};
    pr_tid y = toy_node(t.w->g, &toy_mix, t.w->x, 0, 0);
    plan_for(t.w, y, false);
    t.o = open_other(t.w, t.w->g, y, false);
    alloc_fault_every(try_comparing, &t);
    close_other(&t.o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAN_CASE(right_kernels_differ_nowhere),
        PLAN_CASE(a_wrong_kernel_stands_alone),
        PLAN_CASE(an_update_shows_in_its_parameter),
        PLAN_CASE(rows_past_a_sparse_gradients_list_mean_nothing),
        PLAN_CASE(nan_differs_from_numbers_alone),
        PLAN_CASE(a_report_can_end_it),
        PLAN_CASE(plans_of_two_graphs_are_refused),
        PLAN_CASE(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
