/* softmax, layer_norm, residual_norm, sum_rows, embed, first_token, densify. */
#include <math.h>

#include "ops/table.h"
#include "tests/reference.h"

static const double unit = 0x1p-24;

/* ---- softmax ---- */

static void run_softmax(const reference_call *c) {
    int64_t rows = c->shape[0].dim[0], columns = c->shape[0].dim[1];
    for (int64_t row = 0; row < rows; row++) {
        const double *x = c->in[0].x + row * columns;
        double most = x[0], sum = 0.0, sum_error = 0.0;
        for (int64_t i = 1; i < columns; i++)
            most = fmax(most, x[i]);
        for (int64_t i = 0; i < columns; i++) {
            sum += exp(x[i] - most);
            sum_error += exp(x[i] - most) * (1.0 + most - x[i]);
        }
        /* x - most is rounded, and so e^(x - most) is off by as many units as it is large. */
        for (int64_t i = 0; i < columns; i++) {
            double y = exp(x[i] - most) / sum;
            reference_set(c, 0, row * columns + i, y, y * (1.0 + most - x[i] + sum_error / sum));
        }
    }
}

static void run_softmax_grad(const reference_call *c) {
    int64_t rows = c->shape[0].dim[0], columns = c->shape[0].dim[1];
    for (int64_t row = 0; row < rows; row++) {
        const double *dy = c->in[0].x + row * columns, *y = c->in[1].x + row * columns;
        double sum = 0.0, scale = 0.0;
        for (int64_t i = 0; i < columns; i++) {
            sum += dy[i] * y[i];
            scale += fabs(dy[i] * y[i]);
        }
        for (int64_t i = 0; i < columns; i++) {
            reference_set(c, 0, row * columns + i, y[i] * (dy[i] - sum),
                          fabs(y[i]) * (fabs(dy[i]) + scale));
        }
    }
}

/* ---- layer_norm ---- */

static void run_layer_norm(const reference_call *c) {
    const double *gamma = c->in[1].x, *beta = c->in[2].x;
    int64_t rows = c->shape[0].dim[0], d = c->shape[0].dim[1];
    for (int64_t row = 0; row < rows; row++) {
        const double *x = c->in[0].x + row * d;
        double mean = 0.0, size = 0.0, variance = 0.0;
        for (int64_t i = 0; i < d; i++) {
            mean += x[i] / (double)d;
            size += fabs(x[i]) / (double)d;
        }
        for (int64_t i = 0; i < d; i++)
            variance += (x[i] - mean) * (x[i] - mean) / (double)d;
        double rstd = 1.0 / sqrt(variance + c->attr.f[0]);
        /* The mean's error, some units of `size`, adds its square to the variance. */
        double rstd_units = 2.0 + unit * (4.0 * size * rstd) * (4.0 * size * rstd);
        for (int64_t i = 0; i < d; i++) {
            double xhat = (x[i] - mean) * rstd;
            double xhat_scale = rstd * size + fabs(xhat) * rstd_units;
            reference_set(c, 0, row * d + i, xhat * gamma[i] + beta[i],
                          xhat_scale * fabs(gamma[i]) + fabs(beta[i]));
        }
        reference_set(c, 1, row, mean, size);
        reference_set(c, 2, row, rstd, rstd * rstd_units);
    }
}

static void run_layer_norm_grad(const reference_call *c) {
    const double *mean = c->in[2].x, *rstd = c->in[3].x, *gamma = c->in[4].x;
    int64_t rows = c->shape[0].dim[0], d = c->shape[0].dim[1];
    for (int64_t row = 0; row < rows; row++) {
        const double *dy = c->in[0].x + row * d, *x = c->in[1].x + row * d;
        double h_mean = 0.0, product_mean = 0.0, h_scale = 0.0, product_scale = 0.0;
        for (int64_t i = 0; i < d; i++) {
            double h = dy[i] * gamma[i], xhat = (x[i] - mean[row]) * rstd[row];
            h_mean += h / (double)d;
            h_scale += fabs(h) / (double)d;
            product_mean += h * xhat / (double)d;
            product_scale += fabs(h * xhat) / (double)d;
        }
        for (int64_t i = 0; i < d; i++) {
            double h = dy[i] * gamma[i], xhat = (x[i] - mean[row]) * rstd[row];
            reference_set(c, 0, row * d + i, rstd[row] * (h - h_mean - xhat * product_mean),
                          rstd[row] * (fabs(h) + h_scale + fabs(xhat) * product_scale));
        }
    }
}

