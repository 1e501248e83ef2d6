/* The parts of a learner that LoRA shares: see learner.c for their formula. Internal to models/. */
#ifndef PR_LEARNER_H
#define PR_LEARNER_H

#include "models/method.h"

/* What pr_method's fields of the same names want. */
pr_status pr_learner_add(pr_store *store, const pr_bert_config *config,
                         const pr_method_options *options, bool draw, pr_error *err);
pr_tid pr_learner_linear(pr_graph *g, pr_tid x, const char *linear, const void *context);
pr_status pr_learner_collapse(const pr_store *store, const char *linear,
                              const pr_method_options *options, float *weight, pr_error *err);
extern const char *const pr_learner_trained[];

#endif
