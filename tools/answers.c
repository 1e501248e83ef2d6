#include "tools/answers.h"

#include <stdio.h>
#include <string.h>

#include "graph/memory.h"

int32_t answers_largest(const float *outputs, int32_t n) {
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++)
        best = outputs[i] > outputs[best] ? i : best;
    return best;
}

enum { KIND_SIZE = 24 };

/* "2 labels" or "a number" */
static const char *describe(int32_t n, bool regression, char out[KIND_SIZE]) {
    if (regression) return "a number";
    snprintf(out, KIND_SIZE, "%d labels", (int)n);
    return out;
}

static pr_status check_kind(const pr_model *model, const pr_label_set *labels, const char *owner,
                            pr_error *err) {
    const pr_bert_config *config = &model->config;
    char wanted[KIND_SIZE], given[KIND_SIZE];
    if (labels->n == config->labels && labels->regression == config->regression) return PR_OK;
    return pr_fail(err, PR_BAD_FILE, "%s asks for %s, the model answers with %s", owner,
                   describe(labels->n, labels->regression, wanted),
                   describe(config->labels, config->regression, given));
}

static pr_status match(const pr_model *model, const pr_label_set *labels, int32_t *column,
                       pr_error *err) {
    int32_t n = labels->n;
    const char *owner = labels->owner ? labels->owner : "the data";
    pr_status status = check_kind(model, labels, owner, err);
    for (int32_t i = 0; i < n && status == PR_OK; i++) {
        column[i] = i;
        if (labels->regression || !model->label) continue;
        int32_t k = 0;
        while (k < n && strcmp(model->label[k], labels->name[i]) != 0)
            k++;
        if (k == n) {
            return pr_fail(err, PR_BAD_FILE,
                           "%s's label '%.60s' is none of the model's, which begin with '%.60s' "
                           "and '%.60s'",
                           owner, labels->name[i], model->label[0], model->label[1]);
        }
        column[i] = k;
    }
    return status;
}

int32_t *answers_match(const pr_model *model, const pr_label_set *labels, pr_error *err) {
    int32_t *column = pr_alloc((size_t)labels->n, sizeof *column);
    if (!column) {
        pr_fail_memory(err, "the labels", (size_t)labels->n * sizeof *column);
    } else if (match(model, labels, column, err) != PR_OK) {
        pr_free(column);
        column = NULL;
    }
    return column;
}

pr_status answers_order(const int32_t *column, int32_t n, float *outputs, size_t rows,
                        pr_error *err) {
    size_t width = (size_t)n;
    float *row = pr_alloc(width, sizeof *row);
    if (!row) return pr_fail_memory(err, "the labels", width * sizeof *row);
    for (size_t i = 0; i < rows; i++) {
        float *out = outputs + i * width;
        memcpy(row, out, width * sizeof *row);
        for (size_t k = 0; k < width; k++)
            out[k] = row[column[k]];
    }
    pr_free(row);
    return PR_OK;
}
