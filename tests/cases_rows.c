/* softmax, layer_norm, residual_norm, sum_rows, embed, first_token and their gradients; densify. */
#include <stdio.h>
#include <stdlib.h>

#include "ops/ops.h"
#include "ops/table.h"
#include "tests/cases.h"

/* Rows, columns; the tiles of sums over rows are 64 by 64, and some 16384 elements are worth a
 * second thread. */
static const struct {
    int32_t rows, columns;
    fill how;
} softmaxes[] = {{0, 3, PLAIN},    {1, 1, PLAIN},    {1, 2, PLAIN},   {3, 15, PLAIN},
                 {3, 16, PLAIN},   {5, 17, PLAIN},   {2, 63, PLAIN},  {2, 64, PLAIN},
                 {2, 65, PLAIN},   {257, 65, PLAIN}, {1, 999, PLAIN}, {4, 33, LARGE},
                 {3, 40, NEAR_100}};
enum { SOFTMAXES = sizeof softmaxes / sizeof *softmaxes };

static const struct {
    int32_t rows, d;
    float epsilon;
    fill how;
    float condition;
} norms[] = {
    {0, 3, 1e-12f, PLAIN, 1},     {1, 1, 1e-5f, PLAIN, 300},  {1, 2, 1e-12f, PLAIN, 10},
    {3, 15, 1e-12f, PLAIN, 1},    {2, 16, 1e-5f, PLAIN, 1},   {5, 17, 1e-12f, PLAIN, 1},
    {63, 64, 1e-12f, PLAIN, 1},   {64, 63, 1e-12f, PLAIN, 1}, {65, 65, 1e-12f, PLAIN, 1},
    {129, 129, 1e-12f, PLAIN, 1}, {2, 768, 1e-12f, PLAIN, 1}, {3, 40, 1e-12f, NEAR_100, 1e4f},
    {3, 33, 1e-5f, ALL_7, 300},   {3, 65, 1e-12f, LARGE, 1},  {1, 7, 0.25f, PLAIN, 1},
};
enum { NORMS = sizeof norms / sizeof *norms };

static const struct {
    int32_t rows, columns;
    bool onto;
} sums[] = {{0, 3, false},   {0, 3, true},     {1, 1, false},    {1, 65, true},
            {2, 64, true},   {63, 63, false},  {64, 17, true},   {65, 64, false},
            {127, 15, true}, {129, 130, true}, {257, 129, false}};
enum { SUMS = sizeof sums / sizeof *sums };

/* Tables: rows, columns, tokens, and how many of the rows occur: the first `used`, and the last. */
static const struct {
    int32_t rows, d, tokens, used;
} tables[] = {{1, 1, 1, 1},       {1, 3, 7, 1},         {5, 1, 4, 5},        {7, 17, 40, 7},
              {300, 15, 33, 20},  {257, 64, 64, 257},   {1000, 65, 129, 30}, {70000, 3, 50, 69999},
              {40, 129, 300, 25}, {65536, 2, 9, 65536}, {9, 4, 0, 9}};
enum { TABLES = sizeof tables / sizeof *tables };

static const struct {
    int32_t lengths[CASE_SENTENCES], d;
} firsts[] = {
    {{1}, 1}, {{3, 1, 7}, 5}, {{1, 1, 1}, 64}, {{200}, 17}, {{16, 90, 2, 33, 80, 40}, 65}};
enum { FIRSTS = sizeof firsts / sizeof *firsts };

/* Sentences, or single rows; draws go by 4 columns, and by 256 of them. */
static const struct {
    int32_t lengths[CASE_SENTENCES], rows, d;
    float p, epsilon;
    fill how;
    bool evaluation; /* where nothing is dropped */
} residuals[] = {
    {{0}, 5, 17, 0, 1e-12f, PLAIN, false},
    {{3, 1, 7}, 0, 6, 0.3f, 1e-5f, PLAIN, false},
    {{0}, 70, 65, 0.1f, 1e-12f, PLAIN, false},
    {{63, 2}, 0, 64, 0, 1e-12f, PLAIN, false},
    {{3, 70, 1}, 0, 40, 0.1f, 1e-5f, PLAIN, true},
    {{16, 15, 2}, 0, 259, 0.1f, 1e-12f, PLAIN, false},
    {{2, 9, 40}, 0, 768, 0.2f, 1e-12f, PLAIN, false},
    {{5}, 0, 516, 0.9f, 0.25f, PLAIN, false},
    {{2, 3}, 0, 33, 0.5f, 1e-12f, LARGE, false},
};
enum { RESIDUALS = sizeof residuals / sizeof *residuals };

