/* Kernels that are right give what they should, in whatever order their threads run. */
#include "tests/emulation_test.h"

#include <math.h>

enum { SEEDS = 8, N = 1000, ROWS = 45, COLUMNS = 70, BINS = 10 };

static void each_seed(void (*body)(void)) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        start(seed);
        body();
        assert_int_equal(emulation_leaks(), 0);
    }
}

static void sums(void) {
    float x[N], shared[4], warps[4];
    for (int i = 0; i < N; i++)
        x[i] = (float)(i % 17);
    float *device_x = device_copy(x, sizeof x);
    float *a = device_memory(sizeof shared), *b = device_memory(sizeof warps);
    ok(launch_sum_shared(a, device_x, N, NULL));
    ok(launch_sum_warps(b, device_x, N, NULL));
    fetch(shared, a, sizeof shared);
    fetch(warps, b, sizeof warps);
    for (int block = 0; block < 4; block++) {
        float sum = 0.0f;
        for (int i = 256 * block; i < 256 * (block + 1) && i < N; i++)
            sum += x[i];
        assert_true(shared[block] == sum && warps[block] == sum);
    }
    ok(cudaFree(device_x));
    ok(cudaFree(a));
    ok(cudaFree(b));
}

static void transposes(void) {
    static float x[ROWS][COLUMNS], y[COLUMNS][ROWS];
    for (int i = 0; i < ROWS * COLUMNS; i++)
        x[i / COLUMNS][i % COLUMNS] = (float)i;
    float *device_x = device_copy(x, sizeof x), *device_y = device_memory(sizeof y);
    ok(launch_transpose(device_y, device_x, ROWS, COLUMNS, NULL));
    fetch(y, device_y, sizeof y);
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++)
            assert_true(y[j][i] == x[i][j]);
    ok(cudaFree(device_x));
    ok(cudaFree(device_y));
}

static void histograms(void) {
    unsigned x[N], extremes[3] = {0, UINT32_MAX, 0};
    int counts[BINS] = {0};
    for (unsigned i = 0; i < N; i++)
        x[i] = 5 + i * 7;
    unsigned *device_x = device_copy(x, sizeof x), *most = device_copy(extremes, sizeof extremes);
    int *device_counts = device_copy(counts, sizeof counts);
    ok(launch_histogram(device_counts, most, device_x, N, BINS, NULL));
    fetch(counts, device_counts, sizeof counts);
    fetch(extremes, most, sizeof extremes);
    for (int i = 0; i < BINS; i++)
        assert_int_equal(counts[i], N / BINS);
    assert_int_equal(extremes[0], x[N - 1]);
    assert_int_equal(extremes[1], x[0]);
    assert_int_equal(extremes[2], N);
    ok(cudaFree(device_x));
    ok(cudaFree(most));
    ok(cudaFree(device_counts));
}

/* 1.0, then up by a last place; the factor 257/256 lies between two of these. */
static void bf16_rounds_to_even(void) {
    uint16_t x[5] = {0x3F80, 0x3F81, 0xBF80, 0x7F80, 0x0000}, y[5];
    const uint16_t wanted[5] = {0x3F80, 0x3F82, 0xBF80, 0x7F80, 0x0000};
    uint16_t *device_x = device_copy(x, sizeof x), *device_y = device_memory(sizeof y);
    ok(launch_scale_bf16(device_y, device_x, 257.0f / 256.0f, 5, NULL));
    fetch(y, device_y, sizeof y);
    assert_memory_equal(y, wanted, sizeof y);
    ok(cudaFree(device_x));
    ok(cudaFree(device_y));
}

static void arguments_are_converted(void) {
    float x[N], y[N];
    for (int i = 0; i < N; i++)
        x[i] = (float)i;
    float *device_x = device_copy(x, sizeof x), *device_y = device_memory(sizeof y);
    ok(launch_scale(device_y, device_x, 2.5, N, NULL));
    fetch(y, device_y, sizeof y);
    for (int i = 0; i < N; i++)
        assert_true(y[i] == 2.5f * x[i]);
    ok(cudaFree(device_x));
    ok(cudaFree(device_y));
}

