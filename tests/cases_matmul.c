/* Products: sizes around the tiles of gemm.c (columns by 64, rows by 8 up to 384, more than one
 * tile from 4 million operations on), every transposition, with and without bias and onto. */
#include <stdio.h>

#include "ops/ops.h"
#include "ops/table.h"
#include "tests/cases.h"

enum { A, B, BIAS, ONTO };

typedef enum addends { NOTHING, A_BIAS, A_MATRIX, BOTH } addends;

/* What may be as many as a batch has tokens. */
typedef enum moving { FIXED, ROWS, INNER } moving;

static const struct {
    int m, n, k;
    unsigned transpose;
    float alpha;
    addends added;
    moving moves;
} products[] = {
    {1, 1, 1, 0, 1, NOTHING, FIXED},
    {1, 1, 1, 3, -2, BOTH, FIXED},
    {1, 2, 3, 2, 1, A_BIAS, ROWS},
    {3, 1, 2, 1, 0.5f, A_MATRIX, FIXED},
    {2, 3, 1, 0, 1, BOTH, ROWS},
    {1, 65, 64, 2, 1, A_BIAS, ROWS},
    {65, 1, 17, 2, 1, A_BIAS, ROWS},
    {15, 16, 17, 0, 1, NOTHING, ROWS},
    {15, 16, 17, 1, 1, NOTHING, INNER},
    {15, 16, 17, 2, 1, NOTHING, ROWS},
    {15, 16, 17, 3, 1, NOTHING, FIXED},
    {17, 15, 16, 0, 0.3f, BOTH, ROWS},
    {17, 15, 16, 1, 0.3f, BOTH, INNER},
    {17, 15, 16, 2, 0.3f, BOTH, ROWS},
    {17, 15, 16, 3, 0.3f, BOTH, FIXED},
    {63, 64, 65, 2, 1, A_BIAS, ROWS},
    {65, 63, 64, 0, 1, A_MATRIX, ROWS},
    {64, 65, 63, 1, 1, BOTH, INNER},
    {129, 127, 31, 2, 1, A_BIAS, ROWS},
    {7, 5, 0, 2, 1, NOTHING, FIXED}, /* nothing to sum: zeros */
    {7, 5, 0, 0, 1, BOTH, FIXED},
    {0, 5, 7, 2, 1, A_BIAS, ROWS}, /* no rows */
    {6, 5, 0, 1, 1, A_MATRIX, INNER},
    {5, 6, 7, 2, 0, BOTH, ROWS}, /* alpha 0: the addends */
    {5, 6, 600, 2, 1, NOTHING, ROWS},
    /* More than one tile: of columns, of rows, of both, with ragged edges. */
    {130, 130, 130, 2, 1, A_BIAS, ROWS},
    {260, 96, 97, 0, 1, A_MATRIX, ROWS},
    {385, 33, 16, 2, 1, BOTH, ROWS},
    {400, 257, 49, 1, -1, A_BIAS, FIXED},
    {131, 257, 150, 3, 1, BOTH, FIXED},
};

/* A bf16 factor: around the panels of 16, the tiles of 12 by 32 and of 384 rows of gemm_bf16.c, and
 * its blocks of 32 along k; odd numbers to sum. a is what bf16 holds, so that rounding it is exact.
 */
static const struct {
    int m, n, k;
    unsigned transpose;
    float alpha;
    addends added;
} halves[] = {
    {1, 1, 1, 2, 1, NOTHING},     {1, 1, 1, 0, -2, BOTH},        {12, 32, 64, 2, 1, A_BIAS},
    {12, 32, 64, 0, 1, A_MATRIX}, {13, 33, 63, 2, 0.5f, BOTH},   {13, 33, 63, 0, 0.5f, BOTH},
    {11, 31, 65, 2, 1, NOTHING},  {11, 31, 65, 0, 1, NOTHING},   {25, 16, 97, 2, 1, A_BIAS},
    {25, 15, 34, 0, 1, A_BIAS},   {23, 49, 32, 2, 1, A_MATRIX},  {6, 17, 200, 2, 1, NOTHING},
    {385, 40, 33, 2, 1, A_BIAS},  {397, 70, 30, 0, 1, A_MATRIX}, {7, 5, 0, 2, 1, NOTHING},
    {7, 5, 0, 0, 1, BOTH},        {0, 5, 7, 2, 1, A_BIAS},       {5, 64, 7, 2, 0, BOTH},
};

enum { PRODUCTS = sizeof products / sizeof *products, HALVES = sizeof halves / sizeof *halves };

static int count(void) {
    return PRODUCTS + HALVES;
}

static void make_half(int i, op_case *c) {
    int64_t n = halves[i].n, k = halves[i].k;
    bool tb = halves[i].transpose & PR_TRANSPOSE_B;
    c->op = &pr_op_matmul;
    snprintf(c->label, sizeof c->label, "matmul %g a b%s of (%d, %d, %d) in bf16, added %d",
             (double)halves[i].alpha, tb ? "'" : "", halves[i].m, halves[i].n, halves[i].k,
             (int)halves[i].added);
    c->extent.tokens = halves[i].m;
    c->condition = 400; /* dy is rounded to bf16 on its way back: up to 2^-9 off */
    c->attr = (pr_attr){.f = {halves[i].alpha}, .i = {(int32_t)halves[i].transpose}};
    case_exact(c, A, pr_shape_2(PR_TOKENS, k));
    case_halves(c, B, tb ? pr_shape_2(n, k) : pr_shape_2(k, n));
    if (halves[i].added & A_BIAS) case_floats(c, BIAS, pr_shape_1(n), PLAIN);
    if (halves[i].added & A_MATRIX) case_floats(c, ONTO, pr_shape_2(PR_TOKENS, n), PLAIN);
}

static void make(int i, op_case *c) {
    static const char *const added[] = {"", " + bias", " + onto", " + bias + onto"};
    if (i >= PRODUCTS) {
        make_half(i - PRODUCTS, c);
        return;
    }
    int64_t m = products[i].m, n = products[i].n, k = products[i].k;
    bool ta = products[i].transpose & PR_TRANSPOSE_A, tb = products[i].transpose & PR_TRANSPOSE_B;
    c->op = &pr_op_matmul;
    snprintf(c->label, sizeof c->label, "matmul %g a%s b%s of (%d, %d, %d)%s",
             (double)products[i].alpha, ta ? "'" : "", tb ? "'" : "", products[i].m, products[i].n,
             products[i].k, added[products[i].added]);
    if (products[i].moves == ROWS) {
        c->extent.tokens = m;
        m = PR_TOKENS;
    } else if (products[i].moves == INNER) {
        c->extent.tokens = k;
        k = PR_TOKENS;
    }
    c->attr = (pr_attr){.f = {products[i].alpha}, .i = {(int32_t)products[i].transpose}};
    case_floats(c, A, ta ? pr_shape_2(k, m) : pr_shape_2(m, k), PLAIN);
    case_floats(c, B, tb ? pr_shape_2(n, k) : pr_shape_2(k, n), PLAIN);
    if (products[i].added & A_BIAS) case_floats(c, BIAS, pr_shape_1(n), PLAIN);
    if (products[i].added & A_MATRIX) case_floats(c, ONTO, pr_shape_2(m, n), PLAIN);
}

const case_family cases_matmul = {"matmul", count, make};
