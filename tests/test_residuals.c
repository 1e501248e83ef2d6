/* The rewrite to residual_norm: where it is put and where not, that results and gradients stay what
 * they were whatever trains, and that nothing is kept for it but its sum. On the processor bits
 * stay; a GPU may round a product and a sum once where it rounded twice. */
#include "autograd/backward.h"
#include "graph/plan.h"
#include "ops/ops.h"
#include "ops/rewrite.h"
#include "ops/table.h"
#include "tests/backend_under_test.h"
#include "tests/reference.h"
#include "tests/test.h"

#include <math.h>

enum { TOKENS = 7, SENTENCES = 3, D = 8, ROWS = 6, MOST = 64, PARAMS = 8, INPUTS = 5, TEXT = 256 };

static const pr_extent extent = {.tokens = TOKENS, .sentences = SENTENCES, .longest = 4};
static const int32_t ids[] = {0, 5, 2, 4, 5, 1, 3}, others[] = {1, 1, 0, 3, 2, 5, 4};
static const int32_t offsets[] = {0, 2, 6, 7}, labels[] = {3, 0, 7};
static const uint64_t clock_now[] = {3, 1, 4};

static pr_backend *backend;
static float drawn[PARAMS][MOST]; /* the stores read them where they are */

typedef struct world {
    pr_store *store;
    pr_graph *g;
    pr_tid input[INPUTS]; /* in the order of `fed` */
    pr_tid param[PARAMS];
    int n_params;
    pr_tid y, loss;
} world;

static const void *const fed[INPUTS] = {ids, others, offsets, labels, clock_now};

static pr_tid param(world *w, pr_shape shape) {
    char name[16];
    pr_error err = {0};
    uint32_t random = 7 + (uint32_t)w->n_params;
    assert_true(w->n_params < PARAMS && reference_count(shape) <= MOST);
    float *to = drawn[w->n_params];
    for (int i = 0; i < MOST; i++) {
        random = random * 1664525u + 1013904223u;
        to[i] = (float)(random >> 8) / (float)(1 << 23) - 1.0f;
    }
    snprintf(name, sizeof name, "param%d", w->n_params);
    if (pr_store_add(w->store, name, shape, to, &err) < 0) fail_msg("%s", err.message);
    return w->param[w->n_params++] = pr_graph_param(w->g, name);
}

/* ---- nets: x, z (N, D), and what ends in y (N, D) ---- */

static pr_tid norm(world *w, pr_tid s) {
    pr_tid gamma = param(w, pr_shape_1(D)), beta = param(w, pr_shape_1(D));
    return pr_layer_norm(w->g, s, gamma, beta, 1e-5f);
}

static pr_tid drop(world *w, pr_tid x, const char *site) {
    return pr_dropout(w->g, x, w->input[4], w->input[2], 0.25f, site);
}

static pr_tid dropped_first(world *w, pr_tid x, pr_tid z) {
    return norm(w, pr_add(w->g, drop(w, z, "z"), x));
}

static pr_tid dropped_second(world *w, pr_tid x, pr_tid z) {
    return norm(w, pr_add(w->g, x, drop(w, z, "z")));
}

static pr_tid nothing_dropped(world *w, pr_tid x, pr_tid z) {
    return norm(w, pr_add(w->g, z, x));
}

static pr_tid both_dropped(world *w, pr_tid x, pr_tid z) {
    return norm(w, pr_add(w->g, drop(w, z, "z"), drop(w, x, "x")));
}

static pr_tid twice_the_same(world *w, pr_tid x, pr_tid z) {
    (void)x;
    return norm(w, pr_add(w->g, z, z));
}

static pr_tid dropped_onto_itself(world *w, pr_tid x, pr_tid z) {
    (void)x;
    return norm(w, pr_add(w->g, z, drop(w, z, "z")));
}

/* As blocks follow each other: what one makes is the next one's x, and goes into its z. */
static pr_tid two_in_a_row(world *w, pr_tid x, pr_tid z) {
    pr_tid y = dropped_first(w, x, z);
    return dropped_first(w, y, pr_linear(w->g, y, param(w, pr_shape_2(D, D)), 0));
}

static pr_tid sum_read_elsewhere(world *w, pr_tid x, pr_tid z) {
    pr_tid s = pr_add(w->g, drop(w, z, "z"), x);
    return pr_add(w->g, norm(w, s), s);
}

