/* The GPU's clock, and the work that it is held to: what is timed is done, what fails is told, and
 * the backend serves on. */
#include <math.h>

#include "backends/cuda_speed.h"
#include "graph/bf16.h"
#include "tests/backend_under_test.h"
#include "tests/emulation/emulation.h"
#include "tests/test.h"

enum { M = 5, N = 4, K = 6 };

static pr_backend *open_backend(void) {
    pr_error err = {.code = PR_OK};
    pr_backend *backend = test_backend_new(1, &err);
    if (!backend) fail_msg("%s", err.message);
    return backend;
}

static void *device_copy(pr_backend *backend, const void *host, size_t bytes) {
    void *block = backend->alloc(backend, bytes);
    assert_non_null(block);
    assert_int_equal(backend->upload(backend, block, host, bytes), PR_OK);
    return block;
}

/* ---- the clock ---- */

typedef struct piece {
    pr_backend *backend;
    char *from, *to;
    size_t bytes;
    int calls, fails; /* at this call; 0: at none */
} piece;

static pr_status copy(void *context, pr_error *err) {
    piece *p = context;
    if (++p->calls == p->fails) return pr_fail(err, PR_UNSUPPORTED, "no more of it");
    return pr_cuda_copy(p->backend, p->to, p->from, p->bytes, err);
}

static piece open_piece(void) {
    static const char text[] = "what is copied";
    pr_backend *backend = open_backend();
    piece p = {.backend = backend, .bytes = sizeof text};
    p.from = device_copy(backend, text, sizeof text);
    p.to = backend->alloc(backend, sizeof text);
    assert_non_null(p.to);
    return p;
}

static void close_piece(piece *p) {
    p->backend->free(p->backend, p->from, p->bytes);
    p->backend->free(p->backend, p->to, p->bytes);
    pr_backend_free(p->backend);
    assert_int_equal(emulation_leaks(), 0);
}

static void assert_copied(const piece *p) {
    char text[64];
    assert_int_equal(p->backend->download(p->backend, text, p->to, p->bytes), PR_OK);
    assert_string_equal(text, "what is copied");
}

/* The work is recorded, each call of it run as often, and no launch of it is outside. */
static void work_is_timed(void **state) {
    (void)state;
    piece p = open_piece();
    pr_error err = {.code = PR_OK};
    double seconds = 0;
    emulation_mark();
    assert_int_equal(pr_cuda_time(p.backend, copy, &p, &seconds, &err), PR_OK);
    emulation_counts c = emulation_counted();
    assert_true(seconds > 0 && seconds < 1);
    assert_true(p.calls > 2 && c.graph_launches > 2);
    assert_int_equal(c.objects, 2 /* events */ + 2 * 2 /* graphs, and their instances */);
    assert_copied(&p);
    close_piece(&p);
}

static void faults_are_told(void **state) {
    (void)state;
    static const struct {
        const char *function, *says;
    } faults[] = {{"cudaEventCreate", "the GPU's clock: CUDA: "},
                  {"cudaStreamBeginCapture", "a recording could not begin: CUDA: "},
                  {"cudaMemcpyAsync", "a copy on the GPU: CUDA: "},
                  {"cudaGraphInstantiate", "a recording could not be made: CUDA: "},
                  {"cudaEventRecord", "work that is timed: CUDA: "},
                  {"cudaGraphLaunch", "a recorded run could not start: CUDA: "},
                  {"cudaEventElapsedTime", "work that is timed: CUDA: "}};
    enum { CUDA_ERROR_NOT_PERMITTED = 800 };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        piece p = open_piece();
        pr_error err = {.code = PR_OK};
        double seconds;
        emulation_fail(faults[i].function, 1, CUDA_ERROR_NOT_PERMITTED);
        assert_int_equal(pr_cuda_time(p.backend, copy, &p, &seconds, &err), PR_DEVICE);
        if (!strstr(err.message, faults[i].says)) fail_msg("%s", err.message);
        err = (pr_error){.code = PR_OK};
        if (pr_cuda_time(p.backend, copy, &p, &seconds, &err) != PR_OK) {
            fail_msg("after %s failed: %s", faults[i].function, err.message);
        }
        assert_copied(&p);
        close_piece(&p);
    }
}

