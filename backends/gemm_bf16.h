/* Matrix products on the CPU with one factor in bf16, as weights that do not train are kept in half
 * the memory. The other factor is rounded to bf16 on the way; sums are f32. As in gemm.h tiles are
 * fixed by the shape, so the bits do not depend on the number of threads. */
#ifndef PR_GEMM_BF16_H
#define PR_GEMM_BF16_H

#include <stddef.h>
#include <stdint.h>

#include "backends/gemm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether this processor multiplies bf16 itself (AVX512_BF16), twice as fast as f32. Without it
 * products come out the same to rounding, slower than f32's. */
bool pr_gemm_bf16_is_fast(void);

/* Bytes that a product of (m, k) by (k, n) needs beside its factors. */
size_t pr_gemm_bf16_workspace(const pr_backend *backend, int64_t m, int64_t k);

/* The product by its `half`, a not transposed. workspace: pr_gemm_bf16_workspace bytes.
 * backend->fast_bf16 says which instructions to use. */
void pr_gemm_bf16_run(const pr_backend *backend, const pr_gemm *product, void *workspace);

#ifdef __cplusplus
}
#endif
#endif
