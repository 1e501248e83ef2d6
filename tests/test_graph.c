/* Building graphs: names, faults that stick, marks and rewinds; and drawing them. */
#include "tests/test.h"

#include "backends/cpu.h"
#include "graph/graph.h"
#include "tests/alloc_fault.h"
#include "tests/toy.h"

typedef struct world {
    pr_backend *backend;
    pr_store *store;
    pr_graph *g;
    pr_tid x, w;
} world;

static int set_up(void **state) {
    world *w = calloc(1, sizeof *w);
    w->backend = pr_cpu_new(1, NULL);
    w->store = pr_store_new(w->backend);
    pr_store_add(w->store, "w.weight", pr_shape_2(3, 4), NULL, NULL);
    w->g = pr_graph_new(w->store);
    w->x = pr_graph_input(w->g, "x", PR_F32, pr_shape_2(PR_TOKENS, 4));
    w->w = pr_graph_param(w->g, "w.weight");
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    world *w = *state;
    pr_graph_free(w->g);
    pr_store_free(w->store);
    pr_backend_free(w->backend);
    free(w);
    return 0;
}

static void assert_fault(const pr_graph *g, const char *message) {
    pr_error err = {0};
    assert_int_equal(pr_graph_check(g, &err), PR_BAD_GRAPH);
    assert_string_equal(err.message, message);
}

static void leaves_know_what_they_are(void **state) {
    world *w = *state;
    const pr_tensor *x = pr_graph_tensor(w->g, w->x);
    assert_true(x->role == PR_ROLE_INPUT && x->node == -1 && x->param == -1);
    assert_string_equal(x->name, "x");
    assert_int_equal(pr_graph_param(w->g, "w.weight"), w->w);
    const pr_tensor *p = pr_graph_tensor(w->g, w->w);
    assert_true(p->role == PR_ROLE_PARAM && p->param == 0 && p->shape.dim[0] == 3);
    pr_tid s = pr_graph_state(w->g, 0, PR_STATE_SECOND, PR_F32, pr_shape_2(3, 4));
    assert_int_equal(pr_graph_state(w->g, 0, PR_STATE_SECOND, PR_F32, pr_shape_2(3, 4)), s);
    assert_true(pr_graph_tensor(w->g, s)->role == PR_ROLE_STATE);
    assert_true(pr_graph_tensor(w->g, s)->slot == PR_STATE_SECOND);
    assert_int_equal(pr_graph_find(w->g, "w.weight/second"), s);
    assert_null(pr_graph_tensor(w->g, 0));
    assert_null(pr_graph_tensor(w->g, s + 1));
    assert_null(pr_graph_get(w->g, 0));
}

static void nodes_are_named_after_scope_and_op(void **state) {
    world *w = *state;
    pr_graph_scope(w->g, "blk.%d.ffn_up", 3);
    pr_tid out[3];
    pr_tid first = pr_graph_node(w->g, &toy_split, &w->x, (pr_attr){0}, out);
    pr_tid second = toy_node(w->g, &toy_split, w->x, 0, 0);
    assert_int_equal(first, out[0]);
    assert_string_equal(pr_graph_get(w->g, 0)->name, "blk.3.ffn_up/split");
    assert_string_equal(pr_graph_tensor(w->g, first)->name, "blk.3.ffn_up/split");
    assert_string_equal(pr_graph_tensor(w->g, out[2])->name, "blk.3.ffn_up/split:2");
    assert_string_equal(pr_graph_tensor(w->g, second)->name, "blk.3.ffn_up/split.1");
    assert_int_equal(pr_graph_find(w->g, "blk.3.ffn_up/split.1:1"), second + 1);
    assert_int_equal(pr_graph_tensor(w->g, out[2])->node, 0);
    assert_int_equal(pr_graph_check(w->g, NULL), PR_OK);
}

static void a_sparse_gradient_lists_its_rows(void **state) {
    world *w = *state;
    pr_tid out[2];
    pr_graph_node(w->g, &toy_sparse, &w->x, (pr_attr){0}, out);
    assert_int_equal(pr_graph_tensor(w->g, out[0])->rows, out[1]);
    assert_int_equal(pr_graph_tensor(w->g, out[1])->rows, 0);
}

