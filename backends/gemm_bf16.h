/* Matrix products on the CPU with one factor in bf16, as weights that do not train are kept in half
 * the memory. The other factor is rounded to bf16 on the way; sums are f32. As in gemm.h tiles are
 * fixed by the shape, so the bits do not depend on the number of threads. */
#ifndef PR_GEMM_BF16_H
#define PR_GEMM_BF16_H

#include <stddef.h>
#include <stdint.h>

#include "graph/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* c = alpha a op(b) + bias + onto; c (m, n), row-major without gaps, as all the others. */
typedef struct pr_gemm_bf16 {
    const float *a;    /* (m, k) */
    const uint16_t *b; /* bf16: (k, n), or (n, k) where transpose_b */
    const float *bias; /* (n), added to every row, or NULL */
    const float *onto; /* (m, n), or NULL; may be c itself */
    float *c;
    int64_t m, n, k;
    float alpha;
    bool transpose_b;
} pr_gemm_bf16;

/* Whether this processor multiplies bf16 itself (AVX512_BF16), twice as fast as f32. Without it
 * products come out the same to rounding, slower than f32's. */
bool pr_gemm_bf16_is_fast(void);

/* Bytes that a product of (m, k) by (k, n) needs beside its factors. */
size_t pr_gemm_bf16_workspace(const pr_backend *backend, int64_t m, int64_t k);

/* workspace: pr_gemm_bf16_workspace bytes. backend->fast_bf16 says which instructions to use. */
void pr_gemm_bf16_run(const pr_backend *backend, const pr_gemm_bf16 *product, void *workspace);

#ifdef __cplusplus
}
#endif
#endif
