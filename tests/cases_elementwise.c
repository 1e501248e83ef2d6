/* add, scale, gelu, tanh, relu and their gradients; dropout; constant. */
#include <stdio.h>

#include "ops/ops.h"
#include "ops/table.h"
#include "tests/cases.h"

static const struct {
    const pr_op *op;
    fill in[2]; /* of the inputs */
    float factor;
    bool tails; /* one more case, with inputs of any size */
} ops[] = {
    {&pr_op_add, {PLAIN, PLAIN}, 0, true},
    {&pr_op_scale, {PLAIN}, -1.7f, true},
    {&pr_op_scale, {PLAIN}, 0, false},
    {&pr_op_gelu, {PLAIN}, 0, true},
    {&pr_op_gelu_grad, {PLAIN, PLAIN}, 0, true},
    {&pr_op_tanh, {PLAIN}, 0, true},
    {&pr_op_tanh_grad, {PLAIN, BELOW_1}, 0, false},
    {&pr_op_relu, {PLAIN}, 0, false}, /* at zero it has no derivative */
    {&pr_op_relu_grad, {PLAIN, PLAIN}, 0, true},
};
enum { OPS = sizeof ops / sizeof *ops };

/* The elements of a vector of AVX-512 (16), of a chunk (64), and enough for a second thread. */
static const pr_shape shapes[] = {
    {1, {1}},
    {1, {31}},
    {3, {2, 3, 5}},
    {2, {PR_TOKENS, 1}},
    {2, {PR_TOKENS, 5}},
    {2, {PR_TOKENS, 65}},
};
static const int tokens[] = {1, 1, 1, 64, 3, 257};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* Sizes in a row, as many tokens of one column. */
static const int sizes[] = {0, 1, 2, 15, 16, 17, 63, 65, 127, 128, 129};
enum { SIZES = sizeof sizes / sizeof *sizes };

enum { OF_ONE_OP = SHAPES + SIZES + 1 };

static const struct {
    int32_t lengths[CASE_SENTENCES]; /* none: one row a sentence */
    int32_t rows, d;
    float p;
    uint64_t seed, step, first;
} dropouts[] = {
    {{0}, 1, 1, 0.5f, 0, 0, 0},
    {{0}, 5, 17, 0.1f, 1, 7, 0},
    {{0}, 70, 257, 0.2f, 12345, 3, 16},
    {{1}, 0, 3, 0.5f, 9, 1, 2},
    {{1, 1, 1, 1}, 0, 4, 0.3f, 9, 1, 0},
    {{3, 1, 7}, 0, 5, 0.1f, 9, 2, 100},
    {{16, 15, 17, 2}, 0, 255, 0.1f, UINT64_MAX, 4, 3},
    {{63, 64, 65}, 0, 256, 0.9f, 1ull << 40, UINT32_MAX, 0},
    {{200}, 0, 259, 0.1f, 77, 1000000, UINT32_MAX},
    {{2, 9, 40}, 0, 768, 1e-3f, 4, 5, 6},
};
enum { DROPOUTS = sizeof dropouts / sizeof *dropouts };

static const struct {
    int32_t n;
    float value;
} constants[] = {{1, 0.5f}, {65, -2.0f}, {1000, 0.0f}};
enum { CONSTANTS = sizeof constants / sizeof *constants };

static int count(void) {
    return OPS * OF_ONE_OP + DROPOUTS + CONSTANTS;
}

static void make_plain(int op, int index, op_case *c) {
    pr_shape shape = pr_shape_2(PR_TOKENS, 1);
    bool tails = ops[op].tails && index == OF_ONE_OP - 1;
    if (index < SHAPES) {
        shape = shapes[index];
        c->extent.tokens = tokens[index];
    } else if (index < SHAPES + SIZES) {
        c->extent.tokens = sizes[index - SHAPES];
    } else {
        c->extent.tokens = 300;
    }
    c->op = ops[op].op;
    c->attr.f[0] = ops[op].factor;
    char text[PR_SHAPE_TEXT];
    char factor[32] = "";
    if (c->op == &pr_op_scale) snprintf(factor, sizeof factor, " by %g", (double)ops[op].factor);
    snprintf(c->label, sizeof c->label, "%s %s%s%s", c->op->name,
             pr_shape_text(pr_shape_bind(shape, c->extent), text), factor,
             tails ? " in the tails" : "");
    for (int k = 0; k < c->op->n_in; k++)
        case_floats(c, k, shape, tails ? TAILS : ops[op].in[k]);
}

static void make_dropout(int i, op_case *c) {
    bool packed = dropouts[i].lengths[0];
    c->op = &pr_op_dropout;
    snprintf(c->label, sizeof c->label, "dropout %d of %s rows of %d", i,
             packed ? "packed" : "single", (int)dropouts[i].d);
    c->attr = (pr_attr){.site = pr_site(c->label), .f = {dropouts[i].p}};
    c->training = true;
    c->extent.sentences = dropouts[i].rows;
    if (packed) case_offsets(c, 2, dropouts[i].lengths);
    case_rng(c, 1, dropouts[i].seed, dropouts[i].step, dropouts[i].first);
    case_floats(c, 0, pr_shape_2(packed ? PR_TOKENS : PR_SENTENCES, dropouts[i].d), PLAIN);
}

static void make(int index, op_case *c) {
    if (index < OPS * OF_ONE_OP) {
        make_plain(index / OF_ONE_OP, index % OF_ONE_OP, c);
        return;
    }
    index -= OPS * OF_ONE_OP;
    if (index < DROPOUTS) {
        make_dropout(index, c);
        return;
    }
    index -= DROPOUTS;
    c->op = &pr_op_constant;
    c->attr = (pr_attr){.f = {constants[index].value}, .i = {constants[index].n}};
    snprintf(c->label, sizeof c->label, "constant of %d", (int)constants[index].n);
}

const case_family cases_elementwise = {"elementwise", count, make};
