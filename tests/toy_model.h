/* A model and a data set small enough to train in a test. */
#ifndef PR_TEST_TOY_MODEL_H
#define PR_TEST_TOY_MODEL_H

#include "models/model.h"
#include "train/dataset.h"

/* Two blocks of width 16 with random weights; every dropout at 0.1. Fails the
 * test on a fault. */
pr_model *toy_model(pr_bert_kind kind, pr_backend *backend, uint64_t seed);

/* n rows of 3 to 12 tokens, two classes. Freed by pr_dataset_free. */
pr_dataset *toy_data(size_t n, uint64_t seed);

#endif
