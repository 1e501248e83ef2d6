#include "models/method.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

extern const pr_method pr_method_full, pr_method_learner, pr_method_lora, pr_method_bitfit,
    pr_method_adapter, pr_method_parallel, pr_method_freeze_ffn, pr_method_far;

const pr_method *const pr_methods[] = {
    &pr_method_full,       &pr_method_learner, &pr_method_lora,
    &pr_method_bitfit,     &pr_method_adapter, &pr_method_parallel,
    &pr_method_freeze_ffn, &pr_method_far,     NULL,
};

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
    return method->add ? method->add(store, config, options, draw, err) : PR_OK;
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

pr_status pr_method_phase(const pr_method *method, pr_store *store, int phase, pr_error *err) {
    return require_all(method->primed, store, phase == 0, err);
}

pr_status pr_method_flip_step(const pr_method *method, const pr_method_options *options,
                              int32_t steps_per_epoch, int32_t steps, int32_t *flip,
                              pr_error *err) {
    double n = 0;
    if (method->primed && method->takes & PR_TAKES_PRIME_STEPS) {
        n = options->prime_steps < 1 ? options->prime_steps * steps : options->prime_steps;
    } else if (method->primed) {
        n = (double)options->prime * steps_per_epoch;
    }
    if (!(n >= 0 && n <= steps)) {
        return pr_fail(err, PR_BAD_ARGUMENT,
                       "priming for %.0f steps is longer than the run, which has %d", ceil(n),
                       (int)steps);
    }
    *flip = (int32_t)ceil(n);
    return PR_OK;
}
