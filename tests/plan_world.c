#include "tests/plan_world.h"

#include "backends/cpu.h"

int plan_set_up(void **state) {
    world *w = calloc(1, sizeof *w);
    w->backend = pr_cpu_new(1, NULL);
    w->store = pr_store_new(w->backend);
    pr_store_add(w->store, "w", pr_shape_1(4), NULL, NULL);
    pr_store_add(w->store, "frozen", pr_shape_1(4), NULL, NULL);
    pr_store_require_grad(w->store, "w", true, NULL);
    pr_store_settle(w->store, 0, NULL);
    w->g = pr_graph_new(w->store);
    w->x = pr_graph_input(w->g, "x", PR_F32, pr_shape_2(PR_TOKENS, 4));
    *state = w;
    return 0;
}

static void drop_plan(world *w) {
    size_t bytes = w->plan ? pr_plan_get_report(w->plan)->arena : 0;
    w->backend->free(w->backend, w->arena, bytes);
    pr_plan_free(w->plan);
    w->plan = NULL;
    w->arena = NULL;
}

int plan_tear_down(void **state) {
    world *w = *state;
    drop_plan(w);
    pr_graph_free(w->g);
    pr_store_free(w->store);
    pr_backend_free(w->backend);
    free(w);
    return 0;
}

void plan_with(world *w, pr_tid wanted, pr_plan_options options) {
    pr_error err = {0};
    drop_plan(w);
    options.capacity = capacity;
    options.wanted = &wanted;
    options.n_wanted = 1;
    w->plan = pr_plan_new(w->g, w->store, w->backend, &options, &err);
    if (!w->plan) fail_msg("%s", err.message);
    w->arena = w->backend->alloc(w->backend, pr_plan_get_report(w->plan)->arena);
    pr_plan_attach(w->plan, w->arena);
}

void plan_for(world *w, pr_tid wanted, bool training) {
    plan_with(w, wanted, (pr_plan_options){.training = training});
}

void run_3(world *w, pr_tid wanted, float *y) {
    const float x[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    assert_int_equal(pr_plan_feed(w->plan, w->x, three, x, NULL), PR_OK);
    assert_int_equal(pr_plan_run(w->plan, three, NULL), PR_OK);
    assert_int_equal(pr_plan_fetch(w->plan, wanted, three, y, NULL), PR_OK);
}
