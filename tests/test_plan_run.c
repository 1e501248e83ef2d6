/* Plans: running them, watching them run, and memory that fails. */
#include <math.h>

#include "tests/alloc_fault.h"
#include "tests/plan_world.h"
#include "tests/toy.h"

static void a_plan_outlives_its_graph(void **state) {
    world *w = *state;
    pr_graph_mark(w->g);
    pr_graph_scope(w->g, "late");
    pr_tid y = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_tid z = toy_node(w->g, &toy_fail, y, 0, 0);
    plan_for(w, z, false);
    pr_graph_rewind(w->g);
    pr_graph_free(w->g);
    w->g = NULL;
    pr_error err = {0};
    assert_int_equal(pr_plan_run(w->plan, three, &err), PR_NOT_FINITE);
    assert_string_equal(err.message, "fail 'late/fail' failed");
}

static void poison_reaches_what_died_and_nothing_else(void **state) {
    world *w = *state;
    float out[12];
    pr_tid a = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_tid b = toy_to(w->g, a, PR_TOKENS, 5);
    pr_tid c = toy_to(w->g, b, PR_TOKENS, 4);
    plan_with(w, c, (pr_plan_options){.poison = true, .pinned = true});
    run_3(w, c, out);
    assert_true(out[11] == 5.5f);
    const float *dead = w->plan->value[a].address, *input = w->plan->value[w->x].address;
    assert_true(isnan(dead[0]) && isnan(dead[255]));
    assert_true(input[11] == 11.0f);
}

static pr_status note_call(void *context, const pr_call *call, const pr_op *op, double seconds) {
    FILE *seen = context;
    assert_true(seconds >= 0.0 && call->extent.tokens == 3 && call->in[0].shape.dim[0] == 3);
    fprintf(seen, "%s ", op->name);
    return op == &toy_rotate ? PR_CANCELLED : PR_OK;
}

static void a_watch_sees_each_node_and_can_stop_the_run(void **state) {
    world *w = *state;
    char text[64] = "";
    FILE *seen = fmemopen(text, sizeof text, "w");
    pr_tid a = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_tid b = toy_node(w->g, &toy_rotate, a, 0, 0);
    pr_tid c = toy_node(w->g, &toy_mix, b, 0, 0);
    plan_for(w, c, false);
    pr_plan_set_watch(w->plan, note_call, seen);
    assert_int_equal(pr_plan_run(w->plan, three, NULL), PR_CANCELLED);
    fclose(seen);
    assert_string_equal(text, "mix rotate ");
    pr_plan_set_watch(w->plan, NULL, NULL);
    assert_int_equal(pr_plan_run(w->plan, three, NULL), PR_OK);
}

/* For the extent of the run, not the capacity: x and y are (3, 4) of f32. */
static void what_a_run_costs(void **state) {
    world *w = *state;
    float out[12];
    double flops = -1.0, bytes = -1.0;
    pr_tid y = toy_node(w->g, &toy_mix, toy_node(w->g, &toy_mix, w->x, 0, 0), 0, 0);
    plan_for(w, y, false);
    run_3(w, y, out);
    pr_plan_cost(w->plan, &flops, &bytes);
    assert_true(flops == 2 * 3.0 * TOY_FLOPS);
    assert_true(bytes == 2 * 2 * 48.0);
}

static void running_allocates_nothing(void **state) {
    world *w = *state;
    float out[12];
    pr_tid y = toy_node(w->g, &toy_rotate, w->x, 0, 0);
    plan_for(w, y, true);
    alloc_fault_arm(0);
    for (int i = 0; i < 3; i++)
        run_3(w, y, out);
    assert_int_equal(alloc_fault_count(), 0);
    assert_true(out[0] == 1.0f && out[11] == 0.0f);
}

static bool make_plans(void *context) {
    world *w = context;
    pr_tid y = pr_graph_find(w->g, "rotate");
    pr_plan_options options = {.capacity = capacity, .wanted = &y, .n_wanted = 1, .training = true};
    pr_error err = {0};
    pr_plan *plan = pr_plan_new(w->g, w->store, w->backend, &options, &err);
    if (!plan) assert_int_equal(err.code, PR_NO_MEMORY);
    pr_plan_free(plan);
    return plan != NULL;
}

static void every_failing_allocation_is_reported(void **state) {
    world *w = *state;
    toy_node(w->g, &toy_rotate, toy_node(w->g, &toy_mix, w->x, 0, 0), 0, 0);
    alloc_fault_every(make_plans, w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAN_CASE(a_plan_outlives_its_graph),
        PLAN_CASE(poison_reaches_what_died_and_nothing_else),
        PLAN_CASE(a_watch_sees_each_node_and_can_stop_the_run),
        PLAN_CASE(what_a_run_costs),
        PLAN_CASE(running_allocates_nothing),
        PLAN_CASE(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