static void scans(void) {
    int x[100], y[100], sum = 0;
    for (int i = 0; i < 100; i++)
        x[i] = i;
    int *device_x = device_copy(x, sizeof x), *device_y = device_memory(sizeof y);
    ok(launch_scan(device_y, device_x, 100, NULL));
    fetch(y, device_y, sizeof y);
    for (int i = 0; i < 100; i++) {
        sum = i % 32 ? sum + x[i] : x[i];
        assert_int_equal(y[i], sum);
    }
    ok(cudaFree(device_x));
    ok(cudaFree(device_y));
}

/* As CUDA's guide has it. */
static void lanes_exchange(void) {
    int out[8][32];
    int *device = device_memory(sizeof out);
    ok(launch_exchanges(device, NULL));
    fetch(out, device, sizeof out);
    for (int lane = 0; lane < 32; lane++) {
        assert_int_equal(out[0][lane], lane / 8 * 8 + (lane + 9) % 8);
        assert_int_equal(out[1][lane], lane % 16 < 3 ? lane : lane - 3);
        assert_int_equal(out[2][lane], lane % 16 > 12 ? lane : lane + 3);
        assert_int_equal(out[3][lane], lane / 8 % 2 ? lane ^ 9 : lane);
        assert_int_equal(out[4][lane], 0x49249249);
        assert_int_equal(out[5][lane], 1 + 8);
        assert_int_equal(out[6][lane], 496);
        assert_int_equal(out[7][lane], lane % 2 ? lane ^ 4 : lane ^ 2);
    }
    ok(cudaFree(device));
}

static void places_differ(void) {
    int out[24 * 64];
    int *device = device_memory(sizeof out);
    ok(launch_places(device, NULL));
    fetch(out, device, sizeof out);
    for (int i = 0; i < 24 * 64; i++)
        assert_int_equal(out[i], i);
    ok(cudaFree(device));
}

static void dynamic_shared_memory(void) {
    enum { THREADS = 96, BLOCKS = 5 };
    float x[BLOCKS][THREADS], y[BLOCKS][THREADS];
    for (int i = 0; i < BLOCKS * THREADS; i++)
        x[i / THREADS][i % THREADS] = (float)i;
    float *device_x = device_copy(x, sizeof x), *device_y = device_memory(sizeof y);
    ok(launch_reverse(device_y, device_x, THREADS, BLOCKS, sizeof x[0], NULL));
    fetch(y, device_y, sizeof y);
    for (int i = 0; i < BLOCKS; i++)
        for (int j = 0; j < THREADS; j++)
            assert_true(y[i][j] == x[i][THREADS - 1 - j]);
    ok(cudaFree(device_x));
    ok(cudaFree(device_y));
}

static void barriers_hold(void) {
    enum { THREADS = 200, BLOCKS = 3, COUNT = 7 };
    int out[BLOCKS * THREADS];
    int *device = device_memory(sizeof out);
    ok(launch_barriers(device, COUNT, BLOCKS, THREADS, NULL));
    fetch(out, device, sizeof out);
    for (int i = 0; i < BLOCKS * THREADS; i++)
        assert_int_equal(out[i], (i % THREADS + COUNT) % THREADS);
    ok(cudaFree(device));
}

static void close_to(float y, double exact) {
    if (fabs((double)y - exact) > 1e-6 * fmax(1.0, fabs(exact))) fail_msg("%g, not %g", y, exact);
}

