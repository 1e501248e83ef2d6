/* What a model's answers are worth. Each is held to scikit-learn's or SciPy's value in a test. */
#ifndef PR_METRICS_H
#define PR_METRICS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pr_metric {
    PR_MATTHEWS, /* Matthews 1975; of any number of classes, Gorodkin 2004, eq. 8 */
    PR_ACCURACY,
    PR_F1, /* of class 1, in two classes */
    PR_PEARSON,
    PR_SPEARMAN, /* ties share their mean rank */
    PR_METRICS
} pr_metric;

/* "matthews", "accuracy", "f1", "pearson", "spearman". */
const char *pr_metric_name(pr_metric metric);

/* The metrics of one evaluation, in the task's order; the first is the one people quote. */
typedef struct pr_scores {
    int n;
    pr_metric metric[PR_METRICS];
    double value[PR_METRICS];
} pr_scores;

/* Of n answers, classes 0 .. n_classes - 1. Matthews is 0 where a class is never given or never
 * right to give, as scikit-learn has it. */
double pr_matthews(const int32_t *answer, const int32_t *truth, size_t n, int32_t n_classes);
double pr_accuracy(const int32_t *answer, const int32_t *truth, size_t n);
double pr_f1(const int32_t *answer, const int32_t *truth, size_t n);
/* NaN where one side is constant. */
double pr_pearson(const float *answer, const float *truth, size_t n);
/* NaN also when memory for the ranks is not to be had. */
double pr_spearman(const float *answer, const float *truth, size_t n);

#ifdef __cplusplus
}
#endif
#endif