static void the_first_fault_sticks(void **state) {
    world *w = *state;
    int32_t nodes = pr_graph_nodes(w->g);
    pr_graph_scope(w->g, "blk.3");
    pr_tid out[3] = {9, 9, 9};
    assert_int_equal(toy_node(w->g, &toy_mix, w->x, w->w, 0), 0);
    assert_fault(w->g, "mix 'blk.3': (N, 4) does not fit (3, 4)");
    pr_graph_scope(w->g, "blk.4");
    assert_int_equal(toy_node(w->g, &toy_mix, 0, 0, 0), 0);
    assert_int_equal(pr_graph_node(w->g, &toy_split, &w->x, (pr_attr){0}, out), 0);
    assert_true(!out[0] && !out[1] && !out[2]);
    assert_int_equal(pr_graph_input(w->g, "y", PR_F32, pr_shape_1(1)), 0);
    assert_int_equal(pr_graph_fault(w->g, "another"), 0);
    assert_fault(w->g, "mix 'blk.3': (N, 4) does not fit (3, 4)");
    assert_int_equal(pr_graph_nodes(w->g), nodes);
}

static void none_is_a_fault_where_an_input_is_needed(void **state) {
    world *w = *state;
    pr_graph_scope(w->g, "here");
    toy_node(w->g, &toy_mix, 0, w->x, 0);
    assert_fault(w->g, "mix 'here': input 0 is missing");
}

static void a_number_that_is_no_tensor_is_a_fault(void **state) {
    world *w = *state;
    toy_node(w->g, &toy_mix, w->x, 77, 0);
    assert_fault(w->g, "mix: input 1 is missing");
}

static void an_unknown_parameter_is_a_fault(void **state) {
    world *w = *state;
    assert_int_equal(pr_graph_param(w->g, "v.weight"), 0);
    assert_fault(w->g, "there is no parameter 'v.weight'");
}

static void one_name_is_for_one_leaf(void **state) {
    world *w = *state;
    assert_int_equal(pr_graph_input(w->g, "w.weight", PR_F32, pr_shape_1(1)), 0);
    assert_fault(w->g, "there are two tensors of the name 'w.weight'");
}

static void an_impossible_output_is_a_fault(void **state) {
    world *w = *state;
    toy_to(w->g, w->x, PR_TOKENS, -3);
    assert_fault(w->g, "map: output 0 would have no possible shape");
}

static void a_gradient_is_added_onto_another(void **state) {
    world *w = *state;
    pr_tid old = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_tid d = toy_node(w->g, &toy_mix, w->x, w->x, 0);
    pr_graph_set_input(w->g, 1, 2, old);
    assert_int_equal(pr_graph_get(w->g, pr_graph_tensor(w->g, d)->node)->in[2], old);
    assert_int_equal(pr_graph_check(w->g, NULL), PR_OK);
    pr_graph_set_input(w->g, 0, 2, d);
    assert_fault(w->g, "mix 'mix': a new input must be made before it");
}

static void an_input_of_another_shape_is_not_taken(void **state) {
    world *w = *state;
    toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_graph_set_input(w->g, 0, 2, w->w);
    assert_fault(w->g, "mix 'mix': (N, 4) does not fit (3, 4)");
}

static void only_optional_inputs_are_replaced(void **state) {
    world *w = *state;
    toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_graph_set_input(w->g, 0, 0, w->x);
    assert_fault(w->g, "mix 'mix': input 0 can't be replaced");
}

