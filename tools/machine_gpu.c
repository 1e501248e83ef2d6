/* A GPU's two ceilings: large products by cuBLASLt, and a large copy in its memory. */
#include <float.h>
#include <math.h>

#include "backends/cuda_speed.h"
#include "tools/machine.h"
#include "tools/product_speed.h"

/* A quarter of the memory that is free serves; on a large GPU less than that. */
static size_t room(pr_backend *backend) {
    return backend->available(backend) / 4;
}

/* ---- products ---- */

/* Square matrices of f32, a power of two: large products run at their best. */
static int64_t side_within(size_t bytes) {
    enum { LEAST = 64, MOST = 8192, MATRICES = 3 };
    int64_t side = MOST;
    while (side > LEAST && (size_t)(MATRICES * side * side) * sizeof(float) > bytes)
        side /= 2;
    return side;
}

static pr_status measure_products(pr_backend *backend, pr_precision precision, double *flops,
                                  pr_error *err) {
    int64_t side = side_within(room(backend));
    const product square = {.m = side, .n = side, .k = side, .precision = precision};
    product_speed speed;
    pr_status status = product_measure(backend, &square, &speed, err);
    if (status == PR_OK) *flops = product_flops(&square) / speed.best;
    return status;
}

/* ---- memory ---- */

typedef struct blocks {
    pr_backend *backend;
    char *from, *to;
    size_t bytes;
} blocks;

static pr_status copy(void *context, pr_error *err) {
    const blocks *b = context;
    return pr_cuda_copy(b->backend, b->to, b->from, b->bytes, err);
}

static pr_status measure_memory(pr_backend *backend, double *bytes, pr_error *err) {
    enum { MOST = 1 << 30, WAYS = 2 /* what is copied is read and written */ };
    size_t each = room(backend) / WAYS;
    if (each > MOST) each = MOST;
    each -= each % sizeof(float);
    blocks b = {.backend = backend, .bytes = each};
    double seconds = DBL_MAX;
    b.from = product_random(backend, each / sizeof(float), false, err);
    b.to = b.from ? backend->alloc(backend, each) : NULL;
    pr_status status = b.to ? PR_OK : pr_backend_no_memory(backend, "a copy", each, NULL, err);
    if (status == PR_OK) status = pr_cuda_time(backend, copy, &b, &seconds, err);
    if (status == PR_OK) *bytes = WAYS * (double)each / seconds;
    backend->free(backend, b.from, each);
    backend->free(backend, b.to, each);
    return status;
}

pr_status machine_measure_gpu(pr_backend *backend, machine_speed *speed, pr_error *err) {
    *speed = (machine_speed){.flops = 0};
    pr_status status = measure_products(backend, PR_PRECISION_F32, &speed->flops, err);
    if (status == PR_OK)
        status = measure_products(backend, PR_PRECISION_TF32, &speed->tf32_flops, err);
    if (status == PR_OK)
        status = measure_products(backend, PR_PRECISION_BF16, &speed->bf16_flops, err);
    return status == PR_OK ? measure_memory(backend, &speed->bytes, err) : status;
}
