/* Autograd on small graphs: gradients that meet are added, what is frozen costs
 * no node. */
#include <math.h>

#include "autograd/backward.h"
#include "backends/cpu.h"
#include "ops/ops.h"
#include "tests/test.h"
#include "train/trainer.h"

enum { B = 3, D = 4 };

/* A network in which one tensor flows three ways: h = x W'; z = (h + gelu(h) +
 * tanh(h)) u'. */
typedef struct net {
    pr_backend *backend;
    pr_store *store;
    pr_graph *g;
    pr_tid x, target, w, u, loss;
    float x_value[B * D], target_value[B], w_value[D * D], u_value[D];
} net;

static float wave(int i, float scale) {
    return scale * sinf(1.7f * (float)i + 0.3f);
}

static void make_net(net *n) {
    for (int i = 0; i < B * D; i++)
        n->x_value[i] = wave(i, 1.0f);
    for (int i = 0; i < B; i++)
        n->target_value[i] = wave(i + 40, 0.5f);
    for (int i = 0; i < D * D; i++)
        n->w_value[i] = wave(i + 7, 0.8f);
    for (int i = 0; i < D; i++)
        n->u_value[i] = wave(i + 90, 0.9f);
    n->backend = pr_cpu_new(1, NULL);
    n->store = pr_store_new(n->backend);
    pr_store_add(n->store, "w", pr_shape_2(D, D), n->w_value, NULL);
    pr_store_add(n->store, "u", pr_shape_2(1, D), n->u_value, NULL);
    n->g = pr_graph_new(n->store);
    n->x = pr_graph_input(n->g, "x", PR_F32, pr_shape_2(PR_SENTENCES, D));
    n->target = pr_graph_input(n->g, "target", PR_F32, pr_shape_1(PR_SENTENCES));
    n->w = pr_graph_param(n->g, "w");
    n->u = pr_graph_param(n->g, "u");
    pr_tid h = pr_linear(n->g, n->x, n->w, 0);
    pr_tid y = pr_add(n->g, pr_add(n->g, h, pr_gelu(n->g, h)), pr_tanh(n->g, h));
    n->loss = pr_mse(n->g, pr_linear(n->g, y, n->u, 0), n->target);
}

static void free_net(net *n) {
    pr_graph_free(n->g);
    pr_store_free(n->store);
    pr_backend_free(n->backend);
}

static double reference_loss(const net *n, const double *w, const double *u) {
    double loss = 0.0;
    for (int b = 0; b < B; b++) {
        double z = 0.0;
        for (int o = 0; o < D; o++) {
            double h = 0.0;
            for (int i = 0; i < D; i++)
                h += (double)n->x_value[b * D + i] * w[o * D + i];
            z += (h + 0.5 * h * (1.0 + erf(h / sqrt(2.0))) + tanh(h)) * u[o];
        }
        loss += (z - (double)n->target_value[b]) * (z - (double)n->target_value[b]) / B;
    }
    return loss;
}

static pr_trainer *make_trainer(net *n) {
    static const float rate = 0.1f;
    pr_trainer_options o = pr_trainer_default();
    o.rates = &rate;
    o.steps = 1;
    pr_error err = {0};
    pr_trainer *t = pr_trainer_new(n->g, n->backend, n->loss, &o, &err);
    assert_string_equal(err.message, "");
    return t;
}