static pr_tid dropped_read_elsewhere(world *w, pr_tid x, pr_tid z) {
    pr_tid dropped = drop(w, z, "z");
    return pr_add(w->g, norm(w, pr_add(w->g, x, dropped)), dropped);
}

static pr_tid of_no_sum(world *w, pr_tid x, pr_tid z) {
    return pr_add(w->g, norm(w, z), x);
}

static const struct {
    const char *name;
    pr_tid (*build)(world *w, pr_tid x, pr_tid z);
    const char *left; /* of the four ops, in order, after the rewrite */
} nets[] = {
    {"dropped first", dropped_first, " residual_norm"},
    {"dropped second", dropped_second, " residual_norm"},
    {"nothing dropped", nothing_dropped, " residual_norm"},
    {"both dropped", both_dropped, " dropout residual_norm"},
    {"twice the same", twice_the_same, " residual_norm"},
    {"dropped onto itself", dropped_onto_itself, " residual_norm"},
    {"two in a row", two_in_a_row, " residual_norm residual_norm"},
    {"sum read elsewhere", sum_read_elsewhere, " dropout add layer_norm add"},
    {"dropped read elsewhere", dropped_read_elsewhere, " dropout residual_norm add"},
    {"of no sum", of_no_sum, " layer_norm add"},
};
enum { NETS = sizeof nets / sizeof *nets };

/* x is a row of a table, z a product; attention mixes y's rows, so that the loss reads them all. */
static void open_world(world *w, size_t i, bool rewritten) {
    static const char *const names[INPUTS] = {"ids", "others", "offsets", "labels", "clock"};
    const pr_shape shapes[INPUTS] = {pr_shape_1(PR_TOKENS), pr_shape_1(PR_TOKENS),
                                     pr_shape_1(PR_OFFSETS), pr_shape_1(PR_SENTENCES),
                                     pr_shape_1(3)};
    pr_error err = {0};
    *w = (world){.store = pr_store_new(backend)};
    w->g = pr_graph_new(w->store);
    for (int k = 0; k < INPUTS; k++)
        w->input[k] = pr_graph_input(w->g, names[k], k < INPUTS - 1 ? PR_I32 : PR_U64, shapes[k]);
    pr_tid x = pr_embed(w->g, param(w, pr_shape_2(ROWS, D)), w->input[0]);
    pr_tid z = pr_embed(w->g, param(w, pr_shape_2(ROWS, D)), w->input[1]);
    pr_graph_scope(w->g, "here");
    w->y = nets[i].build(w, x, pr_linear(w->g, z, param(w, pr_shape_2(D, D)), 0));
    pr_graph_scope(w->g, "loss");
    pr_tid mixed = pr_attention(w->g, w->y, w->y, w->y, w->input[2], 0, 2, 0.0f, "");
    w->loss = pr_cross_entropy(w->g, pr_first_token(w->g, mixed, w->input[2]), w->input[3]);
    if (rewritten && pr_rewrite_residuals(w->g, &err) != PR_OK) fail_msg("%s", err.message);
    if (pr_graph_check(w->g, &err) != PR_OK) fail_msg("%s", err.message);
    pr_graph_mark(w->g);
}

static void close_world(world *w) {
    pr_graph_free(w->g);
    pr_store_free(w->store);
}

/* ---- running ---- */

/* What came out: of wanted[k] out[k], dense. */
typedef struct outcome {
    float out[PARAMS + 2][MOST];
    size_t arena;
} outcome;

static void must(pr_status status, const pr_error *err) {
    if (status != PR_OK) fail_msg("%s", err->message);
}

static outcome run(const world *w, const pr_tid *wanted, int n, bool training) {
    outcome o = {0};
    pr_error err = {0};
    const pr_plan_options options = {
        .capacity = extent, .wanted = wanted, .n_wanted = n, .training = training, .poison = true};
    pr_plan *plan = pr_plan_new(w->g, w->store, backend, &options, &err);
    if (!plan) fail_msg("%s", err.message);
    o.arena = pr_plan_get_report(plan)->arena;
    void *arena = backend->alloc(backend, o.arena);
    assert_non_null(arena);
    pr_plan_attach(plan, arena);
    for (int k = 0; k < INPUTS; k++)
        must(pr_plan_feed(plan, w->input[k], extent, fed[k], &err), &err);
    must(pr_plan_run(plan, extent, &err), &err);
    for (int k = 0; k < n; k++)
        must(pr_plan_fetch(plan, wanted[k], extent, o.out[k], &err), &err);
    backend->free(backend, arena, o.arena);
    pr_plan_free(plan);
    return o;
}

