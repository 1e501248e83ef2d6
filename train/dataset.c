#include "train/dataset.h"

#include <string.h>

#include "graph/memory.h"
#include "train/labels.h"

/* What is being built, and the room there is for tokens. */
typedef struct builder {
    pr_dataset *data;
    pr_wordpiece *wordpiece;
    size_t max_length;
    pr_tokens tokens;
    size_t ids_capacity, types_capacity;
} builder;

/* An empty data set with room for n rows; NULL on failure. */
static pr_dataset *begin(size_t n, pr_error *err) {
    pr_dataset *data = pr_alloc(1, sizeof *data);
    size_t starts;
    if (n >= UINT32_MAX) {
        pr_fail(err, PR_BAD_ARGUMENT, "%zu rows; expected fewer", n);
    } else if (data && pr_size_add(n, 1, &starts)) {
        data->start = pr_alloc(starts, sizeof *data->start);
    }
    if (data && data->start) return data;
    pr_fail_memory(err, "a data set", n * sizeof(size_t));
    pr_dataset_free(data);
    return NULL;
}

static pr_status add_row(builder *b, const char *text_a, const char *text_b, pr_error *err) {
    pr_dataset *d = b->data;
    pr_tokens *tokens = &b->tokens;
    pr_status status =
        pr_wordpiece_encode(b->wordpiece, text_a, text_b, b->max_length, tokens, err);
    if (status) return status;
    size_t before = d->start[d->n];
    size_t after;
    if (!pr_size_add(before, tokens->n, &after) ||
        !pr_grow((void **)&d->ids, &b->ids_capacity, after, sizeof *d->ids) ||
        !pr_grow((void **)&d->types, &b->types_capacity, after, sizeof *d->types)) {
        return pr_fail_memory(err, "the tokens of a data set", before * sizeof *d->ids);
    }
    memcpy(d->ids + before, tokens->ids, tokens->n * sizeof *d->ids);
    memcpy(d->types + before, tokens->types, tokens->n * sizeof *d->types);
    d->start[++d->n] = after;
    d->truncated += tokens->dropped > 0;
    if (tokens->n > d->longest) d->longest = tokens->n;
    return PR_OK;
}

static pr_dataset *finish(builder *b, pr_status status) {
    pr_tokens_free(&b->tokens);
    if (!status) return b->data;
    pr_dataset_free(b->data);
    return NULL;
}

pr_dataset *pr_dataset_of_texts(const char *const *a, const char *const *b, size_t n,
                                pr_wordpiece *wordpiece, size_t max_length, pr_error *err) {
    builder made = {begin(n, err), wordpiece, max_length, {0}, 0, 0};
    if (!made.data) return NULL;
    pr_status status = PR_OK;
    for (size_t i = 0; i < n && !status; i++) {
        status = add_row(&made, a[i], b ? b[i] : NULL, err);
    }
    return finish(&made, status);
}

pr_dataset *pr_dataset_new(const pr_table *table, pr_wordpiece *wordpiece, size_t max_length,
                           const pr_label_set *labels, pr_error *err) {
    builder made = {begin(table->n, err), wordpiece, max_length, {0}, 0, 0};
    if (!made.data) return NULL;
    pr_status status = pr_labels_read(made.data, table, labels, err);
    for (size_t i = 0; i < table->n && !status; i++) {
        status = add_row(&made, pr_table_cell(table, i, PR_TEXT),
                         pr_table_cell(table, i, PR_TEXT_B), err);
    }
    return finish(&made, status);
}

/* Room for `more` items after the n of *items; false without memory. */
static bool widen(void **items, size_t n, size_t more, size_t size) {
    size_t all;
    void *wider = pr_size_add(n, more, &all) ? pr_realloc(*items, all, size) : NULL;
    if (wider) *items = wider;
    return wider != NULL;
}

pr_status pr_dataset_append(pr_dataset *data, const pr_dataset *more, pr_error *err) {
    size_t tokens = data->start[data->n], added = more->start[more->n];
    bool classes = data->label && more->label, numbers = data->target && more->target;
    if (!widen((void **)&data->ids, tokens, added, sizeof *data->ids) ||
        !widen((void **)&data->types, tokens, added, sizeof *data->types) ||
        !widen((void **)&data->start, data->n + 1, more->n, sizeof *data->start) ||
        (classes && !widen((void **)&data->label, data->n, more->n, sizeof *data->label)) ||
        (numbers && !widen((void **)&data->target, data->n, more->n, sizeof *data->target))) {
        return pr_fail_memory(err, "a data set's second part", added * sizeof *data->ids);
    }
    memcpy(data->ids + tokens, more->ids, added * sizeof *data->ids);
    memcpy(data->types + tokens, more->types, added * sizeof *data->types);
    if (classes) memcpy(data->label + data->n, more->label, more->n * sizeof *data->label);
    if (numbers) memcpy(data->target + data->n, more->target, more->n * sizeof *data->target);
    for (size_t i = 1; i <= more->n; i++)
        data->start[data->n + i] = tokens + more->start[i];
    data->second = data->n;
    data->n += more->n;
    data->truncated += more->truncated;
    if (more->longest > data->longest) data->longest = more->longest;
    return PR_OK;
}

void pr_dataset_free(pr_dataset *data) {
    if (!data) return;
    pr_free(data->ids);
    pr_free(data->types);
    pr_free(data->start);
    pr_free(data->label);
    pr_free(data->target);
    for (int32_t i = 0; data->label_name && i < data->n_labels; i++)
        pr_free(data->label_name[i]);
    pr_free((void *)data->label_name);
    pr_free(data);
}

static int32_t largest(const float *row, int32_t n) {
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++) {
        if (row[i] > row[best]) best = i;
    }
    return best;
}

static double score(const pr_dataset *data, pr_metric metric, const float *outputs,
                    const int32_t *answer) {
    size_t n = data->second ? data->second : data->n; /* rows of the first part */
    switch (metric) {
    case PR_MATTHEWS:
        return pr_matthews(answer, data->label, n, data->n_labels);
    case PR_F1:
        return pr_f1(answer, data->label, n);
    case PR_PEARSON:
        return pr_pearson(outputs, data->target, n);
    case PR_SPEARMAN:
        return pr_spearman(outputs, data->target, n);
    case PR_ACCURACY_MISMATCHED:
        return pr_accuracy(answer + n, data->label + n, data->n - n);
    default:
        return pr_accuracy(answer, data->label, n);
    }
}

pr_status pr_dataset_score(const pr_dataset *data, const float *outputs, pr_scores *scores,
                           pr_error *err) {
    *scores = (pr_scores){.n = data->n_metrics};
    if (!data->labelled) return pr_fail(err, PR_BAD_ARGUMENT, "a data set without labels");
    int32_t *answer = NULL;
    if (!data->regression) {
        answer = pr_alloc(data->n, sizeof *answer);
        if (!answer) return pr_fail_memory(err, "a model's answers", data->n * sizeof *answer);
        size_t columns = (size_t)data->n_labels;
        for (size_t i = 0; i < data->n; i++) {
            answer[i] = largest(outputs + i * columns, data->n_labels);
        }
    }
    for (int m = 0; m < data->n_metrics; m++) {
        scores->metric[m] = data->metric[m];
        scores->value[m] = score(data, data->metric[m], outputs, answer);
    }
    pr_free(answer);
    return PR_OK;
}
