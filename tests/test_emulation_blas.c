/* cublasLtMatmul against a plain loop, and what it refuses. */
#include "tests/emulation_test.h"

#include <cublasLt.h>
#include <math.h>

enum { A, B, C, D, MATRICES, M = 5, N = 7, K = 9, SPARE = 3, BATCH = 2, MOST = 400 };

/* A product to try. Matrices are kept with leading dimensions of SPARE more than they need. */
typedef struct scene {
    bool transposed[2], by_rows, bf16, bf16_out, biased;
    float alpha, beta;
    float host[MATRICES][MOST], bias[M];
    void *device[MATRICES], *device_bias;
    cublasLtHandle_t handle;
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t layout[MATRICES];
    int rows[MATRICES], columns[MATRICES], ld[MATRICES];
} scene;

static void blas_ok(cublasStatus_t status) {
    if (status) fail_msg("%s: %s", cublasLtGetStatusName(status), emulation_message());
}

static void blas_refused(cublasStatus_t status, cublasStatus_t expected, const char *reason) {
    if (status != expected)
        fail_msg("%s, not %s: %s", cublasLtGetStatusName(status), cublasLtGetStatusName(expected),
                 emulation_message());
    says(emulation_message(), reason);
}

static uint16_t to_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static float from_bf16(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static bool is_bf16(const scene *s, int matrix) {
    return matrix < C ? s->bf16 : s->bf16_out;
}

static int stride(const scene *s, int matrix) {
    return s->ld[matrix] * (s->by_rows ? s->rows[matrix] : s->columns[matrix]);
}

/* Small whole numbers, which bf16 holds, though not their sums. */
static void *upload(const scene *s, int matrix) {
    const float *from = s->host[matrix];
    uint16_t halves[MOST];
    for (int i = 0; i < MOST; i++)
        halves[i] = to_bf16(from[i]);
    int n = BATCH * stride(s, matrix);
    assert_true(n <= MOST);
    return is_bf16(s, matrix) ? device_copy(halves, (size_t)n * 2)
                              : device_copy(from, (size_t)n * 4);
}

static void set_layout(scene *s, int matrix) {
    cublasLtOrder_t order = s->by_rows ? CUBLASLT_ORDER_ROW : CUBLASLT_ORDER_COL;
    int32_t batch = BATCH;
    int64_t distance = stride(s, matrix);
    cublasLtMatrixLayout_t *l = &s->layout[matrix];
    blas_ok(cublasLtMatrixLayoutCreate(l, is_bf16(s, matrix) ? CUDA_R_16BF : CUDA_R_32F,
                                       (uint64_t)s->rows[matrix], (uint64_t)s->columns[matrix],
                                       s->ld[matrix]));
    blas_ok(
        cublasLtMatrixLayoutSetAttribute(*l, CUBLASLT_MATRIX_LAYOUT_ORDER, &order, sizeof order));
    blas_ok(cublasLtMatrixLayoutSetAttribute(*l, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch,
                                             sizeof batch));
    blas_ok(cublasLtMatrixLayoutSetAttribute(*l, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                             &distance, sizeof distance));
}

static void set_operation(scene *s) {
    cublasOperation_t transposes[2];
    for (int i = A; i <= B; i++)
        transposes[i] = s->transposed[i] ? CUBLAS_OP_T : CUBLAS_OP_N;
    blas_ok(cublasLtMatmulDescCreate(&s->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    blas_ok(cublasLtMatmulDescSetAttribute(s->operation, CUBLASLT_MATMUL_DESC_TRANSA,
                                           &transposes[A], sizeof transposes[A]));
    blas_ok(cublasLtMatmulDescSetAttribute(s->operation, CUBLASLT_MATMUL_DESC_TRANSB,
                                           &transposes[B], sizeof transposes[B]));
    if (!s->biased) return;
    cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    int32_t type = s->bf16_out ? CUDA_R_16BF : CUDA_R_32F;
    blas_ok(cublasLtMatmulDescSetAttribute(s->operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                           sizeof epilogue));
    blas_ok(cublasLtMatmulDescSetAttribute(s->operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &type,
                                           sizeof type));
    blas_ok(cublasLtMatmulDescSetAttribute(s->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                                           &s->device_bias, sizeof s->device_bias));
}

static void set_bias(scene *s) {
    uint16_t halves[M];
    for (int i = 0; i < M; i++) {
        s->bias[i] = (float)(10 * i);
        halves[i] = to_bf16(s->bias[i]);
    }
    s->device_bias =
        s->bf16_out ? device_copy(halves, sizeof halves) : device_copy(s->bias, sizeof s->bias);
}

static void begin_scene(scene *s) {
    const int rows[] = {M, K, M, M}, columns[] = {K, N, N, N};
    start(1);
    blas_ok(cublasLtCreate(&s->handle));
    for (int i = 0; i < MATRICES; i++) {
        bool turned = i < C && s->transposed[i];
        s->rows[i] = turned ? columns[i] : rows[i];
        s->columns[i] = turned ? rows[i] : columns[i];
        s->ld[i] = (s->by_rows ? s->columns[i] : s->rows[i]) + SPARE;
        for (int j = 0; j < MOST; j++)
            s->host[i][j] = (float)(7 * ((j * (i + 3) + j / 7) % 9 - 4));
        s->device[i] = upload(s, i);
        set_layout(s, i);
    }
    set_bias(s);
    set_operation(s);
}

static void end_scene(scene *s) {
    for (int i = 0; i < MATRICES; i++) {
        ok(cudaFree(s->device[i]));
        blas_ok(cublasLtMatrixLayoutDestroy(s->layout[i]));
    }
    ok(cudaFree(s->device_bias));
    blas_ok(cublasLtMatmulDescDestroy(s->operation));
    blas_ok(cublasLtDestroy(s->handle));
    assert_int_equal(emulation_leaks(), 0);
}

static cublasStatus_t multiply(const scene *s, const cublasLtMatmulAlgo_t *algo, void *workspace,
                               size_t bytes) {
    return cublasLtMatmul(s->handle, s->operation, &s->alpha, s->device[A], s->layout[A],
                          s->device[B], s->layout[B], &s->beta, s->device[C], s->layout[C],
                          s->device[D], s->layout[D], algo, workspace, bytes, NULL);
}

static int place(const scene *s, int matrix, int of_batch, int row, int column) {
    int in = s->by_rows ? row * s->ld[matrix] + column : row + column * s->ld[matrix];
    return of_batch * stride(s, matrix) + in;
}

static float element(const scene *s, int matrix, int of_batch, int row, int column) {
    bool turned = matrix < C && s->transposed[matrix];
    return s->host[matrix][turned ? place(s, matrix, of_batch, column, row)
                                  : place(s, matrix, of_batch, row, column)];
}

/* Between its columns D stays as it was. */
static void check_product(const scene *s) {
    float wanted[MOST], got[MOST];
    int n = BATCH * stride(s, D);
    memcpy(wanted, s->host[D], sizeof wanted);
    for (int b = 0; b < BATCH; b++) {
        for (int i = 0; i < M; i++) {
            for (int j = 0; j < N; j++) {
                float sum = 0.0f;
                for (int k = 0; k < K; k++)
                    sum += element(s, A, b, i, k) * element(s, B, b, k, j);
                float x = s->alpha * sum + (s->biased ? s->bias[i] : 0.0f);
                if (s->beta != 0.0f) x += s->beta * element(s, C, b, i, j);
                wanted[place(s, D, b, i, j)] = x;
            }
        }
    }
    if (s->bf16_out) {
        uint16_t halves[MOST];
        fetch(halves, s->device[D], (size_t)n * 2);
        for (int i = 0; i < n; i++) {
            got[i] = from_bf16(halves[i]);
            wanted[i] = from_bf16(to_bf16(wanted[i]));
        }
    } else {
        fetch(got, s->device[D], (size_t)n * 4);
    }
    for (int i = 0; i < n; i++)
        if (got[i] != wanted[i]) fail_msg("element %d is %g, not %g", i, got[i], wanted[i]);
}

static void products(void **state) {
    (void)state;
    for (int bits = 0; bits < 128; bits++) {
        scene s = {.transposed = {bits & 1, bits & 2},
                   .by_rows = bits & 4,
                   .bf16 = bits & 8,
                   .bf16_out = bits & 16,
                   .biased = bits & 32,
                   .alpha = 0.5f,
                   .beta = bits & 64 ? 2.0f : 0.0f};
        if (s.bf16_out && !s.bf16) continue;
        begin_scene(&s);
        blas_ok(multiply(&s, NULL, NULL, 0));
        assert_int_equal(emulation_counted().products, 1);
        check_product(&s);
        end_scene(&s);
    }
}

/* With beta 0, C is not read: what nobody has written does no harm. */
static void c_is_not_read(void **state) {
    (void)state;
    scene s = {.alpha = 1.0f};
    begin_scene(&s);
    ok(cudaFree(s.device[C]));
    s.device[C] = device_memory(sizeof s.host[C]);
    blas_ok(multiply(&s, NULL, NULL, 0));
    check_product(&s);
    end_scene(&s);
}

/* It waits in its stream, and alpha and beta are the host's no longer; or the device's until then.
 */
static void products_wait(void **state) {
    (void)state;
    scene s = {.alpha = 1.0f};
    cublasLtPointerMode_t mode = CUBLASLT_POINTER_MODE_DEVICE;
    float scales[2] = {1.0f, 0.0f};
    begin_scene(&s);
    blas_ok(multiply(&s, NULL, NULL, 0));
    s.alpha = 100.0f;
    ok(cudaDeviceSynchronize());
    s.alpha = 1.0f;
    check_product(&s);
    blas_ok(cublasLtMatmulDescSetAttribute(s.operation, CUBLASLT_MATMUL_DESC_POINTER_MODE, &mode,
                                           sizeof mode));
    blas_refused(multiply(&s, NULL, NULL, 0), CUBLAS_STATUS_INVALID_VALUE, "not in device memory");
    float *device = device_copy(scales, sizeof scales);
    blas_ok(cublasLtMatmul(s.handle, s.operation, device, s.device[A], s.layout[A], s.device[B],
                           s.layout[B], device + 1, s.device[C], s.layout[C], s.device[D],
                           s.layout[D], NULL, NULL, 0, NULL));
    scales[0] = 3.0f;
    ok(cudaMemcpy(device, scales, sizeof scales, cudaMemcpyHostToDevice));
    check_product(&s); /* the copy was queued behind it */
    ok(cudaFree(device));
    end_scene(&s);
}

static void set_ld(cublasLtMatrixLayout_t layout, int64_t ld) {
    blas_ok(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_LD, &ld, sizeof ld));
}

static void set_size(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t which,
                     uint64_t n) {
    blas_ok(cublasLtMatrixLayoutSetAttribute(layout, which, &n, sizeof n));
}

static void wrong_products_are_refused(void **state) {
    (void)state;
    const cublasStatus_t invalid = CUBLAS_STATUS_INVALID_VALUE;
    scene s = {.alpha = 1.0f, .biased = true};
    begin_scene(&s);
    for (int i = 0; i < MATRICES; i++) {
        set_ld(s.layout[i], s.rows[i] - 1);
        blas_refused(multiply(&s, NULL, NULL, 0), invalid, "has a leading dimension of");
        set_ld(s.layout[i], 1000); /* more than the memory has */
        blas_refused(multiply(&s, NULL, NULL, 0), invalid, "not in one allocation");
        set_ld(s.layout[i], s.ld[i]);
        void *kept = s.device[i];
        s.device[i] = s.host[i];
        blas_refused(multiply(&s, NULL, NULL, 0), invalid, "not in one allocation");
        s.device[i] = (char *)kept + 2;
        blas_refused(multiply(&s, NULL, NULL, 0), invalid, "is not aligned to the 4 bytes");
        s.device[i] = kept;
    }
    set_size(s.layout[B], CUBLASLT_MATRIX_LAYOUT_ROWS, K - 1);
    blas_refused(multiply(&s, NULL, NULL, 0), invalid, "op(A) has 9 columns, op(B) 8 rows");
    set_size(s.layout[B], CUBLASLT_MATRIX_LAYOUT_ROWS, K);
    set_size(s.layout[D], CUBLASLT_MATRIX_LAYOUT_COLS, N - 1);
    blas_refused(multiply(&s, NULL, NULL, 0), invalid, "D has 5 x 6 elements, not 5 x 7");
    set_size(s.layout[D], CUBLASLT_MATRIX_LAYOUT_COLS, N);
    int32_t batch = 1;
    blas_ok(cublasLtMatrixLayoutSetAttribute(s.layout[A], CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                             &batch, sizeof batch));
    blas_refused(multiply(&s, NULL, NULL, 0), invalid, "batches of different sizes");
    batch = BATCH;
    blas_ok(cublasLtMatrixLayoutSetAttribute(s.layout[A], CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                             &batch, sizeof batch));
    float *bias = s.bias;
    blas_ok(cublasLtMatmulDescSetAttribute(s.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias,
                                           sizeof bias));
    blas_refused(multiply(&s, NULL, NULL, 0), invalid, "the bias's 5 elements");
    blas_refused(
        cublasLtMatmulDescSetAttribute(s.operation, CUBLASLT_MATMUL_DESC_TRANSA, &batch, 1),
        invalid, "has 4 bytes, not 1");
    cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_RELU;
    blas_ok(cublasLtMatmulDescSetAttribute(s.operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                           sizeof epilogue));
    blas_refused(multiply(&s, NULL, NULL, 0), CUBLAS_STATUS_NOT_SUPPORTED, "epilogue 2");
    assert_int_equal(emulation_counted().products, 0);
    end_scene(&s);
}

static cublasStatus_t choose(const scene *s, cublasLtMatmulPreference_t preference,
                             cublasLtMatmulHeuristicResult_t *result) {
    int found = 0;
    cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(s->handle, s->operation, s->layout[A], s->layout[B],
                                       s->layout[C], s->layout[D], preference, 1, result, &found);
    assert_int_equal(found, status == CUBLAS_STATUS_SUCCESS);
    return status;
}

static void algorithms_serve_what_they_were_chosen_for(void **state) {
    (void)state;
    const cublasStatus_t invalid = CUBLAS_STATUS_INVALID_VALUE;
    scene s = {.alpha = 1.0f};
    cublasLtMatmulPreference_t preference;
    cublasLtMatmulHeuristicResult_t result;
    begin_scene(&s);
    blas_ok(cublasLtMatmulPreferenceCreate(&preference));
    blas_ok(choose(&s, preference, &result));
    assert_int_equal(result.workspaceSize, 0); /* none was allowed */
    blas_ok(multiply(&s, &result.algo, NULL, 0));
    check_product(&s);
    uint64_t most = 1 << 20;
    blas_ok(cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most));
    blas_ok(choose(&s, preference, &result));
    assert_in_range(result.workspaceSize, 1, most);
    char *workspace = device_memory(most);
    blas_refused(multiply(&s, &result.algo, NULL, 0), invalid, "a workspace of 0 bytes");
    blas_refused(multiply(&s, &result.algo, s.host, most), invalid, "is not device memory");
    blas_refused(multiply(&s, &result.algo, workspace + 16, most - 16), invalid, "aligned");
    blas_ok(multiply(&s, &result.algo, workspace, most));
    check_product(&s);
    /* A is said to be aligned to 256 bytes unless the preference says less. */
    void *kept = s.device[A];
    s.device[A] = (char *)kept + 4;
    set_size(s.layout[A], CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, 0);
    blas_refused(multiply(&s, &result.algo, workspace, most), invalid, "MIN_ALIGNMENT_A_BYTES");
    uint32_t alignment = 4;
    blas_ok(cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &alignment, sizeof alignment));
    blas_ok(choose(&s, preference, &result));
    blas_ok(multiply(&s, &result.algo, workspace, most));
    s.device[A] = kept;
    set_size(s.layout[C], CUBLASLT_MATRIX_LAYOUT_COLS, N - 1);
    blas_refused(choose(&s, preference, &result), invalid, "C has 5 x 6");
    set_size(s.layout[D], CUBLASLT_MATRIX_LAYOUT_COLS, N - 1);
    set_size(s.layout[B], CUBLASLT_MATRIX_LAYOUT_COLS, N - 1);
    blas_refused(multiply(&s, &result.algo, workspace, most), invalid, "for another product");
    ok(cudaFree(workspace));
    blas_ok(cublasLtMatmulPreferenceDestroy(preference));
    end_scene(&s);
}

