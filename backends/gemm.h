/* Matrix products on the CPU: one product is cut into tiles that its shape alone decides, each tile
 * is one single-threaded call of OpenBLAS, and the tiles are shared out among the threads. No sum
 * is ever split between threads, so the bits do not depend on how many there are. */
#ifndef PR_GEMM_H
#define PR_GEMM_H

#include <stdint.h>

#include "graph/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* c = alpha op(a) op(b) + bias + onto; c (m, n), row-major without gaps, as all the others. */
typedef struct pr_gemm {
    const float *a;       /* (m, k), or (k, m) where transpose_a */
    const float *b;       /* (k, n), or (n, k) where transpose_b */
    const uint16_t *half; /* b in bf16 instead, for pr_gemm_bf16_run; else NULL */
    const float *bias;    /* (n), added to every row, or NULL */
    const float *onto;    /* (m, n), or NULL; may be c itself */
    float *c;
    int64_t m, n, k;
    float alpha;
    bool transpose_a, transpose_b;
} pr_gemm;

/* PR_UNSUPPORTED when a dimension does not fit the int that OpenBLAS counts with. */
pr_status pr_gemm_run(const pr_backend *backend, const pr_gemm *product, pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
