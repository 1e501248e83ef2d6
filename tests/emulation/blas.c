/* cuBLASLt's handles and descriptors. */
#include "tests/emulation/blas.h"

#include <string.h>

_Static_assert(sizeof(blas_layout) <= sizeof(cublasLtMatrixLayoutOpaque_t), "a layout fits");
_Static_assert(sizeof(blas_operation) <= sizeof(cublasLtMatmulDescOpaque_t), "an operation fits");
_Static_assert(sizeof(blas_preference) <= sizeof(cublasLtMatmulPreferenceOpaque_t),
               "a preference fits");

/* A field that an attribute sets. */
typedef struct attribute {
    int attribute;
    size_t offset, bytes;
} attribute;

#define FIELD(attribute, type, field)                                                              \
    { attribute, offsetof(type, field), sizeof(((type *)0)->field) }

static const attribute layout_attributes[] = {
    FIELD(CUBLASLT_MATRIX_LAYOUT_TYPE, blas_layout, type),
    FIELD(CUBLASLT_MATRIX_LAYOUT_ORDER, blas_layout, order),
    FIELD(CUBLASLT_MATRIX_LAYOUT_ROWS, blas_layout, rows),
    FIELD(CUBLASLT_MATRIX_LAYOUT_COLS, blas_layout, columns),
    FIELD(CUBLASLT_MATRIX_LAYOUT_LD, blas_layout, ld),
    FIELD(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, blas_layout, batch),
    FIELD(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, blas_layout, stride),
};

static const attribute operation_attributes[] = {
    FIELD(CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, blas_operation, compute),
    FIELD(CUBLASLT_MATMUL_DESC_SCALE_TYPE, blas_operation, scale_type),
    FIELD(CUBLASLT_MATMUL_DESC_POINTER_MODE, blas_operation, pointer_mode),
    FIELD(CUBLASLT_MATMUL_DESC_TRANSA, blas_operation, transposed_a),
    FIELD(CUBLASLT_MATMUL_DESC_TRANSB, blas_operation, transposed_b),
    FIELD(CUBLASLT_MATMUL_DESC_TRANSC, blas_operation, transposed_c),
    FIELD(CUBLASLT_MATMUL_DESC_EPILOGUE, blas_operation, epilogue),
    FIELD(CUBLASLT_MATMUL_DESC_BIAS_POINTER, blas_operation, bias),
    FIELD(CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, blas_operation, bias_stride),
    FIELD(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, blas_operation, bias_type),
};

static const attribute preference_attributes[] = {
    FIELD(CUBLASLT_MATMUL_PREF_SEARCH_MODE, blas_preference, search),
    FIELD(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, blas_preference, workspace),
    FIELD(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, blas_preference, reductions),
    FIELD(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, blas_preference, alignment[BLAS_A]),
    FIELD(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, blas_preference, alignment[BLAS_B]),
    FIELD(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, blas_preference, alignment[BLAS_C]),
    FIELD(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, blas_preference, alignment[BLAS_D]),
    FIELD(CUBLASLT_MATMUL_PREF_MAX_WAVES_COUNT, blas_preference, waves),
    FIELD(CUBLASLT_MATMUL_PREF_IMPL_MASK, blas_preference, implementations),
};

enum { LAYOUT, OPERATION, PREFERENCE };

static const struct {
    const attribute *attributes;
    size_t n;
} kinds[] = {
    [LAYOUT] = {layout_attributes, sizeof layout_attributes / sizeof *layout_attributes},
    [OPERATION] = {operation_attributes,
                   sizeof operation_attributes / sizeof *operation_attributes},
    [PREFERENCE] = {preference_attributes,
                    sizeof preference_attributes / sizeof *preference_attributes},
};

static cublasStatus_t set(int kind, void *descriptor, int wanted, const void *from, size_t bytes) {
    const attribute *attributes = kinds[kind].attributes;
    for (size_t i = 0; i < kinds[kind].n; i++) {
        if (attributes[i].attribute != wanted) continue;
        if (!descriptor || !from || bytes != attributes[i].bytes) {
            emulation_refuse(cudaErrorInvalidValue, "attribute %d has %zu bytes, not %zu", wanted,
                             attributes[i].bytes, bytes);
            return CUBLAS_STATUS_INVALID_VALUE;
        }
        memcpy((char *)descriptor + attributes[i].offset, from, bytes);
        return CUBLAS_STATUS_SUCCESS;
    }
    emulation_refuse(cudaErrorInvalidValue, "the emulation has no attribute %d there", wanted);
    return CUBLAS_STATUS_INVALID_VALUE;
}

