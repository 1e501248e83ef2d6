/* BERT, MiniLM and DistilBERT as one model definition against the graph API: post-norm encoder
 * blocks over packed tokens and a classification head on each sentence's first token. Devlin et al.
 * 2019 (BERT); Sanh et al. 2019 (DistilBERT); Wang et al. 2020 (MiniLM). Parameters carry their
 * GGUF names. */
#ifndef PR_BERT_H
#define PR_BERT_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pr_bert_kind {
    PR_BERT, /* MiniLM too: token types, pooler with tanh, dropout after attention's projection */
    PR_DISTILBERT /* no token types, pre_classifier with ReLU */
} pr_bert_kind;

typedef struct pr_bert_config {
    pr_bert_kind kind;
    int32_t layers, width, heads, ffn; /* ffn: the width of the feed-forward's hidden layer */
    int32_t vocab, positions;
    int32_t token_types; /* 0 for DistilBERT */
    int32_t labels;      /* columns of the logits; 1: regression */
    bool regression;     /* the loss is the mean squared error of one column */
    float epsilon;       /* of the layer norms */
    float dropout;       /* embeddings, attention's projection (BERT), feed-forward */
    float attention_dropout;
    float head_dropout;
} pr_bert_config;

/* PR_BAD_ARGUMENT, naming the field, for sizes that make no model or overflow. */
pr_status pr_bert_check(const pr_bert_config *config, pr_error *err);

/* Calls visit for every parameter that a model of this config has, the head's last, in the order
 * they are saved in; stops at the first that does not return PR_OK. */
typedef pr_status (*pr_bert_visit)(void *context, const char *name, pr_shape shape, pr_error *err);
pr_status pr_bert_parameters(const pr_bert_config *config, pr_bert_visit visit, void *context,
                             pr_error *err);

/* The parts of a block that a method may build in its own way; where one is NULL it is built the
 * plain way. context is the method's. */
typedef struct pr_bert_parts {
    /* y = W x + b for the parameters <name>.weight (out, in) and <name>.bias (out), and what stands
     * beside it; name is "blk.N." and one of pr_method_linears. */
    pr_tid (*linear)(pr_graph *g, pr_tid x, const char *name, const void *context);
    /* What a sublayer, "blk.N.attn" or "blk.N.ffn", gives to the residual: y (N, width) is its
     * output, after its dropout. */
    pr_tid (*sublayer)(pr_graph *g, pr_tid y, const char *name, const void *context);
    /* The feed-forward of a block, "blk.N", before its dropout: (N, width) -> (N, width). */
    pr_tid (*feed_forward)(pr_graph *g, pr_tid x, const char *block, const void *context);
} pr_bert_parts;

/* The plain linear layer, W x + b. */
pr_tid pr_bert_linear(pr_graph *g, pr_tid x, const char *name);

/* The plain feed-forward: ffn_down(gelu(ffn_up(x))). */
pr_tid pr_bert_feed_forward(pr_graph *g, pr_tid x, const char *block);

/* What a batch feeds, and what comes out. */
typedef struct pr_bert {
    pr_tid ids, positions, types; /* i32 (N); types is 0 for DistilBERT */
    pr_tid offsets;               /* i32 (B + 1) */
    pr_tid clock;                 /* u64 (3): seed, step, number of the batch's first sentence */
    pr_tid labels;                /* i32 (B), or f32 (B) for regression */
    pr_tid logits;                /* (B, labels) */
    pr_tid loss;                  /* (1) */
} pr_bert;

/* Builds the forward graph; faults stick to g. parts may be NULL: all plain. */
pr_bert pr_bert_build(pr_graph *g, const pr_bert_config *config, const pr_bert_parts *parts,
                      const void *context);

#ifdef __cplusplus
}
#endif
#endif
