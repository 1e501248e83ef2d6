#include "tools/describe.h"

#include <stdio.h>

#include "tools/format.h"

void describe_written(const char *path, const pr_model *model, bool folded) {
    const pr_bert_config *c = &model->config;
    char pieces[FORMAT_SIZE], parameters[FORMAT_SIZE];
    size_t all, trained;
    pr_store_totals(model->store, &all, &trained);
    for (int i = 0; folded && i < pr_store_count(model->store); i++) {
        const pr_param *p = pr_store_param(model->store, i);
        if (pr_model_is_added(model, i)) all -= p->bytes / sizeof *p->data;
    }
    printf("%s: %s, %d layers of width %d, %s pieces, %s parameters\n", path,
           c->kind == PR_BERT ? "BERT" : "DistilBERT", (int)c->layers, (int)c->width,
           format_count(pieces, (uint64_t)c->vocab), format_count(parameters, all));
}

pr_status describe_if_unfoldable(const char *path, const pr_model *model, pr_error *err) {
    pr_error reason = {.code = PR_OK};
    pr_status status = pr_model_check_folds(model, &reason);
    return status == PR_OK ? PR_OK : pr_fail(err, status, "%s: %s", path, reason.message);
}
