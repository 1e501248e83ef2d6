#include "models/method.h"

#include <stdio.h>
#include <string.h>

extern const pr_method pr_method_full, pr_method_learner;

const pr_method *const pr_methods[] = {&pr_method_full, &pr_method_learner, NULL};

const char *const pr_method_linears[] = {"attn_q", "attn_k",   "attn_v", "attn_output",
                                         "ffn_up", "ffn_down", NULL};

const pr_method *pr_method_find(const char *name) {
    for (const pr_method *const *m = pr_methods; *m; m++) {
        if (strcmp((*m)->name, name) == 0) return *m;
    }
    return NULL;
}

pr_status pr_method_add(const pr_method *method, const pr_bert_config *config, pr_store *store,
                        const pr_method_options *options, bool draw, pr_error *err) {
    pr_status status = PR_OK;
    for (int layer = 0; method->add && layer < config->layers; layer++) {
        for (const char *const *part = pr_method_linears; *part && status == PR_OK; part++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%d.%s", layer, *part);
            status = method->add(store, name, options, draw, err);
        }
    }
    return status;
}

static pr_status require_all(const char *const *patterns, pr_store *store, bool on, pr_error *err) {
    pr_status status = PR_OK;
    for (; patterns && *patterns && status == PR_OK; patterns++) {
        status = pr_store_require_grad(store, *patterns, on, err);
    }
    return status;
}

pr_status pr_method_begin(const pr_method *method, pr_store *store, pr_error *err) {
    static const char *const head[] = {"cls*", NULL};
    pr_status status = require_all(method->trained, store, true, err);
    return status == PR_OK ? require_all(head, store, true, err) : status;
}

pr_status pr_method_epoch(const pr_method *method, pr_store *store,
                          const pr_method_options *options, int32_t epoch, pr_error *err) {
    return require_all(method->primed, store, epoch < options->prime, err);
}
