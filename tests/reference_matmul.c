/* alpha op(a) op(b) + bias + onto. */
#include <math.h>

#include "ops/ops.h"
#include "ops/table.h"
#include "tests/reference.h"

/* op(a)'s element (i, k) is x[i * row + k * column]. */
typedef struct factor {
    const double *x;
    int64_t row, column;
} factor;

static factor factor_of(const reference_operand *m, bool transposed) {
    int64_t columns = m->shape.dim[1];
    return transposed ? (factor){m->x, 1, columns} : (factor){m->x, columns, 1};
}

static void run_matmul(const reference_call *c) {
    bool a_transposed = c->attr.i[0] & PR_TRANSPOSE_A, b_transposed = c->attr.i[0] & PR_TRANSPOSE_B;
    factor a = factor_of(&c->in[0], a_transposed), b = factor_of(&c->in[1], b_transposed);
    const double *bias = c->in[2].x, *onto = c->in[3].x;
    double alpha = c->attr.f[0];
    int64_t rows = c->shape[0].dim[0], columns = c->shape[0].dim[1];
    int64_t inner = c->in[0].shape.dim[a_transposed ? 0 : 1];
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            double sum = 0.0, scale = 0.0;
            for (int64_t k = 0; k < inner; k++) {
                double term = a.x[i * a.row + k * a.column] * b.x[k * b.row + j * b.column];
                sum += term;
                scale += fabs(term);
            }
            double y = alpha * sum;
            scale *= fabs(alpha);
            if (bias) {
                y += bias[j];
                scale += fabs(bias[j]);
            }
            if (onto) {
                y += onto[i * columns + j];
                scale += fabs(onto[i * columns + j]);
            }
            reference_set(c, 0, i * columns + j, y, scale);
        }
    }
}

const reference reference_matmul[] = {
    /* Terms of either sign: partial sums, and so roundings, stay well below the sum of absolute
     * values. The rest is alpha's rounding and the sums with bias and onto. */
    {&pr_op_matmul, run_matmul, 6, 0.7},
    {0},
};
