/* cross_entropy, mse, and the gradients' norm: sum_squares and clip_factor. */
#include <math.h>

#include "ops/table.h"
#include "tests/reference.h"

static double log_sum_exp(const double *z, int64_t n) {
    double most = z[0], sum = 0.0;
    for (int64_t i = 1; i < n; i++)
        most = fmax(most, z[i]);
    for (int64_t i = 0; i < n; i++)
        sum += exp(z[i] - most);
    return most + log(sum);
}

static void run_cross_entropy(const reference_call *c) {
    const double *z = c->in[0].x;
    const int32_t *label = c->in[1].i;
    int64_t sentences = c->in[0].shape.dim[0], classes = c->in[0].shape.dim[1];
    double loss = 0.0;
    for (int64_t b = 0; b < sentences; b++)
        loss += log_sum_exp(z + b * classes, classes) - z[b * classes + label[b]];
    loss /= (double)sentences;
    reference_set(c, 0, 0, loss, fabs(loss));
}

static void run_cross_entropy_grad(const reference_call *c) {
    const double *dloss = c->in[0].x, *z = c->in[1].x;
    const int32_t *label = c->in[2].i;
    int64_t sentences = c->in[1].shape.dim[0], classes = c->in[1].shape.dim[1];
    for (int64_t b = 0; b < sentences; b++) {
        const double *row = z + b * classes;
        double lse = log_sum_exp(row, classes);
        for (int64_t i = 0; i < classes; i++) {
            double onehot = i == label[b] ? 1.0 : 0.0;
            double dz = dloss[0] * (exp(row[i] - lse) - onehot) / (double)sentences;
            reference_set(c, 0, b * classes + i, dz, fabs(dz));
        }
    }
}

static void run_mse(const reference_call *c) {
    const double *x = c->in[0].x, *target = c->in[1].x;
    int64_t sentences = c->in[0].shape.dim[0];
    double loss = 0.0;
    for (int64_t b = 0; b < sentences; b++)
        loss += (x[b] - target[b]) * (x[b] - target[b]) / (double)sentences;
    reference_set(c, 0, 0, loss, loss);
}

static void run_mse_grad(const reference_call *c) {
    const double *dloss = c->in[0].x, *x = c->in[1].x, *target = c->in[2].x;
    int64_t sentences = c->in[1].shape.dim[0];
    for (int64_t b = 0; b < sentences; b++) {
        double dx = dloss[0] * 2.0 * (x[b] - target[b]) / (double)sentences;
        reference_set(c, 0, b, dx, fabs(dx));
    }
}

static void run_sum_squares(const reference_call *c) {
    const double *x = c->in[0].x;
    int64_t n = reference_count(c->in[0].shape);
    if (c->in[2].i) n = c->in[2].i[0] * c->in[0].shape.dim[1];
    long double sum = c->in[1].x ? c->in[1].x[0] : 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (long double)x[i] * x[i];
    reference_set(c, 0, 0, (double)sum, (double)sum);
}

static void run_clip_factor(const reference_call *c) {
    double norm = sqrt(c->in[0].x[0]), most = c->attr.f[0];
    double factor = most > 0.0 ? most / (norm + 1e-6) : 1.0;
    reference_set(c, 0, 0, factor < 1.0 ? factor : 1.0, 1.0);
}

const reference reference_losses[] = {
    /* Computed in double and rounded once. */
    {&pr_op_cross_entropy, run_cross_entropy, 1, 1},
    {&pr_op_cross_entropy_grad, run_cross_entropy_grad, 1, 0.6},
    {&pr_op_mse, run_mse, 1, 1},
    {&pr_op_mse_grad, run_mse_grad, 1, 0.6},
    /* Units of double; 16384 squares are summed one by one where there are no vectors. */
    {&pr_op_sum_squares, run_sum_squares, 400, 400},
    {&pr_op_clip_factor, run_clip_factor, 1, 1},
    {0},
};