static void functions(void) {
    enum { POINTS = 40 };
    float x[POINTS], y[8][POINTS];
    for (int i = 0; i < POINTS; i++)
        x[i] = 0.1f * (float)(i + 1);
    float *device_x = device_copy(x, sizeof x), *device_y = device_memory(sizeof y);
    ok(launch_functions(device_y, device_x, POINTS, NULL));
    fetch(y, device_y, sizeof y);
    for (int i = 0; i < POINTS; i++) {
        double v = x[i];
        close_to(y[0][i], v * v + 1.0);
        close_to(y[1][i], 1.0 / sqrt(v) + sqrt(v));
        close_to(y[2][i], erf(v) + tanh(v));
        close_to(y[3][i], exp(-v) + exp(v) + log(v));
        assert_true(y[4][i] == -x[i]);
        close_to(y[5][i], (double)((0xD2511F53u * ((uint64_t)i << 20)) >> 32));
        close_to(y[6][i], v + 2.0 + i + 2);
        int first = __builtin_ffs(i), zeros = i ? __builtin_clz((unsigned)i) : 32;
        close_to(y[7][i], __builtin_popcount((unsigned)i) + zeros + first);
    }
    ok(cudaFree(device_x));
    ok(cudaFree(device_y));
}

static void right_in_any_order(void **state) {
    (void)state;
    each_seed(sums);
    each_seed(transposes);
    each_seed(histograms);
    each_seed(scans);
    each_seed(lanes_exchange);
    each_seed(places_differ);
    each_seed(dynamic_shared_memory);
    each_seed(barriers_hold);
}

static void arithmetic(void **state) {
    (void)state;
    each_seed(bf16_rounds_to_even);
    each_seed(arguments_are_converted);
    each_seed(functions);
}

static void launches_that_a_device_refuses(void **state) {
    (void)state;
    start(1);
    int *out = device_memory(sizeof *out);
    refused(launch_any_block(out, (dim3){1, 1, 1}, (dim3){1025, 1, 1}, NULL),
            cudaErrorInvalidConfiguration);
    refused(launch_any_block(out, (dim3){1, 1, 1}, (dim3){32, 33, 1}, NULL),
            cudaErrorInvalidConfiguration);
    refused(launch_any_block(out, (dim3){1, 1, 1}, (dim3){1, 1, 65}, NULL),
            cudaErrorInvalidConfiguration);
    refused(launch_any_block(out, (dim3){1, 1, 1}, (dim3){0, 1, 1}, NULL),
            cudaErrorInvalidConfiguration);
    refused(launch_any_block(out, (dim3){0, 1, 1}, (dim3){1, 1, 1}, NULL),
            cudaErrorInvalidConfiguration);
    refused(launch_any_block(out, (dim3){1, 65536, 1}, (dim3){1, 1, 1}, NULL),
            cudaErrorInvalidConfiguration);
    says(emulation_message(), "any_block: a grid of 1 x 65536 x 1");
    refused(launch_any_block(out, (dim3){1, 1, 1}, (dim3){1, 1, 1}, (cudaStream_t)out),
            cudaErrorInvalidResourceHandle);
    ok(launch_any_block(out, (dim3){1, 1, 1}, (dim3){1024, 1, 1}, NULL));
    assert_int_equal(emulation_counted().launches, 1);
    ok(cudaFree(out));
}

static void much_shared_memory_is_asked_for(void **state) {
    (void)state;
    start(1);
    enum { MUCH = 100 << 10, TOO_MUCH = 164 << 10 };
    float x[32] = {0};
    float *device_x = device_copy(x, sizeof x), *y = device_memory(sizeof x);
    refused(launch_reverse(y, device_x, 32, 1, MUCH, NULL), cudaErrorInvalidValue);
    refused(allow_reverse(TOO_MUCH), cudaErrorInvalidValue);
    ok(allow_reverse(MUCH));
    ok(launch_reverse(y, device_x, 32, 1, MUCH, NULL));
    ok(cudaDeviceSynchronize());
    ok(cudaFree(device_x));
    ok(cudaFree(y));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_in_any_order),
        cmocka_unit_test(arithmetic),
        cmocka_unit_test(launches_that_a_device_refuses),
        cmocka_unit_test(much_shared_memory_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
