/* The fine-tuning loop: epochs over shuffled, packed batches, the flip of priming, evaluation after
 * each epoch, checkpoints, and callbacks for whoever shows progress or wants to stop. */
#ifndef PR_FINETUNE_H
#define PR_FINETUNE_H

#include "models/model.h"
#include "train/compare.h"
#include "train/dataset.h"
#include "train/metrics.h"
#include "train/trainer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pr_finetune_options {
    int32_t epochs;
    int32_t batch_size;
    int32_t micro_batch; /* sentences that are run at a time, for less memory; 0: the whole batch */
    bool recompute;      /* the forward part is computed twice, for less memory and the same bits */
    double learning_rate;
    double weight_decay;
    double warmup; /* steps when 1 or more, a part of all steps when under 1 */
    double clip;   /* 0: none */
    uint64_t seed;
    int32_t max_steps;      /* stops early; the schedule stays that of epochs. 0: no limit */
    int32_t save_every;     /* steps between checkpoints; 0: none but the last */
    const char *checkpoint; /* where they go, or NULL */
    const char *resume;     /* a checkpoint to go on from, or NULL */
    /* Globs over the names of parameters in the model's file, ended by NULL; NULL: none. What they
     * match trains, or does not, from the first step to the last, whatever the method says; freeze
     * has the last word. */
    const char *const *train;
    const char *const *freeze;
} pr_finetune_options;

/* The paper's: 5 epochs, batches of 16, 2e-5, decay 0.01, no warm-up, clipping at 1, seed 0. */
pr_finetune_options pr_finetune_default(void);

/* The sentences of a part of a batch; 0 where batches are run whole. */
int32_t pr_finetune_part(const pr_finetune_options *options);

/* What is known after a step. */
typedef struct pr_step_report {
    int32_t step, steps;   /* done, and of the whole run */
    int32_t epoch, epochs; /* this one (0, 1, ...), and how many */
    float loss;
    double rate;            /* the learning rate of this step */
    int64_t tokens;         /* real ones in the batch */
    double flops, bytes;    /* pr_trainer_cost of this step; 0 where nobody asked for costs */
    double seconds;         /* of this step; of steps that are told of together, the mean */
    double trained_seconds; /* of all steps of this process */
    int64_t trained_tokens;
    const pr_trainer *trainer; /* to ask for its plan: pr_trainer_report */
} pr_step_report;

/* What is known after an epoch. */
typedef struct pr_epoch_report {
    int32_t epoch, epochs;
    double loss;             /* mean over the epoch's steps */
    const pr_scores *scores; /* on the dev set; NULL without one */
    size_t parameters, trained;
    pr_plan_report plan;
    double seconds; /* training alone */
    double evaluation_seconds;
} pr_epoch_report;

/* The steps in which one set of parameters trains: `first` (0, 1, ...) to before `end`. A run has
 * one phase, or two with a flip between them. */
typedef struct pr_phase_report {
    int32_t phase, first, end;
    int32_t per_epoch; /* steps of an epoch */
    size_t parameters, trained;
    pr_plan_report plan; /* at the capacity of the run's largest batch */
} pr_phase_report;

/* What a flip gave back: the plan and the trained parameters before and after. */
typedef struct pr_flip_report {
    int32_t step, per_epoch; /* steps made, and those of an epoch */
    size_t trained_before, trained_after;
    pr_plan_report before, after;
} pr_flip_report;

/* Any may be NULL. step returns false to end the run after this step (the rest is as if it had been
 * stopped by max_steps: a checkpoint is saved). On a GPU the host does not wait for each step:
 * several are told of together, about ten times a second, and a run ends after all of them. */
typedef struct pr_finetune_callbacks {
    void *context;
    bool costs; /* reports of steps tell what they had to do, which takes time to find out */
    bool (*step)(void *context, const pr_step_report *report);
    void (*epoch)(void *context, const pr_epoch_report *report);
    void (*flip)(void *context, const pr_flip_report *report);
    /* Before the first step of a phase, and of a run that is resumed. */
    void (*phase)(void *context, const pr_phase_report *report);
    pr_plan_watch watch; /* after each node, of steps and of evaluations: pr_trainer_watch */
    /* The first `compared` steps of this process are made on another backend beside (compare.h). */
    const pr_comparison *compare;
    int32_t compared;
} pr_finetune_callbacks;

/* How a run ended. */
typedef struct pr_finetune_result {
    int32_t steps; /* made, the ones before a resume counted */
    bool cancelled;
    size_t peak_planned; /* bytes: the largest of weights + gradients + moments + activations */
} pr_finetune_result;

/* Trains the model on train; dev may be NULL. The model's method says what trains when. When it
 * returns PR_OK, cancelled or not, the model can be saved: rows of embeddings are up to date, and
 * the method has ended (pr_model_end_method). PR_BAD_ARGUMENT for a flip after the last step and
 * for a glob that matches nothing. */
pr_status pr_finetune_run(pr_model *model, pr_backend *backend, const pr_dataset *train,
                          const pr_dataset *dev, const pr_finetune_options *options,
                          const pr_finetune_callbacks *callbacks, pr_finetune_result *result,
                          pr_error *err);

enum { PR_MAX_PHASES = 2 };

/* Plans a run without making it: its first *n phases; *n becomes how many there are of those. */
pr_status pr_finetune_plan(pr_model *model, pr_backend *backend, const pr_dataset *train,
                           const pr_finetune_options *options, pr_phase_report *phases, int *n,
                           pr_error *err);

/* Any may be NULL. */
typedef struct pr_predict_callbacks {
    void *context;
    bool costs; /* as pr_finetune_callbacks' */
    /* After each batch. Of the report step, steps, tokens, flops, bytes, seconds and trainer mean
     * something. */
    void (*batch)(void *context, const pr_step_report *report);
    pr_plan_watch watch; /* after each node: pr_trainer_watch */
} pr_predict_callbacks;

/* Sets micro_batch and recompute where they are not set, so that what is planned for the run, and
 * some 40 MB beside it, stays within `limit` bytes: whole batches if that fits, else the largest
 * half, quarter, ... of them, else all of it computed twice. *bytes is what the choice needs.
 * PR_NO_MEMORY, saying what would do, when nothing fits. */
pr_status pr_finetune_fit(pr_model *model, pr_backend *backend, const pr_dataset *train,
                          size_t limit, pr_finetune_options *options, size_t *bytes, pr_error *err);

/* The model on a data set, without training: outputs (rows, labels) f32, the logits, from pr_alloc;
 * the caller frees them. callbacks may be NULL. */
pr_status pr_finetune_predict(pr_model *model, pr_backend *backend, const pr_dataset *data,
                              int32_t batch_size, const pr_predict_callbacks *callbacks,
                              float **outputs, pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