/* Work that has an end of its own: its word is passed on. */
static void work_may_end(void **state) {
    (void)state;
    piece p = open_piece();
    pr_error err = {.code = PR_OK};
    double seconds;
    p.fails = 3;
    assert_int_equal(pr_cuda_time(p.backend, copy, &p, &seconds, &err), PR_UNSUPPORTED);
    assert_string_equal(err.message, "no more of it");
    assert_int_equal(pr_cuda_time(p.backend, copy, &p, &seconds, NULL), PR_OK);
    assert_copied(&p);
    close_piece(&p);
}

/* ---- products ---- */

typedef struct factors {
    float a[M * K], b[N * K], bias[N], expected[M * N];
} factors;

/* Whole numbers that bf16 holds; b is transposed. */
static factors make_factors(void) {
    factors f;
    for (int i = 0; i < M * K; i++)
        f.a[i] = (float)(i % 7 - 3);
    for (int i = 0; i < N * K; i++)
        f.b[i] = (float)(i % 5 - 2);
    for (int i = 0; i < N; i++)
        f.bias[i] = (float)(10 * i);
    for (int i = 0; i < M * N; i++) {
        f.expected[i] = f.bias[i % N];
        for (int k = 0; k < K; k++)
            f.expected[i] += f.a[i / N * K + k] * f.b[i % N * K + k];
    }
    return f;
}

static void *as_kept(pr_backend *backend, const float *x, size_t n, pr_precision precision) {
    uint16_t half[M * K];
    for (size_t i = 0; i < n; i++)
        half[i] = pr_bf16_from_f32(x[i]);
    return precision == PR_PRECISION_BF16 ? device_copy(backend, half, n * sizeof *half)
                                          : device_copy(backend, x, n * sizeof *x);
}

/* A step's own, and then every algorithm that is offered, up to the end of them. */
static int try_all(pr_backend *backend, const factors *f, pr_precision precision) {
    float found[M * N];
    void *workspace = backend->alloc(backend, PR_CUDA_PRODUCT_WORKSPACE);
    void *factor[2] = {as_kept(backend, f->a, M * K, precision),
                       as_kept(backend, f->b, N * K, precision)};
    float *bias = device_copy(backend, f->bias, sizeof f->bias);
    float *c = backend->alloc(backend, sizeof found);
    assert_true(workspace && c);
    const pr_gemm product = {
        .bias = bias, .c = c, .m = M, .n = N, .k = K, .alpha = 1, .transpose_b = true};
    pr_status status = PR_OK;
    int n = PR_CUDA_AS_IN_STEPS;
    for (; status == PR_OK; n++) {
        pr_error err = {.code = PR_OK};
        const void *const kept[2] = {factor[0], factor[1]};
        assert_int_equal(backend->fill(backend, c, 0xff, sizeof found), PR_OK);
        status = pr_cuda_product(backend, &product, precision, kept, n, workspace, &err);
        if (status != PR_OK) break;
        assert_int_equal(backend->download(backend, found, c, sizeof found), PR_OK);
        assert_memory_equal(found, f->expected, sizeof found);
    }
    assert_int_equal(status, PR_UNSUPPORTED);
    backend->free(backend, workspace, PR_CUDA_PRODUCT_WORKSPACE);
    backend->free(backend, bias, sizeof f->bias);
    backend->free(backend, c, sizeof found);
    for (int k = 0; k < 2; k++)
        backend->free(backend, factor[k], 0);
    return n;
}

static void all_choices_compute_the_product(void **state) {
    (void)state;
    const factors f = make_factors();
    pr_backend *backend = open_backend();
    for (int precision = PR_PRECISION_F32; precision <= PR_PRECISION_TF32; precision++)
        assert_true(try_all(backend, &f, (pr_precision)precision) > 1);
    pr_backend_free(backend);
    assert_int_equal(emulation_leaks(), 0);
}

static void versions_are_told(void **state) {
    (void)state;
    pr_backend *backend = open_backend();
    pr_cuda_versions v = pr_cuda_versions_of(backend);
    assert_true(v.driver >= 13000 && v.runtime >= 13000 && v.cublas >= 130000);
    pr_backend_free(backend);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_is_timed),     cmocka_unit_test(faults_are_told),
        cmocka_unit_test(work_may_end),      cmocka_unit_test(all_choices_compute_the_product),
        cmocka_unit_test(versions_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