size_t cublasLtGetVersion(void) {
    return CUBLAS_VERSION;
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
    int wanted = emulation_wanted(__func__);
    if (wanted) return (cublasStatus_t)wanted;
    if (!handle) return CUBLAS_STATUS_INVALID_VALUE;
    if (!emulation_now()->driver || !emulation_now()->devices) return CUBLAS_STATUS_NOT_INITIALIZED;
    *handle = emulation_new(1);
    emulation_live(EMULATION_BLAS, 1);
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t destroy(void *object) {
    if (!object) return CUBLAS_STATUS_INVALID_VALUE;
    emulation_delete(object);
    emulation_live(EMULATION_BLAS, -1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    return destroy(handle);
}

cublasStatus_t cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t layout, size_t bytes,
                                                 cudaDataType type, uint64_t rows, uint64_t columns,
                                                 int64_t ld) {
    blas_layout made = {.type = (uint32_t)type,
                        .order = CUBLASLT_ORDER_COL,
                        .rows = rows,
                        .columns = columns,
                        .ld = ld,
                        .batch = 1};
    if (bytes < sizeof *layout) return CUBLAS_STATUS_ALLOC_FAILED;
    memcpy(layout, &made, sizeof made);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType type,
                                          uint64_t rows, uint64_t columns, int64_t ld) {
    int wanted = emulation_wanted(__func__);
    if (wanted) return (cublasStatus_t)wanted;
    *layout = emulation_new(sizeof **layout);
    emulation_live(EMULATION_BLAS, 1);
    return cublasLtMatrixLayoutInit_internal(*layout, sizeof **layout, type, rows, columns, ld);
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
    return destroy(layout);
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t wanted,
                                                const void *from, size_t bytes) {
    return set(LAYOUT, layout, (int)wanted, from, bytes);
}

cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t operation, size_t bytes,
                                               cublasComputeType_t compute,
                                               cudaDataType_t scale_type) {
    blas_operation made = {.compute = (int32_t)compute,
                           .scale_type = (int32_t)scale_type,
                           .pointer_mode = CUBLASLT_POINTER_MODE_HOST,
                           .transposed_a = CUBLAS_OP_N,
                           .transposed_b = CUBLAS_OP_N,
                           .transposed_c = CUBLAS_OP_N,
                           .epilogue = CUBLASLT_EPILOGUE_DEFAULT,
                           .bias_type = -1};
    if (bytes < sizeof *operation) return CUBLAS_STATUS_ALLOC_FAILED;
    memcpy(operation, &made, sizeof made);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *operation,
                                        cublasComputeType_t compute, cudaDataType_t scale_type) {
    int wanted = emulation_wanted(__func__);
    if (wanted) return (cublasStatus_t)wanted;
    *operation = emulation_new(sizeof **operation);
    emulation_live(EMULATION_BLAS, 1);
    return cublasLtMatmulDescInit_internal(*operation, sizeof **operation, compute, scale_type);
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation) {
    return destroy(operation);
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation,
                                              cublasLtMatmulDescAttributes_t wanted,
                                              const void *from, size_t bytes) {
    return set(OPERATION, operation, (int)wanted, from, bytes);
}

cublasStatus_t cublasLtMatmulPreferenceInit_internal(cublasLtMatmulPreference_t preference,
                                                     size_t bytes) {
    blas_preference made = {.reductions = CUBLASLT_REDUCTION_SCHEME_MASK,
                            .implementations = UINT64_MAX};
    for (int i = 0; i < BLAS_MATRICES; i++)
        made.alignment[i] = EMULATION_ALIGNMENT;
    if (bytes < sizeof *preference) return CUBLAS_STATUS_ALLOC_FAILED;
    memcpy(preference, &made, sizeof made);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference) {
    int wanted = emulation_wanted(__func__);
    if (wanted) return (cublasStatus_t)wanted;
    *preference = emulation_new(sizeof **preference);
    emulation_live(EMULATION_BLAS, 1);
    return cublasLtMatmulPreferenceInit_internal(*preference, sizeof **preference);
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
    return destroy(preference);
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t wanted,
                                                    const void *from, size_t bytes) {
    return set(PREFERENCE, preference, (int)wanted, from, bytes);
}
