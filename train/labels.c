#include "train/labels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/memory.h"
#include "graph/names.h"
#include "train/listing.h"

/* owner: whose label it should have been; NULL where that goes without saying. */
static pr_status bad_label(const pr_table *table, size_t row, const char *expected,
                           const char *owner, pr_error *err) {
    return pr_fail(err, PR_BAD_FILE, "%s:%zu: label '%.40s'; expected %s%s%s", table->path,
                   table->line[row], pr_table_cell(table, row, PR_LABEL), expected,
                   owner ? ", as in " : "", owner ? owner : "");
}

/* ---- regression ---- */

/* Whether the text is a finite number, and one from least to most where the set says these. */
static bool read_number(const char *text, const pr_label_set *labels, float *number) {
    char *end;
    *number = strtof(text, &end);
    if (end == text || *end || !isfinite(*number)) return false;
    bool bounded = labels->least < labels->most;
    return !bounded || (*number >= labels->least && *number <= labels->most);
}

static pr_status bad_number(const pr_table *table, size_t row, const pr_label_set *labels,
                            pr_error *err) {
    char expected[64] = "a finite number";
    if (labels->least < labels->most) {
        snprintf(expected, sizeof expected, "a number from %g to %g", (double)labels->least,
                 (double)labels->most);
    }
    return bad_label(table, row, expected, labels->owner, err);
}

static pr_status read_targets(pr_dataset *data, const pr_table *table, const pr_label_set *labels,
                              pr_error *err) {
    data->n_labels = 1;
    data->target = pr_alloc(table->n, sizeof *data->target);
    if (!data->target) return pr_fail_memory(err, "labels", table->n * sizeof *data->target);
    for (size_t i = 0; i < table->n; i++) {
        const char *text = pr_table_cell(table, i, PR_LABEL);
        if (!read_number(text, labels, &data->target[i])) return bad_number(table, i, labels, err);
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
        if (!*label) return bad_label(table, i, "a name", NULL, err);
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

static pr_status read_classes(pr_dataset *data, const pr_table *table, const char *const *values,
                              const char *owner, pr_names *classes, pr_error *err) {
    data->label = pr_alloc(table->n, sizeof *data->label);
    if (!data->label) return pr_fail_memory(err, "labels", table->n * sizeof *data->label);
    for (int32_t c = 0; c < data->n_labels; c++) {
        if (pr_names_put(classes, values[c], c)) return pr_fail_memory(err, "label names", 0);
    }
    for (size_t i = 0; i < table->n; i++) {
        data->label[i] = pr_names_get(classes, pr_table_cell(table, i, PR_LABEL));
        if (data->label[i] < 0) {
            char expected[240] = "one of ";
            size_t used = strlen(expected);
            pr_list_names(values, (size_t)data->n_labels, expected + used, sizeof expected - used);
            return bad_label(table, i, expected, owner, err);
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
        status = read_classes(data, table, values, labels->owner, classes, err);
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
    return labels->regression ? read_targets(data, table, labels, err)
                              : read_labels(data, table, labels, err);
}
