/* A batch of a data set as what a BERT's graph is fed. */
#ifndef PR_FEED_H
#define PR_FEED_H

#include "models/bert.h"
#include "train/dataset.h"
#include "train/trainer.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PR_BERT_FEEDS = 5 }; /* the most there are */

/* Fills in the value of each of the model's inputs and returns how many there are; they point into
 * the batch. The trainer feeds the clock. Labels are the batch's targets where regression is set,
 * as it is in the model's config, and else its labels. */
int pr_bert_feeds(const pr_bert *bert, const pr_batch *batch, bool regression,
                  pr_feed feeds[PR_BERT_FEEDS]);

#ifdef __cplusplus
}
#endif
#endif
