/* A product as cublasLtMatmul's descriptors tell it. */
#ifndef PR_EMULATION_BLAS_H
#define PR_EMULATION_BLAS_H

#include <cublasLt.h>

#include "tests/emulation/internal.h"

/* What the opaque descriptors hold. */
typedef struct blas_layout {
    uint32_t type; /* cudaDataType */
    int32_t order;
    uint64_t rows, columns;
    int64_t ld;
    int32_t batch;
    int64_t stride; /* in elements */
} blas_layout;

typedef struct blas_operation {
    int32_t compute, scale_type, pointer_mode;
    int32_t transposed_a, transposed_b, transposed_c;
    uint32_t epilogue;
    int32_t bias_type; /* -1: that of D */
    const void *bias;
    int64_t bias_stride;
} blas_operation;

typedef struct blas_preference {
    uint32_t search, reductions;
    uint64_t workspace, implementations;
    uint32_t alignment[4]; /* of A, B, C, D */
    float waves;
} blas_preference;

/* What an algorithm was chosen for; it serves for nothing else. */
typedef struct blas_algorithm {
    uint64_t magic, rows, columns, inner;
    uint32_t types;        /* of A and D */
    uint32_t operation;    /* how they are multiplied */
    uint16_t alignment[4]; /* of A, B, C, D */
    uint64_t workspace;    /* bytes */
} blas_algorithm;

enum { BLAS_A, BLAS_B, BLAS_C, BLAS_D, BLAS_MATRICES };

typedef struct blas_product {
    blas_operation operation;
    blas_layout layout[BLAS_MATRICES];
    const void *at[BLAS_MATRICES];
    float alpha, beta;
    const float *device_alpha, *device_beta; /* NULL: alpha and beta count */
    uint64_t rows, columns, inner;
    void *workspace;
    uint64_t workspace_bytes;
} blas_product;

/* product.c: the task that emulation_queue is given a blas_product for. */
void blas_run(void *product);

static inline size_t blas_element_bytes(uint32_t type) {
    return type == CUDA_R_16BF ? 2 : 4;
}

#endif