/* How many ops each table serves. */
enum { OF_SOFTMAX = 2, OF_NORM = 3, OF_RESIDUAL = 2, OF_TABLE = 4, OF_FIRST = 2 };

static int count(void) {
    return OF_SOFTMAX * SOFTMAXES + OF_NORM * NORMS + OF_RESIDUAL * RESIDUALS + SUMS +
           OF_TABLE * TABLES + OF_FIRST * FIRSTS;
}

static void name(op_case *c, const pr_op *op, int32_t rows, int32_t columns, const char *more) {
    c->op = op;
    snprintf(c->label, sizeof c->label, "%s of (%d, %d)%s", op->name, (int)rows, (int)columns,
             more);
}

static const char *how_text(fill how) {
    static const char *const text[] = {
        [PLAIN] = "", [LARGE] = ", large", [NEAR_100] = ", near 100", [ALL_7] = ", constant rows"};
    return text[how];
}

static void make_softmax(int i, int which, op_case *c) {
    op_case forward = {.extent = {.tokens = softmaxes[i].rows}, .condition = 1.0};
    pr_shape shape = pr_shape_2(PR_TOKENS, softmaxes[i].columns);
    c->extent = forward.extent;
    name(&forward, &pr_op_softmax, softmaxes[i].rows, softmaxes[i].columns,
         how_text(softmaxes[i].how));
    case_floats(&forward, 0, shape, softmaxes[i].how);
    if (which == 0) {
        *c = forward;
        return;
    }
    name(c, &pr_op_softmax_grad, softmaxes[i].rows, softmaxes[i].columns,
         how_text(softmaxes[i].how));
    case_floats(c, 0, shape, PLAIN);
    case_from(c, 1, &forward, 0);
    case_free(&forward);
}

static void make_norm(int i, int which, op_case *c) {
    static const pr_op *const ops[] = {&pr_op_layer_norm, &pr_op_layer_norm_grad,
                                       &pr_op_layer_norm_grad_gamma};
    op_case forward = {.extent = {.tokens = norms[i].rows}, .condition = norms[i].condition};
    pr_shape shape = pr_shape_2(PR_TOKENS, norms[i].d), row = pr_shape_1(norms[i].d);
    char more[64];
    snprintf(more, sizeof more, ", epsilon %g%s", (double)norms[i].epsilon, how_text(norms[i].how));
    name(&forward, ops[0], norms[i].rows, norms[i].d, more);
    forward.attr.f[0] = norms[i].epsilon;
    case_floats(&forward, 0, shape, norms[i].how);
    case_floats(&forward, 1, row, PLAIN);
    case_floats(&forward, 2, row, PLAIN);
    if (which == 0) {
        *c = forward;
        return;
    }
    c->extent = forward.extent;
    name(c, ops[which], norms[i].rows, norms[i].d, more);
    case_floats(c, 0, shape, PLAIN);
    case_floats(c, 1, shape, norms[i].how);
    case_from(c, 2, &forward, 1);
    case_from(c, 3, &forward, 2);
    if (which == 1) case_floats(c, 4, row, PLAIN);
    case_free(&forward);
}

/* in[k] and in[k + 1]: rng and offsets, where the case drops. */
static void make_dropped(int i, int k, op_case *c) {
    bool packed = residuals[i].lengths[0];
    c->training = !residuals[i].evaluation;
    c->extent = (pr_extent){.sentences = residuals[i].rows};
    c->attr = (pr_attr){.site = pr_site("residual"), .f = {residuals[i].p}};
    if (packed) case_offsets(c, k + 1, residuals[i].lengths);
    if (residuals[i].p != 0.0f) {
        case_rng(c, k, 12345, 6, 7);
    } else if (packed) {
        free(c->data[k + 1]);
        c->data[k + 1] = NULL;
    }
}