static bool is_something(const float out[MOST]) {
    bool any = false;
    for (int i = 0; i < MOST; i++)
        any |= out[i] != 0.0f;
    return any;
}

/* The gradients of the parameters whose bits are set in `trained`, the loss and y. */
static outcome derive(world *w, unsigned trained, bool recompute, bool training) {
    pr_tid wanted[PARAMS + 2] = {0};
    pr_error err = {0};
    int n = 0;
    pr_graph_rewind(w->g);
    for (int k = 0; k < w->n_params; k++) {
        const char *name = pr_graph_tensor(w->g, w->param[k])->name;
        must(pr_store_require_grad(w->store, name, trained >> k & 1u, &err), &err);
    }
    const pr_backward_options how = {.recompute = recompute};
    must(pr_backward_with(w->g, w->loss, &how, &err), &err);
    pr_phase before = pr_graph_phase(w->g, PR_BACKWARD);
    for (int k = 0; k < w->n_params; k++) {
        pr_tid d = pr_graph_gradient(w->g, w->param[k]);
        bool sparse = d && pr_graph_tensor(w->g, d)->rows;
        if (!(trained >> k & 1u)) assert_int_equal(d, 0);
        if (d) wanted[n++] = sparse ? pr_densify(w->g, d, ROWS) : d;
    }
    pr_graph_phase(w->g, before);
    wanted[n++] = w->loss;
    wanted[n++] = w->y;
    outcome o = run(w, wanted, n, training);
    for (int k = 0; k < n; k++)
        assert_true(is_something(o.out[k]));
    return o;
}

static void assert_same(const char *name, unsigned trained, const outcome *a, const outcome *b) {
    for (int k = 0; k < PARAMS + 2; k++) {
        for (int i = 0; i < MOST; i++) {
            float x = a->out[k][i], y = b->out[k][i];
            bool same = x == y || (backend->kind != PR_CPU && fabsf(x - y) <= 1e-5f);
            if (same) continue;
            fail_msg("%s, %#x trains: element %d of result %d is %.9g, not %.9g", name, trained, i,
                     k, (double)y, (double)x);
        }
    }
}

/* ---- tests ---- */

static bool is_one_of_four(const pr_op *op) {
    return op == &pr_op_add || op == &pr_op_dropout || op == &pr_op_layer_norm ||
           op == &pr_op_residual_norm;
}

static void list_left(const pr_graph *g, char text[TEXT]) {
    bool *live = pr_graph_live(g);
    size_t used = 0;
    text[0] = 0;
    assert_non_null(live);
    for (int32_t i = 0; i < pr_graph_nodes(g); i++) {
        const pr_node *n = pr_graph_get(g, i);
        if (!live[i] || !is_one_of_four(n->op)) continue;
        used += (size_t)snprintf(text + used, TEXT - used, " %s", n->op->name);
        assert_true(used < TEXT);
    }
    free(live);
}

static void it_is_put_where_nobody_reads_what_is_between(void **state) {
    (void)state;
    for (size_t i = 0; i < NETS; i++) {
        world w;
        char left[TEXT];
        open_world(&w, i, true);
        list_left(w.g, left);
        if (strcmp(left, nets[i].left) != 0) fail_msg("%s: left are%s", nets[i].name, left);
        close_world(&w);
    }
}

static void it_is_named_after_the_norm(void **state) {
    (void)state;
    world w;
    open_world(&w, 0, true);
    const pr_tensor *y = pr_graph_tensor(w.g, w.y);
    assert_string_equal(y->name, "here/layer_norm");
    assert_string_equal(pr_graph_get(w.g, y->node)->name, "here/residual_norm");
    close_world(&w);
}

static void results_and_gradients_stay(void **state) {
    (void)state;
    for (size_t i = 0; i < NETS; i++) {
        world plain, w;
        open_world(&plain, i, false);
        open_world(&w, i, true);
        for (unsigned trained = 1; trained < 1u << w.n_params; trained++) {
            outcome expected = derive(&plain, trained, false, true);
            outcome found = derive(&w, trained, false, true);
            assert_same(nets[i].name, trained, &expected, &found);
        }
        close_world(&plain);
        close_world(&w);
    }
}

