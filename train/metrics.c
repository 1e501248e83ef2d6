#include "train/metrics.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "graph/memory.h"

const char *pr_metric_name(pr_metric metric) {
    static const char *const names[PR_METRICS] = {
        [PR_MATTHEWS] = "matthews",
        [PR_ACCURACY] = "accuracy",
        [PR_F1] = "f1",
        [PR_PEARSON] = "pearson",
        [PR_SPEARMAN] = "spearman",
        [PR_ACCURACY_MISMATCHED] = "mismatched accuracy",
    };
    return names[metric];
}

static size_t count(const int32_t *of, size_t n, int32_t class) {
    size_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += of[i] == class;
    return sum;
}

static size_t count_right(const int32_t *answer, const int32_t *truth, size_t n) {
    size_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += answer[i] == truth[i];
    return sum;
}

double pr_matthews(const int32_t *answer, const int32_t *truth, size_t n, int32_t n_classes) {
    double all = (double)n;
    double covariance = (double)count_right(answer, truth, n) * all;
    double answers = all * all;
    double truths = all * all;
    for (int32_t c = 0; c < n_classes; c++) {
        double given = (double)count(answer, n, c);
        double right = (double)count(truth, n, c);
        covariance -= given * right;
        answers -= given * given;
        truths -= right * right;
    }
    return answers * truths == 0 ? 0 : covariance / sqrt(answers * truths);
}

double pr_accuracy(const int32_t *answer, const int32_t *truth, size_t n) {
    return n ? (double)count_right(answer, truth, n) / (double)n : 0;
}

double pr_f1(const int32_t *answer, const int32_t *truth, size_t n) {
    size_t both = 0;
    for (size_t i = 0; i < n; i++)
        both += answer[i] == 1 && truth[i] == 1;
    size_t either = count(answer, n, 1) + count(truth, n, 1);
    return either ? 2 * (double)both / (double)either : 0;
}

static double mean(const float *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum / (double)n;
}

double pr_pearson(const float *answer, const float *truth, size_t n) {
    double middle_x = mean(answer, n);
    double middle_y = mean(truth, n);
    double xx = 0;
    double yy = 0;
    double xy = 0;
    for (size_t i = 0; i < n; i++) {
        double x = answer[i] - middle_x;
        double y = truth[i] - middle_y;
        xx += x * x;
        yy += y * y;
        xy += x * y;
    }
    return xx * yy > 0 ? xy / (sqrt(xx) * sqrt(yy)) : NAN;
}

typedef struct ranked {
    float value;
    size_t index;
} ranked;

static int by_value(const void *a, const void *b) {
    float x = ((const ranked *)a)->value;
    float y = ((const ranked *)b)->value;
    return (x > y) - (x < y);
}

/* Ranks from 1, equal values having the mean of theirs. A half rank is exact in f32 up to 2^23
 * values, far above the size of any dev set. */
static void rank(const float *x, size_t n, ranked *order, float *ranks) {
    for (size_t i = 0; i < n; i++)
        order[i] = (ranked){x[i], i};
    qsort(order, n, sizeof *order, by_value);
    for (size_t first = 0, end = 0; first < n; first = end) {
        end = first + 1;
        while (end < n && order[end].value == order[first].value)
            end++;
        for (size_t i = first; i < end; i++) {
            ranks[order[i].index] = (float)(first + 1 + end) / 2;
        }
    }
}

/* NaN has no rank. */
static bool has_nan(const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (isnan(x[i])) return true;
    }
    return false;
}

double pr_spearman(const float *answer, const float *truth, size_t n) {
    ranked *order = pr_alloc(n, sizeof *order);
    float *x = pr_alloc(n, sizeof *x);
    float *y = pr_alloc(n, sizeof *y);
    double correlation = NAN;
    if (order && x && y && !has_nan(answer, n) && !has_nan(truth, n)) {
        rank(answer, n, order, x);
        rank(truth, n, order, y);
        correlation = pr_pearson(x, y, n);
    }
    pr_free(order);
    pr_free(x);
    pr_free(y);
    return correlation;
}
