/* Gradients that meet: a tensor or a parameter read several times, a gradient that several readers
 * share, sums made in place of an older gradient; small nets against central differences, for every
 * subset of their parameters. */
#include "tests/test.h"

#include "ops/ops.h"
#include "tests/net.h"

enum { TOKENS = 7, D = 4, ROWS = 6, MOST = 64 };

static const pr_extent batch = {.tokens = TOKENS, .sentences = 3, .longest = 4};
static const int32_t offsets[] = {0, 2, 6, 7};
static const int32_t ids[] = {0, 5, 2, 5, 5, 1, 0}, other_ids[] = {5, 1, 1, 2, 0, 5, 5};
static const uint64_t rng[] = {3, 1, 4};

/* ---- leaves ---- */

static float drawn[NET_LEAVES][MOST];

static pr_tid param(net *n, pr_shape shape) {
    uint32_t random = 99 + (uint32_t)n->n_leaves;
    float *to = drawn[n->n_leaves];
    for (int i = 0; i < MOST; i++) {
        random = random * 1664525u + 1013904223u;
        to[i] = (float)(random >> 8) / (float)(1 << 23) - 1.0f;
    }
    return net_param(n, shape, to);
}

/* (N, D) */
static pr_tid tokens(net *n) {
    return net_lead(n, param(n, pr_shape_2(TOKENS, D)), PR_TOKENS);
}

static pr_tid square(net *n) {
    return param(n, pr_shape_2(D, D));
}

static pr_tid vector(net *n) {
    return param(n, pr_shape_1(D));
}

/* ---- nets: each returns what its loss weighs ---- */

/* y = x + f(x) + h(x): the sums hand one dy to all of their readers. */
static pr_tid residual(net *n) {
    pr_tid x = tokens(n), w = square(n);
    return pr_add(n->g, pr_add(n->g, x, pr_linear(n->g, x, w, 0)), pr_gelu(n->g, x));
}

static pr_tid residual_in_other_order(net *n) {
    pr_tid x = tokens(n), w = square(n);
    return pr_add(n->g, pr_tanh(n->g, x), pr_add(n->g, pr_linear(n->g, x, w, vector(n)), x));
}

/* What is added onto gets dy itself, and so does the product's gradient. */
static pr_tid onto_its_own_input(net *n) {
    pr_tid x = tokens(n), w = square(n);
    return pr_matmul(n->g, x, w, PR_TRANSPOSE_B, 0.5f, vector(n), x);
}

static pr_tid onto_one_after_the_other(net *n) {
    pr_tid x = tokens(n), a = square(n), b = square(n);
    pr_tid y = pr_matmul(n->g, x, a, 0, 1.0f, 0, pr_relu(n->g, x));
    return pr_matmul(n->g, x, b, PR_TRANSPOSE_B, -2.0f, 0, y);
}

/* A low-rank branch beside a product. */
static pr_tid low_rank_branch(net *n) {
    pr_tid x = tokens(n), w = square(n), bias = vector(n);
    pr_tid down = param(n, pr_shape_2(2, D)), up = param(n, pr_shape_2(D, 2));
    pr_tid y = pr_linear(n->g, x, w, bias);
    pr_tid low = pr_linear(n->g, x, down, 0);
    return pr_add(n->g, pr_matmul(n->g, low, up, PR_TRANSPOSE_B, 0.25f, 0, y), x);
}

static pr_tid both_summands(net *n) {
    pr_tid x = pr_scale(n->g, tokens(n), 0.5f);
    return pr_gelu(n->g, pr_add(n->g, x, x));
}

static pr_tid both_factors(net *n) {
    pr_tid x = param(n, pr_shape_2(D, D));
    return pr_matmul(n->g, x, x, PR_TRANSPOSE_B, 1.0f, 0, x);
}

static pr_tid both_factors_transposed(net *n) {
    pr_tid x = pr_relu(n->g, square(n));
    return pr_matmul(n->g, x, x, PR_TRANSPOSE_A, 1.0f, 0, 0);
}

/* q, k, v and the residual are one tensor. */
static pr_tid attention_to_itself(net *n) {
    pr_tid x = tokens(n);
    pr_tid where = net_input(n, PR_I32, pr_shape_1(PR_OFFSETS), offsets);
    pr_tid clock = net_input(n, PR_U64, pr_shape_1(3), rng);
    return pr_add(n->g, x, pr_attention(n->g, x, x, x, where, clock, 2, 0.25f, "site"));
}

static pr_tid one_weight_twice(net *n) {
    pr_tid x = tokens(n), w = square(n), bias = vector(n);
    return pr_linear(n->g, pr_gelu(n->g, pr_linear(n->g, x, w, bias)), w, bias);
}

static pr_tid one_weight_three_times(net *n) {
    pr_tid x = tokens(n), w = square(n);
    pr_tid y = pr_matmul(n->g, pr_tanh(n->g, pr_linear(n->g, x, w, 0)), w, 0, 2.0f, 0, 0);
    return pr_linear(n->g, y, w, 0);
}

