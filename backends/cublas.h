/* Matrix products on a GPU, by cuBLASLt. The library is found when it is first needed, not linked:
 * half a gigabyte that a program without a GPU never loads. */
#ifndef PR_CUBLAS_H
#define PR_CUBLAS_H

#include <cublasLt.h>

#include "backends/gemm.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pr_cublas_choices pr_cublas_choices;

/* The functions that are used, as the library has them. */
typedef struct pr_cublas {
    void *library;
    cublasLtHandle_t handle;
    __typeof__(cublasLtCreate) *create;
    __typeof__(cublasLtDestroy) *destroy;
    __typeof__(cublasLtMatmul) *matmul;
    __typeof__(cublasLtMatmulDescCreate) *desc_create;
    __typeof__(cublasLtMatmulDescDestroy) *desc_destroy;
    __typeof__(cublasLtMatmulDescSetAttribute) *desc_set;
    __typeof__(cublasLtMatrixLayoutCreate) *layout_create;
    __typeof__(cublasLtMatrixLayoutDestroy) *layout_destroy;
    __typeof__(cublasLtMatmulPreferenceCreate) *preference_create;
    __typeof__(cublasLtMatmulPreferenceDestroy) *preference_destroy;
    __typeof__(cublasLtMatmulPreferenceSetAttribute) *preference_set;
    __typeof__(cublasLtMatmulAlgoGetHeuristic) *heuristic;
    __typeof__(cublasLtGetStatusString) *status_string;
    __typeof__(cublasLtGetVersion) *version;
    pr_cublas_choices *choices; /* of algorithms, so far */
} pr_cublas;

/* Finds the library and opens it for the GPU that is set. PR_DEVICE where it is not there. */
pr_status pr_cublas_open(pr_cublas *blas, pr_error *err);
void pr_cublas_close(pr_cublas *blas); /* one of zeros is legal */

/* How the factors are kept and multiplied; sums and the result are f32. */
typedef enum pr_cublas_kind { PR_CUBLAS_F32, PR_CUBLAS_TF32, PR_CUBLAS_BF16 } pr_cublas_kind;

enum { PR_CUBLAS_WORKSPACE = 4 << 20 }; /* bytes that every product is given */

/* Whether it takes the product's bias: it has refused one beside a single row or column. Otherwise
 * the bias is laid down in `onto` beforehand. */
static inline bool pr_cublas_takes_bias(const pr_gemm *product) {
    return product->m > 1 && product->n > 1 && product->k > 1;
}

/* c = alpha op(a) op(b) + bias + onto, all on the device (gemm.h); factors: a and b as they are
 * kept, which `kind` says, in the place of the product's own a and b. Put into the stream. A
 * product that is recorded is one that was run before: which algorithm it gets is not asked then.
 */
pr_status pr_cublas_run(pr_cublas *blas, cudaStream_t stream, const pr_gemm *product,
                        pr_cublas_kind kind, const void *const factors[2], void *workspace,
                        pr_error *err);

/* What an algorithm may be. */
typedef struct pr_cublas_wish {
    size_t workspace; /* bytes that it is given */
    bool any_sum;     /* also one that sums by atomics, whose bits are others every time */
    int offer;        /* 0: the one that cuBLASLt thinks fastest, 1: the next, ... */
} pr_cublas_wish;

/* The same by an algorithm of one's own choice, to find out how fast it is. Wishes for any sum all
 * come with one size of workspace. PR_UNSUPPORTED where cuBLASLt offers fewer, and for any behind
 * the PR_CUBLAS_OFFERS that it is asked for. */
enum { PR_CUBLAS_OFFERS = 10 };
pr_status pr_cublas_run_offer(pr_cublas *blas, cudaStream_t stream, const pr_gemm *product,
                              pr_cublas_kind kind, const void *const factors[2], void *workspace,
                              const pr_cublas_wish *wish, pr_error *err);

/* ---- which algorithms it chose ---- */

/* All that the choice depends on, with no byte unset. */
typedef struct pr_cublas_key {
    int64_t m, n, k;
    int32_t kind, transpose_a, transpose_b, biased, any_sum, offer;
} pr_cublas_key;

/* The one that was chosen for such products before; NULL if none was. */
const cublasLtMatmulAlgo_t *pr_cublas_chosen(const pr_cublas_choices *choices,
                                             const pr_cublas_key *key);
/* Keeps it in *choices, which may be NULL before; false where there is no memory. */
bool pr_cublas_choose(pr_cublas_choices **choices, const pr_cublas_key *key,
                      const cublasLtMatmulAlgo_t *algorithm);
void pr_cublas_choices_free(pr_cublas_choices *choices);

/* ---- where the library comes from ---- */

/* NULL with err set. */
void *pr_cublas_library_open(pr_error *err);
/* The address of a function, in a function pointer's bytes; false where it is not there. */
bool pr_cublas_library_find(void *library, const char *name, void *function);
void pr_cublas_library_close(void *library);

#ifdef __cplusplus
}
#endif
#endif
