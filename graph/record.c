#include "graph/memory.h"
#include "graph/plan_internal.h"

pr_status pr_plan_make_recordings(pr_plan *plan, pr_error *err) {
    if (!plan->backend->record) return PR_OK;
    size_t n = (size_t)(plan->capacity.tokens / plan->backend->token_step) + 2;
    plan->recording = pr_alloc(n, sizeof *plan->recording);
    plan->met = pr_alloc(n, sizeof *plan->met);
    if (!plan->recording || !plan->met) {
        return pr_fail_memory(err, "a plan", n * sizeof *plan->recording);
    }
    plan->n_recordings = n;
    return PR_OK;
}

void pr_plan_forget_recordings(pr_plan *plan) {
    for (size_t i = 0; i < plan->n_recordings; i++) {
        if (plan->recording[i]) plan->backend->forget(plan->backend, plan->recording[i]);
        plan->recording[i] = NULL;
    }
}

static pr_status run_steps(void *plan, pr_error *err) {
    return pr_plan_run_steps(plan, err);
}

pr_status pr_plan_replay(pr_plan *plan, pr_error *err) {
    int64_t step = plan->backend->token_step;
    size_t i = (size_t)((plan->bound.tokens + step - 1) / step);
    pr_status status = PR_OK;
    if (!plan->met[i]) {
        status = pr_plan_run_steps(plan, err);
        plan->met[i] = status == PR_OK;
        return status;
    }
    if (!plan->recording[i]) {
        status = pr_backend_record(plan->backend, run_steps, plan, &plan->recording[i], err);
    }
    if (status != PR_OK) return status;
    return plan->backend->replay(plan->backend, plan->recording[i], err);
}
