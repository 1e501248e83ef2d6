/* A case of a whole model against PyTorch. Its file (safetensors; tests/torch_model.py says what
 * stands in it) gives the method and the settings of a run, its batches and what weights start
 * from; the model is opened with that head, method and start, its dropout off. */
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

/* The shape of a parameter in a model's file: FAR cuts some in two while it trains them. False for
 * the second leaf of such a one, which the file does not know. */
bool model_case_shape(const model_case *c, int param, pr_shape *shape);

/* Of a parameter that trains in the first step, on the first batch; in the shape above. */
pr_status model_case_gradient(model_case *c, const char *name, float *out, pr_error *err);

/* Makes the steps of the run and ends the method; losses (steps). Only the store's parameters,
 * which are up to date, are left to be looked at. */
pr_status model_case_train(model_case *c, float *losses, pr_error *err);

/* A tensor of the file, or NULL: the name is formatted. */
const pr_stored *model_case_find(const model_case *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
