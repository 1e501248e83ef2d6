#include "train/feed.h"

int pr_bert_feeds(const pr_bert *bert, const pr_batch *batch, bool regression,
                  pr_feed feeds[PR_BERT_FEEDS]) {
    int n = 0;
    feeds[n++] = (pr_feed){bert->ids, batch->ids};
    feeds[n++] = (pr_feed){bert->positions, batch->positions};
    if (bert->types) feeds[n++] = (pr_feed){bert->types, batch->types};
    feeds[n++] = (pr_feed){bert->offsets, batch->offsets};
    const void *labels = regression ? (const void *)batch->target : batch->label;
    feeds[n++] = (pr_feed){bert->labels, labels};
    return n;
}