static void run_layer_norm_grad_gamma(const reference_call *c) {
    const double *dy = c->in[0].x, *x = c->in[1].x, *mean = c->in[2].x, *rstd = c->in[3].x;
    int64_t rows = c->in[1].shape.dim[0], d = c->in[1].shape.dim[1];
    for (int64_t i = 0; i < d; i++) {
        double sum = 0.0, scale = 0.0;
        for (int64_t row = 0; row < rows; row++) {
            double term = dy[row * d + i] * (x[row * d + i] - mean[row]) * rstd[row];
            sum += term;
            scale += fabs(term);
        }
        reference_set(c, 0, i, sum, scale);
    }
}

/* ---- residual_norm ---- */

/* What dropout multiplies the column of a row with; in[rng] and in[rng + 1] are what it draws by.
 */
static double mask(const reference_call *c, int rng, int64_t row, int64_t column) {
    const int32_t *offset = c->in[rng + 1].i;
    double p = c->attr.f[0];
    int64_t sentence = offset ? 0 : row;
    if (!c->training || p == 0.0) return 1.0;
    while (offset && row >= offset[sentence + 1])
        sentence++;
    uint32_t position = offset ? (uint32_t)(row - offset[sentence]) : 0;
    bool keeps = reference_keeps(c->in[rng].u, c->attr.site, p, sentence, position, column);
    return keeps ? 1.0 / (1.0 - p) : 0.0;
}

/* What errors in s, as large as its scale, add to the scales of layer_norm's results. */
static void carry_errors(const reference_call *c, int64_t row) {
    int64_t d = c->shape[0].dim[1];
    const double *s = c->y[1] + row * d, *error = c->scale[1] + row * d;
    double mean = c->y[2][row], rstd = c->y[3][row], all = 0.0, product = 0.0;
    for (int64_t i = 0; i < d; i++) {
        all += error[i] / (double)d;
        product += error[i] * fabs(s[i] - mean) * rstd / (double)d;
    }
    for (int64_t i = 0; i < d; i++) {
        double xhat = fabs(s[i] - mean) * rstd;
        c->scale[0][row * d + i] += rstd * (error[i] + all + xhat * product) * fabs(c->in[2].x[i]);
    }
    c->scale[2][row] += all;
    c->scale[3][row] += rstd * rstd * product;
}

static void run_residual_norm(const reference_call *c) {
    int64_t rows = c->shape[0].dim[0], d = c->shape[0].dim[1];
    for (int64_t i = 0; i < rows * d; i++) {
        double z = c->in[1].x[i] * mask(c, 4, i / d, i % d), s = c->in[0].x[i] + z;
        reference_set(c, 1, i, s, fabs(s) + fabs(z));
    }
    reference_call norm = {.shape = {c->shape[0]},
                           .y = {c->y[0], c->y[2], c->y[3]},
                           .scale = {c->scale[0], c->scale[2], c->scale[3]},
                           .attr = {.f = {c->attr.f[1]}}};
    norm.in[0] = (reference_operand){.shape = c->shape[1], .x = c->y[1]};
    norm.in[1] = c->in[2];
    norm.in[2] = c->in[3];
    run_layer_norm(&norm);
    for (int64_t row = 0; row < rows; row++)
        carry_errors(c, row);
}

static void run_residual_norm_grad(const reference_call *c) {
    int64_t d = c->shape[0].dim[1];
    reference_call norm = *c;
    norm.y[0] = c->y[1];
    norm.scale[0] = c->scale[1];
    run_layer_norm_grad(&norm);
    for (int64_t i = 0; i < reference_count(c->shape[0]); i++) {
        double times = mask(c, 5, i / d, i % d), dz = c->y[1][i] * times;
        reference_set(c, 0, i, dz, c->scale[1][i] * times + fabs(dz));
    }
}

/* ---- sums and copies of rows ---- */

static void run_sum_rows(const reference_call *c) {
    const double *x = c->in[0].x, *onto = c->in[1].x;
    int64_t rows = c->in[0].shape.dim[0], columns = c->in[0].shape.dim[1];
    for (int64_t i = 0; i < columns; i++) {
        double sum = onto ? onto[i] : 0.0, scale = fabs(sum);
        for (int64_t row = 0; row < rows; row++) {
            sum += x[row * columns + i];
            scale += fabs(x[row * columns + i]);
        }
        reference_set(c, 0, i, sum, scale);
    }
}

