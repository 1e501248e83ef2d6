/* The vector loops' exponential and error function, over the floats, as exact as simd.h says. */
#include "tests/test.h"

#include <math.h>

#include "backends/simd.h"

enum { STRIDE = 4999, BLOCK = 512 };

/* The distance between floats at |x|. */
static double last_place(double x) {
    int exponent;
    frexp(x, &exponent);
    return ldexp(1.0, exponent < -125 ? -149 : exponent - 24);
}

/* In vectors, as the kernels have them: there products and sums may be fused. */
PR_VECTOR static void exponentials(const float *x, float *y) {
    for (int i = 0; i < BLOCK; i++)
        y[i] = pr_expf(x[i]);
}

PR_VECTOR static void error_functions(const float *x, float *y) {
    for (int i = 0; i < BLOCK; i++)
        y[i] = pr_erff(x[i]);
}

static void check_exponential(float x, float y) {
    double exact = exp((double)x), error = fabs((double)y - exact);
    if (error > 2.0 * last_place(exact)) fail_msg("e^%.9g is off by %.3g", (double)x, error);
}

static void check_error_function(float x, float y) {
    double exact = erf((double)x), error = fabs((double)y - exact);
    if (error > 7e-8 || error > 1.2 * last_place(exact)) {
        fail_msg("erf %.9g is off by %.3g", (double)x, error);
    }
}

/* Every STRIDE-th float of either sign from 0 to `most`. */
static void each_float(float most, void (*compute)(const float *, float *),
                       void (*check)(float, float)) {
    uint32_t bits = 0;
    while (pr_bits_float(bits) <= most) {
        float x[BLOCK] = {0}, y[BLOCK];
        for (int i = 0; i + 1 < BLOCK && pr_bits_float(bits) <= most; i += 2, bits += STRIDE) {
            x[i] = pr_bits_float(bits);
            x[i + 1] = -x[i];
        }
        compute(x, y);
        for (int i = 0; i < BLOCK; i++)
            check(x[i], y[i]);
    }
}

static void exponentials_are_close(void **state) {
    (void)state;
    each_float(87.3f, exponentials, check_exponential);
    assert_true(pr_expf(0.0f) == 1.0f);
}

static void exponentials_stay_normal(void **state) {
    (void)state;
    assert_true(pr_expf(-88.0f) == pr_expf(-INFINITY) && pr_expf(-INFINITY) >= 0x1p-126f);
    assert_true(pr_expf(89.0f) == pr_expf(INFINITY) && pr_expf(INFINITY) < INFINITY);
    assert_true(isnan(pr_expf(NAN)));
}

static void error_functions_are_close(void **state) {
    (void)state;
    each_float(20.0f, error_functions, check_error_function);
    assert_true(pr_erff(INFINITY) == 1.0f && pr_erff(-INFINITY) == -1.0f);
    assert_true(isnan(pr_erff(NAN)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exponentials_are_close),
        cmocka_unit_test(exponentials_stay_normal),
        cmocka_unit_test(error_functions_are_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
