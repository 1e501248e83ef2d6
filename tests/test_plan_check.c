/* Plans: what the check finds in a spoilt one, and which requests are refused. */
#include "tests/plan_world.h"
#include "tests/toy.h"

/* x -> a -> b, c = a with b; all of one size, so that any two can be made to overlap. */
static void plan_planted(world *w, pr_tid t[3]) {
    t[0] = toy_node(w->g, &toy_mix, w->x, 0, 0);
    t[1] = toy_node(w->g, &toy_rotate, t[0], 0, 0);
    t[2] = toy_node(w->g, &toy_mix, t[1], t[0], 0);
    plan_with(w, t[2], (pr_plan_options){.pinned = true});
    assert_int_equal(pr_plan_check(w->plan, NULL), PR_OK);
}

static void assert_found(world *w, const char *part) {
    pr_error err = {0};
    assert_int_equal(pr_plan_check(w->plan, &err), PR_INTERNAL);
    if (!strstr(err.message, part)) fail_msg("%s", err.message);
}

static pr_block *block_of(world *w, pr_tid t) {
    return &w->plan->block[w->plan->value[t].block];
}

static void the_check_finds_an_overwritten_value(void **state) {
    world *w = *state;
    pr_tid t[3];
    plan_planted(w, t);
    block_of(w, t[1])->offset = block_of(w, t[0])->offset; /* rotate may, but c reads a later */
    assert_found(w, "reads 'mix' before it is there or after it is gone");
    block_of(w, t[1])->offset = block_of(w, t[0])->offset + 64; /* half over its input */
    assert_found(w, "writes 'rotate' over its input 'mix'");
}

static void the_check_finds_an_overwritten_input(void **state) {
    world *w = *state;
    pr_tid t[3];
    plan_planted(w, t);
    block_of(w, t[1])->offset = block_of(w, w->x)->offset;
    assert_found(w, "'x' does not last to the end");
}

static void the_check_finds_outputs_over_each_other(void **state) {
    world *w = *state;
    pr_tid t[3], out[3];
    plan_planted(w, t);
    pr_graph_node(w->g, &toy_split, &t[2], (pr_attr){0}, out);
    plan_with(w, out[2], (pr_plan_options){.pinned = true});
    block_of(w, out[0])->offset = block_of(w, out[2])->offset;
    assert_found(w, "writes 'split:2' over 'split'");
}

static void the_check_finds_a_clash_with_scratch_memory(void **state) {
    world *w = *state;
    pr_tid t[3];
    plan_planted(w, t);
    pr_block *scratch = &w->plan->block[w->plan->step[1].workspace];
    size_t before = scratch->offset;
    scratch->offset = block_of(w, t[1])->offset;
    assert_found(w, "writes 'scratch memory' over 'rotate'");
    scratch->offset = block_of(w, t[0])->offset;
    assert_found(w, "writes 'scratch memory' over its input 'mix'");
    scratch->offset = block_of(w, w->x)->offset;
    assert_found(w, "'x' does not last to the end");
    scratch->offset = before;
    assert_int_equal(pr_plan_check(w->plan, NULL), PR_OK);
}

static void the_check_finds_a_value_outside_or_askew(void **state) {
    world *w = *state;
    pr_tid t[3];
    plan_planted(w, t);
    block_of(w, t[1])->offset = w->plan->report.arena;
    assert_found(w, "'rotate' is placed outside the arena or askew");
    block_of(w, t[1])->offset = 4;
    assert_found(w, "'rotate' is placed outside the arena or askew");
}

static void the_check_finds_a_forgotten_step(void **state) {
    world *w = *state;
    pr_tid t[3];
    plan_planted(w, t);
    pr_step first = w->plan->step[0];
    w->plan->step[0] = w->plan->step[1];
    w->plan->step[1] = first;
    assert_found(w, "rotate 'rotate' reads 'mix' before it is there");
}

/* ---- refusals ---- */

static void assert_no_plan(world *w, pr_tid wanted, bool training, pr_status code,
                           const char *message) {
    pr_plan_options options = {
        .capacity = capacity, .wanted = &wanted, .n_wanted = 1, .training = training};
    pr_error err = {0};
    assert_null(pr_plan_new(w->g, w->store, w->backend, &options, &err));
    assert_string_equal(err.message, message);
    assert_int_equal(err.code, code);
}

static void only_updates_write_and_only_what_trains(void **state) {
    world *w = *state;
    pr_tid p = pr_graph_param(w->g, "w"), q = pr_graph_param(w->g, "frozen");
    pr_tid y = toy_node(w->g, &toy_write, p, 0, 0);
    assert_no_plan(w, y, true, PR_BAD_GRAPH, "write 'write' may not write 'w'");
    pr_graph_phase(w->g, PR_UPDATE);
    pr_tid z = toy_node(w->g, &toy_write, q, 0, 0);
    assert_no_plan(w, z, false, PR_BAD_GRAPH, "write 'write.1' writes 'frozen', which is frozen");
    pr_tid v = toy_node(w->g, &toy_write, w->x, 0, 0);
    assert_no_plan(w, v, false, PR_BAD_GRAPH, "write 'write.2' may not write 'x'");
}

static void a_later_phase_cannot_be_read(void **state) {
    world *w = *state;
    pr_graph_phase(w->g, PR_BACKWARD);
    pr_tid y = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_graph_phase(w->g, PR_FORWARD);
    pr_tid z = toy_node(w->g, &toy_rotate, y, 0, 0);
    assert_no_plan(w, z, true, PR_BAD_GRAPH,
                   "rotate 'rotate' reads 'mix', which a later phase computes");
}

