/* What a trainer is made of. Internal to train/. */
#ifndef PR_TRAINER_INTERNAL_H
#define PR_TRAINER_INTERNAL_H

#include "train/parts.h"

/* Steps that were begun, and what the backend's next sync writes of them. */
typedef struct pr_ahead {
    float loss[PR_MOST_AHEAD], factor[PR_MOST_AHEAD];
    int n;
} pr_ahead;

struct pr_trainer {
    pr_graph *g;
    pr_store *store;
    pr_backend *backend;
    pr_tid loss, factor, clock;
    pr_optimizer optimizer;
    float *rates;
    int32_t n_rates, steps;
    uint64_t seed;
    uint64_t derived_for; /* the store's version */
    bool derived, recompute;
    pr_plan *training, *evaluation;
    pr_parts parts;      /* of a batch, where batches are run so: training is a part's plan then */
    pr_plan *update;     /* and this the update's */
    pr_plan_report both; /* of those two */
    double flops, bytes; /* that the last step had to do, in parts */
    pr_ahead ahead;
    pr_tid evaluated; /* what the evaluation plan computes */
    void *arena;
    size_t arena_bytes;
    pr_plan_watch watch;
    void *watch_context;
};

/* Gradients and updates for what trains now. */
pr_status pr_trainer_derive(pr_trainer *t, pr_error *err);

/* Whether there is a plan, and one for such a batch. */
bool pr_trainer_has_room(const pr_plan *plan, pr_extent e);

/* Makes a plan of these options, but for their capacity, in the place of an older one. */
pr_status pr_trainer_replan(pr_trainer *t, pr_plan **plan, pr_extent e, pr_plan_options options,
                            pr_error *err);

/* Feeds a plan a part of a batch, or a whole one. first: the number of the part's first sentence in
 * the batch; share: of the batch's mean. */
pr_status pr_trainer_feed_part(pr_trainer *t, pr_plan *plan, pr_extent extent, const pr_feed *feeds,
                               int n_feeds, int64_t first, float share, pr_error *err);
pr_status pr_trainer_feed_all(pr_trainer *t, pr_plan *plan, pr_extent extent, const pr_feed *feeds,
                              int n_feeds, pr_error *err);

/* pr_trainer_prepare and pr_trainer_step, whatever has been begun. */
pr_status pr_trainer_make_ready(pr_trainer *t, pr_extent extent, pr_error *err);
pr_status pr_trainer_make_step(pr_trainer *t, pr_extent extent, const pr_feed *feeds, int n_feeds,
                               float *loss, pr_error *err);

/* PR_BAD_ARGUMENT where steps were begun and not finished. */
pr_status pr_trainer_at_rest(const pr_trainer *t, pr_error *err);

/* PR_BAD_ARGUMENT where the run was given no learning rate for the next step. */
pr_status pr_trainer_has_rate(const pr_trainer *t, pr_error *err);

/* ---- batches in parts: in_parts.c ---- */

/* Room for any part of such a batch, and for its update. */
pr_status pr_trainer_make_ready_in_parts(pr_trainer *t, pr_extent batch, pr_error *err);

/* Runs all parts; *loss is the batch's mean. */
pr_status pr_trainer_run_parts(pr_trainer *t, pr_extent batch, const pr_feed *feeds, int n_feeds,
                               double *loss, pr_error *err);

/* The same, and the update; *factor is NaN where nothing was updated. */
pr_status pr_trainer_run_in_parts(pr_trainer *t, pr_extent batch, const pr_feed *feeds, int n_feeds,
                                  float *loss, float *factor, pr_error *err);

#endif
