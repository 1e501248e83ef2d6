/* Every op's rule against central differences of its double-precision reference, for every subset
 * of the inputs that need a gradient. */
#include "tests/test.h"

#include "backends/cpu.h"
#include "ops/ops.h"
#include "tests/cases.h"
#include "tests/net.h"

/* A few hundred roundings of the largest element: far below any fault in a formula; how exact the
 * kernels are is test_ops's question. */
static const double tolerance = 1e-5;

/* Elements of a case's inputs from which on a reference takes a while. */
enum { MANY = 20000, SAMPLES = 12, FEW_SAMPLES = 3 };

enum { MOST_OPS = 64 };
static unsigned checked[MOST_OPS]; /* inputs whose gradients were, by place in pr_ops */

static void note_checked(const pr_op *op, unsigned inputs) {
    for (int i = 0; pr_ops[i]; i++) {
        assert_true(i < MOST_OPS);
        if (pr_ops[i] == op) checked[i] |= inputs;
    }
}

static bool trains(const op_case *c, int k) {
    bool is_float = c->data[k] && c->dtype[k] == PR_F32 && !(c->constant >> k & 1u);
    return is_float && reference_count(case_shape(c, k)) > 0;
}

/* The case's op on parameters, or inputs where nothing can train; *trained: leaves that do. The
 * leaves are the op's inputs, those that are given, in order. */
static void make_net(const op_case *c, net *n, unsigned *trained) {
    pr_tid in[PR_MAX_IN] = {0};
    *trained = 0;
    net_open(n, c->extent, c->training);
    for (int k = 0; k < c->op->n_in; k++) {
        if (!c->data[k]) continue;
        if (!trains(c, k)) {
            in[k] = net_input(n, c->dtype[k], c->shape[k], c->data[k]);
            continue;
        }
        *trained |= 1u << n->n_leaves;
        in[k] = net_param(n, case_shape(c, k), c->data[k]);
        if (c->shape[k].dim[0] < 0) in[k] = net_lead(n, in[k], c->shape[k].dim[0]);
    }
    net_end(n, pr_graph_node(n->g, c->op, in, c->attr, NULL));
}

static size_t bytes_of(const net *n, int leaf) {
    return (size_t)reference_count(n->leaf[leaf].shape) * sizeof(float);
}

static int samples_of(const op_case *c) {
    int64_t elements = 0;
    for (int k = 0; k < c->op->n_in; k++)
        elements += c->data[k] ? reference_count(case_shape(c, k)) : 0;
    return elements > MANY ? FEW_SAMPLES : SAMPLES;
}

/* Every smaller set of trained leaves gives the same bits. */
static void check_subsets(net *n, const char *label, unsigned all, float *const whole[NET_LEAVES]) {
    for (unsigned some = (all - 1) & all; some; some = (some - 1) & all) {
        float *gradient[NET_LEAVES];
        net_gradients(n, some, gradient);
        for (int i = 0; i < n->n_leaves; i++) {
            if (!gradient[i] || memcmp(gradient[i], whole[i], bytes_of(n, i)) == 0) continue;
            fail_msg("%s: leaf %d's gradient has other bits when only %#x train", label, i, some);
        }
        net_free_gradients(gradient);
    }
}

/* The rule itself: a gradient for each bit of need, in its input's shape, and for no other. */
static void check_rule(const op_case *c, unsigned need) {
    pr_backend *backend = pr_cpu_new(1, NULL);
    pr_store *store = pr_store_new(backend);
    pr_graph *g = pr_graph_new(store);
    pr_error err = {0};
    pr_tid in[PR_MAX_IN] = {0}, dx[PR_MAX_IN] = {0}, dy[PR_MAX_OUT] = {0};
    for (int k = 0; k < c->op->n_in; k++) {
        char name[16];
        snprintf(name, sizeof name, "in%d", k);
        if (c->data[k]) in[k] = pr_graph_input(g, name, c->dtype[k], c->shape[k]);
    }
    pr_tid y = pr_graph_node(g, c->op, in, c->attr, NULL);
    dy[0] = pr_graph_input(g, "dy", PR_F32, pr_graph_tensor(g, y)->shape);
    const pr_node n = *pr_graph_get(g, 0);
    c->op->vjp(g, &n, dy, need, dx);
    if (pr_graph_check(g, &err) != PR_OK) fail_msg("%s", err.message);
    for (int k = 0; k < c->op->n_in; k++) {
        if (!dx[k] != !(need >> k & 1u)) {
            fail_msg("%s: input %d when %#x need a gradient: %s", c->label, k, need,
                     dx[k] ? "one too many" : "none");
        }
        const pr_tensor *d = pr_graph_tensor(g, dx[k]);
        if (d && !d->rows && !pr_shape_equal(d->shape, c->shape[k])) {
            fail_msg("%s: the gradient of input %d has another shape", c->label, k);
        }
    }
    pr_graph_free(g);
    pr_store_free(store);
    pr_backend_free(backend);
}

static void check_case(const op_case *c) {
    net n;
    unsigned all;
    float *gradient[NET_LEAVES];
    make_net(c, &n, &all);
    if (all) {
        net_gradients(&n, all, gradient);
        net_check(&n, c->label, gradient, samples_of(c), tolerance * c->condition);
        check_subsets(&n, c->label, all, gradient);
        net_free_gradients(gradient);
    }
    net_close(&n);
    unsigned inputs = 0;
    for (int k = 0; k < c->op->n_in; k++)
        inputs |= trains(c, k) ? 1u << k : 0;
    for (unsigned need = inputs; need; need = (need - 1) & inputs)
        check_rule(c, need);
    note_checked(c->op, inputs);
}

static void rules_agree_with_differences(void **state) {
    const case_family *family = *state;
    for (int i = 0; i < family->count(); i++) {
        op_case c;
        case_make(family, i, &c);
        if (c.op->vjp) check_case(&c);
        case_free(&c);
    }
}

/* Comes last: it asks what the others checked. */
static void every_rule_was_checked(void **state) {
    (void)state;
    for (int i = 0; pr_ops[i]; i++) {
        if (pr_ops[i]->vjp && !checked[i]) {
            fail_msg("the gradient of '%s' was not checked", pr_ops[i]->name);
        }
    }
}

int main(void) {
    struct CMUnitTest tests[CASE_FAMILIES + 1] = {
        [CASE_FAMILIES] = cmocka_unit_test(every_rule_was_checked),
    };
    for (int i = 0; i < CASE_FAMILIES; i++) {
        tests[i] = (struct CMUnitTest){
            .name = case_families[i]->name,
            .test_func = rules_agree_with_differences,
            .initial_state = (void *)case_families[i],
        };
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
