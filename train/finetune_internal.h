/* What a run of fine-tuning is made of. Internal to train/. */
#ifndef PR_FINETUNE_INTERNAL_H
#define PR_FINETUNE_INTERNAL_H

#include "train/checkpoint.h"
#include "train/finetune.h"

/* Steps that were begun and not told of yet. */
typedef struct pr_begun {
    pr_step_report report[PR_MOST_AHEAD];
    int n;
    double since; /* when the first began, by pr_run_now */
    double told;  /* when steps were told of last; 0: never */
} pr_begun;

/* All that one run holds. */
typedef struct pr_run {
    pr_model *model;
    const pr_dataset *train, *dev;
    const pr_finetune_options *options;
    pr_finetune_callbacks calls;
    pr_finetune_result *result;
    pr_graph *g;
    pr_bert bert;
    pr_trainer *trainer;
    pr_batch batch;
    uint32_t *order; /* (rows) of the epoch under way */
    int32_t per_epoch, steps;
    int32_t compared;       /* steps made beside another backend */
    int32_t flip;           /* steps before it; 0: there is none */
    bool entered;           /* a phase */
    pr_extent largest;      /* batch of the run */
    pr_extent largest_part; /* of a batch */
    uint64_t fingerprint;   /* of the model before the first step */
    uint64_t data;          /* of the training set */
    pr_checkpoint at;       /* steps begun, and the losses of those that were told of */
    pr_begun begun;
    double seconds; /* of training steps */
    int64_t tokens;
} pr_run;

/* Seconds since some moment. */
double pr_run_now(void);

/* Whether a checkpoint is due after as many steps as were begun. */
bool pr_run_checkpoint_due(const pr_run *r);

/* Begins the next step of the epoch. Where the trainer goes ahead of the GPU, steps are waited for
 * and told of when somebody may want to see them, some times a second, and before an epoch, a phase
 * or a checkpoint ends; *stop is whether the run should then end. */
pr_status pr_run_step(pr_run *r, int32_t epoch, bool *stop, pr_error *err);

#endif
