/* matmul on a GPU (matmul.c has the formula): cuBLASLt's products, with the bias in the product's
 * own last pass. Under bf16 both factors are rounded to it first, unless they are kept so. */
#include "backends/gemm.h"
#include "backends/kernel.cuh"
#include "ops/cuda.h"
#include "ops/ops.h"

enum { A, B, BIAS, ONTO };

static __global__ void round_to_bf16(const float *x, __nv_bfloat16 *y, int64_t n) {
    int64_t i = pr_element();
    if (i < n) y[i] = __float2bfloat16_rn(x[i]);
}

/* bias (columns) + onto (n / columns, columns), either of which may be NULL. y may be onto. */
static __global__ void add_addends(const float *bias, const float *onto, float *y, int64_t columns,
                                   int64_t n) {
    int64_t i = pr_element();
    if (i < n) y[i] = (bias ? bias[i % columns] : 0.0f) + (onto ? onto[i] : 0.0f);
}

static pr_cublas_kind kind_of(const pr_call *c) {
    if (c->in[B].dtype == PR_BF16) return PR_CUBLAS_BF16;
    switch (c->backend->precision) {
    case PR_PRECISION_BF16:
        return PR_CUBLAS_BF16;
    case PR_PRECISION_TF32:
        return PR_CUBLAS_TF32;
    default:
        return PR_CUBLAS_F32;
    }
}

/* Bytes of a factor that is rounded on the way, up to where the next may begin. */
static size_t rounded_bytes(pr_view v) {
    enum { ALIGNMENT = 256 };
    size_t bytes = v.dtype == PR_BF16 ? 0 : (size_t)pr_size(v) * sizeof(__nv_bfloat16);
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

extern "C" size_t pr_matmul_cuda_workspace(const pr_call *c) {
    size_t bytes = PR_CUBLAS_WORKSPACE;
    if (kind_of(c) == PR_CUBLAS_BF16) bytes += rounded_bytes(c->in[A]) + rounded_bytes(c->in[B]);
    return bytes;
}

/* The factor in bf16, in the room at *room where it has to be rounded. */
static pr_status in_bf16(const pr_call *c, int k, char **room, const void **factor) {
    *factor = c->in[k].data;
    if (c->in[k].dtype == PR_BF16) return PR_OK;
    __nv_bfloat16 *rounded = reinterpret_cast<__nv_bfloat16 *>(*room);
    *room += rounded_bytes(c->in[k]);
    *factor = rounded;
    return pr_launch_elements(c, round_to_bf16, pr_size(c->in[k]), (const float *)c->in[k].data,
                              rounded);
}

/* Whether what is added has to be laid there beforehand: cuBLASLt takes no factors without anything
 * to sum, nor any bias. */
static bool adds_first(const pr_gemm *g) {
    return !g->k || (g->bias && !pr_cublas_takes_bias(g));
}

extern "C" pr_status pr_matmul_cuda(const pr_call *c) {
    bool ta = (c->attr.i[0] & PR_TRANSPOSE_A) != 0, tb = (c->attr.i[0] & PR_TRANSPOSE_B) != 0;
    pr_gemm product = {};
    product.bias = (const float *)c->in[BIAS].data;
    product.onto = (const float *)c->in[ONTO].data;
    product.c = (float *)c->out[0].data;
    product.m = c->in[A].shape.dim[ta];
    product.k = c->in[A].shape.dim[1 - ta];
    product.n = c->in[B].shape.dim[1 - tb];
    product.alpha = c->attr.f[0];
    product.transpose_a = ta;
    product.transpose_b = tb;
    if (adds_first(&product)) {
        pr_status status = pr_launch_elements(c, add_addends, product.m * product.n, product.bias,
                                              product.onto, product.c, product.n);
        if (status != PR_OK || !product.k) return status;
        product.bias = NULL;
        product.onto = product.c;
    }
    const void *factors[2] = {c->in[A].data, c->in[B].data};
    pr_cublas_kind kind = kind_of(c);
    char *room = (char *)c->workspace + PR_CUBLAS_WORKSPACE;
    for (int k = A; k <= B && kind == PR_CUBLAS_BF16; k++) {
        pr_status status = in_bf16(c, k, &room, &factors[k]);
        if (status != PR_OK) return status;
    }
    pr_cuda *cuda = pr_cuda_of(c->backend);
    cuda->busy = true;
    pr_error fault = {};
    pr_status status =
        pr_cublas_run(&cuda->blas, cuda->stream, &product, kind, factors, c->workspace, &fault);
    if (status == PR_OK) return PR_OK;
    return pr_fail(c->err, status, "matmul '%s': %s", c->name, fault.message);
}
