#include "backends/cublas.h"

/* ---- the library ---- */

static bool find_all(pr_cublas *b, const char **missing) {
    const struct {
        const char *name;
        void *function;
    } wanted[] = {
        {"cublasLtCreate", &b->create},
        {"cublasLtDestroy", &b->destroy},
        {"cublasLtMatmul", &b->matmul},
        {"cublasLtMatmulDescCreate", &b->desc_create},
        {"cublasLtMatmulDescDestroy", &b->desc_destroy},
        {"cublasLtMatmulDescSetAttribute", &b->desc_set},
        {"cublasLtMatrixLayoutCreate", &b->layout_create},
        {"cublasLtMatrixLayoutDestroy", &b->layout_destroy},
        {"cublasLtMatmulPreferenceCreate", &b->preference_create},
        {"cublasLtMatmulPreferenceDestroy", &b->preference_destroy},
        {"cublasLtMatmulPreferenceSetAttribute", &b->preference_set},
        {"cublasLtMatmulAlgoGetHeuristic", &b->heuristic},
        {"cublasLtGetStatusString", &b->status_string},
        {"cublasLtGetVersion", &b->version},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        *missing = wanted[i].name;
        if (!pr_cublas_library_find(b->library, wanted[i].name, wanted[i].function)) return false;
    }
    return true;
}

pr_status pr_cublas_open(pr_cublas *blas, pr_error *err) {
    const char *missing;
    *blas = (pr_cublas){.library = pr_cublas_library_open(err)};
    if (!blas->library) return PR_DEVICE;
    if (!find_all(blas, &missing)) {
        return pr_fail(err, PR_DEVICE, "cuBLASLt has no function %s", missing);
    }
    cublasStatus_t s = blas->create(&blas->handle);
    if (s == CUBLAS_STATUS_SUCCESS) return PR_OK;
    blas->handle = NULL;
    return pr_fail(err, PR_DEVICE, "cuBLASLt could not be opened: %s", blas->status_string(s));
}

void pr_cublas_close(pr_cublas *blas) {
    if (blas->handle) blas->destroy(blas->handle);
    if (blas->library) pr_cublas_library_close(blas->library);
    pr_cublas_choices_free(blas->choices);
    *blas = (pr_cublas){0};
}

/* ---- a product ---- */

/* cuBLAS counts by columns: what is (m, n) by rows it sees as (n, m). So it multiplies the second
 * factor by the first: c' = op(b)' op(a)'. */
typedef struct description {
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t b, a, c;
    cublasLtMatmulPreference_t preference;
} description;

static void forget(const pr_cublas *blas, description *d) {
    if (d->product) blas->desc_destroy(d->product);
    if (d->b) blas->layout_destroy(d->b);
    if (d->a) blas->layout_destroy(d->a);
    if (d->c) blas->layout_destroy(d->c);
    if (d->preference) blas->preference_destroy(d->preference);
}

/* A matrix of (rows, columns) by rows. */
static cublasStatus_t describe_matrix(const pr_cublas *blas, cublasLtMatrixLayout_t *layout,
                                      cudaDataType_t type, int64_t rows, int64_t columns) {
    return blas->layout_create(layout, type, (uint64_t)columns, (uint64_t)rows, columns);
}

static cublasStatus_t describe_matrices(const pr_cublas *blas, const pr_gemm *g,
                                        cudaDataType_t type, description *d) {
    bool ta = g->transpose_a, tb = g->transpose_b;
    cublasStatus_t s = describe_matrix(blas, &d->b, type, tb ? g->n : g->k, tb ? g->k : g->n);
    if (s) return s;
    s = describe_matrix(blas, &d->a, type, ta ? g->k : g->m, ta ? g->m : g->k);
    if (s) return s;
    return describe_matrix(blas, &d->c, CUDA_R_32F, g->m, g->n);
}

