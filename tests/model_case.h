/* A case of a whole model against PyTorch. Its file (safetensors; tests/torch_model.py says what
 * stands in it) gives the settings of a run, its batches and what weights start from; the model is
 * opened with that head, method and start, its dropout off. */
#ifndef PR_MODEL_CASE_H
#define PR_MODEL_CASE_H

#include "models/model.h"
#include "models/safetensors.h"
#include "train/dataset.h"
#include "train/trainer.h"

typedef struct model_case {
    pr_backend *backend;
    pr_safetensors *file;
    pr_model *model;
    pr_graph *g;
    pr_bert bert;
    pr_trainer *trainer;
    pr_batch *batch; /* (n_batches) */
    int32_t n_batches;
    int32_t steps, flip; /* in the first `flip` steps the primed parameters train too */
} model_case;

/* *c is all zeros before, and to be closed after, whatever comes back. threads: 0 for all. */
pr_status model_case_open(model_case *c, const char *model, const char *file, int threads,
                          pr_error *err);
void model_case_close(model_case *c);

/* (sentences of the batch, labels) */
pr_status model_case_logits(model_case *c, int32_t batch, float *out, pr_error *err);

/* Of a parameter that trains in the first step, on the first batch. */
pr_status model_case_gradient(model_case *c, const char *name, float *out, pr_error *err);

/* Makes the steps of the run; losses (steps). Afterwards the store's parameters are up to date. */
pr_status model_case_train(model_case *c, float *losses, pr_error *err);

/* A tensor of the file, or NULL: the name is formatted. */
const pr_stored *model_case_find(const model_case *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
