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

/* y = W x + b for the parameters <name>.weight (out, in) and <name>.bias (out) of the store, plus
 * what a method adds beside it. context is the method's. */
typedef pr_tid (*pr_linear_maker)(pr_graph *g, pr_tid x, const char *name, const void *context);

/* The plain one: no context. */
pr_tid pr_bert_linear(pr_graph *g, pr_tid x, const char *name, const void *context);

/* What a batch feeds, and what comes out. */
typedef struct pr_bert {
    pr_tid ids, positions, types; /* i32 (N); types is 0 for DistilBERT */
    pr_tid offsets;               /* i32 (B + 1) */
    pr_tid clock;                 /* u64 (3): seed, step, number of the batch's first sentence */
    pr_tid labels;                /* i32 (B), or f32 (B) for regression */
    pr_tid logits;                /* (B, labels) */
    pr_tid loss;                  /* (1) */
} pr_bert;

/* Builds the forward graph; faults stick to g. linear makes the six linear layers of each block:
 * blk.N.attn_q, attn_k, attn_v, attn_output, ffn_up, ffn_down. */
pr_bert pr_bert_build(pr_graph *g, const pr_bert_config *config, pr_linear_maker linear,
                      const void *context);

#ifdef __cplusplus
}
#endif
#endif