static void copy_row(const reference_call *c, int64_t row, int64_t from) {
    int64_t d = c->shape[0].dim[1];
    for (int64_t i = 0; i < d; i++)
        reference_set(c, 0, row * d + i, c->in[0].x[from * d + i], 0.0);
}

static void clear_row(const reference_call *c, int64_t row, double value) {
    int64_t d = c->shape[0].dim[1];
    for (int64_t i = 0; i < d; i++)
        reference_set(c, 0, row * d + i, value, 0.0);
}

static void run_embed(const reference_call *c) {
    for (int64_t token = 0; token < c->shape[0].dim[0]; token++)
        copy_row(c, token, c->in[1].i[token]);
}

/* Row `at`: the sum over the tokens that have the id. */
static void sum_tokens(const reference_call *c, int64_t at, int32_t id) {
    const double *dy = c->in[0].x;
    const int32_t *ids = c->in[1].i;
    int64_t tokens = c->shape[0].dim[0], d = c->shape[0].dim[1];
    clear_row(c, at, 0.0);
    for (int64_t token = 0; token < tokens; token++) {
        for (int64_t i = 0; i < d && ids[token] == id; i++) {
            c->y[0][at * d + i] += dy[token * d + i];
            c->scale[0][at * d + i] += fabs(dy[token * d + i]);
        }
    }
}

static void run_embed_grad(const reference_call *c) {
    const int32_t *ids = c->in[1].i;
    int64_t tokens = c->shape[0].dim[0], count = 0, last = -1;
    for (;;) { /* the smallest id above the last */
        int64_t next = INT64_MAX;
        for (int64_t i = 0; i < tokens; i++) {
            if (ids[i] > last && ids[i] < next) next = ids[i];
        }
        if (next == INT64_MAX) break;
        reference_set(c, 1, count, (double)next, 0.0);
        sum_tokens(c, count++, (int32_t)next);
        last = next;
    }
    for (int64_t i = count; i < tokens; i++) {
        reference_set(c, 1, i, -1.0, 0.0);
        clear_row(c, i, NAN);
    }
    reference_set(c, 2, 0, (double)count, 0.0);
}

static void run_densify(const reference_call *c) {
    for (int64_t row = 0; row < c->shape[0].dim[0]; row++)
        clear_row(c, row, 0.0);
    for (int32_t k = 0; k < c->in[2].i[0]; k++)
        copy_row(c, c->in[1].i[k], k);
}

static void run_first_token(const reference_call *c) {
    for (int64_t b = 0; b < c->shape[0].dim[0]; b++)
        copy_row(c, b, c->in[1].i[b]);
}

static void run_first_token_grad(const reference_call *c) {
    for (int64_t row = 0; row < c->shape[0].dim[0]; row++)
        clear_row(c, row, 0.0);
    for (int64_t b = 0; b < c->in[0].shape.dim[0]; b++)
        copy_row(c, c->in[1].i[b], b);
}

const reference reference_rows[] = {
    {&pr_op_softmax, run_softmax, 3, 0.9}, /* pr_expf: 2 units in the last place */
    {&pr_op_softmax_grad, run_softmax_grad, 4, 0.8},
    /* Terms of one sign, summed one by one where there are no vectors: some units more. A constant
     * row's mean is off alike at every element. */
    {&pr_op_layer_norm, run_layer_norm, 6, 3},
    /* Sums of terms of either sign, as matmul's. */
    {&pr_op_layer_norm_grad, run_layer_norm_grad, 3, 0.8},
    {&pr_op_layer_norm_grad_gamma, run_layer_norm_grad_gamma, 3.5, 0.9},
    {&pr_op_residual_norm, run_residual_norm, 6, 3},
    {&pr_op_residual_norm_grad, run_residual_norm_grad, 3, 0.8},
    {&pr_op_sum_rows, run_sum_rows, 3, 0.6},
    {&pr_op_embed, run_embed, 0, 0},
    {&pr_op_embed_grad, run_embed_grad, 4, 0.5},
    {&pr_op_densify, run_densify, 0, 0},
    {&pr_op_first_token, run_first_token, 0, 0},
    {&pr_op_first_token_grad, run_first_token_grad, 0, 0},
    {0},
};
