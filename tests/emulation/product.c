/* D = alpha op(A) op(B) + beta C + bias, for each of a batch, by OpenBLAS on copies of A and B. */
#include "tests/emulation/blas.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

static float load(const void *at, uint32_t type, int64_t i) {
    if (type == CUDA_R_32F) return ((const float *)at)[i];
    uint32_t bits = (uint32_t)((const uint16_t *)at)[i] << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* To the nearest, and of two to the even one. */
static uint16_t round_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (isnan(x)) return 0x7FFF;
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static void store(void *at, uint32_t type, int64_t i, float x) {
    if (type == CUDA_R_32F)
        ((float *)at)[i] = x;
    else
        ((uint16_t *)at)[i] = round_bf16(x);
}

/* Where element (row, column) of one of the batch is, in elements. */
static int64_t place(const blas_layout *l, int32_t of_batch, int64_t row, int64_t column) {
    int64_t in = l->order == CUBLASLT_ORDER_COL ? row + column * l->ld : row * l->ld + column;
    return of_batch * l->stride + in;
}

/* op(matrix) as floats, column after column. */
static void pack(float *to, const void *at, const blas_layout *l, bool transposed,
                 int32_t of_batch) {
    int64_t rows = (int64_t)(transposed ? l->columns : l->rows);
    int64_t columns = (int64_t)(transposed ? l->rows : l->columns);
    for (int64_t j = 0; j < columns; j++) {
        for (int64_t i = 0; i < rows; i++) {
            int64_t from = transposed ? place(l, of_batch, j, i) : place(l, of_batch, i, j);
            to[i + j * rows] = load(at, l->type, from);
        }
    }
}

static void finish(const blas_product *p, const float *sums, float alpha, float beta,
                   int32_t of_batch) {
    const blas_operation *o = &p->operation;
    const blas_layout *c = &p->layout[BLAS_C], *d = &p->layout[BLAS_D];
    uint32_t bias_type = o->bias_type == -1 ? d->type : (uint32_t)o->bias_type;
    bool biased = o->epilogue == CUBLASLT_EPILOGUE_BIAS;
    int64_t rows = (int64_t)p->rows, columns = (int64_t)p->columns;
    for (int64_t j = 0; j < columns; j++) {
        for (int64_t i = 0; i < rows; i++) {
            float x = alpha * sums[i + j * rows];
            if (beta != 0.0f) x += beta * load(p->at[BLAS_C], c->type, place(c, of_batch, i, j));
            if (biased) x += load(o->bias, bias_type, of_batch * o->bias_stride + i);
            store((void *)p->at[BLAS_D], d->type, place(d, of_batch, i, j), x);
        }
    }
}

void blas_run(void *context) {
    const blas_product *p = context;
    float alpha = p->device_alpha ? *p->device_alpha : p->alpha;
    float beta = p->device_beta ? *p->device_beta : p->beta;
    float *a = emulation_new(p->rows * p->inner * sizeof *a);
    float *b = emulation_new(p->inner * p->columns * sizeof *b);
    float *sums = emulation_new(p->rows * p->columns * sizeof *sums);
    openblas_set_num_threads(1);
    if (p->workspace_bytes) emulation_fill(p->workspace, p->workspace_bytes);
    for (int32_t i = 0; i < p->layout[BLAS_A].batch; i++) {
        pack(a, p->at[BLAS_A], &p->layout[BLAS_A], p->operation.transposed_a == CUBLAS_OP_T, i);
        pack(b, p->at[BLAS_B], &p->layout[BLAS_B], p->operation.transposed_b == CUBLAS_OP_T, i);
        cblas_sgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, (blasint)p->rows,
                    (blasint)p->columns, (blasint)p->inner, 1.0f, a, (blasint)p->rows, b,
                    (blasint)p->inner, 0.0f, sums, (blasint)p->rows);
        finish(p, sums, alpha, beta, i);
    }
    emulation_delete(a);
    emulation_delete(b);
    emulation_delete(sums);
}
