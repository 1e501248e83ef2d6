/* Shapes, dtypes and arguments that ops cannot take: each is a fault of the graph that names the
 * op, where it stands and what was found; and what constructors hand to their ops. */
#include "tests/test.h"

#include <math.h>

#include "backends/cpu.h"
#include "ops/ops.h"
#include "ops/ops_grad.h"
#include "ops/table.h"
#include "tests/scratch.h"

static pr_backend *backend;
static pr_store *store;
static pr_graph *g;

static int open_graph(void **state) {
    (void)state;
    backend = pr_cpu_new(1, NULL);
    store = pr_store_new(backend);
    g = pr_graph_new(store);
    return g ? 0 : -1;
}

static int close_graph(void **state) {
    (void)state;
    pr_graph_free(g);
    pr_store_free(store);
    pr_backend_free(backend);
    return 0;
}

/* ---- inputs that do not fit ---- */

/* in: the op's inputs in order, "f32 3 4" being f32 (3, 4), "i32 B+1" offsets, "-" none. */
typedef struct misfit {
    const pr_op *op;
    const char *in;
    const char *says; /* part of the message, beside the op's name and scope */
    pr_attr attr;
} misfit;

static const misfit misfits[] = {
    {&pr_op_add, "f32 3 4, f32 4 3", "f32 (3, 4), found f32 (4, 3)", {0}},
    {&pr_op_add, "f32 3 4, f32 12", "found f32 (12)", {0}},
    {&pr_op_add, "f32 3, f64 3", "found f64 (3)", {0}},
    {&pr_op_add, "f32 3, -", "input 1 is missing", {0}},
    {&pr_op_scale, "i32 3", "found i32 (3)", {0}},
    {&pr_op_gelu, "i32 3", "found i32 (3)", {0}},
    {&pr_op_gelu_grad, "f32 3, f32 4", "f32 (3), found f32 (4)", {0}},
    {&pr_op_tanh, "i32 3", "found i32 (3)", {0}},
    {&pr_op_tanh_grad, "f32 3, f32 4", "f32 (3), found f32 (4)", {0}},
    {&pr_op_relu, "u64 3", "found u64 (3)", {0}},
    {&pr_op_relu_grad, "f32 N 4, f32 3 4", "f32 (N, 4), found f32 (3, 4)", {0}},
    {&pr_op_constant, "", "at least one element, found 0", {0}},
    {&pr_op_constant, "", "at least one element, found -2", {.i = {-2}}},
    {&pr_op_dropout, "f32 3, u64 3, -", "x to be f32 with 2 dimensions, found f32 (3)", {0}},
    {&pr_op_dropout, "f32 3 4, u64 2, -", "rng to be u64 (3), found u64 (2)", {0}},
    {&pr_op_dropout, "f32 3 4, i32 3, -", "rng to be u64 (3), found i32 (3)", {0}},
    {&pr_op_dropout, "f32 3 4, u64 3, f32 3", "offsets to be i32", {0}},
    {&pr_op_softmax, "f32 3", "2 dimensions, found f32 (3)", {0}},
    {&pr_op_softmax, "i32 3 4", "found i32 (3, 4)", {0}},
    {&pr_op_softmax_grad, "f32 3 4, f32 3 5", "f32 (3, 4), found f32 (3, 5)", {0}},
    {&pr_op_layer_norm, "f32 4, f32 4, f32 4", "x to be f32 with 2 dimensions", {0}},
    {&pr_op_layer_norm, "f32 3 4, f32 3, f32 4", "gamma to be f32 (4), found f32 (3)", {0}},
    {&pr_op_layer_norm, "f32 3 4, f32 4, f32 1 4", "beta to be f32 (4), found f32 (1, 4)", {0}},
    {&pr_op_layer_norm_grad,
     "f32 3 4, f32 3 4, f32 3, f32 3, f32 3",
     "gamma to be f32 (4), found f32 (3)",
     {0}},
    {&pr_op_layer_norm_grad,
     "f32 4 3, f32 3 4, f32 3, f32 3, f32 4",
     "dy to be f32 (3, 4), found f32 (4, 3)",
     {0}},
    {&pr_op_layer_norm_grad_gamma,
     "f32 3 4, f32 3 4, f32 3, f32 4",
     "rstd to be f32 (3), found f32 (4)",
     {0}},
    {&pr_op_layer_norm_grad_gamma,
     "f32 3 4, f32 3 4, f32 4, f32 3",
     "mean to be f32 (3), found f32 (4)",
     {0}},
    {&pr_op_residual_norm,
     "f32 4, f32 4, f32 4, f32 4, -, -",
     "x to be f32 with 2 dimensions, found f32 (4)",
     {0}},
    {&pr_op_residual_norm,
     "f32 3 4, f32 4 3, f32 4, f32 4, -, -",
     "z to be f32 (3, 4), found f32 (4, 3)",
     {0}},
    {&pr_op_residual_norm,
     "f32 3 4, f32 3 4, f32 3, f32 4, -, -",
     "gamma to be f32 (4), found f32 (3)",
     {0}},
    {&pr_op_residual_norm,
     "f32 3 4, f32 3 4, f32 4, f32 3, -, -",
     "beta to be f32 (4), found f32 (3)",
     {0}},
    {&pr_op_residual_norm,
     "f32 3 4, f32 3 4, f32 4, f32 4, -, -",
     "dropout needs rng",
     {.f = {0.5f}}},
    {&pr_op_residual_norm,
     "f32 N 4, f32 N 4, f32 4, f32 4, u64 3, -",
     "rows of tokens offsets",
     {.f = {0.5f}}},
    {&pr_op_residual_norm,
     "f32 3 4, f32 3 4, f32 4, f32 4, u64 2, -",
     "rng to be u64 (3), found u64 (2)",
     {0}},
    {&pr_op_residual_norm,
     "f32 3 4, f32 3 4, f32 4, f32 4, u64 3, f32 2",
     "offsets to be i32",
     {0}},
    {&pr_op_residual_norm,
     "f32 3 4, f32 3 4, f32 4, f32 4, u64 3, -",
     "a dropout in [0, 1), found 1",
     {.f = {1.0f}}},
    {&pr_op_residual_norm_grad,
     "f32 3 4, f32 3 4, f32 3, f32 3, f32 3, u64 3, -",
     "gamma to be f32 (4), found f32 (3)",
     {0}},
    {&pr_op_residual_norm_grad,
     "f32 3 4, f32 3 4, f32 3, f32 3, f32 4, -, -",
     "dropout needs rng",
     {.f = {0.5f}}},
    {&pr_op_sum_rows, "f32 4, -", "2 dimensions, found f32 (4)", {0}},
    {&pr_op_sum_rows, "f32 3 4, f32 3", "onto to be f32 (4), found f32 (3)", {0}},
    {&pr_op_embed, "f32 4, i32 2", "the table to be f32 with 2 dimensions", {0}},
    {&pr_op_embed, "f32 3 4, f32 2", "ids to be i32 with 1 dimension, found f32 (2)", {0}},
    {&pr_op_embed_grad, "f32 3 4, i32 2", "ids to be i32 (3), found i32 (2)", {0}},
    {&pr_op_embed_grad, "f32 3, i32 3", "dy to be f32 with 2 dimensions", {0}},
    {&pr_op_densify, "f32 3 4, i32 2, i32 1", "ids to be i32 (3), found i32 (2)", {0}},
    {&pr_op_densify, "f32 3 4, i32 3, i32 3", "count to be i32 (1), found i32 (3)", {0}},
    {&pr_op_first_token, "f32 3 4, f32 2", "offsets to be i32", {0}},
    {&pr_op_first_token, "f32 3, i32 2", "x to be f32 with 2 dimensions, found f32 (3)", {0}},
    {&pr_op_first_token_grad, "f32 3 4, i32 3", "dy to be f32 (2, 4), found f32 (3, 4)", {0}},
    {&pr_op_first_token_grad, "f32 3 4, i32 B+1", "f32 (B, 4), found f32 (3, 4)", {0}},
    {&pr_op_matmul, "f32 3 4, f32 3 4, -, -", "(3, 4) by (3, 4) do not fit", {0}},
    {&pr_op_matmul,
     "f32 3 4, f32 3 5, -, -",
     "(3, 4) by (3, 5) transposed do not fit",
     {.i = {PR_TRANSPOSE_B}}},
    {&pr_op_matmul,
     "f32 3 4, f32 4 5, -, -",
     "(3, 4) transposed by (4, 5) do not fit",
     {.i = {PR_TRANSPOSE_A}}},
    {&pr_op_matmul, "f32 4, f32 4 5, -, -", "(4) and (4, 5)", {0}},
    {&pr_op_matmul, "f32 3 4, f32 4 5, f32 4, -", "a bias of (5), found (4)", {0}},
    {&pr_op_matmul, "f32 3 4, f32 4 5, -, f32 5", "(5) cannot be added to (3, 5)", {0}},
    {&pr_op_matmul, "f32 3 4, i32 4 5, -, -", "expected f32, found i32", {0}},
    {&pr_op_matmul, "f32 3 4, f32 N 4, -, -", "but (N, 4)", {.i = {PR_TRANSPOSE_B}}},
    {&pr_op_attention,
     "f32 3 4, f32 3 4, f32 3 4, i32 2, -",
     "(3, 4) cannot be cut into 3 heads",
     {.i = {3}}},
    {&pr_op_attention,
     "f32 3 4, f32 3 4, f32 3 4, i32 2, -",
     "(3, 4) cannot be cut into 0 heads",
     {0}},
    {&pr_op_attention,
     "i32 3 4, f32 3 4, f32 3 4, i32 2, -",
     "q to be f32 with 2 dimensions, found i32 (3, 4)",
     {.i = {2}}},
    {&pr_op_attention,
     "f32 3 4, f32 3 4, f32 3 2, i32 2, -",
     "v to be f32 (3, 4), found f32 (3, 2)",
     {.i = {2}}},
    {&pr_op_attention,
     "f32 3 4, f32 3 4, f32 3 4, f32 2, -",
     "offsets to be i32 with 1 dimension, found f32 (2)",
     {.i = {2}}},
    {&pr_op_attention,
     "f32 3 4, f32 3 4, f32 3 4, i32 2, -",
     "dropout needs rng",
     {.i = {2}, .f = {0.5f}}},
    {&pr_op_attention,
     "f32 3 4, f32 3 4, f32 3 4, i32 2, u64 2",
     "rng to be u64 (3), found u64 (2)",
     {.i = {2}, .f = {0.5f}}},
    {&pr_op_attention,
     "f32 3 4, f32 3 4, f32 3 4, i32 2, u64 3",
     "a dropout in [0, 1), found 1",
     {.i = {2}, .f = {1.0f}}},
    {&pr_op_attention_grad,
     "f32 3 4, f32 3 4, f32 3 4, i32 2, -, f32 3 4, f32 3 2, f32 3 3",
     "dy to be f32 (3, 4), found f32 (3, 3)",
     {.i = {2}}},
    {&pr_op_attention_grad,
     "f32 3 4, f32 3 4, f32 3 4, i32 2, -, f32 3 4, f32 3 4, f32 3 4",
     "lse to be f32 (3, 2), found f32 (3, 4)",
     {.i = {2}}},
    {&pr_op_cross_entropy, "f32 3, i32 3", "logits to be f32 with 2 dimensions", {0}},
    {&pr_op_cross_entropy, "f32 3 2, f32 3", "labels to be i32 (3), found f32 (3)", {0}},
    {&pr_op_cross_entropy, "f32 B 2, i32 N", "labels to be i32 (B), found i32 (N)", {0}},
    {&pr_op_cross_entropy_grad, "f32 3, f32 3 2, i32 3", "dloss to be f32 (1)", {0}},
    {&pr_op_mse, "f32 3 2, f32 3", "x to be f32 (3, 1), found f32 (3, 2)", {0}},
    {&pr_op_mse, "f32 3 1, f32 4", "targets to be f32 (3), found f32 (4)", {0}},
    {&pr_op_mse_grad, "f32 1, f32 3 1, f32 3 1", "targets to be f32 (3)", {0}},
    {&pr_op_sum_squares, "f64 3, -, -", "found f64 (3)", {0}},
    {&pr_op_sum_squares, "f32 3, f32 1, -", "the total to be f64 (1), found f32 (1)", {0}},
    {&pr_op_sum_squares, "f32 3, -, i32 1", "2 dimensions, found f32 (3)", {0}},
    {&pr_op_clip_factor, "f32 1", "f64 (1), found f32 (1)", {0}},
    {&pr_op_accumulate, "f32 3 4, f32 4 3, u64 3", "x to be f32 (3, 4), found f32 (4, 3)", {0}},
    {&pr_op_accumulate, "f32 3, f32 3, u64 2", "the clock to be u64 (3), found u64 (2)", {0}},
    {&pr_op_adamw,
     "f32 3 4, f32 3 4, f32 4 3, f32 3 4, f32 1, f32 9, u64 3, -, -",
     "moments of (3, 4), found (4, 3)",
     {0}},
    {&pr_op_adamw,
     "f32 3 4, f32 3 4, f32 3 4, f32 3 5, f32 1, f32 9, u64 3, -, -",
     "a gradient of (3, 5) does not fit a parameter of (3, 4)",
     {0}},
    {&pr_op_adamw,
     "f32 3 4, f32 3 4, f32 3 4, f32 3 4, f32 1, f32 9, u64 2, -, -",
     "a clock u64 (3)",
     {0}},
    {&pr_op_adamw_catch_up,
     "f32 3 4, f32 3 4, f32 3 4, i32 4, i32 7, f32 9, u64 3",
     "a table of (3, 4)",
     {0}},
    {&pr_op_adamw_catch_up,
     "f32 3 4, f32 3 4, f32 3 4, i32 3, i32 7, f32 9, u64 2",
     "the clock to be u64 (3), found u64 (2)",
     {0}},
};
enum { MISFITS = sizeof misfits / sizeof *misfits };

