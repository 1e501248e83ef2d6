/* The tasks of GLUE, a row each: which files, which columns, which labels, which metrics.
 * Wang et al. 2019; the names and order of labels are those of Hugging Face's `glue`. */
#ifndef PR_TASK_H
#define PR_TASK_H

#include "train/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pr_split { PR_TRAIN, PR_DEV, PR_TEST, PR_SPLITS } pr_split;

enum { PR_TASK_PARTS = 2, PR_TASK_LABELS = 3, PR_TASK_METRICS = 2 };

typedef struct pr_task {
    const char *name; /* and that of its folder in GLUE's own */
    /* What it is read from: one file, or two where there is a second part (MNLI's mismatched). */
    const char *file[PR_SPLITS][PR_TASK_PARTS];
    const char *columns[PR_SPLITS];            /* all that GLUE's files have: "index, sentence" */
    const char *column[PR_SPLITS][PR_COLUMNS]; /* those that are read, as in pr_table_options */
    const char *submission[PR_TASK_PARTS];     /* what GLUE's server wants the answers in */
    const char *label_name[PR_TASK_LABELS];    /* unused for regression */
    const char *label_value[PR_TASK_LABELS];   /* as GLUE's files spell them */
    int32_t n_labels;                          /* 1 for regression */
    int n_metrics;
    pr_metric metric[PR_TASK_METRICS];
    float least, most; /* of regression's labels */
    bool regression;
    bool skip_malformed; /* train and dev files are known to have broken rows, which the field
                            leaves out */
} pr_task;

/* The task of a name, in any case and with or without its hyphens: "cola", "SST-2", "sst2".
 * PR_BAD_ARGUMENT, naming those there are, when there is none; NULL then. */
const pr_task *pr_task_find(const char *name, pr_error *err);

/* Task i, from 0 on; NULL after the last. */
const pr_task *pr_task_at(int i);

/* The path of a file of the split, part 0 or 1, in `directory`, which is the task's own folder or
 * the one that has it; to be freed with pr_free. NULL, with both places named, when neither has the
 * file; NULL without a fault where the split has no such part. */
char *pr_task_path(const pr_task *task, const char *directory, pr_split split, int part,
                   pr_error *err);

/* Reads the split's data set from there; *skipped, when not NULL, is the number of rows left out.
 * A test set has no labels, and all of its rows in the order of their index, which is counted in
 * each part from the first one. NULL on failure: PR_IO for a file that is missing, PR_BAD_FILE for
 * one that has not the task's columns or labels, PR_NO_MEMORY. */
pr_dataset *pr_task_read(const pr_task *task, const char *directory, pr_split split,
                         pr_wordpiece *wordpiece, size_t max_length, size_t *skipped,
                         pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
