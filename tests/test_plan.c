/* Plans: which nodes they keep, where values lie, what the check finds, and running. */
#include "tests/test.h"

#include <math.h>

#include "backends/cpu.h"
#include "graph/plan_internal.h"
#include "tests/alloc_fault.h"
#include "tests/toy.h"

static const pr_extent capacity = {64, 4, 64}, three = {3, 2, 2};

enum { BLOCK = 64 * 4 * sizeof(float) }; /* a (N, 4) at capacity */

typedef struct world {
    pr_backend *backend;
    pr_store *store;
    pr_graph *g;
    pr_tid x; /* (N, 4) */
    pr_plan *plan;
    void *arena;
} world;

static int set_up(void **state) {
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

static int tear_down(void **state) {
    world *w = *state;
    drop_plan(w);
    pr_graph_free(w->g);
    pr_store_free(w->store);
    pr_backend_free(w->backend);
    free(w);
    return 0;
}

/* A plan for one wanted output, with its arena. */
static void plan_with(world *w, pr_tid wanted, pr_plan_options options) {
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

static void plan_for(world *w, pr_tid wanted, bool training) {
    plan_with(w, wanted, (pr_plan_options){.training = training});
}

static void assert_no_plan(world *w, pr_tid wanted, bool training, pr_status code,
                           const char *message) {
    pr_plan_options options = {capacity, &wanted, 1, training, false, false};
    pr_error err = {0};
    assert_null(pr_plan_new(w->g, w->store, w->backend, &options, &err));
    assert_string_equal(err.message, message);
    assert_int_equal(err.code, code);
}

static size_t offset_of(const world *w, pr_tid t) {
    return w->plan->block[w->plan->value[t].block].offset;
}

static void run_3(world *w, pr_tid wanted, float *y) {
    const float x[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    assert_int_equal(pr_plan_feed(w->plan, w->x, three, x, NULL), PR_OK);
    assert_int_equal(pr_plan_run(w->plan, three, NULL), PR_OK);
    assert_int_equal(pr_plan_fetch(w->plan, wanted, three, y, NULL), PR_OK);
}

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

/* ---- the check ---- */

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

/* ---- refusals ---- */

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
    pr_plan_options options = {capacity, &y, 1, false, false, false};
    pr_plan *plan = pr_plan_new(w->g, w->store, w->backend, &options, NULL);
    assert_int_equal(pr_plan_run(plan, three, NULL), PR_BAD_ARGUMENT);
    pr_plan_free(plan);
}

/* ---- running ---- */

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
    char *seen = context;
    assert_true(seconds >= 0.0 && call->extent.tokens == 3 && call->in[0].shape.dim[0] == 3);
    strcat(strcat(seen, op->name), " ");
    return op == &toy_rotate ? PR_CANCELLED : PR_OK;
}

static void a_watch_sees_each_node_and_can_stop_the_run(void **state) {
    world *w = *state;
    char seen[64] = "";
    pr_tid a = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_tid b = toy_node(w->g, &toy_rotate, a, 0, 0);
    pr_tid c = toy_node(w->g, &toy_mix, b, 0, 0);
    plan_for(w, c, false);
    pr_plan_set_watch(w->plan, note_call, seen);
    assert_int_equal(pr_plan_run(w->plan, three, NULL), PR_CANCELLED);
    assert_string_equal(seen, "mix rotate ");
    pr_plan_set_watch(w->plan, NULL, NULL);
    assert_int_equal(pr_plan_run(w->plan, three, NULL), PR_OK);
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
    pr_plan_options options = {capacity, &y, 1, true, false, false};
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

/* ---- the graph as a picture ---- */

static void a_graph_is_drawn(void **state) {
    world *w = *state;
    pr_graph_input(w->g, "a \"quoted\" name", PR_I32, pr_shape_1(PR_OFFSETS));
    pr_graph_scope(w->g, "blk.0");
    pr_tid y = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_graph_phase(w->g, PR_BACKWARD);
    toy_node(w->g, &toy_mix, y, y, 0);
    pr_graph_param(w->g, "w");
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    assert_int_equal(pr_graph_dot(w->g, out), PR_OK);
    fclose(out);
    static const char *const parts[] = {
        "digraph primer {",
        "t1 [shape=invhouse, label=\"x\\nf32 (N, 4)\"];",
        "label=\"a \\\"quoted\\\" name\\ni32 (B+1)\"];",
        "label=\"w\\nf32 (4)\", style=bold];",
        "subgraph cluster_forward {\n    label=\"forward\";\n    n0 [label=\"blk.0/mix\"];",
        "t1 -> n0 [label=\"(N, 4)\"];",
        "n0 -> n1 [label=\"(N, 4)\"];\n  n0 -> n1",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!strstr(text, parts[i])) fail_msg("no %s in\n%s", parts[i], text);
    }
    free(text);
    FILE *full = fopen("/dev/full", "w");
    assert_int_equal(pr_graph_dot(w->g, full), PR_IO);
    fclose(full);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(only_what_is_wanted_is_kept),
        CASE(updates_are_kept_in_training_alone),
        CASE(the_prologue_comes_with_what_it_writes),
        CASE(dropout_is_left_out_of_evaluation),
        CASE(parameters_and_inputs_can_be_wanted),
        CASE(a_value_takes_the_place_of_one_that_dies),
        CASE(what_is_added_onto_is_taken_first),
        CASE(a_value_read_twice_or_later_is_not_taken),
        CASE(an_alias_keeps_its_value_alive),
        CASE(unread_optional_outputs_get_no_place),
        CASE(the_report_adds_up),
        CASE(places_are_reused_as_tightly_as_can_be),
        CASE(the_check_finds_an_overwritten_value),
        CASE(the_check_finds_an_overwritten_input),
        CASE(the_check_finds_outputs_over_each_other),
        CASE(the_check_finds_a_clash_with_scratch_memory),
        CASE(the_check_finds_a_value_outside_or_askew),
        CASE(the_check_finds_a_forgotten_step),
        CASE(only_updates_write_and_only_what_trains),
        CASE(a_later_phase_cannot_be_read),
        CASE(bad_requests_are_refused),
        CASE(too_large_a_capacity_is_refused),
        CASE(a_plan_is_fed_and_fetched_as_it_was_made),
        CASE(a_plan_without_an_arena_does_not_run),
        CASE(a_plan_outlives_its_graph),
        CASE(poison_reaches_what_died_and_nothing_else),
        CASE(a_watch_sees_each_node_and_can_stop_the_run),
        CASE(running_allocates_nothing),
        CASE(every_failing_allocation_is_reported),
        CASE(a_graph_is_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