/* The dimension that a word stands for. */
static int64_t dimension(const char *word) {
    if (strcmp(word, "N") == 0) return PR_TOKENS;
    if (strcmp(word, "B") == 0) return PR_SENTENCES;
    return strcmp(word, "B+1") == 0 ? PR_OFFSETS : strtoll(word, NULL, 10);
}

/* An input of the graph, as its text says; 0 for "-". */
static pr_tid input(char *text, int k) {
    char name[16], *rest = NULL, *word = strtok_r(text, " ", &rest);
    pr_shape shape = {0};
    int dtype = PR_F32;
    if (!word || strcmp(word, "-") == 0) return 0;
    while (strcmp(word, pr_dtype_name((pr_dtype)dtype)) != 0)
        dtype++;
    while ((word = strtok_r(NULL, " ", &rest)))
        shape.dim[shape.n_dims++] = dimension(word);
    snprintf(name, sizeof name, "in%d", k);
    return pr_graph_input(g, name, (pr_dtype)dtype, shape);
}

static void inputs(const char *text, pr_tid in[PR_MAX_IN]) {
    char copy[128], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", text);
    char *one = strtok_r(copy, ",", &rest);
    for (int k = 0; one; k++) {
        assert_true(k < PR_MAX_IN);
        in[k] = input(one, k);
        one = strtok_r(NULL, ",", &rest);
    }
}