static void gradients_that_meet_are_added(void **state) {
    (void)state;
    net n;
    make_net(&n);
    pr_store_require_grad(n.store, "*", true, NULL);
    pr_trainer *t = make_trainer(&n);
    const pr_feed feeds[] = {{n.x, n.x_value}, {n.target, n.target_value}};
    const pr_extent extent = {.sentences = B};
    double w[D * D], u[D];
    for (int i = 0; i < D * D; i++)
        w[i] = (double)n.w_value[i];
    for (int i = 0; i < D; i++)
        u[i] = (double)n.u_value[i];
    float dw[D * D], du[D];
    pr_error err = {0};
    pr_trainer_gradient(t, n.w, extent, feeds, 2, dw, &err);
    pr_trainer_gradient(t, n.u, extent, feeds, 2, du, &err);
    assert_string_equal(err.message, "");
    for (int i = 0; i < D * D + D; i++) {
        double *value = i < D * D ? &w[i] : &u[i - D * D], kept = *value, step = 1e-5;
        *value = kept + step;
        double up = reference_loss(&n, w, u);
        *value = kept - step;
        double down = reference_loss(&n, w, u);
        *value = kept;
        double found = (double)(i < D * D ? dw[i] : du[i - D * D]);
        assert_true(fabs(found - (up - down) / (2 * step)) < 2e-6);
    }
    pr_trainer_free(t);
    free_net(&n);
}

/* So that a fault in a gradient tells where it lies. */
static void gradients_are_named_by_their_nodes(void **state) {
    (void)state;
    net n;
    make_net(&n);
    pr_store_require_grad(n.store, "*", true, NULL);
    pr_trainer *t = make_trainer(&n);
    pr_error err = {0};
    assert_int_equal(pr_trainer_prepare(t, (pr_extent){.sentences = B}, &err), PR_OK);
    assert_true(pr_graph_find(n.g, "gradient/gelu/gelu_grad") != 0);
    assert_true(pr_graph_find(n.g, "gradient/matmul/matmul") != 0);
    pr_trainer_free(t);
    free_net(&n);
}

static void the_frozen_cost_nothing(void **state) {
    (void)state;
    net n;
    make_net(&n);
    pr_graph_mark(n.g);
    int32_t forward = pr_graph_nodes(n.g);
    pr_store_require_grad(n.store, "*", true, NULL);
    assert_int_equal(pr_backward(n.g, n.loss, NULL), PR_OK);
    int32_t all = pr_graph_nodes(n.g) - forward;
    assert_true(pr_graph_gradient(n.g, n.w) != 0);
    pr_graph_rewind(n.g);
    assert_int_equal(pr_graph_nodes(n.g), forward);
    assert_int_equal(pr_graph_gradient(n.g, n.w), 0);

    pr_store_require_grad(n.store, "w", false, NULL);
    assert_int_equal(pr_backward(n.g, n.loss, NULL), PR_OK);
    int32_t fewer = pr_graph_nodes(n.g) - forward;
    /* The seed, the loss's gradient, and u's: nothing flows below u's layer. */
    assert_int_equal(fewer, 3);
    assert_true(fewer < all);
    assert_int_equal(pr_graph_gradient(n.g, n.w), 0);
    assert_true(pr_graph_gradient(n.g, n.u) != 0);
    free_net(&n);
}

static void a_flip_there_and_back_derives_the_same(void **state) {
    (void)state;
    net n;
    make_net(&n);
    pr_graph_mark(n.g);
    pr_store_require_grad(n.store, "*", true, NULL);
    pr_backward(n.g, n.loss, NULL);
    int32_t nodes = pr_graph_nodes(n.g), tensors = pr_graph_tensors(n.g);
    for (int i = 0; i < 100; i++) {
        pr_store_require_grad(n.store, "w", i % 2 == 1, NULL);
        pr_graph_rewind(n.g);
        pr_backward(n.g, n.loss, NULL);
    }
    assert_int_equal(pr_graph_nodes(n.g), nodes);
    assert_int_equal(pr_graph_tensors(n.g), tensors);
    free_net(&n);
}

