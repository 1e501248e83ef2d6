/* Metrics held to scikit-learn's and SciPy's values (golden/make_metrics.py prints the literals).
 */
#include "tests/test.h"

#include <math.h>

#include "train/metrics.h"

static const int32_t two_answer[] = {1, 1, 0, 1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0,
                                     1, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 0, 1, 0, 0, 0};
static const int32_t two_truth[] = {1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0,
                                    1, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 1, 1, 1, 1};
static const int32_t three_answer[] = {0, 1, 2, 0, 1, 0, 2, 1, 0, 2, 0, 0, 1, 2, 0, 0, 1, 2, 0, 2,
                                       0, 2, 1, 1, 2, 1, 0, 2, 1, 2, 1, 2, 0, 1, 0, 2, 1, 1, 2, 1};
static const int32_t three_truth[] = {0, 1, 2, 0, 1, 2, 2, 0, 0, 2, 0, 0, 1, 2, 0, 1, 1, 0, 2, 2,
                                      1, 2, 1, 2, 2, 1, 0, 0, 1, 0, 2, 2, 0, 1, 0, 0, 1, 2, 2, 1};
static const int32_t seven_answer[] = {0, 0, 1, 6, 1, 3, 3, 6, 5, 1, 5, 2, 1, 4, 2, 4, 0, 4, 2, 6,
                                       2, 2, 4, 2, 5, 1, 1, 0, 3, 1, 2, 6, 4, 5, 2, 0, 5, 4, 6, 3};
static const int32_t seven_truth[] = {0, 0, 1, 3, 1, 3, 3, 6, 5, 1, 5, 5, 4, 4, 2, 5, 0, 4, 6, 6,
                                      2, 2, 4, 2, 5, 1, 1, 0, 3, 1, 2, 6, 5, 5, 4, 0, 5, 4, 6, 3};
static const float number_answer[] = {2,   1, -0.5, 4.5, 4.5, 4.5, 3,    5.5,  1.5, -2,
                                      -1,  1, -3.5, 3.5, 4.5, 4.5, -1.5, -0.5, 3.5, 0,
                                      2.5, 3, 3.5,  2,   1.5, 3,   1.5,  5.5,  3.5, 3.5};
static const float number_truth[] = {2.25, 3.25, 0.25, 3.25, 4.75, 4.25, 3.5,  4,    1.75, 1.5,
                                     0.25, 3.75, 1.5,  4.5,  2.25, 4.5,  0.5,  0.75, 1.75, 0,
                                     2.5,  3.25, 3.25, 1,    0.75, 2.75, 3.25, 4.75, 4.5,  1.75};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void expect(double got, double want) {
    if (!(fabs(got - want) <= 1e-12)) fail_msg("%.17g, not %.17g", got, want);
}

static void two_classes_agree_with_scikit_learn(void **state) {
    (void)state;
    size_t n = COUNT(two_answer);
    assert_int_equal(n, COUNT(two_truth));
    expect(pr_matthews(two_answer, two_truth, n, 2), 0.4141906381266716);
    expect(pr_accuracy(two_answer, two_truth, n), 0.696969696969697);
    expect(pr_f1(two_answer, two_truth, n), 0.6875);
}

static void many_classes_agree_with_scikit_learn(void **state) {
    (void)state;
    size_t n = COUNT(three_answer);
    expect(pr_matthews(three_answer, three_truth, n, 3), 0.552112919444132);
    expect(pr_accuracy(three_answer, three_truth, n), 0.7);
    n = COUNT(seven_answer);
    expect(pr_matthews(seven_answer, seven_truth, n, 7), 0.8017629789518859);
    expect(pr_accuracy(seven_answer, seven_truth, n), 0.825);
}

static void numbers_with_ties_agree_with_scipy(void **state) {
    (void)state;
    size_t n = COUNT(number_answer);
    expect(pr_pearson(number_answer, number_truth, n), 0.7237842972514505);
    expect(pr_spearman(number_answer, number_truth, n), 0.7395861865320362);
}

static void what_is_undefined_is_zero_or_nan(void **state) {
    (void)state;
    const int32_t ones[] = {1, 1, 1};
    const int32_t mixed[] = {0, 1, 1};
    const int32_t zeros[] = {0, 0, 0};
    const float flat[] = {2, 2, 2};
    const float slope[] = {1, 2, 4};
    const float broken[] = {NAN, 1, NAN};
    expect(pr_matthews(ones, mixed, 3, 2), 0);
    expect(pr_matthews(mixed, ones, 3, 2), 0);
    expect(pr_matthews(mixed, mixed, 3, 2), 1);
    expect(pr_f1(zeros, zeros, 3), 0);
    expect(pr_accuracy(zeros, zeros, 0), 0);
    assert_true(isnan(pr_pearson(flat, slope, 3)));
    assert_true(isnan(pr_spearman(slope, flat, 3)));
    assert_true(isnan(pr_pearson(broken, slope, 3)));
    (void)pr_spearman(broken, slope, 3); /* whatever it is, it ends */
    expect(pr_spearman(slope, (const float[]){10, 20, 21}, 3), 1);
    expect(pr_pearson(slope, slope, 3), 1);
}

static void names_are_the_fields(void **state) {
    (void)state;
    const char *const names[] = {"matthews", "accuracy", "f1", "pearson", "spearman"};
    for (int m = 0; m < PR_METRICS; m++) {
        assert_string_equal(pr_metric_name((pr_metric)m), names[m]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_classes_agree_with_scikit_learn),
        cmocka_unit_test(many_classes_agree_with_scikit_learn),
        cmocka_unit_test(numbers_with_ties_agree_with_scipy),
        cmocka_unit_test(what_is_undefined_is_zero_or_nan),
        cmocka_unit_test(names_are_the_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
