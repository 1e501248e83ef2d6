/* The state of sparsely updated rows after a parameter's moments came from a checkpoint. */
#include "ops/adamw.h"

static bool any_nonzero(const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (x[i] != 0.0f) return true;
    }
    return false;
}

pr_status pr_adamw_restore_rows(pr_store *store, int param, int32_t step, pr_error *err) {
    const pr_param *p = pr_store_param(store, param);
    if (!p || p->shape.n_dims != 2 || !p->state[PR_STATE_FIRST] || !p->state[PR_STATE_SECOND]) {
        return pr_fail(err, PR_BAD_ARGUMENT, "'%s' has no rows with moments", p ? p->name : "");
    }
    if (!pr_store_backend(store)->host_visible || step < p->since) {
        return pr_fail(err, PR_BAD_ARGUMENT, "%s: its rows can't be set to step %d", p->name,
                       (int)step);
    }
    int64_t n_rows = p->shape.dim[0], d = p->shape.dim[1];
    size_t bytes = (size_t)n_rows * sizeof(int32_t); /* fits: the rows' data does */
    pr_status status = pr_store_make_state(store, param, PR_STATE_ROWS, bytes, err);
    if (status != PR_OK) return status;
    int32_t *done = p->state[PR_STATE_ROWS];                                   /* (n_rows) */
    const float *m = p->state[PR_STATE_FIRST], *v = p->state[PR_STATE_SECOND]; /* (n_rows, d) */
    for (int64_t row = 0; row < n_rows; row++) {
        bool had_gradient = any_nonzero(m + row * d, d) || any_nonzero(v + row * d, d);
        done[row] = 2 * (step - p->since) + had_gradient;
    }
    return PR_OK;
}
