/* cublasLtMatmul and the choice of its algorithm: what the real one refuses is refused. A chosen
 * algorithm serves for the shapes and alignments that it was chosen for, and asks for workspace
 * where it may, so that who gives it less is found out. Up to OFFERS are offered, which differ in
 * their workspace alone. */
#include "tests/emulation/blas.h"

#include <string.h>

enum { WORKSPACE_BYTES = 4096, OFFERS = 3 };
static const uint64_t MAGIC = 0x70726F6475637421u;
static const char *const matrix_names[BLAS_MATRICES] = {"A", "B", "C", "D"};

_Static_assert(sizeof(blas_algorithm) <= sizeof(cublasLtMatmulAlgo_t), "an algorithm fits");

#define INVALID(...)                                                                               \
    (emulation_refuse(cudaErrorInvalidValue, __VA_ARGS__), CUBLAS_STATUS_INVALID_VALUE)
#define UNSUPPORTED(...)                                                                           \
    (emulation_refuse(cudaErrorNotSupported, __VA_ARGS__), CUBLAS_STATUS_NOT_SUPPORTED)

static cublasStatus_t check_layout(const blas_layout *l, const char *name) {
    if (!l->rows || !l->columns || l->rows > INT32_MAX || l->columns > INT32_MAX)
        return INVALID("%s has %llu x %llu elements", name, (unsigned long long)l->rows,
                       (unsigned long long)l->columns);
    if (l->order != CUBLASLT_ORDER_COL && l->order != CUBLASLT_ORDER_ROW)
        return UNSUPPORTED("%s has order %d", name, l->order);
    uint64_t least = l->order == CUBLASLT_ORDER_COL ? l->rows : l->columns;
    if (l->ld < 0 || (uint64_t)l->ld < least)
        return INVALID("%s has a leading dimension of %lld; its order asks for %llu", name,
                       (long long)l->ld, (unsigned long long)least);
    if (l->batch < 1) return INVALID("%s has a batch of %d", name, l->batch);
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t check_types(const blas_product *p) {
    const blas_operation *o = &p->operation;
    uint32_t in = p->layout[BLAS_A].type, out = p->layout[BLAS_D].type;
    if (p->layout[BLAS_B].type != in || p->layout[BLAS_C].type != out)
        return UNSUPPORTED("A and B are of one type, and so are C and D");
    if (!(in == CUDA_R_32F && out == CUDA_R_32F) &&
        !(in == CUDA_R_16BF && (out == CUDA_R_16BF || out == CUDA_R_32F)))
        return UNSUPPORTED("data of types %u to %u", in, out);
    bool float_only = o->compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    if (o->compute != CUBLAS_COMPUTE_32F && o->compute != CUBLAS_COMPUTE_32F_PEDANTIC &&
        !(float_only && in == CUDA_R_32F))
        return UNSUPPORTED("compute type %d with data of type %u", o->compute, in);
    if (o->scale_type != CUDA_R_32F) return UNSUPPORTED("scale type %d", o->scale_type);
    if (o->pointer_mode != CUBLASLT_POINTER_MODE_HOST &&
        o->pointer_mode != CUBLASLT_POINTER_MODE_DEVICE)
        return UNSUPPORTED("pointer mode %d", o->pointer_mode);
    if (o->epilogue != CUBLASLT_EPILOGUE_DEFAULT && o->epilogue != CUBLASLT_EPILOGUE_BIAS)
        return UNSUPPORTED("epilogue %u", o->epilogue);
    if (o->epilogue == CUBLASLT_EPILOGUE_BIAS && o->bias_type != -1 &&
        o->bias_type != (int32_t)out && o->bias_type != (int32_t)in)
        return UNSUPPORTED("a bias of type %d", o->bias_type);
    return CUBLAS_STATUS_SUCCESS;
}

static bool is_operation(int32_t operation) {
    return operation == CUBLAS_OP_N || operation == CUBLAS_OP_T;
}

/* op(A) is rows x inner, op(B) inner x columns, C and D rows x columns. */
static cublasStatus_t check_shapes(blas_product *p) {
    const blas_operation *o = &p->operation;
    const blas_layout *l = p->layout;
    if (!is_operation(o->transposed_a) || !is_operation(o->transposed_b) ||
        o->transposed_c != CUBLAS_OP_N)
        return INVALID("operations %d, %d and %d", o->transposed_a, o->transposed_b,
                       o->transposed_c);
    bool a = o->transposed_a == CUBLAS_OP_T, b = o->transposed_b == CUBLAS_OP_T;
    p->rows = a ? l[BLAS_A].columns : l[BLAS_A].rows;
    p->inner = a ? l[BLAS_A].rows : l[BLAS_A].columns;
    p->columns = b ? l[BLAS_B].rows : l[BLAS_B].columns;
    uint64_t inner = b ? l[BLAS_B].columns : l[BLAS_B].rows;
    if (inner != p->inner)
        return INVALID("op(A) has %llu columns, op(B) %llu rows", (unsigned long long)p->inner,
                       (unsigned long long)inner);
    for (int i = BLAS_C; i <= BLAS_D; i++)
        if (l[i].rows != p->rows || l[i].columns != p->columns)
            return INVALID("%s has %llu x %llu elements, not %llu x %llu", matrix_names[i],
                           (unsigned long long)l[i].rows, (unsigned long long)l[i].columns,
                           (unsigned long long)p->rows, (unsigned long long)p->columns);
    for (int i = BLAS_B; i <= BLAS_D; i++)
        if (l[i].batch != l[BLAS_A].batch) return INVALID("batches of different sizes");
    if (l[BLAS_C].order != l[BLAS_D].order) return UNSUPPORTED("C and D in different orders");
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t describe(blas_product *p, cublasLtHandle_t handle,
                               cublasLtMatmulDesc_t operation,
                               const cublasLtMatrixLayout_t *layouts) {
    memset(p, 0, sizeof *p);
    if (!handle || !operation) return INVALID("no handle, or no operation");
    memcpy(&p->operation, operation, sizeof p->operation);
    for (int i = 0; i < BLAS_MATRICES; i++) {
        if (!layouts[i]) return INVALID("no layout of %s", matrix_names[i]);
        memcpy(&p->layout[i], layouts[i], sizeof p->layout[i]);
        cublasStatus_t status = check_layout(&p->layout[i], matrix_names[i]);
        if (status) return status;
    }
    cublasStatus_t status = check_types(p);
    return status ? status : check_shapes(p);
}

/* The library has refused these for years (PyTorch's addmm passes them by). */
static cublasStatus_t check_bias(const blas_product *p) {
    bool lone = p->rows == 1 || p->columns == 1 || p->inner == 1;
    if (p->operation.epilogue == CUBLASLT_EPILOGUE_BIAS && lone)
        return INVALID("a bias with a matrix of one row or column");
    return CUBLAS_STATUS_SUCCESS;
}

static uint32_t operation_of(const blas_product *p) {
    const blas_operation *o = &p->operation;
    bool a = o->transposed_a != CUBLAS_OP_N, b = o->transposed_b != CUBLAS_OP_N;
    return (uint32_t)o->compute << 16 | o->epilogue << 2 | (uint32_t)b << 1 | (uint32_t)a;
}

static blas_algorithm algorithm_for(const blas_product *p, const blas_preference *preference,
                                    int offer) {
    const uint64_t workspace = (uint64_t)(offer + 1) * WORKSPACE_BYTES;
    blas_algorithm made = {.magic = MAGIC,
                           .rows = p->rows,
                           .columns = p->columns,
                           .inner = p->inner,
                           .types = p->layout[BLAS_A].type << 16 | p->layout[BLAS_D].type,
                           .operation = operation_of(p)};
    for (int i = 0; i < BLAS_MATRICES; i++)
        made.alignment[i] = (uint16_t)preference->alignment[i];
    made.workspace = preference->workspace >= workspace ? workspace : 0;
    return made;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle,
                                              cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int *found) {
    const cublasLtMatrixLayout_t layouts[] = {a, b, c, d};
    blas_product p;
    cublasStatus_t status = (cublasStatus_t)emulation_wanted(__func__);
    if (status) return status;
    if (!found || !results || !preference || wanted < 1) return CUBLAS_STATUS_INVALID_VALUE;
    *found = 0;
    if (emulation_capturing()) { /* as from CUDA 13.3 on */
        emulation_refuse(cudaErrorStreamCaptureUnsupported,
                         "no algorithm is chosen while a stream is being captured");
        return CUBLAS_STATUS_INTERNAL_ERROR;
    }
    status = describe(&p, handle, operation, layouts);
    if (!status) status = check_bias(&p);
    if (status) return status;
    blas_preference preferred;
    memcpy(&preferred, preference, sizeof preferred);
    memset(results, 0, (size_t)wanted * sizeof *results);
    for (; *found < wanted && *found < OFFERS; ++*found) {
        blas_algorithm made = algorithm_for(&p, &preferred, *found);
        memcpy(&results[*found].algo, &made, sizeof made);
        results[*found].workspaceSize = made.workspace;
        results[*found].wavesCount = 1.0f;
    }
    return CUBLAS_STATUS_SUCCESS;
}

/* How many elements lie from a matrix's first to its last, of the whole batch. */
static uint64_t extent(const blas_layout *l) {
    uint64_t lines = l->order == CUBLASLT_ORDER_COL ? l->columns : l->rows;
    uint64_t line = l->order == CUBLASLT_ORDER_COL ? l->rows : l->columns;
    uint64_t stride = l->stride < 0 ? 0 : (uint64_t)l->stride;
    return (uint64_t)(l->batch - 1) * stride + (lines - 1) * (uint64_t)l->ld + line;
}

static cublasStatus_t check_memory(const blas_product *p, const blas_algorithm *chosen) {
    for (int i = 0; i < BLAS_MATRICES; i++) {
        const blas_layout *l = &p->layout[i];
        size_t bytes = blas_element_bytes(l->type);
        bool unread = i == BLAS_C && !p->device_beta && p->beta == 0.0f && !p->at[i];
        if (!unread && !emulation_holds(p->at[i], extent(l) * bytes))
            return INVALID("%s's %llu elements are not in one allocation of device memory",
                           matrix_names[i], (unsigned long long)extent(l));
        if ((uintptr_t)p->at[i] % (chosen ? chosen->alignment[i] : bytes))
            return INVALID("%s is not aligned to the %d bytes that the algorithm was chosen for "
                           "(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_%s_BYTES)",
                           matrix_names[i], chosen ? chosen->alignment[i] : (int)bytes,
                           matrix_names[i]);
    }
    const blas_operation *o = &p->operation;
    size_t bias_bytes =
        blas_element_bytes(o->bias_type == -1 ? p->layout[BLAS_D].type : (uint32_t)o->bias_type);
    if (o->epilogue == CUBLASLT_EPILOGUE_BIAS && !emulation_holds(o->bias, p->rows * bias_bytes))
        return INVALID("the bias's %llu elements are not in device memory",
                       (unsigned long long)p->rows);
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t check_algorithm(blas_product *p, const blas_algorithm *chosen,
                                      void *workspace, size_t workspace_bytes) {
    if (chosen->magic != MAGIC) return INVALID("no algorithm that was chosen");
    if (chosen->rows != p->rows || chosen->columns != p->columns || chosen->inner != p->inner ||
        chosen->types != (p->layout[BLAS_A].type << 16 | p->layout[BLAS_D].type) ||
        chosen->operation != operation_of(p))
        return INVALID("the algorithm was chosen for another product");
    if (chosen->workspace > workspace_bytes)
        return INVALID("a workspace of %zu bytes; the algorithm asks for %llu", workspace_bytes,
                       (unsigned long long)chosen->workspace);
    if (chosen->workspace && (!emulation_holds(workspace, workspace_bytes) ||
                              (uintptr_t)workspace % EMULATION_ALIGNMENT))
        return INVALID("the workspace is not device memory aligned to %d bytes",
                       EMULATION_ALIGNMENT);
    p->workspace = workspace;
    p->workspace_bytes = chosen->workspace;
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t take_scales(blas_product *p, const float *alpha, const float *beta) {
    if (!alpha || !beta) return INVALID("no alpha, or no beta");
    if (p->operation.pointer_mode == CUBLASLT_POINTER_MODE_HOST) {
        if (emulation_is_device(alpha) || emulation_is_device(beta))
            return INVALID("alpha or beta is in device memory; the pointer mode is the host's");
        p->alpha = *alpha;
        p->beta = *beta;
        return CUBLAS_STATUS_SUCCESS;
    }
    if (!emulation_holds(alpha, sizeof *alpha) || !emulation_holds(beta, sizeof *beta))
        return INVALID("alpha or beta is not in device memory; the pointer mode is the device's");
    p->device_alpha = alpha;
    p->device_beta = beta;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                              const void *alpha, const void *a, cublasLtMatrixLayout_t a_layout,
                              const void *b, cublasLtMatrixLayout_t b_layout, const void *beta,
                              const void *c, cublasLtMatrixLayout_t c_layout, void *d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algo,
                              void *workspace, size_t workspace_bytes, cudaStream_t stream) {
    const cublasLtMatrixLayout_t layouts[] = {a_layout, b_layout, c_layout, d_layout};
    const void *at[] = {a, b, c, d};
    blas_algorithm chosen = {0};
    blas_product p;
    cublasStatus_t status = (cublasStatus_t)emulation_wanted(__func__);
    if (!status && emulation_faulted()) status = CUBLAS_STATUS_EXECUTION_FAILED;
    if (!status) status = describe(&p, handle, operation, layouts);
    if (status) return status;
    memcpy(p.at, at, sizeof at);
    status = take_scales(&p, alpha, beta);
    if (algo) memcpy(&chosen, algo, sizeof chosen);
    if (!status && algo) status = check_algorithm(&p, &chosen, workspace, workspace_bytes);
    if (!status) status = check_memory(&p, algo ? &chosen : NULL);
    if (status) return status;
    emulation_counter()->products++;
    cudaError_t error = emulation_queue(stream, (emulation_task){.run = blas_run}, &p, sizeof p);
    return error ? CUBLAS_STATUS_EXECUTION_FAILED : CUBLAS_STATUS_SUCCESS;
}
