#include "tools/describe.h"

#include <stdint.h>
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

void describe_peft(const char *directory, const pr_model *model, const char *base) {
    size_t carried = 0;
    char parameters[FORMAT_SIZE];
    for (int i = 0; i < pr_store_count(model->store); i++) {
        const pr_param *p = pr_store_param(model->store, i);
        if (!pr_model_is_base_weight(model, i)) carried += p->bytes / sizeof *p->data;
    }
    printf("%s: a PEFT adapter, %s %d, scale %g, %s parameters. In Python:\n", directory,
           model->method->size_name, (int)model->options.size, (double)model->options.scale,
           format_count(parameters, carried));
    puts("  from peft import PeftModel\n"
         "  from transformers import AutoConfig, AutoModelForSequenceClassification");
    fputs("  adapter, base = ", stdout);
    format_quoted(stdout, directory, SIZE_MAX);
    fputs(", ", stdout);
    format_quoted(stdout, base ? base : "BASE", SIZE_MAX);
    puts("\n"
         "  config = AutoConfig.from_pretrained(adapter + \"/model_config.json\")\n"
         "  model = AutoModelForSequenceClassification.from_pretrained(base, config=config)\n"
         "  model = PeftModel.from_pretrained(model, adapter).eval()");
    if (!base) puts("where BASE is the folder of the model that was tuned: convert base.gguf BASE");
    puts("A base with a head for other labels loads with ignore_mismatched_sizes=True");
}
