/* Steps on batches that are run in parts. */
#include <math.h>

#include "graph/memory.h"
#include "train/trainer_internal.h"

/* The report of a part's plan and the update's together: what they hold between runs is the same
 * memory, and so is the arena. */
static void add_reports(pr_trainer *t) {
    const pr_plan_report *part = pr_plan_get_report(t->training);
    const pr_plan_report *update = pr_plan_get_report(t->update);
    t->both = *part;
    t->both.moments = update->moments;
    t->both.nodes += update->nodes;
    t->both.flops += update->flops;
    if (update->arena > part->arena) {
        t->both.arena = update->arena;
        t->both.gradients = update->gradients;
        t->both.activations = update->activations;
        t->both.lower_bound = update->lower_bound;
    }
}

/* A plan for parts: the gradients that are gathered, and rows for the update's sparse ones. */
static pr_status plan_part(pr_trainer *t, pr_extent part, pr_error *err) {
    if (pr_trainer_has_room(t->training, part)) return PR_OK;
    const pr_parts *p = &t->parts;
    pr_tid *wanted = pr_alloc((size_t)p->n_rows + 1, sizeof *wanted);
    if (!wanted) return pr_fail_memory(err, "a plan", (size_t)p->n_rows);
    wanted[0] = t->loss;
    for (int32_t i = 0; i < p->n_rows; i++)
        wanted[i + 1] = p->rows[i].dy;
    const pr_plan_options options = {
        .wanted = wanted, .n_wanted = p->n_rows + 1, .training = true, .gather = true};
    pr_status status = pr_trainer_replan(t, &t->training, part, options, err);
    pr_free(wanted);
    return status;
}

static pr_status make_ready(pr_trainer *t, pr_extent batch, pr_extent part, pr_error *err) {
    pr_status status = pr_trainer_derive(t, err);
    if (status == PR_OK) status = plan_part(t, part, err);
    if (status == PR_OK) status = pr_parts_reserve(&t->parts, batch.tokens, err);
    if (status == PR_OK && !pr_trainer_has_room(t->update, batch)) {
        const pr_plan_options options = {.wanted = &t->factor, .n_wanted = 1, .training = true};
        status = pr_trainer_replan(t, &t->update, batch, options, err);
    }
    if (status == PR_OK) add_reports(t);
    return status;
}

pr_status pr_trainer_prepare_parts(pr_trainer *t, pr_extent batch, pr_extent part, pr_error *err) {
    pr_status status = pr_trainer_at_rest(t, err);
    if (status != PR_OK) return status;
    bool parts = t->parts.sentences > 0;
    return parts ? make_ready(t, batch, part, err) : pr_trainer_make_ready(t, batch, err);
}

pr_status pr_trainer_make_ready_in_parts(pr_trainer *t, pr_extent batch, pr_error *err) {
    pr_extent part = batch;
    if (part.sentences > t->parts.sentences) part.sentences = t->parts.sentences;
    if (part.tokens > part.sentences * part.longest) part.tokens = part.sentences * part.longest;
    return make_ready(t, batch, part, err);
}

/* Counts what a plan has just done towards the step. */
static void count_cost(pr_trainer *t, const pr_plan *plan) {
    double flops, bytes;
    pr_plan_cost(plan, &flops, &bytes);
    t->flops += flops;
    t->bytes += bytes;
}

/* Runs a part; its share of the loss is added to *loss. */
static pr_status run_part(pr_trainer *t, const pr_part *part, int64_t sentences, int n_feeds,
                          double *loss, pr_error *err) {
    float value = 0.0f, share = (float)part->extent.sentences / (float)sentences;
    pr_plan *plan = t->training;
    pr_status status = pr_trainer_feed_part(t, plan, part->extent, part->feeds, n_feeds,
                                            part->first_sentence, share, err);
    if (status == PR_OK) status = pr_plan_run(plan, part->extent, err);
    if (status == PR_OK) status = pr_plan_fetch(plan, t->loss, part->extent, &value, err);
    for (int32_t i = 0; i < t->parts.n_rows && status == PR_OK; i++) {
        const pr_part_rows *rows = &t->parts.rows[i];
        float *to = rows->buffer + (size_t)part->first_token * rows->width;
        status = pr_plan_fetch(plan, rows->dy, part->extent, to, err);
    }
    count_cost(t, plan);
    *loss += (double)value * (double)share;
    return status;
}

pr_status pr_trainer_run_parts(pr_trainer *t, pr_extent batch, const pr_feed *feeds, int n_feeds,
                               double *loss, pr_error *err) {
    pr_status status = PR_OK;
    *loss = t->flops = t->bytes = 0.0;
    for (int64_t first = 0; first < batch.sentences && status == PR_OK;) {
        pr_part part;
        status = pr_parts_cut(&t->parts, t->g, batch, feeds, n_feeds, first, &part, err);
        if (status == PR_OK) status = plan_part(t, part.extent, err);
        if (status == PR_OK) status = run_part(t, &part, batch.sentences, n_feeds, loss, err);
        first += part.extent.sentences;
    }
    return status;
}

/* The update of a batch whose parts have been run. */
static pr_status update_in_parts(pr_trainer *t, pr_extent batch, const pr_feed *feeds, int n_feeds,
                                 float *factor, pr_error *err) {
    pr_status status = pr_trainer_feed_all(t, t->update, batch, feeds, n_feeds, err);
    for (int32_t i = 0; i < t->parts.n_rows && status == PR_OK; i++) {
        const pr_part_rows *rows = &t->parts.rows[i];
        status = pr_plan_feed(t->update, rows->input, batch, rows->buffer, err);
    }
    if (status == PR_OK) status = pr_plan_run(t->update, batch, err);
    if (status == PR_OK) status = pr_plan_fetch(t->update, t->factor, batch, factor, err);
    count_cost(t, t->update);
    return status;
}

pr_status pr_trainer_run_in_parts(pr_trainer *t, pr_extent batch, const pr_feed *feeds, int n_feeds,
                                  float *loss, float *factor, pr_error *err) {
    double sum;
    pr_status status = pr_trainer_run_parts(t, batch, feeds, n_feeds, &sum, err);
    *loss = (float)sum;
    *factor = NAN; /* nothing is updated by gradients of a loss that is none */
    if (status != PR_OK || !isfinite(*loss)) return status;
    return update_in_parts(t, batch, feeds, n_feeds, factor, err);
}
