/* layer_norm on one row, for the CPU kernels of all ops that have it in them (layer_norm.c has the
 * formulas). Rows are (d). */
#ifndef PR_LAYER_NORM_H
#define PR_LAYER_NORM_H

#include <math.h>

#include "backends/simd.h"
#include "graph/op.h"

typedef struct pr_norm {
    float mean, rstd;
} pr_norm;

/* y may be x. */
PR_INLINE pr_norm pr_norm_row(const float *x, const float *gamma, const float *beta, float epsilon,
                              int64_t d, float *y) {
    float sum = 0.0f, squares = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < d; i++)
        sum += x[i];
    float mean = sum / (float)d;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < d; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    float rstd = 1.0f / sqrtf(squares / (float)d + epsilon);
#pragma omp simd
    for (int64_t i = 0; i < d; i++)
        y[i] = (x[i] - mean) * rstd * gamma[i] + beta[i];
    return (pr_norm){mean, rstd};
}

/* dx may be dy or x. */
PR_INLINE void pr_norm_grad_row(const float *dy, const float *x, pr_norm of, const float *gamma,
                                int64_t d, float *dx) {
    float mean = of.mean, rstd = of.rstd, sum = 0.0f, product = 0.0f;
#pragma omp simd reduction(+ : sum, product)
    for (int64_t i = 0; i < d; i++) {
        float h = dy[i] * gamma[i];
        sum += h;
        product += h * ((x[i] - mean) * rstd);
    }
    sum /= (float)d;
    product /= (float)d;
#pragma omp simd
    for (int64_t i = 0; i < d; i++)
        dx[i] = rstd * (dy[i] * gamma[i] - sum - (x[i] - mean) * rstd * product);
}

/* Whether in[0 .. 4] are dy, x, mean, rstd, gamma as layer_norm_grad reads them. */
bool pr_norm_grad_fits(const pr_infer *c);

#endif
