/* A trainer steps one graph: it derives gradients and updates, plans, feeds, runs. When a
 * parameter's requires-grad has changed it derives and plans anew before the next step; that is all
 * a flip is. */
#ifndef PR_TRAINER_H
#define PR_TRAINER_H

#include "graph/plan.h"
#include "train/optimizer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pr_trainer pr_trainer;

typedef struct pr_trainer_options {
    pr_adamw_options adamw;
    float clip;         /* 0: none */
    const float *rates; /* the learning rate of each step; the trainer copies them */
    int32_t steps;      /* how many there are: steps after the last are refused */
    uint64_t seed;      /* of dropout */
    /* Batches of more sentences than this are run in parts of so many, for less memory: their
     * gradients are added up and make one update, which is the whole batch's to rounding. 0: whole.
     */
    int64_t micro_batch;
    bool recompute; /* pr_backward_options: the same bits, for less memory */
} pr_trainer_options;

/* AdamW and clipping as pr_optimizer_default; the rest zero. */
pr_trainer_options pr_trainer_default(void);

/* The value of an input for a batch: as many elements as its shape bound to the batch's extent. */
typedef struct pr_feed {
    pr_tid input;
    const void *data;
} pr_feed;

/* Takes a graph whose forward part stands, and marks it there; loss is (1), or 0 for a trainer that
 * only evaluates. An input named "clock" (u64 (3): seed, step, first sentence) is fed by the
 * trainer. The graph, its store and the backend must outlive the trainer. NULL with err set. */
pr_trainer *pr_trainer_new(pr_graph *g, pr_backend *backend, pr_tid loss,
                           const pr_trainer_options *options, pr_error *err);
void pr_trainer_free(pr_trainer *t);

/* Makes ready for batches up to the extent: gradients and updates for what trains now, a plan and
 * its memory. Steps do this themselves when they meet a larger batch; calling it first keeps
 * allocations out of them. */
pr_status pr_trainer_prepare(pr_trainer *t, pr_extent extent, pr_error *err);

/* The same where batches are run in parts: room for parts up to `part` of batches up to `batch`. */
pr_status pr_trainer_prepare_parts(pr_trainer *t, pr_extent batch, pr_extent part, pr_error *err);

/* One step of training. *loss is the batch's mean before the update. When the loss or a gradient is
 * not finite nothing is updated, and PR_NOT_FINITE names the step and the first node that went
 * wrong. */
pr_status pr_trainer_step(pr_trainer *t, pr_extent extent, const pr_feed *feeds, int n_feeds,
                          float *loss, pr_error *err);

/* ---- steps that the host does not wait for ---- */

enum { PR_MOST_AHEAD = 32 };

/* Whether pr_trainer_begin returns before the step has ended: on a GPU, where batches are run whole
 * and nobody watches the nodes. */
bool pr_trainer_goes_ahead(const pr_trainer *t);

/* Begins a step; its loss is pr_trainer_finish's to tell. The feeds' data may change once it
 * returns. Where the trainer does not go ahead it is pr_trainer_step, with its errors. At most
 * PR_MOST_AHEAD steps may be under way. While any is, the trainer takes no other call but this,
 * for a batch that pr_trainer_prepare made ready for, and pr_trainer_finish: PR_BAD_ARGUMENT; and
 * what the store holds is not to be read. */
pr_status pr_trainer_begin(pr_trainer *t, pr_extent extent, const pr_feed *feeds, int n_feeds,
                           pr_error *err);

/* Waits for all steps that were begun, and writes their losses in order: *n of them, at most
 * PR_MOST_AHEAD. Where a loss or a gradient is not finite, neither that step nor any behind it has
 * updated anything: PR_NOT_FINITE. *n are then those before it, pr_trainer_steps counts no further,
 * and pr_trainer_step on that batch names the node that went wrong. */
pr_status pr_trainer_finish(pr_trainer *t, float losses[PR_MOST_AHEAD], int *n, pr_error *err);

/* ---- */

/* Runs the forward part without dropout and copies `wanted`, its shape bound to the extent, to out.
 * PR_NOT_FINITE, naming the first node that went wrong, when any of it is not finite. */
pr_status pr_trainer_evaluate(pr_trainer *t, pr_tid wanted, pr_extent extent, const pr_feed *feeds,
                              int n_feeds, void *out, pr_error *err);

/* As pr_trainer_step without dropout and without the update: the gradient of the parameter tensor
 * goes to out, dense, in the parameter's shape; for tests and for looking at. */
pr_status pr_trainer_gradient(pr_trainer *t, pr_tid param, pr_extent extent, const pr_feed *feeds,
                              int n_feeds, float *out, pr_error *err);

/* Brings sparsely updated rows up to date: before parameters are read from the store or saved. */
pr_status pr_trainer_catch_up(pr_trainer *t, pr_error *err);

/* Steps made so far; setting it is for resuming. */
int32_t pr_trainer_steps(const pr_trainer *t);
void pr_trainer_set_steps(pr_trainer *t, int32_t steps);

/* The learning rate of a step, 0 .. steps - 1. */
float pr_trainer_rate(const pr_trainer *t, int32_t step);

/* The training plan of the present phase, or of a trainer without a loss the plan of its
 * evaluations: planned bytes and FLOPs at its capacity; NULL before pr_trainer_prepare or the first
 * run. */
const pr_plan_report *pr_trainer_report(const pr_trainer *t);
/* What that plan's last run had to do (pr_plan_cost); zero before the first. */
void pr_trainer_cost(const pr_trainer *t, double *flops, double *bytes);
pr_extent pr_trainer_capacity(const pr_trainer *t);

/* Called after each node of every run from now on, of steps and evaluations (call->training tells
 * them apart), whatever is planned anew: pr_plan_set_watch. NULL: none. */
void pr_trainer_watch(pr_trainer *t, pr_plan_watch watch, void *context);

#ifdef __cplusplus
}
#endif
#endif
