/* Sequential adapters (Houlsby et al. 2019): after attention's output projection and after the
 * feed-forward, each after its dropout and before the residual is added,
 *     h + W2 gelu(W1 h + b1) + b2,    W1 (size, width), W2 (width, size).
 * The adapters and the blocks' norms train. */
#include <stdio.h>
#include <string.h>

#include "models/bottleneck.h"
#include "ops/ops.h"

enum { NAME = 80 };

static pr_status add(pr_store *store, const pr_bert_config *config,
                     const pr_method_options *options, bool draw, pr_error *err) {
    static const char *const sublayers[] = {"attn", "ffn"};
    pr_status status = PR_OK;
    for (int i = 0; i < 2 * config->layers && status == PR_OK; i++) {
        char name[NAME];
        snprintf(name, sizeof name, "blk.%d.adapter_%s", i / 2, sublayers[i % 2]);
        status = pr_bottleneck_add(store, name, config->width, options, draw, err);
    }
    return status;
}

/* "blk.N.adapter_attn_down" for the sublayer "blk.N.attn". */
static const char *adapter_name(char name[NAME], const char *sublayer, const char *part) {
    const char *last = strrchr(sublayer, '.');
    snprintf(name, NAME, "%.*s.adapter_%s_%s", (int)(last - sublayer), sublayer, last + 1, part);
    return name;
}

static pr_tid with_adapter(pr_graph *g, pr_tid h, const char *sublayer, const void *context) {
    (void)context;
    char name[NAME];
    pr_tid hidden = pr_gelu(g, pr_bert_linear(g, h, adapter_name(name, sublayer, "down")));
    return pr_add(g, pr_bert_linear(g, hidden, adapter_name(name, sublayer, "up")), h);
}

const pr_method pr_method_adapter = {
    .name = "adapter",
    .summary = "a narrow branch after attention and after the feed-forward",
    .takes = PR_TAKES_SIZE,
    .size_name = "width",
    .defaults = {.size = 256, .scale = 1.0f},
    .add = add,
    .added = "blk.*.adapter_*",
    .parts = {.sublayer = with_adapter},
    .why_not = pr_bottleneck_why_not,
    .trained = pr_bottleneck_trained,
};
