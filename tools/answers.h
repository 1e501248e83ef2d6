/* What a model's outputs say. */
#ifndef ANSWERS_H
#define ANSWERS_H

#include "models/model.h"
#include "train/dataset.h"

/* The column of the largest of n outputs. */
int32_t answers_largest(const float *outputs, int32_t n);

/* The model's column for each of the labels, which it may have in another order; one without names
 * has them in theirs. From pr_alloc. NULL with err set: PR_BAD_FILE when the model was not tuned
 * for these labels, which the message calls those of labels->owner (NULL: the data); PR_NO_MEMORY.
 */
int32_t *answers_match(const pr_model *model, const pr_label_set *labels, pr_error *err);

/* Puts each row of the outputs, (rows, n), into the order of the labels. PR_NO_MEMORY. */
pr_status answers_order(const int32_t *column, int32_t n, float *outputs, size_t rows,
                        pr_error *err);

#endif