static void a_rewind_undoes_all_behind_the_mark(void **state) {
    world *w = *state;
    pr_tid y = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_graph_mark(w->g);
    int32_t tensors = pr_graph_tensors(w->g), nodes = pr_graph_nodes(w->g);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(pr_graph_phase(w->g, PR_BACKWARD), PR_FORWARD);
        pr_graph_scope(w->g, "gradient");
        pr_tid d = toy_node(w->g, &toy_mix, y, 0, 0);
        assert_string_equal(pr_graph_tensor(w->g, d)->name, "gradient/mix");
        assert_int_equal(pr_graph_get(w->g, nodes)->phase, PR_BACKWARD);
        pr_graph_set_gradient(w->g, y, d);
        assert_int_equal(pr_graph_gradient(w->g, y), d);
        assert_int_equal(pr_graph_find(w->g, "gradient/mix"), d);
        if (round == 1) pr_graph_fault(w->g, "no gradient");
        pr_graph_rewind(w->g);
        assert_int_equal(pr_graph_check(w->g, NULL), PR_OK);
        assert_int_equal(pr_graph_tensors(w->g), tensors);
        assert_int_equal(pr_graph_nodes(w->g), nodes);
        assert_int_equal(pr_graph_gradient(w->g, y), 0);
        assert_int_equal(pr_graph_find(w->g, "gradient/mix"), 0);
        assert_int_equal(pr_graph_find(w->g, "mix"), y);
    }
}

static void a_second_mark_keeps_what_stands(void **state) {
    world *w = *state;
    pr_graph_rewind(w->g); /* no mark yet: nothing goes */
    assert_int_equal(pr_graph_tensors(w->g), 2);
    pr_graph_mark(w->g);
    pr_tid y = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_graph_mark(w->g);
    toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_graph_rewind(w->g);
    assert_int_equal(pr_graph_tensors(w->g), 3);
    assert_int_equal(pr_graph_find(w->g, "mix"), y);
}

static void a_fault_before_the_mark_stays(void **state) {
    world *w = *state;
    pr_graph_fault(w->g, "first");
    pr_graph_mark(w->g);
    pr_graph_rewind(w->g);
    assert_fault(w->g, "first");
}

static void old_nodes_take_no_input_that_a_rewind_drops(void **state) {
    world *w = *state;
    toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_graph_mark(w->g);
    pr_tid late = pr_graph_input(w->g, "late", PR_F32, pr_shape_2(PR_TOKENS, 4));
    pr_graph_set_input(w->g, 0, 2, late);
    assert_fault(w->g, "mix 'mix': a new input must be made before it");
}

static pr_tid mix_of(world *w, pr_tid t) {
    return toy_node(w->g, &toy_mix, t, 0, 0);
}

static void what_is_new_takes_the_place_of_a_node(void **state) {
    world *w = *state;
    pr_tid a = mix_of(w, w->x), b = mix_of(w, a), c = mix_of(w, b);
    pr_tid d = mix_of(w, w->x), e = mix_of(w, d);
    pr_graph_supersede(w->g, b, 3);
    assert_int_equal(pr_graph_check(w->g, NULL), PR_OK);
    /* a, the old maker of b, d, the new one, c */
    const pr_tid out[] = {a, e, d, b, c}, in[] = {w->x, a, w->x, d, b};
    for (int32_t i = 0; i < 5; i++) {
        assert_int_equal(pr_graph_get(w->g, i)->out[0], out[i]);
        assert_int_equal(pr_graph_get(w->g, i)->in[0], in[i]);
        assert_int_equal(pr_graph_tensor(w->g, out[i])->node, i);
        assert_int_equal(pr_graph_get(w->g, i)->superseded, i == 1);
    }
    bool *live = pr_graph_live(w->g);
    for (int32_t i = 0; i < 5; i++)
        assert_int_equal(live[i], i > 1); /* a is read by the old maker alone */
    free(live);
}

static void nodes_count_unless_only_the_superseded_read_them(void **state) {
    world *w = *state;
    pr_tid a = mix_of(w, w->x), b = mix_of(w, a);
    mix_of(w, a); /* nobody reads it: whoever wants it */
    mix_of(w, w->x);
    pr_graph_supersede(w->g, b, 3);
    bool *live = pr_graph_live(w->g);
    assert_true(live[0] && !live[1] && live[2] && live[3]);
    free(live);
}

