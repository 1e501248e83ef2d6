/* Whole runs of fine-tuning on a toy model, and all that can be seen of them. */
#ifndef PR_TOY_RUN_H
#define PR_TOY_RUN_H

#include "tests/toy_model.h"
#include "train/finetune.h"

enum { RUN_EPOCHS = 3, RUN_EPOCH_STEPS = 6, RUN_STEPS = RUN_EPOCHS * RUN_EPOCH_STEPS };

typedef struct toy_run {
    const char *model; /* a file: toy_run_model */
    const char *method;
    int32_t prime; /* epochs of a learner, whose rank is 4; steps of FAR */
    uint64_t model_seed, data_seed;
    int threads;
    pr_precision precision;
    bool unsaved; /* the result has no file: for tests of many runs */
    pr_finetune_options options;
    /* After a step; false ends the run. May be NULL. */
    bool (*step)(void *context, const pr_step_report *report);
    void *context;
} toy_run;

typedef struct toy_result {
    pr_finetune_result result;
    float loss[RUN_STEPS];         /* of each step that this run made; 0 elsewhere */
    double epoch_loss[RUN_EPOCHS]; /* of each epoch that ended in it */
    double score[RUN_EPOCHS];
    int flips;
    unsigned char *file; /* the model as saved after it; to be freed */
    size_t size;
} toy_result;

/* Writes the plain toy model that runs start from into the scratch folder; returns its path. */
const char *toy_run_model(pr_bert_kind kind);
const char *toy_run_model_of(const pr_bert_config *config);

/* The options that most runs take: seeds, 2 threads, 3 epochs of 6 steps, a dev set. */
toy_run toy_run_default(const char *method, int32_t prime);

/* Makes the run. The model's opening and its saving afterwards must succeed; what pr_finetune_run
 * came to is returned. */
pr_status toy_run_make(const toy_run *run, toy_result *result, pr_error *err);

/* The same for a run that must succeed. */
toy_result toy_run_through(const toy_run *run);

/* Fails unless the runs ended in the same file. */
void assert_same_file(const toy_result *a, const toy_result *b);

#endif
