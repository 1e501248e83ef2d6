/* FREEZE FFNs: everything in the blocks trains but the two weights of each feed-forward; the
 * embeddings are frozen. */
#include "models/method.h"

static const char *const trained[] = {
    "blk.*.attn_{q,k,v,output}.{weight,bias}",
    "blk.*.ffn_{up,down}.bias",
    "blk.*_norm.{weight,bias}",
    NULL,
};

const pr_method pr_method_freeze_ffn = {
    .name = "freeze-ffn",
    .summary = "the blocks train but for the feed-forwards' weights",
    .trained = trained,
};
