/* add, scale, gelu, tanh, relu, dropout, constant. */
#include <math.h>

#include "ops/table.h"
#include "tests/reference.h"

static double normal_distribution(double x) {
    return 0.5 * erfc(-x / sqrt(2.0));
}

static double normal_density(double x) {
    return exp(-0.5 * x * x) / sqrt(2.0 * acos(-1.0));
}

static void run_add(const reference_call *c) {
    const double *a = c->in[0].x, *b = c->in[1].x;
    for (int64_t i = 0; i < reference_count(c->shape[0]); i++)
        reference_set(c, 0, i, a[i] + b[i], fabs(a[i] + b[i]));
}

static void run_scale(const reference_call *c) {
    const double *x = c->in[0].x, factor = c->attr.f[0];
    for (int64_t i = 0; i < reference_count(c->shape[0]); i++)
        reference_set(c, 0, i, factor * x[i], fabs(factor * x[i]));
}

/* 1 + erf loses what Phi has below 2^-24, as everywhere: so the scale is x, not y. */
static void run_gelu(const reference_call *c) {
    const double *x = c->in[0].x;
    for (int64_t i = 0; i < reference_count(c->shape[0]); i++)
        reference_set(c, 0, i, x[i] * normal_distribution(x[i]), fabs(x[i]));
}

/* phi's argument x^2 / 2 is rounded before its exponential is taken. */
static void run_gelu_grad(const reference_call *c) {
    const double *dy = c->in[0].x, *x = c->in[1].x;
    for (int64_t i = 0; i < reference_count(c->shape[0]); i++) {
        double density = normal_density(x[i]);
        reference_set(c, 0, i, dy[i] * (normal_distribution(x[i]) + x[i] * density),
                      fabs(dy[i]) * (1.0 + fabs(x[i]) * density * (1.0 + 0.5 * x[i] * x[i])));
    }
}

static void run_tanh(const reference_call *c) {
    const double *x = c->in[0].x;
    for (int64_t i = 0; i < reference_count(c->shape[0]); i++)
        reference_set(c, 0, i, tanh(x[i]), fabs(tanh(x[i])));
}

static void run_tanh_grad(const reference_call *c) {
    const double *dy = c->in[0].x, *y = c->in[1].x;
    for (int64_t i = 0; i < reference_count(c->shape[0]); i++) {
        double square = y[i] * y[i];
        reference_set(c, 0, i, dy[i] * (1.0 - square), fabs(dy[i]) * (1.0 + square));
    }
}

static void run_relu(const reference_call *c) {
    const double *x = c->in[0].x;
    for (int64_t i = 0; i < reference_count(c->shape[0]); i++)
        reference_set(c, 0, i, fmax(x[i], 0.0), 0.0);
}

static void run_relu_grad(const reference_call *c) {
    const double *dy = c->in[0].x, *y = c->in[1].x;
    for (int64_t i = 0; i < reference_count(c->shape[0]); i++)
        reference_set(c, 0, i, y[i] > 0.0 ? dy[i] : 0.0, 0.0);
}

static void run_dropout(const reference_call *c) {
    const double *x = c->in[0].x, p = c->attr.f[0];
    const int32_t *offset = c->in[2].i;
    int64_t columns = c->shape[0].dim[1], sentence = 0;
    for (int64_t row = 0; row < c->shape[0].dim[0]; row++) {
        if (!offset) sentence = row;
        while (offset && row >= offset[sentence + 1])
            sentence++;
        uint32_t position = offset ? (uint32_t)(row - offset[sentence]) : 0;
        for (int64_t column = 0; column < columns; column++) {
            int64_t i = row * columns + column;
            bool kept = reference_keeps(c->in[1].u, c->attr.site, p, sentence, position, column);
            double y = kept ? x[i] / (1.0 - p) : 0.0;
            reference_set(c, 0, i, y, fabs(y));
        }
    }
}

static void run_constant(const reference_call *c) {
    for (int64_t i = 0; i < c->attr.i[0]; i++)
        reference_set(c, 0, i, c->attr.f[0], 0.0);
}

const reference reference_elementwise[] = {
    {&pr_op_add, run_add, 1, 0.5},     /* one rounding */
    {&pr_op_scale, run_scale, 1, 0.5}, /* one rounding */
    /* erf's 1.2 units in the last place, its argument's rounding, 1 + erf, two products */
    {&pr_op_gelu, run_gelu, 2.5, 0.6},
    {&pr_op_gelu_grad, run_gelu_grad, 3, 0.8},
    {&pr_op_tanh, run_tanh, 4, 1},             /* glibc: 2 units in the last place */
    {&pr_op_tanh_grad, run_tanh_grad, 2, 0.6}, /* three roundings */
    {&pr_op_relu, run_relu, 0, 0},
    {&pr_op_relu_grad, run_relu_grad, 0, 0},
    {&pr_op_dropout, run_dropout, 3, 1}, /* 1 - p, the quotient, the product */
    {&pr_op_constant, run_constant, 0, 0},
    {0},
};
