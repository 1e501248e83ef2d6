/* The label column of a table, as classes or numbers: a part of making a data set. */
#ifndef PR_LABELS_H
#define PR_LABELS_H

#include "train/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fills what a data set says of its labels: labelled, regression, label or target, label_name,
 * n_labels and metric. A table without labels leaves all of it zero. Faults as pr_dataset_new's;
 * what was filled is freed with the data set. */
pr_status pr_labels_read(pr_dataset *data, const pr_table *table, const pr_label_set *labels,
                         pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
