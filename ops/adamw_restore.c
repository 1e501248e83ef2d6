/* The state of sparsely updated rows after a parameter's moments came from a checkpoint. */
#include "graph/memory.h"
#include "ops/adamw.h"

static bool any_nonzero(const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (x[i] != 0.0f) return true;
    }
    return false;
}

/* done (n_rows) of moments m, v (n_rows, d), all on the host. */
static void count_rows(int64_t n_rows, int64_t d, const float *m, const float *v, int32_t updates,
                       int32_t *done) {
    for (int64_t row = 0; row < n_rows; row++) {
        bool had_gradient = any_nonzero(m + row * d, d) || any_nonzero(v + row * d, d);
        done[row] = 2 * updates + had_gradient;
    }
}

/* The same of a parameter whose state the host does not see. */
static pr_status count_rows_far(pr_backend *backend, const pr_param *p, int32_t updates,
                                pr_error *err) {
    int64_t n_rows = p->shape.dim[0], d = p->shape.dim[1];
    float *m = pr_alloc(p->bytes, 1), *v = pr_alloc(p->bytes, 1);
    int32_t *done = pr_alloc((size_t)n_rows, sizeof *done);
    pr_status status = m && v && done ? PR_OK : PR_NO_MEMORY;
    if (status == PR_OK) status = backend->download(backend, m, p->state[PR_STATE_FIRST], p->bytes);
    if (status == PR_OK)
        status = backend->download(backend, v, p->state[PR_STATE_SECOND], p->bytes);
    if (status == PR_OK) {
        count_rows(n_rows, d, m, v, updates, done);
        status =
            backend->upload(backend, p->state[PR_STATE_ROWS], done, (size_t)n_rows * sizeof *done);
    }
    pr_free(m);
    pr_free(v);
    pr_free(done);
    return status == PR_OK ? PR_OK : pr_fail(err, status, "%s: its rows can't be counted", p->name);
}

pr_status pr_adamw_restore_rows(pr_store *store, int param, int32_t step, pr_error *err) {
    const pr_param *p = pr_store_param(store, param);
    pr_backend *backend = pr_store_backend(store);
    if (!p || p->shape.n_dims != 2 || !p->state[PR_STATE_FIRST] || !p->state[PR_STATE_SECOND]) {
        return pr_fail(err, PR_BAD_ARGUMENT, "'%s' has no rows with moments", p ? p->name : "");
    }
    if (step < p->since) {
        return pr_fail(err, PR_BAD_ARGUMENT, "%s: its rows can't be set to step %d", p->name,
                       (int)step);
    }
    int64_t n_rows = p->shape.dim[0], d = p->shape.dim[1];
    size_t bytes = (size_t)n_rows * sizeof(int32_t); /* fits: the rows' data does */
    pr_status status = pr_store_make_state(store, param, PR_STATE_ROWS, bytes, err);
    if (status != PR_OK) return status;
    int32_t updates = step - p->since;
    if (!backend->host_visible) return count_rows_far(backend, p, updates, err);
    count_rows(n_rows, d, p->state[PR_STATE_FIRST], p->state[PR_STATE_SECOND], updates,
               p->state[PR_STATE_ROWS]);
    return PR_OK;
}