/* The graph holds a fault that says this. */
static void check_fault(const char *says) {
    pr_error err = {0};
    if (pr_graph_check(g, &err) != PR_BAD_GRAPH) fail_msg("no fault says '%s'", says);
    assert_says(err.message, says);
}

static void inputs_that_do_not_fit_are_faults(void **state) {
    for (int i = 0; i < MISFITS; i++) {
        const misfit *m = &misfits[i];
        pr_tid in[PR_MAX_IN] = {0};
        open_graph(state);
        inputs(m->in, in);
        pr_graph_scope(g, "here");
        if (pr_graph_node(g, m->op, in, m->attr, NULL)) {
            fail_msg("%s takes %s", m->op->name, m->in);
        }
        char what[64];
        snprintf(what, sizeof what, "%s 'here': ", m->op->name);
        check_fault(what);
        check_fault(m->says);
        close_graph(state);
    }
}

static void every_op_refuses_something(void **state) {
    (void)state;
    for (int k = 0; pr_ops[k]; k++) {
        bool any = false;
        for (int i = 0; i < MISFITS; i++)
            any |= misfits[i].op == pr_ops[k];
        if (!any) fail_msg("no shape is tried that '%s' cannot take", pr_ops[k]->name);
    }
}

/* ---- arguments ---- */

