/* Plans: which nodes they keep, where values lie, what the report says. */
#include "tests/plan_world.h"
#include "tests/toy.h"

/* ---- which nodes ---- */

static void only_what_is_wanted_is_kept(void **state) {
    world *w = *state;
    pr_tid y = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_tid z = toy_node(w->g, &toy_rotate, w->x, 0, 0);
    pr_tid both = toy_node(w->g, &toy_mix, y, z, 0);
    plan_for(w, y, true);
    assert_int_equal(pr_plan_get_report(w->plan)->nodes, 1);
    assert_true(pr_plan_get_report(w->plan)->flops == TOY_FLOPS * 64);
    plan_for(w, both, true);
    assert_int_equal(pr_plan_get_report(w->plan)->nodes, 3);
}

static void updates_are_kept_in_training_alone(void **state) {
    world *w = *state;
    pr_tid p = pr_graph_param(w->g, "w");
    pr_tid y = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_graph_phase(w->g, PR_UPDATE);
    toy_node(w->g, &toy_write, p, 0, y);
    plan_for(w, y, false);
    assert_int_equal(pr_plan_get_report(w->plan)->nodes, 1);
    assert_int_equal(pr_plan_get_report(w->plan)->weights, 0);
    plan_for(w, y, true);
    assert_int_equal(pr_plan_get_report(w->plan)->nodes, 2);
    assert_int_equal(pr_plan_get_report(w->plan)->weights, 16);
}

static void the_prologue_comes_with_what_it_writes(void **state) {
    world *w = *state;
    pr_tid p = pr_graph_param(w->g, "w"), q = pr_graph_param(w->g, "frozen");
    pr_tid y = toy_to(w->g, p, PR_TOKENS, 4), z = toy_to(w->g, q, PR_TOKENS, 4);
    pr_graph_phase(w->g, PR_PROLOGUE);
    toy_node(w->g, &toy_write, p, 0, 0);
    float out[12];
    plan_for(w, y, false);
    assert_int_equal(pr_plan_get_report(w->plan)->nodes, 2);
    run_3(w, y, out);
    assert_true(out[0] == 0.25f); /* it ran first */
    plan_for(w, z, false);
    assert_int_equal(pr_plan_get_report(w->plan)->nodes, 1);
}

static void dropout_is_left_out_of_evaluation(void **state) {
    world *w = *state;
    pr_tid y = toy_node(w->g, &toy_drop, w->x, 0, 0);
    pr_tid z = toy_node(w->g, &toy_drop, y, 0, 0);
    float out[12];
    plan_for(w, z, false); /* an input, in the end */
    assert_int_equal(pr_plan_get_report(w->plan)->nodes, 0);
    run_3(w, z, out);
    assert_true(out[11] == 11.0f);
    plan_for(w, z, true);
    assert_int_equal(pr_plan_get_report(w->plan)->nodes, 2);
    run_3(w, z, out);
    assert_true(out[11] == 11.0f / 16.0f);
}

static void parameters_and_inputs_can_be_wanted(void **state) {
    world *w = *state;
    const float values[4] = {1, 2, 3, 4};
    float out[12];
    pr_tid p = pr_graph_param(w->g, "frozen");
    pr_store_write(w->store, 1, values, NULL);
    plan_for(w, p, false);
    assert_int_equal(pr_plan_run(w->plan, three, NULL), PR_OK);
    assert_int_equal(pr_plan_fetch(w->plan, p, three, out, NULL), PR_OK);
    assert_memory_equal(out, values, sizeof values);
    plan_for(w, w->x, false);
    run_3(w, w->x, out);
    assert_true(out[7] == 7.0f);
}

/* ---- places ---- */

static size_t offset_of(const world *w, pr_tid t) {
    return w->plan->block[w->plan->value[t].block].offset;
}

static void a_value_takes_the_place_of_one_that_dies(void **state) {
    world *w = *state;
    pr_tid a = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_tid b = toy_node(w->g, &toy_mix, a, 0, 0);
    plan_for(w, b, false);
    assert_int_equal(offset_of(w, a), offset_of(w, b));
    assert_int_not_equal(offset_of(w, a), offset_of(w, w->x)); /* inputs stay */
    assert_int_equal(pr_plan_get_report(w->plan)->arena, 2 * BLOCK);
    plan_with(w, b, (pr_plan_options){.pinned = true});
    assert_int_not_equal(offset_of(w, a), offset_of(w, b));
    assert_int_equal(pr_plan_get_report(w->plan)->arena, 3 * BLOCK);
}

static void what_is_added_onto_is_taken_first(void **state) {
    world *w = *state;
    pr_tid a = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_tid b = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_tid c = toy_node(w->g, &toy_mix, a, 0, b);
    plan_for(w, c, false);
    assert_int_equal(offset_of(w, c), offset_of(w, b));
}

