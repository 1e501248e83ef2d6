/* Ten thousand random graphs of toy ops, planned three ways: with places used again, with a place
 * for each value, and with NaN written over whatever dies. All three must give the same bits, in
 * the outputs and in the parameters. */
#include "tests/test.h"

#include "backends/cpu.h"
#include "graph/plan.h"
#include "tests/toy.h"

enum {
    GRAPHS = 10000,
    PARAMS = 4,
    CLASSES = 5, /* of shapes */
    MOST_WANTED = 4,
    MOST_TENSORS = 400,
    MOST_FLOATS = 4096,
};

static const int32_t classes[CLASSES][2] = {
    {PR_TOKENS, 4}, {PR_TOKENS, 9}, {PR_SENTENCES, 8}, {16, 4}, {1, 1}};
static const pr_extent capacity = {64, 6, 20}, extent = {37, 5, 11};

typedef struct world {
    pr_backend *backend;
    pr_store *store;
    pr_graph *g;
    uint64_t random;
    pr_tid of_class[CLASSES][MOST_TENSORS];
    int n_of_class[CLASSES];
    pr_tid input[CLASSES];
    pr_tid wanted[MOST_WANTED];
    int n_wanted;
    bool training;
} world;

static unsigned draw(world *w, unsigned n) {
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (unsigned)(w->random >> 33) % n;
}

static void remember(world *w, int class, pr_tid t) {
    assert_true(t > 0);
    w->of_class[class][w->n_of_class[class]++] = t;
}

/* One of the class: mostly a late one, so that chains grow long; 0 sometimes where it may be. */
static pr_tid pick(world *w, int class, bool optional) {
    int n = w->n_of_class[class];
    if (optional && draw(w, 3) == 0) return 0;
    int from = draw(w, 3) && n > 3 ? n - 3 : 0;
    return w->of_class[class][from + (int)draw(w, (unsigned)(n - from))];
}

static void add_node(world *w) {
    int class = (int)draw(w, CLASSES), to = (int)draw(w, CLASSES);
    pr_tid a = pick(w, class, false), out[PR_MAX_OUT] = {0};
    switch (draw(w, 7)) {
    case 0:
        remember(w, to, toy_to(w->g, a, classes[to][0], classes[to][1]));
        break;
    case 1:
        remember(w, class, toy_node(w->g, &toy_rotate, a, 0, 0));
        break;
    case 2:
        remember(w, class, toy_node(w->g, &toy_drop, a, pick(w, class, true), 0));
        break;
    case 3:
        pr_graph_node(w->g, &toy_split, &a, (pr_attr){0}, out);
        for (int k = 0; k < 3; k++) {
            if (draw(w, 2)) remember(w, class, out[k]);
        }
        break;
    default:
        remember(w, class, toy_node(w->g, &toy_mix, a, pick(w, class, true), pick(w, class, true)));
    }
}

static void add_writer(world *w, pr_phase phase) {
    pr_phase before = pr_graph_phase(w->g, phase);
    char name[16];
    int param = (int)draw(w, PARAMS);
    snprintf(name, sizeof name, "p%d", param);
    pr_tid state =
        draw(w, 2) ? pr_graph_state(w->g, param, PR_STATE_FIRST, PR_F32, pr_shape_2(16, 4)) : 0;
    pr_tid x = phase == PR_PROLOGUE ? w->input[draw(w, CLASSES)] : pick(w, 0, true);
    toy_node(w->g, &toy_write, pr_graph_param(w->g, name), state, x);
    pr_graph_phase(w->g, before);
}

static void build(world *w) {
    w->g = pr_graph_new(w->store);
    memset(w->n_of_class, 0, sizeof w->n_of_class);
    for (int c = 0; c < CLASSES; c++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", c);
        pr_shape shape = pr_shape_2(classes[c][0], classes[c][1]);
        w->input[c] = pr_graph_input(w->g, name, PR_F32, shape);
        remember(w, c, w->input[c]);
    }
    for (int i = 0; i < PARAMS; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", i);
        remember(w, 3, pr_graph_param(w->g, name));
    }
    unsigned forward = 3 + draw(w, 25), backward = draw(w, 15);
    for (unsigned i = 0; i < forward; i++)
        add_node(w);
    pr_graph_phase(w->g, PR_BACKWARD);
    for (unsigned i = 0; i < backward; i++)
        add_node(w);
    for (unsigned i = draw(w, 3); i > 0; i--)
        add_writer(w, PR_PROLOGUE);
    for (unsigned i = draw(w, 4); i > 0; i--)
        add_writer(w, PR_UPDATE);
    assert_int_equal(pr_graph_check(w->g, NULL), PR_OK);
    w->training = draw(w, 2);
    w->n_wanted = 1 + (int)draw(w, MOST_WANTED);
    for (int k = 0; k < w->n_wanted; k++)
        w->wanted[k] = pick(w, (int)draw(w, CLASSES), false);
}

