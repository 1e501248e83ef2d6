#include "tools/machine.h"

#include <cblas.h>
#include <float.h>
#include <math.h>

#include "backends/gemm.h"
#include "backends/gemm_bf16.h"
#include "backends/parallel.h"
#include "graph/bf16.h"
#include "graph/memory.h"
#include "tools/progress.h"

enum { GOES = 12 };

/* ---- products ---- */

/* Of the shape that OpenBLAS is at its best with. */
enum { SIDE = 1536 };

static void fill(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(i % 7) - 3.0f;
}

static pr_status time_product(const pr_backend *backend, const float *a, const float *b, float *c,
                              double *seconds, pr_error *err) {
    const pr_gemm product = {
        .a = a, .b = b, .c = c, .m = SIDE, .n = SIDE, .k = SIDE, .alpha = 1.0f};
    *seconds = DBL_MAX;
    for (int go = 0; go < GOES; go++) {
        double start = progress_now();
        pr_status status = pr_gemm_run(backend, &product, err);
        if (status != PR_OK) return status;
        *seconds = fmin(*seconds, progress_now() - start);
    }
    return PR_OK;
}

static double time_bf16_product(const pr_backend *backend, const float *a, const uint16_t *b,
                                float *c, void *workspace) {
    const pr_gemm product = {
        .a = a, .half = b, .c = c, .m = SIDE, .n = SIDE, .k = SIDE, .alpha = 1.0f};
    double seconds = DBL_MAX;
    for (int go = 0; go < GOES; go++) {
        double start = progress_now();
        pr_gemm_bf16_run(backend, &product, workspace);
        seconds = fmin(seconds, progress_now() - start);
    }
    return seconds;
}

static pr_status measure_bf16_products(pr_backend *backend, double *flops, pr_error *err) {
    const size_t n = (size_t)SIDE * SIDE, bytes = pr_gemm_bf16_workspace(backend, SIDE, SIDE);
    if (!backend->fast_bf16) return PR_OK;
    float *x = pr_alloc(2 * n, sizeof *x);
    uint16_t *half = pr_alloc(n, sizeof *half);
    void *workspace = backend->alloc(backend, bytes);
    pr_status status = PR_OK;
    if (x && half && workspace) {
        fill(x, n);
        for (size_t i = 0; i < n; i++)
            half[i] = pr_bf16_from_f32(x[i]);
        *flops = 2.0 * SIDE * SIDE * SIDE / time_bf16_product(backend, x, half, x + n, workspace);
    } else {
        status = pr_fail_memory(err, "matrices", 3 * n * sizeof *x);
    }
    pr_free(x);
    pr_free(half);
    backend->free(backend, workspace, bytes);
    return status;
}

static pr_status measure_products(const pr_backend *backend, double *flops, pr_error *err) {
    const size_t n = (size_t)SIDE * SIDE;
    float *x = pr_alloc(3 * n, sizeof *x);
    double seconds;
    if (!x) return pr_fail_memory(err, "matrices", 3 * n * sizeof *x);
    fill(x, 2 * n);
    pr_status status = time_product(backend, x, x + n, x + 2 * n, &seconds, err);
    if (status == PR_OK) *flops = 2.0 * SIDE * SIDE * SIDE / seconds;
    pr_free(x);
    return status;
}

/* ---- memory ---- */

enum { FLOATS = 1 << 25 }; /* of each of two arrays of 134 MB: more than caches hold */

typedef struct arrays {
    float *x, *y;
} arrays;

/* As AdamW goes over moments: one array is read, another read and written. */
static void sweep(const void *context, int64_t begin, int64_t end) {
    const arrays *a = context;
    const float *x = a->x;
    float *y = a->y;
#pragma omp simd
    for (int64_t i = begin; i < end; i++)
        y[i] = 0.9f * y[i] + 0.1f * x[i];
}

static double time_sweep(const pr_backend *backend, const arrays *a) {
    enum { GRAIN = 1 << 16 };
    double seconds = DBL_MAX;
    for (int go = 0; go < GOES; go++) {
        double start = progress_now();
        pr_parallel_range(backend, FLOATS, GRAIN, sweep, a);
        seconds = fmin(seconds, progress_now() - start);
    }
    return seconds;
}

static pr_status measure_memory(const pr_backend *backend, double *bytes, pr_error *err) {
    enum { ACCESSES = 3 };
    arrays a = {pr_alloc(FLOATS, sizeof *a.x), pr_alloc(FLOATS, sizeof *a.y)};
    pr_status status = PR_OK;
    if (a.x && a.y) {
        fill(a.x, FLOATS);
        fill(a.y, FLOATS);
        *bytes = ACCESSES * sizeof(float) * (double)FLOATS / time_sweep(backend, &a);
    } else {
        status = pr_fail_memory(err, "arrays", 2 * sizeof(float) * (size_t)FLOATS);
    }
    pr_free(a.x);
    pr_free(a.y);
    return status;
}

pr_status machine_measure(pr_backend *backend, machine_speed *speed, pr_error *err) {
    if (backend->kind == PR_CUDA) return machine_measure_gpu(backend, speed, err);
    *speed = (machine_speed){.kernels = openblas_get_corename()};
    pr_status status = measure_products(backend, &speed->flops, err);
    if (status == PR_OK) status = measure_bf16_products(backend, &speed->bf16_flops, err);
    return status == PR_OK ? measure_memory(backend, &speed->bytes, err) : status;
}
