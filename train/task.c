#include "train/task.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "graph/memory.h"

static const pr_task tasks[] = {
    {.name = "CoLA",
     .folder = "CoLA",
     .train = "train.tsv",
     .dev = "dev.tsv",
     .column = {"4", NULL, "2"},
     .n_labels = 2,
     .label_name = {"unacceptable", "acceptable"},
     .label_value = {"0", "1"},
     .n_metrics = 2,
     .metric = {PR_MATTHEWS, PR_ACCURACY}},
    {.name = "MNLI",
     .folder = "MNLI",
     .train = "train.tsv",
     .dev = "dev_matched.tsv",
     .column = {"sentence1", "sentence2", "gold_label"},
     .n_labels = 3,
     .label_name = {"entailment", "neutral", "contradiction"},
     .label_value = {"entailment", "neutral", "contradiction"},
     .n_metrics = 1,
     .metric = {PR_ACCURACY}},
    {.name = "MNLI-mm",
     .folder = "MNLI",
     .train = "train.tsv",
     .dev = "dev_mismatched.tsv",
     .column = {"sentence1", "sentence2", "gold_label"},
     .n_labels = 3,
     .label_name = {"entailment", "neutral", "contradiction"},
     .label_value = {"entailment", "neutral", "contradiction"},
     .n_metrics = 1,
     .metric = {PR_ACCURACY}},
    {.name = "MRPC",
     .folder = "MRPC",
     .train = "train.tsv",
     .dev = "dev.tsv",
     .column = {"#1 String", "#2 String", "Quality"},
     .n_labels = 2,
     .label_name = {"not_equivalent", "equivalent"},
     .label_value = {"0", "1"},
     .n_metrics = 2,
     .metric = {PR_ACCURACY, PR_F1}},
    {.name = "QNLI",
     .folder = "QNLI",
     .train = "train.tsv",
     .dev = "dev.tsv",
     .column = {"question", "sentence", "label"},
     .n_labels = 2,
     .label_name = {"entailment", "not_entailment"},
     .label_value = {"entailment", "not_entailment"},
     .n_metrics = 1,
     .metric = {PR_ACCURACY}},
    {.name = "QQP",
     .folder = "QQP",
     .train = "train.tsv",
     .dev = "dev.tsv",
     .column = {"question1", "question2", "is_duplicate"},
     .n_labels = 2,
     .label_name = {"not_duplicate", "duplicate"},
     .label_value = {"0", "1"},
     .skip_malformed = true,
     .n_metrics = 2,
     .metric = {PR_ACCURACY, PR_F1}},
    {.name = "RTE",
     .folder = "RTE",
     .train = "train.tsv",
     .dev = "dev.tsv",
     .column = {"sentence1", "sentence2", "label"},
     .n_labels = 2,
     .label_name = {"entailment", "not_entailment"},
     .label_value = {"entailment", "not_entailment"},
     .n_metrics = 1,
     .metric = {PR_ACCURACY}},
    {.name = "SST-2",
     .folder = "SST-2",
     .train = "train.tsv",
     .dev = "dev.tsv",
     .column = {"sentence", NULL, "label"},
     .n_labels = 2,
     .label_name = {"negative", "positive"},
     .label_value = {"0", "1"},
     .n_metrics = 1,
     .metric = {PR_ACCURACY}},
    {.name = "STS-B",
     .folder = "STS-B",
     .train = "train.tsv",
     .dev = "dev.tsv",
     .column = {"sentence1", "sentence2", "score"},
     .n_labels = 1,
     .regression = true,
     .n_metrics = 2,
     .metric = {PR_PEARSON, PR_SPEARMAN}},
    {.name = "WNLI",
     .folder = "WNLI",
     .train = "train.tsv",
     .dev = "dev.tsv",
     .column = {"sentence1", "sentence2", "label"},
     .n_labels = 2,
     .label_name = {"not_entailment", "entailment"},
     .label_value = {"0", "1"},
     .n_metrics = 1,
     .metric = {PR_ACCURACY}},
};
enum { TASKS = sizeof tasks / sizeof *tasks };

const pr_task *pr_task_at(int i) {
    return i >= 0 && i < TASKS ? &tasks[i] : NULL;
}

/* Equal but for case and hyphens. */
static bool is_called(const char *task, const char *name) {
    for (;;) {
        while (*task == '-')
            task++;
        while (*name == '-')
            name++;
        if (tolower((unsigned char)*task) != tolower((unsigned char)*name)) return false;
        if (!*task) return true;
        task++;
        name++;
    }
}

const pr_task *pr_task_find(const char *name, pr_error *err) {
    char known[160] = "";
    for (size_t i = 0, at = 0; i < TASKS; i++) {
        if (is_called(tasks[i].name, name)) return &tasks[i];
        int written = snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "", tasks[i].name);
        at += written > 0 ? (size_t)written : 0;
        if (at >= sizeof known) at = sizeof known - 1;
    }
    pr_fail(err, PR_BAD_ARGUMENT, "no task is called '%s'; expected one of %s", name, known);
    return NULL;
}

/* directory/folder/file, or directory/file when folder is NULL. */
static char *join(const char *directory, const char *folder, const char *file) {
    size_t bytes = strlen(directory) + strlen(file) + 3 + (folder ? strlen(folder) : 0);
    char *path = pr_alloc(bytes, 1);
    if (path) {
        snprintf(path, bytes, "%s/%s%s%s", directory, folder ? folder : "", folder ? "/" : "",
                 file);
    }
    return path;
}

char *pr_task_path(const pr_task *task, const char *directory, pr_split split, pr_error *err) {
    const char *file = split == PR_TRAIN ? task->train : task->dev;
    const char *folders[] = {NULL, task->folder};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char *path = join(directory, folders[i], file);
        if (!path) {
            pr_fail_memory(err, directory, strlen(directory));
            return NULL;
        }
        if (!access(path, F_OK)) return path;
        pr_free(path);
    }
    pr_fail(err, PR_IO, "%s: neither %s nor %s/%s is there, which %s wants", directory, file,
            task->folder, file, task->name);
    return NULL;
}

pr_dataset *pr_task_read(const pr_task *task, const char *directory, pr_split split,
                         pr_wordpiece *wordpiece, size_t max_length, size_t *skipped,
                         pr_error *err) {
    pr_table_options options = {.format = PR_TSV, .skip_malformed = task->skip_malformed};
    memcpy(options.column, task->column, sizeof options.column);
    char *path = pr_task_path(task, directory, split, err);
    pr_table *table = path ? pr_table_read(path, &options, err) : NULL;
    pr_free(path);
    if (!table) return NULL;
    pr_label_set labels = {.name = task->label_name,
                           .value = task->label_value,
                           .n = task->n_labels,
                           .regression = task->regression};
    pr_dataset *data = pr_dataset_new(table, wordpiece, max_length, &labels, err);
    if (skipped) *skipped = table->skipped;
    if (data) {
        data->n_metrics = task->n_metrics;
        memcpy(data->metric, task->metric, sizeof task->metric);
    }
    pr_table_free(table);
    return data;
}