/* Recomputed, and as an evaluation sees it: gradients of a plan that drops nothing. */
static void they_stay_recomputed_and_in_evaluation(void **state) {
    (void)state;
    for (size_t i = 0; i < NETS; i++) {
        world plain, w;
        open_world(&plain, i, false);
        open_world(&w, i, true);
        unsigned all = (1u << w.n_params) - 1;
        for (int how = 0; how < 2; how++) {
            outcome expected = derive(&plain, all, false, how == 0);
            outcome found = derive(&w, all, how == 0, how == 0);
            assert_same(nets[i].name, all, &expected, &found);
        }
        close_world(&plain);
        close_world(&w);
    }
}

/* Neither x nor z is kept for it: backward makes y again from the sum. */
static void backward_reads_the_sum_alone(void **state) {
    (void)state;
    world w;
    open_world(&w, 6, true);
    unsigned all = (1u << w.n_params) - 1;
    for (int recompute = 0; recompute < 2; recompute++) {
        derive(&w, all, recompute, true);
        int again = 0;
        for (int32_t i = 0; i < pr_graph_nodes(w.g); i++) {
            const pr_node *n = pr_graph_get(w.g, i);
            if (n->phase != PR_BACKWARD) continue;
            again += n->op == &pr_op_layer_norm;
            assert_true(n->op != &pr_op_residual_norm);
        }
        assert_true(again > 0);
    }
    close_world(&w);
}

/* y; and what dropout would be fed, so that it is there whether a node has it or not. */
static outcome run_forward(const world *w, bool training) {
    return run(w, (const pr_tid[]){w->y, w->input[2], w->input[4]}, 3, training);
}

/* Where nothing trains the sum is not even written: y takes an operand's place, as it did. */
static void forward_alone_needs_no_more_memory(void **state) {
    (void)state;
    for (size_t i = 0; i < NETS; i++) {
        world plain, w;
        open_world(&plain, i, false);
        open_world(&w, i, true);
        for (int training = 0; training < 2; training++) {
            outcome expected = run_forward(&plain, training), found = run_forward(&w, training);
            assert_same(nets[i].name, 0, &expected, &found);
            if (found.arena > expected.arena) {
                fail_msg("%s: %zu bytes, not %zu", nets[i].name, found.arena, expected.arena);
            }
        }
        close_world(&plain);
        close_world(&w);
    }
}

static void a_second_rewrite_changes_nothing(void **state) {
    (void)state;
    for (size_t i = 0; i < NETS; i++) {
        world w;
        open_world(&w, i, true);
        char once[TEXT], twice[TEXT];
        list_left(w.g, once);
        int32_t nodes = pr_graph_nodes(w.g);
        assert_int_equal(pr_rewrite_residuals(w.g, NULL), PR_OK);
        list_left(w.g, twice);
        assert_string_equal(once, twice);
        assert_int_equal(pr_graph_nodes(w.g), nodes);
        close_world(&w);
    }
}

static void a_fault_stays_the_graphs(void **state) {
    (void)state;
    world w;
    pr_error err = {0};
    open_world(&w, 0, false);
    pr_graph_fault(w.g, "a fault of the test's");
    int32_t nodes = pr_graph_nodes(w.g);
    assert_int_equal(pr_rewrite_residuals(w.g, &err), PR_BAD_GRAPH);
    assert_string_equal(err.message, "a fault of the test's");
    assert_int_equal(pr_graph_nodes(w.g), nodes);
    close_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_put_where_nobody_reads_what_is_between),
        cmocka_unit_test(it_is_named_after_the_norm),
        cmocka_unit_test(results_and_gradients_stay),
        cmocka_unit_test(they_stay_recomputed_and_in_evaluation),
        cmocka_unit_test(backward_reads_the_sum_alone),
        cmocka_unit_test(forward_alone_needs_no_more_memory),
        cmocka_unit_test(a_second_rewrite_changes_nothing),
        cmocka_unit_test(a_fault_stays_the_graphs),
    };
    backend = test_backend_or_exit(2);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pr_backend_free(backend);
    return failed;
}