/* As many as there are, whatever is asked for; each computes the product. */
static void several_are_offered(void **state) {
    (void)state;
    enum { WANTED = 9 };
    scene s = {.alpha = 1.0f};
    cublasLtMatmulPreference_t preference;
    cublasLtMatmulHeuristicResult_t result[WANTED];
    int found = 0;
    uint64_t most = 1 << 20;
    begin_scene(&s);
    char *workspace = device_memory(most);
    blas_ok(cublasLtMatmulPreferenceCreate(&preference));
    blas_ok(cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most));
    blas_ok(cublasLtMatmulAlgoGetHeuristic(s.handle, s.operation, s.layout[A], s.layout[B],
                                           s.layout[C], s.layout[D], preference, WANTED, result,
                                           &found));
    assert_in_range(found, 2, WANTED - 1);
    for (int i = 0; i < found; i++) {
        assert_true(i == 0 || result[i].workspaceSize != result[i - 1].workspaceSize);
        blas_ok(multiply(&s, &result[i].algo, workspace, result[i].workspaceSize));
        check_product(&s);
    }
    ok(cudaFree(workspace));
    blas_ok(cublasLtMatmulPreferenceDestroy(preference));
    end_scene(&s);
}

static void failures_are_told(void **state) {
    (void)state;
    scene s = {.alpha = 1.0f};
    begin_scene(&s);
    emulation_fail("cublasLtMatmul", 1, CUBLAS_STATUS_EXECUTION_FAILED);
    assert_int_equal(multiply(&s, NULL, NULL, 0), CUBLAS_STATUS_EXECUTION_FAILED);
    blas_ok(multiply(&s, NULL, NULL, 0));
    check_product(&s);
    end_scene(&s);
    emulation_machine machine = emulation_usual();
    machine.devices = 0;
    emulation_start(&machine);
    cublasLtHandle_t handle;
    assert_int_equal(cublasLtCreate(&handle), CUBLAS_STATUS_NOT_INITIALIZED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products),
        cmocka_unit_test(c_is_not_read),
        cmocka_unit_test(products_wait),
        cmocka_unit_test(wrong_products_are_refused),
        cmocka_unit_test(algorithms_serve_what_they_were_chosen_for),
        cmocka_unit_test(several_are_offered),
        cmocka_unit_test(failures_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