static void what_cannot_supersede_is_a_fault(void **state) {
    (void)state;
    static const char *const words[] = {
        "nodes from 1 on can't supersede the one that makes tensor 3",
        "'mix.1' can't supersede 'mix': it has another shape",
        "nodes from 2 on can't supersede the one that makes tensor 3",
        "nodes from 1 on can't supersede the one that makes tensor 4",
        "nodes from 1 on can't supersede the one that makes tensor 1",
        "nodes from 1 on can't supersede the one that makes tensor 3",
    };
    for (int i = 0; i < 6; i++) {
        void *made;
        set_up(&made);
        world *w = made;
        pr_tid first = i == 3 ? toy_node(w->g, &toy_split, w->x, 0, 0) : mix_of(w, w->x);
        pr_tid other = pr_graph_input(w->g, "other", PR_F32, pr_shape_2(PR_TOKENS, 5));
        mix_of(w, i == 0 ? first : i == 1 ? other : w->x);
        if (i == 4) first = w->x;
        if (i == 5) pr_graph_mark(w->g);
        pr_graph_supersede(w->g, i == 3 ? first + 1 : first, i == 2 ? 2 : 1);
        assert_fault(w->g, words[i]);
        tear_down(&made);
    }
}

static bool build(void *context) {
    pr_store *store = context;
    pr_error err = {0};
    pr_graph *g = pr_graph_new(store);
    if (!g) return false;
    pr_tid x = pr_graph_input(g, "x", PR_F32, pr_shape_2(3, 4));
    pr_tid y = toy_node(g, &toy_mix, x, pr_graph_param(g, "w.weight"), 0);
    pr_graph_mark(g);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 40; i++) {
            pr_graph_scope(g, "round %d", i / 2);
            y = toy_node(g, &toy_split, y, 0, 0);
        }
        pr_graph_state(g, 0, PR_STATE_FIRST, PR_F32, pr_shape_2(3, 4));
        if (round == 0 && pr_graph_check(g, &err) == PR_OK) pr_graph_rewind(g);
        y = x;
    }
    pr_graph_mark(g);
    bool ok = pr_graph_check(g, &err) == PR_OK;
    if (!ok) assert_int_equal(err.code, PR_NO_MEMORY);
    pr_graph_free(g);
    return ok;
}

static void every_failing_allocation_is_a_fault(void **state) {
    world *w = *state;
    alloc_fault_every(build, w->store);
}

static void a_graph_is_drawn(void **state) {
    world *w = *state;
    pr_store_require_grad(w->store, "*", true, NULL);
    pr_graph_input(w->g, "a \"quoted\" name", PR_I32, pr_shape_1(PR_OFFSETS));
    pr_graph_scope(w->g, "blk.0");
    pr_tid y = toy_node(w->g, &toy_mix, w->x, 0, 0);
    pr_graph_phase(w->g, PR_BACKWARD);
    toy_node(w->g, &toy_mix, y, y, 0);
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    assert_int_equal(pr_graph_dot(w->g, out), PR_OK);
    fclose(out);
    static const char *const parts[] = {
        "digraph primer {",
        "t1 [shape=invhouse, label=\"x\\nf32 (N, 4)\"];",
        "label=\"a \\\"quoted\\\" name\\ni32 (B+1)\"];",
        "label=\"w.weight\\nf32 (3, 4)\", style=bold];",
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(leaves_know_what_they_are, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nodes_are_named_after_scope_and_op, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_sparse_gradient_lists_its_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_fault_sticks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(none_is_a_fault_where_an_input_is_needed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_number_that_is_no_tensor_is_a_fault, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_parameter_is_a_fault, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_name_is_for_one_leaf, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_impossible_output_is_a_fault, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_gradient_is_added_onto_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_input_of_another_shape_is_not_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_optional_inputs_are_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_rewind_undoes_all_behind_the_mark, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_second_mark_keeps_what_stands, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_fault_before_the_mark_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_nodes_take_no_input_that_a_rewind_drops, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_new_takes_the_place_of_a_node, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nodes_count_unless_only_the_superseded_read_them, set_up,
                                        tear_down),
        cmocka_unit_test(what_cannot_supersede_is_a_fault),
        cmocka_unit_test_setup_teardown(every_failing_allocation_is_a_fault, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_graph_is_drawn, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