static pr_tid f32(const char *name, int64_t rows, int64_t columns) {
    return pr_graph_input(g, name, PR_F32, pr_shape_2(rows, columns));
}

/* A graph's first fault sticks; each call begins a new one. */
static void expect(void **state, const char *says) {
    check_fault(says);
    close_graph(state);
    open_graph(state);
}

static void arguments_out_of_range_are_faults(void **state) {
    const float rates[] = {-0.1f, 1.0f, 1.5f, NAN};
    for (int i = 0; i < 4; i++) {
        pr_tid rng = pr_graph_input(g, "rng", PR_U64, pr_shape_1(3));
        assert_int_equal(pr_dropout(g, f32("x", 2, 3), rng, 0, rates[i], "blk.0.ffn"), 0);
        expect(state, "dropout 'blk.0.ffn': expected a probability in [0, 1)");
    }
    const float norms[] = {-1.0f, NAN};
    for (int i = 0; i < 2; i++) {
        pr_tid total = pr_graph_input(g, "total", PR_F64, pr_shape_1(1));
        assert_int_equal(pr_clip_factor(g, total, norms[i]), 0);
        expect(state, "clip_factor: expected a norm of 0 or more");
    }
    assert_int_equal(pr_densify(g, f32("x", 2, 3), 5), 0);
    expect(state, "densify: 'x' is no sparse gradient");
    assert_int_equal(pr_densify(g, 0, 5), 0);
    expect(state, "densify: 'nothing' is no sparse gradient");
    const int64_t rows[] = {-1, (int64_t)INT32_MAX + 1};
    for (int i = 0; i < 2; i++) {
        pr_tid ids = pr_graph_input(g, "ids", PR_I32, pr_shape_1(2));
        assert_int_equal(pr_embed_grad(g, f32("dy", 2, 3), ids, rows[i]), 0);
        expect(state, "embed_grad: a table can't have");
        ids = pr_graph_input(g, "ids", PR_I32, pr_shape_1(2));
        assert_int_equal(pr_densify(g, pr_embed_grad(g, f32("dy", 2, 3), ids, 9), rows[i]), 0);
        expect(state, "can't have");
    }
    pr_tid offsets = pr_graph_input(g, "offsets", PR_I32, pr_shape_1(3));
    assert_int_equal(pr_first_token_grad(g, f32("dy", 2, 3), offsets, rows[1]), 0);
    expect(state, "first_token_grad: there can't be 2147483648 rows");
}