static void bad_requests_are_refused(void **state) {
    world *w = *state;
    pr_graph_scope(w->g, "blk.1");
    pr_tid y = toy_node(w->g, &toy_nowhere, w->x, 0, 0);
    assert_no_plan(w, y, true, PR_UNSUPPORTED,
                   "nowhere 'blk.1/nowhere': there is no kernel for the backend 'cpu'");
    assert_no_plan(w, 99, true, PR_BAD_ARGUMENT, "wanted output 0 is no tensor of this graph");
    pr_tid s = pr_graph_state(w->g, 0, PR_STATE_FIRST, PR_F32, pr_shape_1(4));
    assert_no_plan(w, s, true, PR_BAD_ARGUMENT, "'w/first' has 0 bytes in the store, and needs 16");
    pr_graph_fault(w->g, "a fault");
    assert_no_plan(w, w->x, true, PR_BAD_GRAPH, "a fault");
}

static void too_large_a_capacity_is_refused(void **state) {
    world *w = *state;
    pr_tid y = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_plan_options options = {.capacity = {INT64_MAX / 2, 1, 1}, .wanted = &y, .n_wanted = 1};
    pr_error err = {0};
    assert_null(pr_plan_new(w->g, w->store, w->backend, &options, &err));
    assert_string_equal(err.message, "'x' is too large at this capacity");
    options.capacity.tokens = -1;
    err = (pr_error){0};
    assert_null(pr_plan_new(w->g, w->store, w->backend, &options, &err));
    assert_int_equal(err.code, PR_BAD_ARGUMENT);
}

/* Kernels are told a run's own extent in 32 bits then. */
static void a_backend_that_rounds_up_takes_31_bits(void **state) {
    world *w = *state;
    pr_tid y = toy_node(w->g, &toy_mix, w->x, 0, 0);
    const pr_extent over[] = {{INT32_MAX, 1, 1}, {1, INT32_MAX, 1}, {1, 1, INT32_MAX}};
    w->backend->token_step = 64;
    for (size_t i = 0; i < sizeof over / sizeof *over; i++) {
        pr_plan_options options = {.capacity = over[i], .wanted = &y, .n_wanted = 1};
        pr_error err = {0};
        assert_null(pr_plan_new(w->g, w->store, w->backend, &options, &err));
        assert_string_equal(err.message, "a plan's capacity is out of range");
    }
}

static void a_plan_is_fed_and_fetched_as_it_was_made(void **state) {
    world *w = *state;
    float x[256 * 4] = {0};
    pr_tid unread = pr_graph_input(w->g, "unread", PR_F32, pr_shape_2(PR_TOKENS, 4));
    pr_tid y = toy_node(w->g, &toy_mix, w->x, 0, 0);
    plan_for(w, y, false);
    pr_error err = {0};
    assert_int_equal(pr_plan_feed(w->plan, unread, three, x, NULL), PR_OK);
    assert_int_equal(pr_plan_feed(w->plan, y, three, x, NULL), PR_BAD_ARGUMENT);
    assert_int_equal(pr_plan_feed(w->plan, 0, three, x, NULL), PR_BAD_ARGUMENT);
    assert_int_equal(pr_plan_feed(w->plan, 50, three, x, NULL), PR_BAD_ARGUMENT);
    const pr_extent over[] = {{65, 1, 1}, {1, 5, 1}, {1, 1, 65}, {-1, 1, 1}};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pr_plan_feed(w->plan, w->x, over[i], x, NULL), PR_BAD_ARGUMENT);
        assert_int_equal(pr_plan_run(w->plan, over[i], NULL), PR_BAD_ARGUMENT);
        assert_int_equal(pr_plan_fetch(w->plan, y, over[i], x, NULL), PR_BAD_ARGUMENT);
    }
    assert_int_equal(pr_plan_fetch(w->plan, w->x, three, x, &err), PR_BAD_ARGUMENT);
    assert_string_equal(err.message, "tensor 1 ('x') is not among the wanted outputs");
}

static void a_plan_without_an_arena_does_not_run(void **state) {
    world *w = *state;
    pr_tid y = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_plan_options options = {.capacity = capacity, .wanted = &y, .n_wanted = 1};
    pr_plan *plan = pr_plan_new(w->g, w->store, w->backend, &options, NULL);
    assert_int_equal(pr_plan_run(plan, three, NULL), PR_BAD_ARGUMENT);
    pr_plan_free(plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLAN_CASE(the_check_finds_an_overwritten_value),
        PLAN_CASE(the_check_finds_an_overwritten_input),
        PLAN_CASE(the_check_finds_outputs_over_each_other),
        PLAN_CASE(the_check_finds_a_clash_with_scratch_memory),
        PLAN_CASE(the_check_finds_a_value_outside_or_askew),
        PLAN_CASE(the_check_finds_a_forgotten_step),
        PLAN_CASE(only_updates_write_and_only_what_trains),
        PLAN_CASE(a_later_phase_cannot_be_read),
        PLAN_CASE(bad_requests_are_refused),
        PLAN_CASE(too_large_a_capacity_is_refused),
        PLAN_CASE(a_backend_that_rounds_up_takes_31_bits),
        PLAN_CASE(a_plan_is_fed_and_fetched_as_it_was_made),
        PLAN_CASE(a_plan_without_an_arena_does_not_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
