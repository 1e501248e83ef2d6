/* What is told of a model. */
#ifndef DESCRIBE_H
#define DESCRIBE_H

#include "models/model.h"

/* Prints "PATH: BERT, 6 layers of width 384, 30,522 pieces, 22,713,216 parameters". folded: what a
 * method added is not counted, since it was folded into the weights when they were written. */
void describe_written(const char *path, const pr_model *model, bool folded);

/* PR_BAD_ARGUMENT, naming the file and the reason, where what the model's method added can't be
 * folded into its weights. */
pr_status describe_if_unfoldable(const char *path, const pr_model *model, pr_error *err);

/* Prints what a PEFT adapter directory holds, and the lines of Python that load it; base is the
 * model that was tuned, or NULL. */
void describe_peft(const char *directory, const pr_model *model, const char *base);

#endif
