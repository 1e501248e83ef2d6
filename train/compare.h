/* A step of training made by two backends side by side, node by node. */
#ifndef PR_TRAIN_COMPARE_H
#define PR_TRAIN_COMPARE_H

#include "graph/compare.h"
#include "train/trainer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pr_comparison {
    pr_store *store; /* of the same model, as it was opened, on the other backend */
    pr_compare_report report;
    void *context;
} pr_comparison;

/* Makes a step as pr_trainer_step does, and each of its nodes on the other store's backend too, on
 * what the trainer's own node was given; what trains there becomes a copy of what trains here
 * first. PR_UNSUPPORTED for a trainer that runs batches in parts. */
pr_status pr_trainer_compare(pr_trainer *t, pr_extent extent, const pr_feed *feeds, int n_feeds,
                             const pr_comparison *c, float *loss, pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
