/* Parallel adapters (He et al. 2021): beside the feed-forward, before its dropout,
 *     FFN(x) + s (W2 relu(W1 x + b1) + b2),    W1 (size, width), W2 (width, size).
 * The adapters and the blocks' norms train. */
#include <stdio.h>

#include "models/bottleneck.h"
#include "ops/ops.h"

enum { NAME = 80 };

static pr_status add(pr_store *store, const pr_bert_config *config,
                     const pr_method_options *options, bool draw, pr_error *err) {
    pr_status status = PR_OK;
    for (int layer = 0; layer < config->layers && status == PR_OK; layer++) {
        char name[NAME];
        snprintf(name, sizeof name, "blk.%d.adapter", layer);
        status = pr_bottleneck_add(store, name, config->width, options, draw, err);
    }
    return status;
}

static pr_tid with_adapter(pr_graph *g, pr_tid x, const char *block, const void *context) {
    const pr_method_options *options = context;
    char name[NAME];
    pr_tid y = pr_bert_feed_forward(g, x, block);
    snprintf(name, sizeof name, "%s.adapter_down", block);
    pr_tid hidden = pr_relu(g, pr_bert_linear(g, x, name));
    snprintf(name, sizeof name, "%s.adapter_up", block);
    return pr_add(g, pr_scale(g, pr_bert_linear(g, hidden, name), options->scale), y);
}

const pr_method pr_method_parallel = {
    .name = "parallel",
    .summary = "a narrow branch beside the feed-forward",
    .takes = PR_TAKES_SIZE | PR_TAKES_SCALE,
    .size_name = "width",
    .defaults = {.size = 512, .scale = 4.0f},
    .add = add,
    .added = "blk.*.adapter_*",
    .parts = {.feed_forward = with_adapter},
    .why_not = pr_bottleneck_why_not,
    .trained = pr_bottleneck_trained,
};
