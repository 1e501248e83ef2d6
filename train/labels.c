#include "train/labels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/memory.h"
#include "graph/names.h"

static pr_status bad_label(const pr_table *table, size_t row, const char *expected, pr_error *err) {
    return pr_fail(err, PR_BAD_FILE, "%s:%zu: label '%.40s'; expected %s", table->path,
                   table->line[row], pr_table_cell(table, row, PR_LABEL), expected);
}

/* ---- regression ---- */

static pr_status read_targets(pr_dataset *data, const pr_table *table, pr_error *err) {
    data->n_labels = 1;
    data->target = pr_alloc(table->n, sizeof *data->target);
    if (!data->target) return pr_fail_memory(err, "labels", table->n * sizeof *data->target);
    for (size_t i = 0; i < table->n; i++) {
        const char *text = pr_table_cell(table, i, PR_LABEL);
        char *end;
        float number = strtof(text, &end);
        if (end == text || *end || !isfinite(number)) {
            return bad_label(table, i, "a finite number", err);
        }
        data->target[i] = number;
    }
    return PR_OK;
}

/* ---- classes ---- */

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static pr_status add_name(pr_dataset *data, size_t *capacity, const char *name, pr_error *err) {
    size_t n = (size_t)data->n_labels;
    char *copy = pr_copy_text(name);
    if (!copy || !pr_grow((void **)&data->label_name, capacity, n + 1, sizeof *data->label_name)) {
        pr_free(copy);
        return pr_fail_memory(err, "label names", (n + 1) * sizeof *data->label_name);
    }
    data->label_name[data->n_labels++] = copy;
    return PR_OK;
}

/* The labels that the file has, each once, sorted. */
static pr_status find_names(pr_dataset *data, const pr_table *table, pr_names *seen,
                            pr_error *err) {
    size_t capacity = 0;
    for (size_t i = 0; i < table->n; i++) {
        const char *label = pr_table_cell(table, i, PR_LABEL);
        if (!*label) return bad_label(table, i, "a name", err);
        if (pr_names_get(seen, label) >= 0) continue;
        if (data->n_labels == INT32_MAX || pr_names_put(seen, label, data->n_labels)) {
            return pr_fail_memory(err, "label names", strlen(label));
        }
        pr_status status = add_name(data, &capacity, label, err);
        if (status) return status;
    }
    if (data->n_labels < 2) {
        return pr_fail(err, PR_BAD_FILE,
                       "%s: all rows have the label '%.40s'; expected two "
                       "labels or more",
                       table->path, data->label_name[0]);
    }
    qsort((void *)data->label_name, (size_t)data->n_labels, sizeof *data->label_name, by_bytes);
    return PR_OK;
}

static pr_status copy_names(pr_dataset *data, const pr_label_set *labels, pr_error *err) {
    size_t capacity = 0;
    pr_status status = PR_OK;
    for (int32_t i = 0; i < labels->n && !status; i++) {
        status = add_name(data, &capacity, labels->name[i], err);
    }
    return status;
}

/* "'a', 'b', 'c' ..." as far as it fits. */
static void list_names(const char *const *names, int32_t n, char *out, size_t room) {
    size_t at = 0;
    for (int32_t i = 0; i < n; i++) {
        int written = snprintf(out + at, room - at, "%s'%.40s'", i ? ", " : "one of ", names[i]);
        if (written < 0 || at + (size_t)written + sizeof " ..." > room) {
            snprintf(out + at, room - at, " ...");
            return;
        }
        at += (size_t)written;
    }
}

static pr_status read_classes(pr_dataset *data, const pr_table *table, const char *const *values,
                              pr_names *classes, pr_error *err) {
    data->label = pr_alloc(table->n, sizeof *data->label);
    if (!data->label) return pr_fail_memory(err, "labels", table->n * sizeof *data->label);
    for (int32_t c = 0; c < data->n_labels; c++) {
        if (pr_names_put(classes, values[c], c)) return pr_fail_memory(err, "label names", 0);
    }
    for (size_t i = 0; i < table->n; i++) {
        data->label[i] = pr_names_get(classes, pr_table_cell(table, i, PR_LABEL));
        if (data->label[i] < 0) {
            char expected[240];
            list_names(values, data->n_labels, expected, sizeof expected);
            return bad_label(table, i, expected, err);
        }
    }
    return PR_OK;
}

static pr_status read_labels(pr_dataset *data, const pr_table *table, const pr_label_set *labels,
                             pr_error *err) {
    pr_names *classes = pr_names_new();
    if (!classes) return pr_fail_memory(err, "label names", 0);
    pr_status status =
        labels->n ? copy_names(data, labels, err) : find_names(data, table, classes, err);
    if (!status) {
        const char *const *values =
            labels->n && labels->value ? labels->value : (const char *const *)data->label_name;
        status = read_classes(data, table, values, classes, err);
    }
    pr_names_free(classes);
    return status;
}

pr_status pr_labels_read(pr_dataset *data, const pr_table *table, const pr_label_set *labels,
                         pr_error *err) {
    if (!table->has[PR_LABEL]) return PR_OK;
    data->labelled = true;
    data->regression = labels->regression;
    data->n_metrics = 2;
    data->metric[0] = labels->regression ? PR_PEARSON : PR_MATTHEWS;
    data->metric[1] = labels->regression ? PR_SPEARMAN : PR_ACCURACY;
    return labels->regression ? read_targets(data, table, err)
                              : read_labels(data, table, labels, err);
}
