/* The tasks of GLUE, a row each: which files, which columns, which labels, which metrics.
 * Wang et al. 2019; the names and order of labels are those of Hugging Face's `glue`. */
#ifndef PR_TASK_H
#define PR_TASK_H

#include "train/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PR_TASK_LABELS = 3, PR_TASK_METRICS = 2 };

typedef struct pr_task {
    const char *name;
    const char *folder; /* of its files, in GLUE's own folder */
    const char *train, *dev;
    const char *column[PR_COLUMNS];         /* as pr_table_options has them */
    int32_t n_labels;                       /* 1 for regression */
    const char *label_name[PR_TASK_LABELS]; /* unused for regression */
    const char *label_value[PR_TASK_LABELS];
    bool regression;
    bool skip_malformed; /* its files are known to have broken rows; what is done in the field */
    int n_metrics;
    pr_metric metric[PR_TASK_METRICS];
} pr_task;

/* The task of a name, in any case and with or without its hyphens: "cola", "SST-2", "sst2".
 * PR_BAD_ARGUMENT, naming those there are, when there is none; NULL then. */
const pr_task *pr_task_find(const char *name, pr_error *err);

/* Task i, from 0 on; NULL after the last. */
const pr_task *pr_task_at(int i);

typedef enum pr_split { PR_TRAIN, PR_DEV } pr_split;

/* The path of a split's file in `directory`, which is the task's own folder or the one that has it;
 * to be freed with pr_free. NULL, with both places named, when neither has the file. */
char *pr_task_path(const pr_task *task, const char *directory, pr_split split, pr_error *err);

/* Reads the split's data set from there; *skipped, when not NULL, is the number of rows left out.
 */
pr_dataset *pr_task_read(const pr_task *task, const char *directory, pr_split split,
                         pr_wordpiece *wordpiece, size_t max_length, size_t *skipped,
                         pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