/* Two readers of one table: sparse gradients become dense and are added. */
static void a_table_read_twice(void **state) {
    (void)state;
    pr_backend *backend = pr_cpu_new(1, NULL);
    pr_store *store = pr_store_new(backend);
    const float table[5 * 2] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, u[2] = {1, -1};
    pr_store_add(store, "table", pr_shape_2(5, 2), table, NULL);
    pr_store_add(store, "u", pr_shape_2(1, 2), u, NULL);
    pr_store_require_grad(store, "table", true, NULL);
    net n = {.backend = backend, .store = store, .g = pr_graph_new(store)};
    pr_tid a = pr_graph_input(n.g, "a", PR_I32, pr_shape_1(PR_SENTENCES));
    pr_tid b = pr_graph_input(n.g, "b", PR_I32, pr_shape_1(PR_SENTENCES));
    pr_tid target = pr_graph_input(n.g, "target", PR_F32, pr_shape_1(PR_SENTENCES));
    pr_tid t = pr_graph_param(n.g, "table");
    pr_tid sum = pr_add(n.g, pr_embed(n.g, t, a), pr_embed(n.g, t, b));
    n.loss = pr_mse(n.g, pr_linear(n.g, sum, pr_graph_param(n.g, "u"), 0), target);
    pr_trainer *trainer = make_trainer(&n);
    const int32_t a_value[2] = {0, 3}, b_value[2] = {3, 1};
    const float targets[2] = {0, 0};
    const pr_feed feeds[] = {{a, a_value}, {b, b_value}, {target, targets}};
    float gradient[10];
    pr_error err = {0};
    pr_trainer_gradient(trainer, t, (pr_extent){.sentences = 2}, feeds, 3, gradient, &err);
    assert_string_equal(err.message, "");
    /* Each z = -2, so dz = 2 z / B = -2, and a row gathers (-2, 2) for every time
     * it is read. */
    const float expected[10] = {-2, 2, -2, 2, 0, 0, -4, 4, 0, 0};
    for (int i = 0; i < 10; i++)
        assert_float_equal(gradient[i], expected[i], 1e-6);
    pr_trainer_free(trainer);
    free_net(&n);
}

/* u's gradient reads gelu's output: a copy of it, so that the first is dead when backward comes. */
static void what_is_cheap_is_made_again(void **state) {
    (void)state;
    net n;
    make_net(&n);
    pr_tid hidden = pr_gelu(n.g, pr_linear(n.g, n.x, n.w, 0));
    pr_tid loss = pr_mse(n.g, pr_linear(n.g, hidden, n.u, 0), n.target);
    int32_t forward = pr_graph_nodes(n.g), copies = 0;
    pr_error err = {0};
    pr_store_require_grad(n.store, "*", true, NULL);
    assert_int_equal(pr_backward(n.g, loss, &err), PR_OK);
    for (int32_t i = forward; i < pr_graph_nodes(n.g); i++) {
        const pr_node *node = pr_graph_get(n.g, i);
        copies += node->op == pr_graph_get(n.g, pr_graph_tensor(n.g, hidden)->node)->op;
        for (int k = 0; k < node->op->n_in; k++)
            assert_int_not_equal(node->in[k], hidden);
    }
    assert_int_equal(copies, 1);
    free_net(&n);
}

static void an_op_without_a_gradient_is_named(void **state) {
    (void)state;
    net n;
    make_net(&n);
    pr_store_require_grad(n.store, "*", true, NULL);
    pr_graph_scope(n.g, "odd");
    pr_tid first = pr_clip_factor(n.g, pr_sum_squares(n.g, n.w, 0), 1.0f);
    pr_error err = {0};
    assert_int_not_equal(pr_backward(n.g, first, &err), PR_OK);
    assert_non_null(strstr(err.message, "has no gradient"));
    assert_non_null(strstr(err.message, "odd"));
    free_net(&n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_that_meet_are_added),
        cmocka_unit_test(gradients_are_named_by_their_nodes),
        cmocka_unit_test(the_frozen_cost_nothing),
        cmocka_unit_test(a_flip_there_and_back_derives_the_same),
        cmocka_unit_test(a_table_read_twice),
        cmocka_unit_test(what_is_cheap_is_made_again),
        cmocka_unit_test(an_op_without_a_gradient_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
