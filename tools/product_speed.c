#include "tools/product_speed.h"

#include <float.h>
#include <math.h>

#include "backends/cuda_speed.h"
#include "graph/bf16.h"
#include "graph/memory.h"
#include "ops/ops.h"
#include "ops/table.h"

/* ---- random numbers ---- */

enum { CHUNK = 1 << 18 }; /* numbers that are drawn; more of them repeat these */

/* A chunk of f32 or bf16, by Knuth's linear congruences. */
static void draw(void *chunk, bool half) {
    uint64_t state = 1;
    for (size_t i = 0; i < CHUNK; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        float x = (float)(int32_t)(state >> 32) * 0x1p-31f;
        if (half)
            ((uint16_t *)chunk)[i] = pr_bf16_from_f32(x);
        else
            ((float *)chunk)[i] = x;
    }
}

static pr_status upload_random(pr_backend *backend, char *block, size_t n, bool half,
                               pr_error *err) {
    size_t each = half ? sizeof(uint16_t) : sizeof(float);
    void *chunk = pr_alloc(CHUNK, each);
    pr_status status = PR_OK;
    if (!chunk) return pr_fail_memory(err, "numbers", CHUNK * each);
    draw(chunk, half);
    for (size_t i = 0; i < n && status == PR_OK; i += CHUNK) {
        size_t part = n - i < CHUNK ? n - i : CHUNK;
        status = backend->upload(backend, block + i * each, chunk, part * each);
    }
    pr_free(chunk);
    return status == PR_OK ? PR_OK : pr_fail(err, status, "numbers could not be copied in");
}

void *product_random(pr_backend *backend, size_t n, bool half, pr_error *err) {
    size_t bytes = n * (half ? sizeof(uint16_t) : sizeof(float));
    char *block = backend->alloc(backend, bytes);
    if (!block) {
        pr_backend_no_memory(backend, "a matrix", bytes, NULL, err);
        return NULL;
    }
    if (upload_random(backend, block, n, half, err) == PR_OK) return block;
    backend->free(backend, block, bytes);
    return NULL;
}

/* ---- a product's matrices ---- */

enum { A, B, BIAS, C, MATRICES };

typedef struct trial {
    pr_backend *backend;
    const product *p;
    void *matrix[MATRICES], *half[2]; /* half: a and b in bf16 */
    size_t n[MATRICES];               /* elements */
    void *workspace;
    size_t workspace_bytes;
    int offer;
    pr_call call;
    pr_gemm gemm;
} trial;

static void describe_call(trial *t) {
    const product *p = t->p;
    bool ta = p->transpose_a, tb = p->transpose_b;
    pr_shape c = pr_shape_2(p->m, p->n);
    t->call = (pr_call){
        .in = {{t->matrix[A], ta ? pr_shape_2(p->k, p->m) : pr_shape_2(p->m, p->k), PR_F32},
               {p->half ? t->half[B] : t->matrix[B],
                tb ? pr_shape_2(p->n, p->k) : pr_shape_2(p->k, p->n), p->half ? PR_BF16 : PR_F32},
               {p->bias ? t->matrix[BIAS] : NULL, pr_shape_1(p->n), PR_F32},
               {p->onto ? t->matrix[C] : NULL, c, PR_F32}},
        .out = {{t->matrix[C], c, PR_F32}},
        .attr = {.f = {1.0f}, .i = {(ta ? PR_TRANSPOSE_A : 0) | (tb ? PR_TRANSPOSE_B : 0)}},
        .backend = t->backend,
        .name = "timed"};
    t->gemm = (pr_gemm){.bias = p->bias ? t->matrix[BIAS] : NULL,
                        .onto = p->onto ? t->matrix[C] : NULL,
                        .c = t->matrix[C],
                        .m = p->m,
                        .n = p->n,
                        .k = p->k,
                        .alpha = 1.0f,
                        .transpose_a = ta,
                        .transpose_b = tb};
}

static pr_status open_trial(trial *t, pr_backend *backend, const product *p, pr_error *err) {
    *t = (trial){.backend = backend, .p = p};
    t->n[A] = (size_t)(p->m * p->k);
    t->n[B] = (size_t)(p->k * p->n);
    t->n[BIAS] = (size_t)p->n;
    t->n[C] = (size_t)(p->m * p->n);
    backend->precision = p->precision;
    for (int i = 0; i < MATRICES; i++) {
        t->matrix[i] = product_random(backend, t->n[i], false, err);
        if (!t->matrix[i]) return err->code;
    }
    for (int i = A; i <= B && p->precision == PR_PRECISION_BF16; i++) {
        t->half[i] = product_random(backend, t->n[i], true, err);
        if (!t->half[i]) return err->code;
    }
    describe_call(t);
    size_t bytes = pr_op_matmul.workspace[PR_CUDA](&t->call);
    t->workspace_bytes = bytes > PR_CUDA_PRODUCT_WORKSPACE ? bytes : PR_CUDA_PRODUCT_WORKSPACE;
    t->workspace = backend->alloc(backend, t->workspace_bytes);
    if (!t->workspace)
        return pr_backend_no_memory(backend, "a workspace", t->workspace_bytes, NULL, err);
    t->call.workspace = t->workspace;
    return PR_OK;
}

static void close_trial(trial *t) {
    pr_backend *backend = t->backend;
    backend->free(backend, t->workspace, t->workspace_bytes);
    for (int i = 0; i < MATRICES; i++)
        backend->free(backend, t->matrix[i], t->n[i] * sizeof(float));
    for (int i = A; i <= B; i++)
        backend->free(backend, t->half[i], t->n[i] * sizeof(uint16_t));
}

/* ---- timing ---- */

static pr_status run_op(void *context, pr_error *err) {
    trial *t = context;
    t->call.err = err;
    return pr_op_matmul.kernel[PR_CUDA](&t->call);
}

static pr_status run_offer(void *context, pr_error *err) {
    trial *t = context;
    bool bf16 = t->p->precision == PR_PRECISION_BF16;
    const void *const factors[2] = {bf16 ? t->half[A] : t->matrix[A],
                                    bf16 ? t->half[B] : t->matrix[B]};
    return pr_cuda_product(t->backend, &t->gemm, t->p->precision, factors, t->offer, t->workspace,
                           err);
}

/* The one that steps run is among what cuBLASLt can do, whether it is offered here or not. */
static pr_status find_best(trial *t, product_speed *speed, pr_error *err) {
    pr_status status = PR_OK;
    speed->best = speed->kernel;
    for (t->offer = 0; status == PR_OK; t->offer++) {
        double seconds;
        pr_error fault = {.code = PR_OK};
        status = pr_cuda_time(t->backend, run_offer, t, &seconds, &fault);
        if (status == PR_OK) speed->best = fmin(speed->best, seconds);
        if (status != PR_OK && status != PR_UNSUPPORTED) pr_fail(err, status, "%s", fault.message);
    }
    speed->tried = t->offer - 1;
    return status == PR_UNSUPPORTED ? PR_OK : status;
}

pr_status product_measure(pr_backend *backend, const product *p, product_speed *speed,
                          pr_error *err) {
    trial t;
    *speed = (product_speed){0};
    pr_status status = open_trial(&t, backend, p, err);
    if (status == PR_OK) status = pr_cuda_time(backend, run_op, &t, &speed->seconds, err);
    t.offer = PR_CUDA_AS_IN_STEPS;
    if (status == PR_OK) status = pr_cuda_time(backend, run_offer, &t, &speed->kernel, err);
    if (status == PR_OK) status = find_best(&t, speed, err);
    close_trial(&t);
    return status;
}
