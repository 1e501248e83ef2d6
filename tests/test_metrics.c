/* Metrics held to scikit-learn's and SciPy's values, which golden/make_metrics.py wrote down. */
#include "tests/test.h"

#include <math.h>

#include "tests/alloc_fault.h"
#include "train/metrics.h"

typedef struct golden_classes {
    const char *name;
    int32_t n_classes;
    size_t n;
    const int32_t *answer, *truth;
    double matthews, accuracy, f1; /* f1: NaN for more than two classes, of which it is not asked */
} golden_classes;

typedef struct golden_numbers {
    const char *name;
    size_t n;
    const float *answer, *truth;
    double pearson, spearman;
} golden_numbers;

/* Of GOLDEN_ROWS rows of golden_draw's. */
typedef struct golden_drawn {
    double base, pearson, spearman;
} golden_drawn;

#include "tests/golden/metrics.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void expect(const char *name, double got, double want) {
    bool same = isnan(want) ? isnan(got) : fabs(got - want) <= 1e-12;
    if (!same) fail_msg("%s: %.17g, not %.17g", name, got, want);
}

static void classes_agree_with_scikit_learn(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(golden_class_cases); i++) {
        const golden_classes *g = &golden_class_cases[i];
        expect(g->name, pr_matthews(g->answer, g->truth, g->n, g->n_classes), g->matthews);
        expect(g->name, pr_accuracy(g->answer, g->truth, g->n), g->accuracy);
        if (g->n_classes == 2) expect(g->name, pr_f1(g->answer, g->truth, g->n), g->f1);
    }
}

/* Constant sides and NaN among the values are cases of these. */
static void numbers_agree_with_scipy(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(golden_number_cases); i++) {
        const golden_numbers *g = &golden_number_cases[i];
        expect(g->name, pr_pearson(g->answer, g->truth, g->n), g->pearson);
        expect(g->name, pr_spearman(g->answer, g->truth, g->n), g->spearman);
    }
}

/* The next 11 bits of a series that make_metrics.py draws too. */
static uint32_t golden_draw(uint32_t *series) {
    *series = *series * 1664525 + 1013904223;
    return *series >> 21;
}

/* Thousands of rows, many of them tied, and far from zero, where a difference of two large sums
 * would have no digit right. */
static void many_numbers_agree_with_scipy(void **state) {
    (void)state;
    static float answer[GOLDEN_ROWS], truth[GOLDEN_ROWS];
    for (size_t i = 0; i < COUNT(golden_drawn_cases); i++) {
        const golden_drawn *g = &golden_drawn_cases[i];
        uint32_t draws = 12345;
        for (size_t row = 0; row < GOLDEN_ROWS; row++) {
            uint32_t bits = golden_draw(&draws);
            answer[row] = (float)(g->base + bits / 2048.0);
            truth[row] = (float)(g->base + ((bits + golden_draw(&draws)) >> 1) / 2048.0);
        }
        expect("drawn", pr_pearson(answer, truth, GOLDEN_ROWS), g->pearson);
        expect("drawn", pr_spearman(answer, truth, GOLDEN_ROWS), g->spearman);
    }
}

/* Where scikit-learn and SciPy refuse to answer. */
static void too_few_rows_have_no_correlation(void **state) {
    (void)state;
    const int32_t none[] = {0};
    const float one[] = {3};
    expect("no row", pr_accuracy(none, none, 0), 0);
    expect("no row", pr_matthews(none, none, 0, 2), 0);
    expect("no row", pr_f1(none, none, 0), 0);
    expect("no row", pr_pearson(one, one, 0), NAN);
    expect("one row", pr_pearson(one, one, 1), NAN);
    expect("one row", pr_spearman(one, one, 1), NAN);
}

static bool correlate(void *context) {
    const golden_numbers *g = context;
    double value = pr_spearman(g->answer, g->truth, g->n);
    if (!isnan(value)) expect(g->name, value, g->spearman);
    return !isnan(value);
}

static void failing_allocations_are_nan(void **state) {
    (void)state;
    alloc_fault_every(correlate, (void *)&golden_number_cases[0]);
}

static void names_are_the_fields(void **state) {
    (void)state;
    const char *const names[PR_METRICS] = {"matthews", "accuracy", "f1",
                                           "pearson",  "spearman", "mismatched accuracy"};
    for (int m = 0; m < PR_METRICS; m++) {
        assert_string_equal(pr_metric_name((pr_metric)m), names[m]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_agree_with_scikit_learn),
        cmocka_unit_test(numbers_agree_with_scipy),
        cmocka_unit_test(many_numbers_agree_with_scipy),
        cmocka_unit_test(too_few_rows_have_no_correlation),
        cmocka_unit_test(failing_allocations_are_nan),
        cmocka_unit_test(names_are_the_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