static void a_value_read_twice_or_later_is_not_taken(void **state) {
    world *w = *state;
    pr_tid a = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_tid twice = toy_node(w->g, &toy_mix, a, 0, a);
    pr_tid b = toy_node(w->g, &toy_mix, twice, 0, 0);
    pr_tid c = toy_node(w->g, &toy_mix, b, twice, 0);
    plan_for(w, c, false);
    assert_int_not_equal(offset_of(w, twice), offset_of(w, a)); /* two slots read it */
    assert_int_not_equal(offset_of(w, b), offset_of(w, twice)); /* c reads it later */
    assert_int_equal(offset_of(w, c), offset_of(w, b));
}

static void an_alias_keeps_its_value_alive(void **state) {
    world *w = *state;
    pr_tid a = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_tid alias = toy_node(w->g, &toy_drop, a, 0, 0);
    pr_tid b = toy_node(w->g, &toy_mix, a, 0, 0);
    pr_tid c = toy_node(w->g, &toy_mix, b, alias, 0);
    plan_for(w, c, false);
    assert_int_not_equal(offset_of(w, b), offset_of(w, a));
    pr_tid d = toy_node(w->g, &toy_mix, alias, 0, a);
    plan_for(w, d, false); /* one value in two slots */
    assert_int_not_equal(offset_of(w, d), offset_of(w, a));
}

static void unread_optional_outputs_get_no_place(void **state) {
    world *w = *state;
    pr_tid out[3];
    pr_graph_node(w->g, &toy_split, &w->x, (pr_attr){0}, out);
    plan_for(w, out[0], false);
    assert_int_equal(pr_plan_get_report(w->plan)->arena, 3 * BLOCK); /* x, out[0], out[2] */
    assert_null(w->plan->step[0].call.out[1].data);
    assert_non_null(w->plan->step[0].call.out[2].data);
    plan_for(w, out[1], false);
    assert_int_equal(pr_plan_get_report(w->plan)->arena, 4 * BLOCK);
}

static void the_report_adds_up(void **state) {
    world *w = *state;
    pr_tid p = pr_graph_param(w->g, "w");
    pr_store_make_state(w->store, 0, PR_STATE_FIRST, 16, NULL);
    pr_tid s = pr_graph_state(w->g, 0, PR_STATE_FIRST, PR_F32, pr_shape_1(4));
    pr_tid y = toy_node(w->g, &toy_rotate, w->x, 0, 0);
    pr_graph_phase(w->g, PR_BACKWARD);
    pr_tid gradient = toy_to(w->g, y, 4, 100);
    pr_graph_set_gradient(w->g, p, gradient);
    pr_graph_phase(w->g, PR_UPDATE);
    toy_node(w->g, &toy_write, p, s, gradient);
    plan_for(w, y, true);
    const pr_plan_report *r = pr_plan_get_report(w->plan);
    assert_int_equal(r->weights, 16);
    assert_int_equal(r->moments, 16);
    assert_int_equal(r->gradients, 1600);
    assert_int_equal(r->activations + r->gradients, r->arena);
    assert_int_equal(r->lower_bound, r->arena);
    /* x, y, and either the workspace or the gradient with the update's number */
    assert_int_equal(r->arena, 2 * BLOCK + 1600 + 64);
}

static void places_are_reused_as_tightly_as_can_be(void **state) {
    (void)state;
    pr_block blocks[] = {
        {.bytes = 50, .first = 0, .last = 1},  {.bytes = 200, .first = 1, .last = 1},
        {.bytes = 300, .first = 3, .last = 4}, {.bytes = 1, .first = 2, .last = 3},
        {.bytes = 0, .first = -1, .last = 5},
    };
    size_t arena, peak;
    assert_int_equal(pr_plan_place(blocks, 5, 64, false, &arena, NULL), PR_OK);
    assert_int_equal(pr_plan_peak(blocks, 5, 5, &peak, NULL), PR_OK);
    assert_int_equal(blocks[2].offset, 0); /* the largest */
    assert_int_equal(blocks[1].offset, 0); /* at another time */
    assert_int_equal(arena, 64 + 320 + 64);
    assert_int_equal(peak, arena);
    for (int i = 0; i < 5; i++)
        assert_int_equal(blocks[i].offset % 64, 0);
    pr_block huge[] = {{.bytes = SIZE_MAX - 100}, {.bytes = 1000}};
    pr_error err = {0};
    assert_int_equal(pr_plan_place(huge, 2, 64, false, &arena, &err), PR_NO_MEMORY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAN_CASE(only_what_is_wanted_is_kept),
        PLAN_CASE(updates_are_kept_in_training_alone),
        PLAN_CASE(the_prologue_comes_with_what_it_writes),
        PLAN_CASE(dropout_is_left_out_of_evaluation),
        PLAN_CASE(parameters_and_inputs_can_be_wanted),
        PLAN_CASE(a_value_takes_the_place_of_one_that_dies),
        PLAN_CASE(what_is_added_onto_is_taken_first),
        PLAN_CASE(a_value_read_twice_or_later_is_not_taken),
        PLAN_CASE(an_alias_keeps_its_value_alive),
        PLAN_CASE(unread_optional_outputs_get_no_place),
        PLAN_CASE(the_report_adds_up),
        PLAN_CASE(places_are_reused_as_tightly_as_can_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