/* Parameters in places that have no gradient: a fault, not a wrong gradient. */
static void what_has_no_gradient_says_so(void **state) {
    pr_tid dy = pr_graph_input(g, "dy", PR_F32, pr_shape_1(1)), dx[PR_MAX_IN] = {0};
    pr_tid x = f32("x", 3, 1), target = pr_graph_input(g, "target", PR_F32, pr_shape_1(3));
    pr_tid loss = pr_mse(g, x, target);
    pr_node n = *pr_graph_get(g, pr_graph_tensor(g, loss)->node);
    pr_op_mse.vjp(g, &n, &dy, 3u, dx);
    expect(state, "mse 'mse': targets can't be trained");

    pr_tid row = pr_graph_input(g, "row", PR_F32, pr_shape_1(4));
    pr_tid y = pr_layer_norm(g, f32("x", 3, 4), row, row, 1e-5f);
    n = *pr_graph_get(g, pr_graph_tensor(g, y)->node);
    pr_tid mean[PR_MAX_OUT] = {y, n.out[1], 0};
    pr_op_layer_norm.vjp(g, &n, mean, 1u, dx);
    expect(state, "layer_norm 'layer_norm': mean and rstd");

    row = pr_graph_input(g, "row", PR_F32, pr_shape_1(4));
    x = f32("x", 3, 4);
    y = pr_residual_norm(g, x, x, row, row, 1e-5f, &(pr_dropped){.p = 0.0f});
    n = *pr_graph_get(g, pr_graph_tensor(g, y)->node);
    pr_tid sum[PR_MAX_OUT] = {y, n.out[1]};
    pr_op_residual_norm.vjp(g, &n, sum, 1u, dx);
    expect(state, "residual_norm 'residual_norm': s, mean and rstd");

    pr_tid q = f32("q", 3, 4), offsets = pr_graph_input(g, "offsets", PR_I32, pr_shape_1(2));
    y = pr_attention(g, q, q, q, offsets, 0, 2, 0.0f, "");
    n = *pr_graph_get(g, pr_graph_tensor(g, y)->node);
    pr_tid lse[PR_MAX_OUT] = {y, n.out[1]};
    pr_op_attention.vjp(g, &n, lse, 1u, dx);
    expect(state, "attention 'attention': the log-sum-exp");
}