/* Three sparse gradients and a dense one. */
static pr_tid one_table_for_all(net *n) {
    pr_tid table = param(n, pr_shape_2(ROWS, D));
    pr_tid a = net_input(n, PR_I32, pr_shape_1(PR_TOKENS), ids);
    pr_tid b = net_input(n, PR_I32, pr_shape_1(PR_TOKENS), other_ids);
    pr_tid x = pr_add(n->g, pr_embed(n->g, table, a), pr_embed(n->g, table, b));
    x = pr_add(n->g, x, pr_tanh(n->g, pr_embed(n->g, table, a)));
    return pr_linear(n->g, x, table, 0);
}

static pr_tid one_norm_twice(net *n) {
    pr_tid x = tokens(n), gamma = vector(n), beta = vector(n), w = square(n);
    pr_tid y = pr_layer_norm(n->g, x, gamma, beta, 1e-5f);
    y = pr_add(n->g, y, pr_linear(n->g, y, w, 0));
    return pr_layer_norm(n->g, pr_add(n->g, y, x), gamma, beta, 1e-5f);
}

static pr_tid two_dropouts_of_one(net *n) {
    pr_tid x = tokens(n);
    pr_tid where = net_input(n, PR_I32, pr_shape_1(PR_OFFSETS), offsets);
    pr_tid clock = net_input(n, PR_U64, pr_shape_1(3), rng);
    pr_tid y = pr_add(n->g, x, pr_dropout(n->g, x, clock, where, 0.5f, "one"));
    return pr_add(n->g, y, pr_dropout(n->g, x, clock, where, 0.25f, "other"));
}

static pr_tid first_tokens_of_two(net *n) {
    pr_tid x = tokens(n), w = square(n);
    pr_tid where = net_input(n, PR_I32, pr_shape_1(PR_OFFSETS), offsets);
    pr_tid y = pr_first_token(n->g, pr_softmax(n->g, x), where);
    return pr_linear(n->g, pr_add(n->g, y, pr_first_token(n->g, x, where)), w, 0);
}

/* The sum hands x the product that the last linear made for it, after gelu has left x a gradient.
 */
static pr_tid a_gradient_handed_on(net *n) {
    pr_tid x = tokens(n), w = square(n);
    pr_tid constant = net_input(n, PR_F32, pr_shape_2(PR_TOKENS, D), drawn[0]);
    pr_tid sum = pr_add(n->g, x, constant), other = pr_gelu(n->g, x);
    return pr_add(n->g, pr_linear(n->g, sum, w, 0), other);
}

/* a, b and c have gradients already when the rule of the mix comes: nothing may be added onto the
 * product that it shares out. */
static pr_tid one_product_for_three(net *n) {
    static const float w[D * D] = {1, -2, 0.5f, 3, 0, 1, 1, -1, 2, 0.25f, -1, 0, 1, 1, -3, 2};
    pr_tid a = tokens(n), b = tokens(n), c = tokens(n);
    pr_tid y = net_mix(n, a, b, c, net_input(n, PR_F32, pr_shape_2(D, D), w));
    y = pr_add(n->g, y, pr_tanh(n->g, a));
    y = pr_add(n->g, y, pr_gelu(n->g, b));
    return pr_add(n->g, y, pr_softmax(n->g, c));
}

static const struct {
    const char *name;
    pr_tid (*build)(net *n);
} nets[] = {
    {"a residual", residual},
    {"a residual in other order", residual_in_other_order},
    {"a product onto its own input", onto_its_own_input},
    {"products one onto the other", onto_one_after_the_other},
    {"a low-rank branch", low_rank_branch},
    {"x + x", both_summands},
    {"x x' + x", both_factors},
    {"x' x", both_factors_transposed},
    {"attention to itself", attention_to_itself},
    {"one weight twice", one_weight_twice},
    {"one weight three times", one_weight_three_times},
    {"one table for all", one_table_for_all},
    {"one norm twice", one_norm_twice},
    {"two dropouts of one tensor", two_dropouts_of_one},
    {"first tokens of two", first_tokens_of_two},
    {"a gradient handed on", a_gradient_handed_on},
    {"one product for three", one_product_for_three},
};

static unsigned params_of(const net *n) {
    unsigned bits = 0;
    for (int i = 0; i < n->n_leaves; i++)
        bits |= n->leaf[i].is_param ? 1u << i : 0;
    return bits;
}

static void check_net(const char *name, pr_tid (*build)(net *n), bool training) {
    net n;
    net_open(&n, batch, training);
    net_end(&n, build(&n));
    unsigned all = params_of(&n);
    for (unsigned some = all; some; some = (some - 1) & all) {
        float *gradient[NET_LEAVES];
        net_gradients(&n, some, gradient);
        net_check(&n, name, gradient, MOST, 1e-5);
        net_free_gradients(gradient);
    }
    net_close(&n);
}

static void gradients_that_meet_are_added(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
        check_net(nets[i].name, nets[i].build, true);
}

static void also_where_nothing_is_dropped(void **state) {
    (void)state;
    check_net("dropouts outside training", two_dropouts_of_one, false);
    check_net("attention outside training", attention_to_itself, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_that_meet_are_added),
        cmocka_unit_test(also_where_nothing_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
