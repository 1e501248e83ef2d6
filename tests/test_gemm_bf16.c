/* Products with a bf16 factor: the other is rounded to nearest even, the bits are the same for any
 * number of threads, and plain vectors give what the processor's own instructions give. The values
 * themselves are held to the double reference with all ops. */
#include "backends/cpu.h"
#include "backends/gemm_bf16.h"
#include "graph/bf16.h"
#include "graph/memory.h"
#include "tests/test.h"

enum { M = 401, N = 77, K = 131 };

static float a[M * K], rounded[M * K], bias[N];
static uint16_t b[K * N];

static void draw(void) {
    uint32_t random = 5;
    for (int i = 0; i < M * K; i++) {
        random = random * 1664525u + 1013904223u;
        a[i] = (float)(random >> 8) / (float)(1 << 23) - 1.0f;
        rounded[i] = pr_f32_from_bf16(pr_bf16_from_f32(a[i]));
        if (i < K * N) b[i] = pr_bf16_from_f32(a[i] * 3.0f);
        if (i < N) bias[i] = a[i];
    }
}

static float *product(const float *from, bool transpose_b, int threads, bool fast) {
    pr_error err = {0};
    pr_backend *backend = pr_cpu_new(threads, &err);
    assert_string_equal(err.message, "");
    backend->fast_bf16 &= fast;
    float *c = calloc(M * N, sizeof *c);
    void *workspace = backend->alloc(backend, pr_gemm_bf16_workspace(backend, M, K));
    const pr_gemm g = {.a = from,
                       .half = b,
                       .bias = bias,
                       .c = c,
                       .m = M,
                       .n = N,
                       .k = K,
                       .alpha = 0.5f,
                       .transpose_b = transpose_b};
    pr_gemm_bf16_run(backend, &g, workspace);
    backend->free(backend, workspace, pr_gemm_bf16_workspace(backend, M, K));
    pr_backend_free(backend);
    return c;
}

static void assert_same(float *x, float *y) {
    assert_memory_equal(x, y, M * N * sizeof *x);
    free(x);
    free(y);
}

static void the_other_factor_is_rounded(void **state) {
    (void)state;
    for (int transpose = 0; transpose < 2; transpose++) {
        assert_same(product(a, transpose, 1, true), product(rounded, transpose, 1, true));
        assert_same(product(a, transpose, 1, false), product(rounded, transpose, 1, false));
    }
}

static void threads_change_no_bit(void **state) {
    (void)state;
    for (int threads = 2; threads < 6; threads++) {
        for (int transpose = 0; transpose < 2; transpose++)
            assert_same(product(a, transpose, 1, true), product(a, transpose, threads, true));
    }
}

static void plain_vectors_give_the_same(void **state) {
    (void)state;
    for (int transpose = 0; transpose < 2; transpose++) {
        float *fast = product(a, transpose, 2, true), *plain = product(a, transpose, 2, false);
        for (int i = 0; i < M * N; i++)
            assert_float_equal(fast[i], plain[i], 2e-5f);
        free(fast);
        free(plain);
    }
}

int main(void) {
    draw();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_other_factor_is_rounded),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(plain_vectors_give_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
