/* Models and data sets small enough to train in a test. All of these fail the test on a fault. */
#ifndef PR_TEST_TOY_MODEL_H
#define PR_TEST_TOY_MODEL_H

#include "models/model.h"
#include "train/dataset.h"

/* Two blocks of width 16, 40 pieces; every dropout at 0.1. */
pr_bert_config toy_config(pr_bert_kind kind);

/* Random weights and two labels. */
pr_model *toy_model(pr_bert_kind kind, pr_backend *backend, uint64_t seed);
pr_model *toy_model_of(const pr_bert_config *config, pr_backend *backend, uint64_t seed);

/* n rows of two classes, which show in the words; of 3 to 12 tokens each, or of the lengths given.
 * Freed by pr_dataset_free. */
pr_dataset *toy_data(size_t n, uint64_t seed);
pr_dataset *toy_data_of(size_t n, const size_t *length, int32_t vocab, uint64_t seed);

#endif