/* ---- constructors ---- */

static void check_node(pr_tid t, const pr_op *op, const pr_tid in[PR_MAX_IN], pr_attr attr) {
    pr_error err = {0};
    if (pr_graph_check(g, &err) != PR_OK) fail_msg("%s", err.message);
    const pr_node *n = pr_graph_get(g, pr_graph_tensor(g, t)->node);
    if (n->op != op) fail_msg("a node of '%s', which should be of '%s'", n->op->name, op->name);
    for (int k = 0; k < op->n_in; k++) {
        if (n->in[k] != in[k]) fail_msg("input %d of '%s' is another", k, op->name);
    }
    bool same = n->attr.site == attr.site;
    for (int k = 0; k < 4; k++)
        same = same && n->attr.f[k] == attr.f[k] && n->attr.i[k] == attr.i[k];
    if (!same) fail_msg("the attributes of '%s' are others", op->name);
}

static void constructors_hand_over_what_ops_read(void **state) {
    (void)state;
    pr_tid x = f32("x", PR_TOKENS, 4), w = f32("w", 6, 4), r = f32("r", PR_TOKENS, 6);
    pr_tid bias = pr_graph_input(g, "bias", PR_F32, pr_shape_1(6));
    pr_tid row = pr_graph_input(g, "row", PR_F32, pr_shape_1(4));
    pr_tid rng = pr_graph_input(g, "rng", PR_U64, pr_shape_1(3));
    pr_tid offsets = pr_graph_input(g, "offsets", PR_I32, pr_shape_1(PR_OFFSETS));
    pr_tid ids = pr_graph_input(g, "ids", PR_I32, pr_shape_1(PR_TOKENS));
    pr_tid labels = pr_graph_input(g, "labels", PR_I32, pr_shape_1(PR_SENTENCES));
    pr_tid logits = f32("logits", PR_SENTENCES, 2), z = f32("z", PR_SENTENCES, 1);
    pr_tid targets = pr_graph_input(g, "targets", PR_F32, pr_shape_1(PR_SENTENCES));
    pr_tid total = pr_graph_input(g, "total", PR_F64, pr_shape_1(1));
    pr_attr none = {0}, linear = {.f = {1.0f}, .i = {PR_TRANSPOSE_B}};
    pr_attr drop = {.site = pr_site("site"), .f = {0.25f}}, heads = drop;
    heads.i[0] = 2;
    check_node(pr_matmul(g, x, w, PR_TRANSPOSE_B, 0.5f, bias, r), &pr_op_matmul,
               (pr_tid[PR_MAX_IN]){x, w, bias, r}, (pr_attr){.f = {0.5f}, .i = {PR_TRANSPOSE_B}});
    check_node(pr_linear(g, x, w, bias), &pr_op_matmul, (pr_tid[PR_MAX_IN]){x, w, bias, 0}, linear);
    check_node(pr_add(g, x, x), &pr_op_add, (pr_tid[PR_MAX_IN]){x, x}, none);
    check_node(pr_scale(g, x, 2.5f), &pr_op_scale, (pr_tid[PR_MAX_IN]){x}, (pr_attr){.f = {2.5f}});
    check_node(pr_gelu(g, x), &pr_op_gelu, (pr_tid[PR_MAX_IN]){x}, none);
    check_node(pr_tanh(g, x), &pr_op_tanh, (pr_tid[PR_MAX_IN]){x}, none);
    check_node(pr_relu(g, x), &pr_op_relu, (pr_tid[PR_MAX_IN]){x}, none);
    check_node(pr_constant(g, 1.5f, 7), &pr_op_constant, (pr_tid[PR_MAX_IN]){0},
               (pr_attr){.f = {1.5f}, .i = {7}});
    check_node(pr_dropout(g, x, rng, offsets, 0.25f, "site"), &pr_op_dropout,
               (pr_tid[PR_MAX_IN]){x, rng, offsets}, drop);
    assert_int_equal(pr_dropout(g, x, rng, offsets, 0.0f, "site"), x);
    check_node(pr_layer_norm(g, x, row, row, 1e-5f), &pr_op_layer_norm,
               (pr_tid[PR_MAX_IN]){x, row, row}, (pr_attr){.f = {1e-5f}});
    pr_tid other = f32("other", PR_TOKENS, 4);
    pr_tid shift = pr_graph_input(g, "shift", PR_F32, pr_shape_1(4));
    pr_dropped dropped = {rng, offsets, pr_site("site"), 0.25f};
    pr_attr residual = drop;
    residual.f[1] = 1e-5f;
    check_node(pr_residual_norm(g, x, other, row, shift, 1e-5f, &dropped), &pr_op_residual_norm,
               (pr_tid[PR_MAX_IN]){x, other, row, shift, rng, offsets}, residual);
    check_node(pr_embed(g, w, ids), &pr_op_embed, (pr_tid[PR_MAX_IN]){w, ids}, none);
    check_node(pr_first_token(g, x, offsets), &pr_op_first_token, (pr_tid[PR_MAX_IN]){x, offsets},
               none);
    check_node(pr_sum_rows(g, x, row), &pr_op_sum_rows, (pr_tid[PR_MAX_IN]){x, row}, none);
    check_node(pr_softmax(g, x), &pr_op_softmax, (pr_tid[PR_MAX_IN]){x}, none);
    check_node(pr_attention(g, x, x, x, offsets, rng, 2, 0.25f, "site"), &pr_op_attention,
               (pr_tid[PR_MAX_IN]){x, x, x, offsets, rng}, heads);
    check_node(pr_cross_entropy(g, logits, labels), &pr_op_cross_entropy,
               (pr_tid[PR_MAX_IN]){logits, labels}, none);
    check_node(pr_mse(g, z, targets), &pr_op_mse, (pr_tid[PR_MAX_IN]){z, targets}, none);
    check_node(pr_sum_squares(g, x, total), &pr_op_sum_squares, (pr_tid[PR_MAX_IN]){x, total, 0},
               none);
    check_node(pr_clip_factor(g, total, 2.0f), &pr_op_clip_factor, (pr_tid[PR_MAX_IN]){total},
               (pr_attr){.f = {2.0f}});
    pr_tid sparse = pr_embed_grad(g, x, ids, 6), count = pr_sparse_count(g, sparse);
    check_node(sparse, &pr_op_embed_grad, (pr_tid[PR_MAX_IN]){x, ids}, (pr_attr){.i = {6}});
    check_node(pr_densify(g, sparse, 6), &pr_op_densify,
               (pr_tid[PR_MAX_IN]){sparse, pr_graph_tensor(g, sparse)->rows, count},
               (pr_attr){.i = {6}});
    check_node(pr_sum_squares(g, sparse, 0), &pr_op_sum_squares,
               (pr_tid[PR_MAX_IN]){sparse, 0, count}, none);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inputs_that_do_not_fit_are_faults),
        cmocka_unit_test(every_op_refuses_something),
        cmocka_unit_test_setup_teardown(arguments_out_of_range_are_faults, open_graph, close_graph),
        cmocka_unit_test_setup_teardown(what_has_no_gradient_says_so, open_graph, close_graph),
        cmocka_unit_test_setup_teardown(constructors_hand_over_what_ops_read, open_graph,
                                        close_graph),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
