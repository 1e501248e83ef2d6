/* Choosing how a run goes from how much memory there is. */
#include "train/finetune.h"

/* What a process needs beside what is planned: its code, the vocabulary, the texts. */
enum { BESIDE_PLAN = 40000000 };

/* Planned bytes of the first phase, which is the largest, and what lies beside it. */
static pr_status measure(pr_model *model, pr_backend *backend, const pr_dataset *train,
                         const pr_finetune_options *options, size_t *bytes, pr_error *err) {
    pr_phase_report phase;
    int n = 1;
    pr_status status = pr_finetune_plan(model, backend, train, options, &phase, &n, err);
    if (status == PR_OK) *bytes = pr_plan_bytes(&phase.plan) + BESIDE_PLAN;
    return status;
}

/* The next way to go, of those that take less memory and more time: halves of the batch, then
 * recomputation. False when there is none. */
static bool take_less(pr_finetune_options *o, const pr_finetune_options *asked) {
    int32_t part = o->micro_batch ? o->micro_batch : o->batch_size;
    if (!asked->micro_batch && part > 1) {
        o->micro_batch = (part + 1) / 2;
        return true;
    }
    if (o->recompute) return false;
    o->recompute = true;
    return true;
}

pr_status pr_finetune_fit(pr_model *model, pr_backend *backend, const pr_dataset *train,
                          size_t limit, pr_finetune_options *options, size_t *bytes,
                          pr_error *err) {
    const pr_finetune_options asked = *options;
    pr_status status = measure(model, backend, train, options, bytes, err);
    while (status == PR_OK && *bytes > limit) {
        if (!take_less(options, &asked)) {
            return pr_fail(err, PR_NO_MEMORY,
                           "%.0f MB of memory are too little: at least %.0f MB are needed, with "
                           "%d text%s at a time and the forward part computed twice",
                           (double)limit / 1e6, (double)*bytes / 1e6 + 0.5,
                           (int)options->micro_batch, options->micro_batch == 1 ? "" : "s");
        }
        status = measure(model, backend, train, options, bytes, err);
    }
    return status;
}