static void make_residual(int i, int which, op_case *c) {
    op_case forward = {.condition = 1.0};
    int32_t d = residuals[i].d;
    pr_shape row = pr_shape_1(d);
    pr_shape shape = pr_shape_2(residuals[i].lengths[0] ? PR_TOKENS : PR_SENTENCES, d);
    char more[64];
    snprintf(more, sizeof more, ", dropout %g%s", (double)residuals[i].p,
             how_text(residuals[i].how));
    make_dropped(i, 4, &forward);
    forward.attr.f[1] = residuals[i].epsilon;
    name(&forward, &pr_op_residual_norm, i, d, more);
    for (int k = 0; k < 2; k++)
        case_floats(&forward, k, shape, residuals[i].how);
    for (int k = 2; k < 4; k++)
        case_floats(&forward, k, row, PLAIN);
    if (which == 0) {
        *c = forward;
        return;
    }
    make_dropped(i, 5, c);
    name(c, &pr_op_residual_norm_grad, i, d, more);
    case_floats(c, 0, shape, PLAIN);
    for (int k = 1; k < 4; k++)
        case_from(c, k, &forward, k);
    case_floats(c, 4, row, PLAIN);
    case_free(&forward);
}

static void make_sum(int i, op_case *c) {
    name(c, &pr_op_sum_rows, sums[i].rows, sums[i].columns, sums[i].onto ? " + onto" : "");
    c->extent.tokens = sums[i].rows;
    case_floats(c, 0, pr_shape_2(PR_TOKENS, sums[i].columns), PLAIN);
    if (sums[i].onto) case_floats(c, 1, pr_shape_1(sums[i].columns), PLAIN);
}

static void make_ids(int i, int k, op_case *c) {
    int32_t *id = case_indices(c, k, pr_shape_1(PR_TOKENS), tables[i].used);
    if (tables[i].tokens > 2) id[tables[i].tokens / 2] = tables[i].rows - 1;
}

static void make_table(int i, int which, op_case *c) {
    op_case sparse = {.extent = {.tokens = tables[i].tokens}, .condition = 1.0};
    pr_shape dy = pr_shape_2(PR_TOKENS, tables[i].d);
    c->extent = sparse.extent;
    if (which == 0 || which == 3) {
        name(c, &pr_op_embed, tables[i].rows, tables[i].d, which ? " in bf16" : "");
        pr_shape table = pr_shape_2(tables[i].rows, tables[i].d);
        if (which)
            case_halves(c, 0, table);
        else
            case_floats(c, 0, table, PLAIN);
        make_ids(i, 1, c);
        return;
    }
    name(&sparse, &pr_op_embed_grad, tables[i].rows, tables[i].d, "");
    sparse.attr.i[0] = tables[i].rows;
    case_floats(&sparse, 0, dy, PLAIN);
    make_ids(i, 1, &sparse);
    if (which == 1) {
        *c = sparse;
        return;
    }
    name(c, &pr_op_densify, tables[i].rows, tables[i].d, "");
    c->attr.i[0] = tables[i].rows;
    for (int k = 0; k < 3; k++)
        case_from(c, k, &sparse, k);
    case_free(&sparse);
}

static void make_first(int i, int which, op_case *c) {
    name(c, which ? &pr_op_first_token_grad : &pr_op_first_token, i, firsts[i].d, "");
    case_offsets(c, 1, firsts[i].lengths);
    c->attr.i[0] = which ? PR_TOKENS : 0;
    case_floats(c, 0, pr_shape_2(which ? PR_SENTENCES : PR_TOKENS, firsts[i].d), PLAIN);
}

static void make(int index, op_case *c) {
    const struct {
        void (*make)(int, int, op_case *);
        int each, of;
    } parts[] = {{make_softmax, OF_SOFTMAX, SOFTMAXES},
                 {make_norm, OF_NORM, NORMS},
                 {make_residual, OF_RESIDUAL, RESIDUALS},
                 {make_table, OF_TABLE, TABLES},
                 {make_first, OF_FIRST, FIRSTS}};
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
        if (index < parts[p].each * parts[p].of) {
            parts[p].make(index / parts[p].each, index % parts[p].each, c);
            return;
        }
        index -= parts[p].each * parts[p].of;
    }
    make_sum(index, c);
}

const case_family cases_rows = {"rows", count, make};