static cublasStatus_t describe_product(const pr_cublas *blas, const pr_gemm *g, pr_cublas_kind kind,
                                       description *d) {
    cublasComputeType_t compute =
        kind == PR_CUBLAS_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    cublasStatus_t s = blas->desc_create(&d->product, compute, CUDA_R_32F);
    const cublasOperation_t op_b = g->transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t op_a = g->transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    if (!s) s = blas->desc_set(d->product, CUBLASLT_MATMUL_DESC_TRANSA, &op_b, sizeof op_b);
    if (!s) s = blas->desc_set(d->product, CUBLASLT_MATMUL_DESC_TRANSB, &op_a, sizeof op_a);
    if (s || !g->bias) return s;
    const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    s = blas->desc_set(d->product, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
    if (s) return s;
    return blas->desc_set(d->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &g->bias, sizeof g->bias);
}

static cublasStatus_t describe_preference(const pr_cublas *blas, const pr_cublas_wish *wish,
                                          description *d) {
    const uint64_t most = wish->workspace;
    const uint32_t in_order =
        CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE;
    const uint32_t reductions = wish->any_sum ? CUBLASLT_REDUCTION_SCHEME_MASK : in_order;
    cublasStatus_t s = blas->preference_create(&d->preference);
    if (s) return s;
    s = blas->preference_set(d->preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most,
                             sizeof most);
    if (s) return s;
    return blas->preference_set(d->preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                &reductions, sizeof reductions);
}

/* Asks for the algorithm that is offered at the wish's place, and keeps what it is told. */
static cublasStatus_t choose(pr_cublas *blas, const pr_cublas_key *key, const pr_cublas_wish *wish,
                             description *d) {
    cublasLtMatmulHeuristicResult_t found[PR_CUBLAS_OFFERS];
    int n = 0;
    if (wish->offer >= PR_CUBLAS_OFFERS) return CUBLAS_STATUS_NOT_SUPPORTED;
    cublasStatus_t s = describe_preference(blas, wish, d);
    if (s) return s;
    s = blas->heuristic(blas->handle, d->product, d->b, d->a, d->c, d->c, d->preference,
                        wish->offer + 1, found, &n);
    if (s) return s;
    if (n <= wish->offer) return CUBLAS_STATUS_NOT_SUPPORTED;
    return pr_cublas_choose(&blas->choices, key, &found[wish->offer].algo)
               ? CUBLAS_STATUS_SUCCESS
               : CUBLAS_STATUS_ALLOC_FAILED;
}

static cublasStatus_t multiply(pr_cublas *blas, cudaStream_t stream, const pr_gemm *g,
                               pr_cublas_kind kind, description *d, const void *const factors[2],
                               const pr_cublas_wish *wish, void *workspace) {
    const pr_cublas_key key = {g->m,
                               g->n,
                               g->k,
                               (int32_t)kind,
                               g->transpose_a,
                               g->transpose_b,
                               g->bias != NULL,
                               wish->any_sum,
                               wish->offer};
    cublasStatus_t s = CUBLAS_STATUS_SUCCESS;
    if (!pr_cublas_chosen(blas->choices, &key)) s = choose(blas, &key, wish, d);
    if (s) return s;
    const float beta = g->onto ? 1.0f : 0.0f;
    return blas->matmul(blas->handle, d->product, &g->alpha, factors[1], d->b, factors[0], d->a,
                        &beta, g->onto ? g->onto : g->c, d->c, g->c, d->c,
                        pr_cublas_chosen(blas->choices, &key), workspace, wish->workspace, stream);
}

pr_status pr_cublas_run_offer(pr_cublas *blas, cudaStream_t stream, const pr_gemm *g,
                              pr_cublas_kind kind, const void *const factors[2], void *workspace,
                              const pr_cublas_wish *wish, pr_error *err) {
    description d = {0};
    cudaDataType_t type = kind == PR_CUBLAS_BF16 ? CUDA_R_16BF : CUDA_R_32F;
    if (!g->m || !g->n) return PR_OK;
    cublasStatus_t s = describe_matrices(blas, g, type, &d);
    if (!s) s = describe_product(blas, g, kind, &d);
    if (!s) s = multiply(blas, stream, g, kind, &d, factors, wish, workspace);
    forget(blas, &d);
    if (!s) return PR_OK;
    return pr_fail(err, s == CUBLAS_STATUS_NOT_SUPPORTED ? PR_UNSUPPORTED : PR_DEVICE,
                   "a product of (%lld, %lld) by (%lld, %lld): cuBLASLt: %s", (long long)g->m,
                   (long long)g->k, (long long)g->k, (long long)g->n, blas->status_string(s));
}

pr_status pr_cublas_run(pr_cublas *blas, cudaStream_t stream, const pr_gemm *g, pr_cublas_kind kind,
                        const void *const factors[2], void *workspace, pr_error *err) {
    /* No sums by atomics: a product gives the same bits every time. */
    const pr_cublas_wish wish = {.workspace = PR_CUBLAS_WORKSPACE};
    return pr_cublas_run_offer(blas, stream, g, kind, factors, workspace, &wish, err);
}
