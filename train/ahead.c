/* Steps that the host does not wait for. */
#include <math.h>

#include "train/trainer_internal.h"

bool pr_trainer_goes_ahead(const pr_trainer *t) {
    const pr_backend *backend = t->backend;
    return backend->download_later && !backend->careful && !t->watch && !t->parts.sentences;
}

pr_status pr_trainer_at_rest(const pr_trainer *t, pr_error *err) {
    if (!t->ahead.n) return PR_OK;
    return pr_fail(err, PR_BAD_ARGUMENT, "%d steps are still under way: finish them first",
                   t->ahead.n);
}

/* Nothing is planned anew behind the back of a step under way. */
static pr_status make_ready(pr_trainer *t, pr_extent extent, pr_error *err) {
    bool ready = t->derived && t->derived_for == pr_store_version(t->store) &&
                 pr_trainer_has_room(t->training, extent);
    if (ready) return PR_OK;
    return pr_trainer_prepare(t, extent, err);
}

/* Tells the GPU of a step, and of where its results are to go. */
static pr_status launch(pr_trainer *t, pr_extent extent, const pr_feed *feeds, int n_feeds,
                        pr_error *err) {
    pr_ahead *a = &t->ahead;
    pr_status status = make_ready(t, extent, err);
    if (status == PR_OK) status = pr_trainer_feed_all(t, t->training, extent, feeds, n_feeds, err);
    if (status == PR_OK) status = pr_plan_run(t->training, extent, err);
    a->loss[a->n] = a->factor[a->n] = NAN; /* until they arrive */
    if (status == PR_OK) {
        status = pr_plan_fetch_later(t->training, t->loss, extent, &a->loss[a->n], err);
    }
    if (status != PR_OK) return status;
    return pr_plan_fetch_later(t->training, t->factor, extent, &a->factor[a->n], err);
}

pr_status pr_trainer_begin(pr_trainer *t, pr_extent extent, const pr_feed *feeds, int n_feeds,
                           pr_error *err) {
    pr_ahead *a = &t->ahead;
    if (a->n == PR_MOST_AHEAD) return pr_trainer_at_rest(t, err);
    pr_status status;
    if (pr_trainer_goes_ahead(t)) {
        status = pr_trainer_has_rate(t, err);
        if (status == PR_OK) status = launch(t, extent, feeds, n_feeds, err);
        if (status == PR_OK) t->steps++;
    } else {
        status = pr_trainer_make_step(t, extent, feeds, n_feeds, &a->loss[a->n], err);
        a->factor[a->n] = 1.0f;
    }
    a->n += status == PR_OK;
    return status;
}

pr_status pr_trainer_finish(pr_trainer *t, float losses[PR_MOST_AHEAD], int *n, pr_error *err) {
    pr_ahead *a = &t->ahead;
    int begun = a->n;
    a->n = *n = 0;
    pr_status status = begun ? t->backend->sync(t->backend, err) : PR_OK;
    while (*n < begun && isfinite(a->loss[*n]) && isfinite(a->factor[*n])) {
        losses[*n] = a->loss[*n];
        ++*n;
    }
    t->steps -= begun - *n;
    if (status != PR_OK || *n == begun) return status;
    return pr_fail(err, PR_NOT_FINITE, "step %d: a result is not finite", (int)t->steps + 1);
}
