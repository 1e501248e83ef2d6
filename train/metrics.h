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
    PR_SPEARMAN,            /* ties share their mean rank */
    PR_ACCURACY_MISMATCHED, /* of a data set's second part: MNLI's mismatched dev set */
    PR_METRICS
} pr_metric;

/* "matthews", "accuracy", "f1", "pearson", "spearman", "mismatched accuracy". */
const char *pr_metric_name(pr_metric metric);

/* The metrics of one evaluation, in the task's order; the first is the one people quote. */
typedef struct pr_scores {
    int n;
    pr_metric metric[PR_METRICS];
    double value[PR_METRICS];
} pr_scores;

/* Of n answers, classes 0 .. n_classes - 1. Matthews is 0 where all answers or all truths are of
 * one class, and F1 where neither has a class 1, both as scikit-learn has it; all are 0 of no row.
 */
double pr_matthews(const int32_t *answer, const int32_t *truth, size_t n, int32_t n_classes);
double pr_accuracy(const int32_t *answer, const int32_t *truth, size_t n);
double pr_f1(const int32_t *answer, const int32_t *truth, size_t n);
/* NaN where one side is constant, as SciPy has it: a correlation with what never varies is not
 * defined, and 0 would say that there is none. NaN too for fewer than two rows, and for NaN and
 * infinity (Spearman: NaN) among the values. */
double pr_pearson(const float *answer, const float *truth, size_t n);
/* NaN also when memory for the ranks is not to be had. */
double pr_spearman(const float *answer, const float *truth, size_t n);

#ifdef __cplusplus
}
#endif
#endif
