/* What is told of a model. */
#ifndef DESCRIBE_H
#define DESCRIBE_H

#include "models/model.h"

/* Prints "PATH: BERT, 6 layers of width 384, 30,522 pieces, 22,713,216 parameters". folded: what a
 * method added is not counted, since it was folded into the weights when they were written. */
void describe_written(const char *path, const pr_model *model, bool folded);

#endif
