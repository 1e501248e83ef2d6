/* The steps of a run, and word of them. */
#include <time.h>

#include "train/feed.h"
#include "train/finetune_internal.h"

static const double TELL_EVERY = 0.1; /* seconds: as often as a progress bar is drawn */

double pr_run_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool pr_run_checkpoint_due(const pr_run *r) {
    return r->options->save_every && r->at.step % r->options->save_every == 0;
}

/* ---- telling ---- */

/* Steps that were begun and will not be told of are none. */
static void forget_begun(pr_run *r, int told) {
    r->at.step -= r->begun.n - told;
    r->begun.n = 0;
}

/* The first n steps that were begun have ended. */
static void tell(pr_run *r, const float *losses, int n) {
    double now = pr_run_now(), each = n ? (now - r->begun.since) / n : 0.0;
    for (int i = 0; i < n; i++) {
        pr_step_report *report = &r->begun.report[i];
        report->loss = losses[i];
        report->seconds = each;
        report->trained_seconds = r->seconds += each;
        report->trained_tokens = r->tokens += report->tokens;
        r->at.epoch_loss += (double)report->loss;
        r->at.epoch_steps++;
        if (r->calls.step && !r->calls.step(r->calls.context, report)) r->result->cancelled = true;
    }
    forget_begun(r, n);
    r->begun.told = now;
}

/* Gathers the batch of the next step. */
static int feed(pr_run *r, pr_feed feeds[PR_BERT_FEEDS]) {
    size_t most = (size_t)r->options->batch_size;
    size_t first = (size_t)(r->at.step % r->per_epoch) * most, left = r->train->n - first;
    pr_batch_gather(&r->batch, r->train, r->order + first, 0, left < most ? left : most);
    return pr_bert_feeds(&r->bert, &r->batch, r->model->config.regression, feeds);
}

/* Waits for the steps that were begun. One that is not finite has changed nothing: made once more,
 * alone, it names the node that went wrong. */
static pr_status finish(pr_run *r, pr_error *err) {
    float losses[PR_MOST_AHEAD], loss;
    int n;
    pr_error fault = {.code = PR_OK};
    pr_status status = pr_trainer_finish(r->trainer, losses, &n, &fault);
    tell(r, losses, n);
    if (status == PR_NOT_FINITE) {
        pr_feed feeds[PR_BERT_FEEDS];
        int n_feeds = feed(r, feeds);
        pr_trainer_step(r->trainer, r->batch.extent, feeds, n_feeds, &loss, err);
    }
    return status == PR_OK ? PR_OK : pr_fail(err, status, "%s", fault.message);
}

/* ---- a step ---- */

static bool reached_limit(const pr_run *r) {
    return r->options->max_steps && r->at.step >= r->options->max_steps;
}

/* Whether the steps that were begun have to be known of before the next. */
static bool must_finish(const pr_run *r) {
    bool ends = r->at.step % r->per_epoch == 0 || r->at.step == r->flip || reached_limit(r);
    return ends || pr_run_checkpoint_due(r) || r->begun.n == PR_MOST_AHEAD ||
           !pr_trainer_goes_ahead(r->trainer) || pr_run_now() - r->begun.told >= TELL_EVERY;
}

/* Of the step that was begun last. */
static void report_begun(pr_run *r, int32_t epoch) {
    pr_step_report *report = &r->begun.report[r->begun.n++];
    *report = (pr_step_report){
        .step = r->at.step + 1,
        .steps = r->steps,
        .epoch = epoch,
        .epochs = r->options->epochs,
        .rate = (double)pr_trainer_rate(r->trainer, r->at.step),
        .tokens = r->batch.extent.tokens,
        .trainer = r->trainer,
    };
    if (r->calls.costs) pr_trainer_cost(r->trainer, &report->flops, &report->bytes);
    r->at.step++;
}

pr_status pr_run_step(pr_run *r, int32_t epoch, bool *stop, pr_error *err) {
    pr_feed feeds[PR_BERT_FEEDS];
    float loss;
    if (!r->begun.n) r->begun.since = pr_run_now();
    int n_feeds = feed(r, feeds);
    bool beside = r->compared < r->calls.compared;
    pr_status status = beside ? pr_trainer_compare(r->trainer, r->batch.extent, feeds, n_feeds,
                                                   r->calls.compare, &loss, err)
                              : pr_trainer_begin(r->trainer, r->batch.extent, feeds, n_feeds, err);
    if (status != PR_OK) {
        forget_begun(r, 0);
        return status;
    }
    report_begun(r, epoch);
    r->compared += beside;
    if (beside) tell(r, &loss, 1);
    if (!beside && must_finish(r)) status = finish(r, err);
    *stop = r->result->cancelled || reached_limit(r);
    return status;
}