static void reset_store(world *w) {
    float values[64];
    for (int i = 0; i < PARAMS; i++) {
        for (int j = 0; j < 64; j++)
            values[j] = (float)(i + 1) / (float)(j + 1);
        assert_int_equal(pr_store_write(w->store, i, values, NULL), PR_OK);
        memset(pr_store_param(w->store, i)->state[PR_STATE_FIRST], 0, sizeof values);
    }
}

/* Runs the graph and writes all that can be seen of it into result; returns how many floats. */
static size_t run(world *w, bool pinned, bool poison, float *result, pr_plan_report *report) {
    pr_plan_options options = {.capacity = capacity,
                               .wanted = w->wanted,
                               .n_wanted = w->n_wanted,
                               .training = w->training,
                               .pinned = pinned,
                               .poison = poison};
    pr_error err = {0};
    float x[64 * 9];
    size_t used = 0;
    reset_store(w);
    pr_plan *plan = pr_plan_new(w->g, w->store, w->backend, &options, &err);
    if (!plan) fail_msg("%s", err.message);
    *report = *pr_plan_get_report(plan);
    void *arena = w->backend->alloc(w->backend, report->arena);
    pr_plan_attach(plan, arena);
    for (int i = 0; i < 64 * 9; i++)
        x[i] = (float)(i % 17) / 8.0f - 1.0f;
    for (int c = 0; c < CLASSES; c++)
        assert_int_equal(pr_plan_feed(plan, w->input[c], extent, x, &err), PR_OK);
    for (int twice = 0; twice < 2; twice++) {
        if (pr_plan_run(plan, extent, &err) != PR_OK) fail_msg("%s", err.message);
        for (int k = 0; k < w->n_wanted; k++) {
            size_t n = 0;
            pr_shape_count(pr_shape_bind(pr_graph_tensor(w->g, w->wanted[k])->shape, extent), &n);
            assert_int_equal(pr_plan_fetch(plan, w->wanted[k], extent, result + used, &err), PR_OK);
            used += n;
        }
    }
    for (int i = 0; i < PARAMS; i++, used += 64)
        assert_int_equal(pr_store_read(w->store, i, result + used, &err), PR_OK);
    w->backend->free(w->backend, arena, report->arena);
    pr_plan_free(plan);
    return used;
}

static int on_the_bound;

static void check_one(world *w) {
    static float reused[MOST_FLOATS], pinned[MOST_FLOATS], poisoned[MOST_FLOATS];
    pr_plan_report a, b, c;
    size_t n = run(w, false, false, reused, &a);
    assert_int_equal(run(w, true, false, pinned, &b), n);
    assert_int_equal(run(w, false, true, poisoned, &c), n);
    assert_memory_equal(reused, pinned, n * sizeof(float));
    assert_memory_equal(reused, poisoned, n * sizeof(float));
    for (size_t i = 0; i < n; i++)
        assert_true(reused[i] == reused[i]);
    assert_true(a.lower_bound <= a.arena && a.arena <= b.arena && a.arena == c.arena);
    on_the_bound += a.lower_bound == a.arena;
}

static void random_graphs_give_the_same_bits_wherever_values_lie(void **state) {
    (void)state;
    world *w = calloc(1, sizeof *w);
    w->backend = pr_cpu_new(1, NULL);
    w->store = pr_store_new(w->backend);
    w->random = 88172645463325252u;
    for (int i = 0; i < PARAMS; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", i);
        assert_int_equal(pr_store_add(w->store, name, pr_shape_2(16, 4), NULL, NULL), i);
    }
    pr_store_require_grad(w->store, "*", true, NULL);
    pr_store_settle(w->store, 0, NULL);
    for (int i = 0; i < PARAMS; i++)
        pr_store_make_state(w->store, i, PR_STATE_FIRST, 64 * sizeof(float), NULL);
    for (int i = 0; i < GRAPHS; i++) {
        build(w);
        check_one(w);
        pr_graph_free(w->g);
    }
    assert_true(on_the_bound > GRAPHS * 9 / 10);
    pr_store_free(w->store);
    pr_backend_free(w->backend);
    free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_give_the_same_bits_wherever_values_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
