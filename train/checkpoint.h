/* A checkpoint: all that a run needs to go on as if it had not been stopped, bit for bit. It is a
 * GGUF file: parameters that have trained, their moments, the step, and the settings it belongs to.
 * What never trained stays in the model file, which must be the same one. */
#ifndef PR_CHECKPOINT_H
#define PR_CHECKPOINT_H

#include "models/model.h"
#include "train/finetune.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where a run stands. */
typedef struct pr_checkpoint {
    int32_t step;        /* steps made */
    int32_t epoch_steps; /* those of the epoch under way */
    double epoch_loss;   /* the sum of their losses */
} pr_checkpoint;

/* What a checkpoint must agree with, beside the options. */
typedef struct pr_checkpoint_run {
    const pr_model *model;
    const pr_finetune_options *options;
    size_t rows;          /* of the training set */
    uint64_t data;        /* pr_checkpoint_data of the training set */
    uint64_t fingerprint; /* pr_checkpoint_fingerprint before the first step */
} pr_checkpoint_run;

/* A number for a model's names, shapes and the first bytes of each parameter (FNV-1a, 64 bits):
 * enough to tell models apart, cheap enough for every start. */
uint64_t pr_checkpoint_fingerprint(const pr_model *model);

/* The same for a data set: its rows' tokens and labels, in their order, and the labels' names. */
uint64_t pr_checkpoint_data(const pr_dataset *data);

/* Rows must be up to date (pr_trainer_catch_up). */
pr_status pr_checkpoint_save(const pr_checkpoint_run *run, const pr_checkpoint *at,
                             const char *path, pr_error *err);

/* Where the run stood. PR_BAD_ARGUMENT when the checkpoint is of other settings, other training
 * data or another model, naming the first difference. */
pr_status pr_checkpoint_peek(const pr_checkpoint_run *run, const char *path, pr_checkpoint *at,
                             pr_error *err);

/* Puts parameters and moments back. Requires-grad must be set as it was for the last step, and the
 * store settled. */
pr_status pr_checkpoint_load(pr_model *model, const char *path, pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
